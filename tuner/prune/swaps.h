/* SPDX-License-Identifier: Apache-2.0 */
/* The gains of all swaps of two channels between groups of an N:M pattern, kept up to date.
 *
 * Let group g hold channels a, b, c, i. Without i, a row keeps t1 + ... of its keep - 1 largest others for sure, and
 * its keep-th largest T_i[row] unless the newcomer j is larger: so the group scores base_i + sum over rows of
 * max(T_i[row], |W|[row, j]) with j in the place of i. The sums for all i and j are one (max, +) matrix product. A swap
 * changes the others of the channels of two groups only, and so 2 * of rows of the product.
 *
 * Workload: a window of at most SPT_SWAPS_MAX channels. Memory: 8 bytes per pair of channels. */
#ifndef SPT_TUNER_SWAPS_H
#define SPT_TUNER_SWAPS_H

#include <stdbool.h>

#include "core/nm.h"

enum { SPT_SWAPS_MAX = 1024 };

typedef struct spt_swaps {
    spt_nm nm;
    int64_t n_rows;
    int n, n_groups;     /* channels, n = n_groups * nm.of */
    double scale;        /* a power of two that brings |W| to 1 and below, so that numbers of any size are floats */
    float *panels;       /* scale |W| as [(n + 7) / 8][n_rows][8] */
    float *thresholds;   /* [n_rows][4]: T of four channels whose rows of the product are being made */
    int32_t *member;     /* n: channel in each slot; slots of a group are neighbours */
    int32_t *slot;       /* n: slot of each channel */
    double *score;       /* n_groups: magnitude kept, times scale, as all that follows */
    float *base;         /* n: what the channel's group keeps of the others for sure, less the group's score */
    float *with, *other; /* n x n: the product, -INF inside a group; and its transpose */
    float *best_gain;    /* n: of the channel's best swap */
    int32_t *best;       /* n: the channel that it is swapped with */
} spt_swaps;

/* Begin with channels[0..n) of a row-major matrix in this order; the gains are made by spt_swaps_refresh for all
 * groups, which takes n * n * n_rows steps: a few groups at a time, so that the caller may look at the clock. Errors:
 * ENOMEM. Owns: spt_swaps_fini. */
spt_status spt_swaps_init(spt_swaps *out, const double *weights, double scale, int64_t n_rows, int64_t n_cols,
                          const int32_t *channels, int n, spt_nm nm);
/* The scale for numbers of these magnitudes. */
double spt_swaps_scale(const double *weights, int64_t count);
void spt_swaps_fini(spt_swaps *swaps); /* safe on a zeroed struct */

/* The best swap that gains anything; false when there is none. */
bool spt_swaps_best(spt_swaps *swaps, int *i, int *j);
/* Exchange two channels of different groups in `member` and `slot` alone; spt_swaps_refresh does the rest. */
void spt_swaps_exchange(spt_swaps *swaps, int i, int j);
/* Bring scores and gains up to date after channels of these groups were exchanged. */
void spt_swaps_refresh(spt_swaps *swaps, const int *groups, int n_groups);

double spt_swaps_total(const spt_swaps *swaps); /* magnitude kept by all groups, which are up to date */
static inline int spt_swaps_group(const spt_swaps *swaps, int channel) {
    return swaps->slot[channel] / swaps->nm.of;
}

#endif
