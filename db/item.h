/* SPDX-License-Identifier: Apache-2.0 */
/* One record of a database, as it travels between files: with its identity, without ids of any file. Import, merge and
 * export all go through it, so that what is legal is said once. A check looks at nothing but the record itself: whether
 * a record is refused never depends on what else is known, and merging stays independent of the order.
 * Same identity, other content: the record that says more (a host, a reason, a system) stays, else the greater hash,
 * else the later one. */
#ifndef SPT_DB_ITEM_H
#define SPT_DB_ITEM_H

#include "db/db.h"

/* The kinds in the order in which they refer to each other. */
typedef enum spt_item_kind {
    SPT_ITEM_DEVICE = 0,
    SPT_ITEM_PATTERN,
    SPT_ITEM_PROBLEM,
    SPT_ITEM_SESSION,
    SPT_ITEM_TRIAL
} spt_item_kind;
#define SPT_ITEM_KIND_COUNT 5

#define SPT_FEATURES_TEXT_MAX 512
#define SPT_SOURCE_HASH_MAX 40

/* Identity: fingerprint. */
typedef struct spt_item_pattern {
    spt_hash128 fingerprint;
    int64_t n_rows, n_cols, nnz;
    char features[SPT_FEATURES_TEXT_MAX];
    const void *positions; /* compressed, see positions.h; NULL where not kept. Owned by whoever made the item */
    size_t positions_bytes;
} spt_item_pattern;

/* Identity: the key. Everything else is what its text says. */
typedef struct spt_item_problem {
    spt_key key;
    spt_op op;
    spt_dtype dtype;
    spt_layout layout;
    spt_epilogue epilogue;
    spt_cache cache;
    int64_t m, k, n;
    int threads;
    spt_hash128 fingerprint;
    char device_key[256];
} spt_item_problem;

/* Identity: key, session, variant (family, revision, point, source hash, library), phase, round. */
typedef struct spt_item_trial {
    spt_hash128 key;
    char session[SPT_UUID_TEXT_SIZE];
    char source_hash[SPT_SOURCE_HASH_MAX];
    spt_trial trial;
    int64_t recorded_unix_us;
} spt_item_trial;

typedef struct spt_item {
    spt_item_kind kind;
    union {
        spt_device device; /* identity: its key */
        spt_item_pattern pattern;
        spt_item_problem problem;
        spt_session session; /* identity: its uuid */
        spt_item_trial trial;
    } as;
} spt_item;

const char *spt_item_kind_name(spt_item_kind kind);
spt_status spt_item_kind_parse(spt_item_kind *out, const char *name);

/* Is the record legal by itself? Errors: EINVAL, one sentence. */
spt_status spt_item_check(const spt_item *item);

/* The same for the parts of a trial: what was run; what came of it (its variant is not looked at). */
spt_status spt_variant_check(const spt_variant_id *variant, const char *source_hash);
spt_status spt_trial_check(const spt_trial *trial, int64_t recorded_unix_us);

/* The hash of everything that is not identity, in a form that is equal on every machine. */
spt_hash128 spt_device_content(const spt_device *device);
spt_hash128 spt_pattern_content(const spt_item_pattern *pattern);
spt_hash128 spt_session_content(const spt_session *session);
spt_hash128 spt_trial_content(const spt_trial *trial); /* without when it was recorded */

/* Fill a problem from the text of its key. Errors: EINVAL naming the field. */
spt_status spt_item_problem_parse(spt_item_problem *out, const char *text);

/* Only characters from ' ' to '~'? */
bool spt_text_is_plain(const char *text);

#endif
