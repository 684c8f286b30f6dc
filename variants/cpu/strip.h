/* SPDX-License-Identifier: Apache-2.0 */
/* SpMM in strips: C is walked in strips of t vectors of columns, strips in groups, rows in chunks; a family computes
 * the rows of one chunk of one strip and need not know the layout. What a strip reads of B may be packed into
 * contiguous memory first; in layout nk it is transposed on the way in, and C leaves transposed, chunk by chunk.
 *
 *   for each group of `group` strips
 *     for each slice of `slice` rows of B       packed: group x slice x (t vectors)
 *       for each chunk of `row_chunk` rows
 *         for each strip of the group           rows(state, strip, chunk): C = or += A[chunk, slice] * B[slice, strip]
 *
 * group = 1 with one chunk keeps a panel of B near; group = all with small chunks keeps code, A and C near. */
#ifndef SPT_VARIANTS_STRIP_H
#define SPT_VARIANTS_STRIP_H

#include <string.h>

#include "variants/cpu/simd.h"
#include "variants/cpu/transpose.h"
#include "variants/epilogue.h"
#include "variants/family.h"
#include "variants/parts.h"

/* How a strip of B is brought into contiguous memory. kn allows none and copy, nk only transpose. */
enum { STRIP_PACK_NONE, STRIP_PACK_COPY, STRIP_PACK_TRANSPOSE, STRIP_N_PACKS };
/* Of an axis with these values, as bits: what either layout can't do without. */
#define STRIP_PACKS_DIRECT (1u << STRIP_PACK_NONE | 1u << STRIP_PACK_TRANSPOSE)

enum { STRIP_GROUP_MAX = 64 }; /* strips of a group, whose views are kept at a time */

