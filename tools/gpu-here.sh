#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# `make gpu-test`, `gpu-tune`, `gpu-bench` on this machine: gpu-here.sh BUILD_FOLDER test|tune|bench. The page that comes
# of it goes to docs/results/, named after the chip. Without a GPU it says what would be needed, and fails.
set -u
cd "$(dirname "$0")/.." || exit 1
build=$1 verb=$2
if ! "$build/gpu/bin/sparsetune" device --device "${GPU_DEVICE:-cuda:0}" >/dev/null 2>"$build/gpu/no-device"; then
    echo "gpu-$verb: $(sed 's/^sparsetune: //' "$build/gpu/no-device"); nothing was run."
    echo "\`make gpu-bundle\` makes $build/gpu.tar: unpack it on a machine with a GPU and run gpu/gpu.sh $verb there."
    exit 1
fi
[ -f "$build/gpu/layers.json" ] || GPU_ARCHS='' tools/gpu-bundle.sh "$build" || exit 1
cp tools/gpu.sh tools/gpu-report.awk "$build/gpu/"
"$build/gpu/gpu.sh" "$verb"
code=$?
chip=$(sed -n '1s/^# CUDA families on //p' "$build/gpu/results/report.md" | tr -cs 'A-Za-z0-9\n' '-' | sed 's/-$//')
results=${GPU_RESULTS:-docs/results}
mkdir -p "$results"
cp "$build/gpu/results/report.md" "$results/$(date -u +%F)-cuda-$chip.md" && echo "$results/$(date -u +%F)-cuda-$chip.md"
exit $code
