/* SPDX-License-Identifier: Apache-2.0 */
/* A matrix baked into x86 code, and its visit to a chunk of rows of one strip of C: what the families of generated code
 * share, however they walk B. Included in files that are compiled per ISA. */
#ifndef SPT_VARIANTS_CPU_BAKED_H
#define SPT_VARIANTS_CPU_BAKED_H

#include "core/csr.h"
#include "core/memory.h"
#include "variants/codegen/emit_x86.h"
#include "variants/cpu/jit.h"
#include "variants/cpu/simd.h"
#include "variants/cpu/strip.h"
#include "variants/isa.h"

enum { BAKED_SUMS_MAX = 32 * 16 * 2 }; /* floats of C in a block, never more than the register file, and gaps */

typedef struct baked_matrix {
    int64_t nnz, n_blocks, n_tasks;
    int64_t rows_per_block;
    int t;            /* vectors of C per row of a block */
    int64_t c_stride; /* bytes between rows of C that the code foresees; 0: none */
    spt_x86_code code;
    int64_t *row_start;  /* m + 1: nonzeros before each place in the order of rows */
    int32_t *row_order;  /* m: the row of A at each place; NULL: rows in their own order */
    int64_t *task_value; /* n_tasks + 1: first value of each task */
    int32_t *source;     /* nnz: where each packed value comes from */
    float *values;       /* nnz, in the order of the code */
    int64_t fetch_ahead; /* which task's code is prefetched meanwhile: so many on; 0: none */
    bool is_placed;      /* rows of C lie one after the other in their places, whatever their order */
    bool fetches_shares; /* the strips of a group share that out; otherwise each visit fetches all of it */
} baked_matrix;

/* What a task's code is called with. */
typedef struct baked_block {
    float *c;            /* the block's first row, or row 0 where rows have an order */
    const float *values; /* of the task */
    const float *bias;   /* NULL: none */
    const int32_t *rows; /* numbers of the block's rows; NULL: one after the other */
    int64_t n_rows;
} baked_block;

/* Which lanes of the vector that begins at `col` a strip has. */
SPT_INLINE spt_mask baked_mask(const strip_view *strip, int64_t col) {
    const int64_t begin = strip->first - col, end = strip->width - col;
    return vec_lanes((int)(begin < 0 ? 0 : strip_min(begin, SPT_LANES)),
                     (int)(end < 0 ? 0 : strip_min(end, SPT_LANES)));
}

/* A strip that lacks columns of its t vectors goes through a scratch of whole vectors, whose rows follow one another
 * and so must not be taken for those of C. */
SPT_INLINE void baked_narrow_task(const baked_matrix *baked, spt_x86_task *code, const strip_view *strip,
                                  const baked_block *block) {
    static const int32_t one_by_one[] = {0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15,
                                         16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31};
    const int32_t *rows = block->rows != NULL ? block->rows : one_by_one;
    const int64_t width = baked->t * SPT_LANES, stride = width * (int64_t)sizeof(float);
    const int64_t ld = stride == baked->c_stride ? width + SPT_LANES : width;
    float sums[BAKED_SUMS_MAX] __attribute__((aligned(64)));
    for (int64_t row = 0; strip->slice > 0 && row < block->n_rows; row++) {
        for (int64_t col = 0; col < width; col += SPT_LANES)
            vec_store(sums + row * ld + col,
                      vec_load_masked(baked_mask(strip, col), block->c + rows[row] * strip->ldc + col));
    }
    code(strip->b, sums, block->values, ld * (int64_t)sizeof *sums, block->bias, strip->next, one_by_one);
    for (int64_t row = 0; row < block->n_rows; row++) {
        for (int64_t col = 0; col < strip->width; col += SPT_LANES)
            vec_store_masked(baked_mask(strip, col), block->c + rows[row] * strip->ldc + col,
                             vec_load(sums + row * ld + col));
    }
}

