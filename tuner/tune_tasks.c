/* SPDX-License-Identifier: Apache-2.0 */
/* The problems of a run. Without a limit of time they are tuned one after the other. With one, everyone gets a first
 * slice of evaluations, then slices go where most can be gained (schedule.h), and the time that the final rounds will
 * take is kept free. A broken layer costs itself: its sentence is said, the others go on. */
#include <math.h>
#include <string.h>

#include "core/memory.h"
#include "db/positions.h"
#include "tuner/tune_state.h"

#define SPARE 1.15  /* final rounds may take this much longer than estimated */
#define GRACE_S 5.0 /* after a signal: hurried final rounds of what has none */
#define N_ROUNDS 8  /* of usual finals, of which a hurried one is about a part */

/* ---- the list ---- */

/* Every mistake that can be seen before the first measurement is seen before it. */
spt_status spt_tune_list_problems(spt_tune_state *run) {
    int64_t n_all = 0, n_listed = 0;
    const int64_t *widths = NULL;
    int n_widths = 0;
    run->loaded_layer = -1;
    for (int64_t i = 0; i < run->layers.count; i++) {
        SPT_TRY(spt_options_widths(&widths, &n_widths, &run->options->problem, &run->layers.items[i]));
        n_all += n_widths;
    }
    SPT_TRY(SPT_NEW_ZEROED(run->problems, n_all > 0 ? n_all : 1));
    SPT_TRY(SPT_NEW_ZEROED(run->tasks, n_all > 0 ? n_all : 1));
    for (int64_t i = 0; i < run->layers.count; i++) {
        SPT_TRY(spt_options_widths(&widths, &n_widths, &run->options->problem, &run->layers.items[i]));
        for (int width = 0; width < n_widths; width++)
            if (spt_shard_has(&run->shard, n_listed++))
                run->problems[run->n_problems++] = (spt_tune_problem){.layer = i, .width = width, .n = widths[width]};
    }
    run->progress.n_problems = run->n_problems;
    return SPT_OK;
}

void spt_tune_problems_fini(spt_tune_state *run) {
    spt_matrix_fini(&run->matrix);
    spt_free(run->problems);
    spt_free(run->tasks);
}

/* ---- one problem ---- */

static bool is_stopped(const spt_tune_state *run) {
    return run->drive.stop != NULL && *run->drive.stop != 0;
}

static spt_status load_matrix(spt_matrix *out, const spt_tune_state *run, int64_t layer) {
    if (run->stale.fingerprints != NULL)
        return spt_stored_load(out, &run->stored, &run->stale.fingerprints[layer]);
    SPT_TRY(spt_layer_load(out, &run->layers.items[layer], &run->options->input));
    return spt_options_check_layer(&run->options->problem, &run->layers.items[layer], &out->view);
}

/* Once trials have described the pattern, beside its features. What a record cannot hold is said and left out. */
static spt_status keep_positions(spt_tune_state *run) {
    if (!run->options->with_patterns || run->is_kept)
        return SPT_OK;
    run->is_kept = true;
    const spt_hash128 fingerprint = spt_pattern_fingerprint(&run->matrix.view);
    const spt_status status = spt_db_positions_add(run->drive.db, &fingerprint, &run->matrix.view);
    if (status != SPT_EUNSUPPORTED)
        return status;
    spt_say("%s", spt_last_error());
    return SPT_OK;
}

/* The database is opened for the first layer that could be read, so that bad input leaves no file behind. */
static spt_status open_database(spt_tune_state *run) {
    if (run->drive.db != NULL)
        return SPT_OK;
    spt_status status = spt_tune_open_database(run);
    if (status == SPT_OK)
        status = spt_seed_table_init(&run->seeds, run->drive.db);
    run->is_lost = status != SPT_OK;
    return status;
}

static spt_status load_layer(spt_tune_state *run, int64_t layer) {
    if (run->loaded_layer == layer)
        return SPT_OK;
    spt_matrix_fini(&run->matrix);
    run->matrix = (spt_matrix){0};
    run->loaded_layer = -1;
    const spt_status status = load_matrix(&run->matrix, run, layer);
    if (status != SPT_OK)
        return status == SPT_EIO ? SPT_EINVAL : status; /* the layer's file, not the run's database */
    run->loaded_layer = layer;
    run->is_kept = false;
    return open_database(run);
}

spt_problem spt_tune_problem_of(const spt_tune_state *run, const spt_tune_problem *at) {
    if (run->stale.problems != NULL)
        return run->stale.problems[at->layer];
    return spt_options_problem(&run->options->problem, &run->layers.items[at->layer], at->n);
}

void spt_tune_count_visit(spt_tune_problem *problem, const spt_drive_result *result) {
    problem->is_recorded |= result->recorded > 0;
    problem->measured += result->measured;
    problem->rounds += result->rounds_measured;
    problem->seconds += result->seconds;
}

