/* SPDX-License-Identifier: Apache-2.0 */
/* Recording our own spaces: every valid point of every family for a pattern, verified and measured, written as a
 * Kernel Tuner cache file that `sparsetune replay` and other tuners read. Beside the point an entry has `bound`, the
 * model's expectation, and `is_default`, 1 for a family's untuned point; nothing of the pattern's positions.
 * First a sweep, kept in a database, so that it goes on where it stopped; then the points near the best run in rounds
 * against one reference, because the least of some thousand noisy times is not the time of the fastest. Every round has
 * a worker of its own: which pages a process happens to get makes one variant up to a tenth faster, for as long as it
 * lives.
 * usage: record [--db FILE] [--seconds S] -o FOLDER PATTERN N [PATTERN N ...]
 * exit codes: 0 all written, 1 time was up: the same command goes on, 2 usage, 3 failure */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "core/memory.h"
#include "core/statistics.h"
#include "core/text.h"
#include "tuner/drive.h"
#include "tuner/drive_scores.h"
#include "tuner/input/input.h"
#include "tuner/progress.h"

enum { ROUNDS = 9, GROUP = 15, COLUMNS_MAX = 64, PATH_BYTES = 4096 };
enum { LUCKY = 4 }; /* points of the sweep that are first because of a lucky measurement, at most */
#define NEAR 1.12   /* of the best of the others */
#define NS_PER_MS 1e6

typedef struct recorder {
    spt_device device;
    spt_db *db;
    spt_meter *meter;
    spt_measure_policy policy;
    const char *folder;
    double until_s;
} recorder;

/* One problem and what is known of it. */
typedef struct subject {
    const char *name;
    spt_workload workload;
    spt_key key;
    spt_trial_list trials; /* sorted by time, failed ones last */
    int64_t n_points, n_near;
} subject;

/* ---- the sweep ---- */

static int64_t count_points(const recorder *self, const spt_workload *workload) {
    int64_t n = 0;
    for (int i = 0; i < spt_family_count(); i++) {
        spt_family_space space;
        if (spt_family_check(spt_family_at(i), workload, &self->device) != SPT_OK)
            continue;
        spt_family_space_init(&space, spt_family_at(i), workload, &self->device);
        n += spt_space_count_valid(&space.space);
    }
    return n;
}

static double time_of(const spt_trial *trial) {
    const spt_trial_status status = trial->measurement.status;
    return spt_trial_is_timed(status) ? trial->measurement.time_ns_median : INFINITY;
}

static int compare_trials(const void *a, const void *b) {
    const double x = time_of(a), y = time_of(b);
    return (x > y) - (x < y);
}

/* Of the trials of one variant, sorted by time, only the first stays: references of pace are trials, too. */
static void keep_first_of_each(spt_trial_list *trials) {
    int64_t n_kept = 0;
    for (int64_t i = 0; i < trials->count; i++) {
        int64_t same = 0;
        while (same < n_kept &&
               spt_drive_compare_variants(&trials->items[same].variant, &trials->items[i].variant) != 0)
            same++;
        if (same == n_kept)
            trials->items[n_kept++] = trials->items[i];
    }
    trials->count = n_kept;
}

static spt_status sweep(recorder *self, subject *s, const spt_csr *a, int64_t n) {
    const spt_problem problem = {.size = sizeof problem, .n = n, .threads = 1};
    spt_drive_result result;
    spt_drive drive = {.meter = spt_drive_meter_real(self->meter),
                       .db = self->db,
                       .device = &self->device,
                       .strategy = spt_strategy_find("sweep"),
                       .budget = INT64_MAX,
                       .policy = self->policy,
                       .now_s = spt_progress_now_s};
    drive.session = (spt_session){.budget = drive.budget};
    spt_copy_text(drive.session.tool_version, sizeof drive.session.tool_version, SPT_VERSION_TEXT);
    spt_copy_text(drive.session.compiler, sizeof drive.session.compiler, __VERSION__);
    spt_copy_text(drive.session.strategy, sizeof drive.session.strategy, "sweep");
    spt_measure_policy_text(drive.session.policy, &drive.policy);
    SPT_TRY(spt_drive_problem(&result, &drive, a, &problem, self->until_s));
    s->workload = result.workload;
    s->key = result.key;
    s->n_points = count_points(self, &s->workload);
    SPT_TRY(spt_db_trials_read(&s->trials, self->db, &s->key, drive.session.policy));
    qsort(s->trials.items, (size_t)s->trials.count, sizeof *s->trials.items, compare_trials);
    keep_first_of_each(&s->trials);
    return SPT_OK;
}

