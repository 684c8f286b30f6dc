/* SPDX-License-Identifier: Apache-2.0 */
/* The measuring policy: its defaults, and the text that is stored with a session. */
#include <inttypes.h>

#include "core/text.h"
#include "tuner/measure/meter.h"

spt_measure_policy spt_measure_policy_default(void) {
    return (spt_measure_policy){
        .probe_runs = 3,
        .probe_drop = 2.0,
        .race_runs = 10,
        .race_drop = 1.15,
        .ci_target = 0.01,
        .max_runs = 60,
        .void_ns_max = 100e6,
        .sample_ns_min = 50e3,
        .warm_runs = 30,
        .warm_ns_max = 20e6,
        .trial_ns_max = 0.5e9,
        .heats = 3,
        .contenders = 9,
        .final_rounds = 8,
        .final_rounds_max = 48,
        .final_samples = 5,
        .finalists = 6,
        .climbs = 3,
        .timeout_s = 30.0,
        .uses = 0,
    };
}

#define CUDA_SAMPLE_NS_MIN 200e3 /* an event's step is half a microsecond */

void spt_measure_policy_adapt(spt_measure_policy *policy, const spt_device *device) {
    if (device->kind == SPT_CUDA)
        policy->sample_ns_min = CUDA_SAMPLE_NS_MIN;
}

void spt_measure_policy_text(char out[SPT_POLICY_MAX], const spt_measure_policy *policy) {
    spt_text text;
    spt_text_init(&text, out, SPT_POLICY_MAX);
    spt_text_add(&text, "v2 probe=%dx%g race=%dx%g ci=%g max=%d void_ms=%g", policy->probe_runs, policy->probe_drop,
                 policy->race_runs, policy->race_drop, policy->ci_target, policy->max_runs, policy->void_ns_max / 1e6);
    spt_text_add(
        &text,
        " sample_us=%g warm=%dx%gms trial_ms=%g heats=%dx%d rounds=%d-%dx%d finalists=%d climbs=%d uses=%" PRId64,
        policy->sample_ns_min / 1e3, policy->warm_runs, policy->warm_ns_max / 1e6, policy->trial_ns_max / 1e6,
        policy->heats, policy->contenders, policy->final_rounds, policy->final_rounds_max, policy->final_samples,
        policy->finalists, policy->climbs, policy->uses);
}
