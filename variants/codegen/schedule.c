/* SPDX-License-Identifier: Apache-2.0 */
/* A block's nonzeros are sorted by column with one counting sort: the rows of CSR are sorted already, so walking them
 * in order and dealing each nonzero to its column's bucket keeps rows ascending inside a column. */
#include "variants/codegen/schedule.h"

#include <inttypes.h>
#include <string.h>

#include "core/memory.h"

void spt_schedule_fini(spt_schedule *schedule) {
    spt_free(schedule->block_start);
    spt_free(schedule->load_column);
    spt_free(schedule->load_start);
    spt_free(schedule->fma_row);
    spt_free(schedule->fma_source);
    *schedule = (spt_schedule){0};
}

/* Append the loads and multiply-adds of rows [begin, end); next[k] is scratch, all zero before and after. */
static void schedule_block(spt_schedule *schedule, const spt_csr *a, int64_t begin, int64_t end, int32_t *next) {
    const int64_t first = a->row_offsets[begin], last = a->row_offsets[end];
    for (int64_t nz = first; nz < last; nz++)
        next[a->columns[nz]]++;
    int64_t place = first; /* multiply-adds come block by block, so a block's begin where its nonzeros do */
    for (int64_t column = 0; column < a->n_cols; column++) {
        const int32_t count = next[column];
        if (count == 0)
            continue;
        schedule->load_column[schedule->n_loads] = (int32_t)column;
        schedule->load_start[schedule->n_loads++] = place;
        next[column] = (int32_t)place;
        place += count;
    }
    for (int64_t row = begin; row < end; row++) {
        for (int64_t nz = a->row_offsets[row]; nz < a->row_offsets[row + 1]; nz++) {
            const int32_t fma = next[a->columns[nz]]++;
            schedule->fma_row[fma] = (uint8_t)(row - begin);
            schedule->fma_source[fma] = (int32_t)nz;
        }
    }
    for (int64_t load = schedule->block_start[begin / schedule->rows_per_block]; load < schedule->n_loads; load++)
        next[schedule->load_column[load]] = 0;
}

spt_status spt_schedule_init(spt_schedule *out, const spt_csr *a, int rows_per_block) {
    const int64_t nnz = spt_csr_nnz(a);
    int32_t *next = NULL;
    spt_status status = SPT_OK;
    *out = (spt_schedule){.n_rows = a->n_rows, .n_cols = a->n_cols, .n_fmas = nnz, .rows_per_block = rows_per_block};
    if (nnz >= INT32_MAX)
        return spt_fail(SPT_EUNSUPPORTED, "schedule: expected fewer than 2^31 nonzeros, found %" PRId64, nnz);
    out->n_blocks = (a->n_rows + rows_per_block - 1) / rows_per_block;
    SPT_TRY_TO(done, SPT_NEW(out->block_start, out->n_blocks + 1));
    SPT_TRY_TO(done, SPT_NEW(out->load_column, nnz)); /* at most one load per nonzero */
    SPT_TRY_TO(done, SPT_NEW(out->load_start, nnz + 1));
    SPT_TRY_TO(done, SPT_NEW(out->fma_row, nnz));
    SPT_TRY_TO(done, SPT_NEW(out->fma_source, nnz));
    SPT_TRY_TO(done, SPT_NEW_ZEROED(next, a->n_cols));
    for (int64_t block = 0; block < out->n_blocks; block++) {
        const int64_t begin = block * rows_per_block;
        out->block_start[block] = out->n_loads;
        schedule_block(out, a, begin, begin + spt_schedule_block_rows(out, block), next);
    }
    out->block_start[out->n_blocks] = out->n_loads;
    out->load_start[out->n_loads] = nnz;
done:
    spt_free(next);
    if (status != SPT_OK)
        spt_schedule_fini(out);
    return status;
}
