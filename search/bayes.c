/* SPDX-License-Identifier: Apache-2.0 */
/* Bayesian search (Jones, Schonlau and Welch, "Efficient global optimization", J. Global Optimization 13, 1998) for
 * discrete, constrained spaces: a Gaussian process on log cost, and the candidate of the greatest expected improvement
 * is asked. Candidates are a standing pool: points drawn uniformly from the valid ones, the least promising of which
 * make room for new ones at each ask, and the neighbours of each best point. The first points fill the space.
 * Failures count as the median plus one deviation. Costs above the median plus half of one count by a part of what lies
 * above, and as the less certain the slower they are: how slow a slow point is teaches little about the fast ones. The
 * deviation is a robust one, lest one absurd cost hide all others. */
#include <math.h>
#include <string.h>

#include "core/memory.h"
#include "core/statistics.h"
#include "search/exact.h"
#include "search/gp.h"
#include "search/moves.h"
#include "search/seen.h"
#include "search/strategy.h"
#include "search/told.h"

#define N_START 5          /* points that fill the space before the model is asked */
#define N_START_EXPECTED 1 /* the same where a space knows what its points should cost */
#define N_START_DRAWS 30   /* each is the farthest of so many */
#define ODD_START 0.6      /* what a draw's distance is worth per size that is no power of two */
#define N_STEPS 15         /* of a fit */
#define N_REFRESH 16       /* candidates drawn anew per ask */
#define N_OBSERVED_MAX 320 /* observations in the process; when it is full it keeps the better half and the latest */
#define N_LATEST 80        /* of those that are kept */
#define N_FITTED_MAX 128   /* parameters are not fitted to more observations than this */
#define N_DRAWN 512        /* candidates from the whole space, in the slots before those near the best */
#define N_NEAR 512         /* candidates near points that are or were the best */
#define N_NEAR_EACH 128    /* of one point's neighbours; more are drawn by lot */
#define N_RIVALS 4         /* the least promising of so many makes room */
#define SLOW 0.5           /* deviations above the median that slower points count as */
#define SLOW_EXPECTED 1.0  /* the same where a space knows what its points should cost: they teach the slope, too */
/* Where nothing is expected, what lies above counts by so much of itself, up to so many deviations, and has a noise of
 * its own: so much for one deviation (over the kernel's scale), and as its square. Failures have theirs. */
#define SLOW_SHARE 0.7
#define SLOW_MOST 3.0
#define SLOW_NOISE 0.03
#define FAILURE_NOISE 0.1
/* What an expected gain is worth per size that is no power of two, there, too, before N_DOUBTED points. */
#define ODD_GAIN 0.85
/* A model that expects less (in log cost) of its best candidate than this takes its deviations for so many times as
 * wide, again and again: it has been wrong before, and nothing near is worth an evaluation. Not after the first hundred
 * points: a model of many is right more often, and then it is `auto`'s other strategies that look elsewhere. */
#define N_DOUBTED 100
#define GAIN_MIN 0.01
#define WIDER 2.0
#define WIDEST 16.0
/* The expectation's slope: ordinary least squares with this many squares of log cost in favour of SLOPE. */
#define SLOPE 0.5
#define SLOPE_WEIGHT 0.1
/* Before the model has seen how costs spread, they spread like this, with the weight of so many observations. */
#define SPREAD 1.4
#define SPREAD_WEIGHT 2.0

typedef struct bayes {
    const spt_space *space;
    spt_random random;
    spt_random_order start, pool; /* what the first points and the candidates are drawn from */
    spt_random_order rest;        /* what is asked when there is no candidate left */
    spt_told told;
    spt_gp gp;
    int64_t observed[N_OBSERVED_MAX];                   /* index in `told` of each observation */
    double values[N_OBSERVED_MAX];                      /* what they count as */
    double gains[N_DRAWN + N_NEAR];                     /* expected improvement of each candidate at the last ask */
    double expected[N_OBSERVED_MAX + N_DRAWN + N_NEAR]; /* log expectation of each observation, of each candidate */
    uint64_t hashes[N_DRAWN + N_NEAR];                  /* of the candidates, ... */
    double worths[N_DRAWN + N_NEAR];                    /* ... what a gain of theirs is worth at first, and ... */
    bool is_told[N_DRAWN + N_NEAR];                     /* ... which of them nobody may ask again */
    double slope;     /* of log cost over log expectation; 0 where nothing is expected */
    double rival;     /* log cost that others have reached; INFINITY: none */
    int chosen;       /* candidate of the greatest gain; -1: none, or not known */
    double promise;   /* what the model expects to gain at most, its deviations as they are */
    int64_t n_seen;   /* told items that the process has or had */
    int next_fit;     /* observations at which the parameters are fitted again */
    int next_near;    /* slot, counted from N_DRAWN, that the next neighbour takes */
    int64_t expanded; /* the best point whose neighbours were made candidates last, in `told` */
} bayes;

