/* SPDX-License-Identifier: Apache-2.0 */
/* A task's nonzeros are sorted by column with one counting sort: the rows of CSR are sorted already, so walking them
 * in order and dealing each nonzero to its column's bucket keeps rows ascending inside a column. */
#include "variants/codegen/schedule.h"

#include <inttypes.h>
#include <string.h>

#include "core/memory.h"

void spt_schedule_fini(spt_schedule *schedule) {
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

/* Append the loads and multiply-adds of rows [first_row, end_row) of a slice; next[cols_per_slice] is scratch, all zero
 * before and after. */
static void schedule_task(spt_schedule *schedule, const spt_csr *a, const slice_rows *slice, int64_t first_row,
                          int64_t end_row, int64_t first_column, int32_t *next) {
    const int32_t *columns = a->columns;
    const int64_t first_load = schedule->n_loads;
    int64_t n_columns = a->n_cols - first_column;
    n_columns = n_columns < schedule->cols_per_slice ? n_columns : schedule->cols_per_slice;
    for (int64_t row = first_row; row < end_row; row++) {
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
    for (int64_t row = first_row; row < end_row; row++) {
        for (int64_t nz = slice->begin[row]; nz < slice->end[row]; nz++) {
            const int32_t fma = next[columns[nz] - first_column]++;
            schedule->fma_row[fma] = (uint8_t)(row - first_row);
            schedule->fma_source[fma] = (int32_t)nz;
        }
    }
    for (int64_t load = first_load; load < schedule->n_loads; load++)
        next[schedule->load_column[load]] = 0;
}

/* Let every row's range go on to the slice that ends before end_column. */
static void advance_slice(slice_rows *slice, const spt_csr *a, int64_t end_column) {
    for (int64_t row = 0; row < a->n_rows; row++) {
        int64_t nz = slice->end[row];
        slice->begin[row] = nz;
        while (nz < a->row_offsets[row + 1] && a->columns[nz] < end_column)
            nz++;
        slice->end[row] = nz;
    }
}

static void schedule_slice(spt_schedule *schedule, const spt_csr *a, slice_rows *slice, int64_t index, int32_t *next) {
    const int64_t first_column = index * schedule->cols_per_slice;
    advance_slice(slice, a, first_column + schedule->cols_per_slice);
    for (int64_t block = 0; block < schedule->n_blocks; block++) {
        const int64_t first_row = block * schedule->rows_per_block;
        schedule->task_start[index * schedule->n_blocks + block] = schedule->n_loads;
        schedule_task(schedule, a, slice, first_row, first_row + spt_schedule_block_rows(schedule, block), first_column,
                      next);
    }
}

spt_status spt_schedule_init(spt_schedule *out, const spt_csr *a, int rows_per_block, int64_t cols_per_slice) {
    const int64_t nnz = spt_csr_nnz(a), k = a->n_cols;
    slice_rows slice = {0};
    int32_t *next = NULL;
    spt_status status = SPT_OK;
    *out = (spt_schedule){.n_rows = a->n_rows, .n_cols = k, .rows_per_block = rows_per_block};
    if (nnz >= INT32_MAX)
        return spt_fail(SPT_EUNSUPPORTED, "schedule: expected fewer than 2^31 nonzeros, found %" PRId64, nnz);
    out->cols_per_slice = cols_per_slice > 0 && cols_per_slice < k ? cols_per_slice : k > 0 ? k : 1;
    out->n_slices = k > 0 ? (k + out->cols_per_slice - 1) / out->cols_per_slice : 1;
    out->n_blocks = (a->n_rows + rows_per_block - 1) / rows_per_block;
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
