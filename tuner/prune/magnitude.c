/* SPDX-License-Identifier: Apache-2.0 */
/* The choice by magnitude, in double precision whatever the weights' type. The k-th smallest score is found by four
 * counting passes over the bits of the scores, which as numbers of one sign are ordered like integers: linear in the
 * number of blocks, and exact. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/csr.h"
#include "core/memory.h"
#include "core/text.h"
#include "tuner/prune/prune.h"

/* ---- rules ---- */

spt_status spt_prune_parse_nm(spt_prune_rule *out, const char *text) {
    *out = (spt_prune_rule){0};
    return spt_nm_parse(&out->nm, text);
}

spt_status spt_prune_parse_vnm(spt_prune_rule *out, const char *text) {
    *out = (spt_prune_rule){0};
    return spt_vnm_parse(&out->vnm, text);
}

static spt_status parse_share(spt_prune_rule *out, const char *text, const char *what) {
    return spt_parse_f64(&out->sparsity, text, 0.0, 1.0, what);
}

spt_status spt_prune_parse_unstructured(spt_prune_rule *out, const char *text) {
    *out = (spt_prune_rule){.rows = 1, .cols = 1};
    return parse_share(out, text, "--unstructured S, the share of zeros");
}

spt_status spt_prune_parse_block(spt_prune_rule *out, const char *text) {
    int end = 0;
    *out = (spt_prune_rule){0};
    if (sscanf(text, "%6" SCNd64 "x%6" SCNd64 "@%n", &out->rows, &out->cols, &end) != 2 || end == 0 || out->rows < 1 ||
        out->cols < 1)
        return spt_fail(SPT_EINVAL, "expected --block RxC@S, such as 32x32@0.9, found '%.60s'", text);
    return parse_share(out, text + end, "--block, the share of blocks that go");
}

spt_status spt_prune_parse_vector(spt_prune_rule *out, const char *text) {
    int end = 0;
    *out = (spt_prune_rule){.cols = 1};
    if (sscanf(text, "%6" SCNd64 "@%n", &out->rows, &end) != 1 || end == 0 || out->rows < 1)
        return spt_fail(SPT_EINVAL, "expected --vector V@S, such as 8@0.9, found '%.60s'", text);
    return parse_share(out, text + end, "--vector, the share of vectors that go");
}

/* ---- N of every M ---- */

/* Keep the `keep` largest of n_here elements; the first ones among equals. */
static void choose_group(uint8_t *mask, const double *weights, int64_t n_here, int keep) {
    for (int64_t i = 0; i < n_here; i++) {
        int n_larger = 0;
        for (int64_t other = 0; other < n_here; other++) {
            const double mine = fabs(weights[i]), theirs = fabs(weights[other]);
            n_larger += theirs > mine || (!(theirs < mine) && other < i);
        }
        mask[i] = n_larger < keep;
    }
}

static void choose_nm(uint8_t *mask, const double *weights, int64_t n_rows, int64_t n_cols, spt_nm nm) {
    for (int64_t row = 0; row < n_rows; row++) {
        for (int64_t col = 0; col < n_cols; col += nm.of) {
            const int64_t at = row * n_cols + col, left = n_cols - col;
            choose_group(mask + at, weights + at, left < nm.of ? left : nm.of, nm.keep);
        }
    }
}

/* ---- blocks ---- */

static uint64_t bits_of(double score) {
    uint64_t bits;
    memcpy(&bits, &score, sizeof bits);
    return bits;
}

enum { DIGIT = 16, N_BUCKETS = 1 << DIGIT };

/* The bucket that holds the k-th smallest (from 0) of those counted; *k becomes its rank inside the bucket. */
static uint64_t bucket_of_rank(const int64_t *counts, int64_t *k) {
    uint64_t bucket = 0;
    while (bucket < N_BUCKETS - 1 && *k >= counts[bucket])
        *k -= counts[bucket++];
    return bucket;
}

