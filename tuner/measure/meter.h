/* SPDX-License-Identifier: Apache-2.0 */
/* The meter: verified times of variants, taken in a worker process that may crash, hang or lie without harming anybody.
 * The parent never runs OpenMP or a kernel. The worker is this program itself, started with a hidden verb. */
#ifndef SPT_TUNER_METER_H
#define SPT_TUNER_METER_H

#include "core/key.h"
#include "core/trial.h"
#include "db/db.h"

#define SPT_WORKER_VERB "--worker"

/* How times are taken; its text is stored with the session and decides which old trials count as done. */
typedef struct spt_measure_policy {
    int probe_runs;    /* runs before the first decision to drop */
    double probe_drop; /* drop above this multiple of the best so far */
    int race_runs;     /* runs before the second decision */
    double race_drop;
    double ci_target; /* stop when the interval of the median is within this share */
    int max_runs;
    double
        void_ns_max; /* samples during which others took the CPU are taken again for this long, in a trial or a round */
    double sample_ns_min; /* batch calls until a sample lasts this long */
    int warm_runs;      /* hot caches: untimed runs that let caches and clocks settle before a series of samples, ... */
    double warm_ns_max; /* ... or fewer where they take this long */
    double trial_ns_max;  /* stop sampling a variant after this long, once race_runs samples are there */
    int heats;            /* rounds of the contenders; the finalists are chosen by them */
    int contenders;       /* best few of the search, the default comes on top */
    int final_rounds;     /* of the finalists, heats included, ... */
    int final_rounds_max; /* ... and while it is open by more than a tie who is fastest */
    int final_samples;    /* samples of each variant in one round */
    int finalists;        /* best few of the contenders, the default comes on top */
    double timeout_s;     /* of one request to the worker */
    int climbs;           /* steps from the finalists to better neighbours, at most */
    int64_t uses;         /* executions that a packing must pay for; 0: packing is free */
} spt_measure_policy;

spt_measure_policy spt_measure_policy_default(void);
/* What another device needs: its events count in longer steps than the host's clock. */
void spt_measure_policy_adapt(spt_measure_policy *policy, const spt_device *device);
void spt_measure_policy_text(char out[SPT_POLICY_MAX], const spt_measure_policy *policy);

#define SPT_ROUND_MAX 16 /* variants in one final round */

typedef struct spt_meter spt_meter;

/* Start without a worker; the first request starts one. program NULL: /proc/self/exe.
 * Errors: ENOMEM. */
spt_status spt_meter_open(spt_meter **out, const char *program, const spt_measure_policy *policy);
void spt_meter_close(spt_meter *meter);

/* Load a matrix and draw its dense operands from the seed; replaces the earlier load. Errors: ENOMEM, EIO. */
spt_status spt_meter_load(spt_meter *meter, const spt_workload *workload, const spt_csr *a, uint64_t seed);

/* Verify and time one variant of the loaded workload. best_ns: the best correct time so far (INFINITY: none); slower
 * variants are dropped early. A variant that fails is data (out->status), not an error.
 * Errors: EIO when no worker can be started at all; ETIMEOUT never (that is a trial status). */
spt_status spt_meter_measure(spt_meter *meter, const char *family, const char *point, double best_ns,
                             spt_measurement *out);

/* One final round: the variants interleaved A B C A B C. Each gets its own measurement of this round. */
spt_status spt_meter_round(spt_meter *meter, const spt_variant_id *variants, int n_variants, spt_measurement *out);

/* Are other processes busy, on whatever cores? See others.h. */
bool spt_meter_has_others(spt_meter *meter);

/* Warnings of this session so far, each one sentence with its remedy; NULL past the end. */
const char *spt_meter_warning(const spt_meter *meter, int index);

/* Ask the running request to end (async-signal-safe): the meter kills its worker and returns ENOTFOUND. */
void spt_meter_interrupt(spt_meter *meter);

/* After an interruption: take requests again. */
void spt_meter_resume(spt_meter *meter);

/* What a program calls when argv[1] is SPT_WORKER_VERB; returns the exit code. */
int spt_worker_main(int argc, char **argv);

#endif