/* Prefetch into L2 part `place` of `n` of what lies in [begin, end). */
SPT_INLINE void baked_fetch_part(const uint8_t *begin, const uint8_t *end, int64_t place, int64_t n) {
    const int64_t line = 64;
    const spt_range share = spt_part_of((end - begin + line - 1) / line, (int)place, (int)n);
    for (int64_t at = share.begin; at < share.end; at++)
        __builtin_prefetch(begin + at * line, 0, 2);
}

/* Instructions that come from beyond L2 arrive one line after the other: nothing foresees them as it foresees data, and
 * a task's values are over before anything has foreseen them. So while a task runs, this visit's share of a later one's
 * code and values is brought into L2. */
SPT_INLINE void baked_fetch(const baked_matrix *baked, const strip_view *strip, int64_t task) {
    const int64_t later = task + baked->fetch_ahead;
    if (baked->fetch_ahead == 0 || later >= baked->n_tasks)
        return;
    const int64_t *entry = baked->code.entry, *value = baked->task_value;
    const int64_t place = baked->fetches_shares ? strip->place : 0, n = baked->fetches_shares ? strip->n_places : 1;
    baked_fetch_part(baked->code.pages.data + entry[later], baked->code.pages.data + entry[later + 1], place, n);
    baked_fetch_part((const uint8_t *)(baked->values + value[later]),
                     (const uint8_t *)(baked->values + value[later + 1]), place, n);
}

/* Compute `rows`, whole blocks of them, of one strip: a strip_rows. */
SPT_INLINE void baked_rows(const void *context, const strip_view *strip, spt_range rows) {
    const baked_matrix *baked = context;
    const int64_t r = baked->rows_per_block, width = baked->t * SPT_LANES;
    const bool has_order = baked->row_order != NULL, is_scattered = has_order && !baked->is_placed;
    for (int64_t row = rows.begin; row < rows.end; row += r) {
        const int64_t task = strip->slice * baked->n_blocks + row / r;
        const bool copies = strip->source != NULL && row == 0;
        spt_x86_task *code = spt_x86_task_at(&baked->code, copies ? baked->n_tasks + strip->slice : task);
        const baked_block block = {
            .c = is_scattered ? strip->c : strip->c + (row - strip->first_row) * strip->ldc,
            .values = baked->values + baked->task_value[task],
            .bias = strip->bias == NULL || has_order ? strip->bias : strip->bias + row,
            .rows = is_scattered ? baked->row_order + row : NULL,
            .n_rows = strip_min(r, rows.end - row),
        };
        baked_fetch(baked, strip, task);
        if (strip->first > 0 || strip->width < width)
            baked_narrow_task(baked, code, strip, &block);
        else
            code(copies ? strip->source : strip->b, block.c, block.values, strip->ldc * (int64_t)sizeof *block.c,
                 block.bias, copies ? strip->b : strip->next, block.rows);
    }
}

#if SPT_EMIT_DESCRIPTOR

/* May rows be ordered by the columns they share? They must be found one by one, which a transposed C does not offer. */
static bool baked_may_cluster(const spt_workload *workload, int64_t r) {
    const spt_pattern *pattern = &workload->pattern;
    return workload->problem.layout == SPT_KN && jit_order_matters(pattern) && pattern->n_rows > r &&
           pattern->n_rows < INT32_MAX / 4;
}

static void baked_fini(baked_matrix *baked) {
    spt_x86_code_fini(&baked->code);
    spt_free(baked->row_start);
    spt_free(baked->row_order);
    spt_free(baked->task_value);
    spt_free(baked->source);
    spt_free(baked->values);
    *baked = (baked_matrix){0};
}

static void baked_set_values(baked_matrix *baked, const float *values) {
    for (int64_t i = 0; i < baked->nnz; i++)
        baked->values[i] = values[baked->source[i]];
}

static void baked_fill_row_start(baked_matrix *baked, const spt_csr *a) {
    baked->row_start[0] = 0;
    for (int64_t place = 0; place < a->n_rows; place++) {
        const int64_t row = baked->row_order != NULL ? baked->row_order[place] : place;
        baked->row_start[place + 1] = baked->row_start[place] + spt_csr_row_length(a, row);
    }
}

