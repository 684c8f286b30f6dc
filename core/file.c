/* SPDX-License-Identifier: Apache-2.0 */
/* Whole files in, whole files out: a reader that trusts no size, a writer whose file appears complete or not at all. */
#include "core/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/memory.h"

/* Read up to `capacity` bytes: a file that grows meanwhile is cut, one that shrinks gives what is there. */
static spt_status read_all(char *data, size_t capacity, size_t *size, int descriptor, const char *path) {
    *size = 0;
    while (*size < capacity) {
        const ssize_t got = read(descriptor, data + *size, capacity - *size);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return spt_fail(SPT_EIO, "%s: cannot be read: %s", path, strerror(errno));
        if (got == 0)
            break;
        *size += (size_t)got;
    }
    return SPT_OK;
}

spt_status spt_file_read(char **data, size_t *size, const char *path, size_t max_bytes) {
    *data = NULL;
    const int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (descriptor < 0)
        return spt_fail(SPT_EIO, "%s: cannot be opened: %s", path, strerror(errno));
    spt_status status = SPT_OK;
    struct stat info;
    if (fstat(descriptor, &info) != 0)
        status = spt_fail(SPT_EIO, "%s: cannot be examined: %s", path, strerror(errno));
    else if (S_ISDIR(info.st_mode))
        status = spt_fail(SPT_EINVAL, "%s: expected a file, found a directory", path);
    else if (!S_ISREG(info.st_mode))
        status = spt_fail(SPT_EINVAL, "%s: expected a regular file, found a device, pipe or socket", path);
    else if ((uint64_t)info.st_size > max_bytes)
        status = spt_fail(SPT_EINVAL, "%s: expected at most %zu bytes, found %lld", path, max_bytes,
                          (long long)info.st_size);
    if (status == SPT_OK)
        status = SPT_NEW(*data, (size_t)info.st_size + 1);
    if (status == SPT_OK)
        status = read_all(*data, (size_t)info.st_size, size, descriptor, path);
    close(descriptor);
    if (status != SPT_OK) {
        spt_free(*data);
        *data = NULL;
        return status;
    }
    (*data)[*size] = '\0';
    return SPT_OK;
}

spt_status spt_file_writer_open(spt_file_writer *out, const char *path) {
    *out = (spt_file_writer){0};
    spt_status status = SPT_OK;
    int descriptor = -1;
    const size_t capacity = strlen(path) + 16;
    if ((out->path = spt_strdup(path)) == NULL) {
        status = SPT_ENOMEM;
        goto done;
    }
    SPT_TRY_TO(done, SPT_NEW(out->temporary_path, capacity));
    snprintf(out->temporary_path, capacity, "%s.XXXXXX", path);
    descriptor = mkostemp(out->temporary_path, O_CLOEXEC);
    if (descriptor < 0) {
        out->temporary_path[0] = '\0'; /* nothing to remove */
        status = spt_fail(SPT_EIO, "%s: cannot be created: %s", path, strerror(errno));
        goto done;
    }
    const mode_t mask = umask(0);
    umask(mask);
    fchmod(descriptor, 0666 & ~mask); /* as fopen would have made it */
    out->stream = fdopen(descriptor, "w");
    if (out->stream == NULL) {
        close(descriptor);
        status = spt_fail(SPT_EIO, "%s: cannot be opened as a stream: %s", path, strerror(errno));
    }
done:
    if (status != SPT_OK)
        spt_file_writer_discard(out);
    return status;
}

spt_status spt_file_writer_commit(spt_file_writer *writer) {
    spt_status status = SPT_OK;
    errno = 0;
    bool is_written = !ferror(writer->stream) && fflush(writer->stream) == 0 && fsync(fileno(writer->stream)) == 0;
    const int write_error = errno;
    is_written = fclose(writer->stream) == 0 && is_written;
    writer->stream = NULL;
    if (!is_written)
        status = spt_fail(SPT_EIO, "%s: cannot be written completely: %s", writer->path,
                          strerror(write_error != 0 ? write_error : EIO));
    else if (rename(writer->temporary_path, writer->path) != 0)
        status = spt_fail(SPT_EIO, "%s: cannot be replaced: %s", writer->path, strerror(errno));
    else
        writer->temporary_path[0] = '\0';
    spt_file_writer_discard(writer);
    return status;
}

void spt_file_writer_discard(spt_file_writer *writer) {
    if (writer->stream != NULL)
        fclose(writer->stream);
    if (writer->temporary_path != NULL && writer->temporary_path[0] != '\0')
        unlink(writer->temporary_path);
    spt_free(writer->temporary_path);
    spt_free(writer->path);
    *writer = (spt_file_writer){0};
}
