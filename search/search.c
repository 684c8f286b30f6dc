/* SPDX-License-Identifier: Apache-2.0 */
/* One strategy at work on one space: seeds first, then the strategy's own points, never one twice.
 * The invariant is kept here, so a strategy may propose what it likes; one that proposes known points for too long is
 * helped out with random ones. */
#include "search/search.h"

#include <math.h>

#include "core/memory.h"
#include "search/strategy.h"

#define REPEATS_MAX 1000 /* known points in a row before a random one is asked instead */

struct spt_search {
    const spt_strategy *strategy;
    const spt_space *space;
    void *state;
    spt_seen asked;
    spt_random_order strangers;
    spt_point *seeds; /* queued points; those before next_seed are done */
    int64_t n_seeds, seed_capacity, next_seed;
    double best;
};

spt_status spt_search_new(spt_search **out, const spt_strategy *strategy, const spt_space *space, uint64_t seed) {
    spt_status status = SPT_OK;
    spt_search *search = NULL;
    SPT_TRY_TO(done, SPT_NEW_ZEROED(search, 1));
    *search = (spt_search){.strategy = strategy, .space = space, .best = INFINITY};
    spt_random_order_init(&search->strangers, space, seed);
    SPT_TRY_TO(done, strategy->init(&search->state, space, seed));
    *out = search;
    return SPT_OK;
done:
    spt_free(search);
    return status;
}

void spt_search_free(spt_search *search) {
    if (search == NULL)
        return;
    if (search->strategy->fini != NULL)
        search->strategy->fini(search->state);
    spt_random_order_fini(&search->strangers);
    spt_seen_fini(&search->asked);
    spt_free(search->seeds);
    spt_free(search);
}

spt_status spt_search_seed(spt_search *search, const spt_point *point) {
    if (!spt_space_is_valid(search->space, point))
        return SPT_OK;
    void *seeds = search->seeds;
    SPT_TRY(spt_grow(&seeds, &search->seed_capacity, search->n_seeds, sizeof *search->seeds));
    search->seeds = seeds;
    search->seeds[search->n_seeds++] = *point;
    return SPT_OK;
}

spt_status spt_search_claim(spt_search *search, const spt_point *point, bool *is_new) {
    *is_new = false;
    return spt_space_is_valid(search->space, point) ? spt_seen_add(&search->asked, point, is_new) : SPT_OK;
}

bool spt_search_has_seed(const spt_search *search) {
    return search->next_seed < search->n_seeds;
}

static spt_status propose(spt_search *search, spt_point *out) {
    if (spt_search_has_seed(search)) {
        *out = search->seeds[search->next_seed++];
        return SPT_OK;
    }
    return search->strategy->ask(search->state, out);
}

spt_status spt_search_ask(spt_search *search, spt_point *out) {
    int n_repeats = 0;
    for (bool is_new = false; !is_new; n_repeats++) {
        SPT_TRY(n_repeats < REPEATS_MAX ? propose(search, out) : spt_random_order_next(&search->strangers, out));
        SPT_TRY(spt_seen_add(&search->asked, out, &is_new));
    }
    return SPT_OK;
}

void spt_search_tell(spt_search *search, const spt_point *point, double cost, spt_trial_status status) {
    if (spt_trial_is_timed(status) && cost < search->best)
        search->best = cost;
    search->strategy->tell(search->state, point, cost, status);
}

double spt_search_gain(spt_search *search, double rival) {
    if (search->strategy->gain == NULL)
        return -1.0;
    return spt_search_has_seed(search) ? INFINITY : search->strategy->gain(search->state, rival);
}

bool spt_search_expects(const spt_search *search) {
    return search->space->expect != NULL;
}

double spt_search_best(const spt_search *search) {
    return search->best;
}

int64_t spt_search_space_size(const spt_search *search) {
    return spt_space_size(search->space);
}

int64_t spt_search_asked(const spt_search *search) {
    return (int64_t)search->asked.count;
}
