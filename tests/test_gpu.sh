#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The GPU's half of the program, rehearsed without a GPU: stand-ins for the driver, NVRTC and nvJitLink run kernels in
# the emulator, everything else is what a machine with a chip runs: tune, resume, show, bench, the device test, the
# bundle's script and its report. And without even those: every command says so in one sentence.
# usage: tests/test_gpu.sh BUILD_FOLDER
set -u
build=$(cd "$1" && pwd)
root=$PWD
if [ ! -f "$build/fake/libcuda.so.1" ]; then
    echo "this build has no CUDA support: the toolkit's headers were not found"
    exit 77
fi
if grep -q -- '-fsanitize=' "$build/flags"; then
    echo "a sanitizer and the emulator's fibers do not agree"
    exit 77
fi
folder=$(mktemp -d "${TMPDIR:-/tmp}/sparsetune-gpu-XXXXXX") || exit 1
trap 'rm -rf "$folder"' EXIT
cd "$folder" || exit 1
n_checks=0 n_wrong=0
expect() { # expect NAME COMMAND...
    local name=$1
    shift
    n_checks=$((n_checks + 1))
    "$@" && return
    n_wrong=$((n_wrong + 1))
    echo "WRONG: $name"
    tail -3 out err 2>/dev/null
}
code_is() { # code_is CODE COMMAND...
    local wanted=$1
    shift
    timeout 300 "$@" >out 2>err </dev/null
    local code=$?
    [ $code = "$wanted" ] || echo "exit $code instead of $wanted: $*"
    [ $code = "$wanted" ]
}
one_sentence() { [ "$(wc -l <err)" = 1 ] && grep -q "$1" err; }
program=$build/sparsetune
export XDG_DATA_HOME=$folder XDG_CACHE_HOME=$folder
unset SPARSETUNE_DB SPARSETUNE_CACHE SPARSETUNE_RECORD

# ---- no device ----
export SPARSETUNE_CUDA=off
layer="uniform:24x40@0.8 --n 12"
for command in "device --device cuda:0" "tune $layer --device cuda:0" "show $layer --device cuda:0" "bench $layer --device cuda:0"; do
    # shellcheck disable=SC2086 # words
    expect "$command without a device fails" code_is 3 "$program" $command
    expect "$command says it in one sentence" one_sentence "no CUDA device"
    expect "$command prints nothing" test ! -s out
done
expect "compile without NVRTC fails" code_is 3 "$program" compile --arch sm_90
expect "compile says it in one sentence" one_sentence "libnvrtc was not found"
expect "a space is listed all the same" code_is 0 "$program" space spmm_csr_subwarp --json
expect "with its points" grep -q '"device":"cuda".*"points_valid":[1-9]' out
expect "and says that there is no device" grep -q '"available":false' out
expect "an unknown architecture is a usage error" code_is 2 "$program" compile --arch sm_1
expect "a family without a kernel is one, too" code_is 2 "$program" compile spmm_csr_rows --arch sm_90
tensors='{"a":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[1,2],"data_offsets":[8,16]}}'
printf "\\x$(printf %x ${#tensors})\0\0\0\0\0\0\0%s\0\0\200\77\0\0\0\0\0\0\200\77\0\0\0\0" "$tensors" >two.safetensors
expect "a model of two matrices is not compiled in part" code_is 3 "$program" compile --arch sm_90 --pattern two.safetensors
expect "and the sentence says so" one_sentence "two.safetensors: expected one matrix, found 2"
expect "no database was made" test ! -e "$folder/sparsetune/tune.db"

