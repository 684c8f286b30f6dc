/* SPDX-License-Identifier: Apache-2.0 */
/* A Gaussian process over the points of a space (Rasmussen and Williams 2006), for up to a few hundred observations.
 * The kernel is a mixture of one Matern 5/2 of all axes together and the mean of one Matern 5/2 per axis: the second
 * part knows after a few observations which way each axis goes (Durrande, Ginsbourger and Roustant 2012), the first
 * learns what the axes do together. One weight per axis serves both, and one amplitude says how much the axis does,
 * alone and in pairs (what matters alone is likelier to matter together); one noise; all of them fitted.
 *
 * With K the kernel matrix of the observations and K = L L', an observation adds a row to L, and each candidate c keeps
 * its column v = L^-1 k(c) (as rows of `columns`) and its variance k(c, c) - v'v. So one more observation costs n^2 / 2
 * for the row of L and n per candidate, and nothing is solved twice, until the weights change, which starts all over.
 */
#ifndef SPT_SEARCH_GP_H
#define SPT_SEARCH_GP_H

#include <stdbool.h>

#include "core/space.h"

#define SPT_GP_AXES_MAX (3 * SPT_AXES_MAX) /* of the kernel: an axis of sizes counts three times */
#define SPT_GP_BATCH 16
#define SPT_GP_PARAMETERS_MAX (2 * SPT_GP_AXES_MAX + 1)

/* What two values of an axis contribute. */
typedef struct spt_gp_entry {
    double part;  /* weight * squared distance, the length of the axis being 1 */
    double alone; /* amplitude * the Matern kernel of this axis alone, ... */
    double slope; /* ... and its derivative by the log weight */
} spt_gp_entry;

/* What two values of an axis are apart by. */
typedef enum spt_gp_kind {
    SPT_GP_RANK,    /* their indices */
    SPT_GP_NAME,    /* 1 */
    SPT_GP_ODDNESS, /* whether they are powers of two */
    SPT_GP_TWOS,    /* how often two divides them */
} spt_gp_kind;

/* An axis of the kernel: an axis of the space, by its values one by one or by classes of them. */
typedef struct spt_gp_axis {
    int axis; /* of the space */
    spt_gp_kind kind;
    const uint8_t *classes; /* per value, 0 to n_classes - 1, which lie evenly from 0 to 1; NULL: no classes */
    int n_classes;
    int n_values;        /* of the axis of the space */
    spt_gp_entry *table; /* see gp_kernel.c */
} spt_gp_axis;

typedef struct spt_gp_prior {
    double centre, spread; /* of the normal prior of a parameter */
} spt_gp_prior;

/* What is different where a space knows what its points should cost. */
typedef struct spt_gp_setting {
    double alone, pairs; /* shares of the kernel; what is left is the whole */
    bool has_twos;       /* do sizes count by how often two divides them, too? */
    bool has_amplitudes; /* are they fitted? */
    spt_gp_prior noise;  /* log of the noise over the kernel's scale */
} spt_gp_setting;

typedef struct spt_gp {
    const spt_space *space;
    const spt_gp_setting *setting;
    int n_axes;                                   /* of the kernel */
    double alone_share, pairs_share, whole_share; /* of the kernel, over how many axes alone, pairs, wholes there are */
    double parameters[SPT_GP_PARAMETERS_MAX];     /* a log weight per axis, then the log of the noise over the kernel's
                                                     scale, then a log amplitude per axis */
    int n_parameters;
    double diagonal;                   /* k(x, x), the same for every x */
    spt_gp_axis axes[SPT_GP_AXES_MAX]; /* tables for these parameters */
    spt_gp_entry *tables;
    uint8_t *classes; /* of all axes */
    int n, n_max;     /* observations */
    int n_candidates, candidates_max;
    int waiting[SPT_GP_BATCH];    /* slots of new candidates that have no column yet; */
    int n_waiting;                /* they get one, all together, before the next observation or prediction */
    spt_point *points;            /* n_max observations, then candidates_max candidates */
    double *factor;               /* L, n_max x n_max, by rows */
    double *columns;              /* n_max x candidates_max: row i holds element i of every candidate's v */
    double *variance;             /* per candidate, in units of the kernel */
    double *mean;                 /* per candidate, after spt_gp_predict, in units of the values */
    double *solved;               /* L^-1 (values - centre) */
    double *noises;               /* per observation: its own noise beside that of all; see spt_gp_observe */
    double *scratch;              /* n_max x SPT_GP_BATCH */
    double centre, scale;         /* of the values: prior mean and the kernel's deviation */
    double spread, spread_weight; /* what the scale is thought to be, with the weight of so many observations; 0, 0 */
} spt_gp;

/* Start with the priors' centres as parameters. Errors: ENOMEM. Owns: spt_gp_fini (also after an error). */
spt_status spt_gp_init(spt_gp *out, const spt_space *space, int n_max, int candidates_max);
void spt_gp_fini(spt_gp *gp);

/* Add an observation (n < n_max) and bring the candidates up to date. noise: how much wider than for others its value
 * is to be taken, as a variance in units of the kernel; 0 if not at all. It may be changed in noises[] until the next
 * fit, which brings everything up to date. */
void spt_gp_observe(spt_gp *gp, const spt_point *point, double noise);
/* Forget all observations; parameters and candidates stay. */
void spt_gp_forget(spt_gp *gp);
/* Put a candidate into a slot below candidates_max: the first free one, or any to replace. */
void spt_gp_candidate(spt_gp *gp, int slot, const spt_point *point);
const spt_point *spt_gp_candidate_at(const spt_gp *gp, int slot);
/* Take the observations' values, in their order, and predict every candidate: mean[] and spt_gp_deviation. */
void spt_gp_predict(spt_gp *gp, const double *values);
/* After spt_gp_predict: the mean at each observation, its value without what the model takes for noise. */
void spt_gp_smooth(double *out, const spt_gp *gp, const double *values);
double spt_gp_deviation(const spt_gp *gp, int slot);
/* On how many axes of sizes is the point's value no power of two? */
int spt_gp_count_odd_sizes(const spt_gp *gp, const spt_point *point);

/* Fit the parameters to the observations and their values in n_steps steps from where they are, and recompute what
 * depends on them. n^3 per step, for n up to a hundred or so. Errors: ENOMEM (nothing has changed). */
spt_status spt_gp_fit(spt_gp *gp, const double *values, int n_steps);

/* ---- between gp.c and gp_fit.c ---- */

spt_gp_prior spt_gp_prior_of(const spt_gp *gp, int parameter);
/* The kernel between a point and each of n others. */
void spt_gp_kernels(double *out, const spt_gp *gp, const spt_point *point, const spt_point *others, int n);
/* Derivative of the kernel by each log weight, then by each log amplitude. */
void spt_gp_slopes(double *out, const spt_gp *gp, const spt_point *a, const spt_point *b);
void spt_gp_set_parameters(spt_gp *gp, const double *parameters); /* tables only */
void spt_gp_rebuild(spt_gp *gp);                                  /* factor and candidates */

#endif
