/* SPDX-License-Identifier: Apache-2.0 */
/* SpMM in strips: C is walked in strips of t vectors of columns, strips in groups, rows in chunks; a family computes
 * the rows of one chunk of one strip and need not know the layout. What a strip reads of B may be packed into
 * contiguous memory first; in layout nk it is transposed on the way in, and C leaves transposed, chunk by chunk.
 *
 *   for each group of `group` strips          packed B of a group: group x k x (t vectors)
 *     for each chunk of `row_chunk` rows
 *       for each strip of the group           family->rows(state, strip, chunk)
 *
 * group = 1 with one chunk keeps a panel of B near; group = all with small chunks keeps code, A and C near. */
#ifndef SPT_VARIANTS_STRIP_H
#define SPT_VARIANTS_STRIP_H

#include <string.h>

#include "variants/cpu/simd.h"
#include "variants/epilogue.h"
#include "variants/family.h"
#include "variants/parts.h"

/* How a strip of B is brought into contiguous memory. kn allows none and copy, nk only transpose. */
enum { STRIP_PACK_NONE, STRIP_PACK_COPY, STRIP_PACK_TRANSPOSE, STRIP_N_PACKS };

/* How a family wants to be walked. Fixed when a variant is prepared. */
typedef struct strip_plan {
    int t;                   /* vectors per strip, >= 1 */
    int pack;                /* STRIP_PACK_... */
    int lanes;               /* elements per vector of the ISA that was planned for */
    bool pads_tail;          /* the family reads whole vectors of B: a narrower last vector is packed with zeros */
    int64_t m, k;            /* of A */
    int64_t group;           /* strips packed together and visited per chunk; 0: all */
    int64_t row_chunk;       /* rows per visit, a multiple of row_align; 0: all */
    int64_t row_align;       /* parts begin at multiples of it; >= 1 */
    const int64_t *n_before; /* m + 1: nonzeros before each row, to balance parts. Borrowed from the family's state */
} strip_plan;

/* One strip as the family's kernel sees it: row r of A goes to c + (r - first_row) * ldc, row j of B is b + j * ldb. */
typedef struct strip_view {
    const float *b;
    float *c;
    int64_t ldb, ldc;
    int64_t first_row;
    int64_t width;     /* columns, 1 <= width <= t * lanes */
    int n_vectors;     /* 1 <= n_vectors <= t */
    bool is_masked;    /* the last vector is partial: loads of B (unless pads_tail) and C, and stores, use mask */
    spt_mask mask;     /* of the last vector */
    const float *bias; /* NULL: none */
    bool has_relu;
} strip_view;

/* Compute `rows` (a chunk) of one strip, epilogue included. */
typedef void strip_rows(const void *state, const strip_view *strip, spt_range rows);

static inline int64_t strip_min(int64_t a, int64_t b) {
    return a < b ? a : b;
}

enum { STRIP_GROUP_MAX = 64 }; /* strips of a group, whose descriptions are kept at a time */

/* Strips that a group has when n columns are computed. */
static inline int64_t strip_group(const strip_plan *plan, int64_t n) {
    const int64_t width = (int64_t)plan->t * plan->lanes, strips = strip_min((n + width - 1) / width, STRIP_GROUP_MAX);
    return plan->group == 0 ? strips : strip_min(plan->group, strips);
}

static inline int64_t strip_chunk(const strip_plan *plan) {
    return plan->row_chunk == 0 || plan->row_chunk > plan->m ? plan->m : plan->row_chunk;
}

/* Bytes of workspace of one part: the packed strips of a group, then a chunk of C (nk). */
static inline size_t strip_workspace(const strip_plan *plan, spt_layout layout, int64_t n) {
    const int64_t width = (int64_t)plan->t * plan->lanes;
    const bool packs_tail = plan->pads_tail && n % plan->lanes != 0;
    const int64_t packed = plan->pack != STRIP_PACK_NONE ? strip_group(plan, n) : packs_tail ? 1 : 0;
    const int64_t c_rows = layout == SPT_NK ? strip_chunk(plan) : 0;
    return (size_t)((packed * plan->k + c_rows) * width) * sizeof(float);
}

/* What part `part` computes: rows balanced by nonzeros; where B is packed columns first, so that none is packed twice.
 */
typedef struct strip_part {
    spt_range rows, vectors;
} strip_part;

static inline strip_part strip_part_of(const strip_plan *plan, int64_t n, int part, int n_parts) {
    const int64_t n_vectors = (n + plan->lanes - 1) / plan->lanes;
    int column_parts = plan->pack == STRIP_PACK_NONE ? 1 : n_parts;
    while (column_parts > n_vectors || n_parts % column_parts != 0)
        column_parts--;
    spt_range rows = spt_rows_of_part(plan->n_before, plan->m, part / column_parts, n_parts / column_parts);
    rows.begin = rows.begin == plan->m ? plan->m : rows.begin / plan->row_align * plan->row_align;
    rows.end = rows.end == plan->m ? plan->m : rows.end / plan->row_align * plan->row_align;
    return (strip_part){rows, spt_part_of(n_vectors, part % column_parts, column_parts)};
}