/* Load, search to the drive's budget, and race in finals unless the drive is told not to. */
static spt_status drive_problem(spt_tune_state *run, int64_t index, double until_s, spt_drive_result *result) {
    spt_tune_problem *at = &run->problems[index];
    bool is_stale = true;
    run->progress.layer = run->layers.items[at->layer].name;
    run->progress.n = at->n;
    run->progress.problem = index + 1;
    run->progress.problem_start_s = spt_progress_now_s();
    SPT_TRY(load_layer(run, at->layer));
    const spt_problem problem = spt_tune_problem_of(run, at);
    if (run->options->stale)
        SPT_TRY(spt_stale_check(&is_stale, run->drive.db, &problem, &run->matrix.view, &run->device));
    if (!is_stale) {
        at->is_over = true;
        return SPT_OK;
    }
    const spt_status status = spt_drive_problem(result, &run->drive, &run->matrix.view, &problem, until_s);
    spt_tune_count_visit(at, result);
    spt_tune_say_warnings(run);
    return status == SPT_OK ? keep_positions(run) : status;
}

/* A layer that cannot be loaded or tuned: all of its problems are over, and its sentence is said once. */
static spt_status break_layer(spt_tune_state *run, int64_t index, spt_status status) {
    const int64_t layer = run->problems[index].layer;
    const char *name = run->layers.items[layer].name, *sentence = spt_last_error();
    if (status == SPT_EIO || run->is_lost || run->layers.count + run->n_broken == 1)
        return status;
    if (strstr(sentence, name) != NULL)
        spt_say("%s", sentence);
    else
        spt_say("%s: %s", name, sentence);
    run->n_broken++;
    for (int64_t i = 0; i < run->n_problems; i++)
        if (run->problems[i].layer == layer)
            run->problems[i].is_over = run->tasks[i].is_over = true;
    return SPT_OK;
}

/* ---- one after the other ---- */

/* Where time is limited, a problem's final rounds have their share of what is left. */
static double finals_until_s(const spt_tune_state *run, int64_t index) {
    const double now_s = spt_progress_now_s();
    double left_s = 0.0;
    for (int64_t i = index; i < run->n_problems; i++)
        left_s += run->problems[i].is_over || run->problems[i].has_finals ? 0.0 : run->tasks[i].final_s;
    if (!isfinite(run->progress.run_until_s) || left_s <= 0.0)
        return 0.0;
    return now_s + fmax(0.0, run->progress.run_until_s - now_s) * run->tasks[index].final_s / left_s;
}

static spt_status finish_problem(spt_tune_state *run, int64_t index) {
    spt_drive_result result = {0};
    run->drive.finals_until_s = finals_until_s(run, index);
    spt_status status = drive_problem(run, index, INFINITY, &result);
    if (status != SPT_OK)
        return break_layer(run, index, status);
    run->tasks[index].evaluations = result.evaluations;
    if (run->problems[index].is_over || result.interrupted) /* see hurry */
        return SPT_OK;
    run->problems[index].held = result;
    run->problems[index].is_held = run->options->problem.is_range;
    if (run->options->problem.is_range)
        return SPT_OK;
    return spt_tune_report(run, &run->problems[index], &result);
}

/* Rows of a range name what will run, so they wait for its plans. */
static spt_status report_held(spt_tune_state *run, int64_t first, int64_t last) {
    for (int64_t i = first; i <= last; i++) {
        spt_tune_problem *at = &run->problems[i];
        if (!at->is_held)
            continue;
        at->is_held = false;
        SPT_TRY(spt_drive_find_winner(&at->held, run->drive.db));
        SPT_TRY(spt_tune_report(run, at, &at->held));
    }
    return SPT_OK;
}

/* After the last width of a layer, its range is cut into buckets; a share that has some of the widths cuts nothing. */
static spt_status finish_range(spt_tune_state *run, int64_t index) {
    const int64_t layer = run->problems[index].layer;
    const int n_widths = run->options->problem.n_widths;
    int64_t first = index;
    if (!run->options->problem.is_range || (index + 1 < run->n_problems && run->problems[index + 1].layer == layer))
        return SPT_OK;
    while (first > 0 && run->problems[first - 1].layer == layer)
        first--;
    if (index - first + 1 == n_widths && !run->problems[index].is_over && !is_stopped(run)) {
        const spt_status status = spt_tune_range(run, first, n_widths);
        if (status != SPT_OK)
            SPT_TRY(break_layer(run, index, status));
    }
    return report_held(run, first, index);
}

static spt_status finish_all(spt_tune_state *run) {
    for (int64_t i = 0; i < run->n_problems && !is_stopped(run); i++) {
        if (!run->problems[i].is_over)
            SPT_TRY(finish_problem(run, i));
        SPT_TRY(finish_range(run, i));
    }
    run->is_complete = !is_stopped(run);
    return report_held(run, 0, run->n_problems - 1);
}

/* ---- by the schedule ---- */

