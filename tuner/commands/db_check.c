/* SPDX-License-Identifier: Apache-2.0 */
/* `sparsetune db check` and `coverage`: what this version would use of a database, and what is tuned where. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/memory.h"
#include "core/text.h"
#include "db/list.h"
#include "tuner/judge.h"
#include "tuner/commands/db_verbs.h"

/* Open a database with its judge, for verbs that only read. Owns: both, also when it is only one. */
static spt_status open_both(spt_db **db, spt_judge *judge, const char *given) {
    char path[SPT_DB_PATH_MAX];
    SPT_TRY(spt_db_verb_open(db, path, given, SPT_DB_READ));
    return spt_judge_init(judge, *db);
}

/* ---- check ---- */

typedef struct check_counts {
    int64_t n_records, n_verdicts[3];
    int64_t n_problems, n_without; /* problems with winners; of them, without one that is used */
    bool has_used;                 /* the problem at hand has one */
} check_counts;

static spt_status print_verdict(const spt_listing *item, spt_verdict verdict, const char *reason, bool json) {
    const spt_winner *winner = &item->winner;
    char key[SPT_HASH_TEXT_SIZE], fingerprint[SPT_HASH_TEXT_SIZE];
    spt_hash_text(key, item->problem.key.hash);
    spt_hash_text(fingerprint, item->problem.fingerprint);
    if (json)
        return spt_json_print(json_pack("{ss ss sI ss si ss si ss ss ss}", "key", key, "pattern", fingerprint, "n",
                                        (json_int_t)item->problem.n, "device", item->problem.device_key, "rank",
                                        winner->rank, "family", winner->family, "revision", winner->revision, "point",
                                        winner->point, "verdict", spt_verdict_name(verdict), "reason", reason));
    printf("%-6s  %.12s n=%-6" PRId64 " rank %d  %s %s: %s\n", spt_verdict_name(verdict), key, item->problem.n,
           winner->rank, winner->family, winner->point, reason);
    return SPT_OK;
}

static spt_status check_winner(check_counts *counts, const spt_judge *judge, const spt_listing *item, bool json) {
    char reason[SPT_VERDICT_REASON_MAX];
    const spt_verdict verdict = spt_judge_winner(reason, judge, item);
    counts->n_records++;
    counts->n_verdicts[verdict]++;
    counts->has_used |= verdict != SPT_VERDICT_UNUSED;
    return verdict == SPT_VERDICT_USED ? SPT_OK : print_verdict(item, verdict, reason, json);
}

static void end_problem(check_counts *counts, bool has_problem) {
    counts->n_problems += has_problem;
    counts->n_without += has_problem && !counts->has_used;
    counts->has_used = false;
}

static spt_status check_all(check_counts *counts, spt_db *db, const spt_judge *judge, bool json) {
    spt_list list;
    spt_hash128 key = {0};
    bool has_problem = false;
    spt_status status;
    SPT_TRY(spt_list_open(&list, db, true));
    while ((status = spt_list_next(&list)) == SPT_OK) {
        if (!list.item.has_winner)
            continue;
        if (!spt_hash_equal(key, list.item.problem.key.hash)) {
            end_problem(counts, has_problem);
            key = list.item.problem.key.hash;
            has_problem = true;
        }
        SPT_TRY_TO(done, check_winner(counts, judge, &list.item, json));
    }
    end_problem(counts, has_problem);
    status = status == SPT_ENOTFOUND ? SPT_OK : status;
done:
    spt_list_close(&list);
    return status;
}

