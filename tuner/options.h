/* SPDX-License-Identifier: Apache-2.0 */
/* Options of the command line: a table of rows per command, and the problem options that most commands share.
 * Options may stand before, between and after the other arguments; `--name value` and `--name=value` are one thing;
 * `--` ends the options. Every mistake is a usage error: one sentence, exit code 2. */
#ifndef SPT_TUNER_OPTIONS_H
#define SPT_TUNER_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/key.h"
#include "tuner/input/input.h"

/* Record a mistake of the command line: like spt_fail(SPT_EINVAL, ...), and main exits with 2 and points at --help. */
#define spt_usage_fail(...) (spt_usage_mark(), spt_fail(SPT_EINVAL, __VA_ARGS__))
void spt_usage_mark(void);
bool spt_usage_failed(void);

/* What an option takes, and the type of *out. */
typedef enum spt_option_kind {
    SPT_OPTION_FLAG,     /* nothing; bool becomes true */
    SPT_OPTION_TEXT,     /* const char *, into argv */
    SPT_OPTION_COUNT,    /* int64_t, 1 or more */
    SPT_OPTION_SEED,     /* uint64_t, below 2^63 */
    SPT_OPTION_SHARE,    /* double in [0, 1] */
    SPT_OPTION_DURATION, /* double, seconds above 0: 90, 90s, 15m, 2h */
    SPT_OPTION_LATER     /* an option of a later version: usage error; out is unused */
} spt_option_kind;

typedef struct spt_option {
    const char *name; /* with its dashes: "--seed", "-o" */
    spt_option_kind kind;
    void *out; /* left alone when the option is not given: set the default before */
} spt_option;

#define SPT_WIDTHS_MAX 32

/* --op --n --image --dtype --layout --epilogue --device --threads --cache --db --json */
typedef struct spt_problem_options {
    spt_op op;
    spt_dtype dtype;
    spt_layout layout;
    spt_epilogue epilogue;
    spt_cache cache;
    int threads;         /* 0: as many as this process may use */
    const char *device;  /* "cpu" or "cuda:N" */
    const char *db_path; /* NULL: not given */
    bool json;
    bool has_op, has_dtype, has_layout, has_epilogue; /* given on the command line, so stronger than a suite */
    int n_widths;                                     /* 0: not given */
    int64_t widths[SPT_WIDTHS_MAX];
    int64_t height, width; /* --image; 0: not given */
    int stride;
    bool is_range; /* --n LO:HI: the widths are the upper ends of its buckets */
} spt_problem_options;

/* Text for a command's usage; ends with a newline. */
#define SPT_PROBLEM_OPTIONS_USAGE                                                                                      \
    "problem options:\n"                                                                                               \
    "  --n N[,N...]        dense width: columns of B and C (a suite or generator may say it instead)\n"                \
    "  --n LO:HI           a range, in buckets that end at powers of two\n"                                            \
    "  --op NAME           operation: spmm, sddmm or conv2d (spmm)\n"                                                  \
    "  --image HxW[sS]     conv2d: the input and the stride, such as 56x56s2; gives the width\n"                       \
    "  --dtype f32         element type (f32)\n"                                                                       \
    "  --layout kn|nk      kn: dense rows of length n (kn); nk: dense rows of length k or m\n"                         \
    "  --epilogue E        none, bias, bias_relu or bias_add_relu (none)\n"                                            \
    "  --device D          cpu, or cuda:N for a GPU (cpu)\n"                                                           \
    "  --threads T         threads (all that this process may use)\n"                                                  \
    "  --cache hot|cold    whether operands are in cache (hot)\n"                                                      \
    "  --db FILE           database (SPARSETUNE_DB, else sparsetune/tune.db in the user's data folder)\n"              \
    "  --json              one JSON object per line on standard output\n"

/* Parse a command's arguments. rows: its own options; problem: NULL, or set to defaults and then to what was given.
 * The other arguments end up in argv[1] .. argv[*n_arguments], in their order; argv[0] stays the command's name. */
spt_status spt_options_parse(int *n_arguments, int argc, char **argv, const spt_option *rows, int n_rows,
                             spt_problem_options *problem);

/* Is there a strategy of this name? Errors: a usage error that lists those there are. */
spt_status spt_options_strategy(const char *name);

/* Append the layers of a PATTERN argument: spt_layers_add, but a wrong generator spec is a usage error. */
spt_status spt_options_pattern(spt_layer_list *list, const char *argument, const spt_input_options *options);
/* Check a generator spec of the command line. Errors: usage. */
spt_status spt_options_generator(const char *spec);

/* The widths of one layer: --n where given, else the layer's own. Errors: usage, naming the layer that has none.
 * *widths points into options or layer. */
spt_status spt_options_widths(const int64_t **widths, int *n_widths, const spt_problem_options *options,
                              const spt_layer *layer);

/* The problem of one layer and width; what the command line says is stronger than what the suite says. */
spt_problem spt_options_problem(const spt_problem_options *options, const spt_layer *layer, int64_t n);

/* Can a layer's matrix be what the operation wants? Errors: EINVAL naming the layer's file. */
spt_status spt_options_check_layer(const spt_problem_options *options, const spt_layer *layer, const spt_csr *a);

/* Describe a matrix for commands that ask families of any operation, and then the problem as one operation asks it:
 * with an epilogue where it has one, an image (the one that was given, or an assumed one) where it needs one. */
spt_status spt_options_any_workload(spt_workload *out, const spt_problem *problem, const spt_csr *a);
void spt_options_for_op(spt_problem *out, const spt_problem *asked, spt_op op);

/* The database to use: --db, else the default path. Errors: ENOTFOUND when there is no home. */
spt_status spt_options_db_path(char *out, size_t capacity, const spt_problem_options *options);

#endif
