/* SPDX-License-Identifier: Apache-2.0 */
/* The parent's side: keeps a worker alive, hands it requests, turns its silence or death into trials. */
#include "tuner/measure/meter.h"

#include <errno.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/memory.h"
#include "core/text.h"
#include "tuner/measure/floor.h"
#include "tuner/measure/others.h"
#include "tuner/measure/protocol.h"
#include "tuner/measure/sampler.h"
#include "tuner/measure/spawn.h"
#include "tuner/measure/warnings.h"
#include "variants/family.h"

struct spt_meter {
    char *program; /* NULL: this program */
    spt_measure_policy policy;
    spt_worker_process worker;
    int worker_threads;
    bool worker_is_loaded; /* the worker has mapped this arena */
    spt_arena *arena;
    int arena_fd;
    spt_warnings warnings;
    spt_others others;
    spt_peak peak;         /* measured with the first load */
    spt_workload workload; /* the loaded problem */
    volatile sig_atomic_t is_interrupted;
    spt_request request;
    spt_reply reply;
};

/* How an exchange with the worker ended. */
typedef enum exchange_end { ANSWERED, DIED, LATE, INTERRUPTED } exchange_end;

spt_status spt_meter_open(spt_meter **out, const char *program, const spt_measure_policy *policy) {
    spt_meter *meter;
    SPT_TRY(SPT_NEW_ZEROED(meter, 1));
    meter->policy = *policy;
    meter->arena_fd = -1;
    meter->worker = spt_worker_none();
    if (program != NULL && (meter->program = spt_strdup(program)) == NULL) {
        spt_free(meter);
        return SPT_ENOMEM;
    }
    *out = meter;
    return SPT_OK;
}

static void unload(spt_meter *meter) {
    if (meter->arena != NULL)
        munmap(meter->arena, meter->arena->size_bytes);
    if (meter->arena_fd >= 0)
        close(meter->arena_fd);
    meter->arena = NULL;
    meter->arena_fd = -1;
    meter->worker_is_loaded = false;
}

void spt_meter_close(spt_meter *meter) {
    if (meter == NULL)
        return;
    spt_worker_end(&meter->worker);
    unload(meter);
    spt_free(meter->program);
    spt_free(meter);
}

static spt_status find_peak(spt_meter *meter) {
    spt_device device;
    if (meter->peak.fma_gflops > 0.0)
        return SPT_OK;
    SPT_TRY(spt_device_detect(&device));
    return spt_peak_measure(&meter->peak, &device);
}

/* What this variant of the last request cannot do in less time is refused. */
static void check_floor(const spt_meter *meter, int variant, spt_measurement *measurement) {
    const spt_request_variant *asked = &meter->request.variants[variant];
    const spt_family *family = spt_family_find(asked->family);
    double fma_scale = 1.0;
    spt_point point;
    if (family != NULL && family->fma_scale != NULL &&
        spt_point_parse(&point, family->axes, family->n_axes, asked->point) == SPT_OK)
        fma_scale = family->fma_scale(&point);
    spt_floor_check(measurement, spt_floor_ns(&meter->workload, &meter->peak, fma_scale));
}

spt_status spt_meter_load(spt_meter *meter, const spt_workload *workload, const spt_csr *a, uint64_t seed) {
    unload(meter);
    SPT_TRY(spt_arena_new(&meter->arena, &meter->arena_fd, workload, a, seed));
    spt_warnings_check_threads(&meter->warnings, workload->problem.threads);
    meter->workload = *workload;
    (void)spt_meter_has_others(meter); /* the first look */
    return find_peak(meter);
}

static bool send_request(const spt_meter *meter, const spt_request *request, int descriptor) {
    char control[CMSG_SPACE(sizeof(int))] = {0};
    struct iovec bytes = {(void *)(uintptr_t)request, sizeof *request};
    struct msghdr message = {.msg_iov = &bytes, .msg_iovlen = 1};
    if (descriptor >= 0) {
        message.msg_control = control;
        message.msg_controllen = sizeof control;
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(header), &descriptor, sizeof descriptor);
    }
    return sendmsg(meter->worker.socket, &message, MSG_NOSIGNAL) == (ssize_t)sizeof *request;
}