spt_status spt_db_verb_check(int argc, char **argv, int *exit_code) {
    const char *given = NULL;
    bool json = false;
    const spt_option rows[] = {{"--db", SPT_OPTION_TEXT, &given}, {"--json", SPT_OPTION_FLAG, &json}};
    spt_db *db = NULL;
    spt_judge judge = {0};
    check_counts counts = {0};
    int n_arguments;
    SPT_TRY(spt_options_parse(&n_arguments, argc, argv, rows, SPT_N_ROWS(rows), NULL));
    SPT_TRY(spt_db_verb_arguments(n_arguments, 0, 0, "no argument but options"));
    spt_status status = open_both(&db, &judge, given);
    if (status == SPT_OK)
        status = check_all(&counts, db, &judge, json);
    spt_judge_fini(&judge);
    spt_db_close(db);
    SPT_TRY(status);
    if (counts.n_verdicts[SPT_VERDICT_UNUSED] > 0)
        *exit_code = SPT_EXIT_NEGATIVE;
    char line[256];
    snprintf(line, sizeof line,
             "%" PRId64 " records of %" PRId64 " problems: %" PRId64 " used, %" PRId64 " used and stale, %" PRId64
             " not used; %" PRId64 " problems have none that is used",
             counts.n_records, counts.n_problems, counts.n_verdicts[SPT_VERDICT_USED],
             counts.n_verdicts[SPT_VERDICT_STALE], counts.n_verdicts[SPT_VERDICT_UNUSED], counts.n_without);
    if (json)
        spt_say("%s", line);
    else
        printf("%s\n", line);
    return SPT_OK;
}

/* ---- coverage ---- */

/* A problem on one device. */
typedef struct cell {
    char problem[SPT_KEY_TEXT_MAX]; /* the key's text without its device */
    int64_t device;                 /* index among the judge's */
    bool is_tuned;
    spt_verdict verdict;
    int64_t started_unix_s;
} cell;

typedef struct cell_list {
    cell *items;
    int64_t count, capacity;
} cell_list;

static int by_problem(const void *a, const void *b) {
    const cell *x = a, *y = b;
    const int order = strcmp(x->problem, y->problem);
    return order != 0 ? order : (x->device > y->device) - (x->device < y->device);
}

static spt_status add_cell(cell_list *cells, const spt_judge *judge, const spt_listing *item) {
    char reason[SPT_VERDICT_REASON_MAX];
    const spt_device *device = spt_judge_device(judge, item->problem.device_key);
    if (device == NULL)
        return SPT_OK;
    void *items = cells->items;
    SPT_TRY(spt_grow(&items, &cells->capacity, cells->count, sizeof *cells->items));
    cells->items = items;
    cell *added = &cells->items[cells->count++];
    *added = (cell){.device = device - judge->devices, .is_tuned = item->has_winner};
    const size_t length = strlen(item->problem.key.text) - strlen(device->key) - 1; /* and the bar before it */
    spt_copy_text(added->problem, length + 1, item->problem.key.text);
    if (item->has_winner) {
        added->verdict = spt_judge_winner(reason, judge, item);
        added->started_unix_s = item->started_unix_s;
    }
    return SPT_OK;
}

static spt_status collect_cells(cell_list *cells, spt_db *db, const spt_judge *judge) {
    spt_list list;
    spt_status status;
    SPT_TRY(spt_list_open(&list, db, false));
    while ((status = spt_list_next(&list)) == SPT_OK)
        SPT_TRY_TO(done, add_cell(cells, judge, &list.item));
    status = status == SPT_ENOTFOUND ? SPT_OK : status;
done:
    spt_list_close(&list);
    if (status == SPT_OK && cells->count > 0)
        qsort(cells->items, (size_t)cells->count, sizeof *cells->items, by_problem);
    return status;
}

static const char *state_of(const cell *found) {
    if (found == NULL || !found->is_tuned)
        return "missing";
    return found->verdict == SPT_VERDICT_USED ? "tuned" : spt_verdict_name(found->verdict);
}

typedef struct device_counts {
    int64_t n_tuned, n_stale, n_unused, n_missing;
    int64_t oldest_unix_s, newest_unix_s; /* 0 where nothing is tuned */
} device_counts;

static void count_cell(device_counts *counts, const cell *found) {
    if (found == NULL || !found->is_tuned) {
        counts->n_missing++;
        return;
    }
    counts->n_tuned += found->verdict == SPT_VERDICT_USED;
    counts->n_stale += found->verdict == SPT_VERDICT_STALE;
    counts->n_unused += found->verdict == SPT_VERDICT_UNUSED;
    if (counts->oldest_unix_s == 0 || found->started_unix_s < counts->oldest_unix_s)
        counts->oldest_unix_s = found->started_unix_s;
    if (found->started_unix_s > counts->newest_unix_s)
        counts->newest_unix_s = found->started_unix_s;
}

