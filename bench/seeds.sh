#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Does the tuner find the same twice? Tunes layers with several seeds, each into a database of its own, while another
# process keeps a core and its memory busy half of the time; then races the winners of all seeds side by side in a quiet
# machine. Goes on where it stopped: seeds that are done are not tuned again; SECONDS_MAX ends a piece (exit 1).
# usage: bench/seeds.sh BUILD_FOLDER OUT_FOLDER PATTERN:N...
# SEEDS=10 BUDGET=200 THREADS=1 RACES=3 SECONDS_MAX=100000
set -eu -o pipefail
program=$(cd "$1" && pwd)/sparsetune
out=$2
shift 2
mkdir -p "$out"
seeds=${SEEDS:-10} budget=${BUDGET:-200} threads=${THREADS:-1} races=${RACES:-3} limit=${SECONDS_MAX:-100000}
noise=
trap 'if [ -n "$noise" ]; then kill "$noise" 2>/dev/null; fi' EXIT

# Two seconds of copying, two seconds of rest.
make_noise() {
    while :; do
        timeout 2 dd if=/dev/zero of=/dev/null bs=8M 2>/dev/null || :
        sleep 2
    done
}
text() { sed -n "s/.*\"$1\":\"\([^\"]*\)\".*/\1/p"; }
number() { sed -n "s/.*\"$1\":\([0-9.e+-]*\).*/\1/p"; }

for ((seed = 0; seed < seeds; seed++)); do
    for layer in "$@"; do
        result=$out/seed$seed.$(basename "${layer%:*}").json
        [ -s "$result" ] && continue
        if [ "$SECONDS" -ge "$limit" ]; then
            echo "time is up at seed $seed: the same command goes on"
            exit 1
        fi
        if [ -z "$noise" ]; then
            make_noise &
            noise=$!
        fi
        "$program" tune "${layer%:*}" --n "${layer##*:}" --db "$out/seed$seed.db" --no-seeds --seed "$seed" \
            --budget "$budget" --threads "$threads" --json >"$result.part" 2>>"$out/log"
        mv "$result.part" "$result"
    done
done
if [ -n "$noise" ]; then
    kill "$noise"
    wait "$noise" 2>/dev/null || :
    noise=
    sleep 2
fi

# The winners of one layer, each once, in rounds with each other; the slowest over the fastest.
echo "layer                          winners  slowest over fastest"
for layer in "$@"; do
    name=$(basename "${layer%:*}")
    list=$(for ((seed = 0; seed < seeds; seed++)); do
        echo "$(text family <"$out/seed$seed.$name.json"):$(text point <"$out/seed$seed.$name.json")"
    done | sort -u | paste -sd';')
    for ((race = 0; race < races; race++)); do
        "$program" bench "${layer%:*}" --n "${layer##*:}" --db "$out/seed0.db" --threads "$threads" \
            --against dense_onednn --fixed "$list" --json 2>>"$out/log"
    done | grep '"contender":"[a-z]*_[a-z0-9_]* ' | while read -r line; do
        echo "$(echo "$line" | text contender | tr ' ' '_') $(echo "$line" | number time_ns_median)"
    done | awk -v name="$name" '
        { times[$1] = times[$1] " " $2; n[$1]++ }
        function median(list,  v, k, i, j, x) {
            k = split(list, v, " ")
            for (i = 2; i <= k; i++) for (j = i; j > 1 && v[j] + 0 < v[j - 1] + 0; j--) { x = v[j]; v[j] = v[j - 1]; v[j - 1] = x }
            return (v[int((k + 1) / 2)] + v[int(k / 2) + 1]) / 2
        }
        END {
            for (w in times) { m = median(times[w]); if (!least || m < least) least = m; if (m > most) most = m; count++ }
            printf "%-30s %7d  %.3f\n", name, count, most / least
        }'
done | tee "$out/spread.txt"
