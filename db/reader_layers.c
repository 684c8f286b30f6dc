/* SPDX-License-Identifier: Apache-2.0 */
/* The search path of databases; see reader_layers.h. */
#include "db/reader_layers.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/memory.h"

static spt_status add_path(spt_layer_paths *paths, const char *path, bool is_named) {
    for (int i = 0; i < paths->count; i++)
        if (strcmp(paths->items[i].path, path) == 0)
            return SPT_OK;
    if (paths->count == SPT_LAYERS_MAX)
        return spt_fail(SPT_EINVAL, "expected at most %d databases, found more; the next was '%s'", SPT_LAYERS_MAX,
                        path);
    char *copy = spt_strdup(path);
    if (copy == NULL)
        return SPT_ENOMEM;
    paths->items[paths->count++] = (spt_layer_path){.path = copy, .is_named = is_named};
    return SPT_OK;
}

/* The user's data folder by the XDG base directory rules: a relative path there is to be ignored. */
static spt_status add_user_path(spt_layer_paths *paths) {
    const char *data_home = getenv("XDG_DATA_HOME"), *home = getenv("HOME");
    const bool has_data_home = data_home != NULL && data_home[0] == '/';
    if (!has_data_home && (home == NULL || home[0] == '\0'))
        return SPT_OK;
    char path[PATH_MAX];
    const int length = has_data_home ? snprintf(path, sizeof path, "%s/sparsetune/tune.db", data_home)
                                     : snprintf(path, sizeof path, "%s/.local/share/sparsetune/tune.db", home);
    return length < (int)sizeof path ? add_path(paths, path, false) : SPT_OK;
}

static spt_status add_defaults(spt_layer_paths *paths) {
    const char *process = getenv("SPARSETUNE_DB");
    if (process != NULL && process[0] != '\0')
        SPT_TRY(add_path(paths, process, true));
    SPT_TRY(add_path(paths, ".sparsetune.db", false));
    SPT_TRY(add_user_path(paths));
    SPT_TRY(add_path(paths, "/usr/local/share/sparsetune/tune.db", false));
    return add_path(paths, "/usr/share/sparsetune/tune.db", false);
}

spt_status spt_layer_paths_init(spt_layer_paths *out, const char *const *databases) {
    *out = (spt_layer_paths){0};
    spt_status status = SPT_OK;
    if (databases == NULL)
        status = add_defaults(out);
    for (int i = 0; databases != NULL && databases[i] != NULL && status == SPT_OK; i++)
        status = add_path(out, databases[i], true);
    if (status != SPT_OK)
        spt_layer_paths_fini(out);
    return status;
}

void spt_layer_paths_fini(spt_layer_paths *paths) {
    for (int i = 0; i < paths->count; i++)
        spt_free(paths->items[i].path);
    *paths = (spt_layer_paths){0};
}
