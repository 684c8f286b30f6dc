/* SPDX-License-Identifier: Apache-2.0 */
/* Warnings about the conditions of measuring: each case is one row, said once, with its remedy. */
#ifndef SPT_TUNER_WARNINGS_H
#define SPT_TUNER_WARNINGS_H

#include "tuner/measure/protocol.h"

typedef struct spt_warnings {
    unsigned seen;               /* bit per case */
    double first_calibration_ns; /* 0 before the first reply */
    long n_requests, n_moves;    /* answered; of them, those that ended on another core */
} spt_warnings;

void spt_warnings_check_threads(spt_warnings *warnings, int threads);
void spt_warnings_check_reply(spt_warnings *warnings, const spt_reply *reply);
const char *spt_warnings_get(const spt_warnings *warnings, int index); /* NULL past the last one seen */

#endif
