/* SPDX-License-Identifier: Apache-2.0 */
/* A context: the device, and what the databases knew about it when it was opened. Immutable after spt_open but for a
 * memo and flags that take no lock, so any number of threads may plan from it. */
#ifndef SPT_RUNTIME_CONTEXT_H
#define SPT_RUNTIME_CONTEXT_H

#include <pthread.h>
#include <stdatomic.h>

#include "runtime/memo.h"
#include "runtime/table.h"

/* Recording of misses; capture.h. */
typedef struct spt_capture {
    char *path;          /* NULL: off */
    spt_memo claimed;    /* problems that were recorded */
    _Atomic bool is_off; /* writing did not work */
} spt_capture;

#define SPT_OTHER_DEVICES_MAX 16 /* cuda:0 to cuda:15 */

struct spt_context {
    spt_device device;
    spt_mode mode;
    spt_table table;           /* of this device; empty in mode off */
    spt_table near_table;      /* of the devices most like it, one per layer; only in mode fallback */
    char near_device_key[256]; /* of the first layer that has one */
    spt_memo memo;
    spt_capture capture;
    _Atomic uint64_t families_reported; /* those whose failure to get ready was told */
    spt_log_fn log;                     /* NULL: silent */
    void *log_user;
    char **databases; /* the caller's list, copied; NULL: the default layers */
    pthread_mutex_t others_lock;
    spt_context *_Atomic others[SPT_OTHER_DEVICES_MAX]; /* of CUDA devices, made when first asked for */
};

/* The context of a device whose name spt_device_name gave: this one for the CPU, otherwise one that is opened at the
 * first question and lives as long. Errors: EUNSUPPORTED where there is no such device; ENOMEM. Threads: safe. */
spt_status spt_context_on(spt_context **out, spt_context *context, const char *device_name);

/* Hand one sentence to the caller's log. */
void spt_context_log(const spt_context *context, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
