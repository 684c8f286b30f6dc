/* SPDX-License-Identifier: Apache-2.0 */
/* The search path of databases: which files a context reads, in the order in which their answers count. */
#ifndef SPT_DB_READER_LAYERS_H
#define SPT_DB_READER_LAYERS_H

#include <stdbool.h>

#include "core/error.h"

#define SPT_LAYERS_MAX 16

typedef struct spt_layer_path {
    char *path;
    bool is_named; /* the caller or SPARSETUNE_DB named it: worth a word when it is missing */
} spt_layer_path;

typedef struct spt_layer_paths {
    spt_layer_path items[SPT_LAYERS_MAX];
    int count;
} spt_layer_paths;

/* List the caller's databases (NULL-terminated), or for NULL the default layers: $SPARSETUNE_DB (process),
 * ./.sparsetune.db (project), $XDG_DATA_HOME/sparsetune/tune.db, else ~/.local/share/sparsetune/tune.db (user),
 * /usr/local/share/sparsetune/tune.db and /usr/share/sparsetune/tune.db (site). A path that comes twice counts once.
 * Errors: ENOMEM, EINVAL (more than SPT_LAYERS_MAX databases). Owns: spt_layer_paths_fini. */
spt_status spt_layer_paths_init(spt_layer_paths *out, const char *const *databases);
void spt_layer_paths_fini(spt_layer_paths *paths);

#endif
