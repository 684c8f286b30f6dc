/* SPDX-License-Identifier: Apache-2.0 */
/* `sparsetune prune`: dense weights become sparse ones by magnitude, with the workflow of 2:4 sparsity: order the input
 * channels, prune, check, compress, compare (Mishra et al., arXiv 2104.08378, 2021; Pool and Yu, NeurIPS 2021). */
#include <fnmatch.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/file.h"
#include "core/memory.h"
#include "tuner/command.h"
#include "tuner/input/tensors.h"
#include "tuner/options.h"
#include "tuner/prune/layer.h"
#include "tuner/prune/weights_file.h"
#include "tuner/report.h"

static const char usage[] =
    "usage: sparsetune prune WEIGHTS --unstructured S | --nm N:M [--permute] | --vnm V:N:M |\n"
    "                        --block RxC@S | --vector V@S -o FILE\n\n"
    "Zeroes the weights of least magnitude; nothing is trained. WEIGHTS and FILE are .npy or .safetensors; of a model\n"
    "every 2-D and 4-D tensor of f16, bf16, f32 or f64 is pruned, and the others are copied. Convolutions\n"
    "[cout, cin, kh, kw] are pruned as [cout, kh*kw*cin]. N:M and V:N:M are compressed, and what decompresses must be\n"
    "equal.\n\n"
    "options:\n"
    "  --unstructured S      the share S of all weights goes\n"
    "  --nm N:M              of every M in a row N stay, such as 2:4\n"
    "  --permute             first order the input channels so that N:M keeps more; the order is written beside the\n"
    "                        weights: NAME.permutation in a .safetensors, else FILE.permutation.npy; column i of the\n"
    "                        result is column order[i] of the input\n"
    "  --vnm V:N:M           of every V rows and M columns four columns stay, of which a row keeps N, such as 64:2:8\n"
    "  --block RxC@S         the share S of all blocks of R x C goes\n"
    "  --vector V@S          the share S of all column vectors of V x 1 goes\n"
    "  --tensor GLOB         prune the tensors with such names only (all)\n"
    "  --compressed FILE     write values and metadata of N:M or V:N:M there, too (.safetensors)\n"
    "  --time T              limit of the search of --permute per tensor (9s)\n"
    "  --seed S              of that search (0)\n"
    "  -o FILE               file to write\n"
    "  --json                one JSON object per tensor on standard output\n"
    "\nexit codes: 0 ok, 2 usage, 3 failure; a file is written whole or not at all\n";

typedef struct prune_command {
    const char *input, *output, *tensor, *compressed;
    const char *rule_text, *rule_name;
    spt_prune_options options;
    bool json;
    spt_tensor_writer writer, compressed_writer; /* open where the file is a .safetensors, where it is wanted */
    int64_t n_pruned;
} prune_command;

static bool has_suffix(const char *path, const char *suffix) {
    const size_t length = strlen(path), n = strlen(suffix);
    return length > n && strcmp(path + length - n, suffix) == 0;
}

static bool is_model(const char *path) {
    return has_suffix(path, ".safetensors");
}

/* ---- options ---- */

enum { N_RULES = 5 };

static spt_status parse_rule(prune_command *self, const char *const texts[N_RULES]) {
    static const struct {
        const char *name;
        spt_status (*parse)(spt_prune_rule *out, const char *text);
    } rules[N_RULES] = {{"unstructured", spt_prune_parse_unstructured},
                        {"nm", spt_prune_parse_nm},
                        {"vnm", spt_prune_parse_vnm},
                        {"block", spt_prune_parse_block},
                        {"vector", spt_prune_parse_vector}};
    int n_given = 0, given = 0;
    for (int i = 0; i < N_RULES; i++) {
        n_given += texts[i] != NULL;
        given = texts[i] != NULL ? i : given;
    }
    if (n_given != 1)
        return spt_usage_fail("expected one of --unstructured, --nm, --vnm, --block and --vector, found %d", n_given);
    self->rule_name = rules[given].name;
    self->rule_text = texts[given];
    const spt_status status = rules[given].parse(&self->options.rule, texts[given]);
    if (status != SPT_OK)
        spt_usage_mark();
    return status;
}

/* Where the order of a .npy goes. */
static spt_status order_path(char *out, size_t size, const char *output) {
    if (snprintf(out, size, "%.*s.permutation.npy", (int)(strlen(output) - strlen(".npy")), output) < (int)size)
        return SPT_OK;
    return spt_fail(SPT_EINVAL, "%.60s...: expected a path of at most %zu bytes", output, size);
}

