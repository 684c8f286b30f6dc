#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# `make compile-all`: every point of every CUDA family that any problem makes valid, once, for COMPILE_ARCHS
# (sm_80,sm_90); then the defaults for all architectures that are known, in both layouts. What is in the cache
# (COMPILE_CACHE, else compile-all/ in the build folder) is not compiled again, so it may be stopped at any time and
# called again; COMPILE_SECONDS=N stops by itself. Exit code 0: all compiled, no default spills, nothing is left.
set -u
cd "$(dirname "$0")/.." || exit 1
program=$1/sparsetune
out=$1/compile-all
export SPARSETUNE_CACHE=${COMPILE_CACHE:-$out/cache}
mkdir -p "$out"
code=0
run() { # run NAME OPTIONS...
    local name=$1
    shift
    "$program" compile "$@" --json >"$out/$name.jsonl" 2>"$out/$name.txt" || code=1
    sed '/ left out: /d; s/^sparsetune: //' "$out/$name.txt"
    grep -q ' points are left' "$out/$name.txt" && code=1
    grep -v '"status":"ok"' "$out/$name.jsonl" | cut -c1-300 | head -5
}
run points --cover --arch "${COMPILE_ARCHS:-sm_90,sm_80}" ${COMPILE_SECONDS:+--time "$COMPILE_SECONDS"}
for op in spmm sddmm; do
    for layout in kn nk; do
        for width in 4 32 128; do # families for narrow B have defaults there
            echo "$op, $layout, n $width, every known architecture, defaults:"
            run "$op-$layout-$width" --op $op --layout $layout --n $width --arch all
            if grep '"is_default":true' "$out/$op-$layout-$width.jsonl" | grep -v '"spill_bytes":0,' | cut -c1-300 | head -5 | grep .; then
                code=1
            fi
        done
    done
done
echo "conv2d, every known architecture, defaults:"
run conv2d --op conv2d --image 28x28 --pattern uniform:64x576@0.9 --arch all
echo "by family: points, failed, spilling, median ms"
awk -F'"' '{ family = $4; n[family]++; bad[family] += !/"status":"ok"/; spills[family] += !/"spill_bytes":0,/
    match($0, /"compile_ms":[0-9.]+/); print family, substr($0, RSTART + 13, RLENGTH - 13) > times
    } END { for (f in n) print f, n[f], bad[f], spills[f] }' times="$out/times.txt" "$out/points.jsonl" | sort |
    while read -r family n bad spills; do
        echo "$family $n $bad $spills $(awk -v f="$family" '$1 == f { print $2 }' "$out/times.txt" | sort -n |
            awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }')"
    done
awk '{ print $2 }' "$out/times.txt" | sort -n | awk '{ v[NR] = $1 } function at(share) { return v[int((NR - 1) * share) + 1] }
    END { if (NR > 0) print "all " NR ": ms of a core, median " at(.5) ", 10 % " at(.1) ", 90 % " at(.9) ", most " v[NR] }'
exit $code