static exchange_end receive_reply(spt_meter *meter, double timeout_s) {
    const double deadline = spt_clock_now_ns(NULL) + timeout_s * 1e9;
    for (;;) {
        if (meter->is_interrupted)
            return INTERRUPTED;
        const double left_ms = (deadline - spt_clock_now_ns(NULL)) * 1e-6;
        if (left_ms <= 0.0)
            return LATE;
        struct pollfd ready = {.fd = meter->worker.socket, .events = POLLIN};
        const int n_ready = poll(&ready, 1, (int)fmin(ceil(left_ms), 1e9));
        if (n_ready <= 0)
            continue; /* a signal, or the deadline */
        const ssize_t got = recv(meter->worker.socket, &meter->reply, sizeof meter->reply, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got == (ssize_t)sizeof meter->reply)
            return ANSWERED;
        return meter->is_interrupted ? INTERRUPTED : DIED;
    }
}

/* Send a request and wait. Anything but an answer leaves no worker; `obituary` then says how it ended. */
static exchange_end exchange(spt_meter *meter, const spt_request *request, int descriptor, double timeout_s,
                             char *obituary, size_t capacity) {
    exchange_end end = DIED;
    if (meter->is_interrupted)
        end = INTERRUPTED;
    else if (send_request(meter, request, descriptor))
        end = receive_reply(meter, timeout_s);
    if (end == ANSWERED && meter->reply.is_spent) { /* it said all it had to say */
        spt_worker_end(&meter->worker);
        meter->worker_is_loaded = false;
    }
    if (end == ANSWERED)
        return end;
    if (end == LATE)
        snprintf(obituary, capacity, "no answer within %g s", timeout_s);
    spt_worker_bury(&meter->worker, end == DIED, end == DIED ? obituary : NULL, capacity);
    meter->worker_is_loaded = false;
    return end;
}

/* Have a worker that runs with the right number of threads and has mapped the arena. */
static spt_status ready_worker(spt_meter *meter) {
    if (meter->arena == NULL)
        return spt_fail(SPT_EINVAL, "expected a loaded problem before a measurement");
    if (meter->is_interrupted)
        return spt_fail(SPT_ENOTFOUND, "interrupted");
    const int threads = meter->arena->workload.problem.threads;
    if (meter->worker.pid > 0 && meter->worker_threads != threads) {
        spt_worker_end(&meter->worker);
        meter->worker_is_loaded = false;
    }
    if (meter->worker.pid <= 0) {
        SPT_TRY(spt_worker_start(&meter->worker, meter->program, threads));
        meter->worker_threads = threads;
        meter->worker_is_loaded = false;
    }
    if (meter->worker_is_loaded)
        return SPT_OK;
    spt_request *request = &meter->request;
    *request = (spt_request){.kind = SPT_REQUEST_LOAD};
    char obituary[160] = "";
    switch (exchange(meter, request, meter->arena_fd, 10.0 * meter->policy.timeout_s, obituary, sizeof obituary)) {
    case ANSWERED:
        break;
    case INTERRUPTED:
        return spt_fail(SPT_ENOTFOUND, "interrupted");
    default:
        return spt_fail(SPT_EIO, "no worker could load the problem: %s", obituary);
    }
    if (meter->reply.status != SPT_OK)
        return spt_fail(meter->reply.status, "%s", meter->reply.message);
    meter->worker_is_loaded = true;
    return SPT_OK;
}

static void blame(spt_measurement *out, exchange_end end, const char *obituary) {
    *out = (spt_measurement){.status = end == LATE ? SPT_TRIAL_TIMEOUT : SPT_TRIAL_RUNTIME};
    spt_copy_text(out->reason, sizeof out->reason, obituary);
}

static void set_variant(spt_request_variant *out, const char *family, const char *point) {
    spt_copy_text(out->family, sizeof out->family, family);
    spt_copy_text(out->point, sizeof out->point, point);
}

