/* SPDX-License-Identifier: Apache-2.0 */
/* Splitting work among parts: rows balanced by nonzeros, and plain ranges. */
#ifndef SPT_VARIANTS_PARTS_H
#define SPT_VARIANTS_PARTS_H

#include <stdint.h>

/* A half-open range. */
typedef struct spt_range {
    int64_t begin, end;
} spt_range;

/* Items of part `part` when `count` items are dealt out evenly. */
static inline spt_range spt_part_of(int64_t count, int part, int n_parts) {
    return (spt_range){count * part / n_parts, count * (part + 1) / n_parts};
}

/* Rows of part `part` such that every part has about as much work, counting each row as its nonzeros plus 2 (its load
 * and store). row_start has n_rows + 1 entries. */
static inline spt_range spt_rows_of_part(const int64_t *row_start, int64_t n_rows, int part, int n_parts) {
    spt_range range;
    int64_t *const bounds[2] = {&range.begin, &range.end};
    const int64_t work = row_start[n_rows] + 2 * n_rows;
    for (int side = 0; side < 2; side++) {
        const int64_t target = work / n_parts * (part + side) + work % n_parts * (part + side) / n_parts;
        int64_t low = 0, high = n_rows; /* the first row whose preceding work reaches the target */
        while (low < high) {
            const int64_t middle = low + (high - low) / 2;
            if (row_start[middle] + 2 * middle < target)
                low = middle + 1;
            else
                high = middle;
        }
        *bounds[side] = low;
    }
    return range;
}

#endif
