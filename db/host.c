/* SPDX-License-Identifier: Apache-2.0 */
/* Random identities, and where a user's database lives. */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/file.h"
#include "core/memory.h"
#include "core/text.h"
#include "db/db.h"

void spt_uuid_new(char out[SPT_UUID_TEXT_SIZE]) {
    uint8_t b[16];
    if (getrandom(b, sizeof b, 0) != (ssize_t)sizeof b) { /* only before the kernel has any entropy */
        const spt_hash128 hash = spt_hash(&(struct { long a, b; }){clock(), getpid()}, 2 * sizeof(long));
        memcpy(b, hash.bytes, sizeof b);
    }
    b[6] = (uint8_t)((b[6] & 0x0f) | 0x40); /* RFC 4122: version 4, variant 1 */
    b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
    snprintf(out, SPT_UUID_TEXT_SIZE, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0],
             b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]);
}

/* The user's data folder for sparsetune. Errors: ENOTFOUND without XDG_DATA_HOME and HOME. */
static spt_status data_folder(char *out, size_t capacity) {
    const char *data = getenv("XDG_DATA_HOME"), *home = getenv("HOME");
    spt_text text;
    spt_text_init(&text, out, capacity);
    if (data != NULL && data[0] == '/')
        spt_text_add(&text, "%s/sparsetune", data);
    else if (home != NULL && home[0] == '/')
        spt_text_add(&text, "%s/.local/share/sparsetune", home);
    else
        return spt_fail(SPT_ENOTFOUND, "expected HOME or XDG_DATA_HOME to name a folder, found neither");
    if (text.overflow)
        return spt_fail(SPT_EINVAL, "expected a data folder of at most %zu characters", capacity - 1);
    return SPT_OK;
}

spt_status spt_db_default_path(char *out, size_t capacity) {
    const char *given = getenv("SPARSETUNE_DB");
    if (given != NULL && given[0] != '\0') {
        if (strlen(given) >= capacity)
            return spt_fail(SPT_EINVAL, "SPARSETUNE_DB: expected at most %zu characters", capacity - 1);
        spt_copy_text(out, capacity, given);
        return SPT_OK;
    }
    char folder[3072];
    SPT_TRY(data_folder(folder, sizeof folder));
    if (snprintf(out, capacity, "%s/tune.db", folder) >= (int)capacity)
        return spt_fail(SPT_EINVAL, "expected a database path of at most %zu characters", capacity - 1);
    return SPT_OK;
}

void spt_db_make_folders(const char *path) {
    char folder[4096];
    spt_copy_text(folder, sizeof folder, path);
    for (char *slash = strchr(folder + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(folder, 0700);
        *slash = '/';
    }
}

static bool is_uuid(const char *text, size_t size) {
    return size >= SPT_UUID_TEXT_SIZE - 1 && strspn(text, "0123456789abcdef-") == SPT_UUID_TEXT_SIZE - 1;
}

static char host_id[SPT_UUID_TEXT_SIZE];
static pthread_once_t host_id_once = PTHREAD_ONCE_INIT;

static void make_host_id(void) {
    char folder[3072], path[3200];
    spt_uuid_new(host_id);
    if (data_folder(folder, sizeof folder) != SPT_OK)
        return;
    snprintf(path, sizeof path, "%s/host-id", folder);
    char *data = NULL;
    size_t size = 0;
    if (spt_file_read(&data, &size, path, 4096) == SPT_OK && is_uuid(data, size)) {
        spt_copy_text(host_id, sizeof host_id, data);
        spt_free(data);
        return;
    }
    spt_free(data);
    spt_db_make_folders(path);
    spt_file_writer writer;
    if (spt_file_writer_open(&writer, path) != SPT_OK)
        return;
    fprintf(writer.stream, "%s\n", host_id);
    spt_file_writer_commit(&writer);
}

void spt_db_host_id(char out[SPT_UUID_TEXT_SIZE]) {
    pthread_once(&host_id_once, make_host_id);
    memcpy(out, host_id, SPT_UUID_TEXT_SIZE);
}
