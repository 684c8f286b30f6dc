/* SPDX-License-Identifier: Apache-2.0 */
/* Deriving winners. Finals decide: in each round every variant's time is divided by what the round did to all of them
 * (polish.h), so times of different minutes are never compared, and no single variant's bad minute changes the others'
 * scores; a variant's score is the mean of the middle half of its ratios over all rounds of all sessions, the default's
 * being 1: where a variant lies makes its time one of two or three, and a median would be one of them by luck. Rounds
 * without a correct default do not count. Where there are none that count the search trials serve. Cost: O(n log n) in
 * the trials of a key. */
#include "db/derive.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/memory.h"
#include "core/statistics.h"
#include "db/anchor.h"
#include "db/polish.h"

enum { ROUNDS_MIN = 3 };     /* ... but for the faster half, and but for variants that have fewer others than this */
enum { ROUNDS_ENOUGH = 16 }; /* of a session, however many it had: who was in a tuner's last ones has them */
#define CALM 1.1 /* rounds slower than this times the session's fastest were disturbed; they do not count, ... */
#define ROUNDING 1e-12
#define TIE_MAX 1.01 /* variants whose intervals overlap tie only when their scores are this near */

static int compare_integers(int64_t a, int64_t b) {
    return (a > b) - (a < b);
}

static int compare_doubles(double a, double b) {
    return (a > b) - (a < b);
}

int spt_run_newest_first(const spt_run *x, const spt_run *y) {
    int order = compare_integers(y->started_unix_s, x->started_unix_s);
    order = order != 0 ? order : strcmp(y->uuid, x->uuid);
    return order != 0 ? order : compare_integers(x->session, y->session);
}

static int by_name(const spt_run *x, const spt_run *y) {
    if (x->variant == y->variant)
        return 0;
    int order = strcmp(x->family, y->family);
    order = order != 0 ? order : compare_integers(y->revision, x->revision);
    order = order != 0 ? order : strcmp(x->point, y->point);
    return order != 0 ? order : strcmp(x->library, y->library);
}

/* By variant, a family's highest revision first; within a variant the newest first. */
static int by_variant(const void *a, const void *b) {
    const spt_run *x = a, *y = b;
    int order = by_name(x, y);
    order = order != 0 ? order : compare_integers(x->variant, y->variant);
    order = order != 0 ? order : spt_run_newest_first(x, y);
    order = order != 0 ? order : y->is_final - x->is_final;
    return order != 0 ? order : compare_integers(x->round, y->round);
}

/* Finals first, by round, a correct default at the head of its round. */
static int by_round(const void *a, const void *b) {
    const spt_run *x = a, *y = b;
    int order = y->is_final - x->is_final;
    order = order != 0 ? order : compare_integers(x->session, y->session);
    order = order != 0 ? order : compare_integers(x->round, y->round);
    order = order != 0 ? order : y->is_default - x->is_default;
    order = order != 0 ? order : compare_integers(x->status, y->status);
    return order != 0 ? order : by_name(x, y);
}

double spt_policy_uses(const char *policy) {
    const char *found = strstr(policy, "uses=");
    const double uses = found != NULL ? strtod(found + strlen("uses="), NULL) : 0.0;
    return isfinite(uses) && uses >= 1.0 ? uses : 0.0;
}

static const spt_run *newest_run(const spt_run *runs, int64_t n_runs) {
    const spt_run *newest = runs;
    for (int64_t i = 1; i < n_runs; i++) {
        if (spt_run_newest_first(&runs[i], newest) < 0)
            newest = &runs[i];
    }
    return newest;
}

/* What the newest session says about packing holds for all trials: it is what the user wants now. */
static void set_costs(spt_run *runs, int64_t n_runs) {
    const double uses = newest_run(runs, n_runs)->uses;
    for (int64_t i = 0; i < n_runs; i++)
        runs[i].cost_ns = runs[i].time_ns + (uses > 0.0 ? runs[i].pack_ns / uses : 0.0);
}

/* Divide each correct final by the correct default of its round, and number the rounds that have one. Returns how many.
 */
