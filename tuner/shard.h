/* SPDX-License-Identifier: Apache-2.0 */
/* A share of a run's problems, and a file of one's own for its results: many processes of a cluster tune one suite and
 * never write one file. What an earlier process of the same share left in the folder is known from the start. */
#ifndef SPT_TUNER_SHARD_H
#define SPT_TUNER_SHARD_H

#include "db/db.h"

typedef struct spt_shard {
    int64_t index, count; /* 1 <= index <= count; 1 of 1 is all */
} spt_shard;

/* "2/8"; NULL: all. Errors: EINVAL. */
spt_status spt_shard_parse(spt_shard *out, const char *text);
bool spt_shard_has(const spt_shard *shard, int64_t problem); /* problem counts from 0 in the order of the run */

/* Open a new database in a folder, which is made where it is missing, with the trials of this share's other files.
 * A file there that cannot be read is passed over. *n_known: trials found. Errors: EIO, ENOMEM. */
spt_status spt_shard_open(spt_db **out, int64_t *n_known, const char *folder, const spt_shard *shard);

#endif