/* No file is written twice, the input only by -o, and an order that an earlier run left only with its weights. */
static spt_status check_outputs(const prune_command *self) {
    char order[4096] = "";
    if (self->options.has_permute && !is_model(self->output))
        SPT_TRY(order_path(order, sizeof order, self->output));
    const struct {
        const char *what, *path;
    } beside[] = {{"--compressed", self->compressed}, {"the order of --permute", *order != '\0' ? order : NULL}};
    for (int i = 0; i < 2; i++) {
        const char *path = beside[i].path;
        if (path != NULL && (spt_file_is_same(path, self->output) || spt_file_is_same(path, self->input)))
            return spt_usage_fail("expected %s to go to a file of its own, found '%s'", beside[i].what, path);
    }
    if (self->compressed != NULL && *order != '\0' && spt_file_is_same(self->compressed, order))
        return spt_usage_fail("expected --compressed with a file of its own, found '%s'", order);
    if (*order != '\0' && spt_file_is_same(self->input, self->output) && access(order, F_OK) == 0)
        return spt_usage_fail("expected -o with another file than '%s', whose order in '%s' would be lost", self->input,
                              order);
    return SPT_OK;
}

static spt_status check_paths(const prune_command *self, int n_arguments) {
    if (n_arguments != 1)
        return spt_usage_fail("expected one file of weights, found %d", n_arguments);
    if (self->output == NULL)
        return spt_usage_fail("expected -o with a file to write");
    if (!is_model(self->input) && !has_suffix(self->input, ".npy"))
        return spt_usage_fail("expected weights in a .npy or .safetensors file, found '%s'", self->input);
    if (!is_model(self->output) && !has_suffix(self->output, ".npy"))
        return spt_usage_fail("expected -o with a .npy or .safetensors file, found '%s'", self->output);
    if (self->options.rule.nm.of == 0 && self->options.has_permute)
        return spt_usage_fail("expected --permute with --nm, found --%s", self->rule_name);
    if (self->compressed != NULL && spt_prune_compressed_of(&self->options.rule, 1, 1).values_per_row == 0)
        return spt_usage_fail("expected --compressed with --nm or --vnm, found --%s", self->rule_name);
    if (self->compressed != NULL && !is_model(self->compressed))
        return spt_usage_fail("expected --compressed with a .safetensors file, found '%s'", self->compressed);
    return check_outputs(self);
}

static spt_status parse(prune_command *self, int argc, char **argv) {
    const char *rules[N_RULES] = {NULL};
    int n_arguments;
    const spt_option rows[] = {
        {"--unstructured", SPT_OPTION_TEXT, &rules[0]},
        {"--nm", SPT_OPTION_TEXT, &rules[1]},
        {"--vnm", SPT_OPTION_TEXT, &rules[2]},
        {"--block", SPT_OPTION_TEXT, &rules[3]},
        {"--vector", SPT_OPTION_TEXT, &rules[4]},
        {"--permute", SPT_OPTION_FLAG, &self->options.has_permute},
        {"--tensor", SPT_OPTION_TEXT, &self->tensor},
        {"--compressed", SPT_OPTION_TEXT, &self->compressed},
        {"--time", SPT_OPTION_DURATION, &self->options.seconds},
        {"--seed", SPT_OPTION_SEED, &self->options.seed},
        {"-o", SPT_OPTION_TEXT, &self->output},
        {"--json", SPT_OPTION_FLAG, &self->json},
    };
    SPT_TRY(spt_options_parse(&n_arguments, argc, argv, rows, (int)(sizeof rows / sizeof rows[0]), NULL));
    self->input = argv[1];
    SPT_TRY(parse_rule(self, rules));
    return check_paths(self, n_arguments);
}

/* ---- what is said ---- */

static double share(double part, double whole) {
    return whole > 0.0 ? part / whole : 1.0;
}

