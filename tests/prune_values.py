# SPDX-License-Identifier: Apache-2.0
"""What `sparsetune prune` keeps, compared with the definitions of its rules, which are written here a second time and
share nothing with the program. Exact arithmetic (fractions), no NumPy. Values with many equals, signs, zeros and shapes
that no group or block divides.
usage: python3 tests/prune_values.py PROGRAM FOLDER"""
import json
import math
import random
import struct
import subprocess
import sys
from fractions import Fraction

PROGRAM, FOLDER = sys.argv[1:3]
KINDS = {"F16": ("<f2", "e", 2), "F32": ("<f4", "f", 4), "F64": ("<f8", "d", 8), "BF16": (None, None, 2)}
n_checks = n_wrong = 0


def expect(condition, words):
    global n_checks, n_wrong
    n_checks += 1
    if not condition:
        n_wrong += 1
        print("WRONG:", words)


# ---- numbers and files ----


def encode(value, dtype):
    if dtype == "BF16":
        return struct.pack("<f", value)[2:]
    return struct.pack("<" + KINDS[dtype][1], value)


def decode(data, dtype):
    if dtype == "BF16":
        return struct.unpack("<f", b"\0\0" + data)[0]
    return struct.unpack("<" + KINDS[dtype][1], data)[0]


def write_npy(path, shape, items, dtype, fortran=False):
    if fortran:  # of a matrix: column by column
        items = [items[row * shape[1] + col] for col in range(shape[1]) for row in range(shape[0])]
    header = "{'descr': '%s', 'fortran_order': %s, 'shape': %s, }" % (KINDS[dtype][0], fortran, tuple(shape))
    header = header.ljust(-(-(len(header) + 11) // 64) * 64 - 11) + "\n"
    with open(path, "wb") as file:
        file.write(b"\x93NUMPY\1\0" + struct.pack("<H", len(header)) + header.encode() + b"".join(items))


def read_npy(path):
    data = open(path, "rb").read()
    (length,) = struct.unpack("<H", data[8:10])
    header = eval(data[10 : 10 + length].decode())  # our own file
    size = int(header["descr"][2:])
    body = data[10 + length :]
    return header, [body[i : i + size] for i in range(0, len(body), size)]


def write_model(path, tensors):
    header, body = {}, b""
    for name, dtype, shape, items in tensors:
        data = b"".join(items)
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [len(body), len(body) + len(data)]}
        body += data
    text = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + body)


def read_model(path):
    data = open(path, "rb").read()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    tensors = {}
    for name, entry in header.items():
        if name != "__metadata__":
            begin, end = entry["data_offsets"]
            tensors[name] = (entry["dtype"], entry["shape"], data[8 + length + begin : 8 + length + end])
    return header.get("__metadata__"), tensors


# ---- the rules, from their words ----


def keep_nm(rows, n, m):
    """Of every m in a row the n largest stay; among equals the first ones."""
    kept = []
    for row in rows:
        mask = [False] * len(row)
        for first in range(0, len(row), m):
            group = range(first, min(first + m, len(row)))
            for at in sorted(group, key=lambda i: (-abs(row[i]), i))[:n]:
                mask[at] = True
        kept.append(mask)
    return kept


def keep_blocks(rows, r, c, share):
    """round(share * blocks) blocks of r x c go, those of the least mean magnitude; among equals the first ones. Blocks
    at the edges have the mean of what they hold."""
    n_rows, n_cols = len(rows), len(rows[0])
    blocks = []
    for i in range(0, n_rows, r):
        for j in range(0, n_cols, c):
            cells = [(y, x) for y in range(i, min(i + r, n_rows)) for x in range(j, min(j + c, n_cols))]
            mean = sum(Fraction(abs(rows[y][x])) for y, x in cells) / len(cells)
            blocks.append((mean, len(blocks), cells))
    n_gone = math.floor(Fraction(share) * len(blocks) + Fraction(1, 2))
    kept = [[True] * n_cols for _ in rows]
    for _, _, cells in sorted(blocks, key=lambda block: block[:2])[:n_gone]:
        for y, x in cells:
            kept[y][x] = False
    return kept


def keep_vnm(rows, v, n, m):
    """In every block of v rows and m columns the four columns of the largest sums stay, of which each row keeps its n
    largest; among equals the first ones."""
    n_rows, n_cols = len(rows), len(rows[0])
    kept = [[False] * n_cols for _ in rows]
    for i in range(0, n_rows, v):
        here = range(i, min(i + v, n_rows))
        for j in range(0, n_cols, m):
            sums = {x: sum(Fraction(abs(rows[y][x])) for y in here) for x in range(j, min(j + m, n_cols))}
            columns = sorted(sums, key=lambda x: (-sums[x], x))[:4]
            for y in here:
                for x in sorted(columns, key=lambda x: (-abs(rows[y][x]), x))[:n]:
                    kept[y][x] = True
    return kept


