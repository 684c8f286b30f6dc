/* SPDX-License-Identifier: Apache-2.0 */
/* One run of `sparsetune tune`: what it is asked for, and what it says; see tune_run.h. */
#include "tuner/tune_run.h"

#include <assert.h>
#include <limits.h>
#include <math.h>
#include <signal.h>
#include <string.h>

#include "core/memory.h"
#include "core/text.h"
#include "tuner/ahead.h"
#include "tuner/command.h"
#include "tuner/tune_state.h"

#define PATIENCE_S 60.0     /* of a run without a limit, for waiting until a disturbed machine is calm, ... */
#define PATIENCE_EACH_S 0.3 /* ... no more than this for every evaluation, ... */
#define PATIENCE_SHARE 0.05 /* ... or this part of its time */

/* ---- signals: the first one ends the run with what is known, the second one kills ---- */

static volatile sig_atomic_t stop_requested;
static spt_meter *running_meter;

static void on_signal(int number) {
    (void)number;
    stop_requested = 1;
    if (running_meter != NULL)
        spt_meter_interrupt(running_meter);
}

/* As nohup wants it. */
static bool is_hangup_ignored(void) {
    struct sigaction action;
    return sigaction(SIGHUP, NULL, &action) == 0 && action.sa_handler == SIG_IGN;
}

static void catch_signals(spt_meter *meter) {
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};
    running_meter = meter;
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    if (!is_hangup_ignored())
        sigaction(SIGHUP, &action, NULL);
}

void spt_tune_resume(spt_tune_state *run) {
    spt_meter_resume(run->meter);
    stop_requested = 0;
}

static void release_signals(void) {
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    if (!is_hangup_ignored())
        signal(SIGHUP, SIG_DFL);
    running_meter = NULL;
}

spt_status spt_tune_open_database(spt_tune_state *run) {
    char path[PATH_MAX];
    int64_t n_known;
    if (run->options->spool != NULL) {
        SPT_TRY(spt_shard_open(&run->drive.db, &n_known, run->options->spool, &run->shard));
        if (n_known > 0)
            spt_say("%lld trials of this share are known from other files in %s", (long long)n_known,
                    run->options->spool);
        return SPT_OK;
    }
    SPT_TRY(spt_options_db_path(path, sizeof path, &run->options->problem));
    if (run->options->problem.db_path == NULL)
        spt_db_make_folders(path);
    return spt_db_open(&run->drive.db, path, SPT_DB_WRITE);
}

/* ---- before the first problem ---- */

/* The database's own problems that went stale. Nothing is made there: a database that is missing is an error. */
static spt_status list_stale(spt_tune_state *run) {
    char path[PATH_MAX];
    spt_db *probe;
    if (run->options->problem.n_widths > 0)
        return spt_usage_fail("expected a PATTERN beside --n, or --stale without it: the database knows its widths");
    SPT_TRY(spt_options_db_path(path, sizeof path, &run->options->problem));
    SPT_TRY(spt_db_open(&probe, path, SPT_DB_READ));
    spt_db_close(probe);
    SPT_TRY(spt_tune_open_database(run));
    SPT_TRY(spt_seed_table_init(&run->seeds, run->drive.db));
    SPT_TRY(spt_stored_init(&run->stored, run->drive.db, run->options->stored_folder));
    SPT_TRY(spt_stale_list_init(&run->stale, run->drive.db, &run->device));
    run->layers = run->stale.layers;
    return SPT_OK;
}

static void say_broken(void *user) {
    spt_tune_state *run = user;
    spt_say("%s", spt_last_error());
    run->n_broken++;
}

static spt_status list_layers(spt_tune_state *run) {
    const spt_tune_options *options = run->options;
    if (options->stale && options->suite == NULL && options->n_patterns == 0)
        return list_stale(run);
    if (options->suite != NULL)
        SPT_TRY(spt_layers_add_suite(&run->layers, options->suite, &options->input));
    if (options->misses != NULL)
        SPT_TRY(spt_layers_add_misses(&run->layers, options->misses, say_broken, run));
    for (int i = 0; i < options->n_patterns; i++) {
        spt_status status = spt_options_pattern(&run->layers, options->patterns[i], &options->input);
        if (status != SPT_OK && (options->n_patterns == 1 || spt_usage_failed()))
            return status;
        if (status != SPT_OK)
            say_broken(run);
    }
    return SPT_OK;
}

