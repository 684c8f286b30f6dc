/* SPDX-License-Identifier: Apache-2.0 */
/* The pattern: the positions of the nonzeros, reduced to what keys, models and neighbours need. */
#ifndef SPT_CORE_PATTERN_H
#define SPT_CORE_PATTERN_H

#include <stdbool.h>

#include "core/csr.h"
#include "core/hash.h"

/* Numbers that tell which algorithm suits a pattern. Shares are in [0, 1]. */
typedef struct spt_features {
    double density;    /* nnz / (m k) */
    double row_mean;   /* nonzeros per row */
    double row_cv;     /* standard deviation of the row lengths over their mean */
    double row_max;    /* longest row */
    double empty_rows; /* share of rows without a nonzero */
    double empty_cols; /* share of columns without a nonzero */
    double fill_4x1;   /* nnz over the cells of all touched aligned blocks of 4 rows x 1 column */
    double fill_1x4;   /* the same for 1 row x 4 columns */
    double fill_4x4;
    double fill_16x16;
    double keep_2of4; /* share of nonzeros that survive keeping at most 2 of each 4 in a row */
    double bandwidth; /* mean |col/k - row/m| */
} spt_features;

typedef struct spt_pattern {
    int64_t n_rows, n_cols, nnz;
    spt_hash128 fingerprint;
    spt_features features;
    bool is_1of2; /* at most one nonzero in each aligned pair of columns; not stored: false where positions are unknown
                   */
} spt_pattern;

/* XXH3-128 over m, k, nnz (64-bit little-endian), row offsets (64-bit), columns (32-bit). */
spt_hash128 spt_pattern_fingerprint(const spt_csr *a);

/* Describe a checked matrix. Errors: ENOMEM. */
spt_status spt_pattern_init(spt_pattern *out, const spt_csr *a);

/* A pattern as a point in the space of neighbours: distances there are Euclidean. Counts and densities are logarithms,
 * shares are as they are, each times the weight of its axis. */
#define SPT_PATTERN_AXES 14
void spt_pattern_axes(double out[SPT_PATTERN_AXES], const spt_pattern *pattern);
/* The squared distance of two such points. */
double spt_pattern_axes_square(const double *a, const double *b);

/* Distance of two patterns for neighbour search: 0 for equal features, log scale per axis. */
double spt_pattern_distance(const spt_pattern *a, const spt_pattern *b);

/* Features as one line "density=0.1 row_mean=51.2 ..." and back; stored in the database by name. */
void spt_features_text(char *out, size_t capacity, const spt_features *features);
spt_status spt_features_parse(spt_features *out, const char *text);

#endif
