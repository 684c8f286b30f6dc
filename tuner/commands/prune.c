/* SPDX-License-Identifier: Apache-2.0 */
/* `sparsetune prune`: dense weights become sparse ones by magnitude, with the workflow of 2:4 sparsity: order the input
 * channels, prune, check, compress, compare (Mishra et al., arXiv 2104.08378, 2021; Pool and Yu, NeurIPS 2021). */
#include <fnmatch.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/memory.h"
#include "tuner/command.h"
#include "tuner/commands/prune_files.h"
#include "tuner/input/tensors.h"
#include "tuner/options.h"
#include "tuner/progress.h"
#include "tuner/report.h"

static const char usage[] =
    "usage: sparsetune prune WEIGHTS --unstructured S | --nm N:M [--permute] | --vnm V:N:M |\n"
    "                        --block RxC@S | --vector V@S -o FILE\n\n"
    "Zeroes the weights of least magnitude; nothing is trained. WEIGHTS and FILE are .npy or .safetensors; of a model\n"
    "every 2-D and 4-D tensor of f16, bf16, f32 or f64 is pruned, and the others are copied. Convolutions\n"
    "[cout, cin, kh, kw] are pruned as [cout, kh*kw*cin]. N:M and V:N:M are compressed, and what decompresses must be\n"
    "equal. NaN and Inf are refused. Among equals the first ones stay under N:M and go under the other rules.\n\n"
    "options:\n"
    "  --unstructured S      the share S of all weights goes\n"
    "  --nm N:M              of every M in a row N stay, such as 2:4\n"
    "  --permute             first order the input channels so that N:M keeps more; the order is written beside the\n"
    "                        weights: NAME.permutation in a .safetensors, else FILE.permutation.npy; column i of the\n"
    "                        result is column order[i] of the input; an order that is\n"
    "                        there already and no longer holds is removed\n"
    "  --vnm V:N:M           of every V rows and M columns four columns stay, of which a row keeps N, such as 64:2:8\n"
    "  --block RxC@S         the share S of all blocks of R x C goes\n"
    "  --vector V@S          the share S of all column vectors of V x 1 goes\n"
    "  --tensor GLOB         prune the tensors of a .safetensors with such names only (all)\n"
    "  --compressed FILE     write NAME.values, .metadata and .shape of N:M or V:N:M there, too (.safetensors)\n"
    "  --time T              limit of the search of --permute per tensor (9s; without a unit in seconds)\n"
    "  --seed S              of that search (0)\n"
    "  -o FILE               file to write; a link is written through\n"
    "  --json                one JSON object per tensor on standard output\n"
    "\nexit codes: 0 ok, 2 usage, 3 failure; all files are written, or none\n";

typedef struct prune_command {
    const char *input, *tensor;
    const char *rule_text, *rule_name;
    spt_prune_options options;
    spt_prune_files files;
    bool json;
    int64_t n_pruned, n_left_out; /* left out: of a model that goes to a .npy */
    char left_out[200];           /* the first of those */
} prune_command;

