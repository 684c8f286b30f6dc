#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# `sparsetune prune`: rules, files in and out, hostile input, what other commands make of the result.
# usage: tests/test_prune.sh BUILD_FOLDER
# shellcheck source=tests/cli.sh
. "$(dirname "$0")/cli.sh"
# f32 COUNT: numbers 1, -2, 3, ... by their bytes
f32() {
    awk -v n="$1" 'BEGIN {
        for (i = 1; i <= n; i++) {
            e = int(log(i) / log(2)); if (2 ^ (e + 1) <= i) e++
            bits = (127 + e) * 8388608 + int((i / 2 ^ e - 1) * 8388608)
            if (i % 2 == 0) bits += 2147483648
            for (b = 0; b < 4; b++) { printf "\\%03o", bits % 256; bits = int(bits / 256) }
        }
    }'
}
# npy FILE SHAPE COUNT
npy() {
    header="{'descr': '<f4', 'fortran_order': False, 'shape': $2, }"
    {
        # shellcheck disable=SC2059 # the format holds the bytes
        printf "\\223NUMPY\\001\\000$(printf '\\%03o' $((${#header} + 1)))\\000"
        echo "$header"
        # shellcheck disable=SC2059
        printf "$(f32 "$3")"
    } >"$1"
}
npy w.npy "(4, 16)" 64
head -c 100 w.npy >cut.npy

# ---- every rule writes weights that other commands read ----
for rule in "--unstructured 0.75" "--nm 2:4" "--nm 1:4" "--nm 2:4 --permute" "--vnm 2:2:8" "--block 2x4@0.5" "--vector 4@0.5"; do
    # shellcheck disable=SC2086 # words are wanted
    run 0 prune w.npy $rule -o out.npy --json
    fields tensor file rule m k nnz sparsity magnitude_kept magnitude_kept_unpermuted magnitude_kept_greedy swaps \
        escapes ended_by_time seconds
    run 1 show out.npy --n 8 # 1: nothing is tuned
    case $rule in *--permute) [ -e out.permutation.npy ] ;; *) [ ! -e out.permutation.npy ] ;; esac || wrong "$rule: order"
done
run 0 prune w.npy --unstructured 0.75 -o out.npy
says out "4 x 16, 75.0 % zeros"
run 0 prune w.npy --nm 2:4 -o out.npy
says out "compressed and compared"
run 0 prune w.npy --vnm 2:2:8 -o out.npy
says out "4 x 16, 75.0 % zeros"
says out "compressed and compared"
run 0 prune w.npy --vnm 2:2:8 -o out.npy --compressed small.safetensors
says small.safetensors '"vnm":"2:2:8"'
says small.safetensors '"weight.values":{"dtype":"F32","shape":[4,4]'
says small.safetensors '"weight.metadata":{"dtype":"U8","shape":[4,1]'
says small.safetensors '"weight.columns":{"dtype":"I32","shape":[2,8]'

# ---- models: what is no weight is copied, compressed forms, one tensor as an array ----
run 0 prune w.npy --nm 2:4 --permute -o model.safetensors --compressed small.safetensors
says model.safetensors '"weight.permutation":{"dtype":"I32","shape":[16]'
says small.safetensors '"weight.values":{"dtype":"F32","shape":[4,8]'
says small.safetensors '"weight.metadata":{"dtype":"U8","shape":[4,2]'
run 0 prune model.safetensors --unstructured 0.9 -o sparse.safetensors
says sparse.safetensors '"weight.permutation":{"dtype":"I32","shape":[16]'
run 0 prune model.safetensors --unstructured 0.9 --tensor 'wei*' -o model.safetensors
run 1 show model.safetensors --n 8
run 0 prune model.safetensors --unstructured 0.9 -o one.npy
says err "one.npy: holds one tensor; 1 more of model.safetensors are left out, the first 'weight.permutation'"
run 0 prune model.safetensors --unstructured 0.9 -o all.safetensors
! grep -q 'left out' err || wrong "nothing is left out of a model: $(cat err)"
run 3 prune model.safetensors --unstructured 0.9 --tensor 'bias*' -o none.safetensors
says err "with a name like bias*, found none"

