/* SPDX-License-Identifier: Apache-2.0 */
/* The winners of this device from all layers in memory, immutable once made: a lookup is one probe of an
 * open-addressing table by a 128-bit hash, without lock, allocation or system call. Workload: up to about a million
 * records, made once per context; two questions, "this key" and "this pattern with any width or thread count". */
#ifndef SPT_RUNTIME_TABLE_H
#define SPT_RUNTIME_TABLE_H

#include "core/key.h"
#include "db/reader.h"

/* A winner without what its key says already; texts live in the table's pool. */
typedef struct spt_record {
    spt_hash128 key;
    spt_hash128 pattern; /* spt_pattern_key of its problem */
    const char *family, *point;
    const char *compiler, *library; /* soft */
    double time_ns_median;
    double speedup_over_default, speedup_over_dense; /* 0 where unknown */
    int64_t n;
    int threads;
    int revision;
    int layer; /* 0 is asked first */
    int rank;
} spt_record;

/* Records of one key, best layer and rank first; or of one pattern key, grouped by key. */
typedef struct spt_record_span {
    const spt_record *items;
    int64_t count;
} spt_record_span;

typedef struct spt_table_index {
    spt_record_span *slots; /* n_slots, a power of two, at most half full; count 0: empty */
    int64_t n_slots;
} spt_table_index;

typedef struct spt_table {
    spt_record *records; /* sorted by pattern key, key, layer, rank */
    int64_t n_records;
    char *pool;
    spt_table_index by_key, by_pattern;
} spt_table;

/* Hash of what near sizes share: fingerprint, op, dtype, layout, epilogue, cache. */
spt_hash128 spt_pattern_key(const spt_workload *workload);

/* Build from the winners of each layer. A winner whose fields do not give its own key on this device is left out.
 * Errors: ENOMEM. Owns: spt_table_fini. */
spt_status spt_table_init(spt_table *out, const spt_winner_list *layers, int n_layers, const spt_device *device);
void spt_table_fini(spt_table *table); /* safe on a zeroed struct */

spt_record_span spt_table_find_key(const spt_table *table, spt_hash128 key);
spt_record_span spt_table_find_pattern(const spt_table *table, spt_hash128 pattern);

#endif
