/* SPDX-License-Identifier: Apache-2.0 */
/* The loaders, one file each, and what they share. Each parses bytes that are in memory already, so that the same
 * function serves files and fuzzing; `path` is for sentences. No size is trusted before it is compared with the number
 * of bytes that are there. data[size] is readable and 0. */
#ifndef SPT_TUNER_LOADERS_H
#define SPT_TUNER_LOADERS_H

#include "tuner/input/input.h"

#define SPT_INPUT_BYTES_MAX ((size_t)16 << 30)

/* Deep Learning Matrix Collection: "rows, cols, nnz", row offsets, columns; a pattern without values. */
spt_status spt_parse_smtx(spt_matrix *out, const char *path, const char *data, size_t size);
/* Little-endian f32 values of a matrix, one per nonzero. */
spt_status spt_parse_f32_values(spt_matrix *matrix, const char *path, const char *data, size_t size);
/* Matrix Market: coordinate or array; real, integer or pattern; general, symmetric or skew-symmetric. Zeros that are
 * written down are not nonzeros and are dropped. */
spt_status spt_parse_mtx(spt_matrix *out, const char *path, const char *data, size_t size);
/* Dense weights as a file has them, in row-major order. */
#define SPT_WEIGHT_DIMS_MAX 4
typedef struct spt_weights {
    const char *dtype; /* F16, BF16, F32 or F64; a static text */
    int item_bytes;
    int64_t shape[SPT_WEIGHT_DIMS_MAX], count;
    int n_dims;
    void *raw;   /* count elements of item_bytes, little-endian */
    float *data; /* the numbers as f32, of f64 rounded; NULL until spt_weights_widen */
} spt_weights;
/* Allocate `raw` for a checked shape. Errors: ENOMEM. Owns: spt_weights_fini, safe on a zeroed struct. */
spt_status spt_weights_init(spt_weights *out, const char *dtype, const int64_t *shape, int n_dims);
spt_status spt_weights_widen(spt_weights *weights);                    /* make `data`; frees everything on failure */
double spt_weights_element(const spt_weights *weights, int64_t index); /* of raw, exactly */
void spt_weights_fini(spt_weights *weights);
/* Bytes of an element, 0 for a type that no weights have. */
int spt_weights_item_bytes(const char *dtype);

/* NumPy: a dense 2-D or 4-D array of f2, f4 or f8; `raw` alone. Owns: spt_weights_fini. */
spt_status spt_npy_read(spt_weights *out, const char *path, const char *data, size_t size);
/* NumPy: a dense 2-D array, or a 4-D convolution weight [cout, cin, kh, kw]; f2, f4, f8. Zeros are the pattern. */
spt_status spt_parse_npy(spt_matrix *out, const char *path, const char *data, size_t size);

/* Add the weights of a .safetensors file as layers, or load one of them. */
spt_status spt_safetensors_list(spt_layer_list *list, const char *path, const spt_input_options *options);
spt_status spt_safetensors_load(spt_matrix *out, const char *path, const char *tensor);

/* Generator specs: uniform:MxK@S, skew:MxK@S, nm:MxK@2:4, block:MxK@RxC@S, each with an optional :seed=N. */
bool spt_is_generator(const char *text);
spt_status spt_generator_check(const char *spec); /* would spt_generate take it? Cheap. */
spt_status spt_generate(spt_matrix *out, const char *spec, uint64_t seed);

/* Append a layer that copies the texts; tensor may be NULL. */
spt_status spt_layer_list_append(spt_layer_list *list, const char *name, const char *source, const char *tensor);

/* Turn a dense array of f32 (row-major, rows of length k) into a matrix. shape has 2 or 4 extents; 4-D weights
 * [cout, cin, kh, kw] become [cout, kh * kw * cin]. Refuses NaN and Inf. */
spt_status spt_matrix_from_weights(spt_matrix *out, const char *path, const float *data, const int64_t *shape,
                                   int n_dims);

/* Elements of a shape whose product is at most max. Errors: EINVAL. */
spt_status spt_shape_count(int64_t *out, const char *path, const int64_t *shape, int n_dims, int64_t max);

float spt_f32_of_f16(uint16_t bits);
float spt_f32_of_bf16(uint16_t bits);

#endif