/* Plan what baked_fetch does for chunks of so many blocks: a chunk's code runs over all strips of a group before the
 * next one's. Code that stays in L2 from one call to the next, beside the operands, is left alone. */
static void baked_plan_fetches(baked_matrix *baked, const spt_prepared *prepared, int64_t chunk) {
    const spt_pattern *pattern = &prepared->workload.pattern;
    const int64_t l2 = prepared->device.l2_bytes > 0 ? prepared->device.l2_bytes : 512 << 10;
    const int64_t code = baked->code.entry[baked->n_tasks];
    const int64_t operands = (pattern->n_rows + pattern->n_cols) * prepared->workload.problem.n * 4;
    if (code < l2 / 4 || code + operands < l2)
        return;
    baked->fetches_shares = chunk < baked->n_tasks && code / baked->n_tasks * chunk < l2 / 2;
    baked->fetch_ahead = baked->fetches_shares ? chunk : 1;
}

/* Bake a; its values are set later. On failure the caller calls baked_fini. */
static spt_status baked_init(baked_matrix *out, const spt_csr *a, const spt_schedule_cut *cut,
                             const spt_x86_target *target) {
    spt_schedule schedule = {0};
    spt_status status = SPT_OK;
    *out = (baked_matrix){.nnz = spt_csr_nnz(a),
                          .rows_per_block = cut->rows_per_block,
                          .t = target->t,
                          .c_stride = target->c_stride,
                          .is_placed = target->is_placed};
    SPT_TRY(SPT_NEW(out->row_start, a->n_rows + 1));
    SPT_TRY(SPT_NEW(out->values, out->nnz));
    SPT_TRY_TO(done, spt_schedule_init(&schedule, a, cut));
    out->n_blocks = schedule.n_blocks;
    out->n_tasks = schedule.n_slices * schedule.n_blocks;
    SPT_TRY_TO(done, SPT_NEW(out->task_value, out->n_tasks + 1));
    for (int64_t task = 0; task <= out->n_tasks; task++)
        out->task_value[task] = spt_schedule_task_fma(&schedule, task);
    SPT_TRY_TO(done, spt_x86_emit(&out->code, &schedule, target));
    out->source = schedule.fma_source;
    schedule.fma_source = NULL;
    out->row_order = schedule.row_order;
    schedule.row_order = NULL;
    baked_fill_row_start(out, a);
done:
    spt_schedule_fini(&schedule);
    return status;
}

/* Bytes between rows of C as they will most likely lie: columns without gaps, or a strip that leaves transposed. */
static int64_t baked_c_stride(const spt_workload *workload, int64_t strip_width) {
    const int64_t stride = 4 * (workload->problem.layout == SPT_NK ? strip_width : workload->problem.n);
    return workload->pattern.n_rows * stride < INT32_MAX / 2 ? stride : 0;
}

/* Code for t vectors of C per row on rows of B so many bytes apart, with the problem's epilogue; fetches_next: of B. */
static spt_x86_target baked_target(const spt_prepared *prepared, int t, int64_t b_stride, bool fetches_next) {
    const spt_epilogue_row *epilogue = spt_epilogue_get(prepared->workload.problem.epilogue);
    return (spt_x86_target){.has_avx512 = prepared->device.isa == SPT_ISA_AVX512,
                            .t = t,
                            .b_stride = b_stride,
                            .c_stride = baked_c_stride(&prepared->workload, t * spt_isa_lanes(prepared->device.isa)),
                            .has_bias = epilogue->has_bias,
                            .has_relu = epilogue->activation == SPT_RELU,
                            .has_prefetch = fetches_next};
}

static size_t baked_bytes(const baked_matrix *baked, int64_t m) {
    return baked->code.pages.size_bytes + (size_t)baked->nnz * (sizeof *baked->values + sizeof *baked->source) +
           (size_t)baked->n_tasks * (sizeof *baked->task_value + sizeof *baked->code.entry) +
           (size_t)(m + 1) * sizeof *baked->row_start +
           (baked->row_order != NULL ? (size_t)m * sizeof *baked->row_order : 0);
}

#endif

#endif
