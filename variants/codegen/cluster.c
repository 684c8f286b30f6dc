/* SPDX-License-Identifier: Apache-2.0 */
/* A greedy choice: a block begins with the first row left, then takes, time after time, the row of the window that
 * shares the greatest part of its columns with the block. Counts of shared columns are kept up to date by walking down
 * each column that is new to the block, so that a whole clustering reads every column about once per block. */
#include "variants/codegen/cluster.h"

#include <string.h>

#include "core/memory.h"

/* Rows that may be chosen: the first ones that are left. More of them cluster better and take longer. */
enum { WINDOW = 2048 };

typedef struct clustering {
    const spt_csr *a;
    int64_t *column_start; /* n_cols + 1 */
    int64_t *column_first; /* n_cols: the first place of a column whose row may still be left */
    int32_t *column_rows;  /* nnz: rows by column, ascending */
    int32_t *shared;       /* n_rows: columns that a row shares with the block */
    bool *is_taken;        /* n_rows */
    bool *is_used;         /* n_cols: by the block */
    int32_t *left;         /* n_rows: the rows that are left, ascending */
    int64_t n_left;
} clustering;

static void clustering_fini(clustering *self) {
    spt_free(self->column_start);
    spt_free(self->column_first);
    spt_free(self->column_rows);
    spt_free(self->shared);
    spt_free(self->is_taken);
    spt_free(self->is_used);
    spt_free(self->left);
}

static spt_status clustering_init(clustering *self, const spt_csr *a) {
    *self = (clustering){.a = a, .n_left = a->n_rows};
    SPT_TRY(SPT_NEW(self->column_start, a->n_cols + 1));
    SPT_TRY(SPT_NEW(self->column_first, a->n_cols));
    SPT_TRY(SPT_NEW(self->column_rows, spt_csr_nnz(a)));
    SPT_TRY(SPT_NEW(self->shared, a->n_rows));
    SPT_TRY(SPT_NEW_ZEROED(self->is_taken, a->n_rows));
    SPT_TRY(SPT_NEW_ZEROED(self->is_used, a->n_cols));
    SPT_TRY(SPT_NEW(self->left, a->n_rows));
    for (int64_t row = 0; row < a->n_rows; row++)
        self->left[row] = (int32_t)row;
    spt_csr_by_column(self->column_start, self->column_rows, a, 0, a->n_rows);
    if (a->n_cols > 0)
        memcpy(self->column_first, self->column_start, (size_t)a->n_cols * sizeof *self->column_first);
    return SPT_OK;
}

/* The block uses this column from now on: every row of the window that has it shares one more. */
static void use_column(clustering *self, int32_t column, int32_t first_row, int32_t last_row) {
    int64_t place = self->column_first[column];
    const int64_t end = self->column_start[column + 1];
    self->is_used[column] = true;
    while (place < end && self->column_rows[place] < first_row)
        place++;
    self->column_first[column] = place;
    for (; place < end && self->column_rows[place] <= last_row; place++)
        self->shared[self->column_rows[place]]++;
}

static void take_row(clustering *self, int64_t index, int32_t *out) {
    const int32_t row = self->left[index], first_row = self->left[0];
    const int64_t window = self->n_left < WINDOW ? self->n_left : WINDOW;
    const spt_csr *a = self->a;
    for (int64_t nz = a->row_offsets[row]; nz < a->row_offsets[row + 1]; nz++)
        if (!self->is_used[a->columns[nz]])
            use_column(self, a->columns[nz], first_row, self->left[window - 1]);
    self->is_taken[row] = true;
    *out = row;
}

/* The row of the window that shares the greatest part of its columns. (Shared ones less those of its own, in any
 * weights, left 1 to 6 % more columns on layers of 90 to 98 % zeros.) Among rows that share nothing: the shortest. */
static int64_t best_row(const clustering *self) {
    const int64_t window = self->n_left < WINDOW ? self->n_left : WINDOW;
    const int64_t *offsets = self->a->row_offsets;
    int64_t best = -1, best_shared = 0, best_length = 1;
    for (int64_t i = 0; i < window; i++) {
        const int32_t row = self->left[i];
        const int64_t shared = 10 * (int64_t)self->shared[row] + 1, length = offsets[row + 1] - offsets[row] + 1;
        if (!self->is_taken[row] && (best < 0 || shared * best_length > best_shared * length)) {
            best_shared = shared;
            best_length = length;
            best = i;
        }
    }
    return best;
}

static void cluster_block(clustering *self, int32_t *order, int64_t n_rows) {
    memset(self->shared, 0, (size_t)self->a->n_rows * sizeof *self->shared);
    memset(self->is_used, 0, (size_t)self->a->n_cols * sizeof *self->is_used);
    take_row(self, 0, &order[0]);
    for (int64_t i = 1; i < n_rows; i++)
        take_row(self, best_row(self), &order[i]);
    int64_t kept = 0;
    for (int64_t i = 0; i < self->n_left; i++)
        if (!self->is_taken[self->left[i]])
            self->left[kept++] = self->left[i];
    self->n_left = kept;
}

spt_status spt_rows_cluster(int32_t *order, const spt_csr *a, int rows_per_block) {
    clustering self;
    spt_status status = SPT_OK;
    SPT_TRY_TO(done, clustering_init(&self, a));
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
