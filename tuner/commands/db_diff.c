/* SPDX-License-Identifier: Apache-2.0 */
/* `sparsetune db diff A B`: which records only one of them has, and where their winners differ. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "db/compare.h"
#include "db/list.h"
#include "tuner/commands/db_verbs.h"

typedef struct diff {
    spt_db *databases[2];
    bool json, differs;
} diff;

static spt_status print_counts(diff *self, spt_item_kind kind) {
    spt_comparison counts;
    SPT_TRY(spt_db_compare(&counts, self->databases[0], self->databases[1], kind));
    self->differs |= counts.n_only_first > 0 || counts.n_only_second > 0 || counts.n_differ > 0;
    if (self->json)
        return spt_json_print(json_pack("{ss sI sI sI sI}", "record", spt_item_kind_name(kind), "equal",
                                        (json_int_t)counts.n_equal, "only_first", (json_int_t)counts.n_only_first,
                                        "only_second", (json_int_t)counts.n_only_second, "differ",
                                        (json_int_t)counts.n_differ));
    printf("%-8s %8" PRId64 " in both, %8" PRId64 " only in the first, %8" PRId64 " only in the second, %8" PRId64
           " differ\n",
           spt_item_kind_name(kind), counts.n_equal, counts.n_only_first, counts.n_only_second, counts.n_differ);
    return SPT_OK;
}

static bool is_same_winner(const spt_listing *a, const spt_listing *b) {
    if (a->has_winner != b->has_winner)
        return false;
    return !a->has_winner ||
           (strcmp(a->winner.family, b->winner.family) == 0 && strcmp(a->winner.point, b->winner.point) == 0 &&
            a->winner.revision == b->winner.revision);
}

/* "family point", or a dash where there is no winner. */
static void winner_text(char *out, size_t capacity, const spt_listing *item) {
    if (item != NULL && item->has_winner)
        snprintf(out, capacity, "%s %s", item->winner.family, item->winner.point);
    else
        snprintf(out, capacity, "-");
}

/* first, second: NULL where that database does not know the problem. */
static spt_status print_winners(diff *self, const spt_listing *first, const spt_listing *second) {
    enum { TEXT_SIZE = 64 + SPT_POINT_TEXT_MAX };
    char texts[2][TEXT_SIZE], key[SPT_HASH_TEXT_SIZE];
    const spt_listing *either = first != NULL ? first : second;
    if (first != NULL && second != NULL && is_same_winner(first, second))
        return SPT_OK;
    self->differs = true;
    winner_text(texts[0], TEXT_SIZE, first);
    winner_text(texts[1], TEXT_SIZE, second);
    spt_hash_text(key, either->problem.key.hash);
    const double first_ns = first != NULL && first->has_winner ? first->winner.time_ns_median : 0.0;
    const double second_ns = second != NULL && second->has_winner ? second->winner.time_ns_median : 0.0;
    if (self->json)
        return spt_json_print(json_pack("{ss ss ss sf ss sf}", "key", key, "problem", either->problem.key.text, "first",
                                        texts[0], "first_time_ns_median", first_ns, "second", texts[1],
                                        "second_time_ns_median", second_ns));
    char first_time[SPT_TIME_TEXT_SIZE], second_time[SPT_TIME_TEXT_SIZE];
    spt_time_text(first_time, first_ns);
    spt_time_text(second_time, second_ns);
    printf("%.12s %" PRId64 "x%" PRId64 " n=%" PRId64 "  %s (%s)  |  %s (%s)\n", key, either->problem.m,
           either->problem.k, either->problem.n, texts[0], first_time, texts[1], second_time);
    return SPT_OK;
}

static spt_status step(bool *has, spt_list *list) {
    const spt_status status = spt_list_next(list);
    *has = status == SPT_OK;
    return status == SPT_ENOTFOUND ? SPT_OK : status;
}

static spt_status diff_winners(diff *self) {
    spt_list lists[2] = {0};
    bool has[2] = {false, false};
    spt_status status = SPT_OK;
    for (int i = 0; i < 2; i++) {
        SPT_TRY_TO(done, spt_list_open(&lists[i], self->databases[i], false));
        SPT_TRY_TO(done, step(&has[i], &lists[i]));
    }
    while (has[0] || has[1]) {
        const int order = !has[0]   ? 1
                          : !has[1] ? -1
                                    : strcmp(lists[0].item.problem.key.text, lists[1].item.problem.key.text);
        SPT_TRY_TO(done, print_winners(self, order <= 0 ? &lists[0].item : NULL, order >= 0 ? &lists[1].item : NULL));
        if (order <= 0)
            SPT_TRY_TO(done, step(&has[0], &lists[0]));
        if (order >= 0)
            SPT_TRY_TO(done, step(&has[1], &lists[1]));
    }
done:
    spt_list_close(&lists[0]);
    spt_list_close(&lists[1]);
    return status;
}

static spt_status run(diff *self, char **paths) {
    for (int i = 0; i < 2; i++)
        SPT_TRY(spt_db_open(&self->databases[i], paths[i], SPT_DB_READ));
    for (int kind = 0; kind < SPT_ITEM_KIND_COUNT; kind++)
        SPT_TRY(print_counts(self, (spt_item_kind)kind));
    return diff_winners(self);
}

spt_status spt_db_verb_diff(int argc, char **argv, int *exit_code) {
    diff self = {0};
    const spt_option rows[] = {{"--json", SPT_OPTION_FLAG, &self.json}};
    int n_arguments;
    SPT_TRY(spt_options_parse(&n_arguments, argc, argv, rows, SPT_N_ROWS(rows), NULL));
    SPT_TRY(spt_db_verb_arguments(n_arguments, 2, 2, "two databases"));
    const spt_status status = run(&self, argv + 1);
    spt_db_close(self.databases[0]);
    spt_db_close(self.databases[1]);
    if (status == SPT_OK && self.differs)
        *exit_code = SPT_EXIT_NEGATIVE;
    return status;
}
