/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel of the Gaussian process: the mean of one Matern kernel per axis, the mean of their products by pairs of
 * axes (after Duvenaud, Nickisch and Rasmussen, "Additive Gaussian processes", NIPS 2011; here shares are fixed), and
 * one kernel of all axes together. By tables: an axis has few values, so what two indices contribute depends on their
 * distance alone and is computed once per set of parameters. Two points then cost one look-up per axis and one
 * exponential, pairs of axes nothing more: with k_i of each axis, 2 sum over i < j of k_i k_j = (sum k_i)^2 - sum
 * k_i^2. */
#include <math.h>
#include <stdlib.h>

#include "search/exact.h"
#include "search/gp.h"

/* Priors of the logarithms; how they were chosen: docs/SEARCH.md. */
#define WEIGHT_CENTRE 0.0
#define WEIGHT_SPREAD 1.0
#define SIZE_CENTRE (-1.0) /* whether a size is a power of two has to show that it matters */
#define NOISE_CENTRE (-6.0)
#define NOISE_SPREAD 2.0

/* k(r) = (1 + s + s^2 / 3) exp(-s), s = sqrt(5) r; dk / dr^2 = -5/6 (1 + s) exp(-s). */
static double matern(double squared, double *slope) {
    const double s = sqrt(5.0 * squared), decay = spt_exact_exp(-s);
    if (slope != NULL)
        *slope = -5.0 / 6.0 * (1.0 + s) * decay;
    return (1.0 + s + s * s / 3.0) * decay;
}

spt_gp_prior spt_gp_prior_of(const spt_gp *gp, int parameter) {
    if (parameter < gp->n_axes && gp->axes[parameter].is_odd_size != NULL)
        return (spt_gp_prior){SIZE_CENTRE, WEIGHT_SPREAD};
    return parameter == gp->n_axes ? (spt_gp_prior){NOISE_CENTRE, NOISE_SPREAD}
                                   : (spt_gp_prior){WEIGHT_CENTRE, WEIGHT_SPREAD};
}

static int distance(const spt_gp_axis *axis, const spt_point *a, const spt_point *b) {
    const int i = a->index[axis->axis], j = b->index[axis->axis];
    return axis->is_odd_size != NULL ? axis->is_odd_size[i] != axis->is_odd_size[j] : abs(i - j);
}

void spt_gp_set_parameters(spt_gp *gp, const double *parameters) {
    for (int i = 0; i <= gp->n_axes; i++)
        gp->parameters[i] = parameters[i];
    for (int i = 0; i < gp->n_axes; i++) {
        spt_gp_axis *axis = &gp->axes[i];
        const double weight = spt_exact_exp(parameters[i]);
        for (int d = 0; d < axis->n_distances; d++) {
            const double length = d == 0 ? 0.0 : axis->is_named ? 1.0 : (double)d / (double)(axis->n_distances - 1);
            axis->part[d] = weight * length * length;
            axis->alone[d] = matern(axis->part[d], NULL);
        }
    }
}

/* Sums over the axes of a pair of points: squared distances, kernels, squared kernels. */
typedef struct sums {
    double squared, alone, squares;
} sums;

static sums sum_axes(const spt_gp *gp, const spt_point *a, const spt_point *b) {
    sums out = {0.0, 0.0, 0.0};
    for (int axis = 0; axis < gp->n_axes; axis++) {
        const int d = distance(&gp->axes[axis], a, b);
        const double alone = gp->axes[axis].alone[d];
        out.squared += gp->axes[axis].part[d];
        out.alone += alone;
        out.squares += alone * alone;
    }
    return out;
}

double spt_gp_kernel(const spt_gp *gp, const spt_point *a, const spt_point *b) {
    const sums sum = sum_axes(gp, a, b);
    return gp->whole_share * matern(sum.squared, NULL) + gp->alone_share * sum.alone +
           gp->pairs_share * (sum.alone * sum.alone - sum.squares);
}

void spt_gp_slopes(double *out, const spt_gp *gp, const spt_point *a, const spt_point *b) {
    const sums sum = sum_axes(gp, a, b);
    double slope;
    matern(sum.squared, &slope);
    for (int axis = 0; axis < gp->n_axes; axis++) {
        const int d = distance(&gp->axes[axis], a, b);
        const double part = gp->axes[axis].part[d];
        double alone = 0.0;
        if (part > 0.0)
            matern(part, &alone);
        const double others = sum.alone - gp->axes[axis].alone[d];
        out[axis] = (gp->whole_share * slope + (gp->alone_share + 2.0 * gp->pairs_share * others) * alone) * part;
    }
}
