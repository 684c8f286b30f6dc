#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Does the tuner find the same twice? Tunes layers with several seeds, each into a database of its own, while another
# process keeps a core and its memory busy half of the time; then races the winners of all seeds side by side in a quiet
# machine. Goes on where it stopped: seeds that are done are not tuned again; SECONDS_MAX ends a piece (exit 1).
# usage: bench/seeds.sh BUILD_FOLDER OUT_FOLDER PATTERN:N...
# SEEDS=10 BUDGET=200 THREADS=1 RACES=24 SECONDS_MAX=100000
set -eu -o pipefail
program=$(cd "$1" && pwd)/sparsetune
out=$2
shift 2
mkdir -p "$out"
seeds=${SEEDS:-10} budget=${BUDGET:-200} threads=${THREADS:-1} races=${RACES:-24} limit=${SECONDS_MAX:-100000}
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

# The winners of one layer, each once, in rounds with each other, in several processes, because a process lays all of them
# out somewhere. Times are compared within processes alone: each is divided by the mean of its process (in logarithms); a
# winner's is the mean of the middle half of these. The slowest over the fastest, and the deviation of one winner's.
echo "layer                          winners  slowest over fastest  deviation"
for layer in "$@"; do
    name=$(basename "${layer%:*}")
    list=$(for ((seed = 0; seed < seeds; seed++)); do
        echo "$(text family <"$out/seed$seed.$name.json"):$(text point <"$out/seed$seed.$name.json")"
    done | sort -u | paste -sd';')
    for ((race = 0; race < races; race++)); do
        "$program" bench "${layer%:*}" --n "${layer##*:}" --db "$out/seed0.db" --threads "$threads" \
            --against dense_onednn --fixed "$list" --json 2>>"$out/log" | grep '"contender":"[a-z]*_[a-z0-9_]* ' |
            while read -r line; do
                echo "$race $(echo "$line" | text contender | tr ' ' '_') $(echo "$line" | number time_ns_median)"
            done
    done | tee "$out/races.$name" | awk -v name="$name" '
        { at[NR] = log($3); race[NR] = $1; winner[NR] = $2; sum[$1] += log($3); n[$1]++; seen[$2] = 1 }
        END {
            for (i = 1; i <= NR; i++) {
                share = at[i] - sum[race[i]] / n[race[i]]
                k = ++n_of[winner[i]]
                for (j = k; j > 1 && of[winner[i], j - 1] > share; j--) of[winner[i], j] = of[winner[i], j - 1]
                of[winner[i], j] = share
            }
            least = 1e9
            most = -1e9
            for (w in seen) {
                low = int(n_of[w] / 4)
                middle = squares = 0
                for (j = low + 1; j <= n_of[w] - low; j++) middle += of[w, j] / (n_of[w] - 2 * low)
                for (j = 1; j <= n_of[w]; j++) squares += (of[w, j] - middle) ^ 2
                deviation += n_of[w] > 1 ? squares / (n_of[w] - 1) / n_of[w] : 0
                least = middle < least ? middle : least
                most = middle > most ? middle : most
                count++
            }
            printf "%-30s %7d  %20.3f  %9.4f\n", name, count, exp(most - least), sqrt(deviation / count)
        }'
done | tee "$out/spread.txt"
