/* SPDX-License-Identifier: Apache-2.0 */
/* Suites: {"name": "...", "layers": [{"pattern": "file or generator", "n": 784, "op": "spmm", "layout": "kn",
 * "epilogue": "bias_relu", "count": 3, "name": "...", "image": "56x56s2"}]}. Unknown fields are refused by name. */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "core/conv.h"
#include "core/file.h"
#include "core/memory.h"
#include "core/text.h"
#include "tuner/input/loaders.h"

#define SUITE_BYTES_MAX ((size_t)64 << 20)

/* Where a sentence is about. */
typedef struct place {
    const char *path;
    size_t layer; /* from 1 */
} place;

static spt_status set_integer(int64_t *out, const place *at, json_t *value, const char *field) {
    if (!json_is_integer(value) || json_integer_value(value) < 1 || json_integer_value(value) > SPT_DIM_MAX)
        return spt_fail(SPT_EINVAL, "%s: layer %zu: expected %s from 1 to %d", at->path, at->layer, field, SPT_DIM_MAX);
    *out = json_integer_value(value);
    return SPT_OK;
}

/* Forward a status; the sentence gets its layer. */
static spt_status in_layer(const place *at, spt_status status) {
    char reason[400];
    if (status == SPT_OK || status == SPT_ENOMEM)
        return status;
    spt_copy_text(reason, sizeof reason, spt_last_error());
    return spt_fail(status, "%s: layer %zu: %s", at->path, at->layer, reason);
}

static spt_status set_op(spt_layer *layer, const char *name) {
    layer->has_op = true;
    return spt_op_parse(&layer->op, name);
}

static spt_status set_layout(spt_layer *layer, const char *name) {
    layer->has_layout = true;
    return spt_layout_parse(&layer->layout, name);
}

static spt_status set_epilogue(spt_layer *layer, const char *name) {
    layer->has_epilogue = true;
    return spt_epilogue_parse(&layer->epilogue, name);
}

static spt_status set_image(spt_layer *layer, const char *text) {
    SPT_TRY(spt_image_parse(&layer->height, &layer->width, &layer->stride, text));
    layer->n = spt_conv_extent(layer->height, layer->stride) * spt_conv_extent(layer->width, layer->stride);
    return SPT_OK;
}

static spt_status set_nothing(spt_layer *layer, const char *name) { /* taken when the layer was made */
    (void)layer;
    (void)name;
    return SPT_OK;
}

static const struct {
    const char *name;
    spt_status (*set)(spt_layer *layer, const char *value);
} text_fields[] = {
    {"pattern", set_nothing}, {"name", set_nothing},      {"op", set_op},
    {"layout", set_layout},   {"epilogue", set_epilogue}, {"image", set_image},
};

static spt_status set_field(spt_layer *layer, const place *at, const char *field, json_t *value) {
    if (strcmp(field, "n") == 0)
        return set_integer(&layer->n, at, value, field);
    if (strcmp(field, "count") == 0)
        return set_integer(&layer->count, at, value, field);
    for (size_t i = 0; i < sizeof text_fields / sizeof text_fields[0]; i++) {
        if (strcmp(field, text_fields[i].name) != 0)
            continue;
        if (!json_is_string(value))
            return spt_fail(SPT_EINVAL, "%s: layer %zu: expected a text for field '%s'", at->path, at->layer, field);
        return in_layer(at, text_fields[i].set(layer, json_string_value(value)));
    }
    return spt_fail(
        SPT_EINVAL,
        "%s: layer %zu: expected the fields pattern, name, n, op, layout, epilogue, image and count, found '%s'",
        at->path, at->layer, field);
}

/* A relative path is relative to the suite's folder. */
static spt_status resolve_path(char *out, size_t capacity, const char *suite, const char *pattern) {
    const char *slash = strrchr(suite, '/');
    const bool is_free = spt_is_generator(pattern) || pattern[0] == '/' || slash == NULL;
    spt_text text;
    spt_text_init(&text, out, capacity);
    if (!is_free)
        spt_text_add(&text, "%.*s/", (int)(slash - suite), suite);
    spt_text_add(&text, "%s", pattern);
    if (text.overflow)
        return spt_fail(SPT_EINVAL, "%s: expected paths of at most %zu characters", suite, capacity - 1);
    return SPT_OK;
}

static spt_status rename_layer(spt_layer *layer, const char *name) {
    char *copy = spt_strdup(name);
    if (copy == NULL)
        return SPT_ENOMEM;
    spt_free(layer->name);
    layer->name = copy;
    return SPT_OK;
}

static spt_status add_layer(spt_layer_list *list, const place *at, json_t *entry, const spt_input_options *options) {
    const char *pattern = json_string_value(json_object_get(entry, "pattern"));
    const char *name = json_string_value(json_object_get(entry, "name")), *field;
    char path[4096];
    json_t *value;
    if (pattern == NULL)
        return spt_fail(SPT_EINVAL, "%s: layer %zu: expected an object with a text 'pattern'", at->path, at->layer);
    SPT_TRY(resolve_path(path, sizeof path, at->path, pattern));
    const int64_t first = list->count;
    SPT_TRY(in_layer(at, spt_layers_add(list, path, options)));
    for (int64_t i = first; i < list->count; i++) {
        json_object_foreach(entry, field, value) {
            SPT_TRY(set_field(&list->items[i], at, field, value));
        }
    }
    const bool is_one_layer = list->count == first + 1;
    return name != NULL && is_one_layer ? rename_layer(&list->items[first], name) : SPT_OK;
}

static spt_status read_suite(spt_layer_list *list, const char *path, json_t *root, const spt_input_options *options) {
    json_t *layers = json_object_get(root, "layers"), *value;
    const char *name = json_string_value(json_object_get(root, "name")), *field;
    if (!json_is_array(layers) || json_array_size(layers) == 0)
        return spt_fail(SPT_EINVAL, "%s: expected an object with an array 'layers' of one layer or more", path);
    json_object_foreach(root, field, value) {
        if (strcmp(field, "name") != 0 && strcmp(field, "layers") != 0)
            return spt_fail(SPT_EINVAL, "%s: expected the fields name and layers, found '%s'", path, field);
    }
    if (name == NULL && json_object_get(root, "name") != NULL)
        return spt_fail(SPT_EINVAL, "%s: expected a text for field 'name'", path);
    spt_free(list->title);
    list->title = spt_strdup(name != NULL ? name : path);
    if (list->title == NULL)
        return SPT_ENOMEM;
    for (size_t i = 0; i < json_array_size(layers); i++) {
        const place at = {path, i + 1};
        SPT_TRY(add_layer(list, &at, json_array_get(layers, i), options));
    }
    return SPT_OK;
}

spt_status spt_layers_add_suite(spt_layer_list *list, const char *path, const spt_input_options *options) {
    char *data;
    size_t size;
    json_error_t error;
    spt_status status;
    SPT_TRY(spt_file_read(&data, &size, path, SUITE_BYTES_MAX));
    json_t *root = json_loadb(data, size, JSON_REJECT_DUPLICATES, &error);
    if (root == NULL) {
        spt_make_printable(error.text); /* it quotes the file */
        status = spt_fail(SPT_EINVAL, "%s:%d: expected JSON, found: %s", path, error.line, error.text);
    } else {
        status = read_suite(list, path, root, options);
    }
    json_decref(root);
    spt_free(data);
    return status;
}
