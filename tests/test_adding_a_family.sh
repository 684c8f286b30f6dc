#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The example of docs/ADDING_A_FAMILY.md is one file and one row: take its text, build it, test it, tune with it.
# usage: tests/test_adding_a_family.sh BUILD_FOLDER
set -u
case $(basename "$1") in
release) ;;
*)
    echo "skipped: the example is built as release, whatever the other tests are; this is $(basename "$1")"
    exit 77
    ;;
esac
folder=$(mktemp -d "${TMPDIR:-/tmp}/sparsetune-family-XXXXXX") || exit 1
trap 'rm -rf "$folder"' EXIT
fail() {
    echo "WRONG: $*"
    exit 1
}
cp -r Makefile core db examples include runtime search tools tuner variants tests "$folder" || fail "no copy of the sources"
mkdir -p "$folder/build"
sed -n '/^```c$/,/^```$/p' docs/ADDING_A_FAMILY.md | sed '/^```/d' >"$folder/variants/cpu/spmm_ell.c"
cd "$folder" || exit 1
echo 'SPT_FAMILY(spmm_ell)' >>variants/families.def
make -s -j"$(nproc)" MODE=release WERROR=1 CC="${CC:-gcc}" build/release/sparsetune build/release/tests/test_families >log 2>&1 ||
    fail "the example does not build: $(tail -5 log)"
build/release/tests/test_families >log 2>&1 || fail "the example is not right: $(grep -m3 ERROR log)"
build/release/sparsetune space spmm_ell --json | grep -q '"points_valid":2' || fail "the space has not two valid points"
build/release/sparsetune tune nm:64x128@2:8 --n 96 --families spmm_ell --budget 20 --threads 1 --db t.db --json >out 2>err ||
    fail "tune: $(tail -1 err)"
grep -q '"failed":0' out || fail "a trial of the example failed: $(cat out)"
echo "the example builds, passes $(grep -c OK log) family tests and tunes"
