/* SPDX-License-Identifier: Apache-2.0 */
/* Auto, the default: one strategy after the other on what all of them were told. A Gaussian process makes the most of
 * few evaluations; when it has not improved for a while its model may be wrong, and after the first fifty every fourth
 * point is the climber's (before, the model's own doubts find more); later, when it has little to say that is new,
 * climbing and breeding take turns with it. */
#include <math.h>

#include "core/memory.h"
#include "search/strategy.h"

enum { BAYES, HILLCLIMB, GENETIC, N_PARTS };

static const spt_strategy *const parts[N_PARTS] = {
    [BAYES] = &spt_strategy_bayes, [HILLCLIMB] = &spt_strategy_hillclimb, [GENETIC] = &spt_strategy_genetic};

#define N_ALONE 50    /* evaluations that the model has for itself; ... */
#define N_BAYES 100   /* ... up to so many it has all, ... */
#define N_STALLED 10  /* ... while it improves at least once in so many; otherwise ... */
#define N_PER_CLIMB 4 /* ... one of so many is the climber's */

/* Who asks afterwards, over and over. */
static const int rotation[] = {BAYES, HILLCLIMB, BAYES, GENETIC};

typedef struct auto_search {
    void *states[N_PARTS];
    int64_t n_told, n_turns;
    int64_t since_best; /* told since the lowest cost */
    double best;
} auto_search;

static void fini(void *state) {
    auto_search *self = state;
    for (int i = 0; i < N_PARTS; i++)
        if (self->states[i] != NULL)
            parts[i]->fini(self->states[i]);
    spt_free(self);
}

static spt_status init(void **state, const spt_space *space, uint64_t seed) {
    auto_search *self = NULL;
    spt_status status = SPT_OK;
    SPT_TRY(SPT_NEW_ZEROED(self, 1));
    self->best = INFINITY;
    for (int i = 0; i < N_PARTS; i++)
        SPT_TRY_TO(failed, parts[i]->init(&self->states[i], space, seed + 1000 * (uint64_t)i));
    *state = self;
    return SPT_OK;
failed:
    fini(self);
    return status;
}

static spt_status ask(void *state, spt_point *out) {
    auto_search *self = state;
    int part = BAYES;
    if (self->n_told >= N_BAYES)
        part = rotation[self->n_turns++ % (int64_t)(sizeof rotation / sizeof rotation[0])];
    else if (self->n_told >= N_ALONE && self->since_best >= N_STALLED && self->since_best % N_PER_CLIMB == 0)
        part = HILLCLIMB;
    return parts[part]->ask(self->states[part], out);
}

static double gain(void *state, double rival) {
    auto_search *self = state;
    return parts[BAYES]->gain(self->states[BAYES], rival);
}

static void tell(void *state, const spt_point *point, double cost, spt_trial_status status) {
    auto_search *self = state;
    self->n_told++;
    self->since_best++;
    if (spt_trial_is_timed(status) && cost < self->best) {
        self->best = cost;
        self->since_best = 0;
    }
    for (int i = 0; i < N_PARTS; i++)
        parts[i]->tell(self->states[i], point, cost, status);
}

const spt_strategy spt_strategy_auto = {
    .name = "auto",
    .summary = "a Gaussian process for the first hundred points, then in turns with climbing and breeding",
    .init = init,
    .ask = ask,
    .gain = gain,
    .tell = tell,
    .fini = fini,
};
