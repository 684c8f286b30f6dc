/* SPDX-License-Identifier: Apache-2.0 */
/* Options of the command line; see options.h. */
#include "tuner/options.h"

#include <inttypes.h>
#include <string.h>

#include "core/conv.h"
#include "core/text.h"
#include "db/db.h"
#include "search/search.h"
#include "tuner/input/loaders.h"

static bool usage_failed;

void spt_usage_mark(void) {
    usage_failed = true;
}

bool spt_usage_failed(void) {
    return usage_failed;
}

/* ---- values ---- */

static spt_status parse_duration(double *seconds, const char *text) {
    static const struct {
        char suffix;
        double seconds;
    } units[] = {{'s', 1.0}, {'m', 60.0}, {'h', 3600.0}};
    char number[64];
    spt_copy_text(number, sizeof number, text);
    size_t length = strlen(number);
    double scale = 1.0;
    for (size_t i = 0; length > 0 && i < sizeof units / sizeof units[0]; i++)
        if (number[length - 1] == units[i].suffix) {
            scale = units[i].seconds;
            number[length - 1] = '\0';
            break;
        }
    double value = 0.0;
    if (spt_parse_f64(&value, number, 0.0, 1e9, "time") != SPT_OK || value == 0.0)
        return spt_fail(SPT_EINVAL, "expected a time above zero such as 90s, 15m or 2h, found '%s'", text);
    *seconds = value * scale;
    return SPT_OK;
}

static spt_status parse_value(const spt_option *row, const char *value) {
    int64_t number = 0;
    switch (row->kind) {
    case SPT_OPTION_TEXT:
        if (*value == '\0')
            return spt_fail(SPT_EINVAL, "expected a value for %s, found an empty one", row->name);
        *(const char **)row->out = value;
        return SPT_OK;
    case SPT_OPTION_COUNT:
        return spt_parse_i64(row->out, value, 1, INT64_MAX, row->name);
    case SPT_OPTION_SEED:
        SPT_TRY(spt_parse_i64(&number, value, 0, INT64_MAX, row->name));
        *(uint64_t *)row->out = (uint64_t)number;
        return SPT_OK;
    case SPT_OPTION_SHARE:
        return spt_parse_f64(row->out, value, 0.0, 1.0, row->name);
    case SPT_OPTION_DURATION:
        return parse_duration(row->out, value);
    default:
        return SPT_OK;
    }
}

/* ---- problem options: the same shape as a command's own, with the parser as a function ---- */

static spt_status set_op(spt_problem_options *out, const char *value) {
    out->has_op = true;
    return spt_op_parse(&out->op, value);
}

static spt_status set_dtype(spt_problem_options *out, const char *value) {
    out->has_dtype = true;
    return spt_dtype_parse(&out->dtype, value);
}

static spt_status set_layout(spt_problem_options *out, const char *value) {
    out->has_layout = true;
    return spt_layout_parse(&out->layout, value);
}

static spt_status set_epilogue(spt_problem_options *out, const char *value) {
    out->has_epilogue = true;
    return spt_epilogue_parse(&out->epilogue, value);
}

static spt_status set_image(spt_problem_options *out, const char *value) {
    return spt_image_parse(&out->height, &out->width, &out->stride, value);
}

static spt_status set_cache(spt_problem_options *out, const char *value) {
    return spt_cache_parse(&out->cache, value);
}

static spt_status set_device(spt_problem_options *out, const char *value) {
    return spt_device_name(&out->device, value);
}

static spt_status set_threads(spt_problem_options *out, const char *value) {
    int64_t threads = 0;
    SPT_TRY(spt_parse_i64(&threads, value, 1, 4096, "--threads"));
    out->threads = (int)threads;
    return SPT_OK;
}

static spt_status set_db(spt_problem_options *out, const char *value) {
    out->db_path = value;
    return *value != '\0' ? SPT_OK : spt_fail(SPT_EINVAL, "expected a file for --db, found an empty name");
}

static bool has_width(const spt_problem_options *options, int64_t n) {
    for (int i = 0; i < options->n_widths; i++)
        if (options->widths[i] == n)
            return true;
    return false;
}

/* A range such as 1:512: buckets that end at powers of two and at the range's own end, as 1, 2, 4, ..., 512. */
static spt_status set_range(spt_problem_options *out, const char *value, size_t low_length) {
    char low[32];
    int64_t first = 0, last = 0;
    spt_copy_text(low, low_length < sizeof low ? low_length + 1 : sizeof low, value);
    SPT_TRY(spt_parse_i64(&first, low, 1, SPT_DIM_MAX, "--n"));
    SPT_TRY(spt_parse_i64(&last, value + low_length + 1, first, SPT_DIM_MAX, "the end of --n"));
    out->n_widths = 0;
    out->is_range = true;
    for (int64_t end = 1; out->n_widths == 0 || out->widths[out->n_widths - 1] < last; end *= 2) {
        if (end < first)
            continue;
        if (out->n_widths == SPT_WIDTHS_MAX)
            return spt_fail(SPT_EINVAL, "expected a range of at most %d buckets in --n, found more", SPT_WIDTHS_MAX);
        out->widths[out->n_widths++] = end < last ? end : last;
    }
    return SPT_OK;
}

