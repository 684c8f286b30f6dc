#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# kill -9 at random moments of a tune: the database opens, is whole, and the tune goes on; at most the trial or the round
# in flight is lost per kill. SPT_KILLS sets how often (8), SPT_SLOWER how many times slower this machine is (1).
# usage: tests/test_kill.sh BUILD_FOLDER
# shellcheck source=tests/cli.sh
. "$(dirname "$0")/cli.sh"
kills=${SPT_KILLS:-8}
RANDOM=20
n_widths=$((31 / ${SPT_SLOWER:-1} + 1))
widths=$(seq -s, 16 $((15 + n_widths)))
patterns=() # work enough for every kill: a pattern with all its widths takes one to three seconds
for ((i = 0; i < 1 + kills / 6; i++)); do
    patterns+=("uniform:384x384@0.8$i")
done
problems=$((n_widths * ${#patterns[@]}))

tune() {
    "$program" tune "${patterns[@]}" --n "$widths" --budget 12 --threads 1 --db k.db --json
}
fail() {
    echo "WRONG: $*"
    exit 1
}
trials() {
    # shellcheck disable=SC2094 # info is another file
    "$program" db info --db k.db --json >info || fail "the database does not open"
    grep -q '"integrity":"ok"' info || fail "the database is not whole: $(cat info)"
    sed 's/.*"trials":\([0-9]*\).*/\1/' info
}

known=0
killed=0
for ((i = 0; i < kills; i++)); do
    "$program" tune "${patterns[@]}" --n "$widths" --budget 12 --threads 1 --db k.db >/dev/null 2>&1 </dev/null &
    process=$!
    delay_ms=$((RANDOM % 400 * ${SPT_SLOWER:-1}))
    sleep "$((delay_ms / 1000)).$(printf %03d $((delay_ms % 1000)))"
    kill -9 "$process" 2>/dev/null && killed=$((killed + 1))
    wait "$process" 2>/dev/null
    if [ ! -s k.db ]; then # killed before the first schema was there
        [ "$known" -eq 0 ] || fail "the database is empty after $known trials"
        continue
    fi
    now=$(trials) || fail "$now"
    [ "$now" -ge "$known" ] || fail "trials went from $known to $now"
    known=$now
done
[ "$killed" -ge $((kills / 2)) ] || fail "only $killed of $kills kills met a running tune"
[ "$known" -gt 0 ] || fail "no trial survived $killed kills"

tune >out 2>err || fail "the tune after the kills exits $?: $(tail -3 err)"
[ "$(wc -l <out)" -eq "$problems" ] || fail "$(wc -l <out) winners instead of $problems"
! grep -q '"family":""' out || fail "a problem has no winner"
tune >again 2>/dev/null || fail "the last tune exits $?"
[ "$(grep -c '"measured":0,.*"session":""' again)" -eq "$problems" ] || fail "the last tune measured something again"
total=$(trials) || fail "$total"
known_asks=$(sed 's/.*"evaluations":\([0-9]*\).*/\1/' again | paste -sd+ | sed 's/^/0+/')
echo "test_kill: $killed kills, $total trials, of them $((known_asks)) of the search"
