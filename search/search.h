/* SPDX-License-Identifier: Apache-2.0 */
/* Search: strategies behind ask and tell. A strategy sees one spt_space, gives points and is told costs; it knows no
 * clock, no kernel and no database, and the same seed with the same told costs gives the same asks on any machine. */
#ifndef SPT_SEARCH_SEARCH_H
#define SPT_SEARCH_SEARCH_H

#include <stdbool.h>
#include <stdint.h>

#include "core/space.h"
#include "core/trial.h"

/* One strategy: one file and one row in strategies.def. */
typedef struct spt_strategy {
    const char *name;
    const char *summary;
    /* Errors: ENOMEM. The space outlives the state. */
    spt_status (*init)(void **state, const spt_space *space, uint64_t seed);
    /* Propose a valid point; may propose one again. Errors: ENOTFOUND when it has nothing more to propose. */
    spt_status (*ask)(void *state, spt_point *out);
    /* What the next point is expected to gain over `rival`, the lowest cost of all searches (INFINITY: none), in log
     * cost; INFINITY: too early to say. The next ask keeps to it. NULL: never known. */
    double (*gain)(void *state, double rival);
    /* cost: time in ns, finite and > 0 when status is correct or dropped; ignored otherwise. */
    void (*tell)(void *state, const spt_point *point, double cost, spt_trial_status status);
    void (*fini)(void *state); /* NULL is allowed */
} spt_strategy;

int spt_strategy_count(void);
const spt_strategy *spt_strategy_at(int index);
const spt_strategy *spt_strategy_find(const char *name); /* NULL when unknown */

/* One strategy at work on one space; never asks the same point twice. */
typedef struct spt_search spt_search;
spt_status spt_search_new(spt_search **out, const spt_strategy *strategy, const spt_space *space, uint64_t seed);
/* Queue a point that is asked before the strategy's own (the default, a neighbour's winner). Invalid ones are ignored.
 */
spt_status spt_search_seed(spt_search *search, const spt_point *point);
/* Count a point as asked by somebody else. *is_new is false when it is not valid or was asked before. Errors: ENOMEM.
 */
spt_status spt_search_claim(spt_search *search, const spt_point *point, bool *is_new);
bool spt_search_has_seed(const spt_search *search); /* is one still queued? */
/* Errors: ENOTFOUND when every valid point was asked or the strategy has finished; ENOMEM. */
spt_status spt_search_ask(spt_search *search, spt_point *out);
void spt_search_tell(spt_search *search, const spt_point *point, double cost, spt_trial_status status);
/* What the next ask is expected to gain over `rival`, in log cost: INFINITY when it is due whatever it gains (a seed,
 * a start), -1 when the strategy cannot say. */
double spt_search_gain(spt_search *search, double rival);
bool spt_search_expects(const spt_search *search);       /* knows the space what its points should cost? */
double spt_search_best(const spt_search *search);        /* lowest cost told of what ran correctly; INFINITY before */
int64_t spt_search_space_size(const spt_search *search); /* points, constraints not counted */
int64_t spt_search_asked(const spt_search *search);
void spt_search_free(spt_search *search);

/* Shares a budget of asks among searches (one per family): every one gets a start, then turns go where gain is likely.
 */
typedef struct spt_allocator spt_allocator;
spt_status spt_allocator_new(spt_allocator **out, int64_t budget);
spt_status spt_allocator_add(spt_allocator *allocator, spt_search *search, int *arm); /* does not own the search */
/* Queue a point that is asked before everything else, in the order of these calls; known ones are passed over. */
spt_status spt_allocator_queue(spt_allocator *allocator, int arm, const spt_point *point);
bool spt_allocator_is_queued(const spt_allocator *allocator); /* is a queued point still to be asked? */
/* Take over a trial that an earlier run has told: as if it had been asked and told here, and of the budget.
 * *is_new is false when the point is not valid or was asked before. Errors: ENOMEM. */
spt_status spt_allocator_adopt(spt_allocator *allocator, int arm, const spt_point *point, double cost,
                               spt_trial_status status, bool *is_new);
/* What the most promising next point is expected to gain, in log cost; INFINITY before all have started, -1 when a
 * strategy cannot say, 0 when all are exhausted. */
double spt_allocator_gain(spt_allocator *allocator);
/* Errors: ENOTFOUND when the budget is spent or all searches are exhausted. */
spt_status spt_allocator_ask(spt_allocator *allocator, int *arm, spt_point *out);
void spt_allocator_tell(spt_allocator *allocator, int arm, const spt_point *point, double cost,
                        spt_trial_status status);
int64_t spt_allocator_left(const spt_allocator *allocator);
void spt_allocator_free(spt_allocator *allocator);

#endif
