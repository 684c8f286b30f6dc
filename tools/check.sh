#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Rules that a machine can check: layers, banned functions, sizes, licences, warnings, static analysis. One line each.
set -u
cd "$(dirname "$0")/.." || exit 1
failed=0
# Files of the project that match the patterns; without git, all files outside of the build folder.
all_files=$(git ls-files 2>/dev/null | grep . || find . -type f ! -path './build/*' ! -path './.git/*' | sed 's|^\./||')
tracked() {
    local file pattern
    for file in $all_files; do
        for pattern in "$@"; do
            # shellcheck disable=SC2053 # a pattern is wanted
            [[ $file == $pattern ]] && echo "$file" && break
        done
    done
}
sources=$(tracked '*.c' '*.h')
check() { # check NAME FINDINGS
    if [ -z "$2" ]; then
        echo "ok      $1"
    else
        echo "FAILED  $1"
        echo "$2" | head -30
        failed=1
    fi
}

# The include table: what a layer may include, as a pattern of folders. Kernels' primitives have a body for the emulator.
layers() {
    local rules='core:core|sparsetune
variants:core|variants|sparsetune
search:core|search|sparsetune
db:core|db|sparsetune
runtime:core|variants|runtime|db/reader|sparsetune
tuner:core|variants|search|db|tuner|sparsetune'
    echo "$rules" | while IFS=: read -r layer allowed; do
        tracked "$layer/*.c" "$layer/*.h" | xargs -r grep -nHE '^#include "' | grep -vE "#include \"($allowed)" |
            grep -v '^variants/cuda/primitives.h:.*"tests/simt/device.h"'
    done
}
check "layers: every include is one that its folder may use" "$(layers)"

banned='malloc|calloc|realloc|free|strcpy|strcat|sprintf|vsprintf|gets|atoi|atol|atof|strtok|rand|srand|system|popen|alloca|exit|abort'
check "banned functions" "$(echo "$sources" | grep -vE '^tests/|^bench/|^core/memory.c|^examples/|^tuner/main.c' |
    xargs grep -nE "(^|[^A-Za-z0-9_.>\"])($banned) ?\(" | grep -vE '^[^:]*:[0-9]*: *(\*|/\*|//)|/\*.*\*/$')"

check "files of at most 500 lines, tests of 700" "$(echo "$sources" | xargs wc -l | awk '
    $2 != "total" && $1 > ($2 ~ /^tests\// ? 700 : 500) { print $2 ": " $1 " lines" }')"
check "Makefile of at most 150 lines" "$(awk 'END { if (NR > 150) print "Makefile: " NR " lines" }' Makefile)"
check "functions of at most 70 lines" "$(echo "$sources" | xargs awk '
    FNR == 1 { start = 0 }
    /^[A-Za-z_].*\{$/ && !/^(typedef|enum|struct|union|static const|const|extern)/ { start = FNR; name = $0 }
    /^\}/ && start { if (FNR - start > 70) print FILENAME ":" start ": " FNR - start " lines: " name; start = 0 }')"
check "SPDX line in every source" "$(tracked '*.c' '*.h' '*.sh' '*.def' '*.sql' Makefile .ci/run | xargs grep -L 'SPDX-License-Identifier: Apache-2.0')"
check "no marks of unfinished work" "$(echo "$sources" | xargs grep -nE '\b(TODO|FIXME|XXX|HACK)\b')"
check "every script is used" "$(tracked 'tools/*.sh' 'tests/*.sh' | while read -r script; do
    case $script in tests/test_*) continue ;; esac
    tracked Makefile '.ci/*' README.md 'docs/*' 'tools/*' 'tests/*.sh' | grep -vxF "$script" |
        xargs grep -qF "$(basename "$script")" || echo "$script"
done)"

headers() {
    local header
    for header in $(tracked '*.h' | grep -vE '^variants/cpu/|/cuda_driver.h|/cusparselt_abi.h'); do # the toolkit's headers may be absent
        gcc -std=gnu17 -D_GNU_SOURCE -Wall -Wextra -Wpedantic -I. -Iinclude -fsyntax-only -x c "$header" 2>&1 | head -3
    done
}
check "every header compiles alone" "$(headers)"
check "no warning from gcc" "$(make -s -j"$(nproc)" MODE=release WERROR=1 CC=gcc O=build/check-gcc build/check-gcc/sparsetune build/check-gcc/infer 2>&1 | grep -E 'warning|error' )"
if command -v clang >/dev/null 2>&1 && echo 'int main(void){return 0;}' | clang -fopenmp -x c - -o /dev/null 2>/dev/null; then
    check "no warning from clang" "$(make -s -j"$(nproc)" MODE=release WERROR=1 CC=clang O=build/check-clang build/check-clang/sparsetune build/check-clang/infer 2>&1 | grep -E 'warning|error')"
else
    echo "skipped no warning from clang: clang with OpenMP is not installed"
fi
if command -v cppcheck >/dev/null 2>&1; then
    check "no finding of cppcheck" "$(cppcheck --quiet --std=c11 --language=c --enable=warning,portability --inline-suppr \
        --suppress=missingIncludeSystem --suppress=normalCheckLevelMaxBranches -D__x86_64__=1 -DSPT_ISA=0 -I. -Iinclude -j"$(nproc)" \
        core variants/*.c variants/vendor search db runtime tuner 2>&1 | grep -E '(error|warning|portability):')"
else
    echo "skipped no finding of cppcheck: it is not installed"
fi
if command -v clang-format >/dev/null 2>&1 && clang-format --version | grep -q 'version 14'; then
    check "formatting (clang-format 14)" "$(echo "$sources" | xargs clang-format --dry-run 2>&1 | grep -E 'warning' | head -5)"
else
    echo "skipped formatting: clang-format 14 is not installed"
fi
exit $failed