static void fini(void *state) {
    bayes *self = state;
    spt_random_order_fini(&self->start);
    spt_random_order_fini(&self->pool);
    spt_random_order_fini(&self->rest);
    spt_told_fini(&self->told);
    spt_gp_fini(&self->gp);
    spt_free(self);
}

static spt_status init(void **state, const spt_space *space, uint64_t seed) {
    bayes *self = NULL;
    SPT_TRY(SPT_NEW_ZEROED(self, 1));
    self->space = space;
    self->expanded = -1;
    self->chosen = -1;
    self->rival = INFINITY;
    spt_told_init(&self->told);
    spt_random_init(&self->random, seed);
    spt_random_order_init(&self->start, space, seed + 1);
    spt_random_order_init(&self->pool, space, seed + 2);
    spt_random_order_init(&self->rest, space, seed + 3);
    spt_status status = spt_gp_init(&self->gp, space, N_OBSERVED_MAX, N_DRAWN + N_NEAR);
    if (space->expect != NULL) {
        self->gp.spread = SPREAD;
        self->gp.spread_weight = SPREAD_WEIGHT;
    }
    if (status != SPT_OK)
        fini(self);
    else
        *state = self;
    return status;
}

/* ---- the start ---- */

static double distance(const spt_space *space, const spt_point *a, const spt_point *b) {
    double sum = 0.0;
    for (int axis = 0; axis < space->n_axes; axis++) {
        const int n_values = space->axes[axis].n_values;
        const double apart = (double)a->index[axis] - (double)b->index[axis];
        if (apart != 0.0)
            sum += spt_axis_is_named(&space->axes[axis]) ? 1.0 : apart / (n_values - 1) * (apart / (n_values - 1));
    }
    return sum;
}

/* Of a few random points, the one farthest from all that were told. Sizes that are powers of two are what hardware is
 * made for, so they are preferred: whether the others are worth something the model can ask when it knows the rest. */
static spt_status fill_space(bayes *self, spt_point *out) {
    double farthest = -1.0;
    for (int i = 0; i < N_START_DRAWS; i++) {
        spt_point point;
        spt_status status = spt_random_order_next(&self->start, &point);
        if (status == SPT_ENOTFOUND && farthest < 0.0)
            return spt_random_order_next(&self->rest, out);
        if (status == SPT_ENOMEM)
            return status;
        if (status != SPT_OK)
            break;
        double nearest = self->space->n_axes + 1.0;
        for (int64_t j = 0; j < self->told.count; j++)
            nearest = fmin(nearest, distance(self->space, &point, &self->told.items[j].point));
        for (int odd = spt_gp_count_odd_sizes(&self->gp, &point); odd > 0; odd--)
            nearest *= ODD_START;
        if (nearest > farthest) {
            farthest = nearest;
            *out = point;
        }
    }
    return SPT_OK;
}

/* ---- the model: log cost is slope times the log of what the space expects, plus a Gaussian process ---- */

static double log_expectation(const bayes *self, const spt_point *point) {
    return self->space->expect != NULL ? spt_exact_log(self->space->expect(self->space->context, point)) : 0.0;
}

static void fit_slope(bayes *self) {
    double x_mean = 0.0, y_mean = 0.0, xx = SLOPE_WEIGHT, xy = SLOPE_WEIGHT * SLOPE;
    const int n = self->gp.n;
    for (int i = 0; i < n; i++) {
        x_mean += self->expected[i] / n;
        y_mean += self->values[i] / n;
    }
    for (int i = 0; i < n; i++) {
        xx += (self->expected[i] - x_mean) * (self->expected[i] - x_mean);
        xy += (self->expected[i] - x_mean) * (self->values[i] - y_mean);
    }
    self->slope = fmin(fmax(xy / xx, 0.0), 1.0);
}

/* What a correct cost counts as among costs of this median and spread. */
static double value_of(const bayes *self, double log_cost, double median, double spread) {
    if (self->space->expect != NULL)
        return fmin(log_cost, median + SLOW_EXPECTED * spread);
    const double cut = median + SLOW * spread;
    return log_cost <= cut ? log_cost : fmin(cut + SLOW_SHARE * (log_cost - cut), median + SLOW_MOST * spread);
}

/* How uncertain the value is that an item counts as, among costs of this median and spread. */
static double noise_of(const bayes *self, const spt_told_item *item, double median, double spread) {
    if (self->space->expect != NULL || spread <= 0.0)
        return 0.0;
    if (!item->is_correct)
        return FAILURE_NOISE;
    const double above = fmin(fmax((item->log_cost - median) / spread - SLOW, 0.0), SLOW_MOST);
    return SLOW_NOISE * above * above;
}

