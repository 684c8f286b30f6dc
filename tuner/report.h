/* SPDX-License-Identifier: Apache-2.0 */
/* What `tune` prints on standard output: a table for people or JSON lines for programs, and the model's line. */
#ifndef SPT_TUNER_REPORT_H
#define SPT_TUNER_REPORT_H

#include <jansson.h>

#include "tuner/drive.h"
#include "tuner/input/input.h"

/* Print one JSON object as one line on standard output and release it. Numbers keep 9 digits. Errors: ENOMEM (also
 * when json is NULL, which is what jansson gives for a NaN). */
spt_status spt_json_print(json_t *json);

/* A name of a file or a layer for json_pack's "o": bytes that are no UTF-8 become question marks. NULL: no memory. */
json_t *spt_json_name(const char *name);

/* A ratio, or a dash where it was not measured. */
#define SPT_RATIO_TEXT_SIZE 16
void spt_ratio_text(char out[SPT_RATIO_TEXT_SIZE], double ratio);

/* Sums over the layers of a model, each as often as the model has it. */
typedef struct spt_model_totals {
    int64_t n_layers, n_dense; /* layers with a winner; of them, those where a dense family won */
    int64_t n_without_dense;   /* layers whose dense time is not known: in no sum */
    double dense_ns, tuned_ns;
    double dense_bytes, tuned_bytes; /* of the weights */
} spt_model_totals;

void spt_report_header(const spt_layer_list *layers);
void spt_report_row(const spt_layer_list *layers, const spt_layer *layer, const spt_drive_result *result);
spt_status spt_report_json(const spt_layer *layer, const spt_drive_result *result, const char *session_uuid);

void spt_report_add(spt_model_totals *totals, const spt_layer *layer, const spt_drive_result *result);
/* The model's line without a newline; title may be NULL. */
void spt_report_model(char *out, size_t capacity, const spt_model_totals *totals, const char *title);

#endif
