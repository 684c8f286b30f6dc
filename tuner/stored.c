/* SPDX-License-Identifier: Apache-2.0 */
/* Finding the matrix of a fingerprint; see stored.h. */
#include "tuner/stored.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "core/memory.h"
#include "core/pattern.h"
#include "db/positions.h"

static bool is_pattern_file(const char *name) {
    static const char *const suffixes[] = {".smtx", ".mtx", ".npy", ".safetensors"};
    const char *dot = strrchr(name, '.');
    for (size_t i = 0; dot != NULL && i < sizeof suffixes / sizeof suffixes[0]; i++) {
        if (strcmp(dot, suffixes[i]) == 0)
            return true;
    }
    return false;
}

/* List the files of a folder; one that is not legal costs itself. Errors: EIO, ENOMEM. */
static spt_status list_folder(spt_stored *self, const char *folder) {
    spt_status status = SPT_OK;
    DIR *stream = opendir(folder);
    if (stream == NULL)
        return spt_fail(SPT_EIO, "%s: cannot be opened: %s", folder, strerror(errno));
    for (struct dirent *entry; status == SPT_OK && (entry = readdir(stream)) != NULL;) {
        char path[PATH_MAX];
        if (!is_pattern_file(entry->d_name) ||
            snprintf(path, sizeof path, "%s/%s", folder, entry->d_name) >= (int)sizeof path)
            continue;
        status = spt_layers_add(&self->layers, path, &self->input);
        status = status == SPT_ENOMEM ? status : SPT_OK;
    }
    closedir(stream);
    return status;
}

static spt_status fingerprint_files(spt_stored *self) {
    SPT_TRY(SPT_NEW(self->files, self->layers.count));
    for (int64_t i = 0; i < self->layers.count; i++) {
        spt_matrix matrix = {0};
        const spt_status status = spt_layer_load(&matrix, &self->layers.items[i], &self->input);
        if (status == SPT_ENOMEM)
            return status;
        if (status == SPT_OK)
            self->files[self->n_files++] =
                (spt_stored_file){.fingerprint = spt_pattern_fingerprint(&matrix.view), .layer = i};
        spt_matrix_fini(&matrix);
    }
    return SPT_OK;
}

spt_status spt_stored_init(spt_stored *out, spt_db *db, const char *folder) {
    *out = (spt_stored){.db = db};
    if (folder == NULL)
        return SPT_OK;
    spt_status status = list_folder(out, folder);
    if (status == SPT_OK)
        status = fingerprint_files(out);
    if (status != SPT_OK)
        spt_stored_fini(out);
    return status;
}

void spt_stored_fini(spt_stored *stored) {
    spt_layer_list_fini(&stored->layers);
    spt_free(stored->files);
    *stored = (spt_stored){0};
}

spt_status spt_stored_load(spt_matrix *out, const spt_stored *stored, const spt_hash128 *fingerprint) {
    for (int64_t i = 0; i < stored->n_files; i++) {
        if (spt_hash_equal(stored->files[i].fingerprint, *fingerprint))
            return spt_layer_load(out, &stored->layers.items[stored->files[i].layer], &stored->input);
    }
    SPT_TRY(spt_db_positions_read(out, stored->db, fingerprint));
    const spt_status status = spt_matrix_fill_values(out, stored->input.seed);
    if (status != SPT_OK)
        spt_matrix_fini(out);
    return status;
}
