/* SPDX-License-Identifier: Apache-2.0 */
/* Winners, derived from trials and from nothing else. Finals decide: in each round every variant's time is divided by
 * the default's of the same round, so times of different minutes are never compared; a variant's score is the median of
 * its ratios over all rounds of all sessions. Without finals the search trials serve. docs/DATABASE.md has the rules.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/memory.h"
#include "core/statistics.h"
#include "core/text.h"
#include "db/handle.h"
#include "db/reader_row.h"

enum { RANKS_MAX = 8, ROUNDS_MIN = 3 };
#define TIE_MAX 1.02 /* variants whose intervals overlap tie only when their scores are this near */

/* One measured trial of the problem. */
typedef struct run {
    int64_t variant, session, round;
    int64_t started;
    int64_t revision, is_dense, is_default, bytes;
    bool is_final, is_correct;
    double time_ns; /* as measured */
    double cost_ns; /* with the share of packing that the session's policy asks for */
    double ratio;   /* to the default of its round; NaN without one */
    double pack_ns;
    char family[64];
    char point[SPT_POINT_TEXT_MAX];
} run;

typedef struct run_list {
    run *items;
    int64_t count, capacity;
} run_list;

/* A variant's standing. */
typedef struct candidate {
    const run *example; /* its newest run */
    int n_rounds;
    bool has_failed;
    double score, score_low, score_high; /* ratio to the default, or ns where there are no finals */
    double time_ns, ci_ns;
} candidate;

static const char runs_sql[] =
    "SELECT t.variant, t.session, t.round, t.phase, t.status, t.is_default, t.time_ns_median,"
    " t.workspace_bytes + t.packed_bytes, t.pack_ns, v.family, v.revision, v.point, v.is_dense, s.policy,"
    " s.started_unix_s FROM trial t JOIN variant v ON v.id = t.variant JOIN session s ON s.id = t.session "
    "WHERE t.key = ?1";

/* The number after "uses=" in a policy; 0 where there is none. */
static double uses_of(const char *policy) {
    const char *found = strstr(policy, "uses=");
    return found != NULL ? strtod(found + strlen("uses="), NULL) : 0.0;
}

static bool take_run(run *out, sqlite3_stmt *row) {
    char phase[16], status[16], policy[SPT_POLICY_MAX];
    if (!spt_row_text(phase, sizeof phase, row, 3) || !spt_row_text(status, sizeof status, row, 4) ||
        !spt_row_text(out->family, sizeof out->family, row, 9) ||
        !spt_row_text(out->point, sizeof out->point, row, 11) || !spt_row_text(policy, sizeof policy, row, 13))
        return false;
    int64_t *const numbers[] = {&out->variant,  &out->session,  &out->round,   &out->is_default,
                                &out->revision, &out->is_dense, &out->started, &out->bytes};
    const int columns[] = {0, 1, 2, 5, 10, 12, 14, 7};
    for (int i = 0; i < 8; i++)
        *numbers[i] = sqlite3_column_int64(row, columns[i]);
    out->is_final = strcmp(phase, spt_phase_name(SPT_PHASE_FINAL)) == 0;
    out->time_ns = sqlite3_column_double(row, 6);
    out->pack_ns = sqlite3_column_double(row, 8);
    out->is_correct =
        strcmp(status, spt_trial_status_name(SPT_TRIAL_CORRECT)) == 0 && isfinite(out->time_ns) && out->time_ns > 0.0;
    const double uses = uses_of(policy);
    out->cost_ns = out->time_ns + (uses >= 1.0 ? out->pack_ns / uses : 0.0);
    out->ratio = NAN;
    return true;
}

static spt_status read_runs(run_list *out, spt_db *db, const spt_hash128 *key) {
    sqlite3_stmt *statement;
    spt_status status = SPT_OK;
    int rc;
    SPT_TRY(spt_db_prepare(&statement, db, runs_sql));
    spt_bind_hash(statement, 1, key);
    while (status == SPT_OK && (rc = sqlite3_step(statement)) != SQLITE_DONE) {
        if (rc != SQLITE_ROW) {
            status = spt_sqlite_fail(db->handle, rc, db->path);
            break;
        }
        if (out->count == out->capacity) {
            const int64_t larger = out->capacity > 0 ? 2 * out->capacity : 256;
            run *items = spt_realloc(out->items, (size_t)out->count, (size_t)larger, sizeof *items);
            if (items == NULL) {
                status = SPT_ENOMEM;
                break;
            }
            out->items = items;
            out->capacity = larger;
        }
        out->items[out->count] = (run){0};
        if (take_run(&out->items[out->count], statement))
            out->count++;
    }
    sqlite3_finalize(statement);
    return status;
}

static int compare_integers(int64_t a, int64_t b) {
    return (a > b) - (a < b);
}

static int compare_doubles(double a, double b) {
    return (a > b) - (a < b);
}

