# SPDX-License-Identifier: Apache-2.0
# What tests of the command line share; sourced by tests/test_*.sh with the build folder in $1. The program in $program, an
# empty folder that goes at the end as the working folder, no database of the user's, and checks that are counted.
# shellcheck shell=sh
set -u
program=$(cd "$1" && pwd)/sparsetune
folder=$(mktemp -d "${TMPDIR:-/tmp}/sparsetune-$(basename "$0" .sh)-XXXXXX") || exit 1
trap 'rm -rf "$folder"' EXIT INT TERM
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
    expected=$1
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
# fields NAME...: every line of ./out is an object with them, and holds no null
fields() {
    for name in "$@"; do
        n_checks=$((n_checks + 1))
        [ "$(grep -c "^{.*\"$name\":.*}$" out)" = "$(wc -l <out)" ] || wrong "a line has no $name: $(head -c 300 out)"
    done
    n_checks=$((n_checks + 1))
    ! grep -q ':null' out || wrong "a line holds null"
}
# finish: the last line of a test
finish() {
    echo "$(basename "$0" .sh): $n_checks checks, $n_wrong wrong"
    [ "$n_wrong" -eq 0 ]
}
