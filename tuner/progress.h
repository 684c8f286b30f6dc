/* SPDX-License-Identifier: Apache-2.0 */
/* Messages and progress on standard error. On a terminal there is one live line that messages push out of the way;
 * elsewhere a plain line every few seconds. One live line per process; main thread only. */
#ifndef SPT_TUNER_PROGRESS_H
#define SPT_TUNER_PROGRESS_H

#include "tuner/drive.h"

/* Print one sentence as "sparsetune: sentence". */
void spt_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* What the progress line tells beside the problem's own state. */
typedef struct spt_progress {
    const char *layer;
    int64_t n;
    int64_t problem, n_problems; /* problem counts from 1 */
    double search_until_s;       /* on spt_progress_now_s's clock; INFINITY: no limit */
    double run_until_s;
    double problem_start_s, run_start_s;
} spt_progress;

double spt_progress_now_s(void);                                         /* monotonic */
void spt_progress_show(void *progress, const spt_drive_progress *state); /* a spt_drive's callback */
void spt_progress_clear(void); /* take the live line away before something else is printed */

/* Write a time as people read it: "812 ns", "12.3 us", "4.56 ms", "1.20 s"; a duration as "45s", "3m20s", "2h05m". */
#define SPT_TIME_TEXT_SIZE 32
void spt_time_text(char out[SPT_TIME_TEXT_SIZE], double time_ns);
void spt_duration_text(char out[SPT_TIME_TEXT_SIZE], double seconds);

#endif