/* ---- the rounds of the near ones ---- */

typedef struct round_times {
    double ratio[GROUP][ROUNDS], reference_ns[ROUNDS];
} round_times;

/* A meter whose worker is a new process. */
static spt_status renew_meter(recorder *self, const subject *s, const spt_csr *a) {
    spt_meter_close(self->meter);
    self->meter = NULL;
    SPT_TRY(spt_meter_open(&self->meter, NULL, &self->policy));
    return spt_meter_load(self->meter, &s->workload, a, 0);
}

/* Time items[first] .. of the near ones in rounds with the reference, trial 0, whose time divides theirs. */
static spt_status time_group(recorder *self, subject *s, const spt_csr *a, int64_t first, round_times *times) {
    spt_variant_id variants[GROUP + 1];
    spt_measurement found[GROUP + 1];
    int n = 1;
    variants[0] = s->trials.items[0].variant;
    for (; n <= GROUP && first + n - 1 < s->n_near; n++)
        variants[n] = s->trials.items[first + n - 1].variant;
    for (int round = 0; round < ROUNDS; round++) {
        SPT_TRY(renew_meter(self, s, a));
        SPT_TRY(spt_meter_round(self->meter, variants, n, found));
        if (found[0].status != SPT_TRIAL_CORRECT)
            return spt_fail(SPT_EWRONG, "%s: the reference %s failed: %s", s->name, variants[0].point, found[0].reason);
        times->reference_ns[round] = found[0].time_ns_median;
        for (int i = 1; i < n; i++)
            times->ratio[i - 1][round] =
                found[i].status == SPT_TRIAL_CORRECT ? found[i].time_ns_median / found[0].time_ns_median : INFINITY;
    }
    return SPT_OK;
}

/* A near point's time is the median of its ratios to the reference, times the reference's median of all rounds. */
static spt_status time_near(recorder *self, subject *s, const spt_csr *a) {
    spt_status status = SPT_OK;
    double *references = NULL, *ratios = NULL;
    int64_t n_references = 0;
    int64_t first_honest = s->trials.count > LUCKY ? LUCKY : 0;
    while (first_honest > 0 && !isfinite(time_of(&s->trials.items[first_honest])))
        first_honest--;
    const double limit_ns = NEAR * time_of(&s->trials.items[first_honest]);
    for (s->n_near = 0; s->n_near < s->trials.count && time_of(&s->trials.items[s->n_near]) <= limit_ns;)
        s->n_near++;
    SPT_TRY_TO(done, SPT_NEW(references, (s->n_near / GROUP + 1) * ROUNDS));
    SPT_TRY_TO(done, SPT_NEW(ratios, s->n_near));
    ratios[0] = 1.0;
    for (int64_t first = 1; first < s->n_near; first += GROUP) {
        round_times times;
        SPT_TRY_TO(done, time_group(self, s, a, first, &times));
        for (int round = 0; round < ROUNDS; round++)
            references[n_references++] = times.reference_ns[round];
        for (int64_t i = 0; i < GROUP && first + i < s->n_near; i++)
            ratios[first + i] = spt_median(times.ratio[i], ROUNDS);
    }
    const double reference_ns =
        n_references > 0 ? spt_median(references, (int)n_references) : time_of(&s->trials.items[0]);
    for (int64_t i = 0; i < s->n_near; i++)
        if (isfinite(ratios[i]))
            s->trials.items[i].measurement.time_ns_median = ratios[i] * reference_ns;
done:
    spt_free(references);
    spt_free(ratios);
    return status;
}

/* ---- the file ---- */

typedef struct column_list {
    const char *names[COLUMNS_MAX];
    int count;
} column_list;

static int axis_named(const spt_family *family, const char *name) {
    for (int axis = 0; axis < family->n_axes; axis++)
        if (strcmp(family->axes[axis].name, name) == 0)
            return axis;
    return -1;
}

