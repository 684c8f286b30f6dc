/* SPDX-License-Identifier: Apache-2.0 */
/* Prints the schedule of a pattern-baked SpMM as PTX: straight-line multiply-adds whose weights are immediates or come
 * from one packed stream, B read through offsets that are part of the instructions. After Wang, "SparseRT" (arXiv
 * 2008.11849, 2020). Ours: every row block is a function that does not return, and one kernel jumps to its block's
 * function through a table, so that an execution is one launch. Up to four functions make a text, which
 * begins with `.version`: a text has its price, and where there are branches (`region`) the assembler's time grows
 * faster than the functions of one text; texts are linked. No extent has
 * to be divisible by anything; loads of columns that do not exist read the last one instead of memory outside.
 *
 *   block of threads (threads x groups): columns tile * threads * columns + t + j * threads of C, j = 0 .. columns - 1,
 *   and the rows of block blockIdx.y; group g executes slice g of K, then group 0 adds the groups' sums */
#ifndef SPT_VARIANTS_CODEGEN_EMIT_PTX_H
#define SPT_VARIANTS_CODEGEN_EMIT_PTX_H

#include "variants/codegen/schedule.h"

/* A 3x3 convolution with zero padding of one, NCHW: B is the input [channels][height][width], C the output [rows of
 * A][out_height][out_width], n = out_height * out_width, and A is [cout, 3 * 3 * channels], channels fastest. A tap
 * that lies outside of the input counts as zero and is not read, whatever stands beside the input. */
typedef struct spt_ptx_conv {
    int64_t channels, height, width; /* channels 0: no convolution */
    int stride;                      /* 1 or 2 */
} spt_ptx_conv;

static inline int64_t spt_ptx_conv_out(int64_t extent, int stride) {
    return (extent - 1) / stride + 1;
}

typedef struct spt_ptx_target {
    int columns;       /* of C per thread, 1 to 8 */
    int threads;       /* along columns; a multiple of 32 */
    int prefetch;      /* loads of B that are under way before the first one is used, 0 to 16 */
    int region;        /* multiply-adds between two branches that are never taken: the assembler moves loads no further,
                          and so keeps fewer registers alive; 0: none */
    bool has_tiles;    /* a block goes on to the tile that lies gridDim.x tiles further on */
    bool loads_values; /* from the packed stream; otherwise immediates */
    bool is_one_launch; /* the kernel SPT_PTX_KERNEL with a table of functions; otherwise one kernel per row block */
    bool has_bias, has_relu, has_residual;
    int64_t b_stride; /* elements from one row of B to the next: the only leading dimension that is baked; of a
                           convolution height * width */
    spt_ptx_conv conv;
} spt_ptx_target;

#define SPT_PTX_KERNEL "spt_baked"   /* kernel of all blocks */
#define SPT_PTX_BLOCK "spt_block_"   /* kernel of one block, with its number */
#define SPT_PTX_ROWS "spt_rows"      /* kernel for any leading dimension of B: reads A as CSR */
enum { SPT_PTX_ROWS_THREADS = 128 }; /* of SPT_PTX_ROWS, which has one column per thread and grid.y rows at a time */
enum { SPT_PTX_SHARED_MAX = 48 * 1024 }; /* what a kernel may have without asking for more */

/* The parameters of kernels, in order:
 *   baked  u64 b, u64 c, u64 bias, u64 values (packed), u32 n, u32 ldc, u64 residual, u32 ldr, steps
 *   rows   u64 b, u64 c, u64 bias, u64 values (CSR), u64 row offsets (32-bit), u64 columns, u32 n, u32 ldb, u32 ldc,
 *          u32 m, u64 residual, u32 ldr, steps
 * Steps are u64 step_b, u64 step_c, u64 step_residual: bytes from one item of a batch to the next; the item is
 * blockIdx.z. */

/* Registers that a block of so many rows needs at most, a multiple of eight: sums, loads of B, pointers, values; of
 * windows their places. An upper limit for the assembler, which with more to spare takes longer and moves loads of B
 * no further ahead than they are of use. */
int spt_ptx_registers(int rows, const spt_ptx_target *target);
/* Bytes of dynamic shared memory that a launch of a baked kernel needs: the groups' sums. */
int64_t spt_ptx_shared_bytes(const spt_schedule *schedule, const spt_ptx_target *target);
/* Values of a task in the packed stream begin at this place; the stream has spt_ptx_n_values(schedule) of them. */
int64_t spt_ptx_task_value(const spt_schedule *schedule, int64_t task);
int64_t spt_ptx_n_values(const spt_schedule *schedule);
void spt_ptx_pack_values(float *out, const spt_schedule *schedule, const float *values);

/* Print everything, texts one after another; values: CSR order, may be NULL
 * where they are loaded. Errors: ENOMEM, EUNSUPPORTED (offsets into B of 2 GiB and more). Owns: *text, freed with
 * spt_free. */
spt_status spt_ptx_emit(char **text, size_t *text_bytes, const spt_schedule *schedule, const float *values,
                        const spt_ptx_target *target);

#endif
