/* SPDX-License-Identifier: Apache-2.0 */
/* Pruning one layer; see layer.h. Elements move as bytes, so what stays is exactly what the file had. */
#include "tuner/prune/layer.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "core/memory.h"

void spt_pruned_layer_fini(spt_pruned_layer *layer) {
    spt_free(layer->raw);
    spt_free(layer->order);
    spt_free(layer->values);
    spt_free(layer->metadata);
    spt_free(layer->columns);
    *layer = (spt_pruned_layer){0};
}

spt_prune_compressed spt_prune_compressed_of(const spt_prune_rule *rule, int64_t n_rows, int64_t n_cols) {
    spt_prune_compressed out = {0};
    const bool has_columns = rule->vnm.v > 0;
    const spt_nm nm = has_columns ? spt_vnm_inner(rule->vnm) : rule->nm;
    if (nm.of == 0)
        return out;
    if (has_columns) {
        out.column_groups = spt_vnm_groups(rule->vnm, n_rows);
        out.group_columns = n_cols = spt_vnm_blocks(rule->vnm, n_cols) * SPT_VNM_KEPT;
    }
    out.values_per_row = spt_nm_groups(nm, n_cols) * nm.keep;
    out.metadata_per_row = spt_nm_metadata_bytes(nm, n_cols);
    return out;
}

static int64_t count_of(const spt_pruned_layer *layer) {
    return layer->n_rows * layer->n_taps * layer->n_channels;
}

/* Where element `at` of the matrix lies in the file's order, its channel taken through the order. */
static int64_t place_in_file(const spt_pruned_layer *layer, int64_t at, const int32_t *order) {
    const int64_t channel = at % layer->n_channels, tap = at / layer->n_channels % layer->n_taps;
    const int64_t row = at / layer->n_channels / layer->n_taps;
    return (row * layer->n_channels + (order != NULL ? order[channel] : channel)) * layer->n_taps + tap;
}

static spt_status check_values(const spt_weights *weights, const char *place) {
    static const double largest = 1e250; /* sums of as many as memory holds are finite */
    for (int64_t i = 0; i < weights->count; i++) {
        const double value = spt_weights_element(weights, i);
        if (!isfinite(value))
            return spt_fail(SPT_EINVAL, "%s: element %" PRId64 " is %g; values must be finite", place, i, value);
        if (fabs(value) > largest)
            return spt_fail(SPT_EINVAL, "%s: element %" PRId64 " is %g; expected magnitudes up to %g", place, i, value,
                            largest);
    }
    return SPT_OK;
}

static void describe(spt_pruned_layer *layer, const spt_weights *weights) {
    layer->n_rows = weights->shape[0];
    layer->n_channels = weights->shape[1];
    layer->n_taps = weights->n_dims == 4 ? weights->shape[2] * weights->shape[3] : 1;
}

static spt_status find_order(spt_pruned_layer *layer, const double *matrix, const spt_prune_options *options) {
    SPT_TRY(SPT_NEW(layer->order, layer->n_channels));
    layer->is_order_fixed = layer->n_taps > 1 && layer->n_channels % options->rule.nm.of != 0;
    for (int64_t i = 0; i < layer->n_channels; i++)
        layer->order[i] = (int32_t)i;
    if (layer->is_order_fixed) {
        layer->search.magnitude_before = layer->search.magnitude_greedy = layer->search.magnitude_after =
            layer->magnitude_kept;
        return SPT_OK;
    }
    return spt_permute_search(layer->order, &layer->search, matrix, layer->n_rows * layer->n_taps, layer->n_channels,
                              options->rule.nm, options->seed, options->seconds);
}

/* The matrix with its channels in the order, as numbers. */
static void gather(double *matrix, const spt_pruned_layer *layer, const spt_weights *weights) {
    for (int64_t at = 0; at < count_of(layer); at++)
        matrix[at] = spt_weights_element(weights, place_in_file(layer, at, layer->order));
}

/* There and back. */
static spt_status convert(spt_pruned_layer *layer, char *back, const char *pruned, size_t item_bytes,
                          const spt_prune_rule *rule) {
    const int64_t n_rows = layer->n_rows, n_cols = layer->n_taps * layer->n_channels;
    if (rule->vnm.v > 0) {
        SPT_TRY(spt_vnm_compress(layer->values, layer->metadata, layer->columns, pruned, item_bytes, n_rows, n_cols,
                                 rule->vnm));
        return spt_vnm_decompress(back, layer->values, layer->metadata, layer->columns, item_bytes, n_rows, n_cols,
                                  rule->vnm);
    }
    SPT_TRY(spt_nm_compress(layer->values, layer->metadata, pruned, item_bytes, n_rows, n_cols, rule->nm));
    return spt_nm_decompress(back, layer->values, layer->metadata, item_bytes, n_rows, n_cols, rule->nm);
}

