/* SPDX-License-Identifier: Apache-2.0 */
/* A Gaussian process over the points of a space; see gp.h. */
#include "search/gp.h"

#include <limits.h>
#include <math.h>

#include "core/memory.h"
#include "search/exact.h"
#include "search/moves.h"

#define VARIANCE_MIN 1e-10
#define N_CLASSES_MAX 8 /* of how often two divides a size; what is above counts as the last */

/* How they were chosen: docs/SEARCH.md. An expectation knows what goes together and what sizes are good, and leaves
 * little of it in the costs that are modelled. */
static const spt_gp_setting settings[] = {
    [false] = {.alone = 0.6, .pairs = 0.3, .has_twos = true, .has_amplitudes = true, .noise = {-8.0, 1.0}},
    [true] = {.alone = 0.8, .pairs = 0.0, .has_twos = false, .has_amplitudes = false, .noise = {-6.0, 2.0}},
};

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

static int count_twos(int32_t value) {
    int n = 0;
    for (; value % 2 == 0; value /= 2)
        n++;
    return n;
}

static spt_gp_axis *add_axis(spt_gp *gp, int axis, spt_gp_kind kind, spt_gp_entry **table, int n_rows) {
    const int n_values = gp->space->axes[axis].n_values;
    spt_gp_axis *added = &gp->axes[gp->n_axes++];
    *added = (spt_gp_axis){.axis = axis, .kind = kind, .n_values = n_values, .table = *table};
    *table += n_rows * (ptrdiff_t)n_values;
    return added;
}

/* Is each size a power of two? A name among them is as good as one. */
static void classify_by_oddness(spt_gp_axis *out, uint8_t *classes, const spt_axis *axis) {
    for (int i = 0; i < axis->n_values; i++)
        classes[i] = axis->values[i].name == NULL && !is_power_of_two(axis->values[i].value);
    out->classes = classes;
    out->n_classes = 2;
}

/* How often does two divide each size, from the least on? A name among them counts as the most. */
static void classify_by_twos(spt_gp_axis *out, uint8_t *classes, const spt_axis *axis) {
    int least = INT_MAX, most = 0;
    for (int i = 0; i < axis->n_values; i++)
        if (axis->values[i].name == NULL) {
            const int twos = count_twos(axis->values[i].value);
            least = twos < least ? twos : least;
            most = twos > most ? twos : most;
        }
    const int last = most - least < N_CLASSES_MAX ? most - least : N_CLASSES_MAX - 1;
    for (int i = 0; i < axis->n_values; i++) {
        const int twos = axis->values[i].name != NULL ? most : count_twos(axis->values[i].value);
        classes[i] = (uint8_t)(twos - least < last ? twos - least : last);
    }
    out->classes = classes;
    out->n_classes = last + 1;
}

static void add_axes(spt_gp *gp) {
    spt_gp_entry *table = gp->tables;
    uint8_t *classes = gp->classes;
    for (int axis = 0; axis < gp->space->n_axes; axis++) {
        const spt_axis *of = &gp->space->axes[axis];
        add_axis(gp, axis, spt_axis_is_named(of) ? SPT_GP_NAME : SPT_GP_RANK, &table, 2);
        if (!has_odd_sizes(of))
            continue;
        classify_by_oddness(add_axis(gp, axis, SPT_GP_ODDNESS, &table, 2), classes, of);
        classes += of->n_values;
        if (!gp->setting->has_twos)
            continue;
        classify_by_twos(add_axis(gp, axis, SPT_GP_TWOS, &table, N_CLASSES_MAX), classes, of);
        classes += of->n_values;
    }
}

int spt_gp_count_odd_sizes(const spt_gp *gp, const spt_point *point) {
    int n = 0;
    for (int i = 0; i < gp->n_axes; i++) {
        const spt_gp_axis *axis = &gp->axes[i];
        n += axis->kind == SPT_GP_ODDNESS && axis->classes[point->index[axis->axis]] != 0;
    }
    return n;
}