/* Finals first, grouped by round, the default at the head of its round. */
static int by_round(const void *a, const void *b) {
    const run *x = a, *y = b;
    int order = y->is_final - x->is_final;
    order = order != 0 ? order : compare_integers(x->session, y->session);
    order = order != 0 ? order : compare_integers(x->round, y->round);
    return order != 0 ? order : compare_integers(y->is_default, x->is_default);
}

/* By variant, newest first. */
static int by_variant(const void *a, const void *b) {
    const run *x = a, *y = b;
    const int order = compare_integers(x->variant, y->variant);
    return order != 0 ? order : compare_integers(y->started, x->started);
}

/* Drop the runs of a family's older revisions, and all runs but finals where there are finals with a default. */
static void keep_relevant(run_list *runs) {
    int64_t n_kept = 0;
    for (int64_t i = 0; i < runs->count; i++) {
        bool is_current = true;
        for (int64_t j = 0; j < runs->count && is_current; j++)
            is_current = strcmp(runs->items[i].family, runs->items[j].family) != 0 ||
                         runs->items[i].revision >= runs->items[j].revision;
        if (is_current)
            runs->items[n_kept++] = runs->items[i];
    }
    runs->count = n_kept;
    qsort(runs->items, (size_t)runs->count, sizeof *runs->items, by_round);
    int64_t n_finals = 0, head = 0;
    for (int64_t i = 0; i < runs->count && runs->items[i].is_final; i++) {
        const run *first = &runs->items[head];
        if (runs->items[i].session != first->session || runs->items[i].round != first->round)
            head = i;
        first = &runs->items[head];
        if (!first->is_default || !first->is_correct)
            continue;
        if (runs->items[i].is_correct)
            runs->items[i].ratio = runs->items[i].cost_ns / first->cost_ns;
        n_finals++;
    }
    if (n_finals == 0)
        return;
    n_kept = 0;
    for (int64_t i = 0; i < runs->count; i++) {
        if (runs->items[i].is_final)
            runs->items[n_kept++] = runs->items[i];
    }
    runs->count = n_kept;
}

/* Sum up the runs [begin, end) of one variant. scratch holds 3 (end - begin) doubles. */
static candidate sum_up(const run *begin, const run *end, double *scratch) {
    candidate result = {.example = begin};
    double *scores = scratch, *times = scratch + (end - begin), *spare = times + (end - begin);
    for (const run *r = begin; r < end; r++) {
        const double score = r->is_final ? r->ratio : r->cost_ns;
        result.has_failed |= r->is_final && !r->is_correct;
        if (!r->is_correct || isnan(score))
            continue;
        scores[result.n_rounds] = score;
        times[result.n_rounds++] = r->time_ns;
    }
    if (result.n_rounds == 0)
        return result;
    spt_summary summary;
    spt_summarize(&summary, scores, spare, result.n_rounds);
    result.score = summary.median;
    result.score_low = summary.ci_low;
    result.score_high = summary.ci_high;
    spt_summarize(&summary, times, spare, result.n_rounds);
    result.time_ns = summary.median;
    result.ci_ns = 0.5 * (summary.ci_high - summary.ci_low);
    return result;
}

static int by_score(const void *a, const void *b) {
    const candidate *x = a, *y = b;
    int order = compare_doubles(x->score, y->score);
    order = order != 0 ? order : strcmp(x->example->family, y->example->family);
    return order != 0 ? order : strcmp(x->example->point, y->example->point);
}

/* Among variants of equal speed the one that costs less: memory, packing time, name. */
static int by_cost(const candidate *x, const candidate *y) {
    int order = compare_integers(x->example->bytes, y->example->bytes);
    order = order != 0 ? order : compare_doubles(x->example->pack_ns, y->example->pack_ns);
    return order != 0 ? order : by_score(x, y);
}

/* Score of the best dense candidate in finals; 0 where there is none. */
static double dense_score(const candidate *candidates, int64_t count) {
    double best = 0.0;
    for (int64_t i = 0; i < count; i++) {
        const candidate *c = &candidates[i];
        if (c->example->is_final && c->example->is_dense != 0 && (best == 0.0 || c->score < best))
            best = c->score;
    }
    return best;
}

/* A tie may save memory, but it never makes a winner that is slower than the default, nor a sparse one that is slower
 * than dense. dense: the best dense score, 0 where unknown. */
static bool ties_with(const candidate *c, const candidate *best, double dense) {
    const bool is_slower_than_default = c->example->is_final && c->score > 1.0;
    const bool is_slower_than_dense = dense > 0.0 && c->example->is_dense == 0 && c->score > dense;
    return c->score_low <= best->score_high && c->score <= TIE_MAX * best->score && !is_slower_than_default &&
           !is_slower_than_dense;
}

