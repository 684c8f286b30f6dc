/* SPDX-License-Identifier: Apache-2.0 */
/* Two passes over the rows of a slice: one counts its steps, one fills them. A step takes the next nonzero of every
 * row. Look-up in tables: of every row whose next column is inside the table, which begins at the multiple of
 * SKINNY_BASE before the first column that any row still has; rows that are ahead wait for the others. */
#include "variants/cpu/spmm_skinny_pack.h"

#include <string.h>

#include "core/csr.h"
#include "core/memory.h"

void spt_skinny_state_free(skinny_state *state) {
    if (state == NULL)
        return;
    spt_free(state->slice_start);
    spt_free(state->rows);
    spt_free(state->source);
    spt_free(state->values);
    spt_free(state->columns);
    spt_free(state->table);
    spt_free(state->words);
    spt_free(state);
}

/* No branch: which slots pad is as good as random. */
void spt_skinny_set_values(skinny_state *state, const float *values) {
    for (int64_t i = 0; i < state->n_steps * state->lanes; i++) {
        const int32_t source = state->source[i], is_pad = -(source < 0); /* all bits or none */
        int32_t bits;
        memcpy(&bits, values + (source & ~is_pad), sizeof bits);
        bits &= ~is_pad;
        memcpy(state->values + i, &bits, sizeof bits);
    }
}

static void order_rows(skinny_state *state, const spt_csr *a, int64_t window, int64_t *counters) {
    for (int64_t i = 0; i < state->n_slices * state->lanes; i++)
        state->rows[i] = i < a->n_rows ? (int32_t)i : -1;
    for (int64_t begin = 0; window > 1 && begin < a->n_rows; begin += window)
        spt_csr_rows_by_length(state->rows + begin, a, begin, a->n_rows - begin < window ? a->n_rows : begin + window,
                               counters);
}

enum { LANES_MAX = 16 };
static const int32_t no_column = INT32_MAX;

/* One slice being laid out: of each lane's row the nonzeros that are left, and the column that comes next. */
typedef struct slice_walk {
    const int32_t *at[LANES_MAX], *end[LANES_MAX];
    int32_t column[LANES_MAX]; /* no_column: none */
} slice_walk;

static slice_walk walk_begin(const skinny_state *state, const spt_csr *a, int64_t slice) {
    slice_walk walk;
    for (int lane = 0; lane < LANES_MAX; lane++) {
        const int32_t row = lane < state->lanes ? state->rows[slice * state->lanes + lane] : -1;
        const bool has_any = row >= 0 && spt_csr_row_length(a, row) > 0;
        walk.at[lane] = has_any ? a->columns + a->row_offsets[row] : &no_column;
        walk.end[lane] = has_any ? a->columns + a->row_offsets[row + 1] : &no_column;
        walk.column[lane] = *walk.at[lane];
    }
    return walk;
}

/* The first column of a table that begins with the next step, 0 for gathers; -1 when all rows are done. */
static inline int32_t walk_base(const slice_walk *walk, const skinny_state *state) {
    int32_t nearest = no_column;
    for (int lane = 0; lane < LANES_MAX; lane++)
        nearest = walk->column[lane] < nearest ? walk->column[lane] : nearest;
    return nearest == no_column ? -1 : state->table_width > 0 ? nearest / SKINNY_BASE * SKINNY_BASE : 0;
}

/* The first column that is beyond the table. */
static inline int32_t table_end(const skinny_state *state, int32_t base) {
    return state->table_width > 0 ? base + state->table_width : no_column;
}

/* Take one nonzero of every lane whose next column comes before `end`. */
static inline void walk_step(slice_walk *walk, int32_t end) {
    for (int lane = 0; lane < LANES_MAX; lane++) {
        walk->at[lane] += walk->column[lane] < end;
        const int32_t *next = walk->at[lane] != walk->end[lane] ? walk->at[lane] : &no_column;
        walk->column[lane] = *next;
    }
}

static int64_t count_steps(const skinny_state *state, const spt_csr *a, int64_t slice) {
    slice_walk walk = walk_begin(state, a, slice);
    int64_t count = 0;
    for (int32_t base; (base = walk_base(&walk, state)) >= 0; count += state->table_steps) {
        for (int i = 0; i < state->table_steps; i++)
            walk_step(&walk, table_end(state, base));
    }
    return (count + SKINNY_STEPS - 1) / SKINNY_STEPS * SKINNY_STEPS;
}

