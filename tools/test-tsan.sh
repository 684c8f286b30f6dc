#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The runtime's tests under the thread sanitizer: clang with its own OpenMP run-time (libomp, which `clang -fopenmp`
# links) and archer, which tells the sanitizer what OpenMP's barriers order. gcc's libgomp is not instrumented and gives
# false races; without archer libomp does too. Code of other libraries is not instrumented, so it is not watched.
# usage: tools/test-tsan.sh [TEST...]. Exit 77: clang, libomp or archer is not here.
set -u
cd "$(dirname "$0")/.." || exit 1
export NO_INSTALL=1
clang=${CLANG:-clang}
skip() {
    echo "skipped: $1"
    exit 77
}
command -v "$clang" >/dev/null || skip "clang is not here (Debian: clang libomp-dev)"
probe=$(mktemp -d "${TMPDIR:-/tmp}/sparsetune-tsan-XXXXXX") || exit 1
trap 'rm -rf "$probe"' EXIT
cat >"$probe/race.c" <<'END'
volatile int shared;
int main(void) {
    int ordered = 0;
#pragma omp parallel num_threads(2)
    {
#pragma omp single
        ordered = 1;
        for (int i = 0; ordered && RACE && i < 100000; i++)
            shared++; /* often enough that the two threads meet whatever else runs */
    }
    return 0;
}
END
"$clang" -O1 -g -fopenmp -fsanitize=thread -DRACE=1 -o "$probe/race" "$probe/race.c" &&
    "$clang" -g -fopenmp -fsanitize=thread -DRACE=0 -o "$probe/clean" "$probe/race.c" ||
    skip "$clang cannot link OpenMP with the thread sanitizer (Debian: libomp-dev)"
libomp=$(ldd "$probe/race" | awk '/libomp/ {print $3}')
archer=$(dirname "$(readlink -f "${libomp:-/}")")/libarcher.so
[ -f "$archer" ] || skip "archer is not beside $libomp"
export OMP_TOOL_LIBRARIES=$archer
# Children of the fork test may start threads: the sanitizer would stop them although nothing is wrong.
export TSAN_OPTIONS="ignore_noninstrumented_modules=1 die_after_fork=0 ${TSAN_OPTIONS:-}"

# The recipe must find a race and must not invent one, or green means nothing.
found=$("$probe/race" 2>&1 | grep -c 'WARNING: ThreadSanitizer: data race')
invented=$("$probe/clean" 2>&1 | grep -c ThreadSanitizer)
[ "$found" != 0 ] && [ "$invented" = 0 ] ||
    skip "the sanitizer does not work here: it sees $found races where there is one, $invented where there is none"

[ $# -gt 0 ] || set -- test_threads test_fork test_runtime test_select
build=build/tsan
failed=0
make --no-print-directory -s MODE=tsan CC="$clang" "${@/#/$build/tests/}" || exit 1
for test in "$@"; do
    if timeout 600 "$build/tests/$test" >"$build/$test.log" 2>&1 && ! grep -q 'WARNING: ThreadSanitizer' "$build/$test.log"; then
        echo "ok       $test under the thread sanitizer"
    else
        failed=$((failed + 1))
        echo "FAILED   $test under the thread sanitizer, log $build/$test.log"
        grep -A12 -m1 ThreadSanitizer "$build/$test.log"
    fi
done
[ $failed = 0 ]