static bool is_used(const subject *s, const spt_family *family) {
    for (int64_t i = 0; i < s->trials.count; i++)
        if (strcmp(s->trials.items[i].variant.family, family->name) == 0)
            return true;
    return false;
}

static void list_columns(column_list *out, const subject *s) {
    out->count = 0;
    for (int i = 0; i < spt_family_count(); i++) {
        const spt_family *family = spt_family_at(i);
        for (int axis = 0; is_used(s, family) && axis < family->n_axes; axis++) {
            int c = 0;
            while (c < out->count && strcmp(out->names[c], family->axes[axis].name) != 0)
                c++;
            if (c == out->count && c < COLUMNS_MAX)
                out->names[out->count++] = family->axes[axis].name;
        }
    }
}

/* A value as JSON: a number, a name in quotes, "-" for a parameter that this family does not have. */
static void value_text(char *out, size_t capacity, const spt_family *family, const spt_point *point, const char *name) {
    const int axis = axis_named(family, name);
    const spt_axis_value *value = axis >= 0 ? &family->axes[axis].values[point->index[axis]] : NULL;
    if (value != NULL && value->name == NULL)
        snprintf(out, capacity, "%" PRId32, value->value);
    else
        snprintf(out, capacity, "\"%s\"", value != NULL ? value->name : "-");
}

static const char *outcome_of(spt_trial_status status) {
    return status == SPT_TRIAL_COMPILE ? "CompilationFailedConfig" : "RuntimeFailedConfig";
}

static spt_status write_entry(gzFile file, const recorder *self, const subject *s, const column_list *columns,
                              const spt_trial *trial, bool is_last) {
    const spt_family *family = spt_family_find(trial->variant.family);
    const spt_measurement *found = &trial->measurement;
    spt_point point, untuned;
    char value[64];
    SPT_TRY(spt_point_parse(&point, family->axes, family->n_axes, trial->variant.point));
    family->default_point(&s->workload, &self->device, &untuned);
    gzprintf(file, "\"%s", family->name);
    for (int c = 0; c < columns->count; c++) {
        value_text(value, sizeof value, family, &point, columns->names[c]);
        const size_t quoted = value[0] == '"';
        gzprintf(file, ",%.*s", (int)(strlen(value) - 2 * quoted), value + quoted);
    }
    gzprintf(file, "\": {\"family\": \"%s\"", family->name);
    for (int c = 0; c < columns->count; c++) {
        value_text(value, sizeof value, family, &point, columns->names[c]);
        gzprintf(file, ", \"%s\": %s", columns->names[c], value);
    }
    if (isfinite(time_of(trial)))
        gzprintf(file, ", \"time\": %.6g", found->time_ns_median / NS_PER_MS);
    else
        gzprintf(file, ", \"time\": \"%s\"", outcome_of(found->status));
    gzprintf(file, ", \"compile_time\": %.4g, \"bound\": %.4g, \"is_default\": %d}%s\n", found->pack_ns / NS_PER_MS,
             family->bound_ns(&s->workload, &self->device, &point) / NS_PER_MS, spt_point_equal(&point, &untuned),
             is_last ? "}}" : ",");
    return SPT_OK;
}

static spt_status write_space(const recorder *self, const subject *s) {
    char path[PATH_BYTES];
    column_list columns;
    spt_status status = SPT_OK;
    const spt_pattern *pattern = &s->workload.pattern;
    list_columns(&columns, s);
    snprintf(path, sizeof path, "%s/%.*s.json.gz", self->folder, (int)strcspn(s->name, "."), s->name);
    gzFile file = gzopen(path, "wb9");
    if (file == NULL)
        return spt_fail(SPT_EIO, "%s: cannot be written", path);
    gzprintf(file,
             "{\"device_name\": \"%s\", \"kernel_name\": \"%s\",\n\"problem_size\": [%" PRId64 ", %" PRId64 ", %" PRId64
             "], \"nonzeros\": %" PRId64 ",\n\"tune_params_keys\": [\"family\"",
             self->device.name, s->name, pattern->n_rows, pattern->n_cols, s->workload.problem.n, pattern->nnz);
    for (int c = 0; c < columns.count; c++)
        gzprintf(file, ", \"%s\"", columns.names[c]);
    gzprintf(file, "],\n\"objective\": \"time\", \"cache\": {\n");
    for (int64_t i = 0; i < s->trials.count; i++)
        SPT_TRY_TO(done, write_entry(file, self, s, &columns, &s->trials.items[i], i + 1 == s->trials.count));
done:
    if (gzclose(file) != Z_OK && status == SPT_OK)
        status = spt_fail(SPT_EIO, "%s: the disk took no more", path);
    return status;
}