static spt_status report(const prune_command *self, const char *name, const spt_pruned_layer *layer) {
    const int64_t n_cols = layer->n_taps * layer->n_channels;
    const double sparsity = 1.0 - (double)layer->nnz / ((double)layer->n_rows * (double)n_cols);
    const spt_permute_report *search = &layer->search;
    if (self->json)
        return spt_json_print(json_pack(
            "{so so ss sI sI sI sf sf sf sf sI sI sb sf}", "tensor", spt_json_name(name), "file",
            spt_json_name(self->output), "rule", self->rule_text, "m", (json_int_t)layer->n_rows, "k",
            (json_int_t)n_cols, "nnz", (json_int_t)layer->nnz, "sparsity", sparsity, "magnitude_kept",
            share(layer->magnitude_kept, layer->magnitude), "magnitude_kept_unpermuted",
            share(layer->magnitude_kept_unpermuted, layer->magnitude), "magnitude_kept_greedy",
            share(self->options.has_permute ? search->magnitude_greedy : layer->magnitude_kept, layer->magnitude),
            "swaps", (json_int_t)search->n_swaps, "escapes", (json_int_t)search->n_escapes, "ended_by_time",
            (int)search->ended_by_time, "seconds", search->seconds));
    printf("%s: %" PRId64 " x %" PRId64 ", %.1f %% zeros, %.2f %% of the magnitude kept", name, layer->n_rows, n_cols,
           100.0 * sparsity, 100.0 * share(layer->magnitude_kept, layer->magnitude));
    if (self->options.has_permute)
        printf(" (%.2f %% in the file's order; %" PRId64 " swaps in %.1f s%s)",
               100.0 * share(layer->magnitude_kept_unpermuted, layer->magnitude), search->n_swaps, search->seconds,
               search->ended_by_time ? ", ended by --time" : "");
    printf("%s\n", layer->values != NULL ? ", compressed and compared" : "");
    return SPT_OK;
}

/* ---- what is written ---- */

static void name_beside(char *out, size_t capacity, const char *name, const char *what) {
    snprintf(out, capacity, "%.1000s.%s", name, what);
}

static spt_status declare(spt_tensor_writer *writer, const char *name, const char *what, const char *dtype,
                          json_t *shape, int64_t size_bytes) {
    char full[1100];
    name_beside(full, sizeof full, name, what);
    return spt_tensor_writer_declare(writer, full, dtype, shape, size_bytes);
}

/* What a tensor adds to the files: its order, and its compressed form. Its own entry is declared already. */
static spt_status declare_beside(prune_command *self, const char *name, const char *dtype, int item_bytes,
                                 const int64_t *shape, int n_dims) {
    const int64_t n_taps = n_dims == 4 ? shape[2] * shape[3] : 1;
    if (self->options.has_permute && self->writer.header != NULL)
        SPT_TRY(
            declare(&self->writer, name, "permutation", "I32", json_pack("[I]", (json_int_t)shape[1]), 4 * shape[1]));
    if (self->compressed == NULL)
        return SPT_OK;
    const spt_prune_compressed form = spt_prune_compressed_of(&self->options.rule, shape[0], n_taps * shape[1]);
    const json_int_t values = form.values_per_row, metadata = form.metadata_per_row;
    SPT_TRY(declare(&self->compressed_writer, name, "values", dtype, json_pack("[II]", (json_int_t)shape[0], values),
                    shape[0] * values * item_bytes));
    SPT_TRY(declare(&self->compressed_writer, name, "metadata", "U8", json_pack("[II]", (json_int_t)shape[0], metadata),
                    shape[0] * metadata));
    if (form.column_groups > 0)
        SPT_TRY(declare(&self->compressed_writer, name, "columns", "I32",
                        json_pack("[II]", (json_int_t)form.column_groups, (json_int_t)form.group_columns),
                        4 * form.column_groups * form.group_columns));
    if (!self->options.has_permute)
        return SPT_OK;
    return declare(&self->compressed_writer, name, "permutation", "I32", json_pack("[I]", (json_int_t)shape[1]),
                   4 * shape[1]);
}

/* The bytes of what was declared, in the same order. */
static void write_beside(prune_command *self, const spt_pruned_layer *layer, int item_bytes) {
    const size_t order_bytes = layer->order != NULL ? 4 * (size_t)layer->n_channels : 0;
    if (order_bytes > 0 && self->writer.header != NULL)
        spt_tensor_writer_add(&self->writer, layer->order, order_bytes);
    if (self->compressed == NULL)
        return;
    const spt_prune_compressed form =
        spt_prune_compressed_of(&self->options.rule, layer->n_rows, layer->n_taps * layer->n_channels);
    spt_tensor_writer_add(&self->compressed_writer, layer->values,
                          (size_t)(layer->n_rows * form.values_per_row * item_bytes));
    spt_tensor_writer_add(&self->compressed_writer, layer->metadata, (size_t)(layer->n_rows * form.metadata_per_row));
    if (layer->columns != NULL)
        spt_tensor_writer_add(&self->compressed_writer, layer->columns,
                              4 * (size_t)(form.column_groups * form.group_columns));
    if (order_bytes > 0)
        spt_tensor_writer_add(&self->compressed_writer, layer->order, order_bytes);
}

