/* SPDX-License-Identifier: Apache-2.0 */
/* Problems and their winners, one after the other, with what people ask about them. Sorted by the text of the key. */
#ifndef SPT_DB_LIST_H
#define SPT_DB_LIST_H

#include "db/db.h"
#include "db/item.h"

typedef struct spt_listing {
    spt_item_problem problem;
    int64_t nnz;
    char features[SPT_FEATURES_TEXT_MAX];
    int64_t n_trials;
    bool has_winner;
    spt_winner winner; /* where there is one */
    int n_rounds;      /* finals behind it; 1 or more search trials where none decided */
    char session[SPT_UUID_TEXT_SIZE];
    int64_t started_unix_s; /* of that session */
    bool is_pinned;
    double compile_ns; /* that the winner's code took to compile, the longest of its trials; 0: nothing, or not known */
} spt_listing;

typedef struct spt_list {
    spt_db *db;
    struct sqlite3_stmt *problems, *winners, *trials, *pins,
        *compiled; /* the last two: NULL where the schema has none */
    bool all_ranks, has_row;
    spt_listing item;
    int64_t n_skipped; /* rows that are not legal */
} spt_list;

/* Start. all_ranks: every kept rank instead of the winner alone. Owns: spt_list_close. */
spt_status spt_list_open(spt_list *out, spt_db *db, bool all_ranks);
/* Step. A problem without winners comes once. Errors: ENOTFOUND at the end. */
spt_status spt_list_next(spt_list *list);
void spt_list_close(spt_list *list);

#endif