/* When searching has to end, so that everyone's final rounds fit. */
static double search_until_s(const spt_tune_state *run) {
    double final_s = 0.0;
    int64_t n_known = 0, n_open = 0;
    for (int64_t i = 0; i < run->n_problems; i++) {
        if (run->problems[i].is_over || run->problems[i].has_finals)
            continue;
        final_s += run->tasks[i].final_s;
        n_known += run->tasks[i].final_s > 0.0;
        n_open++;
    }
    if (n_known > 0) /* those that are not known yet are like the others */
        final_s *= (double)n_open / (double)n_known;
    return run->progress.run_until_s - SPARE * final_s;
}

/* Nothing is left to search: race what there is while its matrix is loaded. */
static spt_status race_early(spt_tune_state *run, int64_t index) {
    spt_drive_result result = {0};
    run->drive.without_finals = false;
    run->drive.finals_until_s = finals_until_s(run, index);
    run->drive.budget = 0;
    const spt_status status = drive_problem(run, index, INFINITY, &result);
    run->drive.without_finals = true;
    if (status != SPT_OK)
        return break_layer(run, index, status);
    run->problems[index].has_finals = !result.interrupted;
    return SPT_OK;
}

static spt_status search_slice(spt_tune_state *run, int64_t index) {
    spt_task *task = &run->tasks[index];
    spt_drive_result result = {0};
    const int64_t wanted = task->evaluations + spt_schedule_slice(task->evaluations);
    const double start_s = spt_progress_now_s(), until_s = search_until_s(run);
    run->drive.budget = wanted < run->options->budget ? wanted : run->options->budget;
    spt_status status = drive_problem(run, index, until_s, &result);
    if (status != SPT_OK)
        return break_layer(run, index, status);
    task->seconds += spt_progress_now_s() - start_s;
    task->measured += result.measured;
    task->gain = result.gain;
    const bool is_exhausted = result.evaluations < run->drive.budget && spt_progress_now_s() < until_s;
    task->is_over = run->problems[index].is_over || is_exhausted || result.evaluations >= run->options->budget ||
                    result.gain == 0.0;
    task->evaluations = result.evaluations > 0 ? result.evaluations : 1;
    if (result.has_winner)
        task->final_s = spt_schedule_final_s(&run->drive.policy, result.winner.time_ns_median, result.pack_ns);
    return task->is_over && !run->problems[index].is_over && !is_stopped(run) ? race_early(run, index) : SPT_OK;
}

/* Everyone's first slice is given whatever the time: the yardsticks belong to every answer. */
static spt_status search_all(spt_tune_state *run) {
    int64_t next = 0;
    run->drive.without_finals = true;
    for (int64_t turn = 0; !is_stopped(run); turn++) {
        next = spt_schedule_next(run->tasks, run->n_problems, turn);
        if (next < 0 || (run->tasks[next].evaluations > 0 && spt_progress_now_s() >= search_until_s(run)))
            break;
        SPT_TRY(search_slice(run, next));
    }
    run->drive.without_finals = false;
    run->drive.budget = 0; /* nothing more is asked */
    return SPT_OK;
}

/* ---- after a signal ---- */

static spt_status hurry_problem(spt_tune_state *run, int64_t index) {
    static const spt_variant_id nothing_more;
    spt_drive_result result = {0};
    run->drive.extras = &nothing_more;
    const spt_status status = drive_problem(run, index, 0.0, &result);
    run->drive.extras = NULL;
    if (status != SPT_OK)
        return break_layer(run, index, status);
    result.interrupted = true;
    return run->problems[index].is_over || !result.has_winner ? SPT_OK
                                                              : spt_tune_report(run, &run->problems[index], &result);
}

/* The problem with results and without a row whose round takes least; -1: none. */
static int64_t next_hurried(const spt_tune_state *run) {
    int64_t next = -1;
    for (int64_t i = 0; i < run->n_problems; i++)
        if (run->tasks[i].evaluations > 0 && !run->problems[i].is_over && !run->problems[i].is_reported &&
            (next < 0 || run->tasks[i].final_s < run->tasks[next].final_s))
            next = i;
    return next;
}

/* A search's own word is the least of many noisy times. So problems without finals get a round of their best few while
 * the grace lasts; the first one does in any case, because without a limit of time it is the only one. */
static spt_status hurry(spt_tune_state *run) {
    const double until_s = spt_progress_now_s() + GRACE_S;
    int64_t next, n_hurried = 0;
    spt_tune_resume(run);
    run->drive.quick_finals = true;
    run->drive.without_finals = false;
    while (!is_stopped(run) && (next = next_hurried(run)) >= 0) {
        if (n_hurried++ > 0 && spt_progress_now_s() + run->tasks[next].final_s / N_ROUNDS >= until_s)
            break;
        SPT_TRY(hurry_problem(run, next));
        run->tasks[next].evaluations = 0; /* done */
    }
    return SPT_OK;
}

spt_status spt_tune_problems(spt_tune_state *run) {
    if (isfinite(run->progress.run_until_s))
        SPT_TRY(search_all(run));
    SPT_TRY(finish_all(run));
    return run->is_complete ? SPT_OK : hurry(run);
}
