/* SPDX-License-Identifier: Apache-2.0 */
/* What people hand to the tuner: pattern files, models, suites and generator specs, all as a list of layers.
 * Listing is cheap; a layer's matrix is loaded when its turn comes. */
#ifndef SPT_TUNER_INPUT_H
#define SPT_TUNER_INPUT_H

#include "core/csr.h"
#include "core/types.h"

/* One sparse matrix and what a suite says about it. */
typedef struct spt_layer {
    char *name;    /* for people and JSON: the file's name without folder, or the tensor's name */
    char *source;  /* file path, or a generator spec such as uniform:512x256@0.9 */
    char *tensor;  /* the tensor within a .safetensors file, NULL otherwise */
    int64_t n;     /* dense width, 0 where not said */
    int64_t count; /* how often the model has it, 1 or more */
    bool has_op, has_layout, has_epilogue, has_cache;
    spt_op op;
    spt_layout layout;
    spt_epilogue epilogue;
    spt_cache cache;
    int threads;           /* 0 where not said */
    int64_t height, width; /* of a convolution's input image, 0 where not said */
    int stride;
} spt_layer;

typedef struct spt_layer_list {
    char *title; /* the suite's or model's name, NULL for loose patterns */
    spt_layer *items;
    int64_t count;
} spt_layer_list;

typedef struct spt_input_options {
    double min_sparsity; /* tensors of models below it are skipped with one line on standard error */
    uint64_t seed;       /* of values that a file does not have, and of generators */
} spt_input_options;

/* Append the layers of one PATTERN argument (.smtx .mtx .npy .safetensors or a generator spec).
 * Errors: EIO, EINVAL with file and line or tensor. */
spt_status spt_layers_add(spt_layer_list *list, const char *argument, const spt_input_options *options);
/* Append the layers of a suite file; relative paths are relative to the suite. */
spt_status spt_layers_add_suite(spt_layer_list *list, const char *path, const spt_input_options *options);
/* Told of a line that is passed over; spt_last_error names it and says why. */
typedef void spt_line_refused(void *user);
/* Append the problems that an application recorded (SPARSETUNE_RECORD). A full disk may have cut a line in two: what is
 * not legal is told to `refused` and passed over; NULL: it is an error. Errors: EIO, EINVAL with file and line. */
spt_status spt_layers_add_misses(spt_layer_list *list, const char *path, spt_line_refused *refused, void *user);
void spt_layer_list_fini(spt_layer_list *list);

/* Read "56x56" or "56x56s2": an image, and the stride, which is 1 otherwise. Errors: EINVAL. */
spt_status spt_image_parse(int64_t *height, int64_t *width, int *stride, const char *text);

/* Load a layer's matrix, with real values where the file has them and seeded ones elsewhere. Values are finite.
 * Errors: EIO, EINVAL with file and line, ENOMEM. */
spt_status spt_layer_load(spt_matrix *out, const spt_layer *layer, const spt_input_options *options);

#endif
