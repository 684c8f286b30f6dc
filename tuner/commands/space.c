/* SPDX-License-Identifier: Apache-2.0 */
/* `sparsetune space`: the families, their axes, and how many points of each are valid for one problem here. */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "core/text.h"
#include "tuner/command.h"
#include "tuner/options.h"
#include "tuner/report.h"
#include "variants/family.h"

#define DEFAULT_PATTERN "uniform:512x512@0.9"
#define DEFAULT_WIDTH 128

static const char usage[] =
    "usage: sparsetune space [FAMILY...] [options]\n\n"
    "Lists the kernel families with their axes and values, and counts the points that are valid on this machine for\n"
    "one problem: 512x512 with 90 % zeros and n=128, or what the options say. A family whose library is absent, or\n"
    "that does not serve the problem, is listed with the reason.\n\n"
    "options:\n"
    "  --pattern PATTERN   file or generator to count for (uniform:512x512@0.9)\n\n" SPT_PROBLEM_OPTIONS_USAGE
    "\nexit codes: 0 ok, 2 usage, 3 failure\n";

/* One family as it stands here. */
typedef struct family_facts {
    const spt_family *family;
    spt_family_space space;
    bool available;
    char why[256]; /* when it is not available */
    char default_point[SPT_POINT_TEXT_MAX];
    int64_t points_valid, points_all;
} family_facts;

static spt_status gather(family_facts *out, const spt_family *family, const spt_workload *workload,
                         const spt_device *device) {
    *out = (family_facts){.family = family};
    spt_family_space_init(&out->space, family, workload, device);
    out->points_all = spt_space_size(&out->space.space);
    out->available = spt_family_check(family, workload, device) == SPT_OK;
    if (!out->available)
        spt_copy_text(out->why, sizeof out->why, spt_last_error());
    const bool is_pretended = device->kind == SPT_CUDA && device->driver_version == 0;
    if (!out->available && !is_pretended) /* a chip that is not here can be counted for all the same */
        return SPT_OK;
    spt_point point = {0};
    family->default_point(workload, device, &point);
    out->points_valid = spt_space_count_valid(&out->space.space);
    return spt_point_text(out->default_point, family->axes, family->n_axes, &point);
}

static spt_dtype first_dtype(const spt_family *family) {
    int dtype = SPT_F32;
    while ((family->dtypes & SPT_DTYPE_BIT(dtype)) == 0)
        dtype++;
    return (spt_dtype)dtype;
}

static void list_dtypes(char *out, size_t capacity, const spt_family *family) {
    spt_text text;
    spt_text_init(&text, out, capacity);
    for (int dtype = SPT_F32; dtype < SPT_DTYPE_COUNT; dtype++)
        if ((family->dtypes & SPT_DTYPE_BIT(dtype)) != 0)
            spt_text_add(&text, "%s%s", text.length > 0 ? "," : "", spt_dtype_name((spt_dtype)dtype));
}

static void value_text(char *out, size_t capacity, const spt_axis_value *value) {
    if (value->name != NULL)
        spt_copy_text(out, capacity, value->name);
    else
        snprintf(out, capacity, "%" PRId32, value->value);
}

/* ---- for programs ---- */

static json_t *axes_json(const spt_family *family) {
    json_t *axes = json_array();
    for (int i = 0; i < family->n_axes; i++) {
        const spt_axis *axis = &family->axes[i];
        json_t *values = json_array();
        for (int j = 0; j < axis->n_values; j++) {
            char text[64];
            value_text(text, sizeof text, &axis->values[j]);
            json_array_append_new(values, axis->values[j].name != NULL ? json_string(text)
                                                                       : json_integer(axis->values[j].value));
        }
        json_array_append_new(
            axes, json_pack("{s:s, s:o, s:s}", "name", axis->name, "values", values, "summary", axis->summary));
    }
    return axes;
}

static spt_status print_json(const family_facts *facts) {
    const spt_family *family = facts->family;
    char dtypes[64];
    list_dtypes(dtypes, sizeof dtypes, family);
    return spt_json_print(json_pack(
        "{s:s, s:s, s:s, s:s, s:o, s:I, s:I, s:s, s:s, s:i, s:b, s:b, s:b, s:s}", "family", family->name, "op",
        spt_op_name(family->op), "dtype", dtypes, "device", spt_device_kind_name(family->device), "axes",
        axes_json(family), "points_valid", (json_int_t)facts->points_valid, "points_all", (json_int_t)facts->points_all,
        "summary", family->summary, "default_point", facts->default_point, "revision", family->revision, "is_dense",
        family->is_dense, "pads_zeros", family->pads_zeros, "available", facts->available, "why", facts->why));
}

/* ---- for people ---- */