static void observe(bayes *self, int64_t index) {
    double median, spread;
    spt_told_spread(&median, &spread, &self->told);
    self->observed[self->gp.n] = index;
    spt_gp_observe(&self->gp, &self->told.items[index].point, noise_of(self, &self->told.items[index], median, spread));
}

static void value_observations(bayes *self) {
    double median, spread;
    spt_told_spread(&median, &spread, &self->told);
    for (int i = 0; i < self->gp.n; i++) {
        const spt_told_item *item = &self->told.items[self->observed[i]];
        self->expected[i] = log_expectation(self, &item->point);
        self->values[i] = item->is_correct ? value_of(self, item->log_cost, median, spread) : median + spread;
        self->gp.noises[i] = noise_of(self, item, median, spread);
    }
    if (self->space->expect == NULL)
        return;
    fit_slope(self);
    for (int i = 0; i < self->gp.n; i++)
        self->values[i] -= self->slope * self->expected[i];
}

/* Keep the better half and the latest observations. */
static void thin_out(bayes *self) {
    double sorted[N_OBSERVED_MAX];
    const int n = self->gp.n;
    value_observations(self);
    memcpy(sorted, self->values, sizeof sorted);
    const double median = spt_median(sorted, n);
    spt_gp_forget(&self->gp);
    for (int i = 0; i < n; i++)
        if (self->values[i] < median || i >= n - N_LATEST)
            observe(self, self->observed[i]);
}

static void fit_when_due(bayes *self) {
    if (self->gp.n < self->next_fit || self->gp.n > N_FITTED_MAX)
        return;
    value_observations(self);
    (void)spt_gp_fit(&self->gp, self->values, N_STEPS); /* without memory the parameters stay */
    self->next_fit = self->gp.n + 2 + self->gp.n / 4;
}

/* Many observations may come at once, from an earlier run: the first of them are fitted then. */
static void learn(bayes *self) {
    for (; self->n_seen < self->told.count; self->n_seen++) {
        if (self->gp.n == N_OBSERVED_MAX)
            thin_out(self);
        observe(self, self->n_seen);
        if (self->gp.n == N_FITTED_MAX)
            fit_when_due(self);
    }
    fit_when_due(self);
    value_observations(self);
}

/* ---- candidates ---- */

/* The slot of a candidate, -1: it is none. */
static int find_candidate(const bayes *self, const spt_point *point) {
    const uint64_t hash = spt_point_hash(point);
    for (int c = 0; c < self->gp.n_candidates; c++)
        if (self->hashes[c] == hash && spt_point_equal(spt_gp_candidate_at(&self->gp, c), point))
            return c;
    return -1;
}

/* A drawn candidate that can go: one that was told, or the least promising of a few. */
static int victim(bayes *self) {
    int worst = (int)spt_random_below(&self->random, N_DRAWN);
    for (int i = 1; i < N_RIVALS; i++) {
        int rival = (int)spt_random_below(&self->random, N_DRAWN);
        if (self->gains[rival] < self->gains[worst])
            worst = rival;
    }
    return worst;
}

static void add_candidate(bayes *self, int slot, const spt_point *point) {
    spt_gp_candidate(&self->gp, slot, point);
    self->hashes[slot] = spt_point_hash(point);
    self->is_told[slot] = false;
    self->worths[slot] = 1.0;
    for (int odd = spt_gp_count_odd_sizes(&self->gp, point); odd > 0; odd--)
        self->worths[slot] *= ODD_GAIN;
    self->expected[N_OBSERVED_MAX + slot] = log_expectation(self, point);
}

/* Draw candidates; after the last point of the space the drawing begins anew. */
static void refresh(bayes *self) {
    const bool is_filling = self->gp.n_candidates < N_DRAWN;
    for (int i = 0; i < (is_filling ? N_DRAWN : N_REFRESH); i++) {
        spt_point point;
        spt_status status = spt_random_order_next(&self->pool, &point);
        if (status == SPT_ENOTFOUND && !is_filling) {
            spt_random_order_fini(&self->pool);
            spt_random_order_init(&self->pool, self->space, spt_random_next(&self->random));
        }
        if (status != SPT_OK)
            return;
        if (spt_told_find(&self->told, &point) == NULL && find_candidate(self, &point) < 0)
            add_candidate(self, is_filling ? self->gp.n_candidates : victim(self), &point);
    }
}

