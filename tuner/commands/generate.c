/* SPDX-License-Identifier: Apache-2.0 */
/* `sparsetune generate`: patterns from a seed, one or a whole model's. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/file.h"
#include "core/text.h"
#include "tuner/command.h"
#include "tuner/input/loaders.h"
#include "tuner/input/models.h"
#include "tuner/options.h"
#include "tuner/report.h"

static const char usage[] =
    "usage: sparsetune generate --uniform MxK@S | SPEC | --model NAME [--seed S] -o FILE|DIR [--json]\n\n"
    "Writes a pattern as .smtx, or the patterns of a model and a suite.json into a folder; with -o FILE.json a "
    "model's\n"
    "suite alone, whose patterns are then made when they are tuned.\n"
    "SPEC: uniform:MxK@S, skew:MxK@S (rows of uneven length), nm:MxK@2:4, block:MxK@RxC@S; S is the share of zeros\n"
    "NAME: resnet50, mobilenetv1, transformer_base, bert_base\n\n"
    "options:\n"
    "  --seed S    of the random positions (0)\n"
    "  -o PATH     file or folder to write\n"
    "  --json      one JSON object per written file on standard output\n"
    "\nexit codes: 0 ok, 2 usage, 3 failure; a file is written whole or not at all\n";

typedef struct generate_options {
    const char *uniform, *model, *output;
    uint64_t seed;
    bool json;
} generate_options;

static void write_numbers(FILE *stream, const spt_csr *a) {
    const int64_t nnz = spt_csr_nnz(a);
    fprintf(stream, "%" PRId64 ", %" PRId64 ", %" PRId64 "\n", a->n_rows, a->n_cols, nnz);
    for (int64_t row = 0; row <= a->n_rows; row++)
        fprintf(stream, "%" PRId64 "%c", a->row_offsets[row], row == a->n_rows ? '\n' : ' ');
    for (int64_t nz = 0; nz < nnz; nz++)
        fprintf(stream, "%" PRId32 "%c", a->columns[nz], nz == nnz - 1 ? '\n' : ' ');
}

/* Loaders take values from NAME.f32 beside NAME.smtx: what lies there belongs to another pattern. */
static spt_status check_name(const char *path) {
    char values_path[4096];
    const size_t length = strlen(path), suffix = strlen(".smtx");
    if (length <= suffix || strcmp(path + length - suffix, ".smtx") != 0)
        return spt_usage_fail("expected -o with a name that ends in .smtx, found '%s'", path);
    const int stem = (int)(length - suffix);
    if (snprintf(values_path, sizeof values_path, "%.*s.f32", stem, path) >= (int)sizeof values_path)
        return spt_fail(SPT_EINVAL, "%.60s...: expected a path of at most %zu bytes", path, sizeof values_path);
    if (access(values_path, F_OK) == 0)
        return spt_fail(SPT_EINVAL,
                        "%s would be read as the values of the new pattern; remove it or choose another name",
                        values_path);
    return SPT_OK;
}

static spt_status write_pattern(const char *path, const char *spec, const generate_options *options) {
    spt_matrix matrix;
    spt_file_writer writer;
    SPT_TRY(check_name(path));
    SPT_TRY(spt_generate(&matrix, spec, options->seed));
    const int64_t m = matrix.view.n_rows, k = matrix.view.n_cols, nnz = spt_csr_nnz(&matrix.view);
    spt_status status = spt_file_writer_open(&writer, path);
    if (status == SPT_OK) {
        write_numbers(writer.stream, &matrix.view);
        status = spt_file_writer_commit(&writer);
    }
    spt_matrix_fini(&matrix);
    SPT_TRY(status);
    const double sparsity = 1.0 - (double)nnz / ((double)m * (double)k);
    if (options->json)
        return spt_json_print(json_pack("{so sI sI sI sf}", "file", spt_json_name(path), "m", (json_int_t)m, "k",
                                        (json_int_t)k, "nnz", (json_int_t)nnz, "sparsity", sparsity));
    printf("%s: %" PRId64 " x %" PRId64 ", %" PRId64 " nonzeros, %.1f %% zeros\n", path, m, k, nnz, 100.0 * sparsity);
    return SPT_OK;
}

