/* SPDX-License-Identifier: Apache-2.0 */
/* What an application asked for and no database answered exactly, written for `sparsetune tune --from`.
 * SPARSETUNE_RECORD=FILE switches it on when a context is opened. FILE gets one JSON object per line, always the same
 * fields in the same order; FILE.d/FINGERPRINT.smtx gets the positions of each pattern, once. A line is one write to
 * the end of the file by the one thread that claimed the problem, so processes and threads may share a file. All of it
 * happens while a plan is made, never while one is executed; nothing stays open. Values are never written. */
#ifndef SPT_RUNTIME_CAPTURE_H
#define SPT_RUNTIME_CAPTURE_H

#include "runtime/select.h"

/* Read the environment. Errors: ENOMEM. Owns: spt_capture_fini. */
spt_status spt_capture_init(spt_capture *out);
void spt_capture_fini(spt_capture *capture); /* safe on a zeroed struct */

/* Record a problem whose answer was not exact; each once per context, at most some thousands. What cannot be written is
 * said to the log once, and recording ends for this context. */
void spt_capture_miss(spt_context *context, const spt_workload *workload, const spt_csr *a, spt_match match);

#endif
