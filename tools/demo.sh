#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The main job on eight layers: make patterns, tune them, look the winners up through the runtime, run one and check it.
# demo.sh BUILD_DIR. Everything it writes is in a temporary folder that is removed.
set -eu
build=$1
folder=$(mktemp -d "${TMPDIR:-/tmp}/sparsetune-demo.XXXXXX")
trap 'rm -rf "$folder"' EXIT
start=$SECONDS
export SPARSETUNE_DB=$folder/demo.db

echo "Tuning eight layers with the shapes and sparsities of ResNet-50 and a Transformer (configs/demo.json)"
echo
"$build/sparsetune" tune --suite configs/demo.json --budget 80
echo
echo "What the runtime finds for two of them (same seed, so the same patterns):"
"$build/sparsetune" generate skew:512x128@0.9 -o "$folder/resnet_1x1_512.smtx"
"$build/sparsetune" generate skew:512x512@0.9 -o "$folder/attention_90.smtx"
"$build/sparsetune" show "$folder/resnet_1x1_512.smtx" --n 784 --epilogue bias_relu
"$build/sparsetune" show "$folder/attention_90.smtx" --n 256 --layout nk --epilogue bias
echo
echo "Running one through the library and checking its result (examples/infer.c):"
"$build/infer" "$folder/resnet_1x1_512.smtx" 784 kn bias_relu "$SPARSETUNE_DB"
echo
echo "Done in $((SECONDS - start)) s."
