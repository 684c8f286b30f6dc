/* SPDX-License-Identifier: Apache-2.0 */
/* The winners of one device from all layers in memory, immutable once made: a lookup is one probe of an open-addressing
 * table by a 128-bit hash that lies in the slot, so one cache line, without lock, allocation or system call. Workload:
 * up to about a million records, made once per context; three questions: "this key", "this pattern with any width or
 * thread count", and "all of them" for a search of neighbours. */
#ifndef SPT_RUNTIME_TABLE_H
#define SPT_RUNTIME_TABLE_H

#include "core/key.h"
#include "db/reader.h"

/* A pattern that records are about, and where it lies among its neighbours. */
typedef struct spt_table_pattern {
    spt_pattern pattern;
    double axes[SPT_PATTERN_AXES];
} spt_table_pattern;

/* A winner without what its key says already; texts live in the table's pool. */
typedef struct spt_record {
    spt_hash128 key;
    spt_hash128 pattern;         /* spt_pattern_key of its problem */
    const spt_table_pattern *of; /* NULL where the database says no features: never a neighbour */
    const char *family, *point;
    const char *compiler, *library; /* soft */
    double time_ns_median;
    double speedup_over_default, speedup_over_dense; /* 0 where unknown */
    int64_t n;
    int threads;
    int revision;
    int layer; /* 0 is asked first */
    int rank;
    spt_op op;
    spt_dtype dtype;
    spt_layout layout;
    spt_epilogue epilogue;
    spt_cache cache;
} spt_record;

/* Records of one key, best layer and rank first; or of one pattern key, grouped by key. */
typedef struct spt_record_span {
    const spt_record *items;
    int64_t count;
} spt_record_span;

/* Half a cache line, so that a probe touches one. */
typedef struct spt_table_slot {
    spt_hash128 hash;
    spt_record_span span; /* count 0: empty */
} spt_table_slot;

typedef struct spt_table_index {
    spt_table_slot *slots; /* n_slots, a power of two, at most half full */
    int64_t n_slots;
} spt_table_index;

typedef struct spt_table {
    spt_record *records; /* sorted by pattern key, key, layer, rank */
    int64_t n_records;
    spt_table_pattern *patterns; /* sorted by fingerprint */
    int64_t n_patterns;
    char *pool;
    spt_table_index by_key, by_pattern;
} spt_table;

/* Hash of what near sizes share: fingerprint, op, dtype, layout, epilogue, cache. */
spt_hash128 spt_pattern_key(const spt_workload *workload);

/* Build from what each layer knows. A winner whose fields do not give its own key on its layer's device is left out.
 * Errors: ENOMEM. Owns: spt_table_fini. */
spt_status spt_table_init(spt_table *out, const spt_device_records *layers, int n_layers);
void spt_table_fini(spt_table *table); /* safe on a zeroed struct */

spt_record_span spt_table_find_key(const spt_table *table, spt_hash128 key);
spt_record_span spt_table_find_pattern(const spt_table *table, spt_hash128 pattern);

/* Is this record the first of its key? In a span or in all of table->records; `first` is where that begins. */
static inline bool spt_record_is_first(const spt_record *record, const spt_record *first) {
    return record == first || !spt_hash_equal(record[-1].key, record->key);
}

#endif
