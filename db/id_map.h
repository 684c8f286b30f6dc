/* SPDX-License-Identifier: Apache-2.0 */
/* Ids of one file and what they are elsewhere. Ids rise and mostly have no gaps, so a place is guessed before it is
 * searched for. */
#ifndef SPT_DB_ID_MAP_H
#define SPT_DB_ID_MAP_H

#include <stdbool.h>
#include <stdint.h>

#include "core/error.h"

typedef struct spt_id_map {
    struct spt_id_pair {
        int64_t from, to;
    } * items; /* ascending in `from` */
    int64_t count, capacity;
} spt_id_map;

/* Add an id above all others. Errors: ENOMEM; ENOTFOUND for one that is not above them. */
spt_status spt_id_map_add(spt_id_map *map, int64_t from, int64_t to);
bool spt_id_map_find(int64_t *to, const spt_id_map *map, int64_t from);
void spt_id_map_fini(spt_id_map *map);

#endif
