/* SPDX-License-Identifier: Apache-2.0 */
/* Files: read a whole regular file within a limit; write one so that it appears whole or not at all. */
#ifndef SPT_CORE_FILE_H
#define SPT_CORE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "core/error.h"

/* Read all bytes of a regular file; data[size] is 0. Errors: EIO (missing, unreadable), EINVAL (a directory or other
 * special file, larger than max_bytes). Owns: free data with spt_free. */
spt_status spt_file_read(char **data, size_t *size, const char *path, size_t max_bytes);

/* Do two paths name one file, whether or not it exists yet? Links are followed. */
bool spt_file_is_same(const char *a, const char *b);

/* A file being written beside its destination; commit flushes, syncs and renames, discard removes it. */
typedef struct spt_file_writer {
    FILE *stream;
    char *path;
    char *temporary_path;
} spt_file_writer;

/* A path that is a link is written through to what it leads to. */
spt_status spt_file_writer_open(spt_file_writer *out, const char *path);
/* The same, but a link is replaced: where others may have put one that leads to a file of the user's. */
spt_status spt_file_writer_open_here(spt_file_writer *out, const char *path);
spt_status spt_file_writer_finish(spt_file_writer *writer); /* all of commit but the rename */
spt_status spt_file_writer_commit(spt_file_writer *writer); /* EIO on a full disk: nothing is left behind */
void spt_file_writer_discard(spt_file_writer *writer);      /* safe after commit and on a zeroed struct */
/* Make a rename in the folder of `path` durable; where it cannot be synced the file is complete all the same. */
void spt_file_sync_folder(const char *path);
/* Remove the temporary files of all writers that are open; a signal's handler may call it. */
void spt_file_remove_unfinished(void);

#endif
