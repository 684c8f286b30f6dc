#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# `make compile-all`: every valid point of every CUDA family for COMPILE_ARCHS (sm_80,sm_90), the defaults for all other
# architectures that are known. Binaries that are cached are not compiled again. COMPILE_SAMPLE=N takes N points only.
set -u
cd "$(dirname "$0")/.." || exit 1
program=$1/sparsetune
archs=${COMPILE_ARCHS:-sm_80,sm_90}
out=$1/compile-all
mkdir -p "$out"
code=0
for op in spmm sddmm; do
    echo "$op, $archs, ${COMPILE_SAMPLE:-every} valid points:"
    if [ -n "${COMPILE_SAMPLE:-}" ]; then
        "$program" compile --op $op --arch "$archs" --sample "$COMPILE_SAMPLE" --json >"$out/$op.jsonl" || code=1
    else
        "$program" compile --op $op --arch "$archs" --all --json >"$out/$op.jsonl" || code=1
    fi
    grep -v '"status":"ok"' "$out/$op.jsonl" | head -5
    grep '"is_default":true' "$out/$op.jsonl" | grep -v '"spill_bytes":0,' | head -5
    echo "$op, every known architecture, defaults:"
    "$program" compile --op $op --arch all --json >"$out/$op-defaults.jsonl" || code=1
    grep -v '"status":"ok"' "$out/$op-defaults.jsonl" | cut -c1-300 | head -5
done
exit $code
