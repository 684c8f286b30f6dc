/* SPDX-License-Identifier: Apache-2.0 */
/* Jobs are posix_spawn'ed copies with a pipe each; a line that arrives whole is parsed, counted and printed. */
#include "tuner/commands/compile_jobs.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <poll.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/memory.h"
#include "core/text.h"
#include "tuner/progress.h"
#include "tuner/report.h"

extern char **environ;

enum { JOBS_MAX = 64, LINE_MAX_BYTES = 8192 };

typedef struct job {
    pid_t pid;
    int pipe; /* -1: at its end */
    char line[LINE_MAX_BYTES];
    size_t length;
} job;

/* ---- lines ---- */

static spt_status count_line(const spt_compile_line *line, spt_compile_tally *tally) {
    const bool is_ok = strcmp(line->status, "ok") == 0;
    tally->n_points++;
    tally->n_failed += !is_ok;
    tally->n_cached += line->is_cached;
    tally->n_spilling += line->spill_bytes > 0;
    tally->n_defaults_spilling += line->is_default && line->spill_bytes > 0;
    if (!is_ok || line->is_cached)
        return SPT_OK;
    void *ms = tally->ms;
    SPT_TRY(spt_grow(&ms, &tally->capacity, tally->n_ms, sizeof *tally->ms));
    tally->ms = ms;
    tally->ms[tally->n_ms++] = line->compile_ms;
    return SPT_OK;
}

spt_status spt_compile_line_print(const spt_compile_line *line, spt_compile_tally *tally, bool json) {
    SPT_TRY(count_line(line, tally));
    if (json)
        return spt_json_print(json_pack(
            "{s:s, s:s, s:s, s:s, s:s, s:i, s:I, s:I, s:f, s:f, s:b, s:b}", "family", line->family, "point",
            line->point, "arch", line->arch, "dtype", line->dtype, "status", line->status, "registers", line->registers,
            "spill_bytes", (json_int_t)line->spill_bytes, "binary_bytes", (json_int_t)line->binary_bytes, "compile_ms",
            line->compile_ms, "wall_ms", line->wall_ms, "is_default", line->is_default, "is_cached", line->is_cached));
    printf("%-22s %-7s %-5s %4d registers %6" PRId64 " spilled %8" PRId64 " bytes %7.1f ms%s  %s%s\n", line->family,
           line->arch, line->dtype, line->registers, line->spill_bytes, line->binary_bytes, line->compile_ms,
           line->is_cached ? " (cached)" : "", line->point, line->is_default ? "  default" : "");
    if (strcmp(line->status, "ok") != 0)
        printf("    %s\n", line->status);
    return SPT_OK;
}

static spt_status take_line(const char *text, spt_compile_tally *tally, bool json) {
    json_int_t spill = 0, bytes = 0;
    int is_default = 0, is_cached = 0;
    spt_compile_line line = {0};
    json_t *object = json_loads(text, 0, NULL);
    if (object == NULL ||
        json_unpack(object, "{s:s, s:s, s:s, s:s, s:s, s:i, s:I, s:I, s:F, s:F, s:b, s:b}", "family", &line.family,
                    "point", &line.point, "arch", &line.arch, "dtype", &line.dtype, "status", &line.status, "registers",
                    &line.registers, "spill_bytes", &spill, "binary_bytes", &bytes, "compile_ms", &line.compile_ms,
                    "wall_ms", &line.wall_ms, "is_default", &is_default, "is_cached", &is_cached) != 0) {
        json_decref(object);
        return spt_fail(SPT_EIO, "a job said '%.80s'", text);
    }
    line.spill_bytes = spill;
    line.binary_bytes = bytes;
    line.is_default = is_default != 0;
    line.is_cached = is_cached != 0;
    const spt_status status = spt_compile_line_print(&line, tally, json);
    json_decref(object);
    return status;
}

/* ---- jobs ---- */

/* sparsetune compile ... --json --part i/n, its standard output in a pipe. */
static spt_status start_job(job *out, int argc, char **argv, int index, int n_jobs) {
    posix_spawn_file_actions_t actions;
    char part[48], json[] = "--json", program[] = "sparsetune";
    char **arguments;
    int ends[2];
    snprintf(part, sizeof part, "--part=%d/%d", index, n_jobs);
    *out = (job){.pipe = -1};
    if (pipe2(ends, O_CLOEXEC) != 0)
        return spt_fail(SPT_EIO, "no pipe for a job: %s", strerror(errno));
    if (SPT_NEW(arguments, argc + 4) != SPT_OK) {
        close(ends[0]);
        close(ends[1]);
        return SPT_ENOMEM;
    }
    int n_arguments = 0;
    arguments[n_arguments++] = program;
    arguments[n_arguments++] = argv[0];
    arguments[n_arguments++] = json;
    arguments[n_arguments++] = part;
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--json") != 0)
            arguments[n_arguments++] = argv[i];
    arguments[n_arguments] = NULL;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    const int error = posix_spawn(&out->pid, "/proc/self/exe", &actions, NULL, arguments, environ);
    posix_spawn_file_actions_destroy(&actions);
    spt_free(arguments);
    close(ends[1]);
    if (error == 0)
        out->pipe = ends[0];
    else
        close(ends[0]);
    return error == 0 ? SPT_OK : spt_fail(SPT_EIO, "no job can be started: %s", strerror(error));
}

