/* SPDX-License-Identifier: Apache-2.0 */
/* What runs when nothing tuned applies, a way down: the best default of all families by the model (portable default),
 * without those that could not be made ready the best of the others (family default), at last the plain kernel. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "runtime/select.h"

/* The family whose only demand is memory. */
static bool is_plain(const spt_family *family) {
    return strcmp(family->name, "spmm_csr_rows") == 0 || strcmp(family->name, "sddmm_csr_rows") == 0;
}

/* The candidate that is not among `excluded` whose default point has the lowest bound; false when there is none. */
static bool best_default(spt_selection *out, const spt_workload *workload, const spt_device *device,
                         spt_families excluded) {
    out->family = NULL;
    for (int i = 0; i < spt_family_count() && i < SPT_FAMILIES_MAX; i++) {
        const spt_family *family = spt_family_at(i);
        spt_point point = {0};
        if ((excluded >> i & 1) != 0 || spt_family_check(family, workload, device) != SPT_OK)
            continue;
        family->default_point(workload, device, &point);
        const double bound_ns = family->bound_ns(workload, device, &point);
        if (out->family != NULL && bound_ns >= out->time_ns_expected)
            continue;
        out->family = family;
        out->point = point;
        out->time_ns_expected = bound_ns;
    }
    return out->family != NULL;
}

spt_families spt_families_of(const spt_family *family) {
    for (int i = 0; i < spt_family_count() && i < SPT_FAMILIES_MAX; i++)
        if (spt_family_at(i) == family)
            return (spt_families)1 << i;
    return 0;
}

spt_status spt_select_default(spt_selection *out, const spt_context *context, const spt_workload *workload,
                              const char *why, spt_families excluded) {
    *out = (spt_selection){.match = SPT_MATCH_DEFAULT, .loss_expected = SPT_LOSS_OF_DEFAULT};
    if (!best_default(out, workload, &context->device, excluded))
        return spt_fail(SPT_EUNSUPPORTED, "no family computes %s in %s on this device",
                        spt_op_name(workload->problem.op), spt_dtype_name(workload->problem.dtype));
    out->level = is_plain(out->family) ? "plain_kernel" : excluded == 0 ? "portable_default" : "family_default";
    snprintf(out->reason, sizeof out->reason, "%.200s: default by the model's bound", why);
    return SPT_OK;
}
