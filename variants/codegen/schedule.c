/* SPDX-License-Identifier: Apache-2.0 */
/* A task's nonzeros are sorted by column with one counting sort: the rows of CSR are sorted already, so walking them
 * in order and dealing each nonzero to its column's bucket keeps rows ascending inside a column. */
#include "variants/codegen/schedule.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "core/csr.h"
#include "core/memory.h"
#include "variants/codegen/cluster.h"

void spt_schedule_fini(spt_schedule *schedule) {
    spt_free(schedule->block_first);
    spt_free(schedule->row_order);
    spt_free(schedule->task_start);
    spt_free(schedule->load_column);
    spt_free(schedule->load_start);
    spt_free(schedule->fma_row);
    spt_free(schedule->fma_source);
    *schedule = (spt_schedule){0};
}

/* Where each row's nonzeros of the current slice begin and end. */
typedef struct slice_rows {
    int64_t *begin, *end; /* n_rows each */
} slice_rows;

static int64_t row_at(const spt_schedule *schedule, int64_t place) {
    return schedule->row_order != NULL ? schedule->row_order[place] : place;
}

/* Append the loads and multiply-adds of the rows at places [first, end) of a slice; next[cols_per_slice] is scratch,
 * all zero before and after. */
static void schedule_task(spt_schedule *schedule, const spt_csr *a, const slice_rows *slice, int64_t first, int64_t end,
                          int64_t first_column, int32_t *next) {
    const int32_t *columns = a->columns;
    const int64_t first_load = schedule->n_loads;
    int64_t n_columns = a->n_cols - first_column;
    n_columns = n_columns < schedule->cols_per_slice ? n_columns : schedule->cols_per_slice;
    for (int64_t place = first; place < end; place++) {
        const int64_t row = row_at(schedule, place);
        for (int64_t nz = slice->begin[row]; nz < slice->end[row]; nz++)
            next[columns[nz] - first_column]++;
    }
    for (int64_t column = 0; column < n_columns; column++) {
        const int32_t count = next[column];
        if (count == 0)
            continue;
        schedule->load_column[schedule->n_loads] = (int32_t)column;
        schedule->load_start[schedule->n_loads++] = schedule->n_fmas;
        next[column] = (int32_t)schedule->n_fmas;
        schedule->n_fmas += count;
    }
    for (int64_t place = first; place < end; place++) {
        const int64_t row = row_at(schedule, place);
        for (int64_t nz = slice->begin[row]; nz < slice->end[row]; nz++) {
            const int32_t fma = next[columns[nz] - first_column]++;
            schedule->fma_row[fma] = (uint8_t)(place - first);
            schedule->fma_source[fma] = (int32_t)nz;
        }
    }
    for (int64_t load = first_load; load < schedule->n_loads; load++)
        next[schedule->load_column[load]] = 0;
}

/* Let every row's range go on to the slice that ends before end_column. */
static void advance_slice(slice_rows *slice, const spt_csr *a, int64_t end_column) {
    for (int64_t row = 0; row < a->n_rows; row++) {
        int64_t nz = end_column < a->n_cols ? slice->end[row] : a->row_offsets[row + 1];
        slice->begin[row] = slice->end[row];
        while (nz < a->row_offsets[row + 1] && a->columns[nz] < end_column)
            nz++;
        slice->end[row] = nz;
    }
}

static void schedule_slice(spt_schedule *schedule, const spt_csr *a, slice_rows *slice, int64_t index, int32_t *next) {
    const int64_t first_column = index * schedule->cols_per_slice;
    advance_slice(slice, a, first_column + schedule->cols_per_slice);
    for (int64_t block = 0; block < schedule->n_blocks; block++) {
        schedule->task_start[index * schedule->n_blocks + block] = schedule->n_loads;
        schedule_task(schedule, a, slice, schedule->block_first[block], schedule->block_first[block + 1], first_column,
                      next);
    }
}

static spt_status order_rows(spt_schedule *schedule, const spt_csr *a, const spt_schedule_cut *cut) {
    if (cut->row_order == SPT_SCHEDULE_NATURAL)
        return SPT_OK;
    SPT_TRY(SPT_NEW(schedule->row_order, a->n_rows));
    return cut->row_order == SPT_SCHEDULE_SORTED ? spt_csr_sort_rows(schedule->row_order, a)
                                                 : spt_rows_cluster(schedule->row_order, a, cut->rows_per_block);
}

