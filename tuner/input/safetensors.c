/* SPDX-License-Identifier: Apache-2.0 */
/* .safetensors: an 8-byte little-endian length, a JSON header of that length, then the tensors' bytes. Models may be
 * larger than memory, so only the header and one tensor at a time are read. */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/memory.h"
#include "core/text.h"
#include "tuner/input/tensors.h"

#define HEADER_MAX ((uint64_t)100 << 20)

spt_status spt_tensors_read_at(const spt_tensor_file *file, void *out, size_t size, int64_t offset) {
    size_t done = 0;
    while (done < size) {
        const ssize_t got = pread(file->descriptor, (char *)out + done, size - done, offset + (int64_t)done);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return spt_fail(SPT_EIO, "%s: cannot be read: %s", file->path, strerror(errno));
        if (got == 0)
            return spt_fail(SPT_EINVAL, "%s: expected %zu bytes at offset %" PRId64 ", found the end of the file",
                            file->path, size, offset);
        done += (size_t)got;
    }
    return SPT_OK;
}

void spt_tensors_close(spt_tensor_file *file) {
    json_decref(file->header);
    if (file->descriptor >= 0)
        close(file->descriptor);
}

static spt_status read_header(spt_tensor_file *file, int64_t file_bytes) {
    unsigned char length_bytes[8];
    uint64_t length = 0;
    if (file_bytes < (int64_t)sizeof length_bytes)
        return file_bytes == 0
                   ? spt_fail(SPT_EINVAL, "%s: expected a .safetensors file, found an empty file", file->path)
                   : spt_fail(SPT_EINVAL, "%s: expected the 8 bytes of a header length, found %" PRId64 " bytes in all",
                              file->path, file_bytes);
    SPT_TRY(spt_tensors_read_at(file, length_bytes, sizeof length_bytes, 0));
    for (int i = 7; i >= 0; i--)
        length = length << 8 | length_bytes[i];
    if (length < 2 || length > HEADER_MAX || (int64_t)length > file_bytes - 8)
        return spt_fail(SPT_EINVAL,
                        "%s: expected a header length within the file, found %" PRIu64 " of %" PRId64 " bytes",
                        file->path, length, file_bytes);
    char *text;
    SPT_TRY(SPT_NEW(text, length));
    spt_status status = spt_tensors_read_at(file, text, length, 8);
    json_error_t error;
    if (status == SPT_OK) {
        file->header = json_loadb(text, length, JSON_REJECT_DUPLICATES, &error);
        if (file->header == NULL)
            spt_make_printable(error.text); /* it quotes the file */
        if (!json_is_object(file->header))
            status = spt_fail(SPT_EINVAL, "%s: expected a JSON object as header, found: %s", file->path,
                              file->header == NULL ? error.text : "another JSON value");
    }
    spt_free(text);
    file->data_begin = 8 + (int64_t)length;
    file->data_bytes = file_bytes - file->data_begin;
    return status;
}

/* Where a tensor's bytes are, of whatever type it is. */
typedef struct extent {
    const char *name;
    int64_t begin, end;
} extent;

static spt_status read_extent(extent *out, const spt_tensor_file *file, const char *name, json_t *entry) {
    json_t *offsets = json_object_get(entry, "data_offsets");
    json_t *begin = json_array_get(offsets, 0), *end = json_array_get(offsets, 1);
    if (json_array_size(offsets) != 2 || !json_is_integer(begin) || !json_is_integer(end))
        return spt_fail(SPT_EINVAL, "%s: tensor %s: expected two integers as data_offsets", file->path, name);
    *out = (extent){name, json_integer_value(begin), json_integer_value(end)};
    if (out->begin < 0 || out->end < out->begin)
        return spt_fail(SPT_EINVAL, "%s: tensor %s: expected ascending data_offsets, found %" PRId64 " to %" PRId64,
                        file->path, name, out->begin, out->end);
    if (out->end > file->data_bytes)
        return spt_fail(SPT_EINVAL,
                        "%s: tensor %s: expected data as far as its data_offsets %" PRId64 " to %" PRId64
                        ", found a file with %" PRId64 " bytes of data",
                        file->path, name, out->begin, out->end, file->data_bytes);
    return SPT_OK;
}

