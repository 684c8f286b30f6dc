/* SPDX-License-Identifier: Apache-2.0 */
/* Fitting the Gaussian process: maximum a posteriori of the log weights and the log noise, the scale being the one that
 * maximizes the likelihood. With S = K^-1, a = S y and s^2 = y'a / n:
 *   objective  n/2 log s^2 + 1/2 log |K| + priors
 *   gradient   1/2 sum over all pairs of (S - a a' / s^2) dK/dtheta + priors
 * (Rasmussen and Williams 2006, section 5.4.1). Steps by Rprop (Riedmiller and Braun 1993), which takes the signs of
 * the gradient alone and so needs no line search. */
#include <math.h>
#include <string.h>

#include "core/memory.h"
#include "search/exact.h"
#include "search/gp.h"

#define STEP_FIRST 0.4
#define STEP_MIN 0.02
#define STEP_MAX 1.5
#define REACH 9.0 /* parameters stay this near to their prior's centre */
#define PIVOT_MIN 1e-10

typedef struct fit {
    spt_gp *gp;
    int n;
    double gradient[SPT_GP_PARAMETERS_MAX];
    double *factor;    /* n x n: lower triangle of K, then of L, then of L^-1 */
    double *precision; /* n x n: upper triangle of S */
    double *solution;  /* a */
    double *centred;   /* y */
} fit;

/* The lower triangle becomes its Cholesky factor. */
static void factorize(double *matrix, int n) {
    for (int i = 0; i < n; i++) {
        double *row = matrix + (size_t)i * (size_t)n;
        for (int j = 0; j <= i; j++) {
            const double *other = matrix + (size_t)j * (size_t)n;
            const double sum = row[j] - spt_exact_dot(row, other, j);
            row[j] = i == j ? sqrt(sum > PIVOT_MIN ? sum : PIVOT_MIN) : sum / other[j];
        }
    }
}

/* The lower triangle becomes its inverse, row by row: M_ij = -(sum over k < i of L_ik M_kj) / L_ii, M_ii = 1 / L_ii. */
static void invert_factor(double *matrix, int n, double *restrict sums) {
    for (int i = 0; i < n; i++) {
        double *row = matrix + (size_t)i * (size_t)n;
        const double diagonal = row[i];
        memset(sums, 0, (size_t)n * sizeof *sums);
        for (int k = 0; k < i; k++) {
            const double factor = row[k], *restrict other = matrix + (size_t)k * (size_t)n;
            for (int j = 0; j <= k; j++)
                sums[j] += factor * other[j];
        }
        for (int j = 0; j < i; j++)
            row[j] = -sums[j] / diagonal;
        row[i] = 1.0 / diagonal;
    }
}

/* S = M'M, upper triangle. */
static void square_inverse(double *out, const double *inverse, int n) {
    memset(out, 0, (size_t)n * (size_t)n * sizeof *out);
    for (int k = 0; k < n; k++) {
        const double *restrict row = inverse + (size_t)k * (size_t)n;
        for (int i = 0; i <= k; i++) {
            double *restrict target = out + (size_t)i * (size_t)n;
            const double factor = row[i];
            for (int j = i; j <= k; j++)
                target[j] += factor * row[j];
        }
    }
}

static void invert_kernel(fit *self) {
    const double noise = spt_exact_exp(self->gp->parameters[self->gp->n_axes]);
    for (int i = 0; i < self->n; i++) {
        double *row = self->factor + (size_t)i * (size_t)self->n;
        spt_gp_kernels(row, self->gp, &self->gp->points[i], self->gp->points, i);
        row[i] = self->gp->diagonal + noise + self->gp->noises[i];
    }
    factorize(self->factor, self->n);
    invert_factor(self->factor, self->n, self->solution);
    square_inverse(self->precision, self->factor, self->n);
}

/* a = S y; returns y'a. */
static double solve(fit *self) {
    double sum = 0.0;
    memset(self->solution, 0, (size_t)self->n * sizeof *self->solution);
    for (int i = 0; i < self->n; i++) {
        const double *row = self->precision + (size_t)i * (size_t)self->n;
        self->solution[i] += row[i] * self->centred[i];
        for (int j = i + 1; j < self->n; j++) {
            self->solution[i] += row[j] * self->centred[j];
            self->solution[j] += row[j] * self->centred[i];
        }
    }
    for (int i = 0; i < self->n; i++)
        sum += self->solution[i] * self->centred[i];
    return sum;
}

