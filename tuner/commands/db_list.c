/* SPDX-License-Identifier: Apache-2.0 */
/* `sparsetune db list`: the winners, filtered, one line each. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/text.h"
#include "db/list.h"
#include "tuner/commands/db_verbs.h"

/* What a winner must match; NULL or 0 matches everything. */
typedef struct list_filter {
    const char *op, *dtype, *layout, *epilogue, *family, *device, *pattern;
    int64_t m, k, n, threads;
} list_filter;

static bool is_name(const char *wanted, const char *found) {
    return wanted == NULL || strcmp(wanted, found) == 0;
}

static bool is_number(int64_t wanted, int64_t found) {
    return wanted == 0 || wanted == found;
}

static bool passes(const list_filter *filter, const spt_listing *item) {
    const spt_item_problem *problem = &item->problem;
    char fingerprint[SPT_HASH_TEXT_SIZE];
    spt_hash_text(fingerprint, problem->fingerprint);
    return item->has_winner && is_name(filter->op, spt_op_name(problem->op)) &&
           is_name(filter->dtype, spt_dtype_name(problem->dtype)) &&
           is_name(filter->layout, spt_layout_name(problem->layout)) &&
           is_name(filter->epilogue, spt_epilogue_name(problem->epilogue)) &&
           is_name(filter->family, item->winner.family) && is_number(filter->m, problem->m) &&
           is_number(filter->k, problem->k) && is_number(filter->n, problem->n) &&
           is_number(filter->threads, problem->threads) &&
           (filter->device == NULL || strstr(problem->device_key, filter->device) != NULL) &&
           (filter->pattern == NULL || strncmp(fingerprint, filter->pattern, strlen(filter->pattern)) == 0);
}

static spt_status print_json(const spt_listing *item) {
    const spt_item_problem *problem = &item->problem;
    const spt_winner *winner = &item->winner;
    char key[SPT_HASH_TEXT_SIZE], fingerprint[SPT_HASH_TEXT_SIZE];
    spt_hash_text(key, problem->key.hash);
    spt_hash_text(fingerprint, problem->fingerprint);
    return spt_json_print(json_pack(
        "{s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:i, s:s, s:s, s:i, s:s, s:i, s:s, s:f, s:f, s:f, s:f,"
        " s:I, s:i, s:b, s:s, s:I, s:f}",
        "key", key, "pattern", fingerprint, "op", spt_op_name(problem->op), "dtype", spt_dtype_name(problem->dtype),
        "layout", spt_layout_name(problem->layout), "epilogue", spt_epilogue_name(problem->epilogue), "m",
        (json_int_t)problem->m, "k", (json_int_t)problem->k, "n", (json_int_t)problem->n, "nnz", (json_int_t)item->nnz,
        "threads", problem->threads, "cache", spt_cache_name(problem->cache), "device", problem->device_key, "rank",
        winner->rank, "family", winner->family, "revision", winner->revision, "point", winner->point, "time_ns_median",
        winner->time_ns_median, "ci_ns", winner->ci_ns, "speedup_over_default", winner->speedup_over_default,
        "speedup_over_dense", winner->speedup_over_dense, "trials", (json_int_t)item->n_trials, "rounds",
        item->n_rounds, "pinned", (int)item->is_pinned, "session", item->session, "started_unix_s",
        (json_int_t)item->started_unix_s, "compile_ns", item->compile_ns));
}

static void print_text(const spt_listing *item) {
    const spt_item_problem *problem = &item->problem;
    const spt_winner *winner = &item->winner;
    char key[SPT_HASH_TEXT_SIZE], time[SPT_TIME_TEXT_SIZE], shape[64], over_dense[SPT_RATIO_TEXT_SIZE],
        over_default[SPT_RATIO_TEXT_SIZE];
    spt_hash_text(key, problem->key.hash);
    spt_ratio_text(over_dense, winner->speedup_over_dense);
    spt_ratio_text(over_default, winner->speedup_over_default);
    spt_time_text(time, winner->time_ns_median);
    snprintf(shape, sizeof shape, "%" PRId64 "x%" PRId64 " n=%" PRId64, problem->m, problem->k, problem->n);
    printf("%.12s %-5s %-3s %-2s %-9s %-20s t=%-3d %d %9s %6s %6s  %s %s%s\n", key, spt_op_name(problem->op),
           spt_dtype_name(problem->dtype), spt_layout_name(problem->layout), spt_epilogue_name(problem->epilogue),
           shape, problem->threads, winner->rank, time, over_dense, over_default, winner->family, winner->point,
           item->is_pinned ? " (pinned)" : "");
}