static int compare_extents(const void *a, const void *b) {
    const extent *x = a, *y = b;
    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    return (x->end > y->end) - (x->end < y->end);
}

/* No byte belongs to two tensors. */
static spt_status check_extents(const spt_tensor_file *file) {
    extent *extents;
    size_t count = 0;
    const char *name;
    json_t *entry;
    spt_status status = SPT_OK;
    SPT_TRY(SPT_NEW(extents, json_object_size(file->header)));
    json_object_foreach(file->header, name, entry) {
        if (strcmp(name, SPT_TENSORS_METADATA) == 0)
            continue;
        for (const char *c = name; *c != '\0'; c++) {
            if (iscntrl((unsigned char)*c)) {
                status = spt_fail(SPT_EINVAL, "%s: expected printable tensor names, found the byte 0x%02x in one",
                                  file->path, (unsigned char)*c);
                goto done;
            }
        }
        SPT_TRY_TO(done, read_extent(&extents[count], file, name, entry));
        count++;
    }
    qsort(extents, count, sizeof *extents, compare_extents);
    for (size_t i = 1; i < count; i++) {
        if (extents[i].begin < extents[i - 1].end) {
            status = spt_fail(SPT_EINVAL, "%s: expected tensors that share no bytes, found that %s and %s do",
                              file->path, extents[i - 1].name, extents[i].name);
            break;
        }
    }
done:
    spt_free(extents);
    return status;
}

spt_status spt_tensors_open(spt_tensor_file *out, const char *path) {
    *out = (spt_tensor_file){.path = path};
    out->descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (out->descriptor < 0)
        return spt_fail(SPT_EIO, "%s: cannot be opened: %s", path, strerror(errno));
    struct stat info;
    spt_status status = SPT_OK;
    if (fstat(out->descriptor, &info) != 0 || !S_ISREG(info.st_mode))
        status = spt_fail(SPT_EINVAL, "%s: expected a file, found a folder or a device", path);
    if (status == SPT_OK)
        status = read_header(out, info.st_size);
    if (status == SPT_OK)
        status = check_extents(out);
    if (status != SPT_OK)
        spt_tensors_close(out);
    return status;
}

spt_status spt_tensors_describe(spt_tensor *out, const spt_tensor_file *file, const char *name, json_t *entry) {
    json_t *shape = json_object_get(entry, "shape");
    extent place;
    *out = (spt_tensor){.name = name, .dtype = json_string_value(json_object_get(entry, "dtype"))};
    const size_t n_dims = json_array_size(shape);
    if (out->dtype == NULL || !json_is_array(shape))
        return spt_fail(SPT_EINVAL, "%s: tensor %s: expected dtype and shape", file->path, name);
    out->item_bytes = spt_weights_item_bytes(out->dtype);
    if (out->item_bytes == 0 || (n_dims != 2 && n_dims != 4))
        return spt_fail(SPT_ENOTFOUND, "%s: tensor %s is no weight", file->path, name);
    bool is_empty = false;
    for (size_t i = 0; i < n_dims; i++) {
        json_t *dim = json_array_get(shape, i);
        is_empty = is_empty || (json_is_integer(dim) && json_integer_value(dim) == 0);
        out->shape[out->n_dims++] = json_integer_value(dim);
    }
    SPT_TRY(read_extent(&place, file, name, entry));
    if (is_empty && place.begin == place.end)
        return spt_fail(SPT_ENOTFOUND, "%s: tensor %s has no elements", file->path, name);
    char where[512];
    snprintf(where, sizeof where, "%s: tensor %s", file->path, name);
    SPT_TRY(spt_shape_count(&out->count, where, out->shape, out->n_dims, INT64_MAX / out->item_bytes));
    out->begin = place.begin;
    if (place.end - place.begin != out->count * out->item_bytes)
        return spt_fail(SPT_EINVAL,
                        "%s: tensor %s: expected %" PRId64 " bytes for its shape, found data_offsets %" PRId64
                        " to %" PRId64,
                        file->path, name, out->count * out->item_bytes, place.begin, place.end);
    return SPT_OK;
}

