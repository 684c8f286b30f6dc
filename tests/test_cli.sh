#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The command line as scripts see it: exit codes, what goes to which stream, golden sentences, resume, signals.
# usage: tests/test_cli.sh BUILD_FOLDER
# shellcheck source=tests/cli.sh
. "$(dirname "$0")/cli.sh"
silent() {
    n_checks=$((n_checks + 1))
    [ ! -s "$1" ] || wrong "$1 is not empty: $(head -c 300 "$1")"
}
one_line() {
    n_checks=$((n_checks + 1))
    [ "$(wc -l <"$1")" -eq 1 ] || wrong "$1 has $(wc -l <"$1") lines instead of 1: $(head -c 300 "$1")"
}
# field NAME: a field of the only JSON line in ./out
field() {
    sed -n "s/.*\"$1\":\"\{0,1\}\([^,\"}]*\).*/\1/p" out
}
equals() {
    n_checks=$((n_checks + 1))
    [ "$2" = "$3" ] || wrong "$1 is '$2' instead of '$3'"
}

# ---- help, version, usage ----
run 0 --version
says out "sparsetune "
silent err
run 0 --help
says out "usage: sparsetune COMMAND"
silent err
commands=$(sed -n '/^commands:/,/^$/s/^  \([a-z]*\) .*/\1/p' out)
for command in $commands; do
    run 0 "$command" --help
    says out "usage: sparsetune $command"
    silent err
    run 2 "$command" --frobnicate
    silent out
    one_line err
    says err "--frobnicate"
    says err "see \`sparsetune $command --help\`"
done
run 2
silent out
run 2 frobnicate
silent out
says err "sparsetune: unknown command frobnicate; see \`sparsetune --help\`"
run 2 --frobnicate
says err "unknown option --frobnicate"

# ---- mistakes of tune: one sentence, nothing on standard output, no database ----
usage_error() {
    sentence=$1
    shift
    run 2 tune "$@"
    silent out
    one_line err
    says err "$sentence"
}
usage_error "expected a PATTERN or --suite" --n 4
usage_error "expected --n with the dense width of 'uniform:8x8@0.5'" uniform:8x8@0.5
usage_error "the end of --n" uniform:8x8@0.5 --n 8:2
usage_error "expected --shard I/N with I from 1 to N" uniform:8x8@0.5 --n 4 --shard 2/1
usage_error "expected --from alone, found --n beside it" --from misses.jsonl --n 4
usage_error "unknown strategy 'magic' in --strategy; expected auto, sweep, random, hillclimb, anneal, genetic or bayes" uniform:8x8@0.5 --n 4 --strategy magic
usage_error "unknown family 'magic'" uniform:8x8@0.5 --n 4 --families magic
usage_error "--budget" uniform:8x8@0.5 --n 4 --budget 0
usage_error "expected a time above zero such as 90s, 15m or 2h, found '0s'" uniform:8x8@0.5 --n 4 --time 0s
usage_error "f64" uniform:8x8@0.5 --n 4 --dtype f64
usage_error "expected --image with --op conv2d" uniform:8x9@0.5 --image 4x4
usage_error "expected --image with --op conv2d" uniform:8x9@0.5 --op conv2d --image 4x4 --n 16
usage_error "expected --epilogue none with --op sddmm" uniform:8x8@0.5 --n 4 --op sddmm --epilogue bias
usage_error "the form is uniform:MxK@S" uniform:8x8@1.5 --n 4
usage_error "the form is nm:MxK@N:M" uniform:8x8@0.5 nm:8x8@3:2 --n 4
for command in show bench space; do
    words="block:8x8@2x2@0.5x --n 4"
    [ $command = space ] && words="--pattern block:8x8@2x2@0.5x"
    # shellcheck disable=SC2086 # words are wanted
    run 2 $command $words
    says err "the form is block:MxK@RxC@S"
done
run 2 generate uniform:8x8 -o out.smtx
says err "the form is uniform:MxK@S"
[ ! -e out.smtx ] || wrong "a wrong spec left a file"
run 0 generate --model bert_base -o bert.json --json
fields file model layers
says out '"file":"bert.json"'
run 0 generate --model transformer_base -o layers --json
fields file
[ "$(wc -l <out)" -eq "$(find layers -type f | wc -l)" ] || wrong "$(wc -l <out) objects for $(find layers -type f | wc -l) files"
run 0 generate --model bert_base -o bert.json
says out "bert.json: "
failure() {
    sentence=$1
    shift
    run 3 tune "$@"
    silent out
    grep -v ' is not a candidate: ' err >sentence # libraries that are not here
    one_line sentence
    says sentence "$sentence"
}
failure "missing.smtx" missing.smtx --n 4
failure "no CUDA device" uniform:8x8@0.5 --n 4 --device cuda:15
echo 'no database, only a sentence that is long enough to be read as one' >text.db
failure "text.db" uniform:8x8@0.5 --n 4 --db text.db
mkdir folder.smtx
failure "folder.smtx" folder.smtx --n 4
printf '4, 4, 2\n0 1 2 2 2\n3 9\n' >bad.smtx
failure "bad.smtx" bad.smtx --n 4
n_checks=$((n_checks + 1))
[ ! -e data ] || [ -z "$(find data -name '*.db')" ] || wrong "a usage error or a bad file left a database behind"

