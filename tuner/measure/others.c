/* SPDX-License-Identifier: Apache-2.0 */
#include "tuner/measure/others.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "tuner/measure/sampler.h"

#define LOOK_S 0.1 /* the system counts in steps of 10 ms */
#define BUSY 0.5   /* cores */

static double seconds(const struct timeval *time) {
    return (double)time->tv_sec + 1e-6 * (double)time->tv_usec;
}

static double usage_s(int who) {
    struct rusage usage;
    return getrusage(who, &usage) == 0 ? seconds(&usage.ru_utime) + seconds(&usage.ru_stime) : 0.0;
}

/* The text of a file of /proc's first line; false where there is none. */
static bool read_line(char *out, size_t capacity, const char *path) {
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return false;
    const bool is_read = fgets(out, (int)capacity, file) != NULL;
    fclose(file);
    return is_read;
}

/* Fields 14 and 15 of /proc/PID/stat, after the name in brackets; proc_pid_stat(5). */
static double worker_ticks(pid_t worker) {
    char path[64], line[1024];
    unsigned long user = 0, system = 0;
    snprintf(path, sizeof path, "/proc/%d/stat", (int)worker);
    const char *rest = worker > 0 && read_line(line, sizeof line, path) ? strrchr(line, ')') : NULL;
    if (rest == NULL || sscanf(rest + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system) != 2)
        return 0.0;
    return (double)user + (double)system;
}

/* user, nice, system, (idle, iowait,) irq, softirq of all CPUs together; proc_stat(5). */
static bool all_ticks(double *out) {
    char line[512];
    double ticks[7];
    if (!read_line(line, sizeof line, "/proc/stat") ||
        sscanf(line, "cpu %lf %lf %lf %lf %lf %lf %lf", &ticks[0], &ticks[1], &ticks[2], &ticks[3], &ticks[4],
               &ticks[5], &ticks[6]) != 7)
        return false;
    *out = ticks[0] + ticks[1] + ticks[2] + ticks[5] + ticks[6];
    return true;
}

bool spt_others_are_busy(spt_others *self, pid_t worker) {
    const double now_s = 1e-9 * spt_clock_now_ns(NULL), before_s = self->at_s,
                 tick_s = 1.0 / (double)sysconf(_SC_CLK_TCK);
    double busy_ticks = 0.0;
    if ((before_s > 0.0 && now_s - before_s < LOOK_S) || !all_ticks(&busy_ticks))
        return self->are_busy;
    const double own_s = usage_s(RUSAGE_SELF) + usage_s(RUSAGE_CHILDREN) + tick_s * worker_ticks(worker);
    const double others_s = tick_s * busy_ticks - self->busy_s - (own_s - self->own_s);
    self->are_busy = before_s > 0.0 && others_s > BUSY * (now_s - before_s);
    self->at_s = now_s;
    self->busy_s = tick_s * busy_ticks;
    self->own_s = own_s;
    return self->are_busy;
}
