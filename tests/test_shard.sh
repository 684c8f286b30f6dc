#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Shares of a suite: together they are all of it, each writes a file of its own, one that was stopped goes on from what
# its file has, and the merge of the files is what one process would have tuned.
# usage: tests/test_shard.sh BUILD_FOLDER
# shellcheck source=tests/cli.sh
. "$(dirname "$0")/cli.sh"
options="--n 32,33 --budget 6 --threads 1"
patterns="uniform:64x96@0.9 uniform:64x96@0.8 uniform:96x64@0.9"
tune() { # tune SHARD ARGUMENTS...
    local shard=$1
    shift
    # shellcheck disable=SC2086 # lists of words
    "$program" tune $patterns $options --shard "$shard" --db-spool spool --json "$@" 2>err
}

# ---- every problem belongs to one share ----
for i in 1 2 3 4; do
    tune $i/4 >"out$i" || wrong "share $i exits $?: $(tail -1 err)"
done
[ "$(cat out? | wc -l)" -eq 6 ] || wrong "$(cat out? | wc -l) problems instead of 6"
[ "$(cat out? | sed 's/.*"key":"\([^"]*\)".*/\1/' | sort -u | wc -l)" -eq 6 ] || wrong "a problem was tuned twice"
[ "$(find spool -name '*.db' | wc -l)" -eq 4 ] || wrong "not one file per process"
[ -z "$(find spool -name '*-wal')" ] || wrong "a spool file has a log, which network file systems do not bear"
tune 9/9 >out || wrong "an empty share exits $?"
[ ! -s out ] || wrong "an empty share tunes something"

# ---- a share goes on ----
tune 1/4 >again || wrong "the second run exits $?"
[ "$(grep -c '"measured":0,' again)" -eq "$(wc -l <again)" ] || wrong "a share measures again what its file has"

# ---- the merge ----
"$program" db merge spool/*.db -o all.db >/dev/null || wrong "the merge exits $?"
"$program" db list --db all.db --json >list
[ "$(wc -l <list)" -eq 6 ] || wrong "$(wc -l <list) winners instead of 6"
# shellcheck disable=SC2086
"$program" tune $patterns $options --db all.db --json >after 2>/dev/null
[ "$(grep -c '"measured":0,.*"session":""' after)" -eq 6 ] || wrong "the merged database does not know all"

# ---- a signal ends a share early, and what it has is kept ----
# shellcheck disable=SC2086
"$program" tune uniform:512x512@0.8 --n "$(seq -s, 16 47)" --budget 40 --threads 1 --shard 1/2 --db-spool late >/dev/null 2>&1 &
process=$!
sleep 2
kill -TERM $process
wait $process
[ $? -eq 1 ] || wrong "a share that was stopped does not exit 1"
"$program" db info --db late/*.db --json | grep -q '"trials":[1-9].*"integrity":"ok"' || wrong "a stopped share kept nothing"

# ---- usage ----
for shard in 0/4 5/4 1 /4 1/ a/b 1/4/4; do
    "$program" tune uniform:8x8@0.5 --n 4 --shard $shard --db-spool spool >out 2>err
    [ $? -eq 2 ] || wrong "--shard $shard is taken"
done
"$program" tune uniform:8x8@0.5 --n 4 --db-spool spool --db x.db >out 2>err
[ $? -eq 2 ] || wrong "--db beside --db-spool is taken"

finish shares and merges
