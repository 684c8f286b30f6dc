/* SPDX-License-Identifier: Apache-2.0 */
/* Whole files in, whole files out. Nothing but regular files is read or replaced: a FIFO would hang, and renaming over
 * a device node would destroy it. */
#include "core/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/memory.h"

static spt_status fail_os(const char *what, const char *path) {
    int code = errno;
    return spt_fail(SPT_EIO, "%s: %s: %s", path, what, strerror(code));
}

static const char *kind_of(mode_t mode) {
    return S_ISDIR(mode) ? "a directory" : S_ISFIFO(mode) ? "a pipe" : "a special file";
}

/* Read until the end; the file may grow or shrink meanwhile. data has room for capacity + 1 bytes. */
static spt_status read_all(char **data, size_t *size, int fd, const char *path, size_t capacity, size_t max_bytes) {
    char *buffer = *data;
    size_t length = 0;
    for (;;) {
        ssize_t n_read = read(fd, buffer + length, capacity + 1 - length);
        if (n_read < 0 && errno == EINTR)
            continue;
        if (n_read < 0)
            return fail_os("cannot be read", path);
        if (n_read == 0)
            break;
        length += (size_t)n_read;
        if (length > max_bytes)
            return spt_fail(SPT_EINVAL, "%s: expected at most %zu bytes, found more", path, max_bytes);
        if (length <= capacity)
            continue;
        size_t larger = capacity < max_bytes / 2 ? 2 * capacity + 4096 : max_bytes;
        larger = larger < max_bytes ? larger : max_bytes;
        buffer = spt_realloc(*data, capacity + 1, larger + 1, 1);
        if (buffer == NULL)
            return SPT_ENOMEM;
        *data = buffer;
        capacity = larger;
    }
    buffer[length] = 0;
    *size = length;
    return SPT_OK;
}

spt_status spt_file_read(char **data, size_t *size, const char *path, size_t max_bytes) {
    spt_status status = SPT_OK;
    char *buffer = NULL;
    size_t length = 0;
    struct stat info;
    *data = NULL;
    *size = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return fail_os("cannot be opened", path);
    if (fstat(fd, &info) != 0) {
        status = fail_os("cannot be examined", path);
        goto done;
    }
    if (!S_ISREG(info.st_mode)) {
        status = spt_fail(SPT_EINVAL, "%s: expected a regular file, found %s", path, kind_of(info.st_mode));
        goto done;
    }
    if ((uint64_t)info.st_size > max_bytes) {
        status = spt_fail(SPT_EINVAL, "%s: expected at most %zu bytes, found %lld", path, max_bytes,
                          (long long)info.st_size);
        goto done;
    }
    SPT_TRY_TO(done, SPT_NEW(buffer, (size_t)info.st_size + 1));
    SPT_TRY_TO(done, read_all(&buffer, &length, fd, path, (size_t)info.st_size, max_bytes));
    *data = buffer;
    *size = length;
    buffer = NULL;
done:
    spt_free(buffer);
    close(fd);
    return status;
}

/* The temporary files that exist, for whoever ends the process; more than fit are left to their owners alone. */
static _Atomic(char *) unfinished[16];
enum { N_UNFINISHED = sizeof unfinished / sizeof unfinished[0] };

/* Put `to` where `from` is. What ends files is cold: the compiler then takes the shorter code. */
__attribute__((cold)) static void note_unfinished(char *from, char *to) {
    for (int i = 0; i < N_UNFINISHED; i++) {
        char *expected = from;
        if (atomic_compare_exchange_strong(&unfinished[i], &expected, to))
            return;
    }
}

__attribute__((cold)) void spt_file_remove_unfinished(void) {
    for (int i = 0; i < N_UNFINISHED; i++) {
        const char *path = atomic_load(&unfinished[i]);
        if (path != NULL)
            (void)unlink(path);
    }
}

/* Create a new file beside the destination, with the permissions of the one that it replaces, else (`old` NULL) with
 * those that a plain open would give. */
static spt_status create_temporary(int *fd, char *temporary_path, size_t capacity, const char *path,
                                   const struct stat *old) {
    static atomic_uint serial;
    for (int attempt = 0; attempt < 100; attempt++) {
        snprintf(temporary_path, capacity, "%s.%ld-%u.tmp", path, (long)getpid(), atomic_fetch_add(&serial, 1));
        note_unfinished(NULL, temporary_path); /* the name is of this process, so nobody else's file goes with it */
        *fd = open(temporary_path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, old != NULL ? old->st_mode & 0777 : 0666);
        if (*fd >= 0) {
            if (old != NULL)
                (void)fchmod(*fd, old->st_mode & 0777); /* what the umask took; not every file system can */
            return SPT_OK;
        }
        note_unfinished(temporary_path, NULL);
        if (errno != EEXIST)
            break;
    }
    return fail_os("cannot be created", path);
}