# ---- what a model has beside its weights stays: metadata, empty tensors; a stem's channels cannot be ordered ----
# model FILE HEADER BYTES: a .safetensors of that many zero bytes, or what the fourth argument prints
model() {
    {
        # shellcheck disable=SC2059 # the format holds the bytes
        printf "$(printf '\\%03o\\%03o' $((${#2} % 256)) $((${#2} / 256)))\000\000\000\000\000\000"
        printf '%s' "$2"
        # shellcheck disable=SC2059
        printf "$(f32 "$3")"
    } >"$1"
}
model whole.safetensors '{"__metadata__":{"format":"pt","note":"kept"},"empty":{"dtype":"F32","shape":[0,8],"data_offsets":[0,0]},"stem":{"dtype":"F32","shape":[2,3,2,2],"data_offsets":[0,96]},"fc":{"dtype":"F32","shape":[4,10],"data_offsets":[96,256]}}' 64
run 0 prune whole.safetensors --nm 2:4 --permute -o kept.safetensors --compressed small.safetensors
says kept.safetensors '"__metadata__":{"format":"pt","note":"kept"}'
says kept.safetensors '"empty":{"dtype":"F32","shape":[0,8],"data_offsets":[0,0]}'
says kept.safetensors '"stem.permutation":{"dtype":"I32","shape":[3]'
says out "stem: 2 x 12, 50.0 % zeros"
says out "(in the file's order: groups of 4 run across its 3 channels)"
says small.safetensors '"stem.shape":{"dtype":"I64","shape":[4]'
says small.safetensors '"fc.shape":{"dtype":"I64","shape":[2]'
says small.safetensors '"fc.values":{"dtype":"F32","shape":[4,6]'
run 0 prune whole.safetensors --nm 2:4 --permute -o kept.safetensors --json
says out '"order_fixed":true'
fields order_fixed
run 1 show kept.safetensors --n 8

# ---- an order beside a .npy is the one of these weights or none ----
run 0 prune w.npy --nm 2:4 --permute -o again.npy
run 0 prune again.npy --unstructured 0.9 -o again.npy
[ -e again.permutation.npy ] || wrong "an order that still holds was removed"
run 0 prune w.npy --nm 2:4 -o again.npy
[ ! -e again.permutation.npy ] || wrong "an order of earlier weights is left beside others"
says err "again.permutation.npy: removed"
run 0 prune w.npy --nm 2:4 --permute -o again.npy
run 3 prune cut.npy --nm 2:4 -o again.npy
[ -e again.permutation.npy ] || wrong "a run that failed removed an order"

# ---- links are written through ----
cp w.npy target.npy
ln -s target.npy link.npy
run 0 prune w.npy --nm 2:4 -o link.npy
[ -L link.npy ] || wrong "a link was replaced"
run 0 prune w.npy --nm 2:4 -o direct.npy
cmp -s target.npy direct.npy || wrong "what a link leads to was not written"
ln -s nowhere.npy loose.npy
run 3 prune w.npy --nm 2:4 -o loose.npy
says err "loose.npy: is a link that leads nowhere"

# ---- several files: all or none; a full disk has its name; signals leave nothing ----
mkdir full
model full/large.safetensors '{"a":{"dtype":"F32","shape":[4,1024],"data_offsets":[0,16384]}}' 4096
(
    ulimit -f 4 # blocks of 1024 bytes; the disk's size stands for it
    cd full || exit 1
    "$program" prune large.safetensors --nm 2:4 -o out.safetensors >out 2>err
    [ $? = 3 ] && grep -q 'out.safetensors: cannot be written: File too large' err
) || wrong "a full disk: $(cat full/err)"
rm full/err full/out
[ "$(ls full)" = large.safetensors ] || wrong "a full disk left $(ls full)"
(
    ulimit -f 18 # the weights fit, their order and the compressed form do not
    cd full || exit 1
    echo old >packed.safetensors
    echo old >out.safetensors
    "$program" prune large.safetensors --nm 2:4 --permute -o out.safetensors --compressed packed.safetensors >out 2>err
    [ $? = 3 ] && grep -q 'cannot be written: File too large' err && [ "$(cat out.safetensors packed.safetensors)" = "$(printf 'old\nold')" ]
) || wrong "one file of two: $(cat full/err)"
[ "$(find full -name '*.tmp')" = "" ] || wrong "a failed run left temporary files: $(ls full)"
if unshare -rm true 2>/dev/null; then
    mkdir disk
    # shellcheck disable=SC2016 # the inner shell's words
    unshare -rm sh -c 'mount -t tmpfs -o size=12k none disk && "$0" prune full/large.safetensors --nm 2:4 -o disk/out.safetensors 2>err; test $? = 3 && test -z "$(ls disk)"' "$program" ||
        wrong "a full disk left something"
    says err "disk/out.safetensors: cannot be written: No space left on device"
else
    echo "SKIP a full disk: no file system may be mounted here"
fi
npy wide.npy "(4, 4096)" 16384 # its search takes seconds: no signal comes after the end
heeding=() # who started this test may have had it ignore signals, as nohup does
env --default-signal=HUP true 2>/dev/null && heeding=(env --default-signal=HUP)
for signal in TERM INT HUP; do
    mkdir "$signal"
    # a shell's background jobs ignore SIGINT, so the job is made by one that does not
    (trap - INT && exec "${heeding[@]}" "$program" prune wide.npy --nm 2:4 --permute --time 60s -o "$signal/out.safetensors") >/dev/null 2>&1 &
    job=$!
    for _ in $(seq 100); do
        [ -n "$(ls "$signal")" ] && break
        sleep 0.05
    done
    [ -n "$(find "$signal" -name '*.tmp')" ] || wrong "nothing was begun before $signal"
    kill -s "$signal" $job
    wait $job 2>/dev/null
    [ $? -gt 128 ] || wrong "$signal did not end the run"
    [ -z "$(ls "$signal")" ] || wrong "$signal left $(ls "$signal")"