/* How many winners were looked at, and how many of them passed. */
typedef struct list_counts {
    int64_t n_seen, n_printed;
} list_counts;

static spt_status print_list(list_counts *counts, spt_db *db, const list_filter *filter, bool all_ranks, bool json) {
    spt_list list;
    spt_status status;
    SPT_TRY(spt_list_open(&list, db, all_ranks));
    while ((status = spt_list_next(&list)) == SPT_OK) {
        counts->n_seen += list.item.has_winner;
        if (!passes(filter, &list.item))
            continue;
        if (!json && counts->n_printed == 0)
            printf("%-12s %-5s %-3s %-2s %-9s %-20s %-5s # %9s %6s %6s  winner\n", "key", "op", "", "", "epilogue",
                   "shape", "", "time", "xdense", "xdef");
        counts->n_printed++;
        if (!json)
            print_text(&list.item);
        else if ((status = print_json(&list.item)) != SPT_OK)
            break;
    }
    spt_list_close(&list);
    return status == SPT_ENOTFOUND ? SPT_OK : status;
}

/* Say what was not found: the options that select, as they were given. */
static void say_nothing(const char *path, int64_t n_seen, const spt_option *rows, int n_rows) {
    char wanted[512];
    spt_text text;
    spt_text_init(&text, wanted, sizeof wanted);
    for (int i = 0; i < n_rows; i++) {
        if (rows[i].kind == SPT_OPTION_TEXT && *(const char **)rows[i].out != NULL)
            spt_text_add(&text, " %s %s", rows[i].name, *(const char **)rows[i].out);
        else if (rows[i].kind == SPT_OPTION_COUNT && *(int64_t *)rows[i].out != 0)
            spt_text_add(&text, " %s %" PRId64, rows[i].name, *(int64_t *)rows[i].out);
    }
    if (n_seen == 0)
        spt_say("%s: no winners", path);
    else
        spt_say("%s: none of %" PRId64 " winners matches%s", path, n_seen, wanted);
}

spt_status spt_db_verb_list(int argc, char **argv, int *exit_code) {
    const char *given = NULL;
    list_filter filter = {0};
    bool json = false, all_ranks = false;
    const spt_option rows[] = {
        {"--db", SPT_OPTION_TEXT, &given},
        {"--op", SPT_OPTION_TEXT, &filter.op},
        {"--dtype", SPT_OPTION_TEXT, &filter.dtype},
        {"--layout", SPT_OPTION_TEXT, &filter.layout},
        {"--epilogue", SPT_OPTION_TEXT, &filter.epilogue},
        {"--family", SPT_OPTION_TEXT, &filter.family},
        {"--device", SPT_OPTION_TEXT, &filter.device},
        {"--pattern", SPT_OPTION_TEXT, &filter.pattern},
        {"--m", SPT_OPTION_COUNT, &filter.m},
        {"--k", SPT_OPTION_COUNT, &filter.k},
        {"--n", SPT_OPTION_COUNT, &filter.n},
        {"--threads", SPT_OPTION_COUNT, &filter.threads},
        {"--all", SPT_OPTION_FLAG, &all_ranks},
        {"--json", SPT_OPTION_FLAG, &json},
    };
    char path[SPT_DB_PATH_MAX];
    spt_db *db;
    int n_arguments;
    list_counts counts = {0};
    SPT_TRY(spt_options_parse(&n_arguments, argc, argv, rows, SPT_N_ROWS(rows), NULL));
    SPT_TRY(spt_db_verb_arguments(n_arguments, 0, 0, "no argument but options"));
    SPT_TRY(spt_db_verb_open(&db, path, given, SPT_DB_READ));
    const spt_status status = print_list(&counts, db, &filter, all_ranks, json);
    spt_db_close(db);
    if (status == SPT_OK && counts.n_printed == 0) {
        say_nothing(path, counts.n_seen, rows + 1, SPT_N_ROWS(rows) - 1); /* all but --db */
        *exit_code = SPT_EXIT_NEGATIVE;
    }
    return status;
}
