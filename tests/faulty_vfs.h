/* SPDX-License-Identifier: Apache-2.0 */
/* A file system for SQLite that goes wrong at a chosen moment. Every call that changes something (create, write,
 * truncate, sync, delete, map shared memory) counts; the chosen one fails, and what comes after it depends on the
 * fault. Nothing is forced to the disk: what a killed process leaves is what the kernel has, not what the platter has.
 */
#ifndef SPT_TESTS_FAULTY_VFS_H
#define SPT_TESTS_FAULTY_VFS_H

#include <sqlite3.h>
#include <stdbool.h>
#include <string.h>

typedef enum faulty_fault {
    FAULTY_NONE,
    FAULTY_IO_ERROR, /* this call alone fails */
    FAULTY_FULL,     /* the disk is full from here on; deleting still works */
    FAULTY_KILL,     /* nothing reaches the files from here on, as after kill -9 */
    FAULTY_TORN      /* the same, but half of this write does */
} faulty_fault;
#define FAULTY_FAULT_COUNT 5

typedef struct faulty_state {
    faulty_fault fault;
    long at;      /* the call that goes wrong, from 0 on */
    long n_calls; /* so far */
} faulty_state;

static faulty_state faulty;
static sqlite3_vfs *faulty_real;
static sqlite3_vfs faulty_vfs;

typedef struct faulty_file {
    sqlite3_file base;
    sqlite3_file *real; /* lies behind this struct */
} faulty_file;

static inline void faulty_set(faulty_fault fault, long at) {
    faulty = (faulty_state){.fault = fault, .at = at};
}

/* Count a call: SQLITE_OK when it is to happen. *is_torn: half of it is. */
static inline int faulty_count(int io_error, bool is_delete, bool *is_torn) {
    const long call = faulty.n_calls++;
    *is_torn = faulty.fault == FAULTY_TORN && call == faulty.at;
    if (faulty.fault == FAULTY_NONE || call < faulty.at)
        return SQLITE_OK;
    if (faulty.fault == FAULTY_IO_ERROR)
        return call == faulty.at ? io_error : SQLITE_OK;
    if (faulty.fault == FAULTY_FULL)
        return is_delete ? SQLITE_OK : SQLITE_FULL;
    return io_error;
}

static inline sqlite3_file *faulty_of(sqlite3_file *file) {
    return ((faulty_file *)(void *)file)->real;
}

