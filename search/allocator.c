/* SPDX-License-Identifier: Apache-2.0 */
/* The allocator: shares a budget of asks among searches, one per family.
 * Every search first gets its seeds and a start in rotation: one turn where the family's model says what to expect;
 * otherwise N_START, and more where its space is large (the few good points of a large space say nothing before they
 * are found: seven turns in 1,500 points left a family as hopeless that was 20 % faster).
 * Then a turn goes to the search whose next point is expected to gain most over the best of all, where all can say
 * that. Where one cannot, and every ROTATION turns in any case, turns follow weights by smooth weighted rotation: a
 * search whose best is r times the best of all has weight r^-3 and never less than WEIGHT_MIN, so that a family that is
 * far behind gets little but can still surprise; and the weight falls with the turns since its own best improved. No
 * random numbers: the same told costs give the same turns. */
#include <math.h>

#include "core/memory.h"
#include "search/search.h"

#define N_START 4
#define N_START_EXPECTED 1
#define SMALL_SPACE 256.0 /* points, constraints not counted; every doubling above it adds START_PER_DOUBLING turns */
#define START_PER_DOUBLING 2.0
#define START_SHARE 8 /* of the budget, at most, goes into one start beyond N_START */
#define WEIGHT_MIN 0.05
#define ROTATION 4    /* every so many turns go by weight even where gains are known: a model may be wrong */
#define PATIENCE 16.0 /* turns without improvement that halve a weight */

typedef struct arm {
    spt_search *search;
    int64_t n_turns, n_start;
    int64_t n_idle; /* turns told since the search's best improved */
    double best;    /* the search's at the last tell */
    double credit;  /* turns owed; sums to about 0 over the arms */
    bool exhausted;
} arm;

typedef struct queued_point {
    int arm;
    spt_point point;
} queued_point;

struct spt_allocator {
    arm *arms;
    int n_arms;
    int64_t arm_capacity;
    queued_point *queue; /* those before next_queued are done */
    int64_t n_queued, queue_capacity, next_queued;
    int64_t left, budget;
    int64_t n_free; /* turns after the starts */
};

spt_status spt_allocator_new(spt_allocator **out, int64_t budget) {
    SPT_TRY(SPT_NEW_ZEROED(*out, 1));
    (*out)->left = (*out)->budget = budget;
    return SPT_OK;
}

void spt_allocator_free(spt_allocator *allocator) {
    if (allocator == NULL)
        return;
    spt_free(allocator->arms);
    spt_free(allocator->queue);
    spt_free(allocator);
}

static int64_t start_of(const spt_search *search, int64_t budget) {
    if (spt_search_expects(search))
        return N_START_EXPECTED;
    const double doublings = log2((double)spt_search_space_size(search) / SMALL_SPACE);
    const int64_t wanted = N_START + (int64_t)fmax(0.0, START_PER_DOUBLING * doublings);
    const int64_t limit = budget / START_SHARE > N_START ? budget / START_SHARE : N_START;
    return wanted < limit ? wanted : limit;
}

spt_status spt_allocator_add(spt_allocator *allocator, spt_search *search, int *index) {
    void *arms = allocator->arms;
    SPT_TRY(spt_grow(&arms, &allocator->arm_capacity, allocator->n_arms, sizeof *allocator->arms));
    allocator->arms = arms;
    *index = allocator->n_arms;
    allocator->arms[allocator->n_arms++] =
        (arm){.search = search, .n_start = start_of(search, allocator->budget), .best = INFINITY};
    return SPT_OK;
}

static double best_of_all(const spt_allocator *allocator) {
    double best = INFINITY;
    for (int i = 0; i < allocator->n_arms; i++)
        best = fmin(best, spt_search_best(allocator->arms[i].search));
    return best;
}

/* The arm in its start phase, or with seeds left, that has had the fewest turns, the first of equals; -1 when all have
 * started. */
static int next_starting(const spt_allocator *allocator) {
    int next = -1;
    for (int i = 0; i < allocator->n_arms; i++) {
        const arm *at = &allocator->arms[i];
        const bool is_starting = at->n_turns < at->n_start || spt_search_has_seed(at->search);
        if (!at->exhausted && is_starting && (next < 0 || at->n_turns < allocator->arms[next].n_turns))
            next = i;
    }
    return next;
}

static double weight_of(const arm *at, double best) {
    const double own = spt_search_best(at->search), near = isfinite(own) && isfinite(best) ? best / own : 0.0;
    return fmax(WEIGHT_MIN, near * near * near) / (1.0 + (double)at->n_idle / PATIENCE);
}

