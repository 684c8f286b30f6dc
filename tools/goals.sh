#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# `make goals GOALS="NAME..."`: one race or microbenchmark per goal of the CPU kernels, and what it says beside the goal.
# Without names all of them, which takes hours. docs/BENCH.md lists them. One thread, hot caches, f32 unless said otherwise.
# PART=I/N takes every N-th layer from the I-th on and adds to what earlier parts of the same goal measured; BENCH_BUDGET
# trials per layer (100); BENCH_OUT=FOLDER; SPARSETUNE_TEST_DATA=FOLDER with the patterns of pruned networks.
# shellcheck disable=SC2016,SC2317 # awk expands; goals are called by name
set -eu -o pipefail
cd "$(dirname "$0")/.."
build=$1
shift
program=$build/sparsetune
out=$(realpath -m "${BENCH_OUT:-build/bench}")
data=${SPARSETUNE_TEST_DATA:-../shared/data}/patterns
export LD_LIBRARY_PATH=$PWD/build/rivals/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH} MKL_THREADING_LAYER=GNU
mkdir -p "$out"
functions='
    function field(name,  s) {
        if (!match($0, "\"" name "\":\"?[^,\"}]*")) return ""
        s = substr($0, RSTART, RLENGTH); sub(/^"[^"]*":"?/, "", s); return s
    }
    function mean(sum, count) { return count > 0 ? exp(sum / count) : 0 }
    function say(what, value, goal, form) {
        printf "%-62s " form "   goal " form "   %s\n", what, value, goal, (value >= goal ? "met" : "missed")
    }'

# suite NAME KIND [EVERY]: the layers of pruned networks of a kind (a pattern for it) as a suite
suite() {
    [ -f "$data/manifest.csv" ] || { echo "skipped: no $data/manifest.csv" >&2 && return 1; }
    awk -F, -v kind="$2" -v every="${3:-1}" -v folder="$(realpath "$data")" 'BEGIN { printf "{\"name\": \"%s\", \"layers\": [", "layers" }
        NR > 1 && $2 ~ kind && ++seen % every == (every > 1 ? 2 : 0) {
            printf "%s\n{\"pattern\": \"%s/%s\", \"n\": %d}", comma, folder, $1, $7; comma = "," }
        END { print "]}" }' "$data/manifest.csv" | share_of >"$out/$1.json"
}
share_of() { # the lines of a suite that are this PART's
    awk -v part="${PART:-1/1}" 'BEGIN { split(part, p, "/") }
        !/"pattern": /{ print; next }
        ++n % p[2] == p[1] % p[2] { kept[++k] = $0 }
        END { if (k == 0) print "]}"; for (i = 1; i <= k; i++) { sub(/,$/, "", kept[i]); sub(/]}$/, "", kept[i]); print kept[i] (i < k ? "," : "]}") } }'
}
# race NAME FLAGS...: tune and race a suite, a line of JSON per contender, behind those of earlier parts
race() {
    local name=$1
    shift
    [ -n "${PART:-}" ] || rm -f "$out/$name.jsonl"
    "$program" tune --suite "$out/$name.json" --db "$out/$name.db" --budget "${BENCH_BUDGET:-100}" "${tuning[@]}" >"$out/$name.txt"
    "$program" bench --suite "$out/$name.json" --db "$out/$name.db" "${tuning[@]}" "$@" --json >>"$out/$name.jsonl" || [ $? = 1 ]
}
tuning=(--threads 1)

