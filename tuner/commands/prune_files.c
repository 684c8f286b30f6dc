/* SPDX-License-Identifier: Apache-2.0 */
/* Where weights, orders and compressed forms go; see prune_files.h. */
#include "tuner/commands/prune_files.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tuner/input/tensors.h"
#include "tuner/options.h"

bool spt_prune_is_model(const char *path) {
    static const char suffix[] = ".safetensors";
    const size_t length = strlen(path), n = sizeof suffix - 1;
    return length > n && strcmp(path + length - n, suffix) == 0;
}

static spt_status find_order_path(spt_prune_files *self) {
    self->order_path[0] = '\0';
    if (spt_prune_is_model(self->output))
        return SPT_OK;
    const int stem = (int)(strlen(self->output) - strlen(".npy"));
    const int length = snprintf(self->order_path, sizeof self->order_path, "%.*s.permutation.npy", stem, self->output);
    if (length < (int)sizeof self->order_path)
        return SPT_OK;
    return spt_fail(SPT_EINVAL, "%.60s...: expected a path of at most %zu bytes", self->output,
                    sizeof self->order_path);
}

spt_status spt_prune_files_check(spt_prune_files *self, const char *input) {
    SPT_TRY(find_order_path(self));
    const char *order = self->order_path;
    const bool has_order = order[0] != '\0' && access(order, F_OK) == 0;
    const bool is_in_place = spt_file_is_same(input, self->output);
    const struct {
        const char *what, *path;
    } beside[] = {{"--compressed", self->compressed},
                  {"the order of channels", self->options->has_permute || has_order ? order : NULL}};
    for (int i = 0; i < 2; i++) {
        const char *path = beside[i].path;
        if (path != NULL && *path != '\0' && (spt_file_is_same(path, self->output) || spt_file_is_same(path, input)))
            return spt_usage_fail("expected %s to go to a file of its own, found '%s'", beside[i].what, path);
    }
    if (self->compressed != NULL && order[0] != '\0' && spt_file_is_same(self->compressed, order))
        return spt_usage_fail("expected --compressed with a file of its own, found '%s'", order);
    if (self->options->has_permute && has_order && is_in_place)
        return spt_usage_fail("expected -o with another file than '%s', whose order in '%s' would be lost", input,
                              order);
    self->has_stale_order = has_order && !self->options->has_permute && !is_in_place;
    return SPT_OK;
}

spt_status spt_prune_files_open(spt_prune_files *self, json_t *rule) {
    if (spt_prune_is_model(self->output))
        SPT_TRY(spt_tensor_writer_open(&self->model, self->output));
    if (self->compressed == NULL)
        return SPT_OK;
    SPT_TRY(spt_tensor_writer_open(&self->packed, self->compressed));
    return spt_tensor_writer_set_metadata(&self->packed, rule);
}

/* ---- what is announced ---- */

static spt_status declare(spt_tensor_writer *writer, const char *name, const char *what, const char *dtype,
                          json_t *shape, int64_t size_bytes) {
    char full[1100];
    snprintf(full, sizeof full, "%.1000s.%s", name, what);
    return spt_tensor_writer_declare(writer, full, dtype, shape, size_bytes);
}

spt_status spt_prune_files_declare(spt_prune_files *self, const char *name, const char *dtype, const json_t *shape,
                                   int64_t size_bytes) {
    if (self->model.header == NULL)
        return SPT_OK;
    return spt_tensor_writer_declare(&self->model, name, dtype, json_deep_copy(shape), size_bytes);
}

static spt_status declare_order(spt_tensor_writer *writer, const char *name, int64_t n_channels) {
    return declare(writer, name, "permutation", "I32", json_pack("[I]", (json_int_t)n_channels), 4 * n_channels);
}

