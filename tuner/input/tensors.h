/* SPDX-License-Identifier: Apache-2.0 */
/* A .safetensors file that is open: its header as JSON, and its tensors one at a time. */
#ifndef SPT_TUNER_TENSORS_H
#define SPT_TUNER_TENSORS_H

#include <jansson.h>

#include "tuner/input/loaders.h"

#define SPT_TENSORS_METADATA "__metadata__" /* the one key of the header that is no tensor */

typedef struct spt_tensor_file {
    const char *path;
    int descriptor;
    int64_t data_begin, data_bytes;
    json_t *header; /* an object; every extent is checked and no byte belongs to two tensors */
} spt_tensor_file;

/* A tensor of weights. */
typedef struct spt_tensor {
    const char *name, *dtype; /* into the header */
    int item_bytes;
    int64_t shape[SPT_WEIGHT_DIMS_MAX], count, begin; /* begin: from data_begin */
    int n_dims;
} spt_tensor;

/* Errors: EIO, EINVAL. Owns: spt_tensors_close. */
spt_status spt_tensors_open(spt_tensor_file *out, const char *path);
void spt_tensors_close(spt_tensor_file *file);
/* Describe one tensor. ENOTFOUND for those that are no weights: other types, other numbers of dimensions, no elements.
 */
spt_status spt_tensors_describe(spt_tensor *out, const spt_tensor_file *file, const char *name, json_t *entry);
/* `raw` alone. Owns: spt_weights_fini. */
spt_status spt_tensors_read(spt_weights *out, const spt_tensor_file *file, const spt_tensor *t);
/* Bytes at an offset of the file. Errors: EIO, EINVAL (the end comes first). */
spt_status spt_tensors_read_at(const spt_tensor_file *file, void *out, size_t size, int64_t offset);

#endif