/* What the lanes take in a step of the table that begins at base. No branch: who takes is as good as random. */
static void fill_step(skinny_state *state, const spt_csr *a, const slice_walk *walk, int64_t step, int32_t base) {
    const int lanes = state->lanes;
    const int32_t end = table_end(state, base);
    int32_t *source = state->source + step * lanes;
    for (int lane = 0; lane < lanes; lane++) {
        const int32_t takes = -(walk->column[lane] < end);
        const uintptr_t bytes = (uintptr_t)walk->at[lane] - (uintptr_t)a->columns;
        source[lane] = ((int32_t)(bytes / sizeof *a->columns) & takes) | ~takes;
    }
    if (state->table_width > 0) {
        uint32_t *words = state->words + step / SKINNY_STEPS * lanes;
        for (int lane = 0; lane < lanes; lane++)
            words[lane] |= (uint32_t)((walk->column[lane] - base) & -(walk->column[lane] < end))
                           << (step % SKINNY_STEPS * 8);
    } else {
        for (int lane = 0; lane < lanes; lane++)
            state->columns[step * lanes + lane] = (uint16_t)(walk->column[lane] & -(walk->column[lane] < end));
    }
}

static void fill_slice(skinny_state *state, const spt_csr *a, int64_t slice) {
    slice_walk walk = walk_begin(state, a, slice);
    int32_t base = 0;
    for (int64_t step = state->slice_start[slice]; step < state->slice_start[slice + 1]; step++) {
        if (step % state->table_steps == 0) {
            base = walk_base(&walk, state);
            base = base < 0 ? 0 : base; /* steps that only pad */
            if (state->table_width > 0)
                state->table[step / state->table_steps] = (uint16_t)(base / SKINNY_BASE);
        }
        fill_step(state, a, &walk, step, base);
        walk_step(&walk, table_end(state, base));
    }
}

spt_status spt_skinny_state_new(skinny_state **out, size_t *bytes, const spt_csr *a, const skinny_shape *shape) {
    const int64_t lanes = shape->lanes;
    int64_t *counters = NULL;
    skinny_state *state;
    spt_status status = SPT_OK;
    SPT_TRY(SPT_NEW_ZEROED(state, 1));
    *state = (skinny_state){.table_width = shape->table_width,
                            .table_steps = shape->table_width > SKINNY_TABLE_SHORT ? SKINNY_STEPS : 1,
                            .lanes = shape->lanes,
                            .k = a->n_cols};
    state->n_slices = (a->n_rows + lanes - 1) / lanes;
    SPT_TRY_TO(done, SPT_NEW(state->slice_start, state->n_slices + 1));
    SPT_TRY_TO(done, SPT_NEW(state->rows, state->n_slices * lanes));
    SPT_TRY_TO(done, SPT_NEW_ZEROED(counters, a->n_cols + 2));
    order_rows(state, a, shape->window, counters);
    for (int64_t slice = 0; slice < state->n_slices; slice++) {
        state->slice_start[slice] = state->n_steps;
        state->n_steps += count_steps(state, a, slice);
    }
    state->slice_start[state->n_slices] = state->n_steps;
    SPT_TRY_TO(done, SPT_NEW(state->source, state->n_steps * lanes));
    SPT_TRY_TO(done, SPT_NEW(state->values, state->n_steps * lanes));
    if (shape->table_width > 0) {
        SPT_TRY_TO(done, SPT_NEW(state->table, state->n_steps / state->table_steps));
        SPT_TRY_TO(done, SPT_NEW_ZEROED(state->words, state->n_steps / 4 * lanes));
    } else {
        SPT_TRY_TO(done, SPT_NEW(state->columns, state->n_steps * lanes));
    }
    for (int64_t slice = 0; slice < state->n_slices; slice++)
        fill_slice(state, a, slice);
    *bytes = (size_t)(state->n_steps * lanes) * (shape->table_width > 0 ? 9 : 10) +
             (size_t)(state->n_slices * (lanes + 2)) * 4;
done:
    spt_free(counters);
    if (status != SPT_OK)
        spt_skinny_state_free(state);
    else
        *out = state;
    return status;
}
