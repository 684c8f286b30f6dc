/* SPDX-License-Identifier: Apache-2.0 */
/* The registry of families, and the questions that are asked of all of them alike. */
#include <math.h>
#include <string.h>

#include "variants/cuda/kernel.h"
#include "variants/family.h"

static const spt_family *const families[] = {
#define SPT_FAMILY(name) &spt_family_##name,
#include "variants/families.def"
#undef SPT_FAMILY
};
enum { N_FAMILIES = sizeof families / sizeof families[0] };

static const spt_family *const *planted;
static int n_planted;

void spt_registry_plant(const spt_family *const *extra, int n_extra) {
    planted = extra;
    n_planted = n_extra;
}

int spt_family_count(void) {
    return N_FAMILIES + n_planted;
}

const spt_family *spt_family_at(int index) {
    return index < N_FAMILIES ? families[index] : planted[index - N_FAMILIES];
}

const spt_family *spt_family_find(const char *name) {
    for (int i = 0; i < spt_family_count(); i++) {
        if (strcmp(spt_family_at(i)->name, name) == 0)
            return spt_family_at(i);
    }
    return NULL;
}

const char *spt_family_library(const spt_family *family, const spt_point *point) {
    return family->library_version != NULL ? family->library_version(point) : "";
}

static bool is_valid_in_space(const void *context, const spt_point *point) {
    const spt_family_space *self = context;
    return self->family->is_valid(self->workload, self->device, point);
}

static double expect_in_space(const void *context, const spt_point *point) {
    const spt_family_space *self = context;
    return self->family->bound_ns(self->workload, self->device, point);
}

void spt_family_first_point(const spt_workload *workload, const spt_device *device, spt_point *out) {
    (void)workload;
    (void)device;
    *out = (spt_point){0};
}

void spt_family_space_init(spt_family_space *out, const spt_family *family, const spt_workload *workload,
                           const spt_device *device) {
    *out = (spt_family_space){.family = family, .workload = workload, .device = device};
    out->space = (spt_space){.axes = family->axes,
                             .n_axes = family->n_axes,
                             .is_valid = is_valid_in_space,
                             .expect = expect_in_space,
                             .context = out};
}

spt_status spt_family_check(const spt_family *family, const spt_workload *workload, const spt_device *device) {
    const spt_problem *problem = &workload->problem;
    if (family->op != problem->op || family->device != device->kind)
        return spt_fail(SPT_EUNSUPPORTED, "%s computes %s on %s, not %s on %s", family->name, spt_op_name(family->op),
                        spt_device_kind_name(family->device), spt_op_name(problem->op),
                        spt_device_kind_name(device->kind));
    if ((family->dtypes & SPT_DTYPE_BIT(problem->dtype)) == 0)
        return spt_fail(SPT_EUNSUPPORTED, "%s does not compute in %s", family->name, spt_dtype_name(problem->dtype));
    if (spt_epilogue_get(problem->epilogue)->has_residual && !family->takes_residual)
        return spt_fail(SPT_EUNSUPPORTED, "%s does not add a residual", family->name);
    if (family->pads_zeros && problem->may_be_nonfinite)
        return spt_fail(SPT_EUNSUPPORTED, "%s multiplies zeros, and the operands may hold Inf or NaN", family->name);
    if (family->available != NULL)
        SPT_TRY(family->available(device));
    spt_point point = {0};
    family->default_point(workload, device, &point);
    if (!family->is_valid(workload, device, &point))
        return spt_fail(SPT_EUNSUPPORTED, "%s has no valid point for this problem", family->name);
    return SPT_OK;
}

/* Step to the next point that `tried` names, the last axis first; false past the last one. */
static bool next_tried(spt_point *point, const spt_family *family, const uint32_t *tried) {
    for (int axis = family->n_axes - 1; axis >= 0; axis--) {
        for (int value = point->index[axis] + 1; value < family->axes[axis].n_values; value++) {
            if ((tried[axis] >> value & 1) != 0) {
                point->index[axis] = (uint16_t)value;
                return true;
            }
        }
        point->index[axis] = 0;
    }
    return false;
}

void spt_family_least_bound(spt_point *out, const spt_family *family, const uint32_t *tried,
                            const spt_workload *workload, const spt_device *device) {
    double best_ns = INFINITY;
    spt_point point = {0};
    *out = point;
    do {
        const double ns =
            family->is_valid(workload, device, &point) ? family->bound_ns(workload, device, &point) : INFINITY;
        if (ns < best_ns) {
            *out = point;
            best_ns = ns;
        }
    } while (next_tried(&point, family, tried));
}

spt_status spt_default_variant(const spt_family **family, spt_point *point, const spt_workload *workload,
                               const spt_device *device) {
    double best_ns = INFINITY;
    *family = NULL;
    for (int i = 0; i < spt_family_count(); i++) {
        const spt_family *candidate = spt_family_at(i);
        if (candidate->cuda != NULL && (candidate->cuda->is_baked || candidate->cuda->is_unconfirmed))
            continue; /* seconds of assembling are for tuned answers, and so is what only a measurement verifies */
        if (spt_family_check(candidate, workload, device) != SPT_OK)
            continue;
        spt_point default_point = {0};
        candidate->default_point(workload, device, &default_point);
        const double ns = candidate->bound_ns(workload, device, &default_point);
        if (*family == NULL || ns < best_ns) {
            *family = candidate;
            *point = default_point;
            best_ns = ns;
        }
    }
    if (*family == NULL)
        return spt_fail(SPT_EUNSUPPORTED, "no family computes %s in %s on this device",
                        spt_op_name(workload->problem.op), spt_dtype_name(workload->problem.dtype));
    return SPT_OK;
}
