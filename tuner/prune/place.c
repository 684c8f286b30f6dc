/* SPDX-License-Identifier: Apache-2.0 */
/* Files that belong together get their names together: a rename that fails takes the earlier ones back. A new file and
 * an old one change names, so that the old one is there until all is well; see weights_file.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tuner/prune/weights_file.h"

static bool exchange(const spt_file_writer *file) {
    return renameat2(AT_FDCWD, file->temporary_path, AT_FDCWD, file->path, RENAME_EXCHANGE) == 0;
}

static spt_status place(const spt_file_writer *file) {
    struct stat info;
    const bool is_folder = lstat(file->path, &info) == 0 && S_ISDIR(info.st_mode);
    if (!is_folder && exchange(file))
        return SPT_OK;
    /* there is no old one, or the file system knows no such thing: then the old one is lost if the next file fails */
    if (rename(file->temporary_path, file->path) == 0)
        return SPT_OK;
    return spt_fail(SPT_EIO, "%s: cannot be replaced: %s", file->path, strerror(errno));
}

static void take_back(const spt_file_writer *file) {
    if (!exchange(file)) /* nothing was there before */
        (void)unlink(file->path);
}

spt_status spt_files_place(spt_file_writer *const *files, int n_files, const char *stale) {
    spt_status status = SPT_OK;
    int n_placed = 0;
    for (int i = 0; i < n_files && status == SPT_OK; i++)
        if (files[i]->stream != NULL)
            status = spt_file_writer_finish(files[i]);
    for (; n_placed < n_files && status == SPT_OK; n_placed++)
        if (files[n_placed]->path != NULL)
            status = place(files[n_placed]);
    if (status == SPT_OK && stale != NULL && unlink(stale) != 0 && errno != ENOENT)
        status = spt_fail(SPT_EIO, "%s: cannot be removed: %s", stale, strerror(errno));
    else if (status != SPT_OK)
        n_placed--; /* the last one was not placed */
    for (int i = 0; i < n_files; i++) {
        if (status != SPT_OK && i < n_placed && files[i]->path != NULL)
            take_back(files[i]);
        else if (status == SPT_OK && files[i]->path != NULL)
            spt_file_sync_folder(files[i]->path);
        spt_file_writer_discard(files[i]); /* what has the temporary name now is the old file, or nothing */
    }
    return status;
}
