#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# From a miss to an exact answer: an application records what it did not find, tune --from tunes just that.
# usage: tests/test_capture.sh BUILD_FOLDER
# shellcheck source=tests/cli.sh
. "$(dirname "$0")/cli.sh"
problem="--threads 1 --layout nk --epilogue bias --db t.db"
# shellcheck disable=SC2086 # words are wanted
{
    SPARSETUNE_RECORD=misses.jsonl "$program" show uniform:48x64@0.8 --n 20,33 $problem --json >out 2>err
    [ "$(wc -l <misses.jsonl)" = 2 ] || wrong "expected two misses, found: $(cat misses.jsonl err)"
    [ "$(find misses.jsonl.d -name '*.smtx' | wc -l)" = 1 ] || wrong "expected one pattern: $(ls misses.jsonl.d)"
    "$program" tune --from misses.jsonl --budget 3 --db t.db --json >out 2>err || wrong "tune --from fails: $(cat err)"
    [ "$(wc -l <out)" = 2 ] || wrong "expected two tuned problems, found: $(cat out)"
    SPARSETUNE_RECORD=more.jsonl "$program" show uniform:48x64@0.8 --n 20,33 $problem --json >out 2>err ||
        wrong "show exits with $?: $(cat err)"
    [ "$(grep -c '"match":"exact"' out)" = 2 ] || wrong "expected two exact answers, found: $(cat out)"
    [ ! -e more.jsonl ] || wrong "an exact answer was recorded: $(cat more.jsonl)"
    "$program" tune --from none.jsonl --db t.db >out 2>err && wrong "a missing file of misses is no error"
    grep -q none.jsonl err || wrong "the sentence does not name the file: $(cat err)"
}
finish misses and answers