# ---- what a race says ----
by_band() { # by_band NAME [GOAL...]: over the fastest dense, by band of sparsity
    awk -v goals="${*:2}" "$functions"'
        BEGIN { split(goals, goal, " "); split("0.75 0.85 0.92 0.96 1.01", end, " "); split("45-75 75-85 85-92 92-96 96+", name, " ") }
        { layer = field("pattern") "/" field("n"); ns = field("time_ns_median") + 0; zeros[layer] = field("sparsity") }
        field("contender") == "tuned" { tuned[layer] = ns }
        field("contender") ~ /^dense_/ && (!(layer in dense) || ns < dense[layer]) { dense[layer] = ns }
        END {
            for (layer in tuned) if (layer in dense) {
                for (b = 1; zeros[layer] >= end[b]; b++) {}
                sum[b] += log(dense[layer] / tuned[layer]); n[b]++; all += log(dense[layer] / tuned[layer]); n_all++
            }
            for (b = 1; b <= 5; b++) if (n[b]) {
                what = "over dense, " name[b] " % zeros, " n[b] " layers"
                if (goal[b]) say(what, mean(sum[b], n[b]), goal[b], "%6.2f"); else printf "%-62s %6.2f\n", what, mean(sum[b], n[b])
            }
            printf "%-62s %6.2f\n", "over dense, all " n_all " layers", mean(all, n_all)
        }' "$out/$1.jsonl"
}
losses() { # layers on which a rival is faster by more than 3 %
    awk "$functions"'
        { layer = field("pattern") ", n " field("n"); ns = field("time_ns_median") + 0; who = field("contender") }
        who == "tuned" { tuned[layer] = ns; next }
        who == "default" || who ~ /^advice_/ { next }
        !(layer in best) || ns < best[layer] { best[layer] = ns; name[layer] = who }
        END {
            for (layer in tuned) { n++; if (tuned[layer] > 1.03 * best[layer]) { lost++; printf "  %s: %s is faster by %.2fx\n", layer, name[layer], tuned[layer] / best[layer] } }
            printf "%-62s %6d   goal      0   %s\n", "layers of " n " that a rival wins by more than 3 %", lost, (lost ? "missed" : "met")
        }' "$out/$1.jsonl"
}
of_bound() {
    awk "$functions"'field("contender") == "tuned" { sum += log(field("bound_share")); n++ }
        END { say("share of the bound, %, " n " layers", 100 * mean(sum, n), 75, "%6.0f") }' "$out/$1.jsonl"
}
over_contenders() { # the winner over each contender, and over advice
    awk "$functions"'
        { layer = field("pattern") "/" field("n"); who = field("contender")
          if (match($0, /"family":"[^"]*","point":"[^"]*"/) && who ~ / /) {
            who = substr($0, RSTART + 10, RLENGTH - 11); sub(/","point":"/, " ", who) } }
        who == "tuned" { tuned[layer] = field("time_ns_median") + 0; next }
        { sum[who] += log(field("time_ns_median") / tuned[layer]); n[who]++ }
        END { for (who in sum) printf "%-62.62s %6.2f\n", "winner over " who ", " n[who] " layers", mean(sum[who], n[who]) }' "$out/$1.jsonl" | sort
}

