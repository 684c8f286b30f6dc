/* SPDX-License-Identifier: Apache-2.0 */
/* `sparsetune db verify`: measure winners again on this machine and say what moved, and by how much. Winner and untuned
 * default run interleaved in rounds, as in finals, so the ratio of the two is of one minute; the record's own ratio is
 * what it is compared with. Nothing is written. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/memory.h"
#include "core/statistics.h"
#include "db/list.h"
#include "tuner/commands/db_verbs.h"
#include "tuner/judge.h"
#include "tuner/measure/meter.h"
#include "tuner/stored.h"
#include "variants/family.h"

enum { ROUNDS_MAX = 64 };

typedef struct verify {
    spt_db *db;
    spt_judge judge;
    spt_stored stored;
    spt_meter *meter;
    spt_measure_policy policy;
    double tolerance;
    bool json;
    int64_t limit;
    int64_t n_holds, n_moved, n_wrong, n_without; /* wrong: it fails now; without: no matrix, or not used any more */
} verify;

/* What a winner does now. */
typedef struct reading {
    const char *verdict;     /* holds, moved, failed */
    double time_ns, speedup; /* 0 where it failed; speedup over the default of the same rounds */
    bool has_default;        /* the winner is another variant than the default */
    char reason[200];
} reading;

/* The winner and the default; one of them twice would only measure the same. */
static spt_status name_variants(spt_variant_id out[2], int *count, const spt_listing *listing,
                                const spt_workload *workload, const spt_device *device) {
    const spt_family *family;
    spt_point point;
    memset(out, 0, 2 * sizeof *out);
    snprintf(out[0].family, sizeof out[0].family, "%s", listing->winner.family);
    snprintf(out[0].point, sizeof out[0].point, "%s", listing->winner.point);
    SPT_TRY(spt_default_variant(&family, &point, workload, device));
    snprintf(out[1].family, sizeof out[1].family, "%s", family->name);
    SPT_TRY(spt_point_text(out[1].point, family->axes, family->n_axes, &point));
    *count = strcmp(out[0].family, out[1].family) == 0 && strcmp(out[0].point, out[1].point) == 0 ? 1 : 2;
    return SPT_OK;
}

static spt_status run_rounds(reading *out, verify *self, const spt_variant_id *variants, int n_variants) {
    double times[ROUNDS_MAX], ratios[ROUNDS_MAX];
    const int n_rounds = self->policy.final_rounds < ROUNDS_MAX ? self->policy.final_rounds : ROUNDS_MAX;
    *out = (reading){.verdict = "failed"};
    for (int round = 0; round < n_rounds; round++) {
        spt_measurement found[2];
        SPT_TRY(spt_meter_round(self->meter, variants, n_variants, found));
        for (int i = 0; i < n_variants; i++) {
            if (found[i].status == SPT_TRIAL_CORRECT)
                continue;
            snprintf(out->reason, sizeof out->reason, "%s: %.180s", i == 0 ? "the winner" : "the default",
                     found[i].reason);
            return SPT_OK;
        }
        times[round] = found[0].time_ns_median;
        ratios[round] = n_variants == 2 ? found[1].time_ns_median / found[0].time_ns_median : 1.0;
    }
    out->time_ns = spt_median(times, n_rounds);
    out->speedup = spt_median(ratios, n_rounds);
    out->has_default = n_variants == 2;
    return SPT_OK;
}

/* A winner moved when its speedup over the default did by more than the tolerance: a machine that is slower as a whole
 * moved nothing. Where the winner is the default, or the record knows no speedup, its time decides. */
static void judge_reading(reading *out, const verify *self, const spt_winner *winner) {
    if (out->time_ns <= 0.0)
        return;
    const bool by_speedup = out->has_default && winner->speedup_over_default > 0.0;
    const double moved =
        by_speedup ? out->speedup / winner->speedup_over_default : winner->time_ns_median / out->time_ns;
    const bool is_beaten = out->speedup < 1.0 - self->tolerance;
    const bool holds = !is_beaten && fabs(log(moved)) <= log1p(self->tolerance);
    out->verdict = holds ? "holds" : "moved";
    if (is_beaten)
        snprintf(out->reason, sizeof out->reason, "slower than the untuned default now");
    else if (!holds)
        snprintf(out->reason, sizeof out->reason, "%s is %.2fx of what it was",
                 by_speedup ? "its speedup over the default" : "its speed", moved);
}

