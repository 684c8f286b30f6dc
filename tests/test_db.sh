#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# `sparsetune db` as scripts see it: what leaves a database, what comes in, exit codes, streams, and what stays untouched.
# usage: tests/test_db.sh BUILD_FOLDER
set -u
program=$(cd "$1" && pwd)/sparsetune
folder=$(mktemp -d "${TMPDIR:-/tmp}/sparsetune-db-XXXXXX") || exit 1
trap 'rm -rf "$folder"' EXIT
cd "$folder" || exit 1
export XDG_DATA_HOME="$folder/data" HOME="$folder"
unset SPARSETUNE_DB
n_checks=0
n_wrong=0

wrong() {
    n_wrong=$((n_wrong + 1))
    echo "WRONG: $*"
}
# run EXPECTED_EXIT ARGUMENTS...: standard output in ./out, standard error in ./err
run() {
    local expected=$1 code
    shift
    "$program" "$@" >out 2>err </dev/null
    code=$?
    n_checks=$((n_checks + 1))
    [ "$code" -eq "$expected" ] || wrong "exit $code instead of $expected: sparsetune $*: $(head -c 300 err)"
}
# says FILE TEXT: the file holds the fixed text
says() {
    n_checks=$((n_checks + 1))
    grep -qF -- "$2" "$1" || wrong "$1 does not say '$2' but: $(head -c 400 "$1")"
}
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

# ---- import ----
run 0 db import a.jsonl --db c.db --json
says out '"refused":0'
run 0 db export --db c.db
same out a.jsonl
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
run 0 db info --db e.db --json
says out '"trials":0'
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

echo "test_db: $n_checks checks, $n_wrong wrong"
[ "$n_wrong" -eq 0 ]
