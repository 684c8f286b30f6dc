/* SPDX-License-Identifier: Apache-2.0 */
/* One layer's weights, pruned, checked, and for N:M compressed and compared with what decompresses. */
#ifndef SPT_TUNER_PRUNE_LAYER_H
#define SPT_TUNER_PRUNE_LAYER_H

#include "tuner/input/loaders.h"
#include "tuner/prune/prune.h"

typedef struct spt_prune_options {
    spt_prune_rule rule;
    bool has_permute;
    uint64_t seed;  /* of the search for an order */
    double seconds; /* its limit per layer */
} spt_prune_options;

/* A convolution [cout, cin, kh, kw] is pruned as the matrix [cout, kh * kw * cin] that sparse kernels see, so that
 * groups and blocks run along input channels; an order of channels holds for all taps. */
typedef struct spt_pruned_layer {
    int64_t n_rows, n_taps, n_channels; /* of the matrix [n_rows, n_taps * n_channels] */
    int64_t nnz;
    void *raw;           /* the pruned weights in the order and type of the file, channels in their new order */
    int32_t *order;      /* n_channels: new channel i is the old channel order[i]; NULL without --permute */
    bool is_order_fixed; /* groups run across the channels of a tap, so no order can change them: order[i] = i */
    void *values;        /* N:M and V:N:M: the compressed matrix, see core/nm.h; NULL otherwise */
    uint8_t *metadata;
    int32_t *columns;                 /* V:N:M: what it consists of, see vnm.h; NULL otherwise */
    double magnitude, magnitude_kept; /* sums of |w| before and after */
    double magnitude_kept_unpermuted; /* what the rule keeps in the file's order */
    spt_permute_report search;        /* zero without --permute */
} spt_pruned_layer;

/* Prune one layer; place names it in sentences. Errors: EINVAL (NaN, Inf), ENOMEM,
 * EWRONG when what was compressed does not come back. Owns: spt_pruned_layer_fini, safe on a zeroed struct. */
spt_status spt_prune_layer(spt_pruned_layer *out, const spt_weights *weights, const char *place,
                           const spt_prune_options *options);
void spt_pruned_layer_fini(spt_pruned_layer *layer);

/* The compressed form of a layer under a rule. */
typedef struct spt_prune_compressed {
    int64_t values_per_row;               /* elements; 0: the rule has no such form */
    int64_t metadata_per_row;             /* bytes */
    int64_t column_groups, group_columns; /* of columns: groups of rows, and columns of each; 0 but of V:N:M */
} spt_prune_compressed;
spt_prune_compressed spt_prune_compressed_of(const spt_prune_rule *rule, int64_t n_rows, int64_t n_cols);

#endif
