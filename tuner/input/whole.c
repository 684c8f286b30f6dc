/* SPDX-License-Identifier: Apache-2.0 */
/* Whole files; see whole.h. zlib's own reader of files gives what it has of a stream that was cut, and passes over what
 * lies behind one: a recording without its end would score as a smaller recording. */
#include "tuner/input/whole.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <zlib.h>

#include "core/memory.h"

#define FILE_BYTES_MAX ((size_t)4 << 30) /* with the 0 at the end: sizes fit zlib's 32 bits */
#define CHUNK_BYTES ((size_t)1 << 20)
#define GZIP_WINDOW (MAX_WBITS + 16) /* a gzip header and its checksum are expected */

typedef struct byte_list {
    const char *path; /* for sentences */
    char *data;
    size_t size, capacity;
} byte_list;

/* Room for a chunk and the 0 behind it. */
static spt_status make_room(byte_list *bytes) {
    if (bytes->capacity - bytes->size > CHUNK_BYTES)
        return SPT_OK;
    const size_t larger = bytes->capacity == 0 ? 4 * CHUNK_BYTES : 2 * bytes->capacity;
    char *moved = larger <= FILE_BYTES_MAX ? spt_realloc(bytes->data, bytes->capacity, larger, 1) : NULL;
    if (moved == NULL)
        return spt_fail(SPT_ENOMEM, "%s: too large", bytes->path);
    bytes->data = moved;
    bytes->capacity = larger;
    return SPT_OK;
}

static spt_status read_bytes(byte_list *bytes) {
    spt_status status = SPT_OK;
    FILE *stream = fopen(bytes->path, "rb");
    if (stream == NULL)
        return spt_fail(SPT_EIO, "%s: expected a readable file, found none", bytes->path);
    while (!feof(stream)) {
        SPT_TRY_TO(done, make_room(bytes));
        bytes->size += fread(bytes->data + bytes->size, 1, CHUNK_BYTES, stream);
        if (ferror(stream))
            SPT_TRY_TO(done, spt_fail(SPT_EIO, "%s: expected a whole file, found: %s", bytes->path, strerror(errno)));
    }
done:
    fclose(stream);
    return status;
}

static bool is_gzip(const unsigned char *data, size_t size) {
    return size >= 2 && data[0] == 0x1f && data[1] == 0x8b;
}

/* Unpack up to the end of one stream. */
static spt_status unpack_stream(byte_list *bytes, z_stream *stream) {
    for (int code = Z_OK; code != Z_STREAM_END;) {
        SPT_TRY(make_room(bytes));
        stream->next_out = (Bytef *)bytes->data + bytes->size;
        stream->avail_out = (uInt)CHUNK_BYTES;
        code = inflate(stream, Z_NO_FLUSH);
        bytes->size += CHUNK_BYTES - stream->avail_out;
        if (code == Z_MEM_ERROR)
            return spt_fail(SPT_ENOMEM, "%s: no memory to unpack it", bytes->path);
        if (code == Z_BUF_ERROR)
            return spt_fail(SPT_EINVAL, "%s: expected a whole gzip stream, found its end cut off after byte %lu",
                            bytes->path, stream->total_in);
        if (code != Z_OK && code != Z_STREAM_END)
            return spt_fail(SPT_EINVAL, "%s: expected a whole gzip stream, found damage at byte %lu: %s", bytes->path,
                            stream->total_in, stream->msg != NULL ? stream->msg : "unknown");
    }
    return SPT_OK;
}

/* Several streams may follow each other, as `cat a.gz b.gz` makes them. */
static spt_status unpack(byte_list *bytes, byte_list *packed) {
    z_stream stream = {.next_in = (Bytef *)packed->data, .avail_in = (uInt)packed->size};
    spt_status status = SPT_OK;
    if (inflateInit2(&stream, GZIP_WINDOW) != Z_OK)
        return spt_fail(SPT_ENOMEM, "%s: no memory to unpack it", bytes->path);
    do {
        SPT_TRY_TO(done, unpack_stream(bytes, &stream));
        if (stream.avail_in > 0 && !is_gzip(stream.next_in, stream.avail_in))
            SPT_TRY_TO(done, spt_fail(SPT_EINVAL, "%s: expected its end behind the gzip stream, found %u more bytes",
                                      bytes->path, stream.avail_in));
    } while (stream.avail_in > 0 && inflateReset(&stream) == Z_OK);
done:
    inflateEnd(&stream);
    return status;
}

spt_status spt_whole_read(char **out, size_t *size, const char *path) {
    byte_list packed = {.path = path}, bytes = {.path = path};
    spt_status status = SPT_OK;
    SPT_TRY_TO(done, read_bytes(&packed));
    if (is_gzip((const unsigned char *)packed.data, packed.size)) {
        SPT_TRY_TO(done, unpack(&bytes, &packed));
    } else {
        bytes = packed;
        packed.data = NULL;
    }
    bytes.data[bytes.size] = '\0';
    *out = bytes.data;
    *size = bytes.size;
    bytes.data = NULL;
done:
    spt_free(packed.data);
    spt_free(bytes.data);
    return status;
}
