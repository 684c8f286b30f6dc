#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The race as scripts see it: fields and contenders of --json, what is missing said, one plot, one page. Needs no rival
# but the plain loop that the program brings itself.
# usage: tests/test_bench.sh BUILD_FOLDER
set -u
program=$(cd "$1" && pwd)/sparsetune
folder=$(mktemp -d "${TMPDIR:-/tmp}/sparsetune-bench-XXXXXX") || exit 1
trap 'rm -rf "$folder"' EXIT
cd "$folder" || exit 1
export XDG_DATA_HOME="$folder/data"
unset SPARSETUNE_DB
n_checks=0 n_wrong=0
wrong() {
    n_wrong=$((n_wrong + 1))
    echo "WRONG: $*"
}
run() { # run EXPECTED_EXIT ARGUMENTS...: standard output in ./out, standard error in ./err
    local expected=$1 code
    shift
    "$program" "$@" >out 2>err </dev/null
    code=$?
    n_checks=$((n_checks + 1))
    [ $code = "$expected" ] || wrong "exit $code instead of $expected: sparsetune $*: $(head -c 300 err)"
}
says() { # says FILE TEXT
    n_checks=$((n_checks + 1))
    grep -qF -- "$2" "$1" || wrong "$1 does not say '$2' but: $(head -c 300 "$1")"
}
silent() { # silent FILE TEXT
    n_checks=$((n_checks + 1))
    ! grep -qF -- "$2" "$1" || wrong "$1 says '$2'"
}
fields() { # fields NAME...: every line of ./out is an object with them, and holds no null
    local name
    for name in "$@"; do
        n_checks=$((n_checks + 1))
        [ "$(grep -c "^{.*\"$name\":.*}$" out)" = "$(wc -l <out)" ] || wrong "a line has no $name: $(head -c 300 out)"
    done
    n_checks=$((n_checks + 1))
    ! grep -q ':null' out || wrong "a line holds null"
}
pattern=uniform:48x64@0.8
problem="--n 20 --threads 1 --db t.db"

# shellcheck disable=SC2086 # words are wanted
{
    # Nothing is tuned: the winner is missing, not replaced.
    run 1 bench $pattern $problem --against csr --json
    says err "tuned: missing"
    says out '"contender":"default"'
    says out '"contender":"csr"'
    silent out '"contender":"tuned"'
    silent out '"contender":"dense'

    run 0 tune $pattern $problem --budget 3 --json
    run 0 bench $pattern $problem --against csr --json
    fields pattern m k nnz sparsity n layout cache threads contender family point time_ns_median ci_ns gflops \
        speedup_over_dense bound_ns bound_share pack_ns packed_bytes
    says out '"contender":"tuned"'
    says out '"layout":"kn"'

    run 0 bench $pattern $problem --against csr --plot p.svg --page p.md --ceilings
    says out "is faster than the winner by more than 3 %"
    says out "packing of winners"
    says p.svg "</svg>"
    says p.md "sparsetune bench $pattern $problem --against csr --plot p.svg --page p.md"
    says p.md "| layer | m | k | n | zeros | winner |"
    says p.md "| 48 | 64 | 20 |"

    # Layouts and caches are part of the problem.
    run 1 bench $pattern $problem --layout nk --cache cold --against csr --json
    says out '"layout":"nk"'
    says out '"cache":"cold"'

    # A name that no rival has is a mistake; a part of names is none.
    run 2 bench $pattern $problem --against csr,magic
    says err "magic"
    run 0 bench $pattern $problem --against dense --json
    silent out '"contender":"csr"'
    run 2 bench
    run 3 bench $pattern $problem --against csr --page no/such/folder/p.md
}
echo "$n_checks checks, $n_wrong wrong"
[ $n_wrong = 0 ]
