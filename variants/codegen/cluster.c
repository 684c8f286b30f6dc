/* SPDX-License-Identifier: Apache-2.0 */
/* A greedy choice: a block begins with the first row left, then takes, time after time, the row of the window that
 * shares the greatest part of its columns with the block. What each row of the window is worth is kept up to date by
 * walking down each column that is new to the block, so a whole clustering walks every column of the window about once
 * per block. */
#include "variants/codegen/cluster.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "core/csr.h"
#include "core/memory.h"

enum {
    WINDOW_MAX = 2048,   /* rows that may be chosen; more of them cluster better and take longer, */
    COLUMN_LENGTH = 64,  /* so where a column of the window would have more nonzeros than this, the window is smaller */
    STRETCH = 64,        /* slots that are looked at together; divides WINDOW_MAX */
    WORTH_ONE = 1 << 27, /* of a row without nonzeros */
    WORTH_SHARED = 10,   /* a shared column's, where being there at all is 1 */
    WORTH_TAKEN = -1
};

/* Rows of the window have slots, ascending; a taken row keeps its own until the window is filled anew. */
typedef struct clustering {
    const spt_csr *a;
    int64_t next_row; /* the first row that has never had a slot */
    int window, n_slots, n_taken;
    int32_t row[WINDOW_MAX];   /* of a slot */
    int32_t unit[WINDOW_MAX];  /* WORTH_ONE by the row's nonzeros and one; WORTH_TAKEN */
    int32_t worth[WINDOW_MAX]; /* to the block: unit * (1 + WORTH_SHARED * columns shared); unused slots: WORTH_TAKEN */
    int64_t *column_start;     /* n_cols + 1: the window by column */
    uint16_t *column_slot;     /* nnz at most */
    bool *is_used;             /* n_cols: by the block */
} clustering;

static void clustering_fini(clustering *self) {
    spt_free(self->column_start);
    spt_free(self->column_slot);
    spt_free(self->is_used);
}

static spt_status clustering_init(clustering *self, const spt_csr *a, int64_t rows_per_block) {
    const double rows = COLUMN_LENGTH * (double)a->n_rows * (double)a->n_cols / (double)(spt_csr_nnz(a) + 1);
    const double least = fmin(4.0 * (double)rows_per_block, WINDOW_MAX);
    *self = (clustering){.a = a, .window = (int)fmax(fmin(rows, WINDOW_MAX), least)};
    SPT_TRY(SPT_NEW(self->column_start, a->n_cols + 1));
    SPT_TRY(SPT_NEW(self->column_slot, spt_csr_nnz(a)));
    SPT_TRY(SPT_NEW(self->is_used, a->n_cols));
    return SPT_OK;
}

/* The columns of the window's rows: a counting sort. column_start[c] is first the next free place of c, in the end
 * where the next column begins, and moves up by one. */
static void list_columns(clustering *self) {
    const spt_csr *a = self->a;
    int64_t *start = self->column_start;
    memset(start, 0, ((size_t)a->n_cols + 1) * sizeof *start);
    for (int slot = 0; slot < self->n_slots; slot++)
        for (int64_t nz = a->row_offsets[self->row[slot]]; nz < a->row_offsets[self->row[slot] + 1]; nz++)
            start[a->columns[nz] + 1]++;
    for (int64_t column = 0; column < a->n_cols; column++)
        start[column + 1] += start[column];
    for (int slot = 0; slot < self->n_slots; slot++)
        for (int64_t nz = a->row_offsets[self->row[slot]]; nz < a->row_offsets[self->row[slot] + 1]; nz++)
            self->column_slot[start[a->columns[nz]]++] = (uint16_t)slot;
    memmove(start + 1, start, (size_t)a->n_cols * sizeof *start);
    start[0] = 0;
}

