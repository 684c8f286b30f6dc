#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The examples of docs/EMBEDDING.md compile without a warning, run, and compute what they say.
# usage: tests/test_embedding.sh BUILD_FOLDER
# shellcheck source=tests/shell.sh
. "$(dirname "$0")/shell.sh"
grep -qE -- '-fsanitize=|--coverage' "$build/flags" &&
    skip "the examples are compiled without sanitizers and coverage, which this build's library needs"
awk -v folder="$folder" '
    /^```c / { file = folder "/" $2; next }
    /^```/ { file = ""; next }
    file != "" { print > file }' docs/EMBEDDING.md
libs="-lsqlite3 -lxxhash -ldl -lm -lpthread"
[[ $("$compiler" -dumpmachine) != x86_64* ]] || libs="$libs -lcpuid"
n_run=0
for example in "$folder"/*.c; do
    # shellcheck disable=SC2086 # words are wanted
    if ! link -std=c11 -D_DEFAULT_SOURCE -Wall -Wextra -Wno-unused-function -Wno-unused-variable -Werror -fopenmp \
        -Iinclude -o "$folder/example" "$example" "$build/libsparsetune.a" $libs 2>"$folder/err"; then
        wrong "$(basename "$example") does not compile: $(head -5 "$folder/err")"
    elif ! timeout 60 "$folder/example" >"$folder/out" 2>&1; then
        wrong "$(basename "$example") fails: $(head -5 "$folder/out")"
    fi
    n_run=$((n_run + 1))
done
[ $n_run -ge 7 ] || wrong "expected seven examples and more, found $n_run"
finish $n_run examples
