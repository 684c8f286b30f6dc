/* SPDX-License-Identifier: Apache-2.0 */
/* One run of `sparsetune tune`; see tune_run.h. A broken layer costs itself: its sentence is said, the others go on. */
#include "tuner/tune_run.h"

#include <limits.h>
#include <math.h>
#include <signal.h>
#include <string.h>

#include "core/memory.h"
#include "core/text.h"
#include "db/positions.h"
#include "tuner/command.h"
#include "tuner/drive.h"
#include "tuner/progress.h"
#include "tuner/report.h"
#include "tuner/shard.h"
#include "tuner/stale.h"

#define WARNINGS_MAX 16

typedef struct tune_run {
    const spt_tune_options *options;
    spt_layer_list layers;
    spt_stale_list stale; /* problems of the database instead of layers of files; it owns `layers` then */
    spt_stored stored;
    spt_device device;
    spt_drive drive;
    spt_meter *meter;
    spt_progress progress;
    spt_model_totals totals[SPT_WIDTHS_MAX]; /* one per position in --n */
    spt_shard shard;
    int64_t n_seen;                                        /* problems that were passed, of all shares */
    int64_t n_printed, n_done, n_broken, n_without_winner; /* problems; broken: layers */
    const char *warned[WARNINGS_MAX]; /* sentences that were said; they live as long as the program */
    int n_warned;
    bool is_complete; /* every problem had its turn */
    bool is_lost;     /* no database: no layer can be tuned */
} tune_run;

/* ---- signals: the first one ends the run with what is known, the second one kills ---- */

static volatile sig_atomic_t stop_requested;
static spt_meter *running_meter;

static void on_signal(int number) {
    (void)number;
    stop_requested = 1;
    if (running_meter != NULL)
        spt_meter_interrupt(running_meter);
}

static void catch_signals(spt_meter *meter) {
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};
    running_meter = meter;
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

static void release_signals(void) {
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    running_meter = NULL;
}

/* ---- the database: opened for the first layer that could be read, so that bad input leaves no file behind ---- */

