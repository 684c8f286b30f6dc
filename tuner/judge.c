/* SPDX-License-Identifier: Apache-2.0 */
/* Judging stored winners; see judge.h. Libraries are looked for only where the record is for this very device. */
#include "tuner/judge.h"

#include <stdio.h>
#include <string.h>

#include "core/memory.h"
#include "db/scan.h"
#include "variants/family.h"

static const char built_by[] = __VERSION__;

static spt_status collect_devices(spt_judge *out, spt_scan *scan) {
    spt_status status;
    while ((status = spt_scan_next(scan)) == SPT_OK) {
        spt_device *larger =
            spt_realloc(out->devices, (size_t)out->n_devices, (size_t)out->n_devices + 1, sizeof *larger);
        if (larger == NULL)
            return SPT_ENOMEM;
        out->devices = larger;
        out->devices[out->n_devices] = scan->item.as.device;
        spt_device_complete(&out->devices[out->n_devices++]);
    }
    return status == SPT_ENOTFOUND ? SPT_OK : status;
}

spt_status spt_judge_init(spt_judge *out, spt_db *db) {
    spt_scan scan;
    *out = (spt_judge){0};
    SPT_TRY(spt_device_detect(&out->here));
    SPT_TRY(spt_scan_open(&scan, db, SPT_ITEM_DEVICE, false));
    const spt_status status = collect_devices(out, &scan);
    spt_scan_close(&scan);
    if (status != SPT_OK)
        spt_judge_fini(out);
    return status;
}

void spt_judge_fini(spt_judge *judge) {
    spt_free(judge->devices);
    *judge = (spt_judge){0};
}

const spt_device *spt_judge_device(const spt_judge *judge, const char *key) {
    for (int64_t i = 0; i < judge->n_devices; i++) {
        if (strcmp(judge->devices[i].key, key) == 0)
            return &judge->devices[i];
    }
    return NULL;
}

const char *spt_verdict_name(spt_verdict verdict) {
    static const char *const names[] = {"used", "stale", "unused"};
    return names[verdict];
}

spt_workload spt_listing_workload(const spt_listing *listing) {
    const spt_item_problem *problem = &listing->problem;
    spt_workload workload = {
        .problem = {.size = sizeof(spt_problem),
                    .op = problem->op,
                    .dtype = problem->dtype,
                    .layout = problem->layout,
                    .epilogue = problem->epilogue,
                    .n = problem->n,
                    .threads = problem->threads,
                    .cache = problem->cache,
                    .device = "cpu"},
        .pattern = {
            .n_rows = problem->m, .n_cols = problem->k, .nnz = listing->nnz, .fingerprint = problem->fingerprint}};
    (void)spt_features_parse(&workload.pattern.features, listing->features); /* the list checked it */
    return workload;
}

#define SAY(...) snprintf(reason, SPT_VERDICT_REASON_MAX, __VA_ARGS__)

/* Is the point one that the family would run? False with the reason. */
static bool is_runnable(char *reason, spt_point *point, const spt_family *family, const spt_device *device,
                        bool is_here, const spt_listing *listing) {
    const spt_workload workload = spt_listing_workload(listing);
    if (family->op != workload.problem.op || family->device != device->kind ||
        (family->dtypes & SPT_DTYPE_BIT(workload.problem.dtype)) == 0) {
        SAY("%s does not serve this problem", family->name);
        return false;
    }
    if (spt_point_parse(point, family->axes, family->n_axes, listing->winner.point) != SPT_OK) {
        SAY("%s", spt_last_error());
        return false;
    }
    if (is_here && spt_family_check(family, &workload, device) != SPT_OK) {
        SAY("%s", spt_last_error());
        return false;
    }
    if (!family->is_valid(&workload, device, point)) {
        SAY("point %s is not valid for this problem", listing->winner.point);
        return false;
    }
    return true;
}

spt_verdict spt_judge_winner(char reason[SPT_VERDICT_REASON_MAX], const spt_judge *judge, const spt_listing *listing) {
    const spt_winner *winner = &listing->winner;
    const spt_device *device = spt_judge_device(judge, listing->problem.device_key);
    const spt_family *family = spt_family_find(winner->family);
    spt_point point;
    reason[0] = '\0';
    if (device == NULL) {
        SAY("its device is not in the database");
        return SPT_VERDICT_UNUSED;
    }
    if (family == NULL) {
        SAY("this version has no family %s", winner->family);
        return SPT_VERDICT_UNUSED;
    }
    if (family->revision != winner->revision) {
        SAY("measured with revision %d of %s, this version has revision %d", winner->revision, winner->family,
            family->revision);
        return SPT_VERDICT_UNUSED;
    }
    const bool is_here = strcmp(device->key, judge->here.key) == 0;
    if (!is_runnable(reason, &point, family, device, is_here, listing))
        return SPT_VERDICT_UNUSED;
    if (strcmp(winner->compiler, built_by) != 0) {
        SAY("measured by a program of compiler %s, this one is of %s", winner->compiler, built_by);
        return SPT_VERDICT_STALE;
    }
    if (is_here && strcmp(winner->library, spt_family_library(family, &point)) != 0) {
        SAY("measured with library '%s', here is '%s'", winner->library, spt_family_library(family, &point));
        return SPT_VERDICT_STALE;
    }
    return SPT_VERDICT_USED;
}