/* Cut the places into blocks: full ones, or such that none has much more nonzeros than the others. */
static spt_status cut_blocks(spt_schedule *schedule, const spt_csr *a, const spt_schedule_cut *cut) {
    const int64_t m = a->n_rows, rows = cut->rows_per_block;
    const int64_t n_wanted = (4 * m + 3 * rows - 1) / (3 * rows); /* three quarters full where rows are alike */
    const int64_t nnz_wanted = (spt_csr_nnz(a) + n_wanted - 1) / n_wanted;
    int64_t nnz = 0;
    SPT_TRY(SPT_NEW(schedule->block_first, cut->is_balanced ? m + 1 : (m + rows - 1) / rows + 1));
    schedule->block_first[0] = 0;
    for (int64_t place = 0; place < m; place++) {
        const int64_t length = spt_csr_row_length(a, row_at(schedule, place)),
                      n_here = place - schedule->block_first[schedule->n_blocks];
        const bool is_full = n_here == rows || (cut->is_balanced && n_here > 0 && nnz + length / 2 >= nnz_wanted);
        if (is_full) {
            schedule->block_first[++schedule->n_blocks] = place;
            nnz = 0;
        }
        nnz += length;
    }
    schedule->block_first[++schedule->n_blocks] = m;
    return SPT_OK;
}

spt_status spt_schedule_init(spt_schedule *out, const spt_csr *a, const spt_schedule_cut *cut) {
    const int64_t nnz = spt_csr_nnz(a), k = a->n_cols;
    slice_rows slice = {0};
    int32_t *next = NULL;
    spt_status status = SPT_OK;
    *out = (spt_schedule){.n_rows = a->n_rows, .n_cols = k, .rows_per_block = cut->rows_per_block};
    if (nnz >= INT32_MAX)
        return spt_fail(SPT_EUNSUPPORTED, "schedule: expected fewer than 2^31 nonzeros, found %" PRId64, nnz);
    const bool has_slices = cut->cols_per_slice > 0 && cut->cols_per_slice < k;
    out->cols_per_slice = has_slices ? cut->cols_per_slice : k > 0 ? k : 1;
    out->n_slices = k > 0 ? (k + out->cols_per_slice - 1) / out->cols_per_slice : 1;
    SPT_TRY_TO(done, order_rows(out, a, cut));
    SPT_TRY_TO(done, cut_blocks(out, a, cut));
    SPT_TRY_TO(done, SPT_NEW(out->task_start, out->n_slices * out->n_blocks + 1));
    SPT_TRY_TO(done, SPT_NEW(out->load_column, nnz)); /* at most one load per nonzero */
    SPT_TRY_TO(done, SPT_NEW(out->load_start, nnz + 1));
    SPT_TRY_TO(done, SPT_NEW(out->fma_row, nnz));
    SPT_TRY_TO(done, SPT_NEW(out->fma_source, nnz));
    SPT_TRY_TO(done, SPT_NEW_ZEROED(next, out->cols_per_slice));
    SPT_TRY_TO(done, SPT_NEW(slice.begin, a->n_rows));
    SPT_TRY_TO(done, SPT_NEW(slice.end, a->n_rows));
    if (a->n_rows > 0)
        memcpy(slice.end, a->row_offsets, (size_t)a->n_rows * sizeof *slice.end);
    for (int64_t index = 0; index < out->n_slices; index++)
        schedule_slice(out, a, &slice, index, next);
    out->task_start[out->n_slices * out->n_blocks] = out->n_loads;
    out->load_start[out->n_loads] = nnz;
done:
    spt_free(slice.begin);
    spt_free(slice.end);
    spt_free(next);
    if (status != SPT_OK)
        spt_schedule_fini(out);
    return status;
}

double spt_schedule_columns_used(double n_cols, double density, double rows, spt_schedule_order order) {
    const double share = order == SPT_SCHEDULE_CLUSTERED ? spt_clustered_share(density) : 1.0;
    return n_cols * (1.0 - pow(1.0 - density, rows)) * share;
}
