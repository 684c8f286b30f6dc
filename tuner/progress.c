/* SPDX-License-Identifier: Apache-2.0 */
/* Messages and progress on standard error; see progress.h. */
#include "tuner/progress.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "core/text.h"

#define LIVE_INTERVAL_S 0.1
#define PLAIN_INTERVAL_S 5.0

static struct {
    bool is_shown; /* a live line stands on the terminal */
    double last_s; /* when something was shown last */
} live;

double spt_progress_now_s(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

void spt_progress_clear(void) {
    if (live.is_shown)
        fputs("\r\033[K", stderr);
    live.is_shown = false;
}

void spt_say(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    spt_progress_clear();
    fputs("sparsetune: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
}

void spt_time_text(char out[SPT_TIME_TEXT_SIZE], double time_ns) {
    static const struct {
        double below, scale;
        const char *unit;
    } units[] = {{999.5, 1.0, "ns"}, {999.5e3, 1e3, "us"}, {999.5e6, 1e6, "ms"}, {INFINITY, 1e9, "s"}};
    int i = 0;
    while (time_ns >= units[i].below && i < 3)
        i++;
    double value = time_ns / units[i].scale;
    int decimals = i == 0 || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
    snprintf(out, SPT_TIME_TEXT_SIZE, "%.*f %s", decimals, value, units[i].unit);
}

void spt_duration_text(char out[SPT_TIME_TEXT_SIZE], double seconds) {
    long total = lround(fmin(fmax(seconds, 0.0), 1e8));
    if (total < 60)
        snprintf(out, SPT_TIME_TEXT_SIZE, "%lds", total);
    else if (total < 3600)
        snprintf(out, SPT_TIME_TEXT_SIZE, "%ldm%02lds", total / 60, total % 60);
    else
        snprintf(out, SPT_TIME_TEXT_SIZE, "%ldh%02ldm", total / 3600, total / 60 % 60);
}

/* Time left of the run: what --time leaves, or this problem's pace carried to its end and over the other problems. */
static double seconds_left(const spt_progress *progress, const spt_drive_progress *state, double now_s) {
    double own_s = now_s - progress->problem_start_s;
    double pace = state->done > 0 ? own_s / (double)state->done : 0.0;
    double others = (double)(progress->n_problems - progress->problem);
    double left = pace * (double)(state->budget - state->done);
    if (progress->problem > 1)
        left += others * (progress->problem_start_s - progress->run_start_s) / (double)(progress->problem - 1);
    else
        left += others * pace * (double)state->budget;
    return isfinite(progress->run_until_s) ? fmin(left, fmax(progress->run_until_s - now_s, 0.0)) : left;
}

/* The longest part comes last: a narrow terminal cuts it off. */
static void compose(spt_text *line, const spt_progress *progress, const spt_drive_progress *state, double now_s) {
    char best[SPT_TIME_TEXT_SIZE], left[SPT_TIME_TEXT_SIZE];
    if (progress->n_problems > 1)
        spt_text_add(line, "[%lld/%lld] ", (long long)progress->problem, (long long)progress->n_problems);
    spt_text_add(line, "%s n=%lld  ", progress->layer, (long long)progress->n);
    if (state->n_rounds > 0)
        spt_text_add(line, "final round %d/%d", state->round + 1, state->n_rounds);
    else
        spt_text_add(line, "%lld/%lld", (long long)state->done, (long long)state->budget);
    if (state->failed > 0)
        spt_text_add(line, ", %lld failed", (long long)state->failed);
    if (state->best_ns > 0.0) {
        spt_time_text(best, state->best_ns);
        spt_text_add(line, ", best %s", best);
        if (state->dense_ns > 0.0)
            spt_text_add(line, " (%.2fx dense)", state->dense_ns / state->best_ns);
    }
    spt_duration_text(left, seconds_left(progress, state, now_s));
    spt_text_add(line, ", %s left  %s %s", left, state->best_family, state->best_point);
}

static size_t terminal_columns(void) {
    struct winsize size = {0};
    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1 ? size.ws_col : 80;
}

void spt_progress_show(void *user, const spt_drive_progress *state) {
    const spt_progress *progress = user;
    bool is_terminal = isatty(STDERR_FILENO) != 0;
    double now_s = spt_progress_now_s();
    if (live.last_s == 0.0)
        live.last_s = is_terminal ? 0.0 : now_s;
    if (now_s - live.last_s < (is_terminal ? LIVE_INTERVAL_S : PLAIN_INTERVAL_S))
        return;
    char data[512];
    spt_text line;
    live.last_s = now_s;
    spt_text_init(&line, data, sizeof data);
    compose(&line, progress, state, now_s);
    if (!is_terminal) {
        spt_say("%s", data);
        return;
    }
    size_t columns = terminal_columns();
    if (line.length >= columns)
        data[columns - 1] = '\0';
    fprintf(stderr, "\r%s\033[K", data);
    live.is_shown = true;
}