/* What a pair of observations adds, by the slopes of their kernel: the weights' lie before the noise, the amplitudes'
 * after.
 */
static void add_slopes(fit *self, const double *slopes, double by) {
    const int n_axes = self->gp->n_axes;
    for (int axis = 0; axis < n_axes; axis++) {
        self->gradient[axis] += by * slopes[axis];
        self->gradient[n_axes + 1 + axis] += by * slopes[n_axes + axis];
    }
}

static void compute_gradient(fit *self) {
    const spt_gp *gp = self->gp;
    const int n = self->n, n_axes = gp->n_axes;
    double slopes[2 * SPT_GP_AXES_MAX], of_one[2 * SPT_GP_AXES_MAX];
    invert_kernel(self);
    spt_gp_slopes(of_one, gp, &gp->points[0], &gp->points[0]);
    const double scale2 = fmax(solve(self) / n, 1e-12), noise = spt_exact_exp(gp->parameters[n_axes]);
    for (int p = 0; p < gp->n_parameters; p++) {
        const spt_gp_prior prior = spt_gp_prior_of(gp, p);
        self->gradient[p] = (gp->parameters[p] - prior.centre) / (prior.spread * prior.spread);
    }
    for (int i = 0; i < n; i++) {
        const double *row = self->precision + (size_t)i * (size_t)n, *a = self->solution;
        const double own = 0.5 * (row[i] - a[i] * a[i] / scale2);
        self->gradient[n_axes] += noise * own;
        add_slopes(self, of_one, own);
        for (int j = i + 1; j < n; j++) {
            spt_gp_slopes(slopes, gp, &gp->points[i], &gp->points[j]);
            add_slopes(self, slopes, row[j] - a[i] * a[j] / scale2);
        }
    }
}

/* One step of every parameter against its gradient's sign: longer while the sign stays, shorter when it turns. */
static void step(fit *self, double *steps, double *signs) {
    double parameters[SPT_GP_PARAMETERS_MAX];
    for (int p = 0; p < self->gp->n_parameters; p++) {
        const double centre = spt_gp_prior_of(self->gp, p).centre;
        const double sign = self->gradient[p] > 0.0 ? 1.0 : self->gradient[p] < 0.0 ? -1.0 : 0.0;
        if (sign * signs[p] > 0.0)
            steps[p] = fmin(steps[p] * 1.2, STEP_MAX);
        else if (sign * signs[p] < 0.0)
            steps[p] = fmax(steps[p] * 0.5, STEP_MIN);
        signs[p] = sign;
        parameters[p] = fmin(fmax(self->gp->parameters[p] - sign * steps[p], centre - REACH), centre + REACH);
    }
    spt_gp_set_parameters(self->gp, parameters);
}

spt_status spt_gp_fit(spt_gp *gp, const double *values, int n_steps) {
    fit self = {.gp = gp, .n = gp->n};
    double steps[SPT_GP_PARAMETERS_MAX], signs[SPT_GP_PARAMETERS_MAX] = {0.0}, mean = 0.0;
    const size_t n = (size_t)gp->n;
    spt_status status = SPT_OK;
    if (n < 2)
        return SPT_OK;
    SPT_TRY_TO(done, SPT_NEW(self.factor, n * n));
    SPT_TRY_TO(done, SPT_NEW(self.precision, n * n));
    SPT_TRY_TO(done, SPT_NEW(self.solution, n));
    SPT_TRY_TO(done, SPT_NEW(self.centred, n));
    for (size_t i = 0; i < n; i++)
        mean += values[i] / (double)n;
    for (size_t i = 0; i < n; i++)
        self.centred[i] = values[i] - mean;
    for (int p = 0; p < gp->n_parameters; p++)
        steps[p] = STEP_FIRST;
    for (int i = 0; i < n_steps; i++) {
        compute_gradient(&self);
        step(&self, steps, signs);
    }
    spt_gp_rebuild(gp);
done:
    spt_free(self.factor);
    spt_free(self.precision);
    spt_free(self.solution);
    spt_free(self.centred);
    return status;
}
