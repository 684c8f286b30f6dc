#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Fuzz every target of tests/fuzz with libFuzzer under address and undefined sanitizers, one after the other.
# fuzz.sh [SECONDS_EACH] [TARGET...]; seconds of processor time, so that a busy machine fuzzes as much as an idle one. New
# inputs stay in build/fuzz/found, crashes in build/fuzz/crashes.
set -u
cd "$(dirname "$0")/.." || exit 1
seconds=${1:-${SECONDS_EACH:-120}}
piece=$seconds # by the clock, of one run of a target: each begins with all known inputs, which may take a minute
TIMEFORMAT='%U %S'
[ $# -gt 0 ] && shift
out=build/fuzz
if ! command -v clang >/dev/null 2>&1; then
    echo "skipped fuzzing: clang is not installed"
    exit 77
fi
mkdir -p $out/bin $out/crashes
fuzzer=-fsanitize=fuzzer-no-link
# Kernels are watched for wrong addresses alone, by calls: clang takes a minute per file for the undefined sanitizer's
# checks in their unrolled loops, and twenty seconds for checks of addresses that are not calls. MODE=asan, which gcc
# builds, runs them with both sanitizers. Nothing is learnt from the comparisons of their loops, which cost half the time.
quiet=-fno-sanitize-coverage=trace-cmp
rules="$out/variants/%.o $out/core/csr.o: override CFLAGS += $quiet
$out/variants/cpu/%.o: override CFLAGS += -g0 -fno-sanitize=undefined -mllvm -asan-instrumentation-with-call-threshold=0"
make -s -j"$(nproc)" --eval "$rules" MODE=asan CC=clang O=$out CFLAGS=$fuzzer LDFLAGS=$fuzzer $out/sparsetune >$out/build.log 2>&1 ||
    { tail -20 $out/build.log; exit 1; }
program='$(filter-out $(O)/tuner/main.o,$(tool_obj)) $(O)/libsparsetune.a $(tool_libs)'
inputs=$(make -s --no-print-directory --eval "print-inputs: ; @echo $program" O=$out print-inputs)
# Limits are by the clock, and on a machine that stood still every input is too slow: what ran out of time alone must end
# within some seconds of processor time.
is_slow_machine() {
    local input
    input=$(sed -n "s|.*Test unit written to \($out/crashes/$target-timeout-.*\)|\1|p" "$log.piece")
    [ -n "$input" ] && (ulimit -t 20 && "$out/bin/$target" -timeout=3600 "$input") >>"$log" 2>&1 && rm "$input"
}
failed=0
for source in tests/fuzz/fuzz_*.c; do
    target=$(basename "$source" .c)
    [ $# -gt 0 ] && [[ " $* " != *" $target "* ]] && continue
    # shellcheck disable=SC2086
    clang -std=gnu17 -D_GNU_SOURCE -I. -Iinclude -O1 -g -fopenmp -fsanitize=fuzzer,address,undefined $quiet \
        -fno-sanitize-recover=all -o "$out/bin/$target" "$source" $inputs || exit 1
    mkdir -p "$out/found/$target"
    log=$out/$target.log
    : >"$log"
    verdict=ok used=0 runs=0
    while [ $verdict = ok ] && [ "$used" -lt "$seconds" ]; do
        left=$((seconds - used))
        { time "$out/bin/$target" -max_total_time=$((left < piece ? left : piece)) -timeout=100 -rss_limit_mb=3000 \
            -print_final_stats=1 -artifact_prefix="$out/crashes/$target-" "$out/found/$target" \
            "tests/fuzz/corpus/$target" >"$log.piece" 2>&1; } 2>"$log.time" || is_slow_machine || { verdict=FINDING failed=1; }
        used=$(awk -v used="$used" '/^[0-9.]+ [0-9.]+$/ { used += $1 + $2 } END { print int(used + 0.5) }' "$log.time")
        runs=$((runs + $(sed -n 's/^stat::number_of_executed_units: *//p' "$log.piece" | tail -1 | grep . || echo 0)))
        cat "$log.piece" >>"$log"
    done
    covered=$(grep -o 'cov: [0-9]*' "$log" | tail -1)
    echo "$verdict  $target  $runs runs in $used s of processor time, ${covered:-no coverage}"
    [ $verdict = ok ] || grep -E 'ERROR|SUMMARY|runtime error|expected|Test unit written' "$log" | head -10
done
exit $failed