/* The bits of the score of rank k among the smallest; *n_below becomes the number of scores below it. */
static spt_status score_of_rank(uint64_t *out, int64_t *n_below, const double *scores, int64_t count, int64_t k) {
    int64_t *counts, rank = k;
    uint64_t high = 0; /* the digits that are known */
    SPT_TRY(SPT_NEW(counts, N_BUCKETS));
    for (int shift = 64 - DIGIT; shift >= 0; shift -= DIGIT) {
        memset(counts, 0, N_BUCKETS * sizeof *counts);
        for (int64_t i = 0; i < count; i++) {
            const uint64_t digits = bits_of(scores[i]) >> shift;
            if (digits >> DIGIT == high)
                counts[digits & (N_BUCKETS - 1)]++;
        }
        high = high << DIGIT | bucket_of_rank(counts, &rank);
    }
    *out = high;
    *n_below = k - rank;
    spt_free(counts);
    return SPT_OK;
}

static void score_blocks(double *scores, const double *weights, int64_t n_rows, int64_t n_cols,
                         const spt_prune_rule *rule) {
    for (int64_t first_row = 0, block = 0; first_row < n_rows; first_row += rule->rows) {
        const int64_t end_row = first_row + rule->rows < n_rows ? first_row + rule->rows : n_rows;
        for (int64_t first_col = 0; first_col < n_cols; first_col += rule->cols, block++) {
            const int64_t end_col = first_col + rule->cols < n_cols ? first_col + rule->cols : n_cols;
            double sum = 0.0;
            for (int64_t row = first_row; row < end_row; row++) {
                for (int64_t col = first_col; col < end_col; col++)
                    sum += fabs(weights[row * n_cols + col]);
            }
            scores[block] = sum / (double)((end_row - first_row) * (end_col - first_col));
        }
    }
}

spt_status spt_prune_choose(uint8_t *mask, const double *weights, int64_t n_rows, int64_t n_cols,
                            const spt_prune_rule *rule) {
    if (rule->nm.of > 0) {
        choose_nm(mask, weights, n_rows, n_cols, rule->nm);
        return SPT_OK;
    }
    if (rule->vnm.v > 0)
        return spt_vnm_choose(mask, weights, n_rows, n_cols, rule->vnm);
    const int64_t blocks_per_row = (n_cols + rule->cols - 1) / rule->cols;
    const int64_t n_blocks = (n_rows + rule->rows - 1) / rule->rows * blocks_per_row;
    const int64_t n_gone = llround(rule->sparsity * (double)n_blocks);
    double *scores;
    uint64_t limit = 0;
    int64_t n_below = 0, n_equal_gone = 0;
    SPT_TRY(SPT_NEW(scores, n_blocks));
    score_blocks(scores, weights, n_rows, n_cols, rule);
    spt_status status = n_gone > 0 ? score_of_rank(&limit, &n_below, scores, n_blocks, n_gone - 1) : SPT_OK;
    const int64_t n_equal = n_gone - n_below; /* of the limit's own score that go */
    for (int64_t block = 0; status == SPT_OK && block < n_blocks; block++) {
        const bool is_equal = n_gone > 0 && bits_of(scores[block]) == limit;
        const bool goes = n_gone > 0 && (bits_of(scores[block]) < limit || (is_equal && n_equal_gone < n_equal));
        n_equal_gone += is_equal;
        scores[block] = goes ? 0.0 : 1.0;
    }
    for (int64_t at = 0; status == SPT_OK && at < n_rows * n_cols; at++)
        mask[at] = scores[at / n_cols / rule->rows * blocks_per_row + at % n_cols / rule->cols] > 0.0;
    spt_free(scores);
    return status;
}

double spt_prune_magnitude(const double *weights, const uint8_t *mask, int64_t count) {
    double sum = 0.0;
    for (int64_t i = 0; i < count; i++)
        sum += mask == NULL || mask[i] ? fabs(weights[i]) : 0.0;
    return sum;
}
