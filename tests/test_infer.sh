#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The example computes the right result for real and made patterns: layouts, epilogues, with tuned results, with a
# database that knows nothing about the pattern, with none. ALL=1: every pattern of the data folder, at the manifest's
# width. SPARSETUNE_INFER_DB=FILE: with that database too.
# usage: tests/test_infer.sh BUILD_FOLDER
# shellcheck source=tests/shell.sh
. "$(dirname "$0")/shell.sh"
data=${SPARSETUNE_TEST_DATA:-../shared/data}/patterns
n_runs=0 next=0
infer() { # infer ARGUMENTS...: the output in $folder/out
    n_runs=$((n_runs + 1))
    "$build/infer" "$@" >"$folder/out" 2>"$folder/err" || wrong "infer $* exits with $?: $(tail -2 "$folder/out" "$folder/err")"
}
# both_layouts PATTERN N [DATABASE]: epilogues take turns
both_layouts() {
    epilogues=(none bias bias_relu)
    for layout in kn nk; do
        infer "$1" "$2" $layout "${epilogues[next % 3]}" ${3:+"$3"}
        next=$((next + 1))
    done
}

# ---- made patterns: nothing tuned, then tuned ----
cd "$folder" || exit 1
for spec in 1x1@0 64x96@0.9 200x31@0.7 31x200@0.98 128x128@0.99; do
    "$build/sparsetune" generate --uniform $spec -o "$spec.smtx" >/dev/null || wrong "no pattern $spec was generated"
    for n in 1 17 128; do
        both_layouts "$spec.smtx" $n
    done
done
"$build/sparsetune" tune 64x96@0.9.smtx --n 33 --budget 4 --db tuned.db --json >/dev/null 2>err || wrong "tune: $(tail -1 err)"
infer 64x96@0.9.smtx 33 kn none tuned.db
grep -q '^match exact' out || wrong "a tuned problem is answered by: $(grep '^match' out)"
infer 64x96@0.9.smtx 34 kn none tuned.db
grep -q '^match near_size' out || wrong "its neighbour is answered by: $(grep '^match' out)"
infer 200x31@0.7.smtx 33 nk bias tuned.db
grep -q '^match default' out || wrong "an unknown pattern is answered by: $(grep '^match' out)"
infer 64x96@0.9.smtx 33 kn none missing.db
grep -q '^match default' out || wrong "a missing database answers: $(grep '^match' out)"
grep -q 'missing.db' err || wrong "nothing is said about a missing database"
cd - >/dev/null || exit 1

# ---- bad input: exit 1 or 2, one sentence ----
printf '2, 2, 2\n0 1 2\n0 7\n' >"$folder/bad.smtx"
printf '2, 2, 2\n0 1' >"$folder/short.smtx"
for arguments in "$folder/bad.smtx 4" "$folder/short.smtx 4" "$folder/missing.smtx 4" "$folder 4"; do
    # shellcheck disable=SC2086 # words are wanted
    "$build/infer" $arguments >"$folder/out" 2>"$folder/err"
    code=$?
    [ $code = 1 ] && [ "$(wc -l <"$folder/err")" = 1 ] || wrong "infer $arguments exits with $code: $(cat "$folder/err")"
done
"$build/infer" "$folder/bad.smtx" 0 2>/dev/null
[ $? = 2 ] || wrong "n = 0 is no usage error"

# ---- real patterns ----
few=" mb1_90_pw1 mp_hand80_c12 rn_mag8_b1g1_1_1 st_2of4 tf_mag98_dec3_ffn_conv1 "
if [ -f "$data/manifest.csv" ]; then
    column=$(head -1 "$data/manifest.csv" | tr ',' '\n' | grep -nx n | cut -d: -f1)
    for pattern in "$data"/*.smtx; do
        name=$(basename "$pattern" .smtx)
        [ -n "${ALL:-}" ] || [[ $few == *" $name "* ]] || continue
        n=$(grep "^$name[,.]" "$data/manifest.csv" | head -1 | cut -d, -f"$column")
        both_layouts "$pattern" "${n:-64}"
        [ -z "${SPARSETUNE_INFER_DB:-}" ] || both_layouts "$pattern" "${n:-64}" "$SPARSETUNE_INFER_DB"
    done
else
    echo "SKIP the real patterns: there is no $data/manifest.csv"
fi
finish $n_runs runs
