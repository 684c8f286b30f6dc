#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What a short run misses, and what a database is worth to a new layer.
#   bench/limited.sh suite BUILD OUT PATTERN_FOLDER      write OUT/suite.json from PATTERN_FOLDER/manifest.csv
#   bench/limited.sh tune  BUILD OUT TIME NAME           tune the suite from an empty database OUT/NAME.db with --time TIME
#   bench/limited.sh race  BUILD OUT SHORT LONG          race the winners of OUT/SHORT.db and OUT/LONG.db side by side
#   bench/limited.sh new   BUILD OUT LONG                each layer anew, with a database of all the others and 10
#                                                        evaluations, raced against what LONG found
# THREADS=2 LAYERS=1000 (the first so many); race and new go on where they stopped, SECONDS_MAX ends a piece (exit 1).
set -eu -o pipefail
verb=$1
program=$(cd "$2" && pwd)/sparsetune
out=$3
shift 3
mkdir -p "$out"
threads=${THREADS:-2} layers=${LAYERS:-1000} limit=${SECONDS_MAX:-100000} evaluations=${EVALUATIONS:-10}

text() { sed -n "s/.*\"$1\":\"\([^\"]*\)\".*/\1/p"; }
number() { sed -n "s/.*\"$1\":\([0-9.e+-]*\).*/\1/p"; }
# "path n" per layer of the suite
list() { sed -n 's/.*"pattern": "\([^"]*\)", "n": \([0-9]*\).*/\1 \2/p' "$out/suite.json"; }
time_limit() {
    if [ "$SECONDS" -ge "$limit" ]; then
        echo "time is up: the same command goes on"
        exit 1
    fi
}
# faster PATTERN N DB VARIANT: the time of VARIANT over that of the winner that DB has, in one race
faster() {
    "$program" bench "$1" --n "$2" --db "$3" --threads "$threads" --against dense_onednn --fixed "$4" --json 2>>"$out/log" |
        awk '{ match($0, /"time_ns_median":[0-9.]*/); t = substr($0, RSTART + 17, RLENGTH - 17) }
             /"contender":"tuned"/ { tuned = t } /"contender":"[a-z]*_[a-z0-9_]* / { fixed = t } END { print fixed / tuned }'
}
summary() {
    awk '{ x = $2 > 1 ? 1 : $2; sum += x; logs += log($2); if (!n++ || $2 < least) { least = $2; worst = $1 } poor += $2 < 0.95 }
         END { printf "%d layers: share of the speed %.3f in the mean (%.3f counting gains, geometric), %d below 0.95, least %.3f (%s)\n",
               n, sum / n, exp(logs / n), poor, least, worst }' "$1"
}

case $verb in
suite)
    awk -F, -v folder="$(cd "$1" && pwd)" -v most="$layers" '
        NR > 1 && NR <= most + 1 { rows[++n] = sprintf("{\"pattern\": \"%s/%s\", \"n\": %d}", folder, $1, $7) }
        END { print "{\"name\": \"shared\", \"layers\": ["; for (i = 1; i <= n; i++) print rows[i] (i < n ? "," : ""); print "]}" }
    ' "$1/manifest.csv" >"$out/suite.json"
    echo "$(list | wc -l) layers"
    ;;
tune)
    rm -f "$out/$2.db" "$out/$2.db-wal" "$out/$2.db-shm"
    start=$(date +%s)
    "$program" tune --suite "$out/suite.json" --db "$out/$2.db" --threads "$threads" --time "$1" >"$out/$2.txt" 2>>"$out/log"
    echo "$2: asked for $1, took $(($(date +%s) - start)) s; $("$program" db info --db "$out/$2.db" | grep -i trials)"
    tail -1 "$out/$2.txt"
    ;;
race)
    list | while read -r pattern n; do
        name=$(basename "$pattern")
        grep -q "^$name:$n " "$out/race.txt" 2>/dev/null && continue
        time_limit
        "$program" show "$pattern" --n "$n" --threads "$threads" --db "$out/$2.db" --json >"$out/show.json" 2>>"$out/log"
        share=$(faster "$pattern" "$n" "$out/$1.db" "$(text family <"$out/show.json"):$(text point <"$out/show.json")")
        echo "$name:$n $share" >>"$out/race.txt"
    done
    summary "$out/race.txt"
    ;;
new)
    [ -s "$out/all.jsonl" ] || "$program" db export --db "$out/$1.db" -o "$out/all.jsonl" 2>>"$out/log"
    [ -s "$out/problems.jsonl" ] || "$program" db list --db "$out/$1.db" --json >"$out/problems.jsonl" 2>>"$out/log"
    list | while read -r pattern n; do
        name=$(basename "$pattern")
        grep -q "^$name:$n " "$out/new.txt" 2>/dev/null && continue
        time_limit
        "$program" show "$pattern" --n "$n" --threads "$threads" --db "$out/$1.db" --json >"$out/show.json" 2>>"$out/log"
        known="$(text family <"$out/show.json"):$(text point <"$out/show.json")"
        # a database of all the others: nothing that names this pattern or a key of it
        fingerprint=$("$program" show "$pattern" --n "$n" --threads "$threads" --db "$out/$1.db" --json | text fingerprint)
        rm -f "$out"/others.db*
        { echo "$fingerprint"; grep "\"pattern\":\"$fingerprint\"" "$out/problems.jsonl" | text key; } | sed '/^$/d' >"$out/own.txt"
        grep -v -F -f "$out/own.txt" "$out/all.jsonl" >"$out/others.jsonl"
        "$program" db import "$out/others.jsonl" --db "$out/others.db" >>"$out/log" 2>&1
        "$program" tune "$pattern" --n "$n" --threads "$threads" --db "$out/others.db" --budget "$evaluations" --json >"$out/tune.json" 2>>"$out/log"
        share=$(faster "$pattern" "$n" "$out/others.db" "$known")
        echo "$name:$n $share $(number evaluations <"$out/tune.json")" >>"$out/new.txt"
    done
    summary "$out/new.txt"
    ;;
*)
    echo "unknown verb $verb" >&2
    exit 2
    ;;
esac
