/* SPDX-License-Identifier: Apache-2.0 */
/* Starting and ending worker processes: posix_spawn of a program with the hidden verb, never fork, since a forked child
 * of a process with threads may hang. */
#ifndef SPT_TUNER_SPAWN_H
#define SPT_TUNER_SPAWN_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "core/error.h"

typedef struct spt_worker_process {
    pid_t pid;  /* 0: none */
    int socket; /* -1: none */
} spt_worker_process;

spt_worker_process spt_worker_none(void);

/* Start a worker whose vendor libraries use `threads` threads and pick their own kernels for this CPU.
 * program NULL: this program. Errors: EIO. */
spt_status spt_worker_start(spt_worker_process *out, const char *program, int threads);

/* Wait for a child; after patience_ms SIGKILL goes to `killed`, which is the child or, negative, its process group.
 * Gives how the child ended, as waitpid does. */
int spt_child_wait(pid_t child, pid_t killed, int patience_ms);

/* Take a worker away that did not answer: kill it unless it `is_dead`, wait for it, and write how it ended to
 * `obituary` (may be NULL). */
void spt_worker_bury(spt_worker_process *worker, bool is_dead, char *obituary, size_t capacity);

/* End a worker that waits for requests. */
void spt_worker_end(spt_worker_process *worker);

#endif