/* Give the slots of taken rows to those that follow. */
static void fill_window(clustering *self) {
    int n_kept = 0;
    for (int slot = 0; slot < self->n_slots; slot++)
        if (self->unit[slot] != WORTH_TAKEN)
            self->row[n_kept++] = self->row[slot];
    while (n_kept < self->window && self->next_row < self->a->n_rows)
        self->row[n_kept++] = (int32_t)self->next_row++;
    for (int slot = 0; slot < WINDOW_MAX; slot++)
        self->unit[slot] = WORTH_TAKEN;
    for (int slot = 0; slot < n_kept; slot++) {
        const int64_t length = spt_csr_row_length(self->a, self->row[slot]);
        self->unit[slot] = length < WORTH_ONE ? (int32_t)(WORTH_ONE / (length + 1)) : 1;
    }
    self->n_slots = n_kept;
    self->n_taken = 0;
    list_columns(self);
}

/* The block uses this column from now on: every row of the window that has it is worth more. */
static void use_column(clustering *self, int32_t column) {
    self->is_used[column] = true;
    int32_t *restrict worth = self->worth;
    const int32_t *restrict unit = self->unit;
    const uint16_t *restrict slot = self->column_slot;
    const int64_t end = self->column_start[column + 1];
    for (int64_t place = self->column_start[column]; place < end; place++)
        worth[slot[place]] += WORTH_SHARED * unit[slot[place]];
}

static int32_t take_slot(clustering *self, int slot) {
    const spt_csr *a = self->a;
    const int32_t row = self->row[slot];
    for (int64_t nz = a->row_offsets[row]; nz < a->row_offsets[row + 1]; nz++)
        if (!self->is_used[a->columns[nz]])
            use_column(self, a->columns[nz]);
    self->unit[slot] = self->worth[slot] = WORTH_TAKEN;
    self->n_taken++;
    return row;
}

static int first_slot(const clustering *self) {
    int slot = 0;
    while (self->unit[slot] == WORTH_TAKEN)
        slot++;
    return slot;
}

/* The row that shares the greatest part of its columns; among rows that share nothing: the shortest. (Shared ones less
 * those of its own, in any weights, left 1 to 6 % more columns on layers of 90 to 98 % zeros.) */
static int best_slot(const clustering *self) {
    int best_stretch = 0, slot = 0;
    int32_t best = WORTH_TAKEN;
    for (int stretch = 0; stretch < self->n_slots; stretch += STRETCH) {
        int32_t most = WORTH_TAKEN;
        for (int i = 0; i < STRETCH; i++)
            most = self->worth[stretch + i] > most ? self->worth[stretch + i] : most;
        best_stretch = most > best ? stretch : best_stretch;
        best = most > best ? most : best;
    }
    for (slot = best_stretch; self->worth[slot] != best;)
        slot++;
    return slot;
}

static void cluster_block(clustering *self, int32_t *order, int64_t n_rows) {
    if (self->n_slots - self->n_taken < n_rows || 4 * self->n_taken >= self->n_slots)
        fill_window(self);
    memcpy(self->worth, self->unit, sizeof self->worth);
    memset(self->is_used, 0, (size_t)self->a->n_cols * sizeof *self->is_used);
    order[0] = take_slot(self, first_slot(self));
    for (int64_t i = 1; i < n_rows; i++)
        order[i] = take_slot(self, best_slot(self));
}

spt_status spt_rows_cluster(int32_t *order, const spt_csr *a, int rows_per_block) {
    clustering self;
    spt_status status = SPT_OK;
    assert(rows_per_block >= 1 && rows_per_block <= WINDOW_MAX);
    SPT_TRY_TO(done, clustering_init(&self, a, rows_per_block));
    for (int64_t place = 0; place < a->n_rows; place += rows_per_block) {
        const int64_t n_rows = a->n_rows - place < rows_per_block ? a->n_rows - place : rows_per_block;
        cluster_block(&self, order + place, n_rows);
    }
done:
    clustering_fini(&self);
    return status;
}

double spt_clustered_share(double density) {
    return density < 0.15 ? 0.62 + 2.5 * density : 1.0;
}
