/* SPDX-License-Identifier: Apache-2.0 */
/* A runner: one variant prepared for the loaded problem, with its own output, ready to be verified and timed.
 * Hot caches use one set of operands; cold caches rotate a few copies of A, B and C, each of which is read from memory.
 * On a GPU there is one set in its memory; cold empties L2 before each run. */
#ifndef SPT_TUNER_RUNNER_H
#define SPT_TUNER_RUNNER_H

#include "tuner/measure/protocol.h"
#include "tuner/measure/sampler.h"
#include "tuner/measure/verify.h"
#include "variants/cuda/device.h"
#include "variants/family.h"

typedef struct spt_runner_set {
    spt_prepared prepared;
    spt_args args;
    void *inputs[SPT_OPERANDS_MAX]; /* this set's own copies, NULL in the first set, which reads the arena */
    size_t input_bytes[SPT_OPERANDS_MAX];
    spt_guarded output;
    void *device_output; /* CUDA: guards and output on the device, of which `output` is a copy; args point into it */
    void *device_bias, *device_residual;
} spt_runner_set;

typedef struct spt_runner {
    spt_runner_set *sets;
    int n_sets;
    int next_set;
    int n_cold; /* sets that have not run since the caches were chilled */
    spt_guarded workspace;
    void *device_workspace; /* CUDA: likewise */
    spt_cuda_clock *clock;  /* CUDA; NULL: the host's clock */
    const spt_device *device;
    const spt_arena *arena;
} spt_runner;

/* Prepare a variant. A variant that cannot be prepared is data: SPT_OK with out_measurement->status set and the runner
 * empty (n_sets 0). Errors: ENOMEM for the harness's own memory. */
spt_status spt_runner_init(spt_runner *out, spt_measurement *measurement, const spt_request_variant *variant,
                           const spt_device *device, const spt_arena *arena);
void spt_runner_fini(spt_runner *runner); /* safe on a zeroed struct */

/* Run once whole and once in parts, backwards; compare with the reference and look at the guards.
 * Returns true when all is right, and otherwise sets the measurement's status and reason. */
bool spt_runner_verify(spt_runner *runner, spt_measurement *measurement);

/* Are the guards around the output and the workspace as they were poisoned? */
bool spt_runner_is_intact(const spt_runner *runner);

/* The sampler of this runner; it points at the runner. */
spt_sampler spt_runner_sampler(spt_runner *runner);

#endif
