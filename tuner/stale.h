/* SPDX-License-Identifier: Apache-2.0 */
/* Which problems of this device went stale: their winner was measured with another revision, compiler or library, or
 * cannot be used any more. Problems that were never tuned are not stale. */
#ifndef SPT_TUNER_STALE_H
#define SPT_TUNER_STALE_H

#include "tuner/stored.h"

/* Did this problem's winner go stale? */
spt_status spt_stale_check(bool *is_stale, spt_db *db, const spt_problem *problem, const spt_csr *a,
                           const spt_device *device);

/* All stale problems of a database that are for this device, one layer each, named by the pattern's first digits. */
typedef struct spt_stale_list {
    spt_layer_list layers;     /* without sources: their matrices come from spt_stored_load */
    spt_problem *problems;     /* beside each layer */
    spt_hash128 *fingerprints; /* beside each layer */
} spt_stale_list;

spt_status spt_stale_list_init(spt_stale_list *out, spt_db *db, const spt_device *device);
void spt_stale_list_fini(spt_stale_list *list); /* safe on a zeroed struct */

#endif
