/* SPDX-License-Identifier: Apache-2.0 */
/* What `sparsetune compile` says of each point, its sums, and the worker processes that share the points. */
#ifndef SPT_TUNER_COMPILE_JOBS_H
#define SPT_TUNER_COMPILE_JOBS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/error.h"

typedef struct spt_compile_line {
    const char *family, *point, *arch, *dtype;
    const char *status; /* "ok", or the reason */
    int registers;
    int64_t spill_bytes, binary_bytes;
    double compile_ms, wall_ms; /* of a core's work; of a clock on the wall, 0 from the cache */
    bool is_default, is_cached;
} spt_compile_line;

typedef struct spt_compile_tally {
    int64_t n_points, n_failed, n_spilling, n_defaults_spilling, n_cached;
    bool is_partial; /* a job had no time for all of its points */
    double *ms;      /* of a core's work, of the points that were compiled now */
    int64_t n_ms, capacity;
} spt_compile_tally;

/* Count a point and print its line: JSON, or a row of the table. Errors: ENOMEM. */
spt_status spt_compile_line_print(const spt_compile_line *line, spt_compile_tally *tally, bool json);

/* Run `n_jobs` copies of this program with the same arguments and a share each; print and count their lines. A job that
 * dies counts as one failure. Errors: EIO. */
spt_status spt_compile_jobs_run(spt_compile_tally *tally, int argc, char **argv, int n_jobs, bool json);

/* One line for people on standard error. */
spt_status spt_compile_tally_say(spt_compile_tally *tally);
void spt_compile_tally_fini(spt_compile_tally *tally);

#endif
