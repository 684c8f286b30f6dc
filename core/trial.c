/* SPDX-License-Identifier: Apache-2.0 */
/* Names of trial statuses and phases, as the database and the exchange formats hold them. */
#include "core/trial.h"

#include <string.h>

static const char *const status_names[SPT_TRIAL_STATUS_COUNT] = {
    "correct", "compile", "runtime", "timeout", "correctness", "constraints", "dropped",
};
static const char *const phase_names[] = {"search", "final"};

static int find_name(const char *const *names, int count, const char *name) {
    for (int i = 0; i < count; i++) {
        if (strcmp(names[i], name) == 0)
            return i;
    }
    return -1;
}

const char *spt_trial_status_name(spt_trial_status status) {
    return (unsigned)status < SPT_TRIAL_STATUS_COUNT ? status_names[status] : "unknown";
}

spt_status spt_trial_status_parse(spt_trial_status *out, const char *name) {
    const int index = find_name(status_names, SPT_TRIAL_STATUS_COUNT, name);
    if (index < 0)
        return spt_fail(SPT_EINVAL, "expected a trial status, found '%s'", name);
    *out = (spt_trial_status)index;
    return SPT_OK;
}

const char *spt_phase_name(spt_phase phase) {
    return (unsigned)phase < 2 ? phase_names[phase] : "unknown";
}

spt_status spt_phase_parse(spt_phase *out, const char *name) {
    const int index = find_name(phase_names, 2, name);
    if (index < 0)
        return spt_fail(SPT_EINVAL, "expected a phase, search or final, found '%s'", name);
    *out = (spt_phase)index;
    return SPT_OK;
}
