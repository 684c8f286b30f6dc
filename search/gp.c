/* SPDX-License-Identifier: Apache-2.0 */
/* A Gaussian process over the points of a space; see gp.h. */
#include "search/gp.h"

#include <math.h>

#include "core/memory.h"
#include "search/exact.h"
#include "search/moves.h"

#define VARIANCE_MIN 1e-10
/* Shares of the kernel; how they were chosen: docs/SEARCH.md. An expectation knows what goes together, and leaves
 * little of it in the costs that are modelled. */
#define ALONE_SHARE 0.6
#define PAIRS_SHARE 0.3
#define ALONE_SHARE_EXPECTED 0.8
#define PAIRS_SHARE_EXPECTED 0.0

/* ---- axes of the kernel ---- */

static bool is_power_of_two(int32_t value) {
    return (value & (value - 1)) == 0;
}

/* Numbers of which some are powers of two and some are not: sizes, for which that matters (alignment, divisibility). */
static bool has_odd_sizes(const spt_axis *axis) {
    int n_powers = 0, n_others = 0;
    for (int i = 0; i < axis->n_values; i++) {
        if (axis->values[i].name != NULL)
            continue;
        if (axis->values[i].value < 1)
            return false;
        n_powers += is_power_of_two(axis->values[i].value);
        n_others += !is_power_of_two(axis->values[i].value);
    }
    return n_powers > 0 && n_others > 0;
}

static void add_axis(spt_gp *gp, int axis, const bool *is_odd_size, double **table) {
    const spt_axis *of = &gp->space->axes[axis];
    const int n = is_odd_size != NULL ? 2 : of->n_values;
    gp->axes[gp->n_axes++] = (spt_gp_axis){.axis = axis,
                                           .is_named = spt_axis_is_named(of),
                                           .is_odd_size = is_odd_size,
                                           .n_distances = n,
                                           .part = *table,
                                           .alone = *table + n};
    *table += 2 * (ptrdiff_t)n;
}

static void add_axes(spt_gp *gp) {
    double *table = gp->tables;
    bool *flags = gp->flags;
    for (int axis = 0; axis < gp->space->n_axes; axis++) {
        const spt_axis *of = &gp->space->axes[axis];
        add_axis(gp, axis, NULL, &table);
        if (!has_odd_sizes(of))
            continue;
        for (int i = 0; i < of->n_values; i++)
            flags[i] = of->values[i].name == NULL && !is_power_of_two(of->values[i].value);
        add_axis(gp, axis, flags, &table);
        flags += of->n_values;
    }
}

static void set_shares(spt_gp *gp) {
    const bool expects = gp->space->expect != NULL;
    const double alone = expects ? ALONE_SHARE_EXPECTED : ALONE_SHARE;
    const double pairs = expects ? PAIRS_SHARE_EXPECTED : PAIRS_SHARE;
    const double n = gp->n_axes;
    gp->alone_share = n > 0.0 ? (n > 1.0 ? alone : alone + pairs) / n : 0.0;
    gp->pairs_share = n > 1.0 ? pairs / (n * (n - 1.0)) : 0.0;
    gp->whole_share = n > 0.0 ? 1.0 - alone - pairs : 1.0;
}

spt_status spt_gp_init(spt_gp *out, const spt_space *space, int n_max, int candidates_max) {
    *out = (spt_gp){.space = space, .n_max = n_max, .candidates_max = candidates_max};
    double parameters[SPT_GP_PARAMETERS_MAX];
    int n_values = 0;
    out->scale = 1.0;
    for (int axis = 0; axis < space->n_axes; axis++)
        n_values += space->axes[axis].n_values;
    SPT_TRY(SPT_NEW(out->tables, 2 * ((size_t)n_values + 2 * SPT_AXES_MAX)));
    SPT_TRY(SPT_NEW(out->flags, n_values + 1));
    SPT_TRY(SPT_NEW(out->points, n_max + candidates_max));
    SPT_TRY(SPT_NEW(out->factor, (size_t)n_max * (size_t)n_max));
    SPT_TRY(SPT_NEW(out->columns, (size_t)n_max * (size_t)candidates_max));
    SPT_TRY(SPT_NEW(out->variance, candidates_max));
    SPT_TRY(SPT_NEW(out->mean, candidates_max));
    SPT_TRY(SPT_NEW(out->solved, n_max));
    SPT_TRY(SPT_NEW(out->scratch, n_max));
    add_axes(out);
    set_shares(out);
    for (int i = 0; i <= out->n_axes; i++)
        parameters[i] = spt_gp_prior_of(out, i).centre;
    spt_gp_set_parameters(out, parameters);
    return SPT_OK;
}

void spt_gp_fini(spt_gp *gp) {
    spt_free(gp->tables);
    spt_free(gp->flags);
    spt_free(gp->points);
    spt_free(gp->factor);
    spt_free(gp->columns);
    spt_free(gp->variance);
    spt_free(gp->mean);
    spt_free(gp->solved);
    spt_free(gp->scratch);
    *gp = (spt_gp){0};
}