static int64_t age_s(int64_t unix_s) {
    const int64_t now = (int64_t)time(NULL);
    return unix_s > 0 && unix_s < now ? now - unix_s : 0;
}

/* One problem: its cells [begin, end), a device without one is missing. */
static spt_status take_problem(device_counts *counts, const cell *begin, const cell *end, const spt_judge *judge,
                               bool json, bool with_problems) {
    for (int64_t device = 0; device < judge->n_devices; device++) {
        const cell *found = NULL;
        for (const cell *each = begin; each < end; each++)
            found = each->device == device ? each : found;
        count_cell(&counts[device], found);
        if (json)
            SPT_TRY(spt_json_print(json_pack("{ss ss ss sb sI}", "problem", begin->problem, "device",
                                             judge->devices[device].key, "state", state_of(found), "tuned",
                                             (int)(found != NULL && found->is_tuned), "age_s",
                                             (json_int_t)(found != NULL ? age_s(found->started_unix_s) : 0))));
        else if (with_problems)
            printf("%-8s device %" PRId64 "  %s\n", state_of(found), device + 1, begin->problem);
    }
    return SPT_OK;
}

static void print_devices(const device_counts *counts, const spt_judge *judge) {
    char oldest[SPT_TIME_TEXT_SIZE], newest[SPT_TIME_TEXT_SIZE];
    printf("%-3s %7s %7s %7s %7s %9s %9s  device\n", "", "tuned", "stale", "unused", "missing", "oldest", "newest");
    for (int64_t i = 0; i < judge->n_devices; i++) {
        spt_duration_text(oldest, (double)age_s(counts[i].oldest_unix_s));
        spt_duration_text(newest, (double)age_s(counts[i].newest_unix_s));
        printf("%-3" PRId64 " %7" PRId64 " %7" PRId64 " %7" PRId64 " %7" PRId64 " %9s %9s  %s%s\n", i + 1,
               counts[i].n_tuned, counts[i].n_stale, counts[i].n_unused, counts[i].n_missing, oldest, newest,
               judge->devices[i].key, strcmp(judge->devices[i].key, judge->here.key) == 0 ? " (here)" : "");
    }
}

static spt_status print_coverage(spt_db *db, const spt_judge *judge, bool json, bool with_problems) {
    cell_list cells = {0};
    device_counts *counts = NULL;
    spt_status status = SPT_OK;
    SPT_TRY_TO(done, SPT_NEW_ZEROED(counts, judge->n_devices));
    SPT_TRY_TO(done, collect_cells(&cells, db, judge));
    for (int64_t begin = 0, end = 0; begin < cells.count; begin = end) {
        while (end < cells.count && strcmp(cells.items[end].problem, cells.items[begin].problem) == 0)
            end++;
        SPT_TRY_TO(done, take_problem(counts, cells.items + begin, cells.items + end, judge, json, with_problems));
    }
    if (!json)
        print_devices(counts, judge);
done:
    spt_free(cells.items);
    spt_free(counts);
    return status;
}

spt_status spt_db_verb_coverage(int argc, char **argv, int *exit_code) {
    const char *given = NULL;
    bool json = false, with_problems = false;
    const spt_option rows[] = {{"--db", SPT_OPTION_TEXT, &given},
                               {"--problems", SPT_OPTION_FLAG, &with_problems},
                               {"--json", SPT_OPTION_FLAG, &json}};
    spt_db *db = NULL;
    spt_judge judge = {0};
    int n_arguments;
    (void)exit_code;
    SPT_TRY(spt_options_parse(&n_arguments, argc, argv, rows, SPT_N_ROWS(rows), NULL));
    SPT_TRY(spt_db_verb_arguments(n_arguments, 0, 0, "no argument but options"));
    spt_status status = open_both(&db, &judge, given);
    if (status == SPT_OK)
        status = print_coverage(db, &judge, json, with_problems);
    spt_judge_fini(&judge);
    spt_db_close(db);
    return status;
}