# ---- the emulated device ----
export SPARSETUNE_CUDA=kernels LD_LIBRARY_PATH=$build/fake SPT_SIMT_ROOT=$root SPT_SIMT_CC=${SPT_SIMT_CC:-${CC:-cc}}
expect "the device has a key" code_is 0 "$program" device --device cuda:0 --json
expect "of the right form" grep -q '"key":"cuda|SIMT emulator, no GPU|9.0|2|1"' out
expect "kernels are compiled by two jobs" code_is 0 "$program" compile spmm_csr_subwarp --arch sm_90 --dtype f32 --sample 2 --jobs 2 --json
expect "one line per point" test "$(grep -c '"status":"ok"' out)" = 3
expect "again from the cache" code_is 0 "$program" compile spmm_csr_subwarp --arch sm_90 --dtype f32 --jobs 1 --json
expect "and it says so" grep -q '"is_cached":true' out
expect "a cover ends in time" code_is 1 "$program" compile sddmm_csr_subwarp --cover --arch sm_90 --time 0.01 --jobs 1 --json
expect "and says what is left" grep -q 'sm_90: [0-9]* valid points, [0-9]* different texts' err
expect "and how much" grep -q '[0-9]* points are left' err
expect "a chip, a width and a family count once" code_is 0 "$program" compile spmm_skinny_warp spmm_skinny_warp --arch sm_90,sm_90 --n 8,8 --dtype f16 --json
expect "in one line" test "$(grep -c '"status":"ok"' out)" = 1
expect "every width is served" code_is 0 "$program" compile spmm_skinny_warp spmm_csr_subwarp --arch sm_90 --n 1,128 --dtype f32 --json
expect "where a family has a point for it" test "$(grep -c '"status":"ok"' out)" = 3
expect "where none has one" code_is 0 "$program" compile spmm_skinny_warp spmm_csr_subwarp --arch sm_90 --n 12 --dtype f32 --json
expect "the family is named" grep -q 'left out: spmm_skinny_warp has no point with a kernel for any usual pattern with n 12 in f32 on sm_90' err
expect "a family of another pattern gets its pattern" code_is 0 "$program" compile spmm_24_mma --arch sm_90 --dtype f16 --jobs 1 --json
expect "and compiles" grep -q '"family":"spmm_24_mma".*"status":"ok"' out
expect "a family of another operation is a usage error" code_is 2 "$program" compile spmm_24_mma --op sddmm --arch sm_90
expect "in one sentence" one_sentence "expected families of --op sddmm, found spmm_24_mma, which is of spmm"
expect "so is a device" code_is 2 "$program" compile --device cuda:0 --arch sm_90
expect "in one sentence, too" one_sentence "expected --arch alone, found --device cuda:0"
expect "and a cover of one width" code_is 2 "$program" compile --cover --n 8 --arch sm_90
expect "it is not everything at once" code_is 2 "$program" compile --cover --all --arch sm_90

# ---- what cannot be compiled, and what was not kept, is an error in one sentence ----
one="compile spmm_csr_subwarp --arch sm_90 --dtype f32"
expect "no valid point is a failure" code_is 3 "$program" compile spmm_24_mma --arch sm_90 --dtype f32
expect "named" one_sentence "expected a point to compile, found none: spmm_24_mma has no f32"
expect "so is a cover of baked families" code_is 3 "$program" compile spmm_ptx_baked --cover --arch sm_90
expect "named, too" one_sentence "expected a family for --cover, found spmm_ptx_baked, which bakes the pattern"
expect "a convolution has nine columns a channel" code_is 3 "$program" compile --op conv2d --image 7x6 --pattern uniform:6x35@0.7 --arch sm_90
expect "or is refused" one_sentence "uniform:6x35@0.7: expected columns for the 3x3 windows of conv2d, a multiple of 9, found 35"
expect "also by its family's name" code_is 3 "$program" compile conv3x3_ptx_baked --pattern uniform:6x35@0.7 --arch sm_90
expect "the default pattern is any family's" code_is 0 "$program" compile conv2d_csr_pixels --dtype f32 --arch sm_90
# shellcheck disable=SC2086
expect "a cache that cannot be is a failure" code_is 3 env SPARSETUNE_CACHE=/dev/null/cache "$program" $one
expect "with its path" one_sentence "/dev/null/cache/compiler: cannot be created"
# shellcheck disable=SC2086
expect "no cache at all is none" code_is 0 env SPARSETUNE_CACHE=off "$program" $one
# shellcheck disable=SC2086
(ulimit -f 1 && exec "$program" $one --json) >/dev/null 2>&1 # nothing is written
expect "what is cached needs no disk" test $? = 0
for binary in "$folder"/sparsetune/*.cubin; do # folders are in the way
    mkdir -p "small/$(basename "$binary")"
done
# shellcheck disable=SC2086
expect "a binary that is not kept is a failure" code_is 1 env SPARSETUNE_CACHE="$folder/small" "$program" $one --json
expect "and says so" grep -q '"status":"the cache took no binary: .*/small/.*cubin: expected a regular file or none, found a directory"' out
mkdir linked && echo mine >mine
for binary in "$folder"/sparsetune/*.cubin; do
    ln -s "$folder/mine" "linked/$(basename "$binary")"
done
# shellcheck disable=SC2086
expect "a link in the cache is replaced" code_is 0 env SPARSETUNE_CACHE="$folder/linked" "$program" $one --json
expect "and not written through" test "$(cat mine)" = mine
limit=$(($(find linked -type f -name '*.cubin' -printf '%s\n' | sort -n | head -1) / 1024)) # a binary is larger
# shellcheck disable=SC2086
(trap '' XFSZ && ulimit -f $limit && SPARSETUNE_CACHE="$folder/full" exec "$program" $one --jobs 1 --json) >out 2>err
expect "a full cache is a failure" test $? = 1
expect "with its reason" grep -q '"status":".*/full/.*cubin: cannot be written: File too large"' out
chmod 755 "$folder" && chmod -R a+rX sparsetune && chmod a-w sparsetune
unwritable=()
[ "$(id -u)" != 0 ] || unwritable=(setpriv --reuid=65534 --clear-groups)
if "${unwritable[@]}" test -x "$program"; then
    # shellcheck disable=SC2086
    expect "a cache that takes nothing and has everything serves" code_is 0 "${unwritable[@]}" "$program" $one --json
    expect "from the cache" grep -q '"is_cached":true' out
