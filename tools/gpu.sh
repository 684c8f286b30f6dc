#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What is to be done on a machine with a GPU, from a bundle that needs no installation there: gpu.sh test|tune|bench|report
#   test   every CUDA family against the reference on the chip
#   tune   searches, into results/tune.db
#   bench  winners against cuBLAS, cuSPARSE, cuSPARSELt and cuDNN, interleaved
#   report one page of all that is known so far: results/report.md
# Each stops within GPU_SECONDS (480) and goes on where it stopped when it is called again; test, tune and bench write
# the report at their end. Exit code 0 all done, 1 something is left or failed, 2 no GPU.
set -u
cd "$(dirname "$0")" || exit 1
verb=${1:-}
limit=${GPU_SECONDS:-480}
device=${GPU_DEVICE:-cuda:0}
out=results
program=bin/sparsetune
mkdir -p "$out" cache
export SPARSETUNE_CACHE=${SPARSETUNE_CACHE:-$PWD/cache} LD_LIBRARY_PATH=$PWD/bin${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
# NVIDIA's libraries where Python packages have them
for folder in $(find / -xdev \( -name 'libcusparseLt.so*' -o -name 'libcublasLt.so*' -o -name 'libnvrtc.so.1*' \
    -o -name 'libcusparse.so.1*' -o -name 'libcudnn.so.*' \) -not -path '*/stubs/*' 2>/dev/null | xargs -r -n1 dirname | sort -u); do
    SPARSETUNE_CUDA_PATH=${SPARSETUNE_CUDA_PATH:+$SPARSETUNE_CUDA_PATH:}$folder
done
export SPARSETUNE_CUDA_PATH=${SPARSETUNE_CUDA_PATH:-}

if ! "$program" device --device "$device" --json >"$out/device.json" 2>"$out/no-device"; then
    echo "$(sed 's/^sparsetune: //' "$out/no-device"); nothing was run, and no figure was made" >&2
    rm -f "$out/device.json"
    exit 2
fi
rm -f "$out/no-device"
# Results are of one chip and one build: those of others are put aside. The database knows whose its trials are.
identity="$(cat "$out/device.json") $(cat "$program" bin/test_cuda_device | cksum)"
if [ "$identity" != "$(cat "$out/identity" 2>/dev/null)" ]; then
    earlier=$out/earlier-$(date -u +%Y%m%dT%H%M%S)
    for file in "$out"/{test.txt,test-*.log,bench-*.jsonl,report.md}; do
        [ -e "$file" ] && mkdir -p "$earlier" && mv "$file" "$earlier/"
    done
    echo "$identity" >"$out/identity"
fi
left() { echo $((limit - SECONDS)); }

# One family after the other; a family that passed is not run again.
run_test() {
    local family families failed=0
    export SPT_TEST_POINTS=${SPT_TEST_POINTS:-6}
    families=$("$program" space --json 2>"$out/space.log" | awk '/"device":"cuda"/ { match($0, /"family":"[^"]*"/);
        print substr($0, RSTART + 10, RLENGTH - 11) }')
    [ -n "$families" ] || {
        echo "$program lists no CUDA family: $(cat "$out/space.log")" >&2
        return 1
    }
    for family in $families; do
        grep -q "^$family ok" "$out/test.txt" 2>/dev/null && continue
        [ "$(left)" -gt 10 ] || return 1
        if SPT_TEST_FAMILY=$family timeout "$(left)" bin/test_cuda_device >"$out/test-$family.log" 2>&1; then
            if grep -q "^SKIP" "$out/test-$family.log"; then
                echo "$family skipped: $(sed -n 's/^SKIP: //p' "$out/test-$family.log" | head -1)" >>"$out/test.txt"
            else
                echo "$family ok: $(grep -o "[0-9]* variants on.*" "$out/test-$family.log")" >>"$out/test.txt"
            fi
        else
            echo "$family FAILED: $(grep -m1 "$family" "$out/test-$family.log" | cut -c1-300)" >>"$out/test.txt"
            failed=1
        fi
    done
    return $failed
}

# suite, options, share of the time that is left
tune_one() {
    local suite=$1 options=$2 seconds=$(($(left) * $3 / 100))
    [ "$seconds" -gt 5 ] || return 1
    # shellcheck disable=SC2086 # options are words
    timeout $((seconds + 30)) "$program" tune --suite "$suite.json" --device "$device" --db "$out/tune.db" $options \
        --budget "${GPU_BUDGET:-80}" --time "${seconds}s" --json >"$out/tune-$suite.jsonl" 2>"$out/tune-$suite.log"
}
run_tune() {
    local code=0
    tune_one skinny "--dtype f16" 20 || code=1
    tune_one sddmm "--op sddmm" 20 || code=1
    tune_one conv3x3 "--op conv2d" 25 || code=1
    tune_one nm24 "--dtype f16" 25 || code=1
    tune_one layers "" 100 || code=1
    rm -f "$out"/bench-*.jsonl # races are of the winners before
    return $code
}

# One layer after the other, each with its n or its image; a layer that was raced is not raced again.
bench_one() {
    local suite=$1 options=$2 pattern size value code=0
    touch "$out/bench-$suite.jsonl"
    while read -r pattern size value; do
        grep -F "\"pattern\":\"$pattern\"," "$out/bench-$suite.jsonl" |
            grep -q "\"n\":$([ "$size" = n ] && echo "$value,")" && continue
        [ "$(left)" -gt 10 ] || return 1
        # shellcheck disable=SC2086 # options are words
        timeout "$(left)" "$program" bench "$pattern" "--$size" "$value" --device "$device" --db "$out/tune.db" $options --json \
            >"$out/one.jsonl" 2>>"$out/bench-$suite.log"
        [ $? -le 1 ] && [ -s "$out/one.jsonl" ] && cat "$out/one.jsonl" >>"$out/bench-$suite.jsonl" || code=1
    done < <(awk -F'"' '/"pattern"/ { gsub(/[^0-9]/, "", $7); print $4, $6, ($6 == "n" ? $7 : $8) }' "$suite.json")
    return $code
}
run_bench() {
    local code=0
    bench_one layers "" || code=1
    bench_one sddmm "--op sddmm" || code=1
    bench_one skinny "--dtype f16" || code=1
    bench_one conv3x3 "--op conv2d" || code=1
    bench_one nm24 "--dtype f16" || code=1
    return $code
}

report() {
    cat "$out"/device.json "$out"/test.txt "$out"/bench-{layers,sddmm,skinny,conv3x3,nm24}.jsonl 2>/dev/null |
        awk -v date="$(date -u +%F)" -f gpu-report.awk >"$out/report.md"
}

code=0
case $verb in
test) run_test || code=1 ;;
tune) run_tune || code=1 ;;
bench) run_bench || code=1 ;;
report) ;;
*)
    echo "usage: gpu.sh test|tune|bench|report" >&2
    exit 1
    ;;
esac
report
[ $code = 0 ] || echo "gpu.sh $verb: not all of it is done; call it again to go on"
echo "$out/report.md after $SECONDS s"
exit $code
