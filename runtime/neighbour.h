/* SPDX-License-Identifier: Apache-2.0 */
/* The tuned problems most like a problem that was never tuned, and what their winners promise for it. */
#ifndef SPT_RUNTIME_NEIGHBOUR_H
#define SPT_RUNTIME_NEIGHBOUR_H

#include "runtime/memo.h"
#include "runtime/record.h"

/* Find the neighbour whose winner is expected to be fastest here; answer->record NULL: none, or none that is expected
 * to beat the default (noted in the lookup). */
void spt_neighbour_find(spt_answer *answer, spt_lookup *lookup, const spt_table *table);

#endif