static json_t *shape_of(const int64_t *shape, int n_dims) {
    json_t *array = json_array();
    for (int i = 0; i < n_dims; i++)
        json_array_append_new(array, json_integer(shape[i]));
    return array;
}

/* The order first: weights without it would be of no use. */
static spt_status write_npy(const prune_command *self, const spt_weights *weights, const spt_pruned_layer *layer) {
    char path[4096];
    if (layer->order != NULL) {
        SPT_TRY(order_path(path, sizeof path, self->output));
        SPT_TRY(spt_npy_write(path, "I32", &layer->n_channels, 1, layer->order, 4 * (size_t)layer->n_channels));
    }
    return spt_npy_write(self->output, weights->dtype, weights->shape, weights->n_dims, layer->raw,
                         (size_t)weights->count * (size_t)weights->item_bytes);
}

/* Prune one tensor and write all that comes of it. */
static spt_status prune_one(prune_command *self, const char *name, const char *place, const spt_weights *weights) {
    spt_pruned_layer layer;
    SPT_TRY(spt_prune_layer(&layer, weights, place, &self->options));
    spt_status status = SPT_OK;
    if (self->writer.header != NULL)
        spt_tensor_writer_add(&self->writer, layer.raw, (size_t)weights->count * (size_t)weights->item_bytes);
    else
        status = write_npy(self, weights, &layer);
    if (status == SPT_OK) {
        write_beside(self, &layer, weights->item_bytes);
        status = report(self, name, &layer);
    }
    spt_pruned_layer_fini(&layer);
    return status;
}

/* ---- the two kinds of input ---- */

static spt_status begin(prune_command *self) {
    if (self->writer.header != NULL)
        SPT_TRY(spt_tensor_writer_begin(&self->writer));
    return self->compressed != NULL ? spt_tensor_writer_begin(&self->compressed_writer) : SPT_OK;
}

static spt_status prune_array(prune_command *self) {
    char *data;
    size_t size;
    spt_weights weights;
    SPT_TRY(spt_file_read(&data, &size, self->input, SPT_INPUT_BYTES_MAX));
    spt_status status = spt_npy_read(&weights, self->input, data, size);
    spt_free(data);
    SPT_TRY(status);
    if (self->writer.header != NULL)
        status = spt_tensor_writer_declare(&self->writer, "weight", weights.dtype,
                                           shape_of(weights.shape, weights.n_dims), weights.count * weights.item_bytes);
    if (status == SPT_OK)
        status = declare_beside(self, "weight", weights.dtype, weights.item_bytes, weights.shape, weights.n_dims);
    if (status == SPT_OK)
        status = begin(self);
    if (status == SPT_OK)
        status = prune_one(self, "weight", self->input, &weights);
    spt_weights_fini(&weights);
    return status;
}

/* Is this tensor to be pruned? ENOTFOUND: it is to be copied. */
static spt_status choose(const prune_command *self, spt_tensor *out, const spt_tensor_file *file, const char *name,
                         json_t *entry) {
    SPT_TRY(spt_tensors_describe(out, file, name, entry));
    if (self->tensor != NULL && fnmatch(self->tensor, name, 0) != 0)
        return SPT_ENOTFOUND;
    return SPT_OK;
}

