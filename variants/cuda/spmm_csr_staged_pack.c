/* SPDX-License-Identifier: Apache-2.0 */
/* Chunks of spmm_csr_staged. A chunk begins at the first column that is left in its block, so that columns nobody uses
 * are not read; it is narrower than kc where its pairs would not fit. */
#include "variants/cuda/spmm_csr_staged_pack.h"

#include <string.h>

#include "core/memory.h"
#include "variants/cuda/rows.h"

typedef struct chunk {
    int32_t first, width, unit, n_units;
} chunk;

/* The rows of one block and where each of them has got to. */
typedef struct cursor {
    const spt_staged_shape *shape;
    const spt_csr *a;
    const int32_t *rows; /* shape->rows of them, -1: none */
    int64_t *next;
} cursor;

static int64_t pair_bytes(const spt_staged_shape *shape) {
    return 4 * (int64_t)spt_dtype_bytes(shape->dtype);
}

static int64_t starts_bytes(const spt_staged_shape *shape) {
    return spt_round_up(2 * (shape->rows + 1), 16);
}

static int64_t blob_bytes_of(const spt_staged_shape *shape, int64_t n_pairs) {
    return spt_round_up(starts_bytes(shape) + (n_pairs + 1) * pair_bytes(shape), 16);
}

int64_t spt_staged_blob_max(const spt_staged_shape *shape) {
    return blob_bytes_of(shape, shape->pairs_max > shape->rows ? shape->pairs_max : shape->rows);
}

/* Nonzeros of a row before column `end`, from where it has got to. */
static int64_t count_before(const cursor *at, int i, int64_t end) {
    const int64_t row_end = at->rows[i] < 0 ? 0 : at->a->row_offsets[at->rows[i] + 1];
    int64_t nz = at->next[i];
    while (nz < row_end && at->a->columns[nz] < end)
        nz++;
    return nz - at->next[i];
}

static int64_t count_pairs(const cursor *at, int64_t end) {
    int64_t n_pairs = 0;
    for (int i = 0; i < at->shape->rows; i++)
        n_pairs += (count_before(at, i, end) + 1) / 2;
    return n_pairs;
}

/* The next chunk and its pairs; false when the rows are through. */
static bool find_chunk(chunk *out, int64_t *n_pairs, const cursor *at) {
    int64_t first = at->a->n_cols, width;
    for (int i = 0; i < at->shape->rows; i++) {
        if (at->rows[i] >= 0 && at->next[i] < at->a->row_offsets[at->rows[i] + 1] &&
            at->a->columns[at->next[i]] < first)
            first = at->a->columns[at->next[i]];
    }
    if (first == at->a->n_cols)
        return false;
    width = at->a->n_cols - first < at->shape->kc ? at->a->n_cols - first : at->shape->kc;
    while ((*n_pairs = count_pairs(at, first + width)) > at->shape->pairs_max && width > 1)
        width /= 2;
    *out = (chunk){(int32_t)first, (int32_t)width, 0, (int32_t)(blob_bytes_of(at->shape, *n_pairs) / 16)};
    return true;
}

static void put_nonzero(char *pair, const spt_staged_shape *shape, int half, const void *values, int64_t nz,
                        int64_t place) {
    if (nz >= 0)
        spt_copy_element(shape->dtype, pair, half, values, nz);
    if (shape->dtype == SPT_F32)
        ((int32_t *)pair)[2 + half] = (int32_t)place;
    else
        ((uint16_t *)pair)[2 + half] = (uint16_t)place;
}

/* Write the blob of a chunk, where there is one to write to, and step behind it. */
static void take_chunk(char *blob, const cursor *at, const chunk *taken) {
    const spt_staged_shape *shape = at->shape;
    const int64_t zeros = (int64_t)shape->kc * shape->stride; /* the row of zeros behind the chunk */
    int64_t n_pairs = 0;
    for (int i = 0; i < shape->rows; i++) {
        const int64_t count = count_before(at, i, taken->first + taken->width);
        for (int64_t j = 0; blob != NULL && j < (count + 1) / 2 * 2; j++) {
            const int64_t nz = j < count ? at->next[i] + j : -1;
            put_nonzero(blob + starts_bytes(shape) + (n_pairs + j / 2) * pair_bytes(shape), shape, (int)(j % 2),
                        at->a->values, nz, nz < 0 ? zeros : (at->a->columns[nz] - taken->first) * shape->stride);
        }
        n_pairs += (count + 1) / 2;
        if (blob != NULL)
            ((uint16_t *)blob)[i + 1] = (uint16_t)n_pairs;
        at->next[i] += count;
    }
}

