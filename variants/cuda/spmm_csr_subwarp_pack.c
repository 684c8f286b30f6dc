/* SPDX-License-Identifier: Apache-2.0 */
/* Items of spmm_csr_subwarp: rows as they are, by length, or cut into pieces. */
#include "variants/cuda/spmm_csr_subwarp_pack.h"

#include <string.h>

#include "core/memory.h"

/* A row or a piece of one: n_pieces counts the pieces at the first one, and is 0 at those that follow it. */
typedef struct item {
    int32_t row, begin, count, n_pieces; /* begin: in the packed arrays; row -1: nothing to do */
} item;

/* Rows to slots of blocks. Pieces of a row lie side by side in one block; At least half of
 * a block is used, and pieces are at least a mean row long, so `items` needs (rows + 1) (m + 1) slots at most. */
static int64_t make_items(item *items, const spt_csr *a, const int32_t *order, int rows, int64_t piece) {
    int64_t n_items = 0, last = a->n_rows;
    for (int64_t i = 0; i < last; i++) {
        int64_t row = order != NULL ? order[i] : i;
        const int64_t length = spt_csr_row_length(a, row);
        int64_t n_pieces = piece > 0 && length > piece ? spt_ceil_div(length, piece) : 1;
        n_pieces = n_pieces > rows ? rows : n_pieces;
        while (n_items % rows + n_pieces > rows) { /* fill up the block with the shortest rows */
            const int64_t shortest = order[last - 1], own = order[i];
            const bool is_free = shortest != own && spt_csr_row_length(a, shortest) <= piece;
            items[n_items++] = is_free ? (item){(int32_t)shortest, 0, 0, 1} : (item){-1, 0, 0, 1};
            last -= is_free;
        }
        for (int64_t p = 0; p < n_pieces; p++)
            items[n_items++] = (item){(int32_t)row, 0, 0, p == 0 ? (int32_t)n_pieces : 0};
    }
    while (n_items % rows != 0)
        items[n_items++] = (item){-1, 0, 0, 1};
    return n_items;
}

/* Where each item begins in the packed arrays; gives their length. */
static int64_t place_items(item *items, int64_t n_items, const spt_csr *a, int unroll) {
    int64_t place = 0;
    for (int64_t i = 0, j; i < n_items; i = j) {
        const int64_t row = items[i].row, n_pieces = items[i].n_pieces;
        const int64_t length = row < 0 ? 0 : spt_csr_row_length(a, row);
        for (j = i; j < i + n_pieces; j++) {
            items[j].begin = (int32_t)place;
            items[j].count = (int32_t)(length * (j - i + 1) / n_pieces - length * (j - i) / n_pieces);
            place += spt_round_up(items[j].count, unroll);
        }
    }
    return place;
}

static spt_status fill(spt_cuda_packed *out, const spt_subwarp_shape *shape, const spt_csr *a, const item *items,
                       int64_t n_items, int64_t n_places) {
    void *to_items, *columns, *values;
    SPT_TRY(spt_cuda_packed_add(out, "items", (size_t)n_items * sizeof *items, &to_items));
    SPT_TRY(spt_cuda_packed_add(out, "columns", (size_t)(n_places * shape->index_bytes), &columns));
    SPT_TRY(spt_cuda_packed_add(out, "values", (size_t)n_places * spt_dtype_bytes(shape->dtype), &values));
    memcpy(to_items, items, (size_t)n_items * sizeof *items);
    for (int64_t i = 0, nz = 0; i < n_items; i++) {
        if (items[i].row < 0)
            continue;
        nz = items[i].n_pieces > 0 ? a->row_offsets[items[i].row] : nz;
        for (int64_t j = items[i].begin; j < items[i].begin + items[i].count; j++, nz++) {
            spt_copy_element(shape->dtype, values, j, a->values, nz);
            if (shape->index_bytes == 2)
                ((uint16_t *)columns)[j] = (uint16_t)a->columns[nz];
            else
                ((int32_t *)columns)[j] = a->columns[nz];
        }
    }
    return SPT_OK;
}

spt_status spt_subwarp_pack(spt_cuda_packed *out, const spt_subwarp_shape *shape, const spt_csr *a, int64_t *n_items) {
    const int64_t mean = spt_ceil_div(spt_csr_nnz(a), a->n_rows), piece = mean < 32 ? 32 : mean + mean / 4;
    int32_t *order = NULL;
    item *items = NULL;
    spt_status status = SPT_OK;
    SPT_TRY(spt_check_i32(spt_csr_nnz(a) + 8 * shape->rows * a->n_rows, "rows and nonzeros"));
    SPT_TRY_TO(done, SPT_NEW(items, (shape->rows + 1) * (a->n_rows + 1)));
    if (shape->order != SPT_ROWS_NATURAL) {
        SPT_TRY_TO(done, SPT_NEW(order, a->n_rows));
        SPT_TRY_TO(done, spt_csr_sort_rows(order, a));
    }
    *n_items = make_items(items, a, order, shape->rows, shape->order == SPT_ROWS_SPLIT ? piece : 0);
    const int64_t n_places = place_items(items, *n_items, a, shape->unroll);
    SPT_TRY_TO(done, fill(out, shape, a, items, *n_items, n_places));
done:
    spt_free(order);
    spt_free(items);
    return status;
}
