#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Run every test of a build folder: cmocka binaries, shell tests, fuzz corpora; then the kernels and the runtime once
# more per lower instruction set. run-tests.sh BUILD_DIR [TEST...]; all tests without names. Exit 77 of a script means
# skipped; its last line says why. TEST_RUNNER is put before programs that this machine cannot execute by itself.
set -u
build=$1
shift
wanted=" $* "
runner=${TEST_RUNNER:-}
logs=$build/logs
mkdir -p "$logs"
passed=0 failed=0 skipped=0
export TSAN_OPTIONS=${TSAN_OPTIONS:-ignore_noninstrumented_modules=1}

run() { # run NAME COMMAND...
    [ "$wanted" = "  " ] || [[ $wanted == *" ${1%% *} "* ]] || return 0
    local name=$1 log=$logs/${1//[^A-Za-z0-9_.-]/_}.log start=$SECONDS
    shift
    timeout -k 10 "${TEST_TIMEOUT:-420}" "$@" >"$log" 2>&1 </dev/null
    local code=$?
    if [ $code = 0 ]; then
        passed=$((passed + 1))
        printf 'ok       %-34s %3d s' "$name" $((SECONDS - start))
        local n_skipped
        n_skipped=$(grep '^\[  SKIPPED \] [^0-9]*$' "$log" | sort -u | wc -l) # cmocka says it twice
        [ "$n_skipped" != 0 ] && printf '  %s skipped: %s' "$n_skipped" "$(grep -m1 '^SKIP' "$log")"
        echo
    elif [ $code = 77 ]; then
        skipped=$((skipped + 1))
        printf 'skipped  %-34s %s\n' "$name" "$(tail -1 "$log")"
    else
        failed=$((failed + 1))
        printf 'FAILED   %-34s %3d s, exit %d, log %s\n' "$name" $((SECONDS - start)) $code "$log"
        grep -E 'FAILED|ERROR|error|runtime error' "$log" | tail -15
        tail -15 "$log"
    fi
}

for test in "$build"/tests/test_*; do
    [ -x "$test" ] && [ -f "$test" ] && [ "${test%.[od]}" = "$test" ] && run "$(basename "$test")" $runner "$test"
done
for test in tests/test_*.sh; do
    [ -f "$test" ] || continue
    if [ -z "$runner" ]; then
        run "$(basename "$test")" bash "$test" "$build"
    else
        run "$(basename "$test")" bash -c "echo this machine does not execute the program; exit 77"
    fi
done
for target in "$build"/fuzz/fuzz_*; do
    [ -x "$target" ] && [ -f "$target" ] && run "corpus $(basename "$target")" $runner "$target" "tests/fuzz/corpus/$(basename "$target")"
done
for isa in avx2 plain; do
    SPARSETUNE_ISA=$isa $runner "$build/sparsetune" device >/dev/null 2>&1 || continue
    for test in test_families test_runtime test_drive test_threads; do
        [ -x "$build/tests/$test" ] && SPARSETUNE_ISA=$isa run "$test on $isa" $runner "$build/tests/$test"
    done
done
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ] && [ $passed != 0 ]
