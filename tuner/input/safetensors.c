/* SPDX-License-Identifier: Apache-2.0 */
/* .safetensors: an 8-byte little-endian length, a JSON header of that length, then the tensors' bytes. Models may be
 * larger than memory, so only the header and one tensor at a time are read. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/memory.h"
#include "tuner/input/loaders.h"

enum { DIMS_MAX = 4 };
#define HEADER_MAX ((uint64_t)100 << 20)

typedef struct tensor_file {
    const char *path;
    int descriptor;
    int64_t data_begin, data_bytes;
    json_t *header; /* an object */
} tensor_file;

typedef struct tensor {
    const char *name;
    const char *dtype; /* F32, F16, BF16 */
    int item_bytes;
    int64_t shape[DIMS_MAX], count, begin;
    int n_dims;
} tensor;

static spt_status read_at(const tensor_file *file, void *out, size_t size, int64_t offset) {
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

static void close_file(tensor_file *file) {
    json_decref(file->header);
    if (file->descriptor >= 0)
        close(file->descriptor);
}

static spt_status read_header(tensor_file *file, int64_t file_bytes) {
    unsigned char length_bytes[8];
    uint64_t length = 0;
    SPT_TRY(read_at(file, length_bytes, sizeof length_bytes, 0));
    for (int i = 7; i >= 0; i--)
        length = length << 8 | length_bytes[i];
    if (length < 2 || length > HEADER_MAX || (int64_t)length > file_bytes - 8)
        return spt_fail(SPT_EINVAL,
                        "%s: expected a header length within the file, found %" PRIu64 " of %" PRId64 " bytes",
                        file->path, length, file_bytes);
    char *text;
    SPT_TRY(SPT_NEW(text, length));
    spt_status status = read_at(file, text, length, 8);
    json_error_t error;
    if (status == SPT_OK) {
        file->header = json_loadb(text, length, JSON_REJECT_DUPLICATES, &error);
        if (!json_is_object(file->header))
            status = spt_fail(SPT_EINVAL, "%s: expected a JSON object as header, found: %s", file->path,
                              file->header == NULL ? error.text : "another JSON value");
    }
    spt_free(text);
    file->data_begin = 8 + (int64_t)length;
    file->data_bytes = file_bytes - file->data_begin;
    return status;
}

static spt_status open_file(tensor_file *out, const char *path) {
    *out = (tensor_file){.path = path};
    out->descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (out->descriptor < 0)
        return spt_fail(SPT_EIO, "%s: cannot be opened: %s", path, strerror(errno));
    struct stat info;
    spt_status status = SPT_OK;
    if (fstat(out->descriptor, &info) != 0 || !S_ISREG(info.st_mode))
        status = spt_fail(SPT_EINVAL, "%s: expected a file, found a folder or a device", path);
    if (status == SPT_OK)
        status = read_header(out, info.st_size);
    if (status != SPT_OK)
        close_file(out);
    return status;
}

static int bytes_of_dtype(const char *dtype) {
    return strcmp(dtype, "F32") == 0 ? 4 : strcmp(dtype, "F16") == 0 || strcmp(dtype, "BF16") == 0 ? 2 : 0;
}

/* Describe one tensor. ENOTFOUND for those that are no weights: other types, other numbers of dimensions. */
static spt_status describe(tensor *out, const tensor_file *file, const char *name, json_t *entry) {
    json_t *shape = json_object_get(entry, "shape"), *offsets = json_object_get(entry, "data_offsets");
    *out = (tensor){.name = name, .dtype = json_string_value(json_object_get(entry, "dtype"))};
    const size_t n_dims = json_array_size(shape);
    if (out->dtype == NULL || !json_is_array(shape) || json_array_size(offsets) != 2)
        return spt_fail(SPT_EINVAL, "%s: tensor %s: expected dtype, shape and two data_offsets", file->path, name);
    out->item_bytes = bytes_of_dtype(out->dtype);
    if (out->item_bytes == 0 || (n_dims != 2 && n_dims != 4))
        return spt_fail(SPT_ENOTFOUND, "%s: tensor %s is no weight", file->path, name);
    for (size_t i = 0; i < n_dims; i++)
        out->shape[out->n_dims++] = json_integer_value(json_array_get(shape, i));
    SPT_TRY(spt_shape_count(&out->count, file->path, out->shape, out->n_dims, file->data_bytes / out->item_bytes));
    out->begin = json_integer_value(json_array_get(offsets, 0));
    const int64_t end = json_integer_value(json_array_get(offsets, 1));
    if (out->begin < 0 || end < out->begin || end > file->data_bytes ||
        end - out->begin != out->count * out->item_bytes)
        return spt_fail(SPT_EINVAL,
                        "%s: tensor %s: expected %" PRId64 " bytes within the file's %" PRId64
                        ", found offsets %" PRId64 " to %" PRId64,
                        file->path, name, out->count * out->item_bytes, file->data_bytes, out->begin, end);
    return SPT_OK;
}

static spt_status read_elements(float **out, const tensor_file *file, const tensor *t) {
    uint16_t *halves = NULL;
    spt_status status = SPT_OK;
    SPT_TRY(SPT_NEW(*out, t->count));
    if (t->item_bytes == 4) {
        status = read_at(file, *out, (size_t)t->count * 4, file->data_begin + t->begin);
    } else {
        const bool is_bf16 = strcmp(t->dtype, "BF16") == 0;
        SPT_TRY_TO(done, SPT_NEW(halves, t->count));
        SPT_TRY_TO(done, read_at(file, halves, (size_t)t->count * 2, file->data_begin + t->begin));
        for (int64_t i = 0; i < t->count; i++)
            (*out)[i] = is_bf16 ? spt_f32_of_bf16(halves[i]) : spt_f32_of_f16(halves[i]);
    }
done:
    spt_free(halves);
    if (status != SPT_OK) {
        spt_free(*out);
        *out = NULL;
    }
    return status;
}

/* Add one tensor as a layer when it is sparse enough. */
static spt_status consider(spt_layer_list *list, const tensor_file *file, const tensor *t, double min_sparsity) {
    float *data;
    int64_t n_zeros = 0;
    SPT_TRY(read_elements(&data, file, t));
    for (int64_t i = 0; i < t->count; i++)
        n_zeros += data[i] == 0.0f;
    spt_free(data);
    const double sparsity = (double)n_zeros / (double)t->count;
    if (sparsity < min_sparsity) {
        fprintf(stderr, "%s: %s: %.0f %% zeros, below --min-sparsity %g: skipped\n", file->path, t->name,
                100.0 * sparsity, min_sparsity);
        return SPT_OK;
    }
    return spt_layer_list_append(list, t->name, file->path, t->name);
}

spt_status spt_safetensors_list(spt_layer_list *list, const char *path, const spt_input_options *options) {
    tensor_file file;
    const char *name;
    json_t *entry;
    spt_status status = SPT_OK;
    SPT_TRY(open_file(&file, path));
    json_object_foreach(file.header, name, entry) {
        tensor t;
        if (strcmp(name, "__metadata__") == 0)
            continue;
        status = describe(&t, &file, name, entry);
        if (status == SPT_OK)
            status = consider(list, &file, &t, options->min_sparsity);
        if (status != SPT_OK && status != SPT_ENOTFOUND)
            break;
        status = SPT_OK;
    }
    close_file(&file);
    return status;
}

spt_status spt_safetensors_load(spt_matrix *out, const char *path, const char *name) {
    tensor_file file;
    tensor t;
    float *data = NULL;
    spt_status status = SPT_OK;
    SPT_TRY(open_file(&file, path));
    json_t *entry = json_object_get(file.header, name);
    if (entry == NULL)
        status = spt_fail(SPT_ENOTFOUND, "%s: there is no tensor %s", path, name);
    if (status == SPT_OK)
        status = describe(&t, &file, name, entry);
    if (status == SPT_OK)
        status = read_elements(&data, &file, &t);
    if (status == SPT_OK) {
        char place[512];
        snprintf(place, sizeof place, "%s: tensor %s", path, name);
        status = spt_matrix_from_weights(out, place, data, t.shape, t.n_dims);
    }
    spt_free(data);
    close_file(&file);
    return status;
}
