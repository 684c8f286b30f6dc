/* SPDX-License-Identifier: Apache-2.0 */
/* The emulator's engine for CUDA families: carries out what a family says (variants/cuda/kernel.h) in host memory. Each
 * text is compiled once for its options; objects are kept until the end. */
#ifndef SPT_TESTS_SIMT_ENGINE_H
#define SPT_TESTS_SIMT_ENGINE_H

#include "tests/simt/simt.h"
#include "variants/cuda/kernel.h"

/* A variant made ready for the emulator. */
typedef struct simt_variant {
    spt_prepared prepared; /* state points at packed */
    spt_cuda_packed packed;
    struct simt_compiled *compiled; /* CUDA C */
    struct ptx_program *program;    /* PTX, with its source */
    spt_cuda_source source;
} simt_variant;

/* A range of memory that a launch may use: operands of the call. */
typedef struct simt_range {
    const void *base;
    size_t bytes;
} simt_range;

/* All of these fail with a sentence in `error`. */
bool simt_variant_init(simt_variant *out, const spt_family *family, const spt_workload *workload,
                       const spt_device *device, const spt_point *point, const spt_csr *a, char error[SIMT_ERROR_MAX]);
/* One execution; the workspace is poisoned first. Ranges: all operands. */
bool simt_variant_run(const simt_variant *variant, const spt_call *call, const simt_range *ranges, int n_ranges,
                      simt_order order, char error[SIMT_ERROR_MAX]);
void simt_variant_fini(simt_variant *variant);

void simt_engine_close(void); /* forget all objects */

/* For tests of tests: change a family's text before it is compiled (forget objects first); NULL: leave it. */
extern void (*simt_engine_edit)(char *text);
/* Let grids have at most so many blocks along y, for families whose kernels walk over the rest; 0: as they say. */
extern unsigned simt_engine_grid_y;

#endif
