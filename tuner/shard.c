/* SPDX-License-Identifier: Apache-2.0 */
/* Shares of a run; see shard.h. Problems go round the shares one by one, so that large layers, which stand together in
 * a suite, are spread. */
#include "tuner/shard.h"

#include <dirent.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "core/text.h"
#include "db/exchange.h"

spt_status spt_shard_parse(spt_shard *out, const char *text) {
    char index[24];
    *out = (spt_shard){1, 1};
    if (text == NULL)
        return SPT_OK;
    const size_t length = strcspn(text, "/");
    spt_copy_text(index, length < sizeof index ? length + 1 : sizeof index, text);
    if (text[length] != '/' || spt_parse_i64(&out->count, text + length + 1, 1, 1000000, "N") != SPT_OK ||
        spt_parse_i64(&out->index, index, 1, out->count, "I") != SPT_OK)
        return spt_fail(SPT_EINVAL, "expected --shard I/N with I from 1 to N, found '%s'", text);
    return SPT_OK;
}

bool spt_shard_has(const spt_shard *shard, int64_t problem) {
    return problem % shard->count == shard->index - 1;
}

static void file_prefix(char out[64], const spt_shard *shard) {
    snprintf(out, 64, "shard-%03" PRId64 "-of-%03" PRId64 "-", shard->index, shard->count);
}

static bool ends_with(const char *name, const char *suffix) {
    const size_t length = strlen(name), suffix_length = strlen(suffix);
    return length > suffix_length && strcmp(name + length - suffix_length, suffix) == 0;
}

/* Take what files of this share know; one that is damaged or locked costs itself. */
static spt_status merge_siblings(spt_db *db, int64_t *n_known, const char *folder, const char *own,
                                 const char *prefix) {
    spt_status status = SPT_OK;
    DIR *stream = opendir(folder);
    for (struct dirent *entry; stream != NULL && status == SPT_OK && (entry = readdir(stream)) != NULL;) {
        char path[PATH_MAX];
        const char *const sources[] = {path};
        spt_merge_result result;
        if (strncmp(entry->d_name, prefix, strlen(prefix)) != 0 || !ends_with(entry->d_name, ".db") ||
            strcmp(entry->d_name, own) == 0 ||
            snprintf(path, sizeof path, "%s/%s", folder, entry->d_name) >= (int)sizeof path)
            continue;
        status = spt_db_merge(&result, db, sources, 1);
        if (status == SPT_OK)
            *n_known += result.n_trials_new;
        else if (status != SPT_ENOMEM)
            status = SPT_OK;
    }
    if (stream != NULL)
        closedir(stream);
    return status;
}

spt_status spt_shard_open(spt_db **out, int64_t *n_known, const char *folder, const spt_shard *shard) {
    char prefix[64], uuid[SPT_UUID_TEXT_SIZE], name[160], path[PATH_MAX];
    *n_known = 0;
    file_prefix(prefix, shard);
    spt_uuid_new(uuid);
    snprintf(name, sizeof name, "%s%s.db", prefix, uuid);
    if (snprintf(path, sizeof path, "%s/%s", folder, name) >= (int)sizeof path)
        return spt_fail(SPT_EINVAL, "expected a shorter name in --db-spool, found %zu characters", strlen(folder));
    spt_db_make_folders(path);
    SPT_TRY(spt_db_open(out, path, SPT_DB_WRITE));
    spt_status status = spt_db_write_alone(*out);
    if (status == SPT_OK)
        status = merge_siblings(*out, n_known, folder, name, prefix);
    if (status == SPT_OK)
        return SPT_OK;
    spt_db_close(*out);
    *out = NULL;
    return status;
}
