/* SPDX-License-Identifier: Apache-2.0 */
/* Files of lines, compressed with gzip or not: read one line at a time in bounded memory, written so that a file
 * appears whole or not at all. */
#ifndef SPT_DB_LINES_H
#define SPT_DB_LINES_H

#include <stdbool.h>
#include <stdint.h>
#include <zlib.h>

#include "core/file.h"

typedef struct spt_line_reader {
    gzFile stream;
    const char *path;
    char *line; /* without its newline, terminated; valid until the next call */
    size_t size, capacity;
    int64_t number; /* of this line, from 1 on */
} spt_line_reader;

/* path "-": standard input. Compressed or not is seen from the first bytes. Errors: EIO, EINVAL (a folder). */
spt_status spt_line_reader_open(spt_line_reader *out, const char *path);
/* The next line. Errors: ENOTFOUND at the end; EINVAL for a line that is too long, after which reading goes on; EIO for
 * a stream that is damaged or cut off, after which it does not. */
spt_status spt_line_reader_next(spt_line_reader *reader);
/* Back to the first line. Errors: EUNSUPPORTED where that cannot be: a pipe. */
spt_status spt_line_reader_rewind(spt_line_reader *reader);
void spt_line_reader_close(spt_line_reader *reader); /* safe on a zeroed struct */

typedef struct spt_line_writer {
    FILE *stream; /* where lines go when nothing is compressed */
    gzFile compressed;
    bool has_file;
    spt_file_writer file;
    const char *path;
} spt_line_writer;

/* path NULL: `stream` is written, which the caller keeps. A name that ends in .gz is compressed. */
spt_status spt_line_writer_open(spt_line_writer *out, const char *path, FILE *stream);
spt_status spt_line_write(spt_line_writer *writer, const char *line, size_t size); /* adds the newline */
spt_status spt_line_writer_commit(spt_line_writer *writer);
void spt_line_writer_discard(spt_line_writer *writer); /* safe after commit and on a zeroed struct */

#endif
