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
    bool pads_tail;          /* the family reads all t vectors of B: a narrower strip is packed, with zeros */
    int64_t fixed_ld;        /* 0, or the only distance between rows of B that the family can read */
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

/* Elements between the rows of a packed strip. */
static inline int64_t strip_packed_ld(const strip_plan *plan) {
    return plan->fixed_ld != 0 ? plan->fixed_ld : (int64_t)plan->t * plan->lanes;
}

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

/* Packed strips that a part holds at a time: a group, or the one that can't be read where it is. */
static inline int64_t strip_slots(const strip_plan *plan, int64_t n) {
    return plan->pack != STRIP_PACK_NONE ? strip_group(plan, n) : plan->pads_tail || plan->fixed_ld != 0 ? 1 : 0;
}

/* Bytes of workspace of one part: the packed strips, then a chunk of C (nk). */
static inline size_t strip_workspace(const strip_plan *plan, spt_layout layout, int64_t n) {
    const int64_t c_rows = layout == SPT_NK ? strip_chunk(plan) : 0;
    const int64_t packed = strip_slots(plan, n) * plan->k * strip_packed_ld(plan);
    return (size_t)(packed + c_rows * plan->t * plan->lanes) * sizeof(float);
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

/* Bring columns [j, j + width) of B into slots of strips that begin at dst. Rows outermost: what is read of a row of B
 * lies together. */
SPT_INLINE void strip_copy_b(float *dst, const strip_plan *plan, const spt_call *call, int64_t j, int64_t width) {
    const int64_t ld = strip_packed_ld(plan), slot = plan->k * ld, strip_width = (int64_t)plan->t * SPT_LANES;
    for (int64_t row = 0; row < plan->k; row++) {
        const float *from = (const float *)call->b + row * call->ldb + j;
        float *to = dst + row * ld;
        int64_t left = width;
        for (; left >= strip_width; left -= strip_width, from += strip_width, to += slot) {
            for (int v = 0; v < plan->t; v++)
                vec_store(to + v * SPT_LANES, vec_load(from + v * SPT_LANES));
        }
        for (; left > 0; left -= SPT_LANES, from += SPT_LANES, to += SPT_LANES) {
            const spt_mask mask = vec_first((int)strip_min(left, SPT_LANES));
            vec_store_masked(mask, to, vec_load_masked(mask, from));
        }
    }
}

/* The same for layout nk, strip by strip. */
SPT_INLINE void strip_transpose_b(float *dst, const strip_plan *plan, const spt_call *call, int64_t j, int64_t width) {
    const int64_t ld = strip_packed_ld(plan), strip_width = (int64_t)plan->t * SPT_LANES;
    for (; width > 0; width -= strip_width, j += strip_width, dst += plan->k * ld)
        vec_transpose_any(dst, ld, (const float *)call->b + j * call->ldb, call->ldb, strip_min(width, strip_width),
                          plan->k);
}

/* Pack columns [j, j + width), at most a group. Lanes of a narrower strip become 0 where whole strips are read. */
SPT_INLINE void strip_pack_b(float *dst, const strip_plan *plan, const spt_call *call, int64_t j, int64_t width) {
    const int64_t ld = strip_packed_ld(plan), strip_width = (int64_t)plan->t * SPT_LANES;
    if (plan->pads_tail && width % strip_width != 0) {
        float *last = dst + width / strip_width * plan->k * ld;
        for (int64_t row = 0; row < plan->k; row++)
            memset(last + row * ld, 0, (size_t)strip_width * sizeof *dst);
    }
    if (plan->pack == STRIP_PACK_TRANSPOSE)
        strip_transpose_b(dst, plan, call, j, width);
    else
        strip_copy_b(dst, plan, call, j, width);
}

/* The strip that begins at column j: packed in `slot`, or where B is when slot is NULL. */
SPT_INLINE strip_view strip_make(const strip_plan *plan, const spt_call *call, bool has_relu, const float *slot,
                                 int64_t j, int64_t width) {
    const int64_t tail = width % SPT_LANES;
    return (strip_view){.b = slot != NULL ? slot : (const float *)call->b + j,
                        .ldb = slot != NULL ? strip_packed_ld(plan) : call->ldb,
                        .width = width,
                        .n_vectors = (int)((width + SPT_LANES - 1) / SPT_LANES),
                        .is_masked = tail != 0,
                        .mask = vec_first((int)(tail != 0 ? tail : SPT_LANES)),
                        .bias = call->bias,
                        .has_relu = has_relu};
}

/* Describe the strips of columns [j, j + width), packing what must be packed; returns how many they are. */
SPT_INLINE int64_t strip_prepare(strip_view *strips, const strip_plan *plan, const spt_call *call, bool has_relu,
                                 bool packs_all, int64_t j, int64_t width) {
    const int64_t strip_width = (int64_t)plan->t * SPT_LANES, slot_size = plan->k * strip_packed_ld(plan);
    float *const packed = call->workspace;
    int64_t count = 0;
    if (packs_all)
        strip_pack_b(packed, plan, call, j, width);
    for (int64_t begin = 0; begin < width; begin += strip_width, count++) {
        const int64_t left = strip_min(strip_width, width - begin);
        const float *slot = packs_all ? packed + count * slot_size : NULL;
        if (!packs_all && plan->pads_tail && left < strip_width) {
            strip_pack_b(packed, plan, call, j + begin, left);
            slot = packed;
        }
        strips[count] = strip_make(plan, call, has_relu, slot, j + begin, left);
    }
    return count;
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
    const bool has_relu = spt_epilogue_get(problem->epilogue)->activation == SPT_RELU;
    const bool is_readable = plan->fixed_ld == 0 || plan->fixed_ld == call->ldb;
    const bool packs_all = plan->pack != STRIP_PACK_NONE || !is_readable;
    const int64_t group = is_readable ? strip_group(plan, call->n) : strip_slots(plan, call->n);
    float *const c_scratch = problem->layout == SPT_NK ? (float *)call->workspace + strip_slots(plan, call->n) *
                                                                                        plan->k * strip_packed_ld(plan)
                                                       : NULL;
    strip_view strips[STRIP_GROUP_MAX];
    for (int64_t j = part.vectors.begin * SPT_LANES; j < end; j += group * ld) {
        const int64_t n_strips =
            strip_prepare(strips, plan, call, has_relu, packs_all, j, strip_min(group * ld, end - j));
        for (int64_t row = part.rows.begin; row < part.rows.end; row += chunk) {
            const spt_range rows = {row, strip_min(row + chunk, part.rows.end)};
            for (int64_t i = 0; i < n_strips; i++)
                strip_visit(state, family_rows, call, &strips[i], j + i * ld, rows, c_scratch, ld);
        }
    }
}

#endif
