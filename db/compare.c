/* SPDX-License-Identifier: Apache-2.0 */
/* A merge join of two scans; see compare.h. */
#include "db/compare.h"

#include <string.h>

#include "db/scan.h"

static int by_number(int64_t a, int64_t b) {
    return (a > b) - (a < b);
}

static int by_trial(const spt_item_trial *a, const spt_item_trial *b) {
    const spt_variant_id *x = &a->trial.variant, *y = &b->trial.variant;
    int order = spt_hash_compare(a->key, b->key);
    order = order != 0 ? order : strcmp(a->session, b->session);
    order = order != 0 ? order : strcmp(x->family, y->family);
    order = order != 0 ? order : by_number(x->revision, y->revision);
    order = order != 0 ? order : strcmp(x->point, y->point);
    order = order != 0 ? order : strcmp(a->source_hash, b->source_hash);
    order = order != 0 ? order : strcmp(x->library, y->library);
    order = order != 0 ? order : strcmp(spt_phase_name(a->trial.phase), spt_phase_name(b->trial.phase));
    return order != 0 ? order : by_number(a->trial.round, b->trial.round);
}

int spt_item_compare(const spt_item *a, const spt_item *b) {
    switch (a->kind) {
    case SPT_ITEM_DEVICE:
        return strcmp(a->as.device.key, b->as.device.key);
    case SPT_ITEM_PATTERN:
        return spt_hash_compare(a->as.pattern.fingerprint, b->as.pattern.fingerprint);
    case SPT_ITEM_PROBLEM:
        return strcmp(a->as.problem.key.text, b->as.problem.key.text);
    case SPT_ITEM_SESSION:
        return strcmp(a->as.session.uuid, b->as.session.uuid);
    case SPT_ITEM_TRIAL:
        return by_trial(&a->as.trial, &b->as.trial);
    }
    return 0;
}

static spt_hash128 content_of(const spt_item *item) {
    switch (item->kind) {
    case SPT_ITEM_DEVICE:
        return spt_device_content(&item->as.device);
    case SPT_ITEM_PATTERN:
        return spt_pattern_content(&item->as.pattern);
    case SPT_ITEM_SESSION:
        return spt_session_content(&item->as.session);
    case SPT_ITEM_TRIAL:
        return spt_trial_content(&item->as.trial.trial);
    case SPT_ITEM_PROBLEM:
        break; /* all of it is identity */
    }
    return (spt_hash128){{0}};
}

/* Step both scans past the lesser identity, or past both when they are one. */
static spt_status step(spt_comparison *out, bool has[2], spt_scan scans[2]) {
    const int order = !has[0] ? 1 : !has[1] ? -1 : spt_item_compare(&scans[0].item, &scans[1].item);
    const bool is_equal = order == 0 && spt_hash_equal(content_of(&scans[0].item), content_of(&scans[1].item));
    out->n_only_first += order < 0;
    out->n_only_second += order > 0;
    out->n_equal += is_equal;
    out->n_differ += order == 0 && !is_equal;
    const bool is_past[2] = {order <= 0, order >= 0};
    for (int i = 0; i < 2; i++) {
        if (!is_past[i])
            continue;
        const spt_status status = spt_scan_next(&scans[i]);
        has[i] = status == SPT_OK;
        if (status != SPT_OK && status != SPT_ENOTFOUND)
            return status;
    }
    return SPT_OK;
}

spt_status spt_db_compare(spt_comparison *out, spt_db *first, spt_db *second, spt_item_kind kind) {
    spt_db *const databases[2] = {first, second};
    spt_scan scans[2] = {0};
    bool has[2] = {false, false};
    spt_status status = SPT_OK;
    *out = (spt_comparison){0};
    for (int i = 0; i < 2; i++) {
        SPT_TRY_TO(done, spt_scan_open(&scans[i], databases[i], kind, false));
        status = spt_scan_next(&scans[i]);
        has[i] = status == SPT_OK;
        if (status != SPT_OK && status != SPT_ENOTFOUND)
            goto done;
    }
    status = SPT_OK;
    while (status == SPT_OK && (has[0] || has[1]))
        status = step(out, has, scans);
done:
    spt_scan_close(&scans[0]);
    spt_scan_close(&scans[1]);
    return status;
}
