/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions on one scale. Ratios of different sessions can be pooled only where they are ratios to the same thing, and
 * another version of the program has another untuned answer. What sessions have in common tells their scales apart. */
#ifndef SPT_DB_ANCHOR_H
#define SPT_DB_ANCHOR_H

#include "db/derive.h"

/* Set each run's round_ns: its round's default_ns times a factor of its session, so that a variant's costs over it
 * agree between sessions as well as those that several sessions measured allow; the newest session's factor is 1, and
 * so is that of one that has nothing in common with the others. The runs are finals with a default, in the order of
 * variants, those of a session together. Cost: O(sessions x runs). Errors: ENOMEM. */
spt_status spt_anchor_sessions(spt_run *runs, int64_t n_runs);

#endif