/* The folder that a path's file lies in, as "FOLDER/."; false where it does not fit. */
static bool folder_of(char out[PATH_MAX], const char *path) {
    const char *slash = strrchr(path, '/');
    const size_t length = slash == NULL ? 0 : (size_t)(slash - path) + 1;
    if (length + 2 > PATH_MAX)
        return false;
    memcpy(out, path, length);
    memcpy(out + length, ".", 2);
    return true;
}

/* The path without links and dots; of a file that does not exist yet, its folder's and the name. */
static bool resolve(char out[PATH_MAX], const char *path) {
    char folder[PATH_MAX];
    if (realpath(path, out) != NULL)
        return true;
    if (!folder_of(folder, path) || realpath(folder, out) == NULL)
        return false;
    const char *slash = strrchr(path, '/');
    const size_t used = strlen(out);
    return snprintf(out + used, PATH_MAX - used, "/%s", slash == NULL ? path : slash + 1) < (int)(PATH_MAX - used);
}

bool spt_file_is_same(const char *a, const char *b) {
    char paths[2][PATH_MAX];
    if (strcmp(a, b) == 0)
        return true;
    return resolve(paths[0], a) && resolve(paths[1], b) && strcmp(paths[0], paths[1]) == 0;
}

spt_status spt_file_writer_open(spt_file_writer *out, const char *path) {
    struct stat info;
    char target[PATH_MAX];
    *out = (spt_file_writer){0};
    if (lstat(path, &info) == 0 && S_ISLNK(info.st_mode)) {
        if (realpath(path, target) == NULL)
            return fail_os("is a link that leads nowhere", path);
        path = target;
    }
    return spt_file_writer_open_here(out, path);
}

spt_status spt_file_writer_open_here(spt_file_writer *out, const char *path) {
    spt_status status = SPT_OK;
    struct stat info;
    int fd = -1;
    *out = (spt_file_writer){0};
    const size_t capacity = strlen(path) + 48;
    const bool is_there = lstat(path, &info) == 0;
    if (is_there && !S_ISREG(info.st_mode) && !S_ISLNK(info.st_mode))
        return spt_fail(SPT_EINVAL, "%s: expected a regular file or none, found %s", path, kind_of(info.st_mode));
    SPT_TRY_TO(done, (out->path = spt_strdup(path)) != NULL ? SPT_OK : SPT_ENOMEM);
    SPT_TRY_TO(done, SPT_NEW(out->temporary_path, capacity));
    out->temporary_path[0] = 0;
    SPT_TRY_TO(done, create_temporary(&fd, out->temporary_path, capacity, path,
                                      is_there && S_ISREG(info.st_mode) ? &info : NULL));
    out->stream = fdopen(fd, "wb");
    if (out->stream == NULL) {
        status = fail_os("cannot be created", path);
        close(fd);
    }
done:
    if (status != SPT_OK)
        spt_file_writer_discard(out);
    return status;
}

void spt_file_sync_folder(const char *path) {
    char folder[PATH_MAX];
    if (!folder_of(folder, path))
        return;
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return;
    (void)fsync(fd);
    close(fd);
}

__attribute__((cold)) spt_status spt_file_writer_finish(spt_file_writer *writer) {
    spt_status status = SPT_OK;
    FILE *stream = writer->stream;
    writer->stream = NULL;
    errno = 0;
    if (fflush(stream) != 0 || ferror(stream) || fsync(fileno(stream)) != 0) {
        /* a write that failed earlier has lost its errno: one more byte meets the same full disk */
        if (errno == 0 && write(fileno(stream), "", 1) >= 0)
            errno = EIO;
        status = fail_os("cannot be written", writer->path);
    }
    if (fclose(stream) != 0 && status == SPT_OK)
        status = fail_os("cannot be written", writer->path);
    if (status != SPT_OK)
        spt_file_writer_discard(writer);
    return status;
}

spt_status spt_file_writer_commit(spt_file_writer *writer) {
    SPT_TRY(spt_file_writer_finish(writer));
    const bool is_placed = rename(writer->temporary_path, writer->path) == 0;
    const spt_status status = is_placed ? SPT_OK : fail_os("cannot be replaced", writer->path);
    if (is_placed)
        spt_file_sync_folder(writer->path);
    spt_file_writer_discard(writer); /* there is nothing left to remove after the rename */
    return status;
}

__attribute__((cold)) void spt_file_writer_discard(spt_file_writer *writer) {
    if (writer->stream != NULL)
        fclose(writer->stream);
    if (writer->temporary_path != NULL) {
        if (writer->temporary_path[0] != 0)
            unlink(writer->temporary_path);
        note_unfinished(writer->temporary_path, NULL);
    }
    spt_free(writer->path);
    spt_free(writer->temporary_path);
    *writer = (spt_file_writer){0};
}
