/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel of the Gaussian process: the mean of one Matern kernel per axis, the mean of their products by pairs of
 * axes (after Duvenaud, Nickisch and Rasmussen, "Additive Gaussian processes", NIPS 2011; here shares are fixed), and
 * one kernel of all axes together. By tables: an axis has few values, so what two of them contribute is computed once
 * per set of parameters. Two points then cost one look-up per axis and one exponential, many at a time; pairs of axes
 * cost nothing more: with k_i of each axis, 2 sum over i < j of k_i k_j = (sum k_i)^2 - sum k_i^2. */
#include <math.h>

#include "search/exact.h"
#include "search/gp.h"

/* Priors of the logarithms; how they were chosen: docs/SEARCH.md. */
#define WEIGHT_CENTRE 0.0
#define WEIGHT_SPREAD 1.0
#define SIZE_CENTRE (-1.0)   /* what powers of two are in a size has to show that it matters */
#define AMPLITUDE_SPREAD 1.5 /* few axes matter much */
#define BLOCK 64             /* points whose exponentials are computed together */

/* k(r) = (1 + s + s^2 / 3) exp(-s), s = sqrt(5) r; dk / dr^2 = -5/6 (1 + s) exp(-s). */
static double matern(double squared, double *slope) {
    const double s = sqrt(5.0 * squared), decay = spt_exact_exp(-s);
    *slope = -5.0 / 6.0 * (1.0 + s) * decay;
    return (1.0 + s + s * s / 3.0) * decay;
}

static spt_gp_entry entry_of(double part, double amplitude) {
    double slope;
    const double alone = matern(part, &slope);
    return (spt_gp_entry){.part = part, .alone = amplitude * alone, .slope = amplitude * slope * part};
}

spt_gp_prior spt_gp_prior_of(const spt_gp *gp, int parameter) {
    if (parameter > gp->n_axes)
        return (spt_gp_prior){0.0, AMPLITUDE_SPREAD};
    if (parameter < gp->n_axes && gp->axes[parameter].classes != NULL)
        return (spt_gp_prior){SIZE_CENTRE, WEIGHT_SPREAD};
    return parameter == gp->n_axes ? gp->setting->noise : (spt_gp_prior){WEIGHT_CENTRE, WEIGHT_SPREAD};
}

/* Tables of an axis: by values, entry n_values - 1 + (j - i) for the values i and j, so that the entries of one i lie
 * in the order of j; by classes, the entries of all j for an i of the first class, then of the second, ... */
static void fill_by_values(spt_gp_axis *axis, double weight, double amplitude) {
    const int last = axis->n_values - 1;
    for (int d = 0; d <= last; d++) {
        const double length = d == 0 ? 0.0 : axis->kind == SPT_GP_NAME ? 1.0 : (double)d / (double)last;
        axis->table[last + d] = axis->table[last - d] = entry_of(weight * length * length, amplitude);
    }
}

static void fill_by_classes(spt_gp_axis *axis, double weight, double amplitude) {
    const int n = axis->n_values, last = axis->n_classes - 1;
    for (int d = 0; d <= last; d++) {
        const double length = d == 0 ? 0.0 : (double)d / (double)last;
        const spt_gp_entry entry = entry_of(weight * length * length, amplitude);
        for (int j = 0; j < n; j++)
            for (int i = axis->classes[j] - d; i <= axis->classes[j] + d; i += d > 0 ? 2 * d : 1)
                if (i >= 0 && i <= last)
                    axis->table[i * n + j] = entry;
    }
}

void spt_gp_set_parameters(spt_gp *gp, const double *parameters) {
    double alone = 0.0, squares = 0.0;
    for (int i = 0; i < gp->n_parameters; i++)
        gp->parameters[i] = parameters[i];
    for (int i = 0; i < gp->n_axes; i++) {
        const double weight = spt_exact_exp(gp->parameters[i]),
                     amplitude = spt_exact_exp(gp->parameters[gp->n_axes + 1 + i]);
        alone += amplitude;
        squares += amplitude * amplitude;
        (gp->axes[i].classes != NULL ? fill_by_classes : fill_by_values)(&gp->axes[i], weight, amplitude);
    }
    gp->diagonal = gp->alone_share * alone + gp->pairs_share * (alone * alone - squares) + gp->whole_share;
}

/* The entries of an axis for one value, by the other. */
static const spt_gp_entry *entries_of(const spt_gp_axis *axis, const spt_point *point) {
    const int i = point->index[axis->axis];
    if (axis->classes != NULL)
        return axis->table + (ptrdiff_t)axis->classes[i] * axis->n_values;
    return axis->table + (axis->n_values - 1 - i);
}

static void kernels_of_block(double *out, const spt_gp *gp, const spt_gp_entry *const *entries, const spt_point *others,
                             int n) {
    double roots[BLOCK], decays[BLOCK];
    for (int c = 0; c < n; c++) {
        double squared = 0.0, alone = 0.0, squares = 0.0;
        for (int axis = 0; axis < gp->n_axes; axis++) {
            const spt_gp_entry *entry = &entries[axis][others[c].index[gp->axes[axis].axis]];
            squared += entry->part;
            alone += entry->alone;
            squares += entry->alone * entry->alone;
        }
        roots[c] = squared;
        out[c] = gp->alone_share * alone + gp->pairs_share * (alone * alone - squares);
    }
    for (int c = 0; c < n; c++) {
        roots[c] = sqrt(5.0 * roots[c]);
        decays[c] = -roots[c];
    }
    spt_exact_exps(decays, n);
    for (int c = 0; c < n; c++)
        out[c] += gp->whole_share * (1.0 + roots[c] + roots[c] * roots[c] / 3.0) * decays[c];
}

void spt_gp_kernels(double *out, const spt_gp *gp, const spt_point *point, const spt_point *others, int n) {
    const spt_gp_entry *entries[SPT_GP_AXES_MAX];
    for (int axis = 0; axis < gp->n_axes; axis++)
        entries[axis] = entries_of(&gp->axes[axis], point);
    for (int from = 0; from < n; from += BLOCK)
        kernels_of_block(out + from, gp, entries, others + from, n - from < BLOCK ? n - from : BLOCK);
}

void spt_gp_slopes(double *out, const spt_gp *gp, const spt_point *a, const spt_point *b) {
    const spt_gp_entry *entries[SPT_GP_AXES_MAX];
    double squared = 0.0, alone = 0.0, slope;
    for (int axis = 0; axis < gp->n_axes; axis++) {
        entries[axis] = entries_of(&gp->axes[axis], a) + b->index[gp->axes[axis].axis];
        squared += entries[axis]->part;
        alone += entries[axis]->alone;
    }
    matern(squared, &slope);
    for (int axis = 0; axis < gp->n_axes; axis++) {
        const spt_gp_entry *entry = entries[axis];
        const double share = gp->alone_share + 2.0 * gp->pairs_share * (alone - entry->alone);
        out[axis] = gp->whole_share * slope * entry->part + share * entry->slope;
        out[gp->n_axes + axis] = share * entry->alone;
    }
}