done

# ---- mistakes: one sentence, and nothing is written ----
refused() { # refused EXIT SENTENCE ARGUMENTS...
    code_wanted=$1 sentence=$2
    shift 2
    run "$code_wanted" prune "$@"
    says err "$sentence"
    [ "$(wc -l <err)" -le 2 ] || wrong "more than a sentence: $(head -c 300 err)"
    [ ! -e never.npy ] && [ ! -e never.safetensors ] || wrong "a refused run left a file: prune $*"
    [ -z "$(find . -name '*.tmp')" ] || wrong "a refused run left a temporary file: prune $*"
}
refused 2 "expected one of --unstructured" w.npy -o never.npy
refused 2 "expected one of --unstructured" w.npy --nm 2:4 --block 2x2@0.5 -o never.npy
refused 2 "expected N:M" w.npy --nm 3:5 -o never.npy
refused 2 "expected" w.npy --unstructured 1.5 -o never.npy
refused 2 "expected --block RxC@S" w.npy --block 2@0.5 -o never.npy
run 0 prune w.npy --block 8x16@0.5 -o out.npy
says err "w.npy: all of it is zero now: one block of 8 x 16 covers its 4 x 16 weights"
run 0 prune w.npy --block 8x16@0.4 -o out.npy
! grep -q 'all of it' err || wrong "what stays whole is no news: $(cat err)"
run 0 prune w.npy --block 8x4@0.5 -o out.npy
! grep -q 'all of it' err || wrong "four blocks of a whole column of rows are four blocks: $(cat err)"
run 0 prune w.npy --block 4x16@0.4 -o out.npy
refused 2 "expected -o" w.npy --nm 2:4
refused 2 "expected one file of weights" --nm 2:4 -o never.npy
refused 2 "expected weights in a .npy or .safetensors file" w.smtx --nm 2:4 -o never.npy
refused 2 "expected -o with a .npy or .safetensors file" w.npy --nm 2:4 -o never.smtx
refused 2 "expected --permute with --nm" w.npy --unstructured 0.5 --permute -o never.npy
refused 2 "expected --permute with --nm" w.npy --vnm 2:2:8 --permute -o never.npy
refused 2 "expected --compressed with --nm or --vnm" w.npy --unstructured 0.5 --compressed never.safetensors -o never.npy
refused 2 "expected V:N:M" w.npy --vnm 2:4 -o never.npy
refused 2 "expected --compressed with a .safetensors file" w.npy --nm 2:4 --compressed never.npy -o never.npy
refused 2 "expected --tensor with a .safetensors file" w.npy --nm 2:4 --tensor 'w*' -o never.npy
refused 2 "file of its own" w.npy --nm 2:4 -o never.safetensors --compressed ./never.safetensors
cp w.npy never3.permutation.npy
refused 2 "file of its own" never3.permutation.npy --nm 2:4 -o never3.npy
[ -e never3.permutation.npy ] || wrong "the input was removed as an order"
run 0 prune w.npy --nm 2:4 -o both.safetensors
refused 2 "file of its own" both.safetensors --nm 2:4 -o never.safetensors --compressed both.safetensors
cp w.npy never2.permutation.npy
refused 2 "file of its own" never2.permutation.npy --nm 2:4 --permute -o never2.npy
cp w.npy placed.npy
run 0 prune placed.npy --nm 2:4 --permute -o placed.npy
cp placed.permutation.npy first.npy
refused 2 "would be lost" placed.npy --nm 1:4 --permute -o placed.npy
cmp -s first.npy placed.permutation.npy || wrong "a second order replaced the first"
mkdir held.permutation.npy
run 3 prune w.npy --nm 2:4 --permute -o held.npy
[ ! -e held.npy ] || wrong "weights were written without their order"
"$program" prune w.npy --nm 2:4 -o alone.safetensors --json >&- 2>err
[ $? = 3 ] || wrong "a closed standard output passed for success"
cmp -s alone.safetensors both.safetensors || wrong "what was printed landed in the file"
refused 3 "missing.npy" missing.npy --nm 2:4 -o never.npy
refused 3 "cut.npy" cut.npy --nm 2:4 -o never.npy
refused 3 "cut.npy" cut.npy --nm 2:4 -o never.safetensors
printf '\377\377\377\377\377\377\377\177{}' >bad.safetensors
refused 3 "bad.safetensors" bad.safetensors --nm 2:4 -o never.safetensors
sed 's/(4, 16)/(8,  8)/' w.npy >square.npy
run 0 prune square.npy --nm 2:4 -o out.npy
finish
