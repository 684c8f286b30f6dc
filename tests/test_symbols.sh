#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What the library is made of: it exports exactly the functions of the public header, holds nothing of search/, tuner/ or
# the writing half of db/, and links neither jansson nor zlib nor a vendor's library.
# usage: tests/test_symbols.sh BUILD_FOLDER
# shellcheck source=tests/shell.sh
. "$(dirname "$0")/shell.sh"
export LC_ALL=C

shared=$(readlink -f "$build/libsparsetune.so") && [ -f "$shared" ] || {
    echo "expected a shared library in $build, found none"
    exit 1
}

# ---- exported functions: the header's, no more and no less ----
sed -n '/^SPT_API/,/;/p' include/sparsetune.h | grep -o 'spt_[a-z0-9_]*(' | tr -d '(' | sort -u >"$folder/public"
nm -D --defined-only "$shared" | awk '{print $3}' | grep -v '^_\|^$' | sort -u >"$folder/exported"
[ "$(wc -l <"$folder/public")" -ge 13 ] || wrong "the header seems to have $(wc -l <"$folder/public") functions only"
if ! diff "$folder/public" "$folder/exported" >"$folder/difference"; then
    wrong "exported symbols differ from the header (< header, > library): $(grep '^[<>]' "$folder/difference" | tr '\n' ' ')"
fi

# ---- no symbol of the other rooms ----
find "$build/search" "$build/tuner" -name '*.o' >"$folder/objects"
find "$build/db" -name '*.o' ! -name 'reader*' >>"$folder/objects"
xargs nm --defined-only --extern-only <"$folder/objects" 2>/dev/null | awk 'NF == 3 && $3 ~ /^spt_/ {print $3}' |
    sort -u >"$folder/foreign"
[ "$(wc -l <"$folder/foreign")" -ge 20 ] || wrong "expected objects of search/ and tuner/ in $build, found few"
for library in "$build/libsparsetune.a" "$shared"; do
    nm --defined-only "$library" 2>/dev/null | awk 'NF == 3 {print $3}' | sort -u >"$folder/held"
    held=$(comm -12 "$folder/foreign" "$folder/held" | tr '\n' ' ')
    [ -z "$held" ] || wrong "$library holds symbols of the program: $held"
    nm --undefined-only "$library" 2>/dev/null | awk '{print $2}' | sort -u >"$folder/wanted"
    wanted=$(comm -12 "$folder/foreign" "$folder/wanted" | tr '\n' ' ')
    [ -z "$wanted" ] || wrong "$library wants symbols of the program: $wanted"
    wanted=$(grep -E '^(json_|gz(open|read)|inflate|deflate|cu[A-Z]|cblas_|dnnl_|mkl_)' "$folder/wanted" | tr '\n' ' ')
    [ -z "$wanted" ] || wrong "$library wants: $wanted"
done

# ---- what the loader is asked for ----
readelf -d "$shared" >"$folder/dynamic"
for name in jansson 'libz\.' cuda nvrtc cublas cusparse openblas mkl dnnl cmocka; do
    ! grep NEEDED "$folder/dynamic" | grep -q "$name" || wrong "the shared library is linked with $name"
done
version=$(sed -n 's/.*SPT_VERSION_MAJOR \([0-9]*\).*/\1/p' include/sparsetune.h)
grep -q "SONAME.*\[libsparsetune.so.$version\]" "$folder/dynamic" || wrong "the soname is not libsparsetune.so.$version"
grep -q 'FLAGS_1.*NODELETE' "$folder/dynamic" || wrong "the shared library is not linked with -z nodelete"
! readelf -lW "$shared" | grep -q 'GNU_STACK.*RWE' || wrong "the shared library wants an executable stack"

# ---- what it needs, and how large it is without symbols ----
allowed='libsqlite3|libxxhash|libcpuid|libgomp|libomp|libm|libc|libdl|ld-linux[a-z0-9-]*'
unknown=$(sed -n 's/.*NEEDED.*\[\(.*\)\]/\1/p' "$folder/dynamic" | grep -vE "^($allowed)\.so" | tr '\n' ' ')
if ! grep -qE -- '-fsanitize=|--coverage' "$build/flags"; then
    [ -z "$unknown" ] || wrong "the shared library is linked with $unknown"
    if grep -q -- '-O3' "$build/flags" && strip -o "$folder/stripped" "$shared" 2>/dev/null; then
        size=$(wc -c <"$folder/stripped")
        echo "stripped: $size bytes; needs $(sed -n 's/.*NEEDED.*\[\(.*\)\]/\1/p' "$folder/dynamic" | tr '\n' ' ')"
        limit=1500000
        grep -q 'cuda' "$build/flags" && grep -q -- '-isystem' "$build/flags" && limit=2000000 # with CUDA's engine
        [ "$size" -le $limit ] || wrong "the stripped library has $size bytes, more than $limit"
    fi
fi

finish "$(wc -l <"$folder/exported") exported, $(wc -l <"$folder/foreign") foreign"
