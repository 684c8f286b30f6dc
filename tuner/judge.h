/* SPDX-License-Identifier: Apache-2.0 */
/* Would this program's library use a stored winner on the device that it is for? The same questions that the library
 * asks, each answered in words. */
#ifndef SPT_TUNER_JUDGE_H
#define SPT_TUNER_JUDGE_H

#include "db/list.h"

typedef enum spt_verdict { SPT_VERDICT_USED = 0, SPT_VERDICT_STALE, SPT_VERDICT_UNUSED } spt_verdict;
#define SPT_VERDICT_REASON_MAX 640

typedef struct spt_judge {
    spt_device here;
    spt_device *devices; /* of the database */
    int64_t n_devices;
} spt_judge;

/* Read the devices of a database. Errors: EIO, EINVAL, ENOMEM. Owns: spt_judge_fini. */
spt_status spt_judge_init(spt_judge *out, spt_db *db);
void spt_judge_fini(spt_judge *judge);

/* What the tuner and families ask about a listing's problem. */
spt_workload spt_listing_workload(const spt_listing *listing);

const spt_device *spt_judge_device(const spt_judge *judge, const char *key); /* NULL: unknown */
/* The verdict about a listing's winner, and why when it is not plainly used. */
spt_verdict spt_judge_winner(char reason[SPT_VERDICT_REASON_MAX], const spt_judge *judge, const spt_listing *listing);
const char *spt_verdict_name(spt_verdict verdict); /* used, stale, unused */

#endif
