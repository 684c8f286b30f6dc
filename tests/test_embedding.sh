#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The examples of docs/EMBEDDING.md compile without a warning, run, and compute what they say.
# usage: tests/test_embedding.sh BUILD_FOLDER
set -u
build=$1
folder=$(mktemp -d "${TMPDIR:-/tmp}/sparsetune-embedding-XXXXXX") || exit 1
trap 'rm -rf "$folder"' EXIT
if grep -qE -- '-fsanitize=|--coverage' "$build/flags"; then
    echo "the examples are compiled without sanitizers and coverage, which this build's library needs"
    exit 77
fi
awk -v folder="$folder" '
    /^```c / { file = folder "/" $2; next }
    /^```/ { file = ""; next }
    file != "" { print > file }' docs/EMBEDDING.md
export XDG_DATA_HOME=$folder
unset SPARSETUNE_DB SPARSETUNE_RECORD
libs="-lsqlite3 -lxxhash -ldl -lm -lpthread"
[ "$(uname -m)" != x86_64 ] || libs="$libs -lcpuid"
n_run=0 n_wrong=0
for example in "$folder"/*.c; do
    # shellcheck disable=SC2086 # words are wanted
    if ! ${CC:-gcc} -std=c11 -D_DEFAULT_SOURCE -Wall -Wextra -Wno-unused-function -Wno-unused-variable -Werror -fopenmp \
        -Iinclude -o "$folder/example" "$example" "$build/libsparsetune.a" $libs 2>"$folder/err"; then
        echo "WRONG: $(basename "$example") does not compile: $(head -5 "$folder/err")"
        n_wrong=$((n_wrong + 1))
    elif ! timeout 60 "$folder/example" >"$folder/out" 2>&1; then
        echo "WRONG: $(basename "$example") fails: $(head -5 "$folder/out")"
        n_wrong=$((n_wrong + 1))
    fi
    n_run=$((n_run + 1))
done
echo "test_embedding: $n_run examples, $n_wrong wrong"
[ $n_wrong = 0 ] && [ $n_run -ge 7 ]
