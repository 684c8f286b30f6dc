/* SPDX-License-Identifier: Apache-2.0 */
/* Seeds: winners of problems like this one, from the database, as first points of a search. The nearest come first:
 * winners of this very device, then of devices of the same architecture (the same usable instruction set); families'
 * portable defaults follow from the drive loop. A few thousand known problems, one table per run. */
#ifndef SPT_TUNER_SEEDS_H
#define SPT_TUNER_SEEDS_H

#include "db/db.h"

#define SPT_SEEDS_MAX 6 /* of one problem */

/* A winner and the problem that it won. */
typedef struct spt_known_winner {
    spt_workload workload; /* problem.device is not used */
    spt_hash128 key;
    char device_key[256], family[64], point[SPT_POINT_TEXT_MAX];
    double time_ns;
} spt_known_winner;

typedef struct spt_seed_table {
    spt_known_winner *items;
    int64_t count, capacity;
} spt_seed_table;

/* One first point for a search. */
typedef struct spt_seed {
    const spt_known_winner *winner;
    double cost; /* log of the time expected here, and worse with the distance: seeds are sorted by it */
} spt_seed;

/* Read all winners of a database. Errors: EIO, ENOMEM. Owns: spt_seed_table_fini. */
spt_status spt_seed_table_init(spt_seed_table *out, spt_db *db);
/* Add the winner of a problem that was tuned just now, or replace the one that is there. Errors: ENOMEM. */
spt_status spt_seed_table_add(spt_seed_table *table, const spt_subject *subject, const spt_winner *winner);
void spt_seed_table_fini(spt_seed_table *table);

/* Choose at most SPT_SEEDS_MAX different variants for a problem, the most promising first. Winners of the problem's own
 * key are no seeds. */
int spt_seeds_find(spt_seed out[SPT_SEEDS_MAX], const spt_seed_table *table, const spt_subject *subject);

#endif
