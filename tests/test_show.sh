#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The commands that only ask: show, space, device. Fields and exit codes as scripts see them, and that show tells what
# the library does.
# usage: tests/test_show.sh BUILD_FOLDER
# shellcheck source=tests/cli.sh
. "$(dirname "$0")/cli.sh"
lines() { # lines FILE COUNT
    n_checks=$((n_checks + 1))
    [ "$(wc -l <"$1")" = "$2" ] || wrong "$1 has $(wc -l <"$1") lines instead of $2: $(head -c 300 "$1")"
}

# ---- show: nothing tuned, then tuned, then near ----
pattern=uniform:48x64@0.8
problem="--threads 1 --db t.db"
# shellcheck disable=SC2086 # words are wanted
{
    run 1 show $pattern --n 20,40 $problem --json
    lines out 2
    lines err 1
    says err t.db
    fields pattern n match family point time_ns_median gflops speedup_over_dense reason stale
    says out '"match":"default"'
    run 0 tune $pattern --n 20 --budget 3 $problem --json
    family=$(sed -n 's/.*"family":"\([^"]*\)".*/\1/p' out) point=$(sed -n 's/.*"point":"\([^"]*\)".*/\1/p' out)
    run 0 show $pattern --n 20 $problem --json
    lines out 1
    lines err 0
    fields pattern n match family point time_ns_median gflops speedup_over_dense reason stale
    says out '"match":"exact"'
    says out "\"family\":\"$family\",\"point\":\"$point\""
    run 0 show $pattern --n 30 $problem --json
    says out '"match":"near_size"'
    says out '"n_tuned":20'
    run 1 show $pattern --n 20 --layout nk $problem --json
    says out '"match":"default"'
    run 0 show $pattern --n 20 $problem
    says out "why          tuned here for exactly this problem"
    SPARSETUNE_DB=t.db run 0 show $pattern --n 20 --threads 1 --json
    says out '"match":"exact"'
}
run 2 show --n 3
says err "expected a PATTERN"
run 2 show $pattern
says err "expected --n"
lines out 0
run 3 show missing.smtx --n 3
lines err 1
echo 'not a pattern' >bad.smtx
run 3 show bad.smtx --n 3 --db none.db # the notice about the database explains no answer
lines err 1
says err bad.smtx
run 1 show uniform:8x8@1 --n 3 --threads 1 --db t.db
says out "expected     not known"
echo 'no database, only a sentence that is long enough to be read as one' >text.db
run 1 show $pattern --n 3 --db text.db --json
lines out 1
says err text.db

# ---- space ----
run 0 space --json
fields family op dtype device axes points_valid summary available why revision default_point
for name in spmm_csr_panel spmm_csr_rows spmm_dense_blas spmm_dense_onednn sddmm_csr_rows; do
    says out "\"family\":\"$name\""
done
run 0 space spmm_csr_panel --json
lines out 1
says out '"device":"cpu"'
run 0 space
says out "points valid"
run 0 space spmm_csr_rows --pattern uniform:4x4@0.5 --n 1 --json
lines out 1
run 2 space spmm_magic
says err "unknown family 'spmm_magic'"

# ---- a convolution's columns; the sentence names the file ----
run 0 generate uniform:6x35@0.7 -o odd.smtx
for command in "show odd.smtx" "bench odd.smtx" "tune odd.smtx --budget 1 --db odd.db"; do
    # shellcheck disable=SC2086 # words are wanted
    run 3 $command --op conv2d --image 7x6s2
    says err "odd.smtx: expected columns for the 3x3 windows of conv2d, a multiple of 9, found 35"
done

# ---- device ----
run 0 device --json
lines out 1
fields key kind name vendor isa isa_set family model threads l1d_bytes l2_bytes l3_bytes os libraries
run 0 device
says out "key       cpu|"
SPARSETUNE_ISA=plain run 0 device --json
says out '"isa":"plain"'
SPARSETUNE_ISA=magic run 3 device
says err "SPARSETUNE_ISA"
run 2 device now

finish
