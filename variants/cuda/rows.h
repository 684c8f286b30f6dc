/* SPDX-License-Identifier: Apache-2.0 */
/* What packings of CUDA families share: orders of rows, elements of any type, small integer arithmetic. */
#ifndef SPT_VARIANTS_CUDA_ROWS_H
#define SPT_VARIANTS_CUDA_ROWS_H

#include "core/csr.h"
#include "core/hardware.h"
#include "core/types.h"

/* The order in which rows go to blocks. */
typedef enum spt_row_order { SPT_ROWS_NATURAL = 0, SPT_ROWS_SORTED = 1, SPT_ROWS_SPLIT = 2 } spt_row_order;

/* to[i] = from[j] for elements of the type. */
void spt_copy_element(spt_dtype dtype, void *to, int64_t i, const void *from, int64_t j);

static inline int64_t spt_ceil_div(int64_t a, int64_t b) {
    return (a + b - 1) / b;
}
static inline int64_t spt_round_up(int64_t a, int64_t b) {
    return spt_ceil_div(a, b) * b;
}
/* Has the device instructions for the element type? */
static inline bool spt_cuda_has_dtype(const spt_device *device, spt_dtype dtype) {
    return (dtype != SPT_BF16 && dtype != SPT_TF32) || device->compute_capability >= 80;
}
/* Is the operand aligned for vectors of so many bytes: its address and each of its rows? */
static inline bool spt_is_aligned(const void *data, int64_t ld, spt_dtype dtype, size_t bytes) {
    return (uintptr_t)data % bytes == 0 && (size_t)ld * spt_dtype_bytes(dtype) % bytes == 0;
}

/* Errors: EUNSUPPORTED when a number does not fit the kernels' 32 bits. */
spt_status spt_check_i32(int64_t number, const char *what);

#endif
