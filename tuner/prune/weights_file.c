/* SPDX-License-Identifier: Apache-2.0 */
/* .safetensors and .npy files; see weights_file.h. */
#include "tuner/prune/weights_file.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "core/text.h"
#include "tuner/input/tensors.h"

static spt_status fail_memory(void) {
    return spt_fail(SPT_ENOMEM, "expected memory for a header, found none");
}

static spt_status add_bytes(spt_file_writer *file, const void *data, size_t size_bytes) {
    errno = 0;
    if (size_bytes == 0 || fwrite(data, 1, size_bytes, file->stream) == size_bytes) /* an empty tensor has no data */
        return SPT_OK;
    return spt_fail(SPT_EIO, "%s: cannot be written: %s", file->path, strerror(errno));
}

spt_status spt_tensor_writer_open(spt_tensor_writer *out, const char *path) {
    *out = (spt_tensor_writer){0};
    SPT_TRY(spt_file_writer_open(&out->file, path));
    out->header = json_object();
    if (out->header != NULL)
        return SPT_OK;
    spt_tensor_writer_discard(out);
    return fail_memory();
}

spt_status spt_tensor_writer_set_metadata(spt_tensor_writer *writer, json_t *metadata) {
    return json_object_set(writer->header, SPT_TENSORS_METADATA, metadata) == 0 ? SPT_OK : fail_memory();
}

spt_status spt_tensor_writer_declare(spt_tensor_writer *writer, const char *name, const char *dtype, json_t *shape,
                                     int64_t size_bytes) {
    if (json_object_get(writer->header, name) != NULL) {
        json_decref(shape);
        return spt_fail(SPT_EINVAL, "%s: expected a tensor name once, found %s twice", writer->file.path, name);
    }
    const int64_t begin = writer->declared;
    writer->declared += size_bytes;
    json_t *entry = json_pack("{ss so s[II]}", "dtype", dtype, "shape", shape, "data_offsets", (json_int_t)begin,
                              (json_int_t)writer->declared);
    if (entry == NULL || json_object_set_new(writer->header, name, entry) != 0)
        return fail_memory();
    return SPT_OK;
}

spt_status spt_tensor_writer_begin(spt_tensor_writer *writer) {
    char *text = json_dumps(writer->header, JSON_COMPACT);
    if (text == NULL)
        return fail_memory();
    const size_t length = strlen(text), padded = (length + 7) / 8 * 8; /* data begins at a multiple of 8 */
    for (int i = 0; i < 8; i++)
        fputc((int)(padded >> 8 * i & 255), writer->file.stream);
    fprintf(writer->file.stream, "%-*s", (int)padded, text);
    json_free_t release;
    json_get_alloc_funcs(NULL, &release);
    release(text);
    return SPT_OK;
}

spt_status spt_tensor_writer_add(spt_tensor_writer *writer, const void *data, size_t size_bytes) {
    writer->written += (int64_t)size_bytes;
    return add_bytes(&writer->file, data, size_bytes);
}

spt_status spt_tensor_writer_finish(spt_tensor_writer *writer) {
    assert(writer->written == writer->declared);
    return spt_file_writer_finish(&writer->file);
}

void spt_tensor_writer_discard(spt_tensor_writer *writer) {
    spt_file_writer_discard(&writer->file);
    json_decref(writer->header);
    *writer = (spt_tensor_writer){0};
}

spt_status spt_npy_write(spt_file_writer *out, const char *path, const char *dtype, const int64_t *shape, int n_dims,
                         const void *data, size_t size_bytes) {
    static const struct {
        const char *dtype, *kind;
    } kinds[] = {{"F16", "<f2"}, {"F32", "<f4"}, {"F64", "<f8"}, {"I32", "<i4"}, {"U8", "|u1"}};
    const char *kind = NULL;
    char storage[256];
    spt_text header;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        kind = strcmp(kinds[i].dtype, dtype) == 0 ? kinds[i].kind : kind;
    if (kind == NULL)
        return spt_fail(SPT_EUNSUPPORTED, "%s: .npy has no element type for %s; write .safetensors", path, dtype);
    spt_text_init(&header, storage, sizeof storage);
    spt_text_add(&header, "{'descr': '%s', 'fortran_order': False, 'shape': (", kind);
    for (int i = 0; i < n_dims; i++)
        spt_text_add(&header, "%" PRId64 "%s", shape[i], i + 1 < n_dims ? ", " : n_dims == 1 ? ",), }" : "), }");
    const int padded = (int)((10 + header.length + 1 + 63) / 64 * 64 - 10);
    SPT_TRY(spt_file_writer_open(out, path));
    fwrite("\x93NUMPY\x01\x00", 1, 8, out->stream);
    fputc(padded & 255, out->stream);
    fputc(padded >> 8, out->stream);
    fprintf(out->stream, "%-*s\n", padded - 1, header.data);
    return add_bytes(out, data, size_bytes);
}