# ---- the goals ----
goal_bands() {
    suite bands .
    race bands --ceilings
    by_band bands 2.1 3.8 5.5 11 23
    losses bands
    of_bound bands
    over_contenders bands
}
goal_nk() { # each linear layer's speed over dense in nk against that in kn, in one sitting
    suite nk-kn linear
    race nk-kn --against dense
    suite nk linear
    tuning+=(--layout nk)
    race nk
    by_band nk
    losses nk
    cat "$out/nk-kn.jsonl" "$out/nk.jsonl" | awk "$functions"'
        { at = field("layout") "/" field("pattern"); ns = field("time_ns_median") + 0 }
        field("contender") == "tuned" { tuned[at] = ns }
        field("contender") ~ /^dense_/ && (!(at in dense) || ns < dense[at]) { dense[at] = ns }
        END { for (at in tuned) if (at ~ /^nk/) { kn = "kn" substr(at, 3); if (kn in tuned) { sum += log(dense[at] / tuned[at] * tuned[kn] / dense[kn]); n++ } }
              say("ratios in nk over those in kn, %, " n " layers", 100 * mean(sum, n), 85, "%6.0f") }'
}
goal_avx2() { # every fourth layer, AVX2 forced on all, against the same layers with all instruction sets
    suite avx2-all . 4
    race avx2-all --against dense
    suite avx2 . 4
    export SPARSETUNE_ISA=avx2
    race avx2 --against dense
    unset SPARSETUNE_ISA
    by_band avx2
    awk "$functions"'
        FNR == 1 { file++ }
        { at = file "/" field("pattern"); ns = field("time_ns_median") + 0 }
        field("contender") == "tuned" { tuned[at] = ns }
        field("contender") ~ /^dense_/ && (!(at in dense) || ns < dense[at]) { dense[at] = ns }
        END { low = 9; for (at in tuned) if (at ~ /^2/) { all = "1" substr(at, 2); ratio = dense[at] / tuned[at] * tuned[all] / dense[all]; sum += log(ratio); n++; if (ratio < low) low = ratio; if (ratio > high) high = ratio }
              printf "%-62s %6.2f   (%.2f to %.2f, %d layers)\n", "ratios with AVX2 over those with all", mean(sum, n), low, high, n
              say("least of them", low, 0.75, "%6.2f") }' "$out/avx2-all.jsonl" "$out/avx2.jsonl"
}
goal_threads() { # tuned for two threads; what two independent copies on one thread each reach is the measure
    suite threads .
    tuning=(--threads 2)
    race threads --against dense
    awk -F, -v folder="$(realpath "$data")" 'NR > 1 && 2e-6 * $5 * $7 >= 20 { print folder "/" $1, $7 }' "$data/manifest.csv" |
        awk -v part="${PART:-1/1}" 'BEGIN { split(part, p, "/") } NR % p[2] == p[1] % p[2]' >"$out/threads.args"
    # shellcheck disable=SC2046 # pairs of words
    "$build/scaling" --db "$out/threads.db" $(cat "$out/threads.args") | tee "$out/threads.txt" |
        awk "$functions"'{ print } /^share/ { share = $(NF - 1) } END { say("two threads, % of two copies", share + 0, 92, "%6.0f") }'
}
one() { # one NAME PATTERN FLAGS...: tune and race a generated pattern
    local name=$1 pattern=$2
    shift 2
    "$program" tune "$pattern" "${tuning[@]}" "$@" --db "$out/$name.db" --budget "${BENCH_BUDGET:-100}" >"$out/$name.txt"
    "$program" bench "$pattern" "${tuning[@]}" "$@" --db "$out/$name.db" --json >>"$out/$name.jsonl"
}
goal_skinny() { # every nonzero is a gather, and at least a value and a 16-bit index that are read
    rm -f "$out/skinny.jsonl"
    one skinny uniform:1000x2048@0.9 --n 1
    "$program" device --ceilings --json >"$out/skinny.ceilings"
    awk -v l2="$("$program" device --json | sed 's/.*"l2_bytes":\([0-9]*\).*/\1/')" "$functions"'
        /gathers_per_ns/ { gathers = field("gathers_per_ns"); near = field("l2_gbs"); far = field("l3_gbs"); next }
        field("contender") == "tuned" {
            bytes = 6 * field("nnz"); by_gathers = field("nnz") / gathers; by_bytes = bytes / (bytes <= l2 ? near : far)
            say("skinny, n 1, 90 %: % of the lesser ceiling (" (by_gathers > by_bytes ? "gathers" : "bandwidth") ")",
                100 * (by_gathers > by_bytes ? by_gathers : by_bytes) / field("time_ns_median"), 80, "%6.0f") }' "$out/skinny.ceilings" "$out/skinny.jsonl"
}
goal_packing() {
    rm -f "$out/packing.jsonl"
    one packing uniform:2048x512@0.9 --n 256
    awk "$functions"'field("contender") == "tuned" { printf "%-62s %6.2f   goal   3.00   %s\n", "packing 2048x512, 90 %: ms (" field("family") ")",
        field("pack_ns") / 1e6, (field("pack_ns") + 0 <= 3e6 ? "met" : "missed") }' "$out/packing.jsonl"
}
goal_sddmm() { # masks of the linear layers
    suite sddmm linear
    sed -i 's/"n": [0-9]*/"op": "sddmm"/' "$out/sddmm.json"
    tuning+=(--op sddmm --n "64,256")
    race sddmm
    awk "$functions"'
        { at = field("pattern") "/" field("n"); ns = field("time_ns_median") + 0; zeros[at] = field("sparsity"); width[at] = field("n") }
        field("contender") == "tuned" { tuned[at] = ns }
        field("contender") ~ /^dense_/ && (!(at in dense) || ns < dense[at]) { dense[at] = ns }
        END { for (at in tuned) { share = log(dense[at] / tuned[at] * (1 - zeros[at])); sum += share; n++; of[width[at]] += share; count[width[at]]++ }
              for (k in of) printf "%-62s %6.2f\n", "SDDMM over dense and mask, of 1/density, inner " k, mean(of[k], count[k])
              say("SDDMM over dense and mask, of 1/density, " n " problems", mean(sum, n), 0.5, "%6.2f") }' "$out/sddmm.jsonl"
}
# Shapes, n, and "sparsity:known best over dense" of prototypes, Sparse Register Tiling, SparseDNN and LIBXSMM
uniform_shapes='512x512 128 0.7:2.65 0.9:5.8
768x768 128 0.7:2.4 0.9:6.3 0.95:10.5
3072x768 128 0.7:2.6 0.9:6.1
768x3072 128 0.7:2.3 0.9:5.5
256x64 3136 0.7:2.2 0.9:3.5
512x128 784 0.7:2.7 0.9:5.3
2048x512 49 0.7:2.0 0.9:5.6
128x1152 784 0.7:1.8 0.9:3.5
768x768 512 0.7:1.8 0.9:4.1'
goal_uniform() {
    echo "$uniform_shapes" | awk 'BEGIN { print "{\"name\": \"uniform\", \"layers\": [" }
        { for (i = 3; i <= NF; i++) { split($i, at, ":"); printf "%s{\"pattern\": \"uniform:%s@%s\", \"n\": %d}", comma, $1, at[1], $2; comma = ",\n" } }
        END { print "]}" }' | share_of >"$out/uniform.json"
    race uniform --against dense
    awk "$functions"'
        FNR == NR { for (i = 3; i <= NF; i++) { split($i, pair, ":"); known["uniform:" $1 "@" pair[1] "/" $2] = pair[2] } next }
        { at = field("pattern") "/" field("n"); ns = field("time_ns_median") + 0 }
        field("contender") == "tuned" { tuned[at] = ns }
        field("contender") ~ /^dense_/ && (!(at in dense) || ns < dense[at]) { dense[at] = ns }
        END { low = 99; for (at in tuned) { share = dense[at] / tuned[at] / known[at]; printf "  %-28s %6.2f over dense, known %5.2f: %.2f\n", at, dense[at] / tuned[at], known[at], share; sum += log(share); n++; if (share < low) low = share }
              say("uniform shapes, over the known best, " n " problems", mean(sum, n), 1.15, "%6.2f"); say("least of them", low, 1.0, "%6.2f") }' \
        <(echo "$uniform_shapes") "$out/uniform.jsonl"
}
goal_fixed() { # what tuning is worth: the winners of `bands` against the points that won most of its layers
    suite bands .
    [ -s "$out/bands.jsonl" ] || race bands --ceilings
    fixed=$(grep '"contender":"tuned"' "$out/bands.jsonl" | sed 's/.*"family":"\([^"]*\)","point":"\([^"]*\)".*/\1:\2/' | sort | uniq -c |
        sort -rn | awk 'NR <= 6 { printf "%s%s", semicolon, $2; semicolon = ";" }')
    cp "$out/bands.json" "$out/fixed.json" && cp "$out/bands.db" "$out/fixed.db"
    race fixed --against onednn --fixed "$fixed"
    over_contenders fixed
}
goal_cold() {
    suite cold . 4
    tuning+=(--cache cold)
    race cold
    by_band cold
    losses cold
    over_contenders cold
}
goal_all-threads() {
    suite all-threads . 4
    tuning=()
    race all-threads
    by_band all-threads
    losses all-threads
    over_contenders all-threads
}

all="bands nk threads skinny avx2 packing sddmm uniform fixed cold all-threads"
if [ $# = 1 ]; then
    [[ " $all " == *" $1 "* ]] || { echo "expected goals of: $all; found '$1'" >&2 && exit 2; }
    echo "== $1"
    goal_"$1"
    exit
fi
status=0
[ $# -gt 0 ] || read -r -a everything <<<"$all"
for goal in "${@:-${everything[@]}}"; do # each on its own: one that cannot be measured stops no other
    tools/goals.sh "$build" "$goal" || { echo "$goal: not measured" && status=1; }
done
exit $status