static int64_t set_ratios(spt_run *runs, int64_t n_runs) {
    const spt_run *head = NULL;
    int64_t n_rounds = 0;
    qsort(runs, (size_t)n_runs, sizeof *runs, by_round);
    for (int64_t i = 0; i < n_runs; i++) {
        spt_run *run = &runs[i];
        run->ratio = NAN;
        if (!run->is_final)
            continue;
        if (head == NULL || run->session != head->session || run->round != head->round) {
            head = run;
            n_rounds += head->is_default && head->status == SPT_TRIAL_CORRECT;
        }
        if (head->is_default && head->status == SPT_TRIAL_CORRECT && run->status == SPT_TRIAL_CORRECT) {
            run->ratio = run->cost_ns / head->cost_ns;
            run->column = n_rounds - 1;
            run->default_ns = head->cost_ns;
            run->default_variant = head->variant;
        }
    }
    return n_rounds;
}

/* What disturbs a machine slows some variants down more than others, so calm rounds say more than disturbed ones. The
 * rounds' parts tell them apart, within a session: another one may be of another clock. */
static bool is_calm(const double *parts, const int64_t *sessions, int64_t n_rounds, int64_t round) {
    double fastest = parts[round];
    int64_t n_faster = 0, n_all = 0;
    for (int64_t i = 0; i < n_rounds; i++) {
        if (sessions[i] != sessions[round])
            continue;
        fastest = fmin(fastest, parts[i]);
        n_faster += parts[i] < parts[round] || (parts[i] == parts[round] && i < round);
        n_all++;
    }
    return parts[round] <= CALM * fastest || 2 * n_faster < n_all;
}

/* Divide by what the round did to all its variants instead, so that the default's own bad luck is its own alone; then
 * by what is left of the defaults, so that theirs is 1. The runs are finals in the order by_variant. */
static spt_status polish_ratios(spt_run *runs, int64_t n_runs, int64_t n_rounds) {
    spt_cell *cells = NULL;
    double *variants = NULL, *rounds = NULL, *defaults = NULL, *shares = NULL, low, high;
    int64_t *sessions = NULL, n_variants = 0;
    int n_defaults = 0;
    const int64_t untuned = newest_run(runs, n_runs)->default_variant;
    spt_status status = SPT_OK;
    SPT_TRY_TO(done, spt_anchor_sessions(runs, n_runs));
    SPT_TRY_TO(done, SPT_NEW(cells, n_runs));
    SPT_TRY_TO(done, SPT_NEW(variants, n_runs));
    SPT_TRY_TO(done, SPT_NEW_ZEROED(rounds, n_rounds));
    SPT_TRY_TO(done, SPT_NEW_ZEROED(defaults, n_rounds));
    SPT_TRY_TO(done, SPT_NEW(shares, n_rounds));
    SPT_TRY_TO(done, SPT_NEW_ZEROED(sessions, n_rounds));
    for (int64_t i = 0; i < n_runs; i++) {
        n_variants += i == 0 || runs[i].variant != runs[i - 1].variant;
        cells[i] = (spt_cell){.row = n_variants - 1, .column = runs[i].column, .value = runs[i].cost_ns};
        rounds[runs[i].column] = runs[i].round_ns;
        defaults[runs[i].column] = runs[i].default_variant == untuned ? runs[i].default_ns : 0.0;
        sessions[runs[i].column] = runs[i].session;
    }
    for (int64_t i = 0; i < n_rounds; i++)
        if (rounds[i] <= 0.0) { /* nothing in it is fit */
            rounds[i] = 1.0;
            sessions[i] = -1;
        }
    SPT_TRY_TO(done, spt_polish(variants, n_variants, rounds, n_rounds, cells, n_runs));
    for (int wants_calm = 1; wants_calm >= 0 && n_defaults == 0; wants_calm--)
        for (int64_t i = 0; i < n_rounds; i++)
            if (defaults[i] > 0.0 && (!wants_calm || is_calm(rounds, sessions, n_rounds, i)))
                shares[n_defaults++] = defaults[i] / rounds[i];
    const double untuned_ns = spt_midmean(&low, &high, shares, n_defaults);
    for (int64_t i = 0; i < n_runs; i++)
        runs[i].ratio = runs[i].cost_ns / rounds[runs[i].column] / untuned_ns;
    for (int64_t i = 0; i < n_runs; i++) {
        runs[i].is_calm = is_calm(rounds, sessions, n_rounds, runs[i].column);
        runs[i].session_rounds = 0;
        for (int64_t j = 0; j < n_rounds; j++)
            runs[i].session_rounds += sessions[j] == runs[i].session;
    }
done:
    spt_free(cells);
    spt_free(variants);
    spt_free(rounds);
    spt_free(defaults);
    spt_free(shares);
    spt_free(sessions);
    return status;
}

