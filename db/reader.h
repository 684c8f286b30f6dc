/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a tuning database: what the runtime library needs, and no more. Opened read-only, closed after reading. */
#ifndef SPT_DB_READER_H
#define SPT_DB_READER_H

#include <stdbool.h>
#include <stdint.h>

#include "core/key.h"
#include "core/space.h"

#define SPT_DB_APPLICATION_ID 0x53505442 /* "SPTB" */
#define SPT_DB_SCHEMA_VERSION 4
#define SPT_DB_SCHEMA_OLDEST 1 /* whose winners are read as they lie there, without an upgrade of the file */

/* A winner: derived from trials, one of the top ranks of its key. */
typedef struct spt_winner {
    spt_hash128 key;
    spt_op op;
    spt_dtype dtype;
    spt_layout layout;
    spt_epilogue epilogue;
    spt_cache cache;
    int64_t m, k, n, nnz;
    int threads;
    spt_hash128 fingerprint;
    int rank; /* 0 is the winner */
    char family[64];
    int revision;
    char point[SPT_POINT_TEXT_MAX];
    double time_ns_median;
    double ci_ns;                /* half the width of the interval */
    double speedup_over_default; /* ratio of medians within the same rounds; 0 where unknown */
    double speedup_over_dense;   /* against the best dense variant of the same rounds; 0 where unknown */
    int is_dense;
    char compiler[96];   /* soft: what built the program that measured it */
    char library[96];    /* soft: version and core of a vendor library, "" otherwise */
    char host[40];       /* random id of the host that measured it */
    bool is_key_checked; /* the fields above were read from the text whose hash is the key */
} spt_winner;

typedef struct spt_winner_list {
    spt_winner *items;
    int64_t count;
} spt_winner_list;

typedef struct spt_pattern_list {
    spt_pattern *items; /* a pattern may come more than once */
    int64_t count;
} spt_pattern_list;

/* What one database knows about one device; winners without nnz, ci_ns, is_dense and host. */
typedef struct spt_device_records {
    char device_key[256]; /* "": no such device */
    spt_winner_list winners;
    spt_pattern_list patterns; /* those of its problems */
} spt_device_records;

/* A device with so many records has near patterns of its own, and reading another's would only cost time. */
#define SPT_RECORDS_ENOUGH 1000

/* Read what the database knows about this device, and the best record of each problem of the most similar other one
 * that runs the same kernel build, unless this one has SPT_RECORDS_ENOUGH.
 * Errors: as spt_db_read_winners. Owns: spt_device_records_fini for both. */
spt_status spt_db_read_device(spt_device_records *own, spt_device_records *near, const char *path,
                              const spt_device *device);
void spt_device_records_fini(spt_device_records *records); /* safe on a zeroed struct */

/* Read all winners of a device, sorted by key, then rank.
 * Errors: EIO (missing, unreadable, locked beyond patience), EINVAL (not a sparsetune database, a newer schema).
 * Owns: spt_winner_list_fini. Rows whose text or numbers are not legal are skipped. */
spt_status spt_db_read_winners(spt_winner_list *out, const char *path, const char *device_key);
void spt_winner_list_fini(spt_winner_list *list);

#endif
