/* SPDX-License-Identifier: Apache-2.0 */
/* Reading the table `served`; see reader_served.h. Workload: some thousand rows while an application starts, so a
 * problem's text is hashed and parsed once for all its ranks. */
#include "db/reader_served.h"

#include <string.h>

#include "db/reader_row.h"

/* The problem that the rows in hand are about. */
typedef struct served_problem {
    bool is_known;
    spt_hash128 key;
    spt_workload workload;
} served_problem;

typedef struct serving {
    const char *device_key;
    served_problem problem;
} serving;

/* The text must give the key: what it says is then what was tuned. */
static bool take_problem(served_problem *out, const char *text, const spt_hash128 *key, const char *device_key) {
    const char *found_device_key;
    out->key = *key;
    out->is_known = spt_hash_equal(spt_hash(text, strlen(text)), *key) &&
                    spt_key_parse(&out->workload, &found_device_key, text) == SPT_OK &&
                    strcmp(found_device_key, device_key) == 0;
    return out->is_known;
}

static void copy_problem(spt_winner *out, const served_problem *from) {
    const spt_problem *problem = &from->workload.problem;
    const spt_pattern *pattern = &from->workload.pattern;
    out->key = from->key;
    out->is_key_checked = true;
    out->op = problem->op;
    out->dtype = problem->dtype;
    out->layout = problem->layout;
    out->epilogue = problem->epilogue;
    out->cache = problem->cache;
    out->m = pattern->n_rows;
    out->k = pattern->n_cols;
    out->n = problem->n;
    out->threads = problem->threads;
    out->fingerprint = pattern->fingerprint;
}

static bool take_served(spt_winner *out, sqlite3_stmt *row, void *user) {
    serving *self = user;
    char text[SPT_KEY_TEXT_MAX];
    spt_hash128 key;
    int64_t rank, revision;
    if (!spt_row_hash(&key, row, 0) || !spt_row_integer(&rank, row, 1, 0, SPT_RANK_MAX) ||
        !spt_row_text(text, sizeof text, row, 2))
        return false;
    if (text[0] != '\0' ? !take_problem(&self->problem, text, &key, self->device_key)
                        : !self->problem.is_known || !spt_hash_equal(self->problem.key, key))
        return false;
    copy_problem(out, &self->problem);
    out->rank = (int)rank;
    if (!spt_row_name(out->family, sizeof out->family, row, 3) || !spt_row_integer(&revision, row, 4, 0, INT32_MAX) ||
        !spt_row_name(out->point, sizeof out->point, row, 5) || !spt_row_time(&out->time_ns_median, row, 6) ||
        !spt_row_magnitude(&out->speedup_over_default, row, 7) ||
        !spt_row_magnitude(&out->speedup_over_dense, row, 8) ||
        !spt_row_name(out->compiler, sizeof out->compiler, row, 9) ||
        !spt_row_name(out->library, sizeof out->library, row, 10))
        return false;
    out->revision = (int)revision;
    return true;
}

spt_status spt_served_collect(spt_winner_list *out, sqlite3_stmt *statement, sqlite3 *handle, const char *path,
                              const char *device_key) {
    serving self = {.device_key = device_key};
    return spt_winners_collect(out, statement, handle, path, take_served, &self);
}
