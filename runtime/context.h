/* SPDX-License-Identifier: Apache-2.0 */
/* A context: the device, and what the databases knew about it when it was opened. Immutable after spt_open, so any
 * number of threads may plan from it. */
#ifndef SPT_RUNTIME_CONTEXT_H
#define SPT_RUNTIME_CONTEXT_H

#include "runtime/table.h"

struct spt_context {
    spt_device device;
    spt_mode mode;
    spt_table table; /* empty in mode off */
    spt_log_fn log;  /* NULL: silent */
    void *log_user;
};

/* Hand one sentence to the caller's log. */
void spt_context_log(const spt_context *context, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