spt_status spt_meter_measure(spt_meter *meter, const char *family, const char *point, double best_ns,
                             spt_measurement *out) {
    SPT_TRY(ready_worker(meter));
    spt_request *request = &meter->request;
    *request = (spt_request){.kind = SPT_REQUEST_MEASURE, .policy = meter->policy, .best_ns = best_ns, .n_variants = 1};
    set_variant(&request->variants[0], family, point);
    char obituary[160] = "";
    const exchange_end end = exchange(meter, request, -1, meter->policy.timeout_s, obituary, sizeof obituary);
    if (end == INTERRUPTED)
        return spt_fail(SPT_ENOTFOUND, "interrupted");
    if (end != ANSWERED) {
        blame(out, end, obituary);
        return SPT_OK;
    }
    if (meter->reply.status != SPT_OK)
        return spt_fail(meter->reply.status, "%s", meter->reply.message);
    *out = meter->reply.measurements[0];
    check_floor(meter, 0, out);
    spt_warnings_check_reply(&meter->warnings, &meter->reply);
    return SPT_OK;
}

/* Ask for a round of the variants whose index is in `index`. */
static exchange_end request_round(spt_meter *meter, const spt_variant_id *variants, const int *index, int n_variants,
                                  char *obituary, size_t capacity) {
    spt_request *request = &meter->request;
    *request = (spt_request){.kind = SPT_REQUEST_ROUND, .policy = meter->policy, .n_variants = n_variants};
    for (int i = 0; i < n_variants; i++)
        set_variant(&request->variants[i], variants[index[i]].family, variants[index[i]].point);
    return exchange(meter, request, -1, meter->policy.timeout_s * n_variants, obituary, capacity);
}

spt_status spt_meter_round(spt_meter *meter, const spt_variant_id *variants, int n_variants, spt_measurement *out) {
    if (n_variants < 1 || n_variants > SPT_ROUND_MAX)
        return spt_fail(SPT_EINVAL, "expected 1 to %d variants in a round, found %d", SPT_ROUND_MAX, n_variants);
    int index[SPT_ROUND_MAX], n_left = n_variants;
    for (int i = 0; i < n_variants; i++)
        index[i] = i;
    while (n_left > 0) {
        SPT_TRY(ready_worker(meter));
        char obituary[160] = "";
        const exchange_end end = request_round(meter, variants, index, n_left, obituary, sizeof obituary);
        if (end == INTERRUPTED)
            return spt_fail(SPT_ENOTFOUND, "interrupted");
        if (end == ANSWERED) {
            if (meter->reply.status != SPT_OK)
                return spt_fail(meter->reply.status, "%s", meter->reply.message);
            for (int i = 0; i < n_left; i++) {
                out[index[i]] = meter->reply.measurements[i];
                check_floor(meter, i, &out[index[i]]);
            }
            spt_warnings_check_reply(&meter->warnings, &meter->reply);
            return SPT_OK;
        }
        int guilty = atomic_load(&meter->arena->current_variant);
        guilty = guilty >= 0 && guilty < n_left ? guilty : 0;
        blame(&out[index[guilty]], end, obituary);
        n_left--; /* the round starts again without the one that broke it */
        memmove(&index[guilty], &index[guilty + 1], (size_t)(n_left - guilty) * sizeof *index);
    }
    return SPT_OK;
}

bool spt_meter_has_others(spt_meter *meter) {
    const char *device = meter->workload.problem.device;
    return (device == NULL || strcmp(device, "cpu") == 0) && spt_others_are_busy(&meter->others, meter->worker.pid);
}

const char *spt_meter_warning(const spt_meter *meter, int index) {
    return spt_warnings_get(&meter->warnings, index);
}

void spt_meter_interrupt(spt_meter *meter) {
    meter->is_interrupted = 1;
    if (meter->worker.pid > 0)
        kill(meter->worker.pid, SIGKILL);
}

void spt_meter_resume(spt_meter *meter) {
    spt_worker_bury(&meter->worker, false, NULL, 0); /* it was killed */
    meter->worker_is_loaded = false;
    meter->is_interrupted = 0;
}
