/* SPDX-License-Identifier: Apache-2.0 */
/* What one run of `sparsetune prune` writes: weights, the order of their channels, the compressed form. All of it
 * appears at the end, or none. */
#ifndef SPT_TUNER_PRUNE_FILES_H
#define SPT_TUNER_PRUNE_FILES_H

#include <stdbool.h>

#include "tuner/prune/layer.h"
#include "tuner/prune/weights_file.h"

typedef struct spt_prune_files {
    const char *output, *compressed; /* .npy or .safetensors; .safetensors, or NULL */
    const spt_prune_options *options;
    char order_path[4096];           /* of a .npy: where its order goes; "" of a model, whose orders are tensors */
    bool has_stale_order;            /* a file is there that belongs to the weights which go */
    spt_tensor_writer model, packed; /* open where output is a model, where compressed is wanted */
    spt_file_writer array, order;    /* of a .npy */
} spt_prune_files;

bool spt_prune_is_model(const char *path);

/* No file is written twice, the input only by -o, and an order that an earlier run left stays beside its weights.
 * Errors: EINVAL, marked as usage. */
spt_status spt_prune_files_check(spt_prune_files *self, const char *input);

/* Errors of all that follow: EIO, ENOMEM, EINVAL. `rule` is what the compressed form says of itself. */
spt_status spt_prune_files_open(spt_prune_files *self, json_t *rule);
/* Announce a tensor of a model, then what comes of it if it is pruned. */
spt_status spt_prune_files_declare(spt_prune_files *self, const char *name, const char *dtype, const json_t *shape,
                                   int64_t size_bytes);
spt_status spt_prune_files_declare_pruned(spt_prune_files *self, const char *name, const char *dtype, int item_bytes,
                                          const int64_t *shape, int n_dims);
spt_status spt_prune_files_begin(spt_prune_files *self); /* after the last declaration */
/* The bytes, in the same order: of a tensor that is copied, in pieces; of a pruned one. */
spt_status spt_prune_files_copy(spt_prune_files *self, const void *data, size_t size_bytes);
spt_status spt_prune_files_add(spt_prune_files *self, const spt_weights *weights, const spt_pruned_layer *layer);
spt_status spt_prune_files_commit(spt_prune_files *self);
void spt_prune_files_discard(spt_prune_files *self); /* also after commit, and when nothing was opened */

#endif