static bool is_array(const char *path) {
    const size_t length = strlen(path);
    return length > 4 && strcmp(path + length - 4, ".npy") == 0;
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

static spt_status check_paths(prune_command *self, int n_arguments) {
    const char *output = self->files.output, *compressed = self->files.compressed;
    if (n_arguments != 1)
        return spt_usage_fail("expected one file of weights, found %d", n_arguments);
    if (output == NULL)
        return spt_usage_fail("expected -o with a file to write");
    if (!spt_prune_is_model(self->input) && !is_array(self->input))
        return spt_usage_fail("expected weights in a .npy or .safetensors file, found '%s'", self->input);
    if (!spt_prune_is_model(output) && !is_array(output))
        return spt_usage_fail("expected -o with a .npy or .safetensors file, found '%s'", output);
    if (self->tensor != NULL && !spt_prune_is_model(self->input))
        return spt_usage_fail("expected --tensor with a .safetensors file, whose tensors have names, found '%s'",
                              self->input);
    if (self->options.rule.nm.of == 0 && self->options.has_permute)
        return spt_usage_fail("expected --permute with --nm, found --%s", self->rule_name);
    if (compressed != NULL && spt_prune_compressed_of(&self->options.rule, 1, 1).values_per_row == 0)
        return spt_usage_fail("expected --compressed with --nm or --vnm, found --%s", self->rule_name);
    if (compressed != NULL && !spt_prune_is_model(compressed))
        return spt_usage_fail("expected --compressed with a .safetensors file, found '%s'", compressed);
    return spt_prune_files_check(&self->files, self->input);
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
        {"--compressed", SPT_OPTION_TEXT, &self->files.compressed},
        {"--time", SPT_OPTION_DURATION, &self->options.seconds},
        {"--seed", SPT_OPTION_SEED, &self->options.seed},
        {"-o", SPT_OPTION_TEXT, &self->files.output},
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
            "{so so ss sI sI sI sf sf sf sf sb sI sI sb sf}", "tensor", spt_json_name(name), "file",
            spt_json_name(self->files.output), "rule", self->rule_text, "m", (json_int_t)layer->n_rows, "k",
            (json_int_t)n_cols, "nnz", (json_int_t)layer->nnz, "sparsity", sparsity, "magnitude_kept",
            share(layer->magnitude_kept, layer->magnitude), "magnitude_kept_unpermuted",
            share(layer->magnitude_kept_unpermuted, layer->magnitude), "magnitude_kept_greedy",
            share(self->options.has_permute ? search->magnitude_greedy : layer->magnitude_kept, layer->magnitude),
            "order_fixed", (int)layer->is_order_fixed, "swaps", (json_int_t)search->n_swaps, "escapes",
            (json_int_t)search->n_escapes, "ended_by_time", (int)search->ended_by_time, "seconds", search->seconds));
    printf("%s: %" PRId64 " x %" PRId64 ", %.1f %% zeros, %.2f %% of the magnitude kept", name, layer->n_rows, n_cols,
           100.0 * sparsity, 100.0 * share(layer->magnitude_kept, layer->magnitude));
    if (layer->is_order_fixed)
        printf(" (in the file's order: groups of %d run across its %" PRId64 " channels)", self->options.rule.nm.of,
               layer->n_channels);
    else if (self->options.has_permute)
        printf(" (%.2f %% in the file's order; %" PRId64 " swaps in %.1f s%s)",
               100.0 * share(layer->magnitude_kept_unpermuted, layer->magnitude), search->n_swaps, search->seconds,
               search->ended_by_time ? ", ended by --time" : "");
    printf("%s\n", layer->values != NULL ? ", compressed and compared" : "");
    return SPT_OK;
}

/* A layer that is no larger than a block is one block, which goes or stays as a whole: said where it went. */
static void warn_of_one_block(const prune_command *self, const char *place, const spt_pruned_layer *layer) {
    const spt_prune_rule *rule = &self->options.rule;
    const int64_t n_cols = layer->n_taps * layer->n_channels;
    if (layer->magnitude > 0.0 && layer->nnz == 0 && rule->rows >= layer->n_rows && rule->cols >= n_cols)
        spt_say("%s: all of it is zero now: one block of %" PRId64 " x %" PRId64 " covers its %" PRId64 " x %" PRId64
                " weights",
                place, rule->rows, rule->cols, layer->n_rows, n_cols);
}

/* Prune one tensor and write all that comes of it. */
static spt_status prune_one(prune_command *self, const char *name, const char *place, const spt_weights *weights) {
    spt_pruned_layer layer;
    SPT_TRY(spt_prune_layer(&layer, weights, place, &self->options));
    warn_of_one_block(self, place, &layer);
    spt_status status = spt_prune_files_add(&self->files, weights, &layer);
    if (status == SPT_OK)
        status = report(self, name, &layer);
    spt_pruned_layer_fini(&layer);
    return status;
}

/* ---- the two kinds of input ---- */

static json_t *shape_of(const spt_weights *weights) {
    json_t *array = json_array();
    for (int i = 0; i < weights->n_dims; i++)
        json_array_append_new(array, json_integer(weights->shape[i]));
    return array;
}