static inline int faulty_close(sqlite3_file *file) {
    return faulty_of(file)->pMethods->xClose(faulty_of(file));
}
static inline int faulty_read(sqlite3_file *file, void *data, int size, sqlite3_int64 at) {
    return faulty_of(file)->pMethods->xRead(faulty_of(file), data, size, at);
}
static inline int faulty_write(sqlite3_file *file, const void *data, int size, sqlite3_int64 at) {
    bool is_torn;
    const int rc = faulty_count(SQLITE_IOERR_WRITE, false, &is_torn);
    if (rc == SQLITE_OK || is_torn) {
        const int done = faulty_of(file)->pMethods->xWrite(faulty_of(file), data, is_torn ? size / 2 : size, at);
        return is_torn ? rc : done;
    }
    return rc;
}
static inline int faulty_truncate(sqlite3_file *file, sqlite3_int64 size) {
    bool is_torn;
    const int rc = faulty_count(SQLITE_IOERR_TRUNCATE, false, &is_torn);
    return rc == SQLITE_OK ? faulty_of(file)->pMethods->xTruncate(faulty_of(file), size) : rc;
}
static inline int faulty_sync(sqlite3_file *file, int flags) {
    bool is_torn;
    (void)file, (void)flags;
    return faulty_count(SQLITE_IOERR_FSYNC, false, &is_torn);
}
static inline int faulty_size(sqlite3_file *file, sqlite3_int64 *size) {
    return faulty_of(file)->pMethods->xFileSize(faulty_of(file), size);
}
static inline int faulty_lock(sqlite3_file *file, int level) {
    return faulty_of(file)->pMethods->xLock(faulty_of(file), level);
}
static inline int faulty_unlock(sqlite3_file *file, int level) {
    return faulty_of(file)->pMethods->xUnlock(faulty_of(file), level);
}
static inline int faulty_check_reserved(sqlite3_file *file, int *out) {
    return faulty_of(file)->pMethods->xCheckReservedLock(faulty_of(file), out);
}
static inline int faulty_control(sqlite3_file *file, int op, void *argument) {
    return faulty_of(file)->pMethods->xFileControl(faulty_of(file), op, argument);
}
static inline int faulty_sector(sqlite3_file *file) {
    return faulty_of(file)->pMethods->xSectorSize(faulty_of(file));
}
static inline int faulty_traits(sqlite3_file *file) {
    return faulty_of(file)->pMethods->xDeviceCharacteristics(faulty_of(file));
}
static inline int faulty_shm_map(sqlite3_file *file, int page, int size, int extend, void volatile **out) {
    bool is_torn;
    const int rc = extend ? faulty_count(SQLITE_IOERR_SHMMAP, false, &is_torn) : SQLITE_OK;
    return rc == SQLITE_OK ? faulty_of(file)->pMethods->xShmMap(faulty_of(file), page, size, extend, out) : rc;
}
static inline int faulty_shm_lock(sqlite3_file *file, int offset, int n, int flags) {
    return faulty_of(file)->pMethods->xShmLock(faulty_of(file), offset, n, flags);
}
static inline void faulty_shm_barrier(sqlite3_file *file) {
    faulty_of(file)->pMethods->xShmBarrier(faulty_of(file));
}
static inline int faulty_shm_unmap(sqlite3_file *file, int delete_it) {
    return faulty_of(file)->pMethods->xShmUnmap(faulty_of(file), delete_it);
}

static const sqlite3_io_methods faulty_methods = {
    .iVersion = 2,
    .xClose = faulty_close,
    .xRead = faulty_read,
    .xWrite = faulty_write,
    .xTruncate = faulty_truncate,
    .xSync = faulty_sync,
    .xFileSize = faulty_size,
    .xLock = faulty_lock,
    .xUnlock = faulty_unlock,
    .xCheckReservedLock = faulty_check_reserved,
    .xFileControl = faulty_control,
    .xSectorSize = faulty_sector,
    .xDeviceCharacteristics = faulty_traits,
    .xShmMap = faulty_shm_map,
    .xShmLock = faulty_shm_lock,
    .xShmBarrier = faulty_shm_barrier,
    .xShmUnmap = faulty_shm_unmap,
};

static inline int faulty_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *out_flags) {
    faulty_file *self = (faulty_file *)(void *)file;
    bool is_torn;
    (void)vfs;
    self->base.pMethods = NULL;
    self->real = (sqlite3_file *)(void *)(self + 1);
    int rc = flags & SQLITE_OPEN_CREATE ? faulty_count(SQLITE_CANTOPEN, false, &is_torn) : SQLITE_OK;
    if (rc == SQLITE_OK)
        rc = faulty_real->xOpen(faulty_real, name, self->real, flags, out_flags);
    if (rc == SQLITE_OK)
        self->base.pMethods = &faulty_methods;
    return rc;
}

static inline int faulty_delete(sqlite3_vfs *vfs, const char *name, int sync_folder) {
    bool is_torn;
    (void)vfs, (void)sync_folder;
    const int rc = faulty_count(SQLITE_IOERR_DELETE, true, &is_torn);
    return rc == SQLITE_OK ? faulty_real->xDelete(faulty_real, name, 0) : rc;
}

/* Make it the file system of every connection that is opened from now on. */
static inline void faulty_install(void) {
    faulty_real = sqlite3_vfs_find(NULL);
    faulty_vfs = *faulty_real;
    faulty_vfs.zName = "faulty";
    faulty_vfs.szOsFile = (int)sizeof(faulty_file) + faulty_real->szOsFile;
    faulty_vfs.xOpen = faulty_open;
    faulty_vfs.xDelete = faulty_delete;
    sqlite3_vfs_register(&faulty_vfs, 1);
}

#endif