static void set_shares(spt_gp *gp) {
    const double alone = gp->setting->alone, pairs = gp->setting->pairs;
    const double n = gp->n_axes;
    gp->alone_share = n > 0.0 ? (n > 1.0 ? alone : alone + pairs) / n : 0.0;
    gp->pairs_share = n > 1.0 ? pairs / (n * (n - 1.0)) : 0.0;
    gp->whole_share = n > 0.0 ? 1.0 - alone - pairs : 1.0;
}

spt_status spt_gp_init(spt_gp *out, const spt_space *space, int n_max, int candidates_max) {
    *out = (spt_gp){.space = space, .n_max = n_max, .candidates_max = candidates_max};
    out->setting = &settings[space->expect != NULL];
    double parameters[SPT_GP_PARAMETERS_MAX];
    int n_values = 0;
    out->scale = 1.0;
    for (int axis = 0; axis < space->n_axes; axis++)
        n_values += space->axes[axis].n_values;
    SPT_TRY(SPT_NEW(out->tables, (4 + N_CLASSES_MAX) * (size_t)n_values + 1));
    SPT_TRY(SPT_NEW(out->classes, 2 * (size_t)n_values + 1));
    SPT_TRY(SPT_NEW(out->points, n_max + candidates_max));
    SPT_TRY(SPT_NEW(out->factor, (size_t)n_max * (size_t)n_max));
    SPT_TRY(SPT_NEW(out->columns, (size_t)n_max * (size_t)candidates_max));
    SPT_TRY(SPT_NEW(out->variance, candidates_max));
    SPT_TRY(SPT_NEW(out->mean, candidates_max));
    SPT_TRY(SPT_NEW(out->solved, n_max));
    SPT_TRY(SPT_NEW(out->noises, n_max));
    SPT_TRY(SPT_NEW(out->scratch, (size_t)n_max * SPT_GP_BATCH));
    add_axes(out);
    set_shares(out);
    out->n_parameters = out->setting->has_amplitudes ? 2 * out->n_axes + 1 : out->n_axes + 1;
    for (int i = 0; i < out->n_parameters; i++)
        parameters[i] = spt_gp_prior_of(out, i).centre;
    spt_gp_set_parameters(out, parameters);
    return SPT_OK;
}

void spt_gp_fini(spt_gp *gp) {
    spt_free(gp->tables);
    spt_free(gp->classes);
    spt_free(gp->points);
    spt_free(gp->factor);
    spt_free(gp->columns);
    spt_free(gp->variance);
    spt_free(gp->mean);
    spt_free(gp->solved);
    spt_free(gp->noises);
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
    double *row = row_of(gp, gp->n);
    double rest = gp->diagonal + spt_exact_exp(gp->parameters[gp->n_axes]) + gp->noises[gp->n];
    spt_gp_kernels(row, gp, &gp->points[gp->n], gp->points, gp->n);
    for (int i = 0; i < gp->n; i++) {
        const double *other = row_of(gp, i);
        row[i] = (row[i] - spt_exact_dot(row, other, i)) / other[i];
        rest -= row[i] * row[i];
    }
    row[gp->n] = sqrt(rest > VARIANCE_MIN ? rest : VARIANCE_MIN);
}

/* out[c] += the sum over i of factors[i] times element i of candidate c's v; four rows at a time, because reading and
 * writing `out` costs more than the arithmetic. */
static void add_columns(double *restrict out, const spt_gp *gp, const double *factors) {
    int i = 0;
    for (; i + 4 <= gp->n; i += 4) {
        const double *restrict v0 = column_of(gp, i), *restrict v1 = column_of(gp, i + 1);
        const double *restrict v2 = column_of(gp, i + 2), *restrict v3 = column_of(gp, i + 3);
        const double f0 = factors[i], f1 = factors[i + 1], f2 = factors[i + 2], f3 = factors[i + 3];
        for (int c = 0; c < gp->n_candidates; c++)
            out[c] += (f0 * v0[c] + f1 * v1[c]) + (f2 * v2[c] + f3 * v3[c]);
    }
    for (; i < gp->n; i++) {
        const double factor = factors[i], *restrict v = column_of(gp, i);
        for (int c = 0; c < gp->n_candidates; c++)
            out[c] += factor * v[c];
    }
}