static void spec_of(char *out, size_t capacity, const spt_model_layer *layer) {
    snprintf(out, capacity, "skew:%dx%d@%g", layer->m, layer->k, layer->sparsity);
}

/* Write a suite whose patterns are specs, or files beside it. */
static spt_status write_suite(const char *path, const spt_model *model, bool has_files, bool json) {
    spt_file_writer writer;
    SPT_TRY(spt_file_writer_open(&writer, path));
    fprintf(writer.stream, "{\"name\": \"%s\", \"layers\": [\n", model->title);
    for (int i = 0; i < model->n_layers; i++) {
        const spt_model_layer *layer = &model->layers[i];
        char pattern[128];
        spec_of(pattern, sizeof pattern, layer);
        if (has_files)
            snprintf(pattern, sizeof pattern, "%s.smtx", layer->name);
        fprintf(writer.stream,
                "  {\"name\": \"%s\", \"pattern\": \"%s\", \"n\": %d, \"layout\": \"%s\", \"epilogue\": \"%s\", "
                "\"count\": %d}%s\n",
                layer->name, pattern, layer->n, spt_layout_name(model->layout), spt_epilogue_name(layer->epilogue),
                layer->count, i + 1 < model->n_layers ? "," : "");
    }
    fprintf(writer.stream, "]}\n");
    SPT_TRY(spt_file_writer_commit(&writer));
    if (json)
        return spt_json_print(
            json_pack("{so ss si}", "file", spt_json_name(path), "model", model->title, "layers", model->n_layers));
    printf("%s: %d layers of %s\n", path, model->n_layers, model->title);
    return SPT_OK;
}

static spt_status write_model(const spt_model *model, const generate_options *options) {
    const size_t length = strlen(options->output);
    if (length > 5 && strcmp(options->output + length - 5, ".json") == 0)
        return write_suite(options->output, model, false, options->json);
    struct stat info;
    if (mkdir(options->output, 0777) != 0 && errno != EEXIST)
        return spt_fail(SPT_EIO, "%s: cannot be made a folder: %s", options->output, strerror(errno));
    if (stat(options->output, &info) != 0 || !S_ISDIR(info.st_mode))
        return spt_fail(SPT_EINVAL, "%s: expected a folder or a new name, found a file", options->output);
    char path[4096], spec[128];
    for (int i = 0; i < model->n_layers; i++) {
        spec_of(spec, sizeof spec, &model->layers[i]);
        snprintf(path, sizeof path, "%s/%s.smtx", options->output, model->layers[i].name);
        SPT_TRY(write_pattern(path, spec, options));
    }
    snprintf(path, sizeof path, "%s/suite.json", options->output);
    return write_suite(path, model, true, options->json);
}

static spt_status run(int argc, char **argv, int *exit_code) {
    (void)exit_code;
    generate_options options = {0};
    int n_arguments;
    const spt_option rows[] = {
        {"--uniform", SPT_OPTION_TEXT, &options.uniform}, {"--model", SPT_OPTION_TEXT, &options.model},
        {"--seed", SPT_OPTION_SEED, &options.seed},       {"-o", SPT_OPTION_TEXT, &options.output},
        {"--json", SPT_OPTION_FLAG, &options.json},
    };
    SPT_TRY(spt_options_parse(&n_arguments, argc, argv, rows, (int)(sizeof rows / sizeof rows[0]), NULL));
    if ((options.uniform != NULL) + (options.model != NULL) + n_arguments != 1)
        return spt_usage_fail("expected one of --uniform MxK@S, a generator SPEC and --model NAME");
    if (options.output == NULL)
        return spt_usage_fail("expected -o with a file or folder to write");
    if (options.model != NULL) {
        const spt_model *model = spt_model_find(options.model);
        if (model == NULL)
            return spt_usage_fail("--model: expected %s, found '%s'", spt_model_names(), options.model);
        return write_model(model, &options);
    }
    char spec[160];
    snprintf(spec, sizeof spec, "%s%s", options.uniform != NULL ? "uniform:" : "",
             options.uniform != NULL ? options.uniform : argv[1]);
    SPT_TRY(spt_options_generator(spec));
    return write_pattern(options.output, spec, &options);
}

const spt_command spt_command_generate = {
    .name = "generate",
    .summary = "make patterns from a seed: one, or all of a model",
    .usage = usage,
    .run = run,
};