/* A variant that failed in finals or ever gave a wrong result is out. */
static bool rules_out(const spt_run *run) {
    return run->status == SPT_TRIAL_CORRECTNESS || (run->is_final && run->status != SPT_TRIAL_CORRECT);
}

/* Drop older revisions and variants that are out; the rest stays in the order by_variant. Returns what is left. */
static int64_t drop_unfit(spt_run *runs, int64_t n_runs) {
    int64_t n_kept = 0, end, revision = 0;
    const char *family = "";
    qsort(runs, (size_t)n_runs, sizeof *runs, by_variant);
    for (int64_t begin = 0; begin < n_runs; begin = end) {
        bool is_fit = true;
        for (end = begin; end < n_runs && runs[end].variant == runs[begin].variant; end++)
            is_fit &= !rules_out(&runs[end]);
        if (strcmp(family, runs[begin].family) != 0) { /* the family's first variant has its highest revision */
            family = runs[begin].family;
            revision = runs[begin].revision;
        }
        if (!is_fit || runs[begin].revision < revision)
            continue;
        memmove(runs + n_kept, runs + begin, (size_t)(end - begin) * sizeof *runs);
        n_kept += end - begin;
    }
    return n_kept;
}

/* Keep the finals that have a ratio; where there are none, the correct search trials. Returns what is left. */
static int64_t keep_deciding(bool *has_finals, spt_run *runs, int64_t n_runs) {
    int64_t n_kept = 0;
    *has_finals = false;
    for (int64_t i = 0; i < n_runs; i++)
        *has_finals |= isfinite(runs[i].ratio);
    for (int64_t i = 0; i < n_runs; i++) {
        const bool is_search = !runs[i].is_final && runs[i].status == SPT_TRIAL_CORRECT;
        if (*has_finals ? isfinite(runs[i].ratio) : is_search)
            runs[n_kept++] = runs[i];
    }
    return n_kept;
}

/* Has a variant at least half of the rounds of some session, or as many as are enough? Its runs of a session lie
 * together. Of all sessions' rounds a variant that is new could have half only after as many as all the others had
 * before. */
static bool has_its_rounds(const spt_run *begin, const spt_run *end) {
    int64_t n = 0;
    for (const spt_run *run = begin; run < end; run++) {
        n = run > begin && run[-1].session == run->session ? n + 1 : 1;
        if (2 * n >= run->session_rounds || n >= ROUNDS_ENOUGH)
            return true;
    }
    return false;
}

/* Sum up the runs [begin, end) of one variant. scratch holds 3 (end - begin) doubles. */
static spt_candidate sum_up(const spt_run *begin, const spt_run *end, bool has_finals, double *scratch) {
    spt_candidate result = {.newest = begin, .is_final = has_finals, .n_rounds = (int)(end - begin)};
    result.is_thin = has_finals && !has_its_rounds(begin, end);
    double *scores = scratch, *times = scratch + (end - begin), *spare = times + (end - begin);
    int n = 0, n_calm = 0;
    for (const spt_run *run = begin; run < end; run++)
        n_calm += has_finals && run->is_calm;
    for (const spt_run *run = begin; run < end; run++) {
        if (n_calm >= ROUNDS_MIN && !run->is_calm)
            continue;
        scores[n] = has_finals ? run->ratio : run->cost_ns;
        times[n++] = run->time_ns;
    }
    spt_summary summary;
    result.score = spt_midmean(&result.score_low, &result.score_high, scores, n);
    spt_summarize(&summary, times, spare, n);
    result.time_ns = summary.median;
    result.ci_ns = 0.5 * (summary.ci_high - summary.ci_low);
    return result;
}

static int by_score(const void *a, const void *b) {
    const spt_candidate *x = a, *y = b;
    const int order = compare_doubles(x->score, y->score);
    return order != 0 ? order : by_name(x->newest, y->newest);
}