/* ---- observations and candidates ---- */

static double *row_of(const spt_gp *gp, int i) {
    return gp->factor + (size_t)i * (size_t)gp->n_max;
}

static double *column_of(const spt_gp *gp, int i) {
    return gp->columns + (size_t)i * (size_t)gp->candidates_max;
}

const spt_point *spt_gp_candidate_at(const spt_gp *gp, int slot) {
    return &gp->points[gp->n_max + slot];
}

/* Row n of L for the observation at points[n]: L l = k, l_n = sqrt(k(x, x) + noise - l'l). */
static void add_row(spt_gp *gp) {
    double *row = row_of(gp, gp->n), rest = 1.0 + spt_exact_exp(gp->parameters[gp->n_axes]);
    for (int i = 0; i < gp->n; i++) {
        const double *other = row_of(gp, i);
        const double k = spt_gp_kernel(gp, &gp->points[gp->n], &gp->points[i]);
        row[i] = (k - spt_exact_dot(row, other, i)) / other[i];
        rest -= row[i] * row[i];
    }
    row[gp->n] = sqrt(rest > VARIANCE_MIN ? rest : VARIANCE_MIN);
}

/* Element n of every candidate's v: (k(c) - sum of l_i v_i) / l_n. */
static void add_column(spt_gp *gp) {
    const double *row = row_of(gp, gp->n);
    double *restrict last = column_of(gp, gp->n);
    for (int c = 0; c < gp->n_candidates; c++)
        last[c] = spt_gp_kernel(gp, &gp->points[gp->n], spt_gp_candidate_at(gp, c));
    for (int i = 0; i < gp->n; i++) {
        const double factor = row[i], *restrict column = column_of(gp, i);
        for (int c = 0; c < gp->n_candidates; c++)
            last[c] -= factor * column[c];
    }
    for (int c = 0; c < gp->n_candidates; c++) {
        last[c] /= row[gp->n];
        gp->variance[c] -= last[c] * last[c];
    }
}

void spt_gp_observe(spt_gp *gp, const spt_point *point) {
    gp->points[gp->n] = *point;
    add_row(gp);
    add_column(gp);
    gp->n++;
}

void spt_gp_forget(spt_gp *gp) {
    gp->n = 0;
    for (int c = 0; c < gp->n_candidates; c++)
        gp->variance[c] = 1.0;
}

void spt_gp_candidate(spt_gp *gp, int slot, const spt_point *point) {
    double variance = 1.0, *v = gp->scratch;
    gp->points[gp->n_max + slot] = *point;
    if (slot >= gp->n_candidates)
        gp->n_candidates = slot + 1;
    for (int i = 0; i < gp->n; i++) {
        const double *row = row_of(gp, i);
        v[i] = (spt_gp_kernel(gp, &gp->points[i], point) - spt_exact_dot(row, v, i)) / row[i];
        column_of(gp, i)[slot] = v[i];
        variance -= v[i] * v[i];
    }
    gp->variance[slot] = variance;
}

void spt_gp_rebuild(spt_gp *gp) {
    const int n = gp->n;
    for (spt_gp_forget(gp); gp->n < n; gp->n++) {
        add_row(gp);
        add_column(gp);
    }
}

/* ---- prediction ---- */

/* solved = L^-1 (values - centre); the centre is the mean, and scale^2 = solved'solved / n maximizes the likelihood. */
void spt_gp_predict(spt_gp *gp, const double *values) {
    double sum = 0.0, squares = 0.0;
    for (int i = 0; i < gp->n; i++)
        sum += values[i];
    gp->centre = gp->n > 0 ? sum / gp->n : 0.0;
    for (int i = 0; i < gp->n; i++) {
        const double *row = row_of(gp, i);
        gp->solved[i] = (values[i] - gp->centre - spt_exact_dot(row, gp->solved, i)) / row[i];
        squares += gp->solved[i] * gp->solved[i];
    }
    squares += gp->spread_weight * gp->spread * gp->spread;
    gp->scale = gp->n > 0 && squares > 0.0 ? sqrt(squares / (gp->n + gp->spread_weight)) : 1.0;
    for (int c = 0; c < gp->n_candidates; c++)
        gp->mean[c] = gp->centre;
    for (int i = 0; i < gp->n; i++) {
        const double factor = gp->solved[i], *restrict column = column_of(gp, i);
        double *restrict mean = gp->mean;
        for (int c = 0; c < gp->n_candidates; c++)
            mean[c] += factor * column[c];
    }
}

double spt_gp_deviation(const spt_gp *gp, int slot) {
    return gp->scale * sqrt(gp->variance[slot] > VARIANCE_MIN ? gp->variance[slot] : VARIANCE_MIN);
}