static spt_status check_families(const spt_tune_options *options) {
    for (const char *at = options->families; at != NULL && *at != '\0';) {
        char name[64];
        size_t length = strcspn(at, ",");
        spt_copy_text(name, length < sizeof name ? length + 1 : sizeof name, at);
        if (spt_family_find(name) == NULL)
            return spt_usage_fail("unknown family '%s' in --families; `sparsetune space` lists them", name);
        at += length + (at[length] == ',');
    }
    return SPT_OK;
}

static void say_absent_libraries(const spt_tune_state *run) {
    for (int i = 0; i < spt_family_count(); i++) {
        const spt_family *family = spt_family_at(i);
        if (family->available != NULL && family->device == run->device.kind &&
            family->available(&run->device) != SPT_OK)
            spt_say("%s is not a candidate: %s", family->name, spt_last_error());
    }
}

static spt_status set_up(spt_tune_state *run) {
    const spt_tune_options *options = run->options;
    spt_drive *drive = &run->drive;
    *drive = (spt_drive){
        .device = &run->device,
        .families = options->families,
        .without_bounds = options->without_bounds,
        .seeds = options->without_seeds ? NULL : &run->seeds,
        .seed = options->input.seed,
        .budget = options->budget,
        .policy = spt_measure_policy_default(),
        .now_s = spt_progress_now_s,
        .stop = &stop_requested,
        .progress = spt_progress_show,
        .progress_user = &run->progress,
    };
    drive->patience_s = options->time_s > 0.0 ? PATIENCE_SHARE * options->time_s
                                              : fmin(PATIENCE_S, PATIENCE_EACH_S * (double)options->budget);
    drive->policy.uses = options->uses;
    drive->only_this_build = options->stale;
    drive->strategy = spt_strategy_find(options->strategy);
    assert(drive->strategy != NULL); /* spt_options_strategy */
    if (spt_shard_parse(&run->shard, options->shard) != SPT_OK)
        return spt_usage_fail("%s", spt_last_error());
    SPT_TRY(check_families(options));
    SPT_TRY(spt_device_find(&run->device, options->problem.device));
    spt_measure_policy_adapt(&drive->policy, &run->device);
    SPT_TRY(list_layers(run));
    SPT_TRY(spt_tune_list_problems(run));
    drive->session = (spt_session){.seed = drive->seed, .budget = drive->budget};
    spt_copy_text(drive->session.tool_version, sizeof drive->session.tool_version, SPT_VERSION_TEXT);
    spt_copy_text(drive->session.compiler, sizeof drive->session.compiler, __VERSION__);
    spt_copy_text(drive->session.strategy, sizeof drive->session.strategy, drive->strategy->name);
    spt_measure_policy_text(drive->session.policy, &drive->policy);
    SPT_TRY(spt_meter_open(&run->meter, NULL, &drive->policy));
    drive->meter = spt_drive_meter_real(run->meter);
    say_absent_libraries(run);
    return SPT_OK;
}

/* ---- a finished problem ---- */

static bool was_said(const spt_tune_state *run, const char *warning) {
    for (int i = 0; i < run->n_warned; i++)
        if (strcmp(run->warned[i], warning) == 0)
            return true;
    return false;
}

/* Each warning once per run. */
void spt_tune_say_warnings(spt_tune_state *run) {
    const char *warning = NULL;
    for (int i = 0; (warning = spt_meter_warning(run->meter, i)) != NULL && run->n_warned < SPT_WARNINGS_MAX; i++)
        if (!was_said(run, warning)) {
            spt_say("warning: %s", warning);
            run->warned[run->n_warned++] = warning;
        }
}

/* A result is of the last visit to a problem; what this run did is told by the sums over all of them. */
static spt_status print_result(spt_tune_state *run, const spt_tune_problem *problem, const spt_drive_result *result) {
    const spt_layer *layer = &run->layers.items[problem->layer];
    spt_drive_result whole = *result;
    whole.measured = problem->measured;
    whole.rounds_measured = problem->rounds;
    whole.seconds = problem->seconds;
    if (run->options->problem.json)
        return spt_report_json(layer, &whole, problem->is_recorded ? run->drive.session.uuid : "");
    if (run->n_printed == 0)
        spt_report_header(&run->layers);
    spt_report_row(&run->layers, layer, result);
    return SPT_OK;
}

