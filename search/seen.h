/* SPDX-License-Identifier: Apache-2.0 */
/* Points seen: a set of a few hundred to a million points, only ever added to. Open addressing, at most 2/3 full. */
#ifndef SPT_SEARCH_SEEN_H
#define SPT_SEARCH_SEEN_H

#include <stdbool.h>
#include <stddef.h>

#include "core/space.h"

typedef struct spt_seen {
    spt_point *slots;
    bool *used;
    size_t capacity; /* 0 or a power of two */
    size_t count;
} spt_seen;

uint64_t spt_point_hash(const spt_point *point); /* well mixed in every bit; never stored */

/* A zeroed struct is an empty set. *added is false when the point was there. Errors: ENOMEM (the set is unchanged). */
spt_status spt_seen_add(spt_seen *set, const spt_point *point, bool *added);
bool spt_seen_has(const spt_seen *set, const spt_point *point);
void spt_seen_fini(spt_seen *set);

#endif