static spt_status open_database(tune_run *run) {
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
static spt_status list_stale(tune_run *run) {
    char path[PATH_MAX];
    spt_db *probe;
    if (run->options->problem.n_widths > 0)
        return spt_usage_fail("expected a PATTERN beside --n, or --stale without it: the database knows its widths");
    SPT_TRY(spt_options_db_path(path, sizeof path, &run->options->problem));
    SPT_TRY(spt_db_open(&probe, path, SPT_DB_READ));
    spt_db_close(probe);
    SPT_TRY(open_database(run));
    SPT_TRY(spt_stored_init(&run->stored, run->drive.db, run->options->stored_folder));
    SPT_TRY(spt_stale_list_init(&run->stale, run->drive.db, &run->device));
    run->layers = run->stale.layers;
    return SPT_OK;
}

static spt_status list_layers(tune_run *run) {
    const spt_tune_options *options = run->options;
    if (options->stale && options->suite == NULL && options->n_patterns == 0)
        return list_stale(run);
    if (options->suite != NULL)
        SPT_TRY(spt_layers_add_suite(&run->layers, options->suite, &options->input));
    if (options->misses != NULL)
        SPT_TRY(spt_layers_add_misses(&run->layers, options->misses));
    for (int i = 0; i < options->n_patterns; i++) {
        spt_status status = spt_options_pattern(&run->layers, options->patterns[i], &options->input);
        if (status != SPT_OK && (options->n_patterns == 1 || spt_usage_failed()))
            return status;
        if (status != SPT_OK) {
            spt_say("%s", spt_last_error());
            run->n_broken++;
        }
    }
    return SPT_OK;
}

/* Every mistake that can be seen before the first measurement is seen before it. */
static spt_status check_layers(tune_run *run) {
    int64_t n_listed = 0;
    for (int64_t i = 0; i < run->layers.count; i++) {
        const int64_t *widths = NULL;
        int n_widths = 0;
        SPT_TRY(spt_options_widths(&widths, &n_widths, &run->options->problem, &run->layers.items[i]));
        for (int j = 0; j < n_widths; j++)
            run->progress.n_problems += spt_shard_has(&run->shard, n_listed++);
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

static void say_absent_libraries(const tune_run *run) {
    for (int i = 0; i < spt_family_count(); i++) {
        const spt_family *family = spt_family_at(i);
        if (family->available != NULL && family->device == run->device.kind &&
            family->available(&run->device) != SPT_OK)
            spt_say("%s is not a candidate: %s", family->name, spt_last_error());
    }
}

static spt_status set_up(tune_run *run) {
    const spt_tune_options *options = run->options;
    spt_drive *drive = &run->drive;
    *drive = (spt_drive){
        .device = &run->device,
        .families = options->families,
        .without_bounds = options->without_bounds,
        .seed = options->input.seed,
        .budget = options->budget,
        .policy = spt_measure_policy_default(),
        .now_s = spt_progress_now_s,
        .stop = &stop_requested,
        .progress = spt_progress_show,
        .progress_user = &run->progress,
    };
    drive->policy.uses = options->uses;
    drive->only_this_build = options->stale;
    drive->strategy = spt_strategy_find(options->strategy);
    if (drive->strategy == NULL)
        return spt_usage_fail("unknown strategy '%s' in --strategy; expected auto, sweep or random", options->strategy);
    if (spt_shard_parse(&run->shard, options->shard) != SPT_OK)
        return spt_usage_fail("%s", spt_last_error());
    SPT_TRY(check_families(options));
    SPT_TRY(spt_device_find(&run->device, options->problem.device));
    spt_measure_policy_adapt(&drive->policy, &run->device);
    SPT_TRY(list_layers(run));
    SPT_TRY(check_layers(run));
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

/* ---- one problem ---- */

static bool was_said(const tune_run *run, const char *warning) {
    for (int i = 0; i < run->n_warned; i++)
        if (strcmp(run->warned[i], warning) == 0)
            return true;
    return false;
}

/* Each warning once per run. */
static void say_warnings(tune_run *run) {
    const char *warning = NULL;
    for (int i = 0; (warning = spt_meter_warning(run->meter, i)) != NULL && run->n_warned < WARNINGS_MAX; i++)
        if (!was_said(run, warning)) {
            spt_say("warning: %s", warning);
            run->warned[run->n_warned++] = warning;
        }
}

/* What is left of --time goes evenly to the problems that are left. */
static void share_time(spt_progress *progress) {
    double now_s = spt_progress_now_s();
    double problems_left = (double)(progress->n_problems - progress->problem + 1);
    progress->problem_start_s = now_s;
    progress->search_until_s = now_s + fmax(progress->run_until_s - now_s, 0.0) / problems_left;
}

static spt_status print_result(tune_run *run, const spt_layer *layer, const spt_drive_result *result) {
    if (run->options->problem.json)
        return spt_report_json(layer, result,
                               result->measured > 0 || result->rounds_measured > 0 ? run->drive.session.uuid : "");
    if (run->n_printed == 0)
        spt_report_header(&run->layers);
    spt_report_row(&run->layers, layer, result);
    return SPT_OK;
}

/* A problem of the database, or one that the layer and the command line make. */
static spt_problem problem_of(const tune_run *run, const spt_layer *layer, int64_t n) {
    if (run->stale.problems != NULL)
        return run->stale.problems[layer - run->layers.items];
    return spt_options_problem(&run->options->problem, layer, n);
}

static spt_status tune_width(tune_run *run, const spt_layer *layer, const spt_matrix *matrix, int64_t n,
                             spt_model_totals *totals) {
    spt_drive_result result;
    bool is_stale = true;
    const spt_problem problem = problem_of(run, layer, n);
    run->progress.layer = layer->name;
    run->progress.n = n;
    run->progress.problem++;
    if (run->options->stale)
        SPT_TRY(spt_stale_check(&is_stale, run->drive.db, &problem, &matrix->view, &run->device));
    if (!is_stale)
        return SPT_OK;
    share_time(&run->progress);
    spt_status status = spt_drive_problem(&result, &run->drive, &matrix->view, &problem, run->progress.search_until_s);
    say_warnings(run);
    if (status != SPT_OK)
        return status;
    if (result.interrupted && !result.has_winner)
        return SPT_OK;
    SPT_TRY(print_result(run, layer, &result));
    spt_report_add(totals, layer, &result);
    run->n_printed++;
    run->n_done += !result.interrupted;
    run->n_without_winner += !result.has_winner;
    return SPT_OK;
}

/* What a record cannot hold is said and left out. */
static spt_status keep_positions(tune_run *run, const spt_csr *a) {
    const spt_hash128 fingerprint = spt_pattern_fingerprint(a);
    const spt_status status = spt_db_positions_add(run->drive.db, &fingerprint, a);
    if (status != SPT_EUNSUPPORTED)
        return status;
    spt_say("%s", spt_last_error());
    return SPT_OK;
}

/* How many of the next widths are this share's? */
static int count_mine(const tune_run *run, int n_widths) {
    int n_mine = 0;
    for (int i = 0; i < n_widths; i++)
        n_mine += spt_shard_has(&run->shard, run->n_seen + i);
    return n_mine;
}

static spt_status load_matrix(spt_matrix *out, const tune_run *run, const spt_layer *layer) {
    if (run->stale.fingerprints != NULL)
        return spt_stored_load(out, &run->stored, &run->stale.fingerprints[layer - run->layers.items]);
    return spt_layer_load(out, layer, &run->options->input);
}

static spt_status tune_layer(tune_run *run, const spt_layer *layer) {
    spt_matrix matrix = {0};
    const int64_t *widths = NULL;
    int n_widths = 0;
    SPT_TRY(spt_options_widths(&widths, &n_widths, &run->options->problem, layer));
    const int64_t first = run->n_seen;
    const int n_mine = count_mine(run, n_widths);
    run->n_seen += n_widths;
    if (n_mine == 0)
        return SPT_OK;
    spt_status status = load_matrix(&matrix, run, layer);
    if (status != SPT_OK) {
        run->progress.problem += n_mine;
        return status == SPT_EIO ? SPT_EINVAL : status; /* the layer's file, not the run's database */
    }
    if (run->drive.db == NULL) {
        status = open_database(run);
        run->is_lost = status != SPT_OK;
    }
    for (int i = 0; i < n_widths && status == SPT_OK && !stop_requested; i++)
        if (spt_shard_has(&run->shard, first + i))
            status = tune_width(run, layer, &matrix, widths[i], &run->totals[i]);
    if (status == SPT_OK && run->options->with_patterns)
        status = keep_positions(run, &matrix.view);
    spt_matrix_fini(&matrix);
    return status;
}

/* ---- the run ---- */

static void say_broken(const spt_layer *layer) {
    const char *sentence = spt_last_error();
    if (strstr(sentence, layer->name) != NULL)
        spt_say("%s", sentence);
    else
        spt_say("%s: %s", layer->name, sentence);
}

static spt_status tune_layers(tune_run *run) {
    for (int64_t i = 0; i < run->layers.count; i++) {
        if (stop_requested)
            return SPT_OK;
        spt_status status = tune_layer(run, &run->layers.items[i]);
        if (status == SPT_OK)
            continue;
        if (status == SPT_EIO || run->is_lost || run->layers.count + run->n_broken == 1)
            return status;
        say_broken(&run->layers.items[i]);
        run->n_broken++;
    }
    run->is_complete = !stop_requested;
    return SPT_OK;
}

static void print_totals(tune_run *run) {
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

static void conclude(tune_run *run, int *exit_code) {
    spt_progress_clear();
    print_totals(run);
    if (!run->is_complete)
        spt_say("stopped by a signal with %lld of %lld problems done; what was measured is kept, and the same command "
                "goes on from there",
                (long long)run->n_done, (long long)run->progress.n_problems);
    if (!run->is_complete || run->n_broken > 0 || run->n_without_winner > 0)
        *exit_code = SPT_EXIT_NEGATIVE;
}

spt_status spt_tune_run(const spt_tune_options *options, int *exit_code) {
    spt_status status = SPT_OK;
    tune_run *run = NULL;
    SPT_TRY_TO(done, SPT_NEW_ZEROED(run, 1));
    run->options = options;
    SPT_TRY_TO(done, set_up(run));
    run->progress.run_start_s = spt_progress_now_s();
    run->progress.run_until_s = options->time_s > 0.0 ? run->progress.run_start_s + options->time_s : INFINITY;
    catch_signals(run->meter);
    SPT_TRY_TO(done, tune_layers(run));
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
    if (run != NULL) {
        spt_meter_close(run->meter);
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
