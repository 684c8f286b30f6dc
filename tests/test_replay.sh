#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# `sparsetune replay` on spaces made here: both file forms give the same, the score agrees with one that awk computes
# from the trace, and the real spaces give what is claimed of them where they are present.
# usage: tests/test_replay.sh BUILD_FOLDER
data=${SPARSETUNE_TEST_DATA:-$PWD/../shared/data}
# shellcheck source=tests/cli.sh
. "$(dirname "$0")/cli.sh"
# field NAME FILE: a number of the first JSON line
field() {
    sed -n "1s/.*\"$1\":\"\{0,1\}\([^,\"}]*\).*/\1/p" "$2"
}
# near A B BOUND
near() {
    awk -v a="$1" -v b="$2" -v bound="$3" 'BEGIN { d = a - b; if (d < 0) d = -d; exit !(d <= bound) }'
}

# A surface of 8 x 6 x 3 points with one constraint and a few failures, as a Kernel Tuner cache and as T4 results.
awk -v form=cache '
function surface(i, j, k) { return 1 + (i - 5) ^ 2 / 9 + (j - 2) ^ 2 / 5 + (k == "copy" ? 0 : 0.7) + ((i * 7 + j * 3) % 5) / 9 }
BEGIN {
    n_packs = split("none copy \"quoted\"", packs, " ")
    print "{\"device_name\": \"none\", \"kernel_name\": \"made\", \"tune_params_keys\": [\"tile\", \"block\", \"pack\", \"fixed\"],"
    print "\"tune_params\": {}, \"objective\": \"time\", \"cache\": {" > "cache.json"
    print "{\"metadata\": {\"timeunit\": \"miliseconds\"}, \"schema_version\": \"1.0.0\", \"results\": [" > "made.T4.json"
    for (i = 1; i <= 8; i++) for (j = 1; j <= 6; j++) for (k = 1; k <= 3; k++) {
        if ((i + j) % 4 == 0) continue
        pack = packs[k]; gsub(/"/, "", pack)
        fails = (i * j * k) % 11 == 3
        ms = surface(i, j, pack)
        point = sprintf("\"tile\": %d, \"block\": %d, \"pack\": \"%s\", \"fixed\": 7", i * 16, 2 ^ j, pack)
        printf "%s\"%d,%d,%s,7\": {%s, \"time\": %s, \"times\": [NaN], \"compile_time\": %d, \"benchmark_time\": 50}",
            separator, i * 16, 2 ^ j, pack, point, fails ? "\"RuntimeFailedConfig\"" : sprintf("%.9f", ms), 100 + i > "cache.json"
        printf "%s{\"configuration\": {%s}, \"invalidity\": \"%s\", \"measurements\": [%s], \"times\": {\"compilation\": %d, \"runtimes\": [50]}}",
            separator, point, fails ? "runtime" : "correct",
            fails ? "" : sprintf("{\"name\": \"time\", \"value\": %.9f}", ms), 100 + i > "made.T4.json"
        separator = ",\n"
    }
    print "]}" > "made.T4.json"
}' > head.json
cat head.json cache.json > open.json   # a cache that was never closed
(cat open.json; echo '}}') > made.json
gzip -k made.json

"$program" replay made.json --strategy random --repeat 5 --trace trace.csv --json >plain.out || wrong "replay fails"
for file in open.json made.json.gz made.T4.json; do
    "$program" replay "$file" --strategy random --repeat 5 --json >other.out || wrong "replay of $file fails"
    [ "$(sed 's/"space":"[a-z]*"//; s/,"ask_us.*//' plain.out)" = "$(sed 's/"space":"[a-z]*"//; s/,"ask_us.*//' other.out)" ] ||
        wrong "$file gives $(cat other.out) instead of $(cat plain.out)"
done
[ "$(field repeats plain.out)" = 5 ] || wrong "repeats is $(field repeats plain.out)"
[ "$(field score plain.out)" = "$(field score_random plain.out)" ] || wrong "random is not random"

# The score once more, from the trace and nothing else of the program: the trace of a sweep lists the whole space.
"$program" replay made.json --strategy sweep --repeat 1 --budget 1000 --trace all.csv --json >sweep.out || wrong "sweep fails"
score() { # score ALL.csv TRACE.csv
    awk -F, '
    function ceil(x) { return x == int(x) ? x : int(x) + 1 }
    function rint(x,  f) { f = int(x); return x - f > 0.5 || (x - f == 0.5 && f % 2) ? f + 1 : f }
    function trials(share,  level, i) {
        level = t[1] + (median - t[1]) * (1 - share)
        for (i = 0; t[n - i] > level; i++);
        return ceil(i / (n + 1 - i))
    }
    FNR == 1 { file++; next }
    file == 1 {
        spent = $7 - last; last = $7; total++
        if ($5 == "correct") { t[++n] = $6; good += spent } else bad += spent
        next
    }
    { runs = $3 > runs ? $3 : runs; steps[$3] = $4; state[$3, $4] = $5; time[$3, $4] = $6; until[$3, $4] = $7 }
    END {
        for (i = 2; i <= n; i++) for (j = i; j > 1 && t[j] < t[j - 1]; j--) { x = t[j]; t[j] = t[j - 1]; t[j - 1] = x }
        median = (t[int((n + 1) / 2)] + t[int(n / 2) + 1]) / 2
        each = good / n + bad / total
        from = trials(0.01) * each; to = trials(0.95) * each
        for (s = 0; s < 1000; s++) {
            at = from + (to - from) * s / 999
            m = at / each; m = rint(m < 1 ? 1 : m)
            rank = rint(m * (n + 1) / (m + 1)); if (rank > n - 1) rank = n - 1
            random = t[n - rank]
            sum = counted = 0
            for (r = 0; r <= runs; r++) {
                best = 0
                for (i = 1; i <= steps[r] && until[r, i] <= at; i++)
                    if (state[r, i] == "correct" && (best == 0 || time[r, i] < best)) best = time[r, i]
                if (best == 0) continue
                for (k = 0; t[k + 1] < best; k++);
                sum += k; counted++
            }
            value = counted ? t[1 + rint(sum / counted)] : t[n]
            if (random > t[1]) { result += (value - random) / (t[1] - random); points++ }
        }
        printf "%.9f\n", result / points
    }' "$1" "$2"
}
for strategy in random auto; do
    "$program" replay made.json --strategy "$strategy" --repeat 7 --seed 3 --trace trace.csv --json >one.out || wrong "$strategy fails"
    again=$(score all.csv trace.csv)
    near "$again" "$(field score one.out)" 1e-6 || wrong "$strategy: awk finds score $again, replay $(field score one.out)"
    echo "$strategy: score $(field score one.out), recomputed $again"
done

# What a person gets wrong.
"$program" replay 2>err && wrong "no space is accepted"
"$program" replay missing.json 2>err && wrong "a missing file is accepted"
grep -q missing.json err || wrong "the sentence does not name the file: $(cat err)"
echo '{"cache": {"1": {"x": 1, "time": 2}}}' >bad.json
"$program" replay bad.json 2>err && wrong "a cache without columns is accepted"
grep -q 'bad.json:1: expected tune_params_keys' err || wrong "unclear sentence: $(cat err)"
# damaged: exit 3 and one sentence that names the file
damaged() { # damaged WHAT FILE
    "$program" replay "$2" --strategy random --repeat 1 >out 2>err
    [ $? = 3 ] || wrong "$1 does not exit with 3"
    [ "$(grep -c "$2" err)" = 1 ] || wrong "$1: unclear sentence: $(cat err)"
}
head -c -5 made.json.gz >cut.json.gz
gzip -k open.json
head -c -8 open.json.gz >cut-open.json.gz
(cat made.json.gz; echo garbage) >behind.json.gz
(cat made.json; echo garbage) >garbage.json
cat made.json made.json >twice.json
damaged "a cut .gz" cut.json.gz
damaged "a cut .gz of an open cache" cut-open.json.gz
damaged "bytes behind a gzip stream" behind.json.gz
damaged "garbage behind the last }" garbage.json
damaged "two documents" twice.json
"$program" replay made.json --strategy nobody 2>err && wrong "an unknown strategy is accepted"

if [ $n_wrong != 0 ]; then exit 1; fi
if ! ls "$data"/spaces/*.json.gz >/dev/null 2>&1; then
    echo "SKIP: no recorded spaces in $data/spaces; SPARSETUNE_TEST_DATA names the data folder (all else passed)"
    exit 0
fi
# The same run as a cache and as T4 results: the same evaluations.
for file in "$data"/spaces/*.T4.json.gz; do
    other=${file%.T4.json.gz}.json.gz
    [ -r "$other" ] || continue
    "$program" replay "$file" --strategy random --repeat 3 --budget 60 --trace a.csv >/dev/null || wrong "replay of $file"
    "$program" replay "$other" --strategy random --repeat 3 --budget 60 --trace b.csv >/dev/null || wrong "replay of $other"
    [ "$(cut -d, -f1-6,8- a.csv)" = "$(cut -d, -f1-6,8- b.csv)" ] || wrong "$file and $other differ"
done
finish traces and scores