/* Among variants of equal speed the one that costs less: memory, packing time, name. */
static int by_burden(const spt_candidate *x, const spt_candidate *y) {
    int order = compare_integers(x->newest->bytes, y->newest->bytes);
    order = order != 0 ? order : compare_doubles(x->newest->pack_ns, y->newest->pack_ns);
    return order != 0 ? order : by_name(x->newest, y->newest);
}

/* Score of the best dense candidate in finals; 0 where there is none. */
static double dense_score(const spt_candidate *candidates, int64_t count) {
    double best = 0.0;
    for (int64_t i = 0; i < count; i++) {
        const spt_candidate *c = &candidates[i];
        if (c->is_final && c->newest->is_dense && (best == 0.0 || c->score < best))
            best = c->score;
    }
    return best;
}

/* A tie may save memory, but it never makes a winner that is slower than the default, nor a sparse one that is slower
 * than dense. dense: the best dense score, 0 where unknown. */
static bool ties_with(const spt_candidate *c, const spt_candidate *best, double dense) {
    const bool is_slower_than_default = c->is_final && c->score > 1.0 + ROUNDING;
    const bool is_slower_than_dense = dense > 0.0 && !c->newest->is_dense && c->score > dense + ROUNDING;
    return c->score_low <= best->score_high && c->score <= TIE_MAX * best->score && !is_slower_than_default &&
           !is_slower_than_dense;
}

/* Rank count >= 1: by score; then the least burden of those that tie with the best comes first. */
static void rank(spt_candidate *candidates, int64_t count) {
    int64_t first = 0;
    qsort(candidates, (size_t)count, sizeof *candidates, by_score);
    const double dense = dense_score(candidates, count);
    for (int64_t i = 1; i < count; i++) {
        if (ties_with(&candidates[i], &candidates[0], dense) && by_burden(&candidates[i], &candidates[first]) < 0)
            first = i;
    }
    const spt_candidate winner = candidates[first];
    memmove(candidates + 1, candidates, (size_t)first * sizeof *candidates);
    candidates[0] = winner;
    for (int64_t i = 0; i < count; i++) {
        candidates[i].speedup_over_default = candidates[i].is_final ? 1.0 / candidates[i].score : 0.0;
        candidates[i].speedup_over_dense = dense > 0.0 ? dense / candidates[i].score : 0.0;
    }
}

/* Finals: a variant needs three rounds, or all where there are fewer, and half of those of a session or enough. */
static int64_t drop_thin(spt_candidate *candidates, int64_t count) {
    int64_t n_kept = 0;
    int rounds_max = 0;
    for (int64_t i = 0; i < count; i++)
        rounds_max = candidates[i].n_rounds > rounds_max ? candidates[i].n_rounds : rounds_max;
    const int needed = rounds_max < ROUNDS_MIN ? rounds_max : ROUNDS_MIN;
    for (int64_t i = 0; i < count; i++) {
        const spt_candidate *c = &candidates[i];
        if (!c->is_final || (c->n_rounds >= needed && !c->is_thin))
            candidates[n_kept++] = *c;
    }
    return n_kept;
}

spt_status spt_derive_standings(spt_candidate *out, int64_t *count, spt_run *runs, int64_t n_runs) {
    bool has_finals;
    double *scratch;
    *count = 0;
    if (n_runs == 0)
        return SPT_OK;
    set_costs(runs, n_runs);
    const int64_t n_rounds = set_ratios(runs, n_runs);
    n_runs = drop_unfit(runs, n_runs);
    n_runs = keep_deciding(&has_finals, runs, n_runs);
    if (n_runs == 0)
        return SPT_OK;
    if (has_finals)
        SPT_TRY(polish_ratios(runs, n_runs, n_rounds));
    SPT_TRY(SPT_NEW(scratch, 3 * n_runs));
    for (int64_t begin = 0, end = 1; end <= n_runs; end++) {
        if (end < n_runs && runs[end].variant == runs[begin].variant)
            continue;
        out[(*count)++] = sum_up(runs + begin, runs + end, has_finals, scratch);
        begin = end;
    }
    spt_free(scratch);
    return SPT_OK;
}

spt_status spt_derive(spt_candidate *out, int64_t *count, spt_run *runs, int64_t n_runs) {
    SPT_TRY(spt_derive_standings(out, count, runs, n_runs));
    if (*count == 0)
        return SPT_OK;
    *count = drop_thin(out, *count);
    rank(out, *count);
    return SPT_OK;
}
