/* SPDX-License-Identifier: Apache-2.0 */
/* .npy of NumPy, format versions 1 to 3 (numpy.lib.format). The header is a Python dictionary with three known keys; it
 * is searched for them, not evaluated. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/memory.h"
#include "core/text.h"
#include "tuner/input/loaders.h"

enum { DIMS_MAX = SPT_WEIGHT_DIMS_MAX, HEADER_MAX = 65536 };

typedef struct npy_header {
    char kind[8]; /* <f4 and so on */
    bool is_fortran;
    int64_t shape[DIMS_MAX];
    int n_dims;
} npy_header;

/* The text after "'key':", with leading spaces skipped; NULL where the key is missing. */
static const char *value_of(const char *header, const char *key) {
    char quoted[32];
    snprintf(quoted, sizeof quoted, "'%s':", key);
    const char *found = strstr(header, quoted);
    return found != NULL ? found + strlen(quoted) + strspn(found + strlen(quoted), " ") : NULL;
}

static spt_status parse_shape(npy_header *out, const char *path, const char *text) {
    if (*text != '(')
        return spt_fail(SPT_EINVAL, "%s: expected a shape in parentheses in the header", path);
    for (text++; *text != ')';) {
        char *end;
        const int64_t extent = strtoll(text, &end, 10);
        if (end == text || out->n_dims == DIMS_MAX)
            return spt_fail(SPT_EINVAL, "%s: expected a shape of 2 or 4 extents in the header", path);
        out->shape[out->n_dims++] = extent;
        text = end + strspn(end, ", ");
    }
    if (out->n_dims != 2 && out->n_dims != 4)
        return spt_fail(SPT_EINVAL, "%s: expected 2 or 4 dimensions, found %d", path, out->n_dims);
    return SPT_OK;
}

static spt_status parse_header(npy_header *out, const char *path, const char *text) {
    const char *kind = value_of(text, "descr"), *order = value_of(text, "fortran_order");
    const char *shape = value_of(text, "shape");
    *out = (npy_header){0};
    if (kind == NULL || order == NULL || shape == NULL)
        return spt_fail(SPT_EINVAL, "%s: expected the keys descr, fortran_order and shape in the header", path);
    if (sscanf(kind, "'%7[^']'", out->kind) != 1)
        return spt_fail(SPT_EINVAL, "%s: expected a plain element type in the header", path);
    spt_make_printable(out->kind);
    out->is_fortran = strncmp(order, "True", 4) == 0;
    if (!out->is_fortran && strncmp(order, "False", 5) != 0)
        return spt_fail(SPT_EINVAL, "%s: expected fortran_order True or False in the header", path);
    return parse_shape(out, path, shape);
}

/* Where element `index` of row-major order is in Fortran order. */
static int64_t fortran_index(int64_t index, const npy_header *header) {
    int64_t at = 0, stride = 1, extents[DIMS_MAX] = {0};
    for (int i = header->n_dims - 1; i >= 0; i--) {
        extents[i] = index % header->shape[i];
        index /= header->shape[i];
    }
    for (int i = 0; i < header->n_dims; i++) {
        at += extents[i] * stride;
        stride *= header->shape[i];
    }
    return at;
}

static const struct {
    const char *kind, *dtype; /* dtype in the words of spt_weights */
    int bytes;
} kinds[] = {{"<f2", "F16", 2}, {"<f4", "F32", 4}, {"<f8", "F64", 8}};
enum { N_KINDS = sizeof kinds / sizeof kinds[0] };

static spt_status read_elements(spt_weights *out, const char *path, const npy_header *header, const char *data,
                                size_t size) {
    int kind = 0;
    int64_t count;
    while (kind < N_KINDS && strcmp(header->kind, kinds[kind].kind) != 0)
        kind++;
    if (kind == N_KINDS)
        return spt_fail(SPT_EINVAL, "%s: expected element type <f2, <f4 or <f8, found '%s'", path, header->kind);
    const int bytes = kinds[kind].bytes;
    SPT_TRY(spt_shape_count(&count, path, header->shape, header->n_dims, (int64_t)size / bytes));
    if ((size_t)count * (size_t)bytes != size)
        return spt_fail(SPT_EINVAL, "%s: expected %" PRId64 " bytes of elements, found %zu", path, count * bytes, size);
    SPT_TRY(spt_weights_init(out, kinds[kind].dtype, header->shape, header->n_dims));
    char *raw = out->raw;
    for (int64_t i = 0; i < count; i++) {
        const int64_t from = header->is_fortran ? fortran_index(i, header) : i;
        memcpy(raw + i * bytes, data + from * bytes, (size_t)bytes);
    }
    return SPT_OK;
}

spt_status spt_npy_read(spt_weights *out, const char *path, const char *data, size_t size) {
    static const unsigned char magic[6] = {0x93, 'N', 'U', 'M', 'P', 'Y'};
    *out = (spt_weights){0};
    if (size == 0)
        return spt_fail(SPT_EINVAL, "%s: expected a .npy file, found an empty file", path);
    if (size < 12 || memcmp(data, magic, sizeof magic) != 0 || data[6] < 1 || data[6] > 3)
        return spt_fail(SPT_EINVAL, "%s: expected a .npy file of version 1 to 3, found another beginning", path);
    const unsigned char *length_bytes = (const unsigned char *)data + 8;
    const size_t length_size = data[6] == 1 ? 2 : 4;
    size_t length = 0;
    for (size_t i = length_size; i-- > 0;)
        length = length << 8 | length_bytes[i];
    const size_t begin = 8 + length_size;
    if (length > HEADER_MAX || length > size - begin)
        return spt_fail(SPT_EINVAL, "%s: expected a header of at most %d bytes within the file, found %zu", path,
                        HEADER_MAX, length);
    char *text = spt_alloc(length + 1, 1);
    if (text == NULL)
        return SPT_ENOMEM;
    memcpy(text, data + begin, length);
    text[length] = '\0';
    npy_header header;
    spt_status status = parse_header(&header, path, text);
    spt_free(text);
    if (status == SPT_OK)
        status = read_elements(out, path, &header, data + begin + length, size - begin - length);
    return status;
}

spt_status spt_parse_npy(spt_matrix *out, const char *path, const char *data, size_t size) {
    spt_weights weights;
    *out = (spt_matrix){0};
    SPT_TRY(spt_npy_read(&weights, path, data, size));
    SPT_TRY(spt_weights_widen(&weights));
    const spt_status status = spt_matrix_from_weights(out, path, weights.data, weights.shape, weights.n_dims);
    spt_weights_fini(&weights);
    return status;
}
