/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel of the Gaussian process, by tables: an axis has few values, so what two indices contribute depends on
 * their distance alone and is computed once per set of parameters. A pair then costs one look-up per axis and one
 * exponential. */
#include <math.h>
#include <stdlib.h>

#include "search/exact.h"
#include "search/gp.h"

/* Priors of the logarithms, and the share of the axes alone; how they were chosen: docs/SEARCH.md. */
#define WEIGHT_CENTRE 0.0
#define WEIGHT_SPREAD 1.0
#define SIZE_CENTRE (-1.0) /* whether a size is a power of two has to show that it matters */
#define NOISE_CENTRE (-6.0)
#define NOISE_SPREAD 2.0
#define ALONE_SHARE 0.8

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

double spt_gp_kernel(const spt_gp *gp, const spt_point *a, const spt_point *b) {
    double squared = 0.0, alone = 0.0;
    if (gp->n_axes == 0)
        return 1.0;
    for (int axis = 0; axis < gp->n_axes; axis++) {
        const int d = distance(&gp->axes[axis], a, b);
        squared += gp->axes[axis].part[d];
        alone += gp->axes[axis].alone[d];
    }
    return (1.0 - ALONE_SHARE) * matern(squared, NULL) + ALONE_SHARE * alone / gp->n_axes;
}

void spt_gp_slopes(double *out, const spt_gp *gp, const spt_point *a, const spt_point *b) {
    double squared = 0.0, slope;
    for (int axis = 0; axis < gp->n_axes; axis++)
        squared += gp->axes[axis].part[distance(&gp->axes[axis], a, b)];
    matern(squared, &slope);
    for (int axis = 0; axis < gp->n_axes; axis++) {
        const double part = gp->axes[axis].part[distance(&gp->axes[axis], a, b)];
        double alone = 0.0;
        if (part > 0.0)
            matern(part, &alone);
        out[axis] = ((1.0 - ALONE_SHARE) * slope + ALONE_SHARE * alone / gp->n_axes) * part;
    }
}