/* Rank: by score; then the cheapest of those that tie with the best comes first. */
static void rank(candidate *candidates, int64_t count) {
    if (count == 0)
        return;
    const double dense = dense_score(candidates, count);
    qsort(candidates, (size_t)count, sizeof *candidates, by_score);
    int64_t first = 0;
    for (int64_t i = 1; i < count; i++) {
        if (ties_with(&candidates[i], &candidates[0], dense) && by_cost(&candidates[i], &candidates[first]) < 0)
            first = i;
    }
    const candidate winner = candidates[first];
    memmove(candidates + 1, candidates, (size_t)first * sizeof *candidates);
    candidates[0] = winner;
}

/* Turn runs into ranked candidates. *count is what remains of them. */
static spt_status judge(candidate *candidates, int64_t *count, run_list *runs) {
    double *scratch;
    *count = 0;
    if (runs->count == 0) /* a key whose trials are all damaged */
        return SPT_OK;
    keep_relevant(runs);
    const bool has_finals = runs->count > 0 && runs->items[0].is_final;
    SPT_TRY(SPT_NEW(scratch, 3 * (runs->count + 1)));
    qsort(runs->items, (size_t)runs->count, sizeof *runs->items, by_variant);
    int64_t n_candidates = 0, begin = 0;
    int rounds_max = 0;
    for (int64_t i = 1; i <= runs->count; i++) {
        if (i < runs->count && runs->items[i].variant == runs->items[begin].variant)
            continue;
        candidates[n_candidates] = sum_up(runs->items + begin, runs->items + i, scratch);
        if (candidates[n_candidates].n_rounds > rounds_max)
            rounds_max = candidates[n_candidates].n_rounds;
        n_candidates++;
        begin = i;
    }
    spt_free(scratch);
    const int rounds_needed = !has_finals ? 1 : rounds_max < ROUNDS_MIN ? rounds_max : ROUNDS_MIN;
    *count = 0;
    for (int64_t i = 0; i < n_candidates; i++) {
        const candidate *c = &candidates[i];
        if (!c->has_failed && c->n_rounds > 0 && c->n_rounds >= rounds_needed &&
            (!has_finals || 2 * c->n_rounds >= rounds_max))
            candidates[(*count)++] = *c;
    }
    rank(candidates, *count);
    return SPT_OK;
}

static spt_status write_winners(spt_db *db, const spt_hash128 *key, const candidate *candidates, int64_t count) {
    const double dense = dense_score(candidates, count);
    sqlite3_stmt *statement;
    SPT_TRY(spt_db_prepare(&statement, db, "DELETE FROM winner WHERE key = ?1"));
    spt_bind_hash(statement, 1, key);
    SPT_TRY(spt_db_run(db, statement));
    for (int64_t i = 0; i < count && i < RANKS_MAX; i++) {
        const candidate *c = &candidates[i];
        SPT_TRY(spt_db_prepare(&statement, db,
                               "INSERT INTO winner (key, rank, variant, session, n_rounds, time_ns_median, ci_ns,"
                               " speedup_over_default, speedup_over_dense) "
                               "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)"));
        spt_bind_hash(statement, 1, key);
        sqlite3_bind_int64(statement, 2, i);
        sqlite3_bind_int64(statement, 3, c->example->variant);
        sqlite3_bind_int64(statement, 4, c->example->session);
        sqlite3_bind_int64(statement, 5, c->n_rounds);
        sqlite3_bind_double(statement, 6, c->time_ns);
        sqlite3_bind_double(statement, 7, c->ci_ns);
        sqlite3_bind_double(statement, 8, c->example->is_final ? 1.0 / c->score : 0.0);
        sqlite3_bind_double(statement, 9, dense > 0.0 ? dense / c->score : 0.0);
        SPT_TRY(spt_db_run(db, statement));
    }
    return SPT_OK;
}

static spt_status rebuild_key(spt_db *db, const spt_hash128 *key) {
    run_list runs = {0};
    candidate *candidates = NULL;
    int64_t count = 0;
    spt_status status = SPT_OK;
    SPT_TRY_TO(done, read_runs(&runs, db, key));
    SPT_TRY_TO(done, SPT_NEW(candidates, runs.count + 1));
    SPT_TRY_TO(done, judge(candidates, &count, &runs));
    status = write_winners(db, key, candidates, count);
done:
    spt_free(candidates);
    spt_free(runs.items);
    return status;
}

static spt_status rebuild_all(spt_db *db) {
    sqlite3_stmt *statement;
    spt_status status = SPT_OK;
    spt_hash128 key;
    int rc;
    SPT_TRY(spt_db_prepare(&statement, db, "SELECT key FROM problem"));
    while (status == SPT_OK && (rc = sqlite3_step(statement)) == SQLITE_ROW) {
        if (spt_row_hash(&key, statement, 0))
            status = rebuild_key(db, &key);
    }
    sqlite3_finalize(statement);
    return status;
}

spt_status spt_db_winners_rebuild(spt_db *db, const spt_key *key) {
    SPT_TRY(spt_db_begin(db));
    return spt_db_end(db, key != NULL ? rebuild_key(db, &key->hash) : rebuild_all(db));
}