# ---- one real tune: people's table, JSON, resume ----
tune="tune uniform:64x96@0.9 --n 33 --budget 6 --threads 1 --db t.db"
# shellcheck disable=SC2086 # words are wanted
{
    run 0 $tune
    says out "layer"
    says out "GFLOP/s"
    run 0 $tune --json
    one_line out
    equals "measured of a second run" "$(field measured)" 0
    equals "session of a second run" "$(field session)" ""
    equals "evaluations" "$(field evaluations)" 6
    equals "m" "$(field m)" 64
    equals "k" "$(field k)" 96
    equals "n" "$(field n)" 33
    run 0 $tune --budget 8 --json
    equals "measured with two more" "$(field measured)" 2
}
# shellcheck disable=SC2086 # words are wanted
{
    run 0 $tune --budget 8 --uses 1 --json
    run 0 $tune --budget 8 --json
    equals "measured of what is known" "$(field measured)" 0
    n_checks=$((n_checks + 1))
    [ -n "$(field session)" ] || wrong "no session says that other uses of a packing are asked for"
    run 0 $tune --budget 8 --json
    equals "session where nothing else is asked for" "$(field session)" ""
}
for name in pattern op dtype layout m k n nnz threads device family point time_ns_median ci_ns evaluations failed \
    dropped seconds speedup_over_default speedup_over_dense session; do
    says out "\"$name\":"
done
n_checks=$((n_checks + 1))
! grep -q null out || wrong "a JSON line holds null"

# ---- a limit of time ends final rounds, too; the first slice and the heats are given whatever the time ----
run 0 tune uniform:700x700@0.9 --n 512 --time 0.1s --threads 1 --db limit.db --json
n_checks=$((n_checks + 1))
[ "$(field rounds)" -le 8 ] || wrong "$(field rounds) final rounds after a tenth of a second"
equals "measured in all slices" "$(field measured)" "$(field evaluations)"
n_checks=$((n_checks + 1))
{ [ "$(field rounds)" -ge 1 ] && [ -n "$(field session)" ]; } || wrong "a row tells only of its last slice: $(cat out)"

# ---- a broken layer costs itself ----
run 1 tune bad.smtx uniform:16x16@0.5 --n 4 --budget 2 --threads 1 --db t.db --json
one_line out
says err "bad.smtx"

# ---- what was not measured is a dash ----
run 0 tune uniform:16x16@0.5 --n 4 --budget 1 --threads 1 --db one.db
run 0 db list --db one.db
n_checks=$((n_checks + 1))
! grep -q ' 0\.00 ' out || wrong "db list prints what was not measured as 0.00: $(cat out)"

# ---- the default database ----
run 0 tune uniform:64x64@0.9 --n 3:12 --budget 8 --threads 1 --db r.db --json
[ "$(grep -c '"n":' out)" = 3 ] || wrong "--n 3:12 tuned other widths than 4, 8 and 12: $(cat out)"
says err "one plan for n from"
run 0 db list --db r.db --json
[ "$(grep -c '"pinned":true' out)" = 3 ] || wrong "the plans of a range are not pinned"
# rows name the plans; where time is too short for some plans' rounds at all widths others are chosen
variants() {
    sed -n 's/.*"n":\([0-9]*\),.*"family":"\([^"]*\)",.*"point":"\([^"]*\)",.*/\1 \2 \3/p' out | sort -n
}
for time in 0.3s 1s; do
    run 0 tune uniform:256x256@0.9 --n 1:64 --time $time --threads 1 --db $time.db --json
    says err "one plan for n from"
    variants >rows
    run 0 db list --db $time.db --json
    [ "$(grep -c '"pinned":true' out)" = 7 ] || wrong "the plans of a range of $time are not pinned"
    equals "rows of a range" "$(cat rows)" "$(variants)"
done
run 0 tune uniform:16x16@0.5 --n 4 --budget 2 --threads 1 --json
n_checks=$((n_checks + 1))
[ -e data/sparsetune/tune.db ] || wrong "the default database is not in the user's data folder"

# ---- a full standard output, a closed one ----
if [ -w /dev/full ]; then
    "$program" --help >/dev/full 2>err
    equals "exit code with a full standard output" "$?" 3
    says err "standard output"
fi

# ---- a signal ends the run with what is known; the same command goes on ----
widths=$(seq -s, 64 95)
stopped="tune uniform:512x512@0.8 --n $widths --budget 40 --threads 1 --db s.db --json"
for signal in INT TERM HUP; do
    # a shell without job control starts background programs with SIGINT ignored; the program catches it all the same
    # and one that was started with nohup would leave SIGHUP ignored
    # shellcheck disable=SC2086 # words are wanted
    env --default-signal=HUP "$program" $stopped >out 2>err </dev/null &
    process=$!
    sleep "$(awk "BEGIN { print 1.5 * ${SPT_SLOWER:-1} }")"
    kill -"$signal" "$process"
    wait "$process"
    equals "exit code after SIG$signal" "$?" 1
    says err "stopped by a signal"
    [ $signal = INT ] || continue
    n_checks=$((n_checks + 1))
    sed -n 's/.*"evaluations":\([0-9]*\),"measured":\([0-9]*\),.*"rounds":\([0-9]*\).*/\1 \2 \3/p' out >counts
    { [ -s counts ] && awk '$1 != $2 || $3 == 0 { exit 1 }' counts; } || wrong "rows of a stopped run say: $(cat counts)"
done
n_checks=$((n_checks + 1))
n_lines=$(wc -l <out)
if [ "$n_lines" -lt 1 ] || [ "$n_lines" -ge 32 ]; then
    wrong "a stopped run printed $n_lines lines"
fi

finish
