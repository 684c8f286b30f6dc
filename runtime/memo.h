/* SPDX-License-Identifier: Apache-2.0 */
/* What a search of neighbours found, also when it found nothing: kept by key, so that the second question for a problem
 * that was never tuned costs one probe. Workload: some hundred layers per process. Its memory is fixed when it is made;
 * asking and keeping take no lock and never wait. A slot is written once, by the one thread that claimed it; when its
 * neighbourhood is full, nothing more is kept there and the search runs again. */
#ifndef SPT_RUNTIME_MEMO_H
#define SPT_RUNTIME_MEMO_H

#include <stdatomic.h>

#include "runtime/table.h"

typedef struct spt_answer {
    const spt_record *record; /* NULL: no neighbour */
    double distance;
    double time_ns_expected;
} spt_answer;

typedef struct spt_memo_slot {
    _Atomic int state; /* empty, claimed, ready */
    spt_hash128 key;
    spt_answer answer;
} spt_memo_slot;

enum { SPT_MEMO_SLOTS = 4096, SPT_MEMO_PROBES = 8 };

typedef struct spt_memo {
    spt_memo_slot *slots; /* SPT_MEMO_SLOTS; NULL: keeps nothing */
} spt_memo;

spt_status spt_memo_init(spt_memo *out); /* Errors: ENOMEM. Owns: spt_memo_fini. */
void spt_memo_fini(spt_memo *memo);      /* safe on a zeroed struct */

bool spt_memo_find(spt_answer *out, const spt_memo *memo, spt_hash128 key);
/* Did this call keep it? Not when it is there already, or where there is no room. */
bool spt_memo_keep(const spt_memo *memo, spt_hash128 key, const spt_answer *answer);

#endif
