/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of layers, and the table that finds a loader by the file's suffix. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/file.h"
#include "core/memory.h"
#include "tuner/input/loaders.h"

typedef struct loader_row {
    const char *suffix;
    spt_status (*parse)(spt_matrix *out, const char *path, const char *data, size_t size); /* NULL: many tensors */
} loader_row;

static const loader_row loaders[] = {
    {".smtx", spt_parse_smtx},
    {".mtx", spt_parse_mtx},
    {".npy", spt_parse_npy},
    {".safetensors", NULL},
};
enum { N_LOADERS = sizeof loaders / sizeof loaders[0] };

static spt_status find_loader(const loader_row **out, const char *path) {
    const size_t length = strlen(path);
    for (int i = 0; i < N_LOADERS; i++) {
        const size_t suffix_length = strlen(loaders[i].suffix);
        if (length > suffix_length && strcmp(path + length - suffix_length, loaders[i].suffix) == 0) {
            *out = &loaders[i];
            return SPT_OK;
        }
    }
    return spt_fail(SPT_EINVAL,
                    "%s: expected a file that ends in .smtx, .mtx, .npy or .safetensors, or a generator such as "
                    "uniform:512x512@0.9",
                    path);
}

spt_status spt_layer_list_append(spt_layer_list *list, const char *name, const char *source, const char *tensor) {
    spt_layer *items = spt_realloc(list->items, (size_t)list->count, (size_t)list->count + 1, sizeof *list->items);
    if (items == NULL)
        return SPT_ENOMEM;
    list->items = items;
    spt_layer *layer = &items[list->count++];
    *layer = (spt_layer){.count = 1};
    layer->name = spt_strdup(name);
    layer->source = spt_strdup(source);
    layer->tensor = tensor != NULL ? spt_strdup(tensor) : NULL;
    const bool is_whole = layer->name != NULL && layer->source != NULL && (tensor == NULL || layer->tensor != NULL);
    return is_whole ? SPT_OK : SPT_ENOMEM;
}

void spt_layer_list_fini(spt_layer_list *list) {
    for (int64_t i = 0; i < list->count; i++) {
        spt_free(list->items[i].name);
        spt_free(list->items[i].source);
        spt_free(list->items[i].tensor);
    }
    spt_free(list->items);
    spt_free(list->title);
    *list = (spt_layer_list){0};
}

spt_status spt_layers_add(spt_layer_list *list, const char *argument, const spt_input_options *options) {
    const loader_row *loader = NULL;
    if (spt_is_generator(argument)) {
        SPT_TRY(spt_generator_check(argument));
        return spt_layer_list_append(list, argument, argument, NULL);
    }
    SPT_TRY(find_loader(&loader, argument));
    if (loader->parse == NULL)
        return spt_safetensors_list(list, argument, options);
    if (access(argument, R_OK) != 0) /* said now, not after the layers before it were tuned */
        return spt_fail(SPT_EIO, "%s: cannot be opened: %s", argument, strerror(errno));
    const char *slash = strrchr(argument, '/');
    return spt_layer_list_append(list, slash != NULL ? slash + 1 : argument, argument, NULL);
}

/* Take the values from NAME.f32 beside NAME.smtx where that file exists. */
static spt_status load_values_beside(spt_matrix *matrix, const char *path) {
    char values_path[4096], *data;
    size_t size;
    const int stem = (int)(strlen(path) - strlen(".smtx"));
    if (snprintf(values_path, sizeof values_path, "%.*s.f32", stem, path) >= (int)sizeof values_path)
        return SPT_OK;
    if (access(values_path, F_OK) != 0 && errno == ENOENT)
        return SPT_OK;
    SPT_TRY(spt_file_read(&data, &size, values_path, SPT_INPUT_BYTES_MAX));
    const spt_status status = spt_parse_f32_values(matrix, values_path, data, size);
    spt_free(data);
    return status;
}

static spt_status load_file(spt_matrix *out, const spt_layer *layer) {
    const loader_row *loader = NULL;
    char *data;
    size_t size;
    SPT_TRY(find_loader(&loader, layer->source));
    if (loader->parse == NULL)
        return spt_safetensors_load(out, layer->source, layer->tensor);
    SPT_TRY(spt_file_read(&data, &size, layer->source, SPT_INPUT_BYTES_MAX));
    const bool is_gzip = size >= 2 && memcmp(data, "\x1f\x8b", 2) == 0;
    const spt_status status =
        is_gzip ? spt_fail(SPT_EINVAL, "%s: expected %s, found gzip: unpack it first", layer->source, loader->suffix)
                : loader->parse(out, layer->source, data, size);
    spt_free(data);
    if (status != SPT_OK || loader->parse != spt_parse_smtx)
        return status;
    return load_values_beside(out, layer->source);
}

spt_status spt_layer_load(spt_matrix *out, const spt_layer *layer, const spt_input_options *options) {
    *out = (spt_matrix){0};
    spt_status status =
        spt_is_generator(layer->source) ? spt_generate(out, layer->source, options->seed) : load_file(out, layer);
    if (status == SPT_OK)
        status = spt_csr_check(&out->view, layer->source);
    if (status == SPT_OK && out->values == NULL)
        status = spt_matrix_fill_values(out, options->seed);
    if (status != SPT_OK)
        spt_matrix_fini(out);
    return status;
}