else
    echo "SKIP a cache that takes nothing: another user cannot run the program"
fi
chmod u+w sparsetune

tune="tune $layer --device cuda:0 --families spmm_csr_subwarp --budget 3 --db t.db --json"
# shellcheck disable=SC2086
expect "tune finds a winner" code_is 0 "$program" $tune
expect "of the family" grep -q '"device":"cuda:0","family":"spmm_csr_subwarp"' out
# shellcheck disable=SC2086
expect "tune goes on where it stopped" code_is 0 "$program" $tune
expect "and measures nothing twice" grep -q '"measured":0' out
# shellcheck disable=SC2086
expect "show knows it" code_is 0 "$program" show $layer --device cuda:0 --db t.db --json
expect "exactly" grep -q '"match":"exact","family":"spmm_csr_subwarp"' out
# shellcheck disable=SC2086
expect "the CPU does not" code_is 1 "$program" show $layer --db t.db --json
# shellcheck disable=SC2086
expect "cold caches are measured" code_is 0 "$program" ${tune/--db t.db/--cache cold --db cold.db}
# shellcheck disable=SC2086
expect "f16 is measured" code_is 0 "$program" ${tune/--db t.db/--dtype f16 --db t.db}
expect "no process stays behind" test "$(pgrep -cf "$program compile" || true)" = 0
expect "every family equals the reference" code_is 0 env SPT_TEST_POINTS=0 SPT_TEST_FAMILY=sddmm_csr_subwarp "$build/tests/test_cuda_device"
expect "and says where" grep -q "sddmm_csr_subwarp: [0-9]* variants on SIMT emulator" out

# ---- cuDNN, a stand-in of which is beside the others; nothing is tuned, so races exit with 1 ----
conv="uniform:6x36@0.7 --op conv2d --image 7x6s2 --epilogue bias_add_relu --device cuda:0 --db conv.db --json"
# shellcheck disable=SC2086
expect "cuDNN is a contender" code_is 1 env SPARSETUNE_CUDA=on "$program" bench $conv --against cudnn
expect "by the algorithms that take the layer" test "$(grep -c '"contender":"dense_cudnn_' out)" = 5
expect "verified like ours" grep -q '"contender":"dense_cudnn_implicit_gemm","family":"conv2d_dense_cudnn"' out
expect "every point equals the reference" code_is 0 env SPARSETUNE_CUDA=on SPT_TEST_POINTS=7 SPT_TEST_FAMILY=conv2d_dense_cudnn "$build/tests/test_cuda_device"
expect "and says where" grep -q "conv2d_dense_cudnn: [0-9]* variants on SIMT emulator" out
# shellcheck disable=SC2086
expect "without cuDNN the race is run" code_is 1 "$program" bench $conv --against cudnn
expect "and cuDNN is named" grep -q 'dense_cudnn_implicit_gemm: not found' err

