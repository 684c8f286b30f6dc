#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The race as scripts see it: fields and contenders of --json, what is missing said, one plot, one page. Needs no rival
# but the plain loop that the program brings itself.
# usage: tests/test_bench.sh BUILD_FOLDER
# shellcheck source=tests/cli.sh
. "$(dirname "$0")/cli.sh"
silent() { # silent FILE TEXT
    n_checks=$((n_checks + 1))
    ! grep -qF -- "$2" "$1" || wrong "$1 says '$2'"
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
    for option in --page --plot; do # said before anything is measured
        run 3 bench $pattern $problem --against csr $option no/such/folder/p.md
        says err "no/such/folder"
        silent out csr
    done
}
finish
