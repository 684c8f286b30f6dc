/* SPDX-License-Identifier: Apache-2.0 */
/* Misses that an application recorded (SPARSETUNE_RECORD), as layers. FILE has one JSON object per line with the fields
 * of a problem; FILE.d/FINGERPRINT.smtx has the positions. A problem that was recorded twice is one layer. */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/file.h"
#include "core/hash.h"
#include "core/memory.h"
#include "core/text.h"
#include "tuner/input/loaders.h"

#define MISSES_BYTES_MAX ((size_t)64 << 20)
#define THREADS_MAX 4096

typedef struct place {
    const char *path;
    int64_t line;
} place;

static spt_status fail_at(const place *at, const char *expected) {
    return spt_fail(SPT_EINVAL, "%s:%" PRId64 ": expected %s", at->path, at->line, expected);
}

static spt_status text_of(const char **out, const place *at, const json_t *entry, const char *field) {
    char expected[64];
    *out = json_string_value(json_object_get(entry, field));
    snprintf(expected, sizeof expected, "an object with a text '%s'", field);
    return *out != NULL ? SPT_OK : fail_at(at, expected);
}

static spt_status number_of(int64_t *out, const place *at, const json_t *entry, const char *field, int64_t max) {
    char expected[96];
    const json_t *value = json_object_get(entry, field);
    *out = json_integer_value(value);
    snprintf(expected, sizeof expected, "a number from 1 to %" PRId64 " in the field '%s'", max, field);
    return json_is_integer(value) && *out >= 1 && *out <= max ? SPT_OK : fail_at(at, expected);
}

/* Everything a problem says; the fields that only tell people something are not read. */
static spt_status read_problem(spt_layer *layer, const place *at, const json_t *entry) {
    const char *op, *dtype, *layout, *epilogue, *cache;
    spt_dtype known_dtype;
    int64_t threads;
    SPT_TRY(text_of(&op, at, entry, "op"));
    SPT_TRY(text_of(&dtype, at, entry, "dtype"));
    SPT_TRY(text_of(&layout, at, entry, "layout"));
    SPT_TRY(text_of(&epilogue, at, entry, "epilogue"));
    SPT_TRY(text_of(&cache, at, entry, "cache"));
    if (spt_op_parse(&layer->op, op) != SPT_OK || spt_dtype_parse(&known_dtype, dtype) != SPT_OK ||
        spt_layout_parse(&layer->layout, layout) != SPT_OK ||
        spt_epilogue_parse(&layer->epilogue, epilogue) != SPT_OK || spt_cache_parse(&layer->cache, cache) != SPT_OK)
        return fail_at(at, "names of an operation, element type, layout, epilogue and cache that this version knows");
    if (known_dtype != SPT_F32)
        return fail_at(at, "dtype f32, the only one of this version");
    SPT_TRY(number_of(&layer->n, at, entry, "n", SPT_DIM_MAX));
    SPT_TRY(number_of(&threads, at, entry, "threads", THREADS_MAX));
    layer->threads = (int)threads;
    if (layer->op == SPT_CONV2D) {
        const char *image;
        SPT_TRY(text_of(&image, at, entry, "image"));
        if (spt_image_parse(&layer->height, &layer->width, &layer->stride, image) != SPT_OK)
            return fail_at(at, "an image such as 56x56s1 in the field 'image'");
    }
    layer->has_op = layer->has_layout = layer->has_epilogue = layer->has_cache = true;
    return SPT_OK;
}

static bool is_known(const spt_layer_list *list, int64_t first) {
    const spt_layer *last = &list->items[list->count - 1];
    for (int64_t i = first; i < list->count - 1; i++) {
        const spt_layer *other = &list->items[i];
        if (strcmp(other->source, last->source) == 0 && other->n == last->n && other->threads == last->threads &&
            other->op == last->op && other->layout == last->layout && other->epilogue == last->epilogue &&
            other->cache == last->cache && other->height == last->height && other->width == last->width &&
            other->stride == last->stride)
            return true;
    }
    return false;
}

static void drop_last(spt_layer_list *list) {
    spt_layer *last = &list->items[--list->count];
    spt_free(last->name);
    spt_free(last->source);
    spt_free(last->tensor);
}

/* The file's name is made of the fingerprint's digits, never of the text that the line holds. */
static spt_status add_miss(spt_layer_list *list, int64_t first, const place *at, const json_t *entry) {
    const char *text;
    char path[4096], digits[SPT_HASH_TEXT_SIZE];
    spt_hash128 fingerprint;
    SPT_TRY(text_of(&text, at, entry, "fingerprint"));
    if (spt_hash_parse(&fingerprint, text) != SPT_OK)
        return fail_at(at, "32 hexadecimal digits in the field 'fingerprint'");
    spt_hash_text(digits, fingerprint);
    if (snprintf(path, sizeof path, "%s.d/%s.smtx", at->path, digits) >= (int)sizeof path)
        return fail_at(at, "a shorter path of the file");
    if (access(path, R_OK) != 0)
        return spt_fail(SPT_EIO, "%s:%" PRId64 ": expected the positions in %s: %s", at->path, at->line, path,
                        strerror(errno));
    SPT_TRY(spt_layer_list_append(list, digits, path, NULL));
    const spt_status status = read_problem(&list->items[list->count - 1], at, entry);
    if (status != SPT_OK || is_known(list, first))
        drop_last(list);
    return status;
}

static spt_status add_line(spt_layer_list *list, int64_t first, const place *at, const char *line, size_t length) {
    json_error_t error;
    json_t *entry = json_loadb(line, length, JSON_REJECT_DUPLICATES, &error);
    const spt_status status = entry != NULL ? add_miss(list, first, at, entry) : fail_at(at, "one JSON object a line");
    json_decref(entry);
    return status;
}

spt_status spt_layers_add_misses(spt_layer_list *list, const char *path, spt_line_refused *refused, void *user) {
    const int64_t first = list->count;
    place at = {.path = path};
    char *data;
    size_t size;
    spt_status status = SPT_OK;
    SPT_TRY(spt_file_read(&data, &size, path, MISSES_BYTES_MAX));
    for (const char *line = data; line < data + size && status == SPT_OK;) {
        const char *end = memchr(line, '\n', (size_t)(data + size - line));
        const size_t length = end != NULL ? (size_t)(end - line) : (size_t)(data + size - line);
        at.line++;
        if (length > 0)
            status = add_line(list, first, &at, line, length);
        if (status != SPT_OK && status != SPT_ENOMEM && refused != NULL) {
            refused(user);
            status = SPT_OK;
        }
        line += length + 1;
    }
    spt_free(data);
    if (status == SPT_OK && list->count == first)
        status = spt_fail(SPT_EINVAL, "%s: expected misses, one a line, found none", path);
    return status;
}