/* Read what a job has said; whole lines are taken. */
static spt_status read_job(job *self, spt_compile_tally *tally, bool json) {
    const ssize_t got = read(self->pipe, self->line + self->length, sizeof self->line - 1 - self->length);
    if (got < 0 && errno == EINTR)
        return SPT_OK;
    if (got <= 0) {
        close(self->pipe);
        self->pipe = -1;
        return SPT_OK;
    }
    self->length += (size_t)got;
    self->line[self->length] = '\0';
    char *at = self->line, *end;
    while ((end = strchr(at, '\n')) != NULL) {
        *end = '\0';
        SPT_TRY(take_line(at, tally, json));
        at = end + 1;
    }
    self->length = (size_t)(self->line + self->length - at);
    memmove(self->line, at, self->length + 1);
    return SPT_OK;
}

static spt_status read_jobs(job *jobs, int n_jobs, spt_compile_tally *tally, bool json) {
    for (;;) {
        struct pollfd polled[JOBS_MAX];
        int n_open = 0;
        for (int i = 0; i < n_jobs; i++) {
            polled[i] = (struct pollfd){.fd = jobs[i].pipe, .events = POLLIN};
            n_open += jobs[i].pipe >= 0;
        }
        if (n_open == 0)
            return SPT_OK;
        if (poll(polled, (nfds_t)n_jobs, -1) < 0 && errno != EINTR)
            return spt_fail(SPT_EIO, "waiting for jobs: %s", strerror(errno));
        for (int i = 0; i < n_jobs; i++)
            if (jobs[i].pipe >= 0 && polled[i].revents != 0)
                SPT_TRY(read_job(&jobs[i], tally, json));
    }
}

static void end_job(job *self, spt_compile_tally *tally) {
    int how = 0;
    if (self->pipe >= 0)
        close(self->pipe);
    if (self->pid <= 0)
        return;
    while (waitpid(self->pid, &how, 0) < 0 && errno == EINTR) {
    }
    if (WIFEXITED(how) && WEXITSTATUS(how) <= 1) {
        tally->is_partial |= WEXITSTATUS(how) == 1;
        return;
    }
    spt_say("a job ended with %s %d", WIFEXITED(how) ? "exit code" : "signal",
            WIFEXITED(how) ? WEXITSTATUS(how) : WTERMSIG(how));
    tally->n_failed++;
}

spt_status spt_compile_jobs_run(spt_compile_tally *tally, int argc, char **argv, int n_jobs, bool json) {
    job *jobs;
    spt_status status = SPT_OK;
    int n_started = 0;
    n_jobs = n_jobs > JOBS_MAX ? JOBS_MAX : n_jobs;
    fflush(stdout);
    SPT_TRY(SPT_NEW_ZEROED(jobs, n_jobs));
    for (; n_started < n_jobs && status == SPT_OK; n_started++)
        status = start_job(&jobs[n_started], argc, argv, n_started, n_jobs);
    if (status == SPT_OK)
        status = read_jobs(jobs, n_jobs, tally, json);
    for (int i = 0; i < n_started; i++)
        end_job(&jobs[i], tally);
    spt_free(jobs);
    return status;
}

/* ---- the sums ---- */

static int compare_ms(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The value that `percent` of them do not exceed; 0 of none. */
static double percentile(const spt_compile_tally *tally, int64_t percent) {
    return tally->n_ms > 0 ? tally->ms[(tally->n_ms - 1) * percent / 100] : 0.0;
}

spt_status spt_compile_tally_say(spt_compile_tally *tally) {
    if (tally->n_ms > 0)
        qsort(tally->ms, (size_t)tally->n_ms, sizeof *tally->ms, compare_ms);
    spt_say("%" PRId64 " points, %" PRId64 " failed, %" PRId64 " from the cache; %" PRId64 " spill registers, %" PRId64
            " of them defaults; %" PRId64 " compiled now, ms of a core's work: median %.1f, 10 %% %.1f, 90 %% %.1f,"
            " most %.1f",
            tally->n_points, tally->n_failed, tally->n_cached, tally->n_spilling, tally->n_defaults_spilling,
            tally->n_ms, percentile(tally, 50), percentile(tally, 10), percentile(tally, 90), percentile(tally, 100));
    return SPT_OK;
}

void spt_compile_tally_fini(spt_compile_tally *tally) {
    spt_free(tally->ms);
    *tally = (spt_compile_tally){0};
}