# ---- the bundle's script ----
mkdir -p gpu/bin gpu/cache
cp "$root/tools/gpu.sh" "$root/tools/gpu-report.awk" gpu/
ln -s "$program" gpu/bin/sparsetune
printf '#!/bin/sh\n[ "$SPT_TEST_FAMILY" = spmm_csr_staged ] || exec "%s"\necho "ERROR: spmm_csr_staged planted"\nexit 1\n' \
    "$build/tests/test_cuda_device" >gpu/bin/test_cuda_device
chmod +x gpu/bin/test_cuda_device
for suite in layers skinny sddmm nm24; do
    printf '{"name": "%s", "layers": [\n  {"pattern": "uniform:16x32@0.9", "n": 4}\n]}\n' $suite >gpu/$suite.json
done
printf '{"name": "conv3x3", "layers": [\n  {"pattern": "uniform:6x36@0.7", "image": "7x6s2", "op": "conv2d"}\n]}\n' >gpu/conv3x3.json
export SPT_TEST_POINTS=0 GPU_BUDGET=2
for family in spmm_csr_subwarp sddmm_csr_subwarp spmm_skinny_warp spmm_bitmap_mma spmm_24_mma spmm_vector_mma spmm_vnm_mma; do
    echo "$family ok: 1 variants on an earlier call" >>gpu/done
done
expect "a report can be made of nothing" code_is 0 gpu/gpu.sh report
mv gpu/done gpu/results/test.txt
expect "tests go on, and a failure fails" code_is 1 gpu/gpu.sh test
expect "what passed is not run again" test "$(grep -c '^spmm_csr_subwarp' gpu/results/test.txt)" = 1
expect "what failed is named" grep -q '^spmm_csr_staged FAILED: ERROR: spmm_csr_staged planted' gpu/results/test.txt
expect "libraries that are absent are skipped" grep -q '^spmm_cusparse skipped' gpu/results/test.txt
GPU_SECONDS=200 expect "tuning fits its time" code_is 0 gpu/gpu.sh tune
expect "races run" code_is 0 gpu/gpu.sh bench
n_lines=$(cat gpu/results/bench-*.jsonl | wc -l)
expect "races are not run again" code_is 0 gpu/gpu.sh bench
expect "really not" test "$(cat gpu/results/bench-*.jsonl | wc -l)" = "$n_lines"
echo '# built again' >>gpu/bin/test_cuda_device
expect "results of another build are put aside" code_is 0 gpu/gpu.sh report
expect "and kept" test -e "$(echo gpu/results/earlier-*/test.txt)"
expect "the page no longer has them" test "$(grep -c '^| uniform' gpu/results/report.md)" = 0
mv gpu/results/earlier-*/* gpu/results/
expect "the page names the device" grep -q '^# CUDA families on SIMT emulator, no GPU' gpu/results/report.md
expect "the page says that it is a rehearsal" grep -q 'No time on this page is a GPU' gpu/results/report.md
expect "no goal is met by an emulator" test "$(grep -c 'not measured |$' gpu/results/report.md)" = 11
expect "every layer has a row" test "$(grep -c '^| uniform:16x32@0.9 n=4' gpu/results/report.md)" = 3
expect "a convolution, too" grep -q '^| uniform:6x36@0.7 n=12 conv2d f32 | 6x36' gpu/results/report.md
SPARSETUNE_CUDA=off expect "without a device the script fails" code_is 2 gpu/gpu.sh bench
expect "in one sentence" one_sentence "no CUDA device.*nothing was run"

echo "test_gpu: $n_checks checks, $n_wrong wrong"
[ $n_wrong = 0 ]