spt_status spt_prune_files_declare_pruned(spt_prune_files *self, const char *name, const char *dtype, int item_bytes,
                                          const int64_t *shape, int n_dims) {
    spt_tensor_writer *packed = &self->packed;
    const int64_t n_taps = n_dims == 4 ? shape[2] * shape[3] : 1;
    if (self->options->has_permute && self->model.header != NULL)
        SPT_TRY(declare_order(&self->model, name, shape[1]));
    if (packed->header == NULL)
        return SPT_OK;
    const spt_prune_compressed form = spt_prune_compressed_of(&self->options->rule, shape[0], n_taps * shape[1]);
    const json_int_t n_rows = shape[0], values = form.values_per_row, metadata = form.metadata_per_row;
    SPT_TRY(declare(packed, name, "shape", "I64", json_pack("[i]", n_dims), 8 * n_dims));
    SPT_TRY(declare(packed, name, "values", dtype, json_pack("[II]", n_rows, values), n_rows * values * item_bytes));
    SPT_TRY(declare(packed, name, "metadata", "U8", json_pack("[II]", n_rows, metadata), n_rows * metadata));
    if (form.column_groups > 0)
        SPT_TRY(declare(packed, name, "columns", "I32",
                        json_pack("[II]", (json_int_t)form.column_groups, (json_int_t)form.group_columns),
                        4 * form.column_groups * form.group_columns));
    return self->options->has_permute ? declare_order(packed, name, shape[1]) : SPT_OK;
}

spt_status spt_prune_files_begin(spt_prune_files *self) {
    if (self->model.header != NULL)
        SPT_TRY(spt_tensor_writer_begin(&self->model));
    return self->packed.header != NULL ? spt_tensor_writer_begin(&self->packed) : SPT_OK;
}

/* ---- what is written ---- */

spt_status spt_prune_files_copy(spt_prune_files *self, const void *data, size_t size_bytes) {
    return self->model.header != NULL ? spt_tensor_writer_add(&self->model, data, size_bytes) : SPT_OK;
}

static spt_status add_packed(spt_prune_files *self, const spt_weights *weights, const spt_pruned_layer *layer) {
    spt_tensor_writer *packed = &self->packed;
    const spt_prune_compressed form =
        spt_prune_compressed_of(&self->options->rule, layer->n_rows, layer->n_taps * layer->n_channels);
    const size_t n_rows = (size_t)layer->n_rows, item_bytes = (size_t)weights->item_bytes;
    SPT_TRY(spt_tensor_writer_add(packed, weights->shape, 8 * (size_t)weights->n_dims));
    SPT_TRY(spt_tensor_writer_add(packed, layer->values, n_rows * (size_t)form.values_per_row * item_bytes));
    SPT_TRY(spt_tensor_writer_add(packed, layer->metadata, n_rows * (size_t)form.metadata_per_row));
    if (layer->columns != NULL)
        SPT_TRY(spt_tensor_writer_add(packed, layer->columns, 4 * (size_t)(form.column_groups * form.group_columns)));
    return layer->order != NULL ? spt_tensor_writer_add(packed, layer->order, 4 * (size_t)layer->n_channels) : SPT_OK;
}

spt_status spt_prune_files_add(spt_prune_files *self, const spt_weights *weights, const spt_pruned_layer *layer) {
    const size_t size = (size_t)weights->count * (size_t)weights->item_bytes;
    const size_t order_bytes = layer->order != NULL ? 4 * (size_t)layer->n_channels : 0;
    if (self->model.header != NULL) {
        SPT_TRY(spt_tensor_writer_add(&self->model, layer->raw, size));
        SPT_TRY(spt_tensor_writer_add(&self->model, layer->order, order_bytes));
    } else {
        if (order_bytes > 0)
            SPT_TRY(
                spt_npy_write(&self->order, self->order_path, "I32", &layer->n_channels, 1, layer->order, order_bytes));
        SPT_TRY(spt_npy_write(&self->array, self->output, weights->dtype, weights->shape, weights->n_dims, layer->raw,
                              size));
    }
    return self->packed.header != NULL ? add_packed(self, weights, layer) : SPT_OK;
}

spt_status spt_prune_files_commit(spt_prune_files *self) {
    spt_file_writer *const files[] = {&self->order, &self->array, &self->model.file, &self->packed.file};
    if (self->model.header != NULL)
        SPT_TRY(spt_tensor_writer_finish(&self->model));
    if (self->packed.header != NULL)
        SPT_TRY(spt_tensor_writer_finish(&self->packed));
    return spt_files_place(files, 4, self->has_stale_order ? self->order_path : NULL);
}

void spt_prune_files_discard(spt_prune_files *self) {
    spt_tensor_writer_discard(&self->model);
    spt_tensor_writer_discard(&self->packed);
    spt_file_writer_discard(&self->array);
    spt_file_writer_discard(&self->order);
}
