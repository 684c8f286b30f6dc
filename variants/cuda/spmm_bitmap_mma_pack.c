/* SPDX-License-Identifier: Apache-2.0 */
/* Bitmaps of spmm_bitmap_mma in the order of mma's fragments, which the family's file draws. */
#include "variants/cuda/spmm_bitmap_mma_pack.h"

#include <string.h>

#include "variants/cuda/rows.h"

enum { ROWS = SPT_BITMAP_ROWS, COLUMNS = SPT_BITMAP_COLUMNS, HEAD_BYTES = SPT_BITMAP_HEAD_BYTES, BITMAPS = 8 };

/* Bitmap of the chunk (eight per group) and bit of an element of a row tile. */
static void place_of(int *bitmap, int *bit, int64_t row, int64_t column) {
    const int c = (int)(column % COLUMNS), t = c / 8, s = c / 4 % 2, half = c / 2 % 2, e = c % 2;
    *bitmap = 4 * s + 2 * half + (int)(row % ROWS) / 8;
    *bit = 2 * (4 * (int)(row % 8) + t) + e;
}

/* Where a row has got to. */
typedef struct tile_rows {
    const spt_csr *a;
    int64_t row, next[ROWS];
} tile_rows;

/* Bitmaps of the chunk that ends at column `end`; gives the number of its values. */
static int64_t mark(uint64_t *bitmaps, int groups, const tile_rows *tile, int64_t end) {
    int64_t n_values = 0;
    memset(bitmaps, 0, (size_t)(groups * BITMAPS) * sizeof *bitmaps);
    for (int64_t row = tile->row; row < tile->row + ROWS && row < tile->a->n_rows; row++) {
        int64_t nz = tile->next[row % ROWS];
        for (; nz < tile->a->row_offsets[row + 1] && tile->a->columns[nz] < end; nz++, n_values++) {
            int bitmap, bit;
            place_of(&bitmap, &bit, row, tile->a->columns[nz]);
            const int64_t group = tile->a->columns[nz] / COLUMNS % groups;
            bitmaps[group * BITMAPS + bitmap] |= (uint64_t)1 << bit;
        }
    }
    return n_values;
}

static int64_t blob_bytes_of(int groups, int64_t n_values) {
    return spt_round_up(groups * HEAD_BYTES + 2 * n_values, 16);
}

/* Write a chunk and step behind it. */
static void write_chunk(char *blob, const uint64_t *bitmaps, int groups, tile_rows *tile, int64_t end) {
    uint16_t *starts = (uint16_t *)(void *)(blob + groups * BITMAPS * 8);
    char *values = blob + groups * HEAD_BYTES;
    memcpy(blob, bitmaps, (size_t)(groups * BITMAPS) * sizeof *bitmaps);
    for (int i = 0, n = 0; i < groups * BITMAPS; i++) {
        starts[i] = (uint16_t)n;
        n += __builtin_popcountll(bitmaps[i]);
    }
    for (int64_t row = tile->row; row < tile->row + ROWS && row < tile->a->n_rows; row++) {
        int64_t *nz = &tile->next[row % ROWS];
        for (; *nz < tile->a->row_offsets[row + 1] && tile->a->columns[*nz] < end; ++*nz) {
            int bitmap, bit;
            place_of(&bitmap, &bit, row, tile->a->columns[*nz]);
            const int64_t i = tile->a->columns[*nz] / COLUMNS % groups * BITMAPS + bitmap;
            const int before = __builtin_popcountll(bitmaps[i] & (((uint64_t)1 << bit) - 1));
            spt_copy_element(SPT_F16, values, starts[i] + before, tile->a->values, *nz); /* any type of 2 bytes */
        }
    }
}

/* Where the next chunk begins, without writing. */
static void step(tile_rows *tile, int64_t end) {
    for (int64_t row = tile->row; row < tile->row + ROWS && row < tile->a->n_rows; row++)
        while (tile->next[row % ROWS] < tile->a->row_offsets[row + 1] && tile->a->columns[tile->next[row % ROWS]] < end)
            tile->next[row % ROWS]++;
}

void spt_bitmap_pack(int32_t *units, char *blobs, int64_t *bytes_max, const spt_csr *a, int groups, int64_t n_chunks) {
    uint64_t bitmaps[SPT_BITMAP_GROUPS_MAX * BITMAPS];
    int64_t unit = 0, number = 0;
    *bytes_max = 0;
    for (int64_t row = 0; row < a->n_rows; row += ROWS) {
        tile_rows tile = {.a = a, .row = row};
        for (int64_t i = row; i < row + ROWS && i < a->n_rows; i++)
            tile.next[i % ROWS] = a->row_offsets[i];
        for (int64_t chunk = 0; chunk < n_chunks; chunk++) {
            const int64_t end = (chunk + 1) * groups * COLUMNS;
            const int64_t bytes = blob_bytes_of(groups, mark(bitmaps, groups, &tile, end));
            units[number++] = (int32_t)unit;
            if (blobs != NULL)
                write_chunk(blobs + unit * 16, bitmaps, groups, &tile, end);
            else
                step(&tile, end);
            unit += bytes / 16;
            *bytes_max = bytes > *bytes_max ? bytes : *bytes_max;
        }
    }
    units[number] = (int32_t)unit;
}