/* ---- the program ---- */

static spt_status record(recorder *self, const char *path, int64_t n, bool *is_whole) {
    const spt_input_options options = {.seed = 0};
    spt_layer_list layers = {0};
    spt_matrix matrix = {0};
    subject s = {0};
    spt_status status = SPT_OK;
    const double start_s = spt_progress_now_s();
    SPT_TRY_TO(done, spt_layers_add(&layers, path, &options));
    SPT_TRY_TO(done, spt_layer_load(&matrix, &layers.items[0], &options));
    s.name = layers.items[0].name;
    SPT_TRY_TO(done, sweep(self, &s, &matrix.view, n));
    *is_whole = s.trials.count >= s.n_points;
    if (*is_whole) {
        SPT_TRY_TO(done, time_near(self, &s, &matrix.view));
        SPT_TRY_TO(done, write_space(self, &s));
    }
    printf("%-32s n %5" PRId64 " %6" PRId64 " of %6" PRId64 " points, %4" PRId64 " near, best %9.1f us, %6.1f s%s\n",
           s.name, n, s.trials.count, s.n_points, s.n_near,
           s.trials.count > 0 ? time_of(&s.trials.items[0]) / 1e3 : 0.0, spt_progress_now_s() - start_s,
           *is_whole ? "" : ", not whole yet");
    fflush(stdout);
done:
    spt_trial_list_fini(&s.trials);
    spt_matrix_fini(&matrix);
    spt_layer_list_fini(&layers);
    return status;
}

static bool parse(recorder *self, const char **db, double *seconds, int *first, int argc, char **argv) {
    for (*first = 1; *first + 1 < argc && argv[*first][0] == '-'; *first += 2) {
        const char *name = argv[*first], *value = argv[*first + 1];
        if (strcmp(name, "--db") == 0)
            *db = value;
        else if (strcmp(name, "-o") == 0)
            self->folder = value;
        else if (strcmp(name, "--seconds") != 0 || spt_parse_f64(seconds, value, 0.0, 1e9, name) != SPT_OK)
            return false;
    }
    return self->folder != NULL && *first + 1 < argc && (argc - *first) % 2 == 0;
}

static spt_status run(recorder *self, const char *db, int first, int argc, char **argv, bool *is_whole) {
    SPT_TRY(spt_device_detect(&self->device));
    SPT_TRY(spt_db_open(&self->db, db, SPT_DB_WRITE));
    SPT_TRY(spt_meter_open(&self->meter, NULL, &self->policy));
    for (int i = first; i + 1 < argc && *is_whole; i += 2)
        SPT_TRY(record(self, argv[i], strtoll(argv[i + 1], NULL, 10), is_whole));
    return SPT_OK;
}

int main(int argc, char **argv) {
    recorder self = {.policy = spt_measure_policy_default()};
    const char *db = ":memory:";
    double seconds = 1e9;
    bool is_whole = true;
    int first = 1;
    if (argc >= 2 && strcmp(argv[1], SPT_WORKER_VERB) == 0)
        return spt_worker_main(argc, argv);
    if (!parse(&self, &db, &seconds, &first, argc, argv)) {
        fprintf(stderr, "usage: record [--db FILE] [--seconds S] -o FOLDER PATTERN N [PATTERN N ...]\n");
        return 2;
    }
    self.policy.final_rounds = 0;
    self.until_s = spt_progress_now_s() + seconds;
    const spt_status status = run(&self, db, first, argc, argv, &is_whole);
    if (status != SPT_OK)
        fprintf(stderr, "record: %s\n", spt_last_error());
    spt_meter_close(self.meter);
    spt_db_close(self.db);
    return status != SPT_OK ? 3 : is_whole ? 0 : 1;
}
