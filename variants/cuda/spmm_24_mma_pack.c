/* SPDX-License-Identifier: Apache-2.0 */
/* Packing for sparse tensor cores; see spmm_24_mma_pack.h. */
#include "variants/cuda/spmm_24_mma_pack.h"

#include "core/memory.h"
#include "variants/cuda/rows.h"

enum { TILE_ROWS = 16, LANES = 32, GROUP_MAX = 4 };

spt_24_shape spt_24_shape_of(spt_dtype dtype) {
    const int item = (int)spt_dtype_bytes(dtype);
    return (spt_24_shape){.group = item == 4 ? 2 : 4,
                          .keep = item == 4 ? 1 : 2,
                          .tile_cols = 64 / item,
                          .tile_words = item == 1 ? 32 : 16,
                          .lane_values = 16 / item,
                          .word_values = 4 / item};
}

/* The kept places of each group of a row as a nibble, and the values' places in CSR order (-1: a zero). */
static void compress_row(uint8_t *nibbles, int64_t *sources, const spt_24_shape *shape, const spt_csr *a, int64_t row,
                         int64_t n_groups) {
    int64_t nz = row < a->n_rows ? a->row_offsets[row] : 0;
    const int64_t end = row < a->n_rows ? a->row_offsets[row + 1] : 0;
    for (int64_t group = 0; group < n_groups; group++) {
        int64_t at[GROUP_MAX] = {-1, -1, -1, -1};
        unsigned used = 0;
        for (; nz < end && a->columns[nz] / shape->group == group; nz++) {
            at[a->columns[nz] % shape->group] = nz;
            used |= 1u << a->columns[nz] % shape->group;
        }
        for (int place = 0; __builtin_popcount(used) < shape->keep; place++)
            used |= 1u << place;
        const int first = __builtin_ctz(used);
        sources[shape->keep * group] = at[first];
        if (shape->keep == 1) {
            nibbles[group] = first == 0 ? 4 : 14;
            continue;
        }
        const int second = __builtin_ctz(used & (used - 1));
        nibbles[group] = (uint8_t)(first | second << 2);
        sources[2 * group + 1] = at[second];
    }
}

static void put_nibble(uint32_t *metadata, const spt_24_shape *shape, int in_tile, int group, uint8_t nibble) {
    const int g = in_tile % 8, is_lower = in_tile / 8;
    if (shape->tile_words == LANES)
        metadata[4 * g + 2 * (group / 8) + is_lower] |= (uint32_t)nibble << 4 * (group % 8);
    else
        metadata[2 * g + group / 4] |= (uint32_t)nibble << (16 * is_lower + 4 * (group % 4));
}

/* Where a kept column of a row lies among the values of a tile. */
static int place_in_tile(const spt_24_shape *shape, int in_tile, int kept) {
    const int n_half = shape->lane_values; /* kept columns of half a row */
    const int half = kept / n_half, in_half = kept % n_half, e = shape->word_values;
    const int lane = in_tile % 8 * 4 + in_half / e;
    return lane * shape->lane_values + (2 * half + in_tile / 8) * e + in_half % e;
}

/* One row into the fragments of its tiles. */
static void pack_row(void *values, uint32_t *metadata, spt_dtype dtype, const spt_24_shape *shape, const spt_csr *a,
                     int64_t row, int64_t n_steps, const uint8_t *nibbles, const int64_t *sources) {
    const int tile_groups = shape->tile_cols / shape->group, in_tile = (int)(row % TILE_ROWS);
    for (int64_t group = 0; group < n_steps * tile_groups; group++) {
        const int64_t tile = row / TILE_ROWS * n_steps + group / tile_groups;
        const int here = (int)(group % tile_groups);
        put_nibble(metadata + tile * shape->tile_words, shape, in_tile, here, nibbles[group]);
        for (int i = 0; i < shape->keep; i++) {
            const int64_t source = sources[shape->keep * group + i];
            const int64_t place = place_in_tile(shape, in_tile, shape->keep * here + i);
            if (source >= 0)
                spt_copy_element(dtype, values, tile * LANES * shape->lane_values + place, a->values, source);
        }
    }
}

spt_status spt_24_pack_tiles(void *values, uint32_t *metadata, spt_dtype dtype, const spt_csr *a, int64_t n_tiles) {
    const spt_24_shape shape = spt_24_shape_of(dtype);
    const int64_t n_steps = spt_ceil_div(a->n_cols, shape.tile_cols);
    const int64_t n_groups = n_steps * (shape.tile_cols / shape.group);
    uint8_t *nibbles = NULL;
    int64_t *sources = NULL;
    spt_status status = SPT_OK;
    SPT_TRY_TO(done, SPT_NEW(nibbles, n_groups));
    SPT_TRY_TO(done, SPT_NEW(sources, n_groups * shape.keep));
    for (int64_t row = 0; row < n_tiles * TILE_ROWS; row++) {
        compress_row(nibbles, sources, &shape, a, row, n_groups);
        pack_row(values, metadata, dtype, &shape, a, row, n_steps, nibbles, sources);
    }
done:
    spt_free(nibbles);
    spt_free(sources);
    return status;
}

spt_status spt_24_pack(spt_cuda_packed *out, spt_dtype dtype, const spt_csr *a) {
    const spt_24_shape shape = spt_24_shape_of(dtype);
    const int64_t n_steps = spt_ceil_div(a->n_cols, shape.tile_cols), n_tiles = spt_ceil_div(a->n_rows, TILE_ROWS);
    void *values, *metadata;
    SPT_TRY(spt_check_i32(n_steps * n_tiles * LANES, "lanes of fragments"));
    SPT_TRY(spt_cuda_packed_add(out, "values", (size_t)(n_tiles * n_steps * LANES) * 16, &values));
    SPT_TRY(spt_cuda_packed_add(out, "metadata", (size_t)(n_tiles * n_steps * shape.tile_words) * 4, &metadata));
    return spt_24_pack_tiles(values, metadata, dtype, a, n_tiles);
}