static spt_status print_reading(const verify *self, const spt_listing *item, const reading *found) {
    char key[SPT_HASH_TEXT_SIZE], then[SPT_TIME_TEXT_SIZE], now[SPT_TIME_TEXT_SIZE];
    const spt_winner *winner = &item->winner;
    spt_hash_text(key, item->problem.key.hash);
    if (self->json)
        return spt_json_print(
            json_pack("{ss sI ss ss ss sf sf sf sf sf ss}", "key", key, "n", (json_int_t)item->problem.n, "family",
                      winner->family, "point", winner->point, "verdict", found->verdict, "time_ns_recorded",
                      winner->time_ns_median, "time_ns_median", found->time_ns, "time_ratio",
                      found->time_ns / winner->time_ns_median, "speedup_over_default_recorded",
                      winner->speedup_over_default, "speedup_over_default", found->speedup, "reason", found->reason));
    spt_time_text(then, winner->time_ns_median);
    spt_time_text(now, found->time_ns);
    printf("%-7s %.12s n=%-5" PRId64 " %9s -> %9s (%+.0f %%)  over default %.2f -> %.2f  %s %s%s%s\n", found->verdict,
           key, item->problem.n, then, now, 100.0 * (found->time_ns / winner->time_ns_median - 1.0),
           winner->speedup_over_default, found->speedup, winner->family, winner->point,
           found->reason[0] != '\0' ? ": " : "", found->reason);
    fflush(stdout);
    return SPT_OK;
}

static spt_status measure(reading *out, verify *self, const spt_listing *item, const spt_csr *a) {
    spt_workload workload;
    spt_variant_id variants[2];
    int n_variants;
    const spt_workload stored = spt_listing_workload(item);
    SPT_TRY(spt_workload_init(&workload, &stored.problem, a));
    SPT_TRY(name_variants(variants, &n_variants, item, &workload, &self->judge.here));
    SPT_TRY(spt_meter_load(self->meter, &workload, a, 0));
    return run_rounds(out, self, variants, n_variants);
}

static spt_status verify_one(verify *self, const spt_listing *item) {
    char reason[SPT_VERDICT_REASON_MAX];
    spt_matrix matrix = {0};
    reading found;
    if (!item->has_winner || strcmp(item->problem.device_key, self->judge.here.key) != 0)
        return SPT_OK;
    if (spt_judge_winner(reason, &self->judge, item) == SPT_VERDICT_UNUSED ||
        spt_stored_load(&matrix, &self->stored, &item->problem.fingerprint) != SPT_OK) {
        self->n_without++;
        return SPT_OK;
    }
    const spt_status status = measure(&found, self, item, &matrix.view);
    spt_matrix_fini(&matrix);
    SPT_TRY(status);
    judge_reading(&found, self, &item->winner);
    self->n_holds += strcmp(found.verdict, "holds") == 0;
    self->n_moved += strcmp(found.verdict, "moved") == 0;
    self->n_wrong += strcmp(found.verdict, "failed") == 0;
    return print_reading(self, item, &found);
}

static spt_status verify_all(verify *self) {
    spt_list list;
    spt_status status;
    SPT_TRY(spt_list_open(&list, self->db, false));
    while (self->n_holds + self->n_moved + self->n_wrong < self->limit && (status = spt_list_next(&list)) == SPT_OK)
        SPT_TRY_TO(done, verify_one(self, &list.item));
    status = SPT_OK;
done:
    spt_list_close(&list);
    return status;
}

static spt_status run(verify *self, const char *given, const char *folder) {
    char path[SPT_DB_PATH_MAX];
    SPT_TRY(spt_db_verb_open(&self->db, path, given, SPT_DB_READ));
    SPT_TRY(spt_judge_init(&self->judge, self->db));
    SPT_TRY(spt_stored_init(&self->stored, self->db, folder));
    self->policy = spt_measure_policy_default();
    SPT_TRY(spt_meter_open(&self->meter, NULL, &self->policy));
    return verify_all(self);
}

spt_status spt_db_verb_verify(int argc, char **argv, int *exit_code) {
    verify self = {.tolerance = 0.1, .limit = INT64_MAX};
    const char *given = NULL, *folder = NULL;
    const spt_option rows[] = {{"--db", SPT_OPTION_TEXT, &given},
                               {"--patterns", SPT_OPTION_TEXT, &folder},
                               {"--tolerance", SPT_OPTION_SHARE, &self.tolerance},
                               {"--limit", SPT_OPTION_COUNT, &self.limit},
                               {"--json", SPT_OPTION_FLAG, &self.json}};
    int n_arguments;
    SPT_TRY(spt_options_parse(&n_arguments, argc, argv, rows, SPT_N_ROWS(rows), NULL));
    SPT_TRY(spt_db_verb_arguments(n_arguments, 0, 0, "no argument but options"));
    const spt_status status = run(&self, given, folder);
    spt_meter_close(self.meter);
    spt_stored_fini(&self.stored);
    spt_judge_fini(&self.judge);
    spt_db_close(self.db);
    SPT_TRY(status);
    spt_say("%" PRId64 " winners hold, %" PRId64 " moved, %" PRId64 " fail; %" PRId64
            " were not measured (no matrix for their pattern, or not used any more)",
            self.n_holds, self.n_moved, self.n_wrong, self.n_without);
    if (self.n_moved + self.n_wrong > 0 || self.n_holds == 0)
        *exit_code = SPT_EXIT_NEGATIVE;
    return SPT_OK;
}
