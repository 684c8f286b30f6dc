#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# `sparsetune db` as scripts see it: what leaves a database, what comes in, exit codes, streams, and what stays untouched.
# usage: tests/test_db.sh BUILD_FOLDER
# shellcheck source=tests/cli.sh
. "$(dirname "$0")/cli.sh"
same() {
    n_checks=$((n_checks + 1))
    cmp -s "$1" "$2" || wrong "$1 and $2 differ"
}
absent() {
    n_checks=$((n_checks + 1))
    [ ! -e "$1" ] || wrong "$1 exists"
}

tune() { # tune DB PATTERN N
    "$program" tune "$2" --n "$3" --budget 10 --threads 1 --db "$1" >/dev/null 2>err || wrong "tune: $(tail -1 err)"
}
tune a.db uniform:64x96@0.9 32,33
tune b.db uniform:64x96@0.8 32

# ---- usage ----
run 2 db
run 2 db nonsense
run 2 db export extra --db a.db
run 2 db export --db a.db --nonsense
run 2 db merge a.db b.db
run 2 db import --db a.db
run 3 db export --db missing.db
absent missing.db
run 3 db import missing.jsonl --db new.db
absent new.db

# ---- export ----
run 0 db export --db a.db
cp out a.jsonl
says out '{"record":"sparsetune","version":1}'
run 0 db --db a.db export
same out a.jsonl
run 0 db export --db a.db -o x.jsonl
same x.jsonl a.jsonl
run 0 db export --db a.db -o x.jsonl.gz --json
says out '"output":"x.jsonl.gz"'
gzip -dc x.jsonl.gz >x.jsonl
same x.jsonl a.jsonl
run 0 db export --db a.db --anonymous
grep -q '"host"\|"os"\|"reason"' out && wrong "an anonymous export names hosts, systems or reasons"
run 3 db export --db a.db -o missing/x.jsonl
run 3 db export --db a.db -o a.db
says err 'would be lost'
run 0 db export --db a.db
same out a.jsonl

# ---- import ----
run 0 db import a.jsonl --db c.db --json
says out '"refused":0'
run 0 db export --db c.db
same out a.jsonl
mkfifo pipe
cat a.jsonl >pipe &
run 0 db import pipe --db piped.db
run 0 db export --db piped.db
same out a.jsonl
cp a.jsonl $'\377.jsonl'
run 0 db import $'\377.jsonl' --db c.db --json
says out '"file":"?.jsonl"'
run 0 db import a.jsonl --db d.db --dry-run
absent d.db
{ cat a.jsonl && echo 'nonsense' && echo '{"record":"trial"}'; } >bad.jsonl
lines=$(wc -l <a.jsonl)
run 1 db import bad.jsonl --db d.db --json
says out '"refused":2'
says err "bad.jsonl:$((lines + 1)): refused: "
says err "bad.jsonl:$((lines + 2)): refused: expected the field \"key\""
run 0 db export --db d.db
same out a.jsonl
run 1 db import bad.jsonl --db e.db --strict --json
says out '"kept":false'
for suffix in '' -wal -shm -journal; do absent e.db$suffix; done # nothing was kept, not even an empty database
"$program" db import - --db f.db <x.jsonl.gz >out 2>err || wrong "an import from standard input exits $?"
run 0 db export --db f.db
same out a.jsonl
run 0 db import a.jsonl --json # the user's own database
says out '"kept":true'
[ -e data/sparsetune/tune.db ] || wrong "the user's database was not made"
run 0 show uniform:64x96@0.9 --n 32 --threads 1 --db f.db --json
says out '"match":"exact"'

# ---- merge ----
run 0 db merge a.db b.db -o ab.db --json
run 0 db merge b.db a.db -o ba.db
run 0 db export --db ab.db -o ab.jsonl
run 0 db export --db ba.db -o ba.jsonl
same ab.jsonl ba.jsonl
run 0 db merge b.db -o c.db
run 0 db export --db c.db
same out ab.jsonl
run 0 show uniform:64x96@0.8 --n 32 --threads 1 --db ab.db --json
says out '"match":"exact"'
echo 'no database, only a sentence that is long enough to be read as one' >text.db
run 3 db merge a.db text.db -o new.db
absent new.db
run 3 db merge a.db missing.db -o new.db
absent new.db
absent missing.db

