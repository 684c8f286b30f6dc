#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The public header compiles alone, without a warning, as C11, C17 and C++17, with every compiler that is here.
# usage: tests/test_header.sh BUILD_FOLDER
# shellcheck source=tests/shell.sh
. "$(dirname "$0")/shell.sh"
warnings="-Wall -Wextra -Wpedantic -Werror -Wshadow -Wconversion"
n_compiled=0 absent=

compile() { # compile COMPILER LANGUAGE STANDARD
    command -v "$1" >/dev/null || {
        absent="$absent $1"
        return
    }
    n_compiled=$((n_compiled + 1))
    # shellcheck disable=SC2086 # words are wanted
    "$1" -x "$2" -std="$3" $warnings -Iinclude -c -o "$folder/header.o" "$folder/header.c" ||
        wrong "$1 -std=$3 does not take include/sparsetune.h"
}

printf '#include "sparsetune.h"\n#include "sparsetune.h"\nint main(void) { return SPT_VERSION_MAJOR > 99; }\n' \
    >"$folder/header.c"
for standard in c11 c17 gnu17; do
    compile gcc c $standard
    compile clang c $standard
done
compile g++ c++ c++17
compile clang++ c++ c++17
[ -z "$absent" ] || echo "not here, so not tried:$absent"
[ "$n_compiled" -gt 0 ] || wrong "no compiler is here"
finish $n_compiled compilations
