/* SPDX-License-Identifier: Apache-2.0 */
/* The problem's key: one function makes it for whoever writes a record and whoever looks one up.
 * Text: v1|op|dtype|layout|epilogue|m|k|n|threads|cache|op_params|fingerprint|device_key; key = XXH3-128 of the text.
 * op_params is "-", or of conv2d "3x3,s2,56x56": window, stride, height x width of the input.
 */
#ifndef SPT_CORE_KEY_H
#define SPT_CORE_KEY_H

#include "core/hardware.h"
#include "core/pattern.h"

#define SPT_KEY_TEXT_MAX 640

/* The caller's choices together with the pattern's numbers: all that families and models look at. */
typedef struct spt_workload {
    spt_problem problem; /* threads resolved (>= 1), device not NULL */
    spt_pattern pattern; /* m = n_rows, k = n_cols */
} spt_workload;

typedef struct spt_key {
    spt_hash128 hash;
    char text[SPT_KEY_TEXT_MAX];
} spt_key;

/* Check a problem and resolve its defaults (threads 0, device NULL). Errors: EINVAL. Whether there
 * is such a device is another question. */
spt_status spt_problem_check(spt_problem *out, const spt_problem *problem);

/* Check problem and matrix and describe both. Errors: EINVAL, ENOMEM. */
spt_status spt_workload_init(spt_workload *out, const spt_problem *problem, const spt_csr *a);

spt_status spt_key_init(spt_key *out, const spt_workload *workload, const spt_device *device);

/* Read a key's text back: the problem, and of the pattern its shape and fingerprint. *device_key is the rest of `text`.
 * Errors: EINVAL naming the field. */
spt_status spt_key_parse(spt_workload *out, const char **device_key, const char *text);

#endif
