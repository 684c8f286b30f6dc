/* SPDX-License-Identifier: Apache-2.0 */
/* What strategies share: their table rows, and the states that one strategy builds on another. */
#ifndef SPT_SEARCH_STRATEGY_H
#define SPT_SEARCH_STRATEGY_H

#include "core/random.h"
#include "search/seen.h"
#include "search/search.h"

#define SPT_STRATEGY(name) extern const spt_strategy spt_strategy_##name;
#include "search/strategies.def"
#undef SPT_STRATEGY

/* Valid points in uniformly random order, none twice; `auto` explores with one of these. */
typedef struct spt_random_order {
    const spt_space *space;
    spt_random random;
    spt_seen drawn;
    int64_t rejected;   /* draws that were invalid or drawn before */
    int64_t *remaining; /* after the enumeration: ordinals not drawn yet, shuffled; NULL before */
    int64_t n_remaining;
} spt_random_order;

void spt_random_order_init(spt_random_order *out, const spt_space *space, uint64_t seed);
/* Errors: ENOTFOUND after the last valid point; ENOMEM. */
spt_status spt_random_order_next(spt_random_order *order, spt_point *out);
void spt_random_order_fini(spt_random_order *order);

#endif
