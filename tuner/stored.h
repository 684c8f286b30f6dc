/* SPDX-License-Identifier: Apache-2.0 */
/* Matrices for the patterns of a database: from the positions that it keeps, or from files whose fingerprint is theirs.
 */
#ifndef SPT_TUNER_STORED_H
#define SPT_TUNER_STORED_H

#include "core/hash.h"
#include "db/db.h"
#include "tuner/input/input.h"

typedef struct spt_stored_file {
    spt_hash128 fingerprint;
    int64_t layer; /* index into the list */
} spt_stored_file;

typedef struct spt_stored {
    spt_db *db; /* not owned */
    spt_input_options input;
    spt_layer_list layers;
    spt_stored_file *files; /* one per layer that could be loaded */
    int64_t n_files;
} spt_stored;

/* folder: pattern files of all kinds in it are read and fingerprinted, those that cannot be are passed over; NULL: the
 * positions in the database alone. Errors: EIO (no such folder), ENOMEM. Owns: spt_stored_fini. */
spt_status spt_stored_init(spt_stored *out, spt_db *db, const char *folder);
void spt_stored_fini(spt_stored *stored);

/* A matrix with this fingerprint, with values. Errors: ENOTFOUND. Owns: spt_matrix_fini. */
spt_status spt_stored_load(spt_matrix *out, const spt_stored *stored, const spt_hash128 *fingerprint);

#endif