/* A list such as 128,256, or a range; a width that is named twice counts once. */
static spt_status set_widths(spt_problem_options *out, const char *value) {
    if (strchr(value, ':') != NULL)
        return set_range(out, value, strcspn(value, ":"));
    out->is_range = false;
    out->n_widths = 0;
    for (const char *at = value;; at++) {
        size_t length = strcspn(at, ",");
        char item[32];
        spt_copy_text(item, length < sizeof item ? length + 1 : sizeof item, at);
        int64_t n = 0;
        SPT_TRY(spt_parse_i64(&n, item, 1, SPT_DIM_MAX, "--n"));
        if (out->n_widths == SPT_WIDTHS_MAX)
            return spt_fail(SPT_EINVAL, "expected at most %d widths in --n, found more", SPT_WIDTHS_MAX);
        if (!has_width(out, n))
            out->widths[out->n_widths++] = n;
        at += length;
        if (*at == '\0')
            return SPT_OK;
    }
}

static const struct {
    const char *name;
    spt_status (*set)(spt_problem_options *out, const char *value);
} problem_rows[] = {
    {"--op", set_op},           {"--n", set_widths},          {"--dtype", set_dtype},
    {"--layout", set_layout},   {"--epilogue", set_epilogue}, {"--device", set_device},
    {"--threads", set_threads}, {"--cache", set_cache},       {"--db", set_db},
    {"--image", set_image},
};

/* ---- the parser ---- */

/* One option as it stands in argv: `--name=value` split, or `--name` with the next argument at hand. */
typedef struct word {
    char name[64];
    const char *attached; /* after '=', or NULL */
    char **argv;
    int argc;
    int *at; /* index of the option; moves when the next argument is taken as its value */
} word;

static spt_status take_value(const char **value, word *option) {
    if (option->attached != NULL)
        *value = option->attached;
    else if (*option->at + 1 < option->argc)
        *value = option->argv[++*option->at];
    else
        return spt_fail(SPT_EINVAL, "expected a value after %s, found the end", option->name);
    return SPT_OK;
}

static spt_status parse_own(bool *found, word *option, const spt_option *rows, int n_rows) {
    for (int i = 0; i < n_rows; i++) {
        if (strcmp(rows[i].name, option->name) != 0)
            continue;
        *found = true;
        if (rows[i].kind == SPT_OPTION_LATER)
            return spt_fail(SPT_EINVAL, "%s is not in this version", rows[i].name);
        if (rows[i].kind != SPT_OPTION_FLAG) {
            const char *value = NULL;
            SPT_TRY(take_value(&value, option));
            return parse_value(&rows[i], value);
        }
        *(bool *)rows[i].out = true;
        return option->attached == NULL ? SPT_OK : spt_fail(SPT_EINVAL, "%s takes no value", option->name);
    }
    return SPT_OK;
}

static spt_status parse_problem(bool *found, word *option, spt_problem_options *problem) {
    if (strcmp(option->name, "--json") == 0) {
        *found = problem->json = true;
        return option->attached == NULL ? SPT_OK : spt_fail(SPT_EINVAL, "%s takes no value", option->name);
    }
    for (size_t i = 0; i < sizeof problem_rows / sizeof problem_rows[0]; i++)
        if (strcmp(problem_rows[i].name, option->name) == 0) {
            *found = true;
            const char *value = NULL;
            SPT_TRY(take_value(&value, option));
            return problem_rows[i].set(problem, value);
        }
    return SPT_OK;
}

static spt_status parse_words(int *n_arguments, int argc, char **argv, const spt_option *rows, int n_rows,
                              spt_problem_options *problem) {
    bool options_end = false;
    for (int at = 1; at < argc; at++) {
        char *text = argv[at];
        if (options_end || text[0] != '-' || text[1] == '\0') {
            argv[++*n_arguments] = text;
            continue;
        }
        if (strcmp(text, "--") == 0) {
            options_end = true;
            continue;
        }
        word option = {.argv = argv, .argc = argc, .at = &at};
        size_t length = strcspn(text, "=");
        spt_copy_text(option.name, length < sizeof option.name ? length + 1 : sizeof option.name, text);
        option.attached = text[length] == '=' ? text + length + 1 : NULL;
        bool found = false;
        SPT_TRY(parse_own(&found, &option, rows, n_rows));
        if (!found && problem != NULL)
            SPT_TRY(parse_problem(&found, &option, problem));
        if (!found)
            return spt_fail(SPT_EINVAL, "unknown option %s of `sparsetune %s`", option.name, argv[0]);
    }
    return SPT_OK;
}

/* What options say of each other. An image gives the width. */
static spt_status check_together(spt_problem_options *problem) {
    if (!spt_op_has_epilogue(problem->op) && problem->epilogue != SPT_EPILOGUE_NONE)
        return spt_usage_fail("expected --epilogue none with --op %s, found %s", spt_op_name(problem->op),
                              spt_epilogue_name(problem->epilogue));
    if (problem->height == 0)
        return SPT_OK;
    if (problem->op != SPT_CONV2D || problem->n_widths > 0)
        return spt_usage_fail("expected --image with --op conv2d and without --n");
    problem->n_widths = 1;
    problem->widths[0] =
        spt_conv_extent(problem->height, problem->stride) * spt_conv_extent(problem->width, problem->stride);
    return SPT_OK;
}

