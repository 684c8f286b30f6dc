/* SPDX-License-Identifier: Apache-2.0 */
/* The keys that a change touched, whose winners are then derived again. They mostly come in runs of equal ones. */
#ifndef SPT_DB_KEYS_H
#define SPT_DB_KEYS_H

#include "db/db.h"

typedef struct spt_key_set {
    spt_hash128 *items;
    int64_t count, capacity;
} spt_key_set;

spt_status spt_key_set_add(spt_key_set *set, const spt_hash128 *key);
/* Derive the winners of every key, or of all keys of the database where a session was replaced, inside a transaction of
 * the caller's. */
spt_status spt_key_set_derive(spt_key_set *set, spt_db *db);
void spt_key_set_fini(spt_key_set *set);

#endif
