/* SPDX-License-Identifier: Apache-2.0 */
/* Packing of column vectors for sparse tensor cores; see spmm_vnm_mma_pack.h. */
#include "variants/cuda/spmm_vnm_mma_pack.h"

#include "core/memory.h"
#include "variants/cuda/rows.h"
#include "variants/cuda/spmm_24_mma_pack.h"

enum { GROUP = 4, KEEP = 2, TILE_ROWS = 16 };
enum { VALUES_BYTES = 512, METADATA_BYTES = 64 }; /* of a tile */

/* What giving slots to the columns of one group needs. */
typedef struct slot_work {
    int64_t *starts;  /* k + 1: where a column's rows begin */
    int32_t *rows;    /* of the group's nonzeros, column by column */
    int32_t *slot_of; /* k */
    int32_t *quad;    /* v: in which four slots a row was seen last, */
    int32_t *n_quad;  /* v: and how often there */
} slot_work;

static void slot_work_fini(slot_work *work) {
    spt_free(work->starts);
    spt_free(work->rows);
    spt_free(work->slot_of);
    spt_free(work->quad);
    spt_free(work->n_quad);
}

static int64_t end_of_group(const spt_csr *a, int64_t group, int v) {
    return (group + 1) * v < a->n_rows ? (group + 1) * v : a->n_rows;
}

static int64_t most_nonzeros(const spt_csr *a, int v) {
    int64_t most = 0;
    for (int64_t group = 0; group * v < a->n_rows; group++) {
        const int64_t count = a->row_offsets[end_of_group(a, group, v)] - a->row_offsets[group * v];
        most = count > most ? count : most;
    }
    return most;
}

static spt_status slot_work_init(slot_work *work, const spt_csr *a, int v) {
    *work = (slot_work){0};
    SPT_TRY(SPT_NEW(work->starts, a->n_cols + 1));
    SPT_TRY(SPT_NEW(work->rows, most_nonzeros(a, v)));
    SPT_TRY(SPT_NEW(work->slot_of, a->n_cols));
    SPT_TRY(SPT_NEW(work->quad, v));
    return SPT_NEW(work->n_quad, v);
}

/* Does a row of this column have its two nonzeros in these four slots already? */
static bool is_full(const slot_work *work, int64_t column, int32_t quad) {
    for (int64_t at = work->starts[column]; at < work->starts[column + 1]; at++)
        if (work->quad[work->rows[at]] == quad && work->n_quad[work->rows[at]] == KEEP)
            return true;
    return false;
}

/* Slots of the columns of rows [first, end); gives how many there are, empty ones included. */
static int64_t give_slots(slot_work *work, const spt_csr *a, int64_t first, int64_t end) {
    int32_t slot = 0;
    spt_csr_by_column(work->starts, work->rows, a, first, end);
    for (int64_t row = 0; row < end - first; row++)
        work->quad[row] = -1;
    for (int64_t column = 0; column < a->n_cols; column++) {
        if (work->starts[column] == work->starts[column + 1])
            continue;
        if (slot % GROUP != 0 && is_full(work, column, slot / GROUP))
            slot = (slot / GROUP + 1) * GROUP;
        const int32_t quad = slot / GROUP;
        for (int64_t at = work->starts[column]; at < work->starts[column + 1]; at++) {
            const int32_t row = work->rows[at];
            work->n_quad[row] = work->quad[row] == quad ? work->n_quad[row] + 1 : 1;
            work->quad[row] = quad;
        }
        work->slot_of[column] = slot++;
    }
    return slot;
}

/* The slot of every nonzero, and where each group's steps begin. */
static spt_status give_all_slots(int32_t *slots, int32_t *starts, const spt_csr *a, int v) {
    slot_work work;
    spt_status status;
    int64_t n_steps = 0;
    SPT_TRY_TO(done, slot_work_init(&work, a, v));
    for (int64_t group = 0; group * v < a->n_rows; group++) {
        const int64_t first = group * v, end = end_of_group(a, group, v);
        starts[group] = (int32_t)n_steps;
        n_steps += spt_ceil_div(give_slots(&work, a, first, end), SPT_VNM_STEP);
        SPT_TRY_TO(done, spt_check_i32((n_steps + 1) * v * SPT_VNM_STEP, "values of column vectors"));
        for (int64_t nz = a->row_offsets[first]; nz < a->row_offsets[end]; nz++)
            slots[nz] = work.slot_of[a->columns[nz]];
        starts[group + 1] = (int32_t)n_steps;
    }
done:
    slot_work_fini(&work);
    return status;
}

/* Every group with its slots as columns is a 2:4 matrix of its own. */
static spt_status pack_groups(spt_cuda_packed *out, spt_dtype dtype, const spt_csr *a, int v, const int32_t *slots,
                              const int32_t *starts) {
    const int64_t n_groups = spt_ceil_div(a->n_rows, v), n_steps = starts[n_groups];
    const size_t n_tiles = (size_t)(n_steps * (v / TILE_ROWS));
    void *columns_data, *values, *metadata;
    SPT_TRY(spt_cuda_packed_add(out, "columns", (size_t)(n_steps * SPT_VNM_STEP) * 4, &columns_data));
    SPT_TRY(spt_cuda_packed_add(out, "values", n_tiles * VALUES_BYTES, &values));
    SPT_TRY(spt_cuda_packed_add(out, "metadata", n_tiles * METADATA_BYTES, &metadata));
    int32_t *columns = columns_data;
    for (int64_t slot = 0; slot < n_steps * SPT_VNM_STEP; slot++)
        columns[slot] = -1;
    for (int64_t group = 0; group < n_groups; group++) {
        const int64_t first = group * v, end = end_of_group(a, group, v), start = starts[group];
        const int64_t steps = starts[group + 1] - start;
        for (int64_t nz = a->row_offsets[first]; nz < a->row_offsets[end]; nz++)
            columns[start * SPT_VNM_STEP + slots[nz]] = a->columns[nz];
        const spt_csr rows = {.size = sizeof rows,
                              .n_rows = end - first,
                              .n_cols = steps * SPT_VNM_STEP,
                              .row_offsets = a->row_offsets + first,
                              .columns = slots,
                              .values = a->values};
        const size_t tile = (size_t)(start * (v / TILE_ROWS));
        SPT_TRY(spt_24_pack_tiles((char *)values + tile * VALUES_BYTES,
                                  (uint32_t *)(void *)((char *)metadata + tile * METADATA_BYTES), dtype, &rows,
                                  v / TILE_ROWS));
    }
    return SPT_OK;
}

spt_status spt_vnm_pack(spt_cuda_packed *out, spt_dtype dtype, const spt_csr *a, int v) {
    int32_t *slots;
    void *starts;
    SPT_TRY(spt_cuda_packed_add(out, "starts", (size_t)(spt_ceil_div(a->n_rows, v) + 1) * 4, &starts));
    SPT_TRY(SPT_NEW(slots, spt_csr_nnz(a)));
    spt_status status = give_all_slots(slots, starts, a, v);
    if (status == SPT_OK)
        status = pack_groups(out, dtype, a, v, slots, starts);
    spt_free(slots);
    return status;
}