static void print_text(const family_facts *facts) {
    const spt_family *family = facts->family;
    char dtypes[64];
    list_dtypes(dtypes, sizeof dtypes, family);
    printf("%s (%s, %s, %s)\n  %s\n", family->name, spt_op_name(family->op), dtypes,
           spt_device_kind_name(family->device), family->summary);
    for (int i = 0; i < family->n_axes; i++) {
        const spt_axis *axis = &family->axes[i];
        printf("  %s =", axis->name);
        for (int j = 0; j < axis->n_values; j++) {
            char text[64];
            value_text(text, sizeof text, &axis->values[j]);
            printf(" %s", text);
        }
        printf("  (%s)\n", axis->summary);
    }
    if (facts->points_valid > 0)
        printf("  %" PRId64 " of %" PRId64 " points valid%s%s, default %s\n", facts->points_valid, facts->points_all,
               facts->available ? "" : " on ", facts->available ? "" : facts->space.device->name, facts->default_point);
    if (!facts->available)
        printf("  not available: %s\n", facts->why);
    printf("\n");
}

/* ---- the command ---- */

static bool is_wanted(const spt_family *family, char **names, int n_names) {
    for (int i = 0; i < n_names; i++)
        if (strcmp(names[i], family->name) == 0)
            return true;
    return n_names == 0;
}

#define PRETENDED_ARCH "sm_90"

/* The device that families of a kind are asked about: the one of the command line where that is it, otherwise what is
 * here, otherwise a chip that many have. */
static spt_status device_for(spt_device *out, spt_device_kind kind, const char *name) {
    const bool is_cuda = strcmp(name, "cpu") != 0;
    if (kind == SPT_CPU)
        return spt_device_detect(out);
    if (is_cuda)
        return spt_device_find(out, name);
    return spt_device_find(out, "cuda:0") == SPT_OK ? SPT_OK : spt_device_pretend(out, PRETENDED_ARCH);
}

/* The workload to count for: each family is asked about its own operation, kind of device and one of its types. */
static spt_status print_families(const spt_problem_options *options, const spt_layer *layer, const spt_csr *a,
                                 char **names, int n_names) {
    spt_device devices[2];
    SPT_TRY(device_for(&devices[SPT_CPU], SPT_CPU, options->device));
    SPT_TRY(device_for(&devices[SPT_CUDA], SPT_CUDA, options->device));
    const int64_t n = options->n_widths > 0 ? options->widths[0] : layer->n > 0 ? layer->n : DEFAULT_WIDTH;
    const spt_problem problem = spt_options_problem(options, layer, n);
    spt_workload workload;
    SPT_TRY(spt_options_any_workload(&workload, &problem, a));
    const spt_problem asked = workload.problem;
    for (int i = 0; i < spt_family_count(); i++) {
        const spt_family *family = spt_family_at(i);
        if (!is_wanted(family, names, n_names) || (options->has_op && family->op != options->op))
            continue;
        spt_options_for_op(&workload.problem, &asked, family->op);
        workload.problem.dtype = options->has_dtype ? options->dtype : first_dtype(family);
        family_facts facts;
        SPT_TRY(gather(&facts, family, &workload, &devices[family->device]));
        if (options->json)
            SPT_TRY(print_json(&facts));
        else
            print_text(&facts);
    }
    return SPT_OK;
}

static spt_status check_names(char **names, int n_names) {
    for (int i = 0; i < n_names; i++)
        if (spt_family_find(names[i]) == NULL)
            return spt_usage_fail("unknown family '%s'; `sparsetune space` lists them", names[i]);
    return SPT_OK;
}

static spt_status run(int argc, char **argv, int *exit_code) {
    (void)exit_code;
    spt_problem_options options;
    const spt_input_options input = {0};
    const char *pattern = DEFAULT_PATTERN;
    int n_names = 0;
    const spt_option rows[] = {{"--pattern", SPT_OPTION_TEXT, &pattern}};
    SPT_TRY(spt_options_parse(&n_names, argc, argv, rows, 1, &options));
    SPT_TRY(check_names(argv + 1, n_names));
    spt_layer_list layers = {0};
    spt_matrix matrix = {0};
    spt_status status;
    SPT_TRY_TO(done, spt_options_pattern(&layers, pattern, &input));
    SPT_TRY_TO(done, spt_layer_load(&matrix, &layers.items[0], &input));
    SPT_TRY_TO(done, print_families(&options, &layers.items[0], &matrix.view, argv + 1, n_names));
done:
    spt_matrix_fini(&matrix);
    spt_layer_list_fini(&layers);
    return status;
}

const spt_command spt_command_space = {
    .name = "space",
    .summary = "list kernel families, their axes and their valid points",
    .usage = usage,
    .run = run,
};
