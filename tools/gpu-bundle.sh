#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Fill the bundle that a machine with a GPU needs and nothing else: gpu-bundle.sh BUILD_FOLDER. The programs are linked
# before; here come the patterns, compiled kernels for GPU_ARCHS (sm_90; "" for none), the compilers that compile the
# others there (NVRTC and nvJitLink, 200 MB; not with GPU_COMPILERS=none) and the script that runs it all.
set -eu -o pipefail
cd "$(dirname "$0")/.."
bundle=$1/gpu
data=${SPARSETUNE_TEST_DATA:-../shared/data}/patterns
archs=${GPU_ARCHS-sm_90}
mkdir -p "$bundle/patterns" "$bundle/cache" "$bundle/results"
cp tools/gpu.sh tools/gpu-report.awk "$bundle/"
cmocka=$(ldd "$bundle/bin/test_cuda_device" | awk '/libcmocka/ { print $3 }')
[ -f "$cmocka" ] && cp -L "$cmocka" "$bundle/bin/"

# Layers: the real patterns where they are, otherwise generated ones with the shapes of ResNet-50 and a Transformer.
layers() {
    if [ -f "$data/manifest.csv" ]; then
        awk -F, 'NR > 1 { print "patterns/" $1, $7 }' "$data/manifest.csv"
    else
        local shape
        for shape in 512x512@0.7:256 512x512@0.9:256 2048x512@0.9:256 512x2048@0.95:256 256x64@0.9:3136 \
            512x128@0.9:784 1024x256@0.95:196 2048x512@0.9:49; do
            echo "uniform:${shape%:*} ${shape#*:}"
        done
    fi
}
[ -f "$data/manifest.csv" ] && cp -u "$data"/*.smtx "$bundle/patterns/"
suite() { # suite NAME: lines "pattern n" or "pattern image" to a suite
    awk -v name="$1" 'BEGIN { printf "{\"name\": \"%s\", \"layers\": [", name }
        { printf "%s\n  {\"pattern\": \"%s\", ", (NR > 1 ? "," : ""), $1 }
        $2 ~ /x/ { printf "\"image\": \"%s\", \"op\": \"conv2d\"}", $2; next }
        { printf "\"n\": %d}", $2 }
        END { print "\n]}" }'
}
layers | suite layers >"$bundle/layers.json"
layers | awk '$1 ~ /tf_|st_|uniform/ { print $1, 64 }' | suite sddmm >"$bundle/sddmm.json"
for sparsity in 0.5 0.9; do
    for n in 1 4 8; do
        echo "uniform:4096x4096@$sparsity $n"
    done
done | suite skinny >"$bundle/skinny.json"

# ResNet-50's 3x3 layers at 91 and 96 % zeros, as SparseRT has them; the seed tells those of stride 2 from the others.
for sparsity in 0.91 0.96; do
    for layer in 64x576:56x56 128x1152:28x28 256x2304:14x14 512x4608:7x7 128x1152:56x56s2 256x2304:28x28s2 512x4608:14x14s2; do
        seed=$(case $layer in *s2) echo ":seed=2" ;; esac)
        echo "skew:${layer%:*}@$sparsity$seed ${layer#*:}"
    done
done | suite conv3x3 >"$bundle/conv3x3.json"
# 2:4: squares, and BERT's matrices with 512 tokens.
for shape in 1024x1024:1024 2048x2048:2048 4096x4096:4096 8192x8192:8192 768x768:512 3072x768:512 768x3072:512; do
    echo "nm:${shape%:*}@2:4 ${shape#*:}"
done | suite nm24 >"$bundle/nm24.json"

# From where the loader finds them, else the toolkit's folder. Searches ask for points that nobody can compile ahead.
compilers() {
    local folder
    for folder in $(ldconfig -p 2>/dev/null | awk '/libnvrtc\.so\.1[0-9] / { print $NF }' | xargs -r -n1 dirname) \
        /usr/local/cuda/lib64; do
        [ -f "$folder/libnvrtc.so" ] || continue
        cp -uL "$folder"/libnvrtc.so.[0-9][0-9] "$folder"/libnvrtc-builtins.so.[0-9]*.[0-9] "$folder"/libnvJitLink.so.[0-9][0-9] \
            "$bundle/bin/" && return
    done
    echo "gpu-bundle: no compilers were found; where there are none either, only the kernels that are compiled now can be tuned" >&2
}
rm -f "$bundle"/bin/libnv*
[ "${GPU_COMPILERS-}" = none ] || compilers

if [ -n "$archs" ]; then
    for op_dtype in "spmm f32" "spmm f16" "sddmm f32" "conv2d f32"; do
        read -r op dtype <<<"$op_dtype"
        SPARSETUNE_CACHE=$bundle/cache "$bundle/bin/sparsetune" compile --arch "$archs" --op "$op" --dtype "$dtype" \
            ${GPU_SAMPLE:+--sample "$GPU_SAMPLE"} >/dev/null || true
    done
fi
tar -C "$1" -cf "$1/gpu.tar" gpu
echo "$1/gpu.tar: $(du -h "$1/gpu.tar" | cut -f1), $(find "$bundle/cache" -name '*.cubin' | wc -l) compiled kernels, $(find "$bundle/bin" -name 'libnv*' | wc -l) files of compilers, $(grep -c '"n"' "$bundle/layers.json") layers"