spt_status spt_tune_report(spt_tune_state *run, const spt_tune_problem *problem, const spt_drive_result *result) {
    const spt_layer *layer = &run->layers.items[problem->layer];
    SPT_TRY(print_result(run, problem, result));
    spt_report_add(&run->totals[problem->width], layer, result);
    run->problems[problem - run->problems].is_reported = true;
    run->n_printed++;
    run->n_done += !result->interrupted;
    run->n_without_winner += !result->has_winner;
    return SPT_OK;
}

/* ---- the run ---- */

static void print_totals(spt_tune_state *run) {
    char line[256], title[128];
    if (run->layers.title == NULL && run->layers.count < 2)
        return;
    for (int i = 0; i < SPT_WIDTHS_MAX; i++) {
        if (run->totals[i].n_layers == 0)
            continue;
        const char *name = run->layers.title != NULL ? run->layers.title : "total";
        if (run->options->problem.n_widths > 1)
            snprintf(title, sizeof title, "%s n=%lld", name, (long long)run->options->problem.widths[i]);
        else
            spt_copy_text(title, sizeof title, name);
        spt_report_model(line, sizeof line, &run->totals[i], title);
        if (run->options->problem.json)
            spt_say("%s", line);
        else
            printf("%s\n", line);
    }
}

static void conclude(spt_tune_state *run, int *exit_code) {
    spt_progress_clear();
    print_totals(run);
    if (!run->is_complete)
        spt_say("stopped by a signal with %lld of %lld problems done; what was measured is kept, and the same command "
                "goes on from there",
                (long long)run->n_done, (long long)run->progress.n_problems);
    if (!run->is_complete || run->n_broken > 0 || run->n_without_winner > 0)
        *exit_code = SPT_EXIT_NEGATIVE;
}

/* Compile ahead for the first layer's kind of problem, which in a suite is all layers' as a rule. */
static pid_t ahead_for(const spt_tune_state *run) {
    if (run->device.kind == SPT_CPU || run->layers.count == 0 || run->stale.problems != NULL)
        return 0;
    const int64_t *widths = NULL;
    int n_widths = 0;
    const spt_problem problem = spt_options_problem(&run->options->problem, &run->layers.items[0], 1);
    if (spt_options_widths(&widths, &n_widths, &run->options->problem, &run->layers.items[0]) != SPT_OK)
        n_widths = 0;
    return spt_ahead_start(&run->device, &problem, widths, n_widths, run->options->families);
}

spt_status spt_tune_run(const spt_tune_options *options, int *exit_code) {
    spt_status status = SPT_OK;
    spt_tune_state *run = NULL;
    pid_t ahead = 0; /* compiles for a GPU */
    SPT_TRY_TO(done, SPT_NEW_ZEROED(run, 1));
    run->options = options;
    SPT_TRY_TO(done, set_up(run));
    run->progress.run_start_s = spt_progress_now_s();
    run->progress.run_until_s = options->time_s > 0.0 ? run->progress.run_start_s + options->time_s : INFINITY;
    catch_signals(run->meter);
    ahead = ahead_for(run);
    SPT_TRY_TO(done, spt_tune_problems(run));
    if (run->is_complete && run->n_printed == 0 && run->n_broken == 0 && run->options->stale)
        spt_say("nothing went stale");
    else if (run->is_complete && run->n_printed == 0 && (run->shard.count == 1 || run->n_broken > 0))
        SPT_TRY_TO(done, spt_fail(SPT_EINVAL,
                                  "expected at least one layer to tune, found none, and %lld that could not be loaded",
                                  (long long)run->n_broken));
    conclude(run, exit_code);
done:
    spt_progress_clear();
    release_signals();
    spt_ahead_end(ahead);
    if (run != NULL) {
        spt_meter_close(run->meter);
        spt_tune_problems_fini(run);
        spt_seed_table_fini(&run->seeds);
        spt_stored_fini(&run->stored);
        spt_db_close(run->drive.db);
        if (run->stale.problems != NULL)
            spt_stale_list_fini(&run->stale);
        else
            spt_layer_list_fini(&run->layers);
    }
    spt_free(run);
    return status;
}
