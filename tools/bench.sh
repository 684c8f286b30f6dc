#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# `make bench`: tunes a suite, then races the winners against every rival that is found, all in one run.
# BENCH_SUITE=FILE.json, BENCH_DB=FILE, BENCH_FLAGS="--threads 1 --layout nk", BENCH_BUDGET=200, BENCH_OUT=FOLDER.
set -eu -o pipefail
cd "$(dirname "$0")/.."
program=$1/sparsetune
out=${BENCH_OUT:-build/bench}
suite=${BENCH_SUITE:-configs/demo.json}
db=${BENCH_DB:-$out/bench.db}
mkdir -p "$out"
export LD_LIBRARY_PATH=$PWD/build/rivals/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
# MKL's own OpenMP beside ours would make two teams that spin on each other's cores.
export MKL_THREADING_LAYER=GNU
# shellcheck disable=SC2086 # flags are words
"$program" tune --suite "$suite" --db "$db" --budget "${BENCH_BUDGET:-200}" ${BENCH_FLAGS:-} >"$out/tune.txt"
{
    "$program" device
    # shellcheck disable=SC2086
    "$program" bench --suite "$suite" --db "$db" --plot "$out/bench.svg" --page "$out/bench.md" --ceilings ${BENCH_FLAGS:-}
} | tee "$out/bench.txt"
