/* SPDX-License-Identifier: Apache-2.0 */
/* What `tune` prints; see report.h. */
#include "tuner/report.h"

#include <stdio.h>
#include <string.h>

#include "core/memory.h"
#include "core/text.h"
#include "tuner/progress.h"
#include "variants/operation.h"

#define NAME_WIDTH_MAX 40
#define WINNER_WIDTH 74

spt_status spt_json_print(json_t *json) {
    if (json == NULL)
        return spt_fail(SPT_ENOMEM, "expected memory and finite numbers for a line of JSON, found neither or one");
    /* What standard output does not take is noticed when main flushes it. */
    json_dumpf(json, stdout, JSON_COMPACT | JSON_REAL_PRECISION(9));
    putchar('\n');
    fflush(stdout);
    json_decref(json);
    return SPT_OK;
}

json_t *spt_json_name(const char *name) {
    json_t *json = json_string(name);
    char *plain = json == NULL ? spt_strdup(name) : NULL;
    if (plain == NULL)
        return json;
    for (char *c = plain; *c != '\0'; c++)
        if ((unsigned char)*c >= 0x80)
            *c = '?';
    json = json_string(plain);
    spt_free(plain);
    return json;
}

static double gflops_of(const spt_drive_result *result) {
    double time_ns = result->has_winner ? result->winner.time_ns_median : 0.0;
    return time_ns > 0.0 ? spt_workload_flops(&result->workload) / time_ns : 0.0;
}

/* ---- for programs ---- */

spt_status spt_report_json(const spt_layer *layer, const spt_drive_result *result, const char *session_uuid) {
    const spt_problem *problem = &result->workload.problem;
    const spt_pattern *pattern = &result->workload.pattern;
    const spt_winner none = {0};
    const spt_winner *winner = result->has_winner ? &result->winner : &none;
    json_t *line =
        json_pack("{s:o, s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:i, s:s, s:s, s:s, s:f, s:f}", "pattern",
                  spt_json_name(layer->name), "op", spt_op_name(problem->op), "dtype", spt_dtype_name(problem->dtype),
                  "layout", spt_layout_name(problem->layout), "epilogue", spt_epilogue_name(problem->epilogue), "cache",
                  spt_cache_name(problem->cache), "m", (json_int_t)pattern->n_rows, "k", (json_int_t)pattern->n_cols,
                  "n", (json_int_t)problem->n, "nnz", (json_int_t)pattern->nnz, "threads", problem->threads, "device",
                  problem->device, "family", winner->family, "point", winner->point, "time_ns_median",
                  winner->time_ns_median, "ci_ns", winner->ci_ns);
    json_t *more = json_pack(
        "{s:I, s:I, s:I, s:I, s:i, s:f, s:f, s:f, s:f, s:b, s:I, s:f, s:f, s:b, s:s, s:s}", "evaluations",
        (json_int_t)result->evaluations, "measured", (json_int_t)result->measured, "failed", (json_int_t)result->failed,
        "dropped", (json_int_t)result->dropped, "rounds", result->rounds_measured, "seconds", result->seconds,
        "speedup_over_default", winner->speedup_over_default, "speedup_over_dense", winner->speedup_over_dense,
        "gflops", gflops_of(result), "is_dense", winner->is_dense != 0, "packed_bytes",
        (json_int_t)result->packed_bytes, "pack_ns", result->pack_ns, "compile_ns", result->compile_ns, "interrupted",
        (int)result->interrupted, "key", result->key.text, "session", session_uuid);
    if (line != NULL && (more == NULL || json_object_update(line, more) != 0)) {
        json_decref(line);
        line = NULL;
    }
    json_decref(more);
    return spt_json_print(line);
}

/* ---- for people ---- */

static int name_width(const spt_layer_list *layers) {
    size_t width = strlen("layer");
    for (int64_t i = 0; i < layers->count; i++)
        if (strlen(layers->items[i].name) > width)
            width = strlen(layers->items[i].name);
    return width < NAME_WIDTH_MAX ? (int)width : NAME_WIDTH_MAX;
}

void spt_report_header(const spt_layer_list *layers) {
    spt_progress_clear();
    printf("%-*s %6s  %-*s %9s %8s %8s %9s\n", name_width(layers), "layer", "n", WINNER_WIDTH, "winner", "time",
           "GFLOP/s", "x dense", "x default");
    fflush(stdout);
}

void spt_ratio_text(char out[SPT_RATIO_TEXT_SIZE], double ratio) {
    if (ratio > 0.0)
        snprintf(out, SPT_RATIO_TEXT_SIZE, "%.2f", ratio);
    else
        spt_copy_text(out, SPT_RATIO_TEXT_SIZE, "-");
}