# ---- look ----
run 0 db list --db ab.db --json
[ "$(wc -l <out)" -eq 3 ] || wrong "list has $(wc -l <out) lines instead of 3"
key=$(sed -n '1s/.*"key":"\([0-9a-f]*\)".*/\1/p' out)
run 0 db list --db ab.db --n 33 --op spmm --family "$(sed -n 's/.*"n":33,.*"family":"\([^"]*\)".*/\1/p' out)" --json
[ "$(wc -l <out)" -eq 1 ] || wrong "a filtered list has $(wc -l <out) lines instead of 1"
run 1 db list --db ab.db --n 7
says err "ab.db: none of 3 winners matches --n 7"
silent() { [ ! -s "$1" ] || wrong "$1 says $(head -c 200 "$1")"; }
silent out
run 1 db list --db ab.db --family nope --pattern zz --json
says err "none of 3 winners matches --family nope --pattern zz"
silent out
run 0 db coverage --db ab.db --json
[ "$(grep -c '"state":"tuned"' out)" -eq 3 ] || wrong "coverage: $(cat out)"
run 0 db coverage --db ab.db
says out "(here)"
run 0 db check --db ab.db
says out "0 not used"
run 0 db diff ab.db ba.db
run 1 db diff a.db ab.db --json
says out '{"record":"pattern","equal":1,"only_first":0,"only_second":1,"differ":0}'
run 2 db diff a.db
SPARSETUNE_DB=ab.db run 0 db layers uniform:64x96@0.8 --n 32 --threads 1 --json
says out '"answers":true'
says out '"state":"missing"'
SPARSETUNE_DB=text.db run 0 db layers --json
says out '"state":"unreadable"'
absent .sparsetune.db

# ---- patterns and T4 ----
"$program" tune uniform:64x96@0.9 --n 32 --budget 10 --threads 1 --db w.db --with-patterns >/dev/null 2>err || wrong "tune --with-patterns: $(tail -1 err)"
run 0 db export --db w.db
grep -q '"positions"' out && wrong "positions are in an export that was not asked for them"
run 0 db export --db w.db --with-patterns -o w.jsonl
says w.jsonl '"positions":"'
run 0 db import w.jsonl --db w2.db --strict
run 0 db export --db w2.db --with-patterns
same out w.jsonl
run 0 db list --db w.db --json
t4=$(sed -n '1s/.*"key":"\([0-9a-f]*\)".*/\1/p' out)
run 0 db export --t4 "$t4" --db w.db -o w.T4.json.gz
run 0 replay w.T4.json.gz --repeat 2 --strategy random --json
says out '"space":"w"'
run 0 db export --t4 "${t4%????????}" --db w.db
says out '"invalidity": "correct"'
run 3 db export --t4 "$t4" --family no_such_family --db w.db
run 2 db export --t4 zz --db w.db
says err "hex digits of a key, found 'zz'"
run 3 db export --t4 ffffffffffffffff --db w.db
run 2 db export --family spmm_csr_rows --db w.db

# ---- verify ----
# Times on a busy machine move: what is tested is that each winner is measured, not how fast it is.
"$program" db verify --db w.db --json --tolerance 0.9 >out 2>err || [ $? -eq 1 ] || wrong "verify exits $?: $(tail -1 err)"
[ "$(grep -c '"verdict":"\(holds\|moved\)"' out)" -eq 1 ] || wrong "verify: $(cat out)"
grep -q '"time_ns_median":0' out && wrong "verify measured nothing"
run 1 db verify --db a.db # without positions
says err "2 were not measured"
mkdir patterns && "$program" generate --uniform 64x96@0.9 -o patterns/p.smtx >/dev/null
"$program" db verify --db a.db --patterns patterns --json --tolerance 0.9 >out 2>err
[ "$(wc -l <out)" -eq 2 ] || wrong "verify --patterns measured $(wc -l <out) winners instead of 2"
run 3 db verify --db a.db --patterns missing
cp a.db forged.db
if command -v sqlite3 >/dev/null; then
    sqlite3 forged.db "UPDATE winner SET time_ns_median = time_ns_median / 100, speedup_over_default = speedup_over_default * 100"
    run 1 db verify --db forged.db --patterns patterns --json
    [ "$(grep -c '"verdict":"moved"' out)" -eq 2 ] || wrong "verify believes forged times: $(cat out)"
fi

# ---- stale ----
sed 's/"compiler":"[^"]*"/"compiler":"another"/; s/"started_unix_s":[0-9]*/"started_unix_s":1700000000/' w.jsonl >old.jsonl
run 0 db import old.jsonl --db old.db
run 0 db check --db old.db
says out "measured by a program of compiler another"
run 0 show uniform:64x96@0.9 --n 32 --threads 1 --db old.db --json
says out '"stale":true'
run 0 tune --stale --db w.db
says err "nothing went stale"
run 0 tune --stale --db old.db --budget 6 --json
[ "$(grep -c '"measured":[1-9]' out)" -eq 1 ] || wrong "tune --stale measured nothing: $(cat out)"
run 0 show uniform:64x96@0.9 --n 32 --threads 1 --db old.db --json
says out '"stale":false'
run 0 tune --stale --db old.db
says err "nothing went stale"
run 0 tune uniform:64x96@0.9 uniform:64x96@0.8 --n 32,33 --stale --threads 1 --db a.db # fresh, and never tuned
says err "nothing went stale"
run 3 tune --stale --db missing.db
absent missing.db
run 2 tune --stale --n 32 --db w.db
run 2 tune uniform:64x96@0.9 --n 32 --patterns patterns --db w.db

# ---- keep ----
run 0 db list --db ab.db --all --json
second=$(sed -n 's/.*"key":"\([0-9a-f]*\)".*"rank":1,"family":"\([^"]*\)".*"point":"\([^"]*\)".*/\1 \2 \3/p' out | head -1)
if [ -n "$second" ]; then
    # shellcheck disable=SC2086 # three words
    run 0 db pin $second --db ab.db --note "by hand"
    run 0 db list --db ab.db
    says out "(pinned)"
    run 0 db pin --db ab.db
    says out "${second%% *}"
    run 0 db publish --db ab.db -o site.db --json
    run 0 db pin "${second%% *}" --remove --db ab.db
    run 3 db pin "${second%% *}" --remove --db ab.db
else
    echo "SKIP: no problem here has two ranks to choose from"
    run 0 db publish --db ab.db -o site.db --json
fi
run 3 db pin "$key" spmm_csr_rows "t=nonsense" --db ab.db
run 2 db pin "$key" no_such_family --db ab.db
run 3 db pin ffffffffffffffff spmm_csr_rows --db ab.db
run 2 db pin zzz spmm_csr_rows --db ab.db
says err "hex digits of a key, found 'zzz'"
run 2 db pin 12zz --remove --db ab.db
says err "found '12zz'"
run 0 db info --db site.db --json
says out '"checksum":"ok"'
run 0 show uniform:64x96@0.8 --n 32 --threads 1 --db site.db --json
says out '"match":"exact"'
run 3 tune uniform:64x96@0.8 --n 40 --budget 4 --threads 1 --db site.db
says err "read-only"
absent site.db-wal
run 0 db gc --db site.db --dry-run --json
says out '"dry_run":true'
run 3 db gc --db site.db
run 0 db gc --db ab.db --dry-run --json
says out '"trials":0'
run 0 db gc --db ab.db
run 0 db export --db ab.db
same out ab.jsonl
run 3 db gc --db missing.db
absent missing.db

finish