spt_status spt_options_parse(int *n_arguments, int argc, char **argv, const spt_option *rows, int n_rows,
                             spt_problem_options *problem) {
    *n_arguments = 0;
    if (problem != NULL)
        *problem = (spt_problem_options){.device = "cpu"};
    spt_status status = parse_words(n_arguments, argc, argv, rows, n_rows, problem);
    if (status == SPT_EINVAL)
        spt_usage_mark();
    return status == SPT_OK && problem != NULL ? check_together(problem) : status;
}

/* ---- strategies ---- */

spt_status spt_options_strategy(const char *name) {
    char names[256];
    spt_text text;
    const int count = spt_strategy_count();
    if (spt_strategy_find(name) != NULL)
        return SPT_OK;
    spt_text_init(&text, names, sizeof names);
    for (int i = 0; i < count; i++)
        spt_text_add(&text, "%s%s", i == 0 ? "" : i + 1 == count ? " or " : ", ", spt_strategy_at(i)->name);
    return spt_usage_fail("unknown strategy '%s' in --strategy; expected %s", name, names);
}

/* ---- patterns ---- */

spt_status spt_options_generator(const char *spec) {
    const spt_status status = spt_generator_check(spec);
    if (status != SPT_OK)
        spt_usage_mark();
    return status;
}

spt_status spt_options_pattern(spt_layer_list *list, const char *argument, const spt_input_options *options) {
    if (spt_is_generator(argument))
        SPT_TRY(spt_options_generator(argument));
    return spt_layers_add(list, argument, options);
}

/* ---- what a layer and the command line say together ---- */

spt_status spt_options_widths(const int64_t **widths, int *n_widths, const spt_problem_options *options,
                              const spt_layer *layer) {
    bool given = options->n_widths > 0;
    if (!given && layer->n < 1)
        return spt_usage_fail("expected --n with the dense width of '%s', found none there or in a suite", layer->name);
    *widths = given ? options->widths : &layer->n;
    *n_widths = given ? options->n_widths : 1;
    return SPT_OK;
}

static spt_op op_of(const spt_problem_options *options, const spt_layer *layer) {
    return options->has_op || !layer->has_op ? options->op : layer->op;
}

spt_problem spt_options_problem(const spt_problem_options *options, const spt_layer *layer, int64_t n) {
    const spt_op op = op_of(options, layer);
    const bool has_image = options->height > 0, is_conv = op == SPT_CONV2D;
    return (spt_problem){
        .size = sizeof(spt_problem),
        .op = op,
        .dtype = options->dtype,
        .layout = options->has_layout || !layer->has_layout ? options->layout : layer->layout,
        .epilogue = options->has_epilogue || !layer->has_epilogue ? options->epilogue : layer->epilogue,
        .n = n,
        .threads = options->threads > 0 ? options->threads : layer->threads,
        .cache = layer->has_cache ? layer->cache : options->cache,
        .device = options->device,
        .height = !is_conv    ? 0
                  : has_image ? options->height
                              : layer->height,
        .width = !is_conv    ? 0
                 : has_image ? options->width
                             : layer->width,
        .stride = !is_conv    ? 0
                  : has_image ? options->stride
                              : layer->stride,
    };
}

spt_status spt_options_check_layer(const spt_problem_options *options, const spt_layer *layer, const spt_csr *a) {
    if (op_of(options, layer) != SPT_CONV2D || a->n_cols % SPT_CONV_TAPS == 0)
        return SPT_OK;
    return spt_fail(SPT_EINVAL, "%s: expected columns for the 3x3 windows of conv2d, a multiple of %d, found %" PRId64,
                    layer->tensor != NULL ? layer->name : layer->source, SPT_CONV_TAPS, a->n_cols);
}

spt_status spt_options_any_workload(spt_workload *out, const spt_problem *problem, const spt_csr *a) {
    spt_problem plain = *problem;
    plain.op = SPT_SPMM;
    plain.epilogue = SPT_EPILOGUE_NONE;
    plain.height = plain.width = plain.stride = 0;
    SPT_TRY(spt_workload_init(out, &plain, a));
    out->problem.epilogue = problem->epilogue;
    out->problem.height = problem->height;
    out->problem.width = problem->width;
    out->problem.stride = problem->stride;
    return SPT_OK;
}

void spt_options_for_op(spt_problem *out, const spt_problem *asked, spt_op op) {
    *out = *asked;
    out->op = op;
    if (!spt_op_has_epilogue(op))
        out->epilogue = SPT_EPILOGUE_NONE;
    spt_conv_assume(out);
}

spt_status spt_options_db_path(char *out, size_t capacity, const spt_problem_options *options) {
    if (options->db_path == NULL)
        return spt_db_default_path(out, capacity);
    spt_copy_text(out, capacity, options->db_path);
    return SPT_OK;
}