static int64_t length_of(const spt_csr *a, int32_t row) {
    return row < 0 ? -1 : spt_csr_row_length(a, row);
}

/* Rows of blocks: neighbours or rows of like length; inside a block by falling length, so that the teams of a warp have
 * like work. */
static spt_status order_rows(int32_t *rows, int64_t n_slots, const spt_staged_shape *shape, const spt_csr *a) {
    for (int64_t i = 0; i < n_slots; i++)
        rows[i] = i < a->n_rows ? (int32_t)i : -1;
    if (shape->is_sorted)
        return spt_csr_sort_rows(rows, a);
    for (int64_t block = 0; block < n_slots; block += shape->rows) {
        for (int64_t i = block + 1; i < block + shape->rows; i++) {
            const int32_t row = rows[i];
            int64_t j = i;
            for (; j > block && length_of(a, rows[j - 1]) < length_of(a, row); j--)
                rows[j] = rows[j - 1];
            rows[j] = row;
        }
    }
    return SPT_OK;
}

/* Walk all chunks; with buffers, fill them. Gives the numbers of chunks and units, and the greatest number of units. */
static void walk(cursor *at, const int32_t *rows, int64_t n_slots, int32_t *firsts, chunk *chunks, char *blobs,
                 int64_t *n_chunks, int64_t *n_units, int64_t *units_max) {
    *n_chunks = *n_units = *units_max = 0;
    for (int64_t block = 0; block < n_slots; block += at->shape->rows) {
        chunk now;
        int64_t n_pairs;
        at->rows = rows + block;
        for (int i = 0; i < at->shape->rows; i++)
            at->next[i] = at->rows[i] < 0 ? 0 : at->a->row_offsets[at->rows[i]];
        if (firsts != NULL)
            firsts[block / at->shape->rows] = (int32_t)*n_chunks;
        while (find_chunk(&now, &n_pairs, at)) {
            now.unit = (int32_t)*n_units;
            if (chunks != NULL)
                chunks[*n_chunks] = now;
            take_chunk(blobs != NULL ? blobs + *n_units * 16 : NULL, at, &now);
            ++*n_chunks;
            *n_units += now.n_units;
            *units_max = now.n_units > *units_max ? now.n_units : *units_max;
        }
    }
    if (firsts != NULL)
        firsts[n_slots / at->shape->rows] = (int32_t)*n_chunks;
}

spt_status spt_staged_pack(spt_cuda_packed *out, const spt_staged_shape *shape, const spt_csr *a, int64_t *n_blocks,
                           int64_t *blob_bytes) {
    const int64_t n_slots = spt_round_up(a->n_rows, shape->rows);
    int64_t n_chunks, n_units, units_max;
    void *rows, *firsts, *chunks, *blobs;
    cursor at = {.shape = shape, .a = a};
    spt_status status = SPT_OK;
    *n_blocks = n_slots / shape->rows;
    SPT_TRY(SPT_NEW(at.next, shape->rows));
    SPT_TRY_TO(done, spt_cuda_packed_add(out, "rows", (size_t)n_slots * sizeof(int32_t), &rows));
    SPT_TRY_TO(done, order_rows(rows, n_slots, shape, a));
    walk(&at, rows, n_slots, NULL, NULL, NULL, &n_chunks, &n_units, &units_max);
    SPT_TRY_TO(done, spt_check_i32(n_units, "units of 16 bytes"));
    SPT_TRY_TO(done, spt_cuda_packed_add(out, "firsts", (size_t)(*n_blocks + 1) * sizeof(int32_t), &firsts));
    SPT_TRY_TO(done, spt_cuda_packed_add(out, "chunks", (size_t)n_chunks * sizeof(chunk), &chunks));
    SPT_TRY_TO(done, spt_cuda_packed_add(out, "blobs", (size_t)n_units * 16, &blobs));
    walk(&at, rows, n_slots, firsts, chunks, blobs, &n_chunks, &n_units, &units_max);
    *blob_bytes = units_max * 16;
done:
    spt_free(at.next);
    return status;
}
