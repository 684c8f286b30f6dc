/* SPDX-License-Identifier: Apache-2.0 */
/* Writing weights: .safetensors, whose tensors are declared before their bytes follow in the same order, and .npy;
 * several files at once that belong together. */
#ifndef SPT_TUNER_WEIGHTS_FILE_H
#define SPT_TUNER_WEIGHTS_FILE_H

#include <jansson.h>

#include "core/file.h"

typedef struct spt_tensor_writer {
    spt_file_writer file;
    json_t *header;
    int64_t declared, written; /* bytes of data */
} spt_tensor_writer;

/* Errors: EIO, ENOMEM. Owns: discard, which is also safe on a zeroed struct. */
spt_status spt_tensor_writer_open(spt_tensor_writer *out, const char *path);
/* Before the first declaration: the entry that is no tensor. Errors: ENOMEM. */
spt_status spt_tensor_writer_set_metadata(spt_tensor_writer *writer, json_t *metadata);
/* Announce a tensor. Errors: EINVAL for a name that is there already. */
spt_status spt_tensor_writer_declare(spt_tensor_writer *writer, const char *name, const char *dtype, json_t *shape,
                                     int64_t size_bytes);
spt_status spt_tensor_writer_begin(spt_tensor_writer *writer); /* after the last declaration: writes the header */
/* Errors: EIO, at once. */
spt_status spt_tensor_writer_add(spt_tensor_writer *writer, const void *data, size_t size_bytes);
/* The declared bytes must have been written; `file` may be placed then. Errors: EIO. */
spt_status spt_tensor_writer_finish(spt_tensor_writer *writer);
void spt_tensor_writer_discard(spt_tensor_writer *writer);

/* Open a file and write one row-major array; dtype in the words of safetensors (F16, F32, F64, I32, U8).
 * Owns: place or discard. Errors: EIO, EUNSUPPORTED. */
spt_status spt_npy_write(spt_file_writer *out, const char *path, const char *dtype, const int64_t *shape, int n_dims,
                         const void *data, size_t size_bytes);

/* Give files that are written to the end their names: all of them, or none, and what was there before comes back.
 * `stale` (NULL: none) is a file that goes with what they replace; those that have no path are passed over.
 * Finishes, and discards in any case. Errors: EIO. */
spt_status spt_files_place(spt_file_writer *const *files, int n_files, const char *stale);

#endif