static spt_status prune_array(prune_command *self) {
    char *data;
    size_t size;
    spt_weights weights;
    SPT_TRY(spt_file_read(&data, &size, self->input, SPT_INPUT_BYTES_MAX));
    spt_status status = spt_npy_read(&weights, self->input, data, size);
    spt_free(data);
    SPT_TRY(status);
    json_t *shape = shape_of(&weights);
    status = spt_prune_files_declare(&self->files, "weight", weights.dtype, shape, weights.count * weights.item_bytes);
    json_decref(shape);
    if (status == SPT_OK)
        status = spt_prune_files_declare_pruned(&self->files, "weight", weights.dtype, weights.item_bytes,
                                                weights.shape, weights.n_dims);
    if (status == SPT_OK)
        status = spt_prune_files_begin(&self->files);
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
    json_t *entry, *metadata = json_object_get(file->header, SPT_TENSORS_METADATA);
    if (metadata != NULL && self->files.model.header != NULL)
        SPT_TRY(spt_tensor_writer_set_metadata(&self->files.model, metadata));
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
        SPT_TRY(spt_prune_files_declare(&self->files, name, json_string_value(json_object_get(entry, "dtype")),
                                        json_object_get(entry, "shape"), bytes));
        if (chosen == SPT_OK) {
            SPT_TRY(spt_prune_files_declare_pruned(&self->files, name, t.dtype, t.item_bytes, t.shape, t.n_dims));
            self->n_pruned++;
        } else if (self->files.model.header == NULL && self->n_left_out++ == 0) {
            snprintf(self->left_out, sizeof self->left_out, "%.199s", name);
        }
    }
    if (self->n_pruned == 0)
        return spt_fail(SPT_EINVAL, "%s: expected a 2-D or 4-D tensor of f16, bf16, f32 or f64%s%s, found none",
                        self->input, self->tensor != NULL ? " with a name like " : "",
                        self->tensor != NULL ? self->tensor : "");
    if (self->files.model.header == NULL && self->n_pruned > 1)
        return spt_fail(SPT_EINVAL,
                        "%s: expected -o with a .safetensors file for %" PRId64
                        " tensors, or --tensor with the name of one",
                        self->input, self->n_pruned);
    return spt_prune_files_begin(&self->files);
}

static spt_status copy_tensor(prune_command *self, const spt_tensor_file *file, json_t *entry) {
    enum { CHUNK = 1 << 20 };
    json_t *offsets = json_object_get(entry, "data_offsets");
    int64_t at = json_integer_value(json_array_get(offsets, 0));
    const int64_t end = json_integer_value(json_array_get(offsets, 1));
    char *chunk;
    spt_status status = SPT_OK;
    SPT_TRY(SPT_NEW(chunk, CHUNK));
    for (; at < end && status == SPT_OK; at += CHUNK) {
        const size_t size = (size_t)(end - at < CHUNK ? end - at : CHUNK);
        status = spt_tensors_read_at(file, chunk, size, file->data_begin + at);
        if (status == SPT_OK)
            status = spt_prune_files_copy(&self->files, chunk, size);
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
    spt_status status = SPT_OK;
    self.files.options = &self.options;
    SPT_TRY(parse(&self, argc, argv));
    json_t *rule = json_pack("{ss}", self.rule_name, self.rule_text);
    SPT_TRY_TO(done, spt_prune_files_open(&self.files, rule));
    SPT_TRY_TO(done, spt_prune_is_model(self.input) ? prune_model(&self) : prune_array(&self));
    SPT_TRY_TO(done, spt_prune_files_commit(&self.files));
    if (self.n_left_out > 0)
        spt_say("%s: holds one tensor; %" PRId64 " more of %s are left out, the first '%s'", self.files.output,
                self.n_left_out, self.input, self.left_out);
    if (self.files.has_stale_order)
        spt_say("%s: removed; it was the order of the weights that were in %s before", self.files.order_path,
                self.files.output);
done:
    json_decref(rule);
    spt_prune_files_discard(&self.files);
    return status;
}

const spt_command spt_command_prune = {
    .name = "prune",
    .summary = "zero the weights of least magnitude: alone, N:M, in blocks or vectors",
    .usage = usage,
    .run = run,
};
