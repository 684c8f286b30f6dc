/* SPDX-License-Identifier: Apache-2.0 */
/* Lines through zlib, which passes uncompressed files on as they are; see lines.h. */
#include "db/lines.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/memory.h"

/* The largest record is a pattern with positions of 16 MiB, a third more as text. */
#define LINE_BYTES_MAX ((size_t)32 << 20)
enum { LINE_BYTES_FIRST = 4096, BUFFER_BYTES = 1 << 17 };

spt_status spt_line_reader_open(spt_line_reader *out, const char *path) {
    struct stat info;
    *out = (spt_line_reader){.path = path};
    const bool is_input = strcmp(path, "-") == 0;
    const int fd = is_input ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return spt_fail(SPT_EIO, "%s: cannot be opened: %s", path, strerror(errno));
    if (fstat(fd, &info) == 0 && S_ISDIR(info.st_mode)) {
        close(fd);
        return spt_fail(SPT_EINVAL, "%s: expected a file, found a folder", path);
    }
    out->stream = gzdopen(fd, "rb");
    if (out->stream == NULL) {
        close(fd);
        return spt_fail(SPT_ENOMEM, "expected memory for reading %s, found none", path);
    }
    gzbuffer(out->stream, BUFFER_BYTES);
    out->capacity = LINE_BYTES_FIRST;
    const spt_status status = SPT_NEW(out->line, out->capacity);
    if (status != SPT_OK)
        spt_line_reader_close(out);
    return status;
}

static spt_status fail_stream(const spt_line_reader *reader) {
    int code;
    const char *what = gzerror(reader->stream, &code);
    return spt_fail(SPT_EIO, "expected whole lines, found a damaged or cut-off file (%s)",
                    code == Z_ERRNO ? strerror(errno) : what);
}

/* Double the line's room. Errors: EINVAL when it is as large as it may be. */
static spt_status make_room(spt_line_reader *reader) {
    if (reader->capacity >= LINE_BYTES_MAX)
        return spt_fail(SPT_EINVAL, "expected a line of at most %zu bytes, found a longer one", LINE_BYTES_MAX);
    char *larger = spt_realloc(reader->line, reader->capacity, 2 * reader->capacity, 1);
    if (larger == NULL)
        return SPT_ENOMEM;
    reader->line = larger;
    reader->capacity *= 2;
    return SPT_OK;
}

/* Read to the end of a line that is too long to keep. */
static void skip_line(spt_line_reader *reader) {
    int c;
    do
        c = gzgetc(reader->stream);
    while (c >= 0 && c != '\n');
}

/* A NUL inside of a line would hide the rest from gzgets' caller: characters are counted by the stream's position. */
spt_status spt_line_reader_next(spt_line_reader *reader) {
    reader->size = 0;
    reader->number++;
    for (;;) {
        const size_t room = reader->capacity - reader->size;
        const z_off_t before = gztell(reader->stream);
        if (gzgets(reader->stream, reader->line + reader->size, (int)room) == NULL)
            break;
        reader->size += (size_t)(gztell(reader->stream) - before);
        if (reader->line[reader->size - 1] == '\n') {
            reader->line[--reader->size] = '\0';
            return SPT_OK;
        }
        if (reader->size + 1 < reader->capacity)
            break; /* the last line has no newline */
        const spt_status status = make_room(reader);
        if (status == SPT_EINVAL)
            skip_line(reader);
        SPT_TRY(status);
    }
    int code;
    gzerror(reader->stream, &code);
    if (code != Z_OK && code != Z_STREAM_END)
        return fail_stream(reader);
    if (reader->size > 0)
        return SPT_OK;
    reader->number--;
    return SPT_ENOTFOUND;
}

spt_status spt_line_reader_rewind(spt_line_reader *reader) {
    if (gzrewind(reader->stream) != 0)
        return spt_fail(SPT_EUNSUPPORTED, "%s: expected a file that can be read twice, found a pipe", reader->path);
    reader->number = 0;
    return SPT_OK;
}

void spt_line_reader_close(spt_line_reader *reader) {
    if (reader->stream != NULL)
        gzclose(reader->stream);
    spt_free(reader->line);
    *reader = (spt_line_reader){0};
}

static bool ends_with_gz(const char *path) {
    const size_t length = strlen(path);
    return length > 3 && strcmp(path + length - 3, ".gz") == 0;
}

/* The compressor writes through a descriptor of its own; without a time and a name in its header equal lines give equal
 * files. */
static spt_status open_compressed(spt_line_writer *out) {
    const int fd = dup(fileno(out->file.stream));
    out->compressed = fd >= 0 ? gzdopen(fd, "wb6") : NULL;
    if (out->compressed != NULL)
        return SPT_OK;
    if (fd >= 0)
        close(fd);
    return spt_fail(SPT_ENOMEM, "expected memory for compressing %s, found none", out->path);
}

spt_status spt_line_writer_open(spt_line_writer *out, const char *path, FILE *stream) {
    *out = (spt_line_writer){.stream = stream, .path = path != NULL ? path : "standard output"};
    if (path == NULL)
        return SPT_OK;
    SPT_TRY(spt_file_writer_open(&out->file, path));
    out->has_file = true;
    out->stream = out->file.stream;
    const spt_status status = ends_with_gz(path) ? open_compressed(out) : SPT_OK;
    if (status != SPT_OK)
        spt_line_writer_discard(out);
    return status;
}

spt_status spt_line_write(spt_line_writer *writer, const char *line, size_t size) {
    bool is_written;
    errno = 0;
    if (writer->compressed != NULL)
        is_written =
            gzwrite(writer->compressed, line, (unsigned)size) == (int)size && gzputc(writer->compressed, '\n') >= 0;
    else
        is_written = fwrite(line, 1, size, writer->stream) == size && fputc('\n', writer->stream) != EOF;
    if (is_written)
        return SPT_OK;
    return spt_fail(SPT_EIO, "%s: cannot be written: %s", writer->path, strerror(errno != 0 ? errno : EIO));
}

spt_status spt_line_writer_commit(spt_line_writer *writer) {
    spt_status status = SPT_OK;
    errno = 0;
    if (writer->compressed != NULL && gzclose(writer->compressed) != Z_OK)
        status = spt_fail(SPT_EIO, "%s: cannot be written: %s", writer->path, strerror(errno != 0 ? errno : EIO));
    writer->compressed = NULL;
    if (status == SPT_OK && writer->has_file)
        status = spt_file_writer_commit(&writer->file);
    spt_line_writer_discard(writer);
    return status;
}

void spt_line_writer_discard(spt_line_writer *writer) {
    if (writer->compressed != NULL)
        gzclose(writer->compressed);
    if (writer->has_file)
        spt_file_writer_discard(&writer->file);
    *writer = (spt_line_writer){0};
}