/* Element n of every candidate's v: (k(c) - sum of l_i v_i) / l_n; computed with its sign turned. */
static void add_column(spt_gp *gp) {
    const double *row = row_of(gp, gp->n);
    double *restrict last = column_of(gp, gp->n);
    spt_gp_kernels(last, gp, &gp->points[gp->n], spt_gp_candidate_at(gp, 0), gp->n_candidates);
    for (int c = 0; c < gp->n_candidates; c++)
        last[c] = -last[c];
    add_columns(last, gp, row);
    for (int c = 0; c < gp->n_candidates; c++) {
        last[c] /= -row[gp->n];
        gp->variance[c] -= last[c] * last[c];
    }
}

/* L v = k(c) for all candidates that wait: one pass over L for so many. */
static void settle(spt_gp *gp) {
    spt_point points[SPT_GP_BATCH] = {{{0}}};
    double rests[SPT_GP_BATCH];
    const int n_waiting = gp->n_waiting;
    gp->n_waiting = 0;
    if (n_waiting == 0)
        return;
    for (int c = 0; c < n_waiting; c++) {
        points[c] = *spt_gp_candidate_at(gp, gp->waiting[c]);
        gp->variance[gp->waiting[c]] = gp->diagonal;
    }
    for (int c = 0; c < SPT_GP_BATCH; c++)
        rests[c] = gp->diagonal;
    for (int i = 0; i < gp->n; i++) {
        const double *row = row_of(gp, i);
        double sums[SPT_GP_BATCH], *restrict v = gp->scratch + (size_t)i * SPT_GP_BATCH;
        spt_gp_kernels(sums, gp, &gp->points[i], points, SPT_GP_BATCH);
        for (int j = 0; j < i; j++) {
            const double factor = row[j], *restrict other = gp->scratch + (size_t)j * SPT_GP_BATCH;
            for (int c = 0; c < SPT_GP_BATCH; c++)
                sums[c] -= factor * other[c];
        }
        for (int c = 0; c < SPT_GP_BATCH; c++) {
            v[c] = sums[c] / row[i];
            rests[c] -= v[c] * v[c];
        }
        for (int c = 0; c < n_waiting; c++)
            column_of(gp, i)[gp->waiting[c]] = v[c];
    }
    for (int c = 0; c < n_waiting; c++)
        gp->variance[gp->waiting[c]] = rests[c];
}

void spt_gp_observe(spt_gp *gp, const spt_point *point, double noise) {
    settle(gp);
    gp->points[gp->n] = *point;
    gp->noises[gp->n] = noise;
    add_row(gp);
    add_column(gp);
    gp->n++;
}

void spt_gp_forget(spt_gp *gp) {
    gp->n = 0;
    gp->n_waiting = 0;
    for (int c = 0; c < gp->n_candidates; c++)
        gp->variance[c] = gp->diagonal;
}

void spt_gp_candidate(spt_gp *gp, int slot, const spt_point *point) {
    if (gp->n_waiting == SPT_GP_BATCH)
        settle(gp);
    gp->points[gp->n_max + slot] = *point;
    gp->waiting[gp->n_waiting++] = slot;
    if (slot >= gp->n_candidates)
        gp->n_candidates = slot + 1;
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
    settle(gp);
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
    add_columns(gp->mean, gp, gp->solved);
}

/* With a = (K + s I)^-1 (values - centre), the mean at observation i is values_i - s a_i; L' a = solved. */
void spt_gp_smooth(double *out, const spt_gp *gp, const double *values) {
    const double noise = spt_exact_exp(gp->parameters[gp->n_axes]);
    for (int i = gp->n - 1; i >= 0; i--) {
        double rest = gp->solved[i];
        for (int j = i + 1; j < gp->n; j++)
            rest -= row_of(gp, j)[i] * out[j];
        out[i] = rest / row_of(gp, i)[i];
    }
    for (int i = 0; i < gp->n; i++)
        out[i] = values[i] - noise * out[i];
}

double spt_gp_deviation(const spt_gp *gp, int slot) {
    return gp->scale * sqrt(gp->variance[slot] > VARIANCE_MIN ? gp->variance[slot] : VARIANCE_MIN);
}