/* Every arm earns its weight, the richest one pays the sum and gets the turn; -1 when all are exhausted. */
static int next_weighted(spt_allocator *allocator) {
    double best = best_of_all(allocator), sum = 0.0;
    int richest = -1;
    for (int i = 0; i < allocator->n_arms; i++) {
        arm *at = &allocator->arms[i];
        if (at->exhausted)
            continue;
        double weight = weight_of(at, best);
        sum += weight;
        at->credit += weight;
        if (richest < 0 || at->credit > allocator->arms[richest].credit)
            richest = i;
    }
    if (richest >= 0)
        allocator->arms[richest].credit -= sum;
    return richest;
}

/* The arm whose next point is expected to gain most over the best of all, and what it gains: -1 and -1 when an arm
 * cannot say, -1 and 0 when all are exhausted. */
static int next_gaining(spt_allocator *allocator, double *gain) {
    const double best = best_of_all(allocator);
    int next = -1;
    *gain = 0.0;
    for (int i = 0; i < allocator->n_arms; i++) {
        arm *at = &allocator->arms[i];
        if (at->exhausted)
            continue;
        const double own = spt_search_gain(at->search, best);
        if (own < 0.0) {
            *gain = -1.0;
            return -1;
        }
        if (next < 0 || own > *gain) {
            *gain = own;
            next = i;
        }
    }
    return next;
}

double spt_allocator_gain(spt_allocator *allocator) {
    double gain;
    if (spt_allocator_is_queued(allocator) || next_starting(allocator) >= 0)
        return INFINITY;
    next_gaining(allocator, &gain);
    return gain;
}

static int next_turn(spt_allocator *allocator) {
    double gain;
    int next = next_starting(allocator);
    if (next < 0 && allocator->n_arms > 1 && ++allocator->n_free % ROTATION != 0)
        next = next_gaining(allocator, &gain);
    return next >= 0 ? next : next_weighted(allocator);
}

/* ---- what comes before every turn ---- */

spt_status spt_allocator_queue(spt_allocator *allocator, int index, const spt_point *point) {
    void *queue = allocator->queue;
    SPT_TRY(spt_grow(&queue, &allocator->queue_capacity, allocator->n_queued, sizeof *allocator->queue));
    allocator->queue = queue;
    allocator->queue[allocator->n_queued++] = (queued_point){index, *point};
    return SPT_OK;
}

bool spt_allocator_is_queued(const spt_allocator *allocator) {
    return allocator->next_queued < allocator->n_queued;
}

spt_status spt_allocator_adopt(spt_allocator *allocator, int index, const spt_point *point, double cost,
                               spt_trial_status status, bool *is_new) {
    arm *at = &allocator->arms[index];
    SPT_TRY(spt_search_claim(at->search, point, is_new));
    if (!*is_new)
        return SPT_OK;
    at->n_turns++;
    allocator->left--;
    spt_allocator_tell(allocator, index, point, cost, status);
    return SPT_OK;
}

/* The next queued point that nobody asked yet. Errors: ENOTFOUND, ENOMEM. */
static spt_status take_queued(spt_allocator *allocator, int *index, spt_point *out) {
    for (bool is_new = false; spt_allocator_is_queued(allocator);) {
        const queued_point *next = &allocator->queue[allocator->next_queued++];
        SPT_TRY(spt_search_claim(allocator->arms[next->arm].search, &next->point, &is_new));
        if (!is_new)
            continue;
        *index = next->arm;
        *out = next->point;
        return SPT_OK;
    }
    return SPT_ENOTFOUND;
}

/* ---- turns ---- */

static spt_status take_turn(spt_allocator *allocator, int *index, spt_point *out) {
    for (;;) {
        const int next = next_turn(allocator);
        if (next < 0)
            return spt_fail(SPT_ENOTFOUND, "every search is exhausted");
        const spt_status status = spt_search_ask(allocator->arms[next].search, out);
        *index = next;
        if (status != SPT_ENOTFOUND)
            return status;
        allocator->arms[next].exhausted = true;
    }
}

spt_status spt_allocator_ask(spt_allocator *allocator, int *index, spt_point *out) {
    if (allocator->left <= 0)
        return spt_fail(SPT_ENOTFOUND, "the budget is spent");
    spt_status status = take_queued(allocator, index, out);
    if (status == SPT_ENOTFOUND)
        status = take_turn(allocator, index, out);
    SPT_TRY(status);
    allocator->arms[*index].n_turns++;
    allocator->left--;
    return SPT_OK;
}

void spt_allocator_tell(spt_allocator *allocator, int index, const spt_point *point, double cost,
                        spt_trial_status status) {
    arm *at = &allocator->arms[index];
    spt_search_tell(at->search, point, cost, status);
    const double best = spt_search_best(at->search);
    at->n_idle = best < at->best ? 0 : at->n_idle + 1;
    at->best = best;
}

int64_t spt_allocator_left(const spt_allocator *allocator) {
    return allocator->left;
}