static void expand(bayes *self, const spt_point *from) {
    const int n_moves = spt_moves_count(self->space, SPT_REACH_FAR);
    const int n = n_moves < N_NEAR_EACH ? n_moves : N_NEAR_EACH;
    for (int i = 0; i < n; i++) {
        spt_point point;
        const int move = n == n_moves ? i : (int)spt_random_below(&self->random, (uint64_t)n_moves);
        if (!spt_moves_apply(self->space, from, SPT_REACH_FAR, move, &point) ||
            spt_told_find(&self->told, &point) != NULL || find_candidate(self, &point) >= 0)
            continue;
        const int slot = N_DRAWN + self->next_near;
        add_candidate(self, slot < self->gp.n_candidates ? slot : self->gp.n_candidates, &point);
        self->next_near = (self->next_near + 1) % N_NEAR;
    }
}

/* Make candidates of the neighbours of the best point. */
static void expand_best(bayes *self) {
    if (self->told.best == self->expanded)
        return;
    self->expanded = self->told.best;
    expand(self, &self->told.items[self->told.best].point);
}

/* ---- the strategy ---- */

static bool is_starting(const bayes *self) {
    if (self->space->expect != NULL)
        return self->told.n_correct < N_START_EXPECTED;
    return self->told.count < N_START || self->told.n_correct < 2;
}

/* Choose the candidate of the greatest expected improvement over a log cost; returns that gain. */
static double rank(bayes *self, double best, double width) {
    const bool prefers = self->space->expect == NULL && self->told.count < N_DOUBTED;
    self->chosen = -1;
    for (int c = 0; c < self->gp.n_candidates; c++) {
        self->gains[c] = -1.0;
        if (self->is_told[c])
            continue;
        const double mean = self->gp.mean[c] + self->slope * self->expected[N_OBSERVED_MAX + c];
        self->gains[c] = spt_expected_improvement(best, mean, width * spt_gp_deviation(&self->gp, c));
        if (prefers)
            self->gains[c] *= self->worths[c];
        if (self->chosen < 0 || self->gains[c] > self->gains[self->chosen])
            self->chosen = c;
    }
    return self->chosen >= 0 ? self->gains[self->chosen] : 0.0;
}

/* Log cost that the next point should improve on. The least of many noisy costs is too low, and nothing near it would
 * seem worth an evaluation; so where a space knows what to expect, and others are behind, it is the least of what the
 * model makes of the costs. */
static double goal(const bayes *self) {
    double smooth[N_OBSERVED_MAX], least = INFINITY;
    const double best = self->told.items[self->told.best].log_cost;
    if (self->space->expect == NULL || self->rival < best)
        return fmin(self->rival, best);
    spt_gp_smooth(smooth, &self->gp, self->values);
    for (int i = 0; i < self->gp.n; i++)
        least = fmin(least, smooth[i] + self->slope * self->expected[i]);
    return fmax(least, best);
}

static void choose(bayes *self) {
    learn(self);
    refresh(self);
    expand_best(self);
    spt_gp_predict(&self->gp, self->values);
    const double best = goal(self);
    double width = 1.0, gain = self->promise = rank(self, best, width);
    const bool doubts = self->told.count < N_DOUBTED;
    while (doubts && self->chosen >= 0 && gain < GAIN_MIN && width < WIDEST)
        gain = rank(self, best, width *= WIDER);
}

static spt_status ask(void *state, spt_point *out) {
    bayes *self = state;
    if (is_starting(self))
        return fill_space(self, out);
    if (self->chosen < 0)
        choose(self);
    if (self->chosen < 0)
        return spt_random_order_next(&self->rest, out);
    *out = *spt_gp_candidate_at(&self->gp, self->chosen);
    self->chosen = -1;
    return SPT_OK;
}

static double gain(void *state, double rival) {
    bayes *self = state;
    const double log_rival = isfinite(rival) ? spt_exact_log(rival) : INFINITY;
    if (is_starting(self))
        return INFINITY;
    if (self->chosen < 0 || log_rival != self->rival) {
        self->rival = log_rival;
        choose(self);
    }
    return self->chosen >= 0 ? self->promise : 0.0;
}

/* A point that cannot be remembered for want of memory is not learned from. */
static void tell(void *state, const spt_point *point, double cost, spt_trial_status status) {
    bayes *self = state;
    const int slot = find_candidate(self, point);
    if (slot >= 0)
        self->is_told[slot] = true;
    (void)spt_told_add(&self->told, point, cost, status);
    self->chosen = -1;
}

const spt_strategy spt_strategy_bayes = {
    .name = "bayes",
    .summary = "Gaussian process on log time, expected improvement among neighbours of the best and random points",
    .init = init,
    .ask = ask,
    .gain = gain,
    .tell = tell,
    .fini = fini,
};
