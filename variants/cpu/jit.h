/* SPDX-License-Identifier: Apache-2.0 */
/* What all families of generated x86 code ask for. */
#ifndef SPT_VARIANTS_CPU_JIT_H
#define SPT_VARIANTS_CPU_JIT_H

#include "variants/codegen/code_pages.h"
#include "variants/family.h"

#define JIT_VISIT_NS 5.0 /* what a call of a block's code takes; measured */

static inline spt_status jit_available(const char *family, const spt_device *device) {
#if defined(__x86_64__)
    if (device->isa < SPT_ISA_AVX2)
        return spt_fail(SPT_EUNSUPPORTED, "%s: expected AVX2 or AVX-512", family);
    return spt_code_pages_available();
#else
    (void)device;
    return spt_fail(SPT_EUNSUPPORTED, "%s: expected an x86-64 processor", family);
#endif
}

/* Rows, or columns, are dealt out evenly to as few blocks of at most r as will do. */
static inline int jit_rows_per_block(int64_t m, int32_t r) {
    const int64_t n_blocks = (m + r - 1) / r;
    return n_blocks == 0 ? r : (int)((m + n_blocks - 1) / n_blocks);
}

/* Does it matter which rows, or columns, make a block? Where a fifth of A is there, any of them share much. */
static inline bool jit_order_matters(const spt_pattern *pattern) {
    return 5.0 * (double)pattern->nnz < (double)pattern->n_rows * (double)pattern->n_cols;
}

#endif