static spt_status declare_all(prune_command *self, const spt_tensor_file *file) {
    const char *name;
    json_t *entry;
    json_object_foreach(file->header, name, entry) {
        spt_tensor t;
        if (strcmp(name, SPT_TENSORS_METADATA) == 0)
            continue;
        const spt_status chosen = choose(self, &t, file, name, entry);
        if (chosen != SPT_OK && chosen != SPT_ENOTFOUND)
            return chosen;
        json_t *offsets = json_object_get(entry, "data_offsets");
        const int64_t bytes =
            json_integer_value(json_array_get(offsets, 1)) - json_integer_value(json_array_get(offsets, 0));
        if (self->writer.header != NULL)
            SPT_TRY(spt_tensor_writer_declare(&self->writer, name, json_string_value(json_object_get(entry, "dtype")),
                                              json_incref(json_object_get(entry, "shape")), bytes));
        if (chosen == SPT_OK) {
            SPT_TRY(declare_beside(self, name, t.dtype, t.item_bytes, t.shape, t.n_dims));
            self->n_pruned++;
        }
    }
    if (self->n_pruned == 0)
        return spt_fail(SPT_EINVAL, "%s: expected a 2-D or 4-D tensor of f16, bf16, f32 or f64%s%s, found none",
                        self->input, self->tensor != NULL ? " with a name like " : "",
                        self->tensor != NULL ? self->tensor : "");
    if (self->writer.header == NULL && self->n_pruned > 1)
        return spt_fail(SPT_EINVAL,
                        "%s: expected -o with a .safetensors file for %" PRId64
                        " tensors, or --tensor with the name of one",
                        self->input, self->n_pruned);
    return begin(self);
}

static spt_status copy_tensor(prune_command *self, const spt_tensor_file *file, json_t *entry) {
    enum { CHUNK = 1 << 20 };
    json_t *offsets = json_object_get(entry, "data_offsets");
    int64_t at = json_integer_value(json_array_get(offsets, 0));
    const int64_t end = json_integer_value(json_array_get(offsets, 1));
    char *chunk;
    spt_status status = SPT_OK;
    if (self->writer.header == NULL)
        return SPT_OK;
    SPT_TRY(SPT_NEW(chunk, CHUNK));
    for (; at < end && status == SPT_OK; at += CHUNK) {
        const size_t size = (size_t)(end - at < CHUNK ? end - at : CHUNK);
        status = spt_tensors_read_at(file, chunk, size, file->data_begin + at);
        if (status == SPT_OK)
            spt_tensor_writer_add(&self->writer, chunk, size);
    }
    spt_free(chunk);
    return status;
}

static spt_status prune_tensor(prune_command *self, const spt_tensor_file *file, const spt_tensor *t) {
    char place[512];
    spt_weights weights;
    snprintf(place, sizeof place, "%s: tensor %s", self->input, t->name);
    SPT_TRY(spt_tensors_read(&weights, file, t));
    const spt_status status = prune_one(self, t->name, place, &weights);
    spt_weights_fini(&weights);
    return status;
}

static spt_status prune_model(prune_command *self) {
    spt_tensor_file file;
    const char *name;
    json_t *entry;
    SPT_TRY(spt_tensors_open(&file, self->input));
    spt_status status = declare_all(self, &file);
    json_object_foreach(file.header, name, entry) {
        spt_tensor t;
        if (status != SPT_OK)
            break;
        if (strcmp(name, SPT_TENSORS_METADATA) != 0)
            status = choose(self, &t, &file, name, entry) == SPT_OK ? prune_tensor(self, &file, &t)
                                                                    : copy_tensor(self, &file, entry);
    }
    spt_tensors_close(&file);
    return status;
}

static spt_status run(int argc, char **argv, int *exit_code) {
    (void)exit_code;
    prune_command self = {.options.seconds = 9.0};
    SPT_TRY(parse(&self, argc, argv));
    json_t *metadata = json_pack("{ss}", self.rule_name, self.rule_text);
    spt_status status = SPT_OK;
    if (is_model(self.output))
        SPT_TRY_TO(done, spt_tensor_writer_open(&self.writer, self.output, NULL));
    if (self.compressed != NULL)
        SPT_TRY_TO(done, spt_tensor_writer_open(&self.compressed_writer, self.compressed, metadata));
    SPT_TRY_TO(done, is_model(self.input) ? prune_model(&self) : prune_array(&self));
    if (self.writer.header != NULL)
        SPT_TRY_TO(done, spt_tensor_writer_commit(&self.writer));
    if (self.compressed != NULL)
        SPT_TRY_TO(done, spt_tensor_writer_commit(&self.compressed_writer));
done:
    json_decref(metadata);
    spt_tensor_writer_discard(&self.writer);
    spt_tensor_writer_discard(&self.compressed_writer);
    return status;
}

const spt_command spt_command_prune = {
    .name = "prune",
    .summary = "zero the weights of least magnitude: alone, N:M, in blocks or vectors",
    .usage = usage,
    .run = run,
};
