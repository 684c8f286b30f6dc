# SPDX-License-Identifier: Apache-2.0
# What tests of the command line share; sourced by tests/test_*.sh with the build folder in $1. The program in $program, an
# empty working folder, and checks that are counted.
# shellcheck shell=bash
# shellcheck source=tests/shell.sh
. "$(dirname "$0")/shell.sh"
program=$build/sparsetune
cd "$folder" || exit 1

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
