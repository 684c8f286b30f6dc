/* SPDX-License-Identifier: Apache-2.0 */
/* Two passes over the rows of a slice: one counts its steps, one fills them. Gather: step i takes the i-th nonzero of
 * every row. Permute: the same within each table of 32 columns. */
#include "variants/cpu/spmm_skinny_pack.h"

#include <stdlib.h>
#include <string.h>

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

void spt_skinny_set_values(skinny_state *state, const float *values) {
    for (int64_t i = 0; i < state->n_steps * state->lanes; i++)
        state->values[i] = state->source[i] < 0 ? 0.0f : values[state->source[i]];
}

/* Rows of every window by falling length (a counting sort would need k counters: windows are small). */
typedef struct row_length {
    int64_t length;
    int32_t row;
} row_length;

static int compare_length(const void *a, const void *b) {
    const row_length *x = a, *y = b;
    if (x->length != y->length)
        return x->length > y->length ? -1 : 1;
    return (x->row > y->row) - (x->row < y->row);
}

static void order_rows(skinny_state *state, const spt_csr *a, int64_t window, row_length *scratch) {
    for (int64_t row = 0; row < a->n_rows; row++)
        scratch[row] = (row_length){a->row_offsets[row + 1] - a->row_offsets[row], (int32_t)row};
    for (int64_t begin = 0; window > 1 && begin < a->n_rows; begin += window) {
        const int64_t count = a->n_rows - begin < window ? a->n_rows - begin : window;
        qsort(scratch + begin, (size_t)count, sizeof *scratch, compare_length);
    }
    for (int64_t i = 0; i < state->n_slices * state->lanes; i++)
        state->rows[i] = i < a->n_rows ? scratch[i].row : -1;
}

/* One slice being laid out: a cursor into each lane's row. */
typedef struct slice_walk {
    int64_t at[16], end[16]; /* nonzeros of each lane's row that are left */
} slice_walk;

static slice_walk walk_begin(const skinny_state *state, const spt_csr *a, int64_t slice) {
    slice_walk walk = {0};
    for (int lane = 0; lane < state->lanes; lane++) {
        const int32_t row = state->rows[slice * state->lanes + lane];
        if (row >= 0) {
            walk.at[lane] = a->row_offsets[row];
            walk.end[lane] = a->row_offsets[row + 1];
        }
    }
    return walk;
}

/* The next step: returns its table (0 for gathers), or -1 when all rows are done. take[lane] is a nonzero or -1. */
static int64_t walk_step(slice_walk *walk, const skinny_state *state, const spt_csr *a, int64_t take[16]) {
    const int64_t width = state->permutes ? SKINNY_TABLE : INT64_C(1) << 32;
    int64_t nearest = -1; /* the first table that some row still needs */
    for (int lane = 0; lane < state->lanes; lane++) {
        if (walk->at[lane] == walk->end[lane])
            continue;
        const int64_t own = a->columns[walk->at[lane]] / width;
        if (nearest < 0 || own < nearest)
            nearest = own;
    }
    for (int lane = 0; lane < state->lanes; lane++) {
        const bool takes = walk->at[lane] < walk->end[lane] && a->columns[walk->at[lane]] / width == nearest;
        take[lane] = takes ? walk->at[lane]++ : -1;
    }
    return nearest;
}

static int64_t count_steps(const skinny_state *state, const spt_csr *a, int64_t slice) {
    slice_walk walk = walk_begin(state, a, slice);
    int64_t take[16], count = 0;
    while (walk_step(&walk, state, a, take) >= 0)
        count++;
    return (count + SKINNY_STEPS - 1) / SKINNY_STEPS * SKINNY_STEPS;
}

static void fill_slice(skinny_state *state, const spt_csr *a, int64_t slice) {
    slice_walk walk = walk_begin(state, a, slice);
    const int lanes = state->lanes;
    int64_t take[16];
    for (int64_t step = state->slice_start[slice]; step < state->slice_start[slice + 1]; step++) {
        const int64_t table = walk_step(&walk, state, a, take);
        if (state->permutes)
            state->table[step] = (uint16_t)(table < 0 ? 0 : table);
        for (int lane = 0; lane < lanes; lane++) {
            const int32_t column = take[lane] < 0 ? 0 : a->columns[take[lane]];
            state->source[step * lanes + lane] = (int32_t)take[lane];
            if (state->permutes)
                state->words[step / 4 * lanes + lane] |= (uint32_t)(column % SKINNY_TABLE) << (step % 4 * 8);
            else
                state->columns[step * lanes + lane] = (uint16_t)column;
        }
    }
}

spt_status spt_skinny_state_new(skinny_state **out, size_t *bytes, const spt_csr *a, const skinny_shape *shape) {
    const int64_t lanes = shape->lanes;
    row_length *scratch = NULL;
    skinny_state *state;
    spt_status status = SPT_OK;
    SPT_TRY(SPT_NEW_ZEROED(state, 1));
    *state = (skinny_state){.permutes = shape->permutes, .lanes = shape->lanes, .k = a->n_cols};
    state->n_slices = (a->n_rows + lanes - 1) / lanes;
    SPT_TRY_TO(done, SPT_NEW(state->slice_start, state->n_slices + 1));
    SPT_TRY_TO(done, SPT_NEW(state->rows, state->n_slices * lanes));
    SPT_TRY_TO(done, SPT_NEW(scratch, a->n_rows));
    order_rows(state, a, shape->window, scratch);
    for (int64_t slice = 0; slice < state->n_slices; slice++) {
        state->slice_start[slice] = state->n_steps;
        state->n_steps += count_steps(state, a, slice);
    }
    state->slice_start[state->n_slices] = state->n_steps;
    SPT_TRY_TO(done, SPT_NEW(state->source, state->n_steps * lanes));
    SPT_TRY_TO(done, SPT_NEW(state->values, state->n_steps * lanes));
    if (state->permutes) {
        SPT_TRY_TO(done, SPT_NEW(state->table, state->n_steps));
        SPT_TRY_TO(done, SPT_NEW_ZEROED(state->words, state->n_steps / 4 * lanes));
    } else {
        SPT_TRY_TO(done, SPT_NEW(state->columns, state->n_steps * lanes));
    }
    for (int64_t slice = 0; slice < state->n_slices; slice++)
        fill_slice(state, a, slice);
    *bytes =
        (size_t)(state->n_steps * lanes) * (shape->permutes ? 9 : 10) + (size_t)(state->n_slices * (lanes + 2)) * 4;
done:
    spt_free(scratch);
    if (status != SPT_OK)
        spt_skinny_state_free(state);
    else
        *out = state;
    return status;
}