static void explain_dense(const spt_drive_result *result) {
    double nonzero = 100.0 * result->workload.pattern.features.density;
    printf("  dense wins: %.*f%% of the cells are nonzero", nonzero < 10.0 ? 1 : 0, nonzero);
    if (result->workload.problem.n < 8)
        printf(" and n is only %lld", (long long)result->workload.problem.n);
    if (result->sparse_over_dense > 0.0)
        printf("; best sparse %.2fx", result->sparse_over_dense);
    putchar('\n');
}

void spt_report_row(const spt_layer_list *layers, const spt_layer *layer, const spt_drive_result *result) {
    const spt_winner *winner = &result->winner;
    char time[SPT_TIME_TEXT_SIZE], over_dense[SPT_RATIO_TEXT_SIZE], over_default[SPT_RATIO_TEXT_SIZE],
        variant[sizeof winner->family + SPT_POINT_TEXT_MAX];
    spt_progress_clear();
    if (!result->has_winner) {
        printf("%-*s %6lld  no variant ran correctly: %lld of %lld failed\n", name_width(layers), layer->name,
               (long long)result->workload.problem.n, (long long)result->failed, (long long)result->evaluations);
        fflush(stdout);
        return;
    }
    spt_time_text(time, winner->time_ns_median);
    spt_ratio_text(over_dense, winner->speedup_over_dense);
    spt_ratio_text(over_default, winner->speedup_over_default);
    bool has_axes = strcmp(winner->point, "-") != 0;
    snprintf(variant, sizeof variant, "%s %s", winner->family, has_axes ? winner->point : "");
    printf("%-*s %6lld  %-*s %9s %8.1f %8s %9s\n", name_width(layers), layer->name,
           (long long)result->workload.problem.n, WINNER_WIDTH, variant, time, gflops_of(result), over_dense,
           over_default);
    if (winner->is_dense)
        explain_dense(result);
    fflush(stdout);
}

/* ---- the model's line ---- */

void spt_report_add(spt_model_totals *totals, const spt_layer *layer, const spt_drive_result *result) {
    const spt_winner *winner = &result->winner;
    const spt_pattern *pattern = &result->workload.pattern;
    double count = (double)layer->count;
    double dense_bytes =
        (double)pattern->n_rows * (double)pattern->n_cols * (double)spt_dtype_bytes(result->workload.problem.dtype);
    if (!result->has_winner)
        return;
    totals->n_layers += layer->count;
    totals->n_dense += winner->is_dense ? layer->count : 0;
    totals->dense_bytes += count * dense_bytes;
    totals->tuned_bytes += count * (winner->is_dense ? dense_bytes : (double)result->packed_bytes);
    if (winner->speedup_over_dense > 0.0) {
        totals->dense_ns += count * winner->time_ns_median * winner->speedup_over_dense;
        totals->tuned_ns += count * winner->time_ns_median;
    } else {
        totals->n_without_dense += layer->count;
    }
}

static void bytes_text(char out[SPT_TIME_TEXT_SIZE], double bytes) {
    if (bytes < 1e6)
        snprintf(out, SPT_TIME_TEXT_SIZE, "%.0f kB", bytes / 1e3);
    else
        snprintf(out, SPT_TIME_TEXT_SIZE, "%.1f MB", bytes / 1e6);
}

void spt_report_model(char *out, size_t capacity, const spt_model_totals *totals, const char *title) {
    char dense[SPT_TIME_TEXT_SIZE], tuned[SPT_TIME_TEXT_SIZE];
    spt_text line;
    spt_text_init(&line, out, capacity);
    spt_text_add(&line, "%s: %lld layer%s", title != NULL ? title : "total", (long long)totals->n_layers,
                 totals->n_layers == 1 ? "" : "s");
    if (totals->tuned_ns > 0.0) {
        spt_time_text(dense, totals->dense_ns);
        spt_time_text(tuned, totals->tuned_ns);
        spt_text_add(&line, ", dense %s -> tuned %s (%.2fx)", dense, tuned, totals->dense_ns / totals->tuned_ns);
    }
    if (totals->n_without_dense > 0)
        spt_text_add(&line, ", %lld without a dense time", (long long)totals->n_without_dense);
    bytes_text(dense, totals->dense_bytes);
    bytes_text(tuned, totals->tuned_bytes);
    spt_text_add(&line, ", %lld stay%s dense, weights %s -> %s", (long long)totals->n_dense,
                 totals->n_dense == 1 ? "s" : "", dense, tuned);
}