/* How a family wants to be walked. Fixed when a variant is prepared. */
typedef struct strip_plan {
    int t;                   /* vectors per strip, >= 1 */
    int pack;                /* STRIP_PACK_... */
    int lanes;               /* elements per vector of the ISA that was planned for */
    bool pads_tail;          /* the family reads all t vectors of B: a narrower strip is packed, with zeros */
    int64_t copied_ld;       /* 0, or the distance between rows of B from which the family's own code packs strips */
    int64_t fixed_ld;        /* 0, or the only distance between rows of B that the family can read */
    int64_t m, k;            /* of A */
    int64_t slice;           /* rows of B per pass over the group; 0: all, and the family sees slice 0 only */
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
    const float *source; /* where B lies, if this visit's first rows are to copy it to b; NULL: it is there */
    const float *next;   /* what is read of B in place when this strip's group and slice are done; b at the end */
    int64_t slice;       /* which slice of B this visit adds; b is the slice's first row */
    int64_t place;       /* of this strip in its group, below n_places */
    int64_t n_places;
    int64_t first;     /* lanes before the strip's first column: 0, but for families that walk lines of B */
    int64_t width;     /* lanes up to the end of its columns, first < width <= t * lanes */
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

static inline int64_t strip_slice_rows(const strip_plan *plan) {
    return plan->slice == 0 ? plan->k : strip_min(plan->slice, plan->k);
}

/* Elements between packed strips: one line more than their rows, or a row of all strips, which is packed at a time,
 * would fall into one set of L1. */
static inline int64_t strip_slot(const strip_plan *plan) {
    return strip_slice_rows(plan) * strip_packed_ld(plan) + SPT_LINE_FLOATS;
}

/* Strips that a group has when n columns are computed. */
static inline int64_t strip_group(const strip_plan *plan, int64_t n) {
    const int64_t width = (int64_t)plan->t * plan->lanes, strips = strip_min((n + width - 1) / width, STRIP_GROUP_MAX);
    return plan->group == 0 ? strips : strip_min(plan->group, strips);
}

static inline int64_t strip_chunk(const strip_plan *plan) {
    return plan->row_chunk == 0 || plan->row_chunk > plan->m ? plan->m : plan->row_chunk;
}

static inline bool strip_is_sliced(const strip_plan *plan) {
    return strip_slice_rows(plan) < plan->k;
}

/* nk: elements that hold the rows of C of one strip until they leave: a line's that waited, and a chunk's; the whole
 * columns when C is sums of several slices. */
static inline int64_t strip_c_slot(const strip_plan *plan) {
    const int64_t rows = strip_is_sliced(plan) ? plan->m : strip_chunk(plan) + SPT_LINE_FLOATS - 1;
    return rows * plan->t * plan->lanes;
}

/* Elements of a strip's rows that wait for the next chunk; columns wait where they are. */
static inline int64_t strip_wait_slot(const strip_plan *plan) {
    const bool is_waiting = !strip_is_sliced(plan) && strip_chunk(plan) < plan->m;
    return is_waiting ? (int64_t)(SPT_LINE_FLOATS - 1) * plan->t * plan->lanes : 0;
}

static inline int64_t strip_c_scratch(const strip_plan *plan, int64_t n) {
    const int64_t group = strip_group(plan, n);
    return strip_c_slot(plan) * (strip_is_sliced(plan) ? group : 1) + strip_wait_slot(plan) * group;
}

/* Packed strips that a part holds at a time: a group, or the one that can't be read where it is. */
static inline int64_t strip_slots(const strip_plan *plan, int64_t n) {
    return plan->pack != STRIP_PACK_NONE ? strip_group(plan, n) : plan->pads_tail || plan->fixed_ld != 0 ? 1 : 0;
}

/* Elements between rows of B that offsets inside a strip are made for. */
static inline int64_t strip_offset_ld(int64_t n, int64_t width, int pack) {
    return pack != STRIP_PACK_NONE || n < width ? width : n;
}

/* The phases of B: rows, one after the other, whose first elements lie at as many different places of a vector. */
static inline int strip_phases(int64_t n, int64_t lanes) {
    int phases = 1;
    while (phases * n % lanes != 0)
        phases++;
    return phases;
}

/* Columns of A in a block, of a value of the axis kb; 0: all. */
static inline int64_t strip_block_columns(int64_t k, int64_t kb) {
    return kb == 0 || kb > k ? (k > 0 ? k : 1) : kb;
}

/* Bytes of workspace of one part: the packed strips, then rows of C (nk). */
static inline size_t strip_workspace(const strip_plan *plan, spt_layout layout, int64_t n) {
    const int64_t packed = strip_slots(plan, n) * strip_slot(plan);
    return (size_t)(packed + (layout == SPT_NK ? strip_c_scratch(plan, n) : 0)) * sizeof(float);
}

/* Rows of a part, balanced by nonzeros, that begin at a multiple of `align`. */
static inline spt_range strip_rows_of_part(const int64_t *n_before, int64_t m, int64_t align, int part, int n_parts) {
    spt_range rows = spt_rows_of_part(n_before, m, part, n_parts);
    rows.begin = rows.begin == m ? m : rows.begin / align * align;
    rows.end = rows.end == m ? m : rows.end / align * align;
    return rows;
}

/* What part `part` computes: whole strips where B is packed, so that none is packed twice, and where rows make too few
 * units to be dealt out evenly; otherwise rows, balanced by nonzeros, so that each part reads its share of A. */
typedef struct strip_part {
    spt_range rows, vectors;
    bool is_c_far; /* its C is larger than L2 */
} strip_part;

enum { STRIP_ROW_UNITS = 16 }; /* per part: the most uneven split then costs some 6 % */

static inline strip_part strip_split(const strip_plan *plan, int64_t n, int part, int n_parts) {
    const int64_t n_vectors = (n + plan->lanes - 1) / plan->lanes, n_strips = (n_vectors + plan->t - 1) / plan->t;
    const bool has_rows = plan->m >= plan->row_align * STRIP_ROW_UNITS * n_parts;
    int column_parts = plan->pack == STRIP_PACK_NONE && has_rows ? 1 : n_parts;
    while (column_parts > n_vectors || n_parts % column_parts != 0)
        column_parts--;
    const spt_range rows =
        strip_rows_of_part(plan->n_before, plan->m, plan->row_align, part / column_parts, n_parts / column_parts);
    if (n_strips < column_parts)
        return (strip_part){rows, spt_part_of(n_vectors, part % column_parts, column_parts), false};
    spt_range strips = spt_part_of(n_strips, part % column_parts, column_parts);
    return (strip_part){rows, {strips.begin * plan->t, strip_min(strips.end * plan->t, n_vectors)}, false};
}

/* The same, and whether its C is one that the caches do not keep. */
static inline strip_part strip_part_of(const strip_plan *plan, const spt_device *device, int64_t n, int part,
                                       int n_parts) {
    strip_part result = strip_split(plan, n, part, n_parts);
    const int64_t elements =
        (result.rows.end - result.rows.begin) * (result.vectors.end - result.vectors.begin) * plan->lanes;
    result.is_c_far = device->l2_bytes > 0 && elements * (int64_t)sizeof(float) > device->l2_bytes;
    return result;
}

/* The verbs of a family whose state has its plan in `strips`; run_for: of SPT_ISA_TABLE. */
#define STRIP_VERBS(state_type, run_for)                                                                               \
    static size_t workspace(const spt_prepared *prepared, int64_t n) {                                                 \
        const state_type *state = prepared->state;                                                                     \
        return strip_workspace(&state->strips, prepared->workload.problem.layout, n);                                  \
    }                                                                                                                  \
    static spt_status run_part(const spt_prepared *prepared, const spt_call *call, int part, int n_parts) {            \
        const state_type *state = prepared->state;                                                                     \
        run_for(prepared->device.isa)(state, call, &prepared->workload.problem,                                        \
                                      strip_part_of(&state->strips, &prepared->device, call->n, part, n_parts));       \
        return SPT_OK;                                                                                                 \
    }

/* A piece of B to be packed: rows [k, k + n_k) of columns [j, j + width). */
typedef struct strip_piece {
    int64_t k, n_k, j, width;
} strip_piece;

/* Copy so many rows of one strip, `width` columns of them; what t vectors have beyond these becomes 0. */
SPT_INLINE void strip_copy_rows(float *to, int64_t ld, const float *from, int64_t ldb, int64_t n_rows, int64_t width,
                                int t) {
    for (int64_t row = 0; row < n_rows; row++, from += ldb, to += ld) {
        for (int v = 0; v < t; v++) {
            const int64_t left = width - v * SPT_LANES;
            vec_store(to + v * SPT_LANES, left >= SPT_LANES ? vec_load(from + v * SPT_LANES)
                                          : left <= 0       ? vec_zero()
                                                      : vec_load_masked(vec_first((int)left), from + v * SPT_LANES));
        }
    }
}

enum { STRIP_COPY_ROWS = 32 }; /* of one strip at a time, where there are several */

/* Bring a piece of B into slots of strips that begin at dst. A few rows of every strip, then the next few: what is read
 * of a row of B lies together, and so does what is written of a strip. One copy per object is enough: it is long. */
static __attribute__((noinline, unused)) void strip_copy_b(float *dst, const strip_plan *plan, const spt_call *call,
                                                           strip_piece piece) {
    const int64_t ld = strip_packed_ld(plan), strip_width = (int64_t)plan->t * SPT_LANES;
    const int64_t rows_at_once = piece.width > strip_width ? STRIP_COPY_ROWS : piece.n_k;
    for (int64_t row = 0; row < piece.n_k; row += rows_at_once) {
        const int64_t n_rows = strip_min(rows_at_once, piece.n_k - row);
        const float *from = (const float *)call->b + (piece.k + row) * call->ldb + piece.j;
        float *to = dst + row * ld;
        for (int64_t left = piece.width; left > 0; left -= strip_width, from += strip_width, to += strip_slot(plan)) {
            if (plan->t == 1 && left >= SPT_LANES)
                strip_copy_rows(to, ld, from, call->ldb, n_rows, SPT_LANES, 1);
            else
                strip_copy_rows(to, ld, from, call->ldb, n_rows, left, plan->t);
        }
    }
}

/* The same for layout nk, strip by strip. */
SPT_INLINE void strip_transpose_b(float *dst, const strip_plan *plan, const spt_call *call, strip_piece piece) {
    const int64_t ld = strip_packed_ld(plan), strip_width = (int64_t)plan->t * SPT_LANES;
    const int64_t slot = strip_slot(plan);
    for (int64_t done = 0; done < piece.width; done += strip_width, dst += slot)
        SPT_ISA_NAME(transpose_any_f32)
    (dst, ld, (const float *)call->b + (piece.j + done) * call->ldb + piece.k, call->ldb,
     strip_min(piece.width - done, strip_width), piece.n_k);
}

/* Pack a piece, at most a group wide. Lanes of a narrower strip become 0 where whole strips are read. */
SPT_INLINE void strip_pack_b(float *dst, const strip_plan *plan, const spt_call *call, strip_piece piece) {
    const int64_t ld = strip_packed_ld(plan), strip_width = (int64_t)plan->t * SPT_LANES;
    if (plan->pack != STRIP_PACK_TRANSPOSE) {
        strip_copy_b(dst, plan, call, piece);
        return;
    }
    if (plan->pads_tail && piece.width % strip_width != 0) {
        float *last = dst + piece.width / strip_width * strip_slot(plan);
        for (int64_t row = 0; row < piece.n_k; row++)
            memset(last + row * ld, 0, (size_t)strip_width * sizeof *dst);
    }
    strip_transpose_b(dst, plan, call, piece);
}

/* One part's walk. */
typedef struct strip_walk {
    const strip_plan *plan;
    const spt_call *call;
    strip_part part;
    bool has_relu, is_nk;
    bool packs_all;  /* every strip is packed, not only a narrower one */
    int64_t group;   /* strips */
    float *packed;   /* NULL when nothing is packed */
    float *c_slot;   /* rows of C to leave transposed, of one strip, or columns of every strip */
    float *c_wait;   /* those of each strip that wait for more */
    int64_t c_begin; /* the first row that waits, or comes next */
    strip_view views[STRIP_GROUP_MAX];
} strip_walk;

SPT_INLINE strip_walk strip_walk_begin(const strip_plan *plan, const spt_call *call, const spt_problem *problem,
                                       strip_part part) {
    const bool is_readable = plan->fixed_ld == 0 || plan->fixed_ld == call->ldb;
    const int64_t slots = strip_slots(plan, call->n), packed = slots * strip_slot(plan);
    float *workspace = call->workspace;
    return (strip_walk){.plan = plan,
                        .call = call,
                        .part = part,
                        .has_relu = spt_epilogue_get(problem->epilogue)->activation == SPT_RELU,
                        .is_nk = problem->layout == SPT_NK,
                        .packs_all = plan->pack != STRIP_PACK_NONE || !is_readable,
                        .group = is_readable ? strip_group(plan, call->n) : slots,
                        .packed = workspace,
                        .c_slot = workspace != NULL ? workspace + packed : NULL,
                        .c_wait = workspace != NULL ? workspace + packed + strip_c_slot(plan) : NULL};
}

/* How many strips of a piece, from the first on, the family packs itself: whole ones, in its first rows. */
SPT_INLINE int64_t strip_left_to_family(const strip_walk *walk, int64_t width) {
    const strip_plan *plan = walk->plan;
    const bool can_copy = plan->copied_ld != 0 && plan->copied_ld == walk->call->ldb && walk->part.rows.begin == 0;
    return can_copy ? width / ((int64_t)plan->t * SPT_LANES) : 0;
}

/* View the strips of a piece of B, packing what must be packed; returns how many they are. */
SPT_INLINE int64_t strip_view_piece(strip_walk *walk, strip_piece piece) {
    const strip_plan *plan = walk->plan;
    const spt_call *call = walk->call;
    const int64_t strip_width = (int64_t)plan->t * SPT_LANES, ld = strip_packed_ld(plan);
    int64_t count = 0;
    const int64_t n_left = strip_left_to_family(walk, piece.width), left = n_left * strip_width;
    if (walk->packs_all && left < piece.width)
        strip_pack_b(walk->packed + n_left * strip_slot(plan), plan, call,
                     (strip_piece){piece.k, piece.n_k, piece.j + left, piece.width - left});
    for (int64_t begin = 0; begin < piece.width; begin += strip_width, count++) {
        const int64_t width = strip_min(strip_width, piece.width - begin), tail = width % SPT_LANES;
        const bool is_packed = walk->packs_all || (plan->pads_tail && width < strip_width);
        const float *in_place = (const float *)call->b + piece.k * call->ldb + piece.j + begin;
        const float *slot = walk->packed + (walk->packs_all ? count * strip_slot(plan) : 0);
        if (is_packed && !walk->packs_all)
            strip_pack_b(walk->packed, plan, call, (strip_piece){piece.k, piece.n_k, piece.j + begin, width});
        walk->views[count] = (strip_view){
            .b = is_packed ? slot : in_place,
            .source = count < n_left ? in_place : NULL,
            .ldb = is_packed ? ld : call->ldb,
            .slice = piece.k / strip_slice_rows(plan),
            .width = width,
            .n_vectors = (int)((width + SPT_LANES - 1) / SPT_LANES),
            .is_masked = tail != 0,
            .mask = vec_first((int)(tail != 0 ? tail : SPT_LANES)),
            .bias = call->bias,
            .has_relu = walk->has_relu,
        };
    }
    return count;
}

/* Tell every strip of a piece what comes after it, for families that prefetch: the group's next slice, then the next
 * group. Strips that are packed have nothing to prefetch here. */
SPT_INLINE void strip_view_next(strip_walk *walk, int64_t n_strips, strip_piece piece, int64_t end) {
    const strip_plan *plan = walk->plan;
    const float *b = walk->call->b;
    const bool has_slice = piece.k + piece.n_k < plan->k;
    const int64_t k = has_slice ? piece.k + piece.n_k : 0, ld = (int64_t)plan->t * SPT_LANES;
    for (int64_t i = 0; i < n_strips; i++) {
        const int64_t j = piece.j + i * ld + (has_slice ? 0 : walk->group * ld);
        walk->views[i].place = i;
        walk->views[i].n_places = n_strips;
        walk->views[i].next = j < end && !walk->packs_all ? b + k * walk->call->ldb + j : walk->views[i].b;
    }
}

/* Move so many elements, whole vectors. */
SPT_INLINE void strip_move(float *to, const float *from, int64_t n) {
    for (int64_t i = 0; i < n; i += SPT_LANES)
        vec_store(to + i, vec_load(from + i));
}

/* One chunk of one strip, which begins at column j, where C is transposed: through the scratch, behind rows that wait.
 * Returns the first row that did not leave. */
SPT_INLINE int64_t strip_visit_nk(strip_walk *walk, const void *state, strip_rows *family_rows, int64_t index,
                                  int64_t j, spt_range rows, bool is_last_slice) {
    const strip_plan *plan = walk->plan;
    const int64_t ld = (int64_t)plan->t * SPT_LANES;
    const bool is_sliced = strip_is_sliced(plan);
    strip_view *strip = &walk->views[index];
    float *waiting = walk->c_wait + index * strip_wait_slot(plan);
    strip->c = walk->c_slot + (is_sliced ? index * plan->m * ld : 0);
    strip->ldc = ld;
    strip->first_row = is_sliced ? walk->part.rows.begin : walk->c_begin;
    if (!is_sliced)
        strip_move(strip->c, waiting, (rows.begin - walk->c_begin) * ld);
    family_rows(state, strip, rows);
    if (!is_last_slice)
        return rows.end;
    const transpose_out out = {.c = (float *)walk->call->c + j * walk->call->ldc,
                               .ldc = walk->call->ldc,
                               .rows = strip->c + (walk->c_begin - strip->first_row) * ld,
                               .ld = ld,
                               .begin = walk->c_begin,
                               .end = rows.end,
                               .width = strip->width,
                               .is_first = walk->c_begin == walk->part.rows.begin,
                               .is_last = rows.end == walk->part.rows.end,
                               .is_far = walk->part.is_c_far};
    const int64_t kept = SPT_ISA_NAME(transpose_leave_f32)(&out);
    if (!is_sliced)
        strip_move(waiting, strip->c + (rows.end - kept - walk->c_begin) * ld, kept * ld);
    return rows.end - kept;
}

/* The same where C is not transposed: all leave. */
SPT_INLINE int64_t strip_visit_kn(strip_walk *walk, const void *state, strip_rows *family_rows, int64_t index,
                                  int64_t j, spt_range rows) {
    strip_view *strip = &walk->views[index];
    strip->c = (float *)walk->call->c + j;
    strip->ldc = walk->call->ldc;
    strip->first_row = 0;
    family_rows(state, strip, rows);
    strip->source = NULL;
    return rows.end;
}

/* Compute one part. Must be expanded in a function of this ISA's object. */
SPT_INLINE void strip_run(const strip_plan *plan, const void *state, strip_rows *family_rows, const spt_call *call,
                          const spt_problem *problem, strip_part part) {
    strip_walk walk = strip_walk_begin(plan, call, problem, part);
    const int64_t ld = (int64_t)plan->t * SPT_LANES, chunk = strip_chunk(plan), slice = strip_slice_rows(plan);
    const int64_t end = strip_min(part.vectors.end * SPT_LANES, call->n);
    if (part.rows.begin == part.rows.end)
        return;
    for (int64_t j = part.vectors.begin * SPT_LANES; j < end; j += walk.group * ld) {
        int64_t k = 0, left = 0;
        do { /* a matrix without columns has one empty slice, too */
            const int64_t n_k = strip_min(slice, plan->k - k);
            const strip_piece piece = {k, n_k, j, strip_min(walk.group * ld, end - j)};
            const int64_t n_strips = strip_view_piece(&walk, piece);
            strip_view_next(&walk, n_strips, piece, end);
            walk.c_begin = part.rows.begin;
            for (int64_t row = part.rows.begin; row < part.rows.end; row += chunk) {
                const spt_range rows = {row, strip_min(row + chunk, part.rows.end)};
                for (int64_t i = 0; i < n_strips; i++)
                    left = walk.is_nk
                               ? strip_visit_nk(&walk, state, family_rows, i, j + i * ld, rows, k + n_k == plan->k)
                               : strip_visit_kn(&walk, state, family_rows, i, j + i * ld, rows);
                walk.c_begin = left;
            }
            k += slice;
        } while (k < plan->k);
    }
    if (walk.is_nk && part.is_c_far)
        vec_stream_end();
}

#endif