/* Bring columns [j, j + width) of B into dst (k rows of ld). Lanes beyond width become 0 where whole vectors are read.
 */
SPT_INLINE void strip_pack_b(float *dst, int64_t ld, const strip_plan *plan, const spt_call *call, int64_t j,
                             int64_t width, bool is_transposed) {
    const float *b = call->b;
    if (plan->pads_tail && width % SPT_LANES != 0)
        memset(dst, 0, (size_t)(plan->k * ld) * sizeof *dst);
    if (is_transposed) {
        vec_transpose_any(dst, ld, b + j * call->ldb, call->ldb, width, plan->k);
        return;
    }
    const int64_t whole = width / SPT_LANES * SPT_LANES;
    const spt_mask mask = vec_first((int)(width - whole));
    for (int64_t row = 0; row < plan->k; row++) {
        const float *from = b + row * call->ldb + j;
        float *to = dst + row * ld;
        for (int64_t v = 0; v < whole; v += SPT_LANES)
            vec_store(to + v, vec_load(from + v));
        if (whole < width)
            vec_store_masked(mask, to + whole, vec_load_masked(mask, from + whole));
    }
}

/* The strip that begins at column j, with B where it will be read: packed into `packed` or in place. */
SPT_INLINE strip_view strip_make(const strip_plan *plan, const spt_call *call, bool has_relu, float *packed, int64_t j,
                                 int64_t end) {
    const int64_t ld = (int64_t)plan->t * SPT_LANES, width = strip_min(ld, end - j), tail = width % SPT_LANES;
    const bool is_packed = plan->pack != STRIP_PACK_NONE || (plan->pads_tail && tail != 0);
    if (is_packed)
        strip_pack_b(packed, ld, plan, call, j, width, plan->pack == STRIP_PACK_TRANSPOSE);
    return (strip_view){.b = is_packed ? packed : (const float *)call->b + j,
                        .ldb = is_packed ? ld : call->ldb,
                        .width = width,
                        .n_vectors = (int)((width + SPT_LANES - 1) / SPT_LANES),
                        .is_masked = tail != 0,
                        .mask = vec_first((int)(tail != 0 ? tail : SPT_LANES)),
                        .bias = call->bias,
                        .has_relu = has_relu};
}

/* All rows of the part of one strip in one chunk: where its results go in either layout. */
SPT_INLINE void strip_visit(const void *state, strip_rows *family_rows, const spt_call *call, strip_view *strip,
                            int64_t j, spt_range rows, float *c_scratch, int64_t ld_scratch) {
    if (c_scratch == NULL) {
        strip->c = (float *)call->c + j;
        strip->ldc = call->ldc;
        strip->first_row = 0;
        family_rows(state, strip, rows);
        return;
    }
    strip->c = c_scratch;
    strip->ldc = ld_scratch;
    strip->first_row = rows.begin;
    family_rows(state, strip, rows);
    vec_transpose_any((float *)call->c + j * call->ldc + rows.begin, call->ldc, c_scratch, ld_scratch,
                      rows.end - rows.begin, strip->width);
}

/* Compute one part. Must be expanded in a function of this ISA's object. */
SPT_INLINE void strip_run(const strip_plan *plan, const void *state, strip_rows *family_rows, const spt_call *call,
                          const spt_problem *problem, strip_part part) {
    const int64_t ld = (int64_t)plan->t * SPT_LANES, chunk = strip_chunk(plan);
    const int64_t end = strip_min(part.vectors.end * SPT_LANES, call->n);
    const int64_t group = strip_group(plan, call->n);
    const bool has_relu = spt_epilogue_get(problem->epilogue)->activation == SPT_RELU;
    const bool has_packed = plan->pack != STRIP_PACK_NONE || (plan->pads_tail && call->n % SPT_LANES != 0);
    float *const packed = has_packed ? call->workspace : NULL;
    float *const c_scratch = problem->layout == SPT_NK ? (float *)call->workspace + group * plan->k * ld : NULL;
    strip_view strips[STRIP_GROUP_MAX];
    for (int64_t j = part.vectors.begin * SPT_LANES; j < end; j += group * ld) {
        const int64_t n_strips = strip_min(group, (end - j + ld - 1) / ld);
        for (int64_t i = 0; i < n_strips; i++) {
            float *slot = plan->pack != STRIP_PACK_NONE ? packed + i * plan->k * ld : packed;
            strips[i] = strip_make(plan, call, has_relu, slot, j + i * ld, end);
        }
        for (int64_t row = part.rows.begin; row < part.rows.end; row += chunk) {
            const spt_range rows = {row, strip_min(row + chunk, part.rows.end)};
            for (int64_t i = 0; i < n_strips; i++)
                strip_visit(state, family_rows, call, &strips[i], j + i * ld, rows, c_scratch, ld);
        }
    }
}

#endif
