/* SPDX-License-Identifier: Apache-2.0 */
/* What `sparsetune compile --cover` compiles: every point that any problem makes valid, once. */
#ifndef SPT_TUNER_COMPILE_COVER_H
#define SPT_TUNER_COMPILE_COVER_H

#include "variants/family.h"

typedef struct spt_cover_item {
    const spt_family *family;
    spt_point point;
    spt_workload workload; /* the one of those that allow the point which it was dealt */
    spt_hash128 key;       /* of its text and options; items come sorted by it, so that a part of them is a sample */
} spt_cover_item;

/* A point is valid if one of these problems allows it: every element type, layout and epilogue, n of 8, 64 and 1024,
 * for a large pattern that every family accepts. Each such point is dealt one of those problems by a hash, and points
 * with the same text and options are one item. Families that bake the pattern are left out; the others have kernels.
 * Errors: ENOMEM. Owns: spt_free(*items). */
spt_status spt_cover_list(spt_cover_item **items, int64_t *n_items, int64_t *n_points, const spt_device *device,
                          const spt_family *const *families, int n_families);

#endif