spt_status spt_tensors_read(spt_weights *out, const spt_tensor_file *file, const spt_tensor *t) {
    SPT_TRY(spt_weights_init(out, t->dtype, t->shape, t->n_dims));
    const size_t size = (size_t)t->count * (size_t)t->item_bytes;
    const spt_status status = spt_tensors_read_at(file, out->raw, size, file->data_begin + t->begin);
    if (status != SPT_OK)
        spt_weights_fini(out);
    return status;
}

/* Add one tensor as a layer when it is sparse enough. */
static spt_status consider(spt_layer_list *list, const spt_tensor_file *file, const spt_tensor *t,
                           double min_sparsity) {
    spt_weights weights;
    int64_t n_zeros = 0, n_finite = 0;
    SPT_TRY(spt_tensors_read(&weights, file, t));
    SPT_TRY(spt_weights_widen(&weights));
    for (int64_t i = 0; i < t->count; i++) {
        n_zeros += weights.data[i] == 0.0f;
        n_finite += isfinite(weights.data[i]) != 0;
    }
    spt_weights_fini(&weights);
    const double sparsity = (double)n_zeros / (double)t->count;
    if (sparsity < min_sparsity) {
        fprintf(stderr, "%s: %s: %.0f %% zeros, below --min-sparsity %g: skipped\n", file->path, t->name,
                100.0 * sparsity, min_sparsity);
        return SPT_OK;
    }
    if (n_finite != t->count) /* said now, not after the layers before it were tuned */
        return spt_fail(SPT_EINVAL, "%s: tensor %s: %" PRId64 " of %" PRId64 " values are NaN or Inf", file->path,
                        t->name, t->count - n_finite, t->count);
    return spt_layer_list_append(list, t->name, file->path, t->name);
}

spt_status spt_safetensors_list(spt_layer_list *list, const char *path, const spt_input_options *options) {
    spt_tensor_file file;
    const char *name;
    json_t *entry;
    spt_status status = SPT_OK;
    SPT_TRY(spt_tensors_open(&file, path));
    json_object_foreach(file.header, name, entry) {
        spt_tensor t;
        if (strcmp(name, SPT_TENSORS_METADATA) == 0)
            continue;
        status = spt_tensors_describe(&t, &file, name, entry);
        if (status == SPT_OK)
            status = consider(list, &file, &t, options->min_sparsity);
        if (status != SPT_OK && status != SPT_ENOTFOUND)
            break;
        status = SPT_OK;
    }
    spt_tensors_close(&file);
    return status;
}

spt_status spt_safetensors_load(spt_matrix *out, const char *path, const char *name) {
    spt_tensor_file file;
    spt_tensor t;
    spt_weights weights = {0};
    spt_status status = SPT_OK;
    SPT_TRY(spt_tensors_open(&file, path));
    json_t *entry = json_object_get(file.header, name);
    if (entry == NULL)
        status = spt_fail(SPT_ENOTFOUND, "%s: there is no tensor %s", path, name);
    if (status == SPT_OK)
        status = spt_tensors_describe(&t, &file, name, entry);
    if (status == SPT_OK)
        status = spt_tensors_read(&weights, &file, &t);
    if (status == SPT_OK)
        status = spt_weights_widen(&weights);
    if (status == SPT_OK) {
        char place[512];
        snprintf(place, sizeof place, "%s: tensor %s", path, name);
        status = spt_matrix_from_weights(out, place, weights.data, t.shape, t.n_dims);
    }
    spt_weights_fini(&weights);
    spt_tensors_close(&file);
    return status;
}
