/* SPDX-License-Identifier: Apache-2.0 */
/* Which weights stay: by magnitude, alone, in blocks, or N of every M in a row. One-shot: nothing is trained. */
#ifndef SPT_TUNER_PRUNE_H
#define SPT_TUNER_PRUNE_H

#include <stdbool.h>

#include "core/nm.h"
#include "tuner/prune/vnm.h"

/* N:M where nm.of > 0, V:N:M where vnm.v > 0; else the share `sparsity` of all rows x cols blocks, those of the least
 * mean magnitude, goes. A block of 1 x 1 is unstructured pruning, one of V x 1 a column vector. */
typedef struct spt_prune_rule {
    spt_nm nm;
    spt_vnm vnm;
    int64_t rows, cols;
    double sparsity;
} spt_prune_rule;

/* The forms of the command line: "2:4"; "64:2:8"; "RxC@S"; "V@S"; "S". Errors: EINVAL. */
spt_status spt_prune_parse_nm(spt_prune_rule *out, const char *text);
spt_status spt_prune_parse_vnm(spt_prune_rule *out, const char *text);
spt_status spt_prune_parse_block(spt_prune_rule *out, const char *text);
spt_status spt_prune_parse_vector(spt_prune_rule *out, const char *text);
spt_status spt_prune_parse_unstructured(spt_prune_rule *out, const char *text);

/* Say what stays of a row-major matrix: mask[row * n_cols + col] becomes 1 or 0. Exactly round(sparsity * blocks)
 * blocks go; among equals the first ones. Values are finite. Errors: ENOMEM. */
spt_status spt_prune_choose(uint8_t *mask, const double *weights, int64_t n_rows, int64_t n_cols,
                            const spt_prune_rule *rule);

/* The sum of magnitudes, of everything (mask NULL) or of what stays. */
double spt_prune_magnitude(const double *weights, const uint8_t *mask, int64_t count);

/* What a search for an order of channels found. Magnitudes are sums over the matrix under the N:M rule. */
typedef struct spt_permute_report {
    double magnitude_before, magnitude_greedy, magnitude_after;
    int64_t n_swaps;    /* that stay */
    int64_t n_escapes;  /* tried after the greedy search had ended */
    bool ended_by_time; /* the result may differ on a machine of another speed */
    double seconds;
} spt_permute_report;

/* Find an order of the columns (input channels) of a row-major matrix that raises the magnitude which N:M pruning
 * keeps: column order[i] of the matrix becomes column i. A short last group stays in its place.
 * Greedy channel swaps until none helps, then escapes from that optimum that are taken back when they lose, so the
 * result keeps at least what the greedy search keeps. Errors: ENOMEM.
 * Paper: Pool and Yu, "Channel Permutations for N:M Sparsity", NeurIPS 2021; ours keeps the gain of every possible swap
 * as one (max, +) matrix product, of which a swap changes a few rows. */
spt_status spt_permute_search(int32_t *order, spt_permute_report *report, const double *weights, int64_t n_rows,
                              int64_t n_cols, spt_nm nm, uint64_t seed, double seconds);

#endif