# ---- the compressed form, from its description ----


def unpack_nm(values, metadata, n_rows, n_cols, n, m, size):
    """values[row][group][n] and their places in log2(m) bits each, from the lowest bit up; zeros fill up."""
    n_groups, bits = -(-n_cols // m), m.bit_length() - 1
    row_bytes = -(-n_groups * n * bits // 8)
    rows = []
    for y in range(n_rows):
        row = [bytes(size)] * n_cols
        places = int.from_bytes(metadata[y * row_bytes : (y + 1) * row_bytes], "little")
        for i in range(n_groups * n):
            at = (y * n_groups * n + i) * size
            item = values[at : at + size]
            place = i // n * m + (places >> i * bits & (1 << bits) - 1)
            if any(item):
                assert row[place] == bytes(size), "two values in one place"
                row[place] = item
        rows.append(row)
    return rows


def unpack(metadata, tensors, name, size):
    """The matrix [m, k] and the shape of a tensor, from the compressed file alone."""
    dtype, _, values = tensors[name + ".values"]
    places = tensors[name + ".metadata"][2]
    shape = struct.unpack("<%dq" % tensors[name + ".shape"][1][0], tensors[name + ".shape"][2])
    n_rows, n_cols = shape[0], math.prod(shape[1:])
    if "nm" in metadata:
        n, m = map(int, metadata["nm"].split(":"))
        return shape, unpack_nm(values, places, n_rows, n_cols, n, m, size)
    v, n, m = map(int, metadata["vnm"].split(":"))
    n_inner = -(-n_cols // m) * 4
    columns = struct.unpack("<%di" % (-(-n_rows // v) * n_inner), tensors[name + ".columns"][2])
    rows = []
    for y, inner in enumerate(unpack_nm(values, places, n_rows, n_inner, n, 4, size)):
        row = [bytes(size)] * n_cols
        for i, item in enumerate(inner):
            if any(item):
                row[columns[y // v * n_inner + i]] = item
        rows.append(row)
    return shape, rows


# ---- one run, and what must hold ----


def matrix_of(items, shape):
    """Rows of [m, k]; a convolution's run over taps, then channels."""
    if len(shape) == 2:
        return [items[y * shape[1] : (y + 1) * shape[1]] for y in range(shape[0])]
    c, taps = shape[1], shape[2] * shape[3]
    return [[items[(y * c + x) * taps + t] for t in range(taps) for x in range(c)] for y in range(shape[0])]


def run(*words):
    return subprocess.run([PROGRAM, "prune", *words], capture_output=True, text=True, stdin=subprocess.DEVNULL)


def definition(rule, words, rows):
    if rule == "nm":
        return keep_nm(rows, *map(int, words.split(":")))
    if rule == "vnm":
        return keep_vnm(rows, *map(int, words.split(":")))
    if rule == "unstructured":
        return keep_blocks(rows, 1, 1, float(words))
    block, share = words.split("@")
    r, c = map(int, block.split("x")) if rule == "block" else (int(block), 1)
    return keep_blocks(rows, r, c, float(share))


def check(rule, words, shape, items, dtype, permute=False, fortran=False):
    what = "--%s %s %s of %s%s" % (rule, words, dtype, shape, " --permute" if permute else "")
    size, zero = KINDS[dtype][2], bytes(KINDS[dtype][2])
    is_model = KINDS[dtype][0] is None
    suffix = ".safetensors" if is_model else ".npy"
    source, target, packed = FOLDER + "/in" + suffix, FOLDER + "/out" + suffix, FOLDER + "/packed.safetensors"
    if is_model:
        write_model(source, [("weight", dtype, shape, items)])
    else:
        write_npy(source, shape, items, dtype, fortran)
    has_packed = rule in ("nm", "vnm")
    done = run(source, "--" + rule, words, "-o", target, "--json", *(["--compressed", packed] if has_packed else []),
               *(["--permute", "--time", "0.2s"] if permute else []))
    expect(done.returncode == 0, "%s: exit %d: %s" % (what, done.returncode, done.stderr))
    if done.returncode != 0:
        return
    if is_model:
        out_dtype, out_shape, data = read_model(target)[1]["weight"]
        out = [data[i : i + size] for i in range(0, len(data), size)]
        expect(out_dtype == dtype and tuple(out_shape) == tuple(shape), what + ": type or shape changed")
    else:
        header, out = read_npy(target)
        expect(header["descr"] == KINDS[dtype][0] and header["shape"] == tuple(shape), what + ": type or shape changed")
    if permute:
        order = [struct.unpack("<i", item)[0] for item in read_npy(FOLDER + "/out.permutation.npy")[1]]
        expect(sorted(order) == list(range(shape[1])), what + ": the order is none")
        taps = len(items) // shape[0] // shape[1]
        items = [items[(y * shape[1] + c) * taps + t] for y in range(shape[0]) for c in order for t in range(taps)]
    before, after = matrix_of(items, shape), matrix_of(out, shape)
    numbers = [[decode(item, dtype) for item in row] for row in before]
    kept = definition(rule, words, numbers)
    wanted = [[item if stays and number != 0 else zero for item, number, stays in zip(*rows)]
              for rows in zip(before, numbers, kept)]
    expect(after == wanted, what + ": other values stay than the rule says")
    line = json.loads(done.stdout)
    total = sum(Fraction(abs(number)) for row in numbers for number in row)
    part = sum(Fraction(abs(number)) for rows in zip(numbers, kept) for number, stays in zip(*rows) if stays)
    expect(total == 0 or abs(line["magnitude_kept"] - part / total) < 1e-8, what + ": another magnitude is reported")
    expect(line["magnitude_kept"] >= line["magnitude_kept_unpermuted"] - 1e-8, what + ": the order keeps less")
    expect(line["nnz"] == sum(item != zero for row in after for item in row), what + ": another nnz is reported")
    if has_packed:
        back_shape, back = unpack(*read_model(packed), "weight", size)
        expect(tuple(back_shape) == tuple(shape), what + ": another shape is compressed")
        expect(back == after, what + ": what is compressed does not come back")


def main():
    draw = random.Random(5)
    values = {
        "equal": lambda: draw.choice([-2.0, -1.0, -0.0, 0.0, 1.0, 1.0, 2.0]),
        "flat": lambda: draw.choice([-1.0, 1.0]),
        "normal": lambda: draw.gauss(0, 1),
        "near": lambda: draw.choice([-1.0, 1.0]) * (1.0 + draw.randrange(8) * 2.0**-40),  # one number as f32
        "far": lambda: draw.gauss(0, 1) * 10.0 ** draw.randrange(-90, 90),  # most of it no f32
    }
    rules = [("nm", "2:4"), ("nm", "1:4"), ("nm", "1:2"), ("nm", "5:16"), ("nm", "3:8"),
             ("unstructured", "0"), ("unstructured", "0.5"), ("unstructured", "0.9"), ("unstructured", "1"),
             ("block", "2x3@0.5"), ("block", "4x4@0.75"), ("block", "100x2@0.4"), ("vector", "4@0.5"), ("vector", "8@0.9"),
             ("vnm", "4:2:8"), ("vnm", "3:1:5"), ("vnm", "64:2:100"), ("vnm", "1:2:4")]
    shapes = [(7, 13), (1, 1), (12, 16), (5, 3, 2, 2), (4, 8, 3, 1)]
    for index, (rule, words) in enumerate(rules):
        for place, shape in enumerate(shapes):
            for turn, (kind, value) in enumerate(values.items()):
                dtype = "F64" if turn > 2 else ["F16", "F32", "F64", "BF16"][(index + place + turn) % 4]
                items = [encode(value(), dtype) for _ in range(math.prod(shape))]
                is_fortran = len(shape) == 2 and index % 3 == 0
                check(rule, words, shape, items, dtype, fortran=is_fortran)
    for shape in [(7, 13), (6, 32), (5, 3, 2, 2), (4, 8, 3, 1)]:
        for kind in ("equal", "normal", "far"):
            dtype = "F64" if kind == "far" else "F32"
            items = [encode(values[kind](), dtype) for _ in range(math.prod(shape))]
            check("nm", "2:4", shape, items, dtype, permute=True)
    for bad in (math.nan, math.inf, -math.inf):
        for rule, words in (("nm", "2:4"), ("unstructured", "0.5"), ("vnm", "2:2:4")):
            write_npy(FOLDER + "/in.npy", (2, 4), [encode(v, "F64") for v in [1, 2, 3, bad, 5, 6, 7, 8]], "F64")
            done = run(FOLDER + "/in.npy", "--" + rule, words, "-o", FOLDER + "/never.npy")
            expect(done.returncode == 3 and "element 3 is" in done.stderr, "%g is no weight: %s" % (bad, done.stderr))
    print("prune_values: %d checks, %d wrong" % (n_checks, n_wrong))
    return n_wrong != 0


sys.exit(main())