/* Compress the pruned matrix of raw elements, decompress, compare. */
static spt_status compress(spt_pruned_layer *layer, const char *pruned, const spt_weights *weights, const char *place,
                           const spt_prune_rule *rule) {
    const size_t item_bytes = (size_t)weights->item_bytes, size = (size_t)count_of(layer) * item_bytes;
    const spt_prune_compressed form = spt_prune_compressed_of(rule, layer->n_rows, layer->n_taps * layer->n_channels);
    char *back = NULL;
    spt_status status = SPT_OK;
    layer->values = spt_alloc((size_t)(layer->n_rows * form.values_per_row), item_bytes);
    if (layer->values == NULL)
        return SPT_ENOMEM;
    SPT_TRY(SPT_NEW(layer->metadata, layer->n_rows * form.metadata_per_row));
    if (form.column_groups > 0)
        SPT_TRY(SPT_NEW(layer->columns, form.column_groups * form.group_columns));
    SPT_TRY(SPT_NEW(back, size));
    SPT_TRY_TO(done, convert(layer, back, pruned, item_bytes, rule));
    if (memcmp(back, pruned, size) != 0)
        status = spt_fail(SPT_EWRONG, "%s: expected the pruned weights back from their compressed form, found others",
                          place);
done:
    spt_free(back);
    return status;
}

/* Apply the mask to the elements: `pruned` as the matrix, layer->raw as the file. */
static void apply(spt_pruned_layer *layer, char *pruned, const spt_weights *weights, const double *matrix,
                  const uint8_t *mask) {
    const size_t item_bytes = (size_t)weights->item_bytes;
    for (int64_t at = 0; at < count_of(layer); at++) {
        const bool stays = mask[at] != 0 && matrix[at] != 0.0; /* a -0 becomes 0 */
        if (stays) {
            const char *from = (const char *)weights->raw + (size_t)place_in_file(layer, at, layer->order) * item_bytes;
            memcpy(pruned + (size_t)at * item_bytes, from, item_bytes);
            memcpy((char *)layer->raw + (size_t)place_in_file(layer, at, NULL) * item_bytes, from, item_bytes);
        }
        layer->nnz += stays;
    }
}

spt_status spt_prune_layer(spt_pruned_layer *out, const spt_weights *weights, const char *place,
                           const spt_prune_options *options) {
    double *matrix = NULL;
    uint8_t *mask = NULL;
    char *pruned = NULL;
    spt_status status = SPT_OK;
    *out = (spt_pruned_layer){0};
    SPT_TRY(check_values(weights, place));
    describe(out, weights);
    const int64_t n_cols = out->n_taps * out->n_channels;
    SPT_TRY_TO(done, SPT_NEW(matrix, weights->count));
    SPT_TRY_TO(done, SPT_NEW(mask, weights->count));
    SPT_TRY_TO(done, SPT_NEW_ZEROED(pruned, weights->count * weights->item_bytes));
    out->raw = spt_alloc_zeroed((size_t)weights->count, (size_t)weights->item_bytes);
    SPT_TRY_TO(done, out->raw != NULL ? SPT_OK : SPT_ENOMEM);
    gather(matrix, out, weights);
    SPT_TRY_TO(done, spt_prune_choose(mask, matrix, out->n_rows, n_cols, &options->rule));
    out->magnitude = spt_prune_magnitude(matrix, NULL, weights->count);
    out->magnitude_kept = out->magnitude_kept_unpermuted = spt_prune_magnitude(matrix, mask, weights->count);
    if (options->has_permute) {
        SPT_TRY_TO(done, find_order(out, matrix, options));
        gather(matrix, out, weights);
        SPT_TRY_TO(done, spt_prune_choose(mask, matrix, out->n_rows, n_cols, &options->rule));
        out->magnitude_kept = spt_prune_magnitude(matrix, mask, weights->count);
    }
    apply(out, pruned, weights, matrix, mask);
    if (options->rule.nm.of > 0 || options->rule.vnm.v > 0)
        SPT_TRY_TO(done, compress(out, pruned, weights, place, &options->rule));
done:
    spt_free(matrix);
    spt_free(mask);
    spt_free(pruned);
    if (status != SPT_OK)
        spt_pruned_layer_fini(out);
    return status;
}
