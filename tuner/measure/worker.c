/* SPDX-License-Identifier: Apache-2.0 */
/* The worker: a process that answers requests until its socket closes. It may crash or hang at any time; whatever it
 * says last is enough for the parent to blame the right variant. */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "core/memory.h"
#include "core/random.h"
#include "core/text.h"
#include "tuner/measure/pages.h"
#include "tuner/measure/runner.h"
#include "variants/cuda/device.h"

enum { SETTLE_NS = 3000000, BROKEN_CONTEXT = 4 };
enum { PAD_LOG_MIN = 8, PAD_LOGS = 11, PAD_STEP = 64 }; /* pads take 256 bytes to 272 KiB */

typedef struct worker {
    spt_device device;
    const char *device_name; /* static text */
    spt_arena *arena;        /* NULL before the first load */
    spt_request request;
    spt_reply reply;
    bool last_owned_threads; /* did the variant that ran last bring its own threads */
    spt_random random;       /* where variants of a round lie */
} worker;

/* Die with the parent, leave Ctrl-C and a terminal's end to it, and leave no core files of variants that crash. */
static void isolate(void) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGINT, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
}

/* Receive a request and the descriptor it may carry. False at the end of the conversation. */
static bool receive_request(spt_request *request, int *descriptor) {
    char control[CMSG_SPACE(sizeof(int))];
    struct iovec bytes = {request, sizeof *request};
    struct msghdr message = {
        .msg_iov = &bytes, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    ssize_t got;
    do {
        got = recvmsg(SPT_WORKER_FD, &message, MSG_CMSG_CLOEXEC);
    } while (got < 0 && errno == EINTR);
    *descriptor = -1;
    if (got != (ssize_t)sizeof *request)
        return false;
    const struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    if (header != NULL && header->cmsg_type == SCM_RIGHTS)
        memcpy(descriptor, CMSG_DATA(header), sizeof *descriptor);
    return true;
}

static void compute_reference(spt_arena *arena) {
    char *base = (char *)arena;
    spt_csr a;
    spt_args args;
    spt_arena_view(&a, &args, arena);
    spt_operation_get(arena->workload.problem.op)
        ->reference((double *)(void *)(base + arena->value_at), (double *)(void *)(base + arena->tolerance_at),
                    &arena->workload, &a, &args);
    atomic_store(&arena->has_reference, 1);
}

/* Have the loaded problem's device at hand; a GPU's context stays current on this thread. */
static spt_status use_device(worker *self, const char *name) {
    if (strcmp(self->device_name, name) == 0)
        return SPT_OK;
    SPT_TRY(spt_device_find(&self->device, name));
    if (self->device.kind == SPT_CUDA)
        SPT_TRY(spt_cuda_enter(&self->device));
    self->device_name = name;
    return SPT_OK;
}

/* Map the whole arena, its inputs as a copy on huge pages. NULL when there is no memory for that. */
static spt_arena *map_arena(int descriptor) {
    spt_arena header;
    if (pread(descriptor, &header, sizeof header, 0) != (ssize_t)sizeof header)
        return NULL;
    return spt_pages_map(descriptor, header.size_bytes, (size_t)header.inputs_at);
}

/* Take over the arena of a load; a worker that replaces a dead one finds the reference there already. */
static spt_status load(worker *self, int descriptor) {
    if (self->arena != NULL)
        spt_pages_free(self->arena, self->arena->size_bytes);
    self->arena = NULL;
    spt_arena *arena = map_arena(descriptor);
    close(descriptor);
    if (arena == NULL)
        return spt_fail(SPT_EIO, "the operands' shared memory cannot be mapped: %s", strerror(errno));
    const size_t size_bytes = arena->size_bytes;
    arena->device_name[sizeof arena->device_name - 1] = '\0';
    spt_status status = spt_device_name(&arena->workload.problem.device, arena->device_name);
    if (status == SPT_OK)
        status = use_device(self, arena->workload.problem.device);
    if (status != SPT_OK) {
        spt_pages_free(arena, size_bytes);
        return status;
    }
    if (atomic_load(&arena->has_reference) == 0)
        compute_reference(arena);
    mprotect((char *)arena + arena->inputs_at, (size_t)(arena->inputs_end - arena->inputs_at), PROT_READ);
    self->arena = arena;
    return SPT_OK;
}

/* Thread teams of different run-times (OpenMP's, OpenBLAS's) spin for a while after their work and would take the cores
 * from each other: let them fall asleep before a variant of the other kind is timed. */
static void settle(worker *self, const spt_runner *runner) {
    const bool owns_threads = runner->sets[0].prepared.family->owns_threads;
    if (self->arena->workload.problem.threads > 1 && owns_threads != self->last_owned_threads)
        nanosleep(&(struct timespec){.tv_nsec = SETTLE_NS}, NULL);
    self->last_owned_threads = owns_threads;
}

static spt_status measure(worker *self) {
    spt_measurement *measurement = &self->reply.measurements[0];
    spt_runner runner;
    atomic_store(&self->arena->current_variant, 0);
    SPT_TRY(spt_runner_init(&runner, measurement, &self->request.variants[0], &self->device, self->arena));
    if (runner.n_sets > 0 && spt_runner_verify(&runner, measurement)) {
        const spt_sampler sampler = spt_runner_sampler(&runner);
        settle(self, &runner);
        if (spt_sampler_measure(measurement, &sampler, &self->request.policy, self->request.best_ns) != SPT_OK) {
            measurement->status = SPT_TRIAL_RUNTIME;
            snprintf(measurement->reason, sizeof measurement->reason, "%s", spt_last_error());
        } else if (!spt_runner_verify(&runner, measurement)) { /* still right after all those runs */
            measurement->n_samples = 0;
        }
    }
    spt_runner_fini(&runner);
    return SPT_OK;
}

/* A kernel that reads where it may not breaks its context for good. */
static bool has_broken_context(void) {
    return spt_cuda_synchronize(NULL) != SPT_OK;
}

/* State of one final round. */
typedef struct round_state {
    int order[SPT_ROUND_MAX]; /* who lies and runs before whom */
    void *pads[SPT_ROUND_MAX];
    spt_runner runners[SPT_ROUND_MAX];
    int64_t calls[SPT_ROUND_MAX];
    double void_ns_left[SPT_ROUND_MAX]; /* for taking interrupted samples again */
    double samples[SPT_ROUND_MAX][SPT_SAMPLES_MAX];
    double scratch[SPT_SAMPLES_MAX];
} round_state;

/* Verify variant i of a round; what it did to the guards of the others is its own fault. */
static bool verify_among_others(worker *self, round_state *state, int i) {
    spt_measurement *measurement = &self->reply.measurements[i];
    if (state->runners[i].n_sets == 0 || !spt_runner_verify(&state->runners[i], measurement))
        return false;
    for (int j = 0; j < self->request.n_variants; j++) {
        if (j == i || spt_runner_is_intact(&state->runners[j]))
            continue;
        spt_guarded_poison(&state->runners[j].sets[0].output); /* whole again for the next one */
        if (state->runners[j].workspace.data != NULL)
            spt_guarded_poison(&state->runners[j].workspace);
        char neighbour[64];
        spt_copy_text(neighbour, sizeof neighbour, self->request.variants[j].family);
        measurement->status = SPT_TRIAL_CORRECTNESS;
        snprintf(measurement->reason, sizeof measurement->reason,
                 "bytes beside the output of its neighbour %s were overwritten", neighbour);
        return false;
    }
    return true;
}

/* The same code takes up to a fifth longer where its values and pages happen to collide with operands in a cache, and
 * an allocator gives back what was freed last, so that a variant would lie in one or two places in all rounds. A pad of
 * random size before each, and another order, make every round another place, as any application's is. Without memory
 * it lies as it may. */
static void *pad_memory(worker *self) {
    const size_t bytes = ((size_t)1 << (PAD_LOG_MIN + spt_random_below(&self->random, PAD_LOGS))) +
                         (size_t)spt_random_below(&self->random, (uint64_t)1 << PAD_LOG_MIN) * PAD_STEP;
    void *pad = spt_alloc(bytes, 1);
    if (pad != NULL)
        memset(pad, 0, bytes);
    return pad;
}

/* Verify and calibrate every variant before anything is timed. */
static spt_status prepare_round(worker *self, round_state *state) {
    for (int turn = 0; turn < self->request.n_variants; turn++) {
        const int i = state->order[turn];
        spt_measurement *measurement = &self->reply.measurements[i];
        atomic_store(&self->arena->current_variant, i);
        state->pads[i] = pad_memory(self);
        SPT_TRY(
            spt_runner_init(&state->runners[i], measurement, &self->request.variants[i], &self->device, self->arena));
        if (state->runners[i].n_sets > 0 && spt_prepared_complete(&state->runners[i].sets[0].prepared) != SPT_OK) {
            measurement->status = SPT_TRIAL_COMPILE; /* it could win and would not run for other operands */
            snprintf(measurement->reason, sizeof measurement->reason, "%s", spt_last_error());
            continue;
        }
        const bool is_right = verify_among_others(self, state, i);
        if (measurement->status == SPT_TRIAL_RUNTIME && self->device.kind == SPT_CUDA && has_broken_context())
            _exit(BROKEN_CONTEXT); /* no other variant could run: the parent blames this one and starts anew */
        if (!is_right)
            continue;
        const spt_sampler sampler = spt_runner_sampler(&state->runners[i]);
        settle(self, &state->runners[i]);
        state->void_ns_left[i] = self->request.policy.void_ns_max;
        if (spt_sampler_calibrate(&state->calls[i], &sampler, self->request.policy.sample_ns_min) != SPT_OK)
            measurement->status = SPT_TRIAL_RUNTIME;
    }
    return SPT_OK;
}

/* Each variant has a turn: caches come to rest, then all its samples of this round. */
static void time_round(worker *self, round_state *state, int n_samples) {
    for (int turn = 0; turn < self->request.n_variants; turn++) {
        const int i = state->order[turn];
        spt_measurement *measurement = &self->reply.measurements[i];
        if (measurement->status != SPT_TRIAL_CORRECT)
            continue;
        const spt_sampler sampler = spt_runner_sampler(&state->runners[i]);
        atomic_store(&self->arena->current_variant, i);
        settle(self, &state->runners[i]);
        spt_status status = spt_sampler_warm(&sampler, &self->request.policy);
        for (int s = 0; s < n_samples && status == SPT_OK; s++)
            status = spt_sampler_time_calm(&state->samples[i][s], &sampler, state->calls[i], &state->void_ns_left[i]);
        if (status != SPT_OK)
            measurement->status = SPT_TRIAL_RUNTIME;
    }
}

/* Still right after all those runs, each beside the others? */
static void verify_round(worker *self, round_state *state) {
    for (int i = 0; i < self->request.n_variants; i++)
        if (state->runners[i].n_sets > 0 && !spt_runner_is_intact(&state->runners[i]))
            spt_guarded_poison(&state->runners[i].sets[0].output); /* whoever did it does it again below */
    for (int i = 0; i < self->request.n_variants; i++) {
        if (self->reply.measurements[i].status != SPT_TRIAL_CORRECT)
            continue;
        atomic_store(&self->arena->current_variant, i);
        verify_among_others(self, state, i);
    }
}

static spt_status measure_round(worker *self) {
    round_state *state;
    int n_samples = self->request.policy.final_samples;
    if (n_samples < 1 || n_samples > SPT_SAMPLES_MAX)
        n_samples = 1;
    SPT_TRY(SPT_NEW_ZEROED(state, 1));
    /* Pages that are given back come back to the next round, too, and some of them collide more than others do: whoever
     * is prepared third would have the third one's luck in all rounds. */
    spt_random_shuffle(&self->random, state->order, self->request.n_variants);
    const spt_status status = prepare_round(self, state);
    if (status == SPT_OK) {
        time_round(self, state, n_samples);
        verify_round(self, state);
    }
    for (int i = 0; i < self->request.n_variants; i++) {
        spt_measurement *measurement = &self->reply.measurements[i];
        if (status == SPT_OK && measurement->status == SPT_TRIAL_CORRECT) {
            spt_summary summary;
            spt_summarize(&summary, state->samples[i], state->scratch, n_samples);
            spt_measurement_set_times(measurement, &summary);
        }
        spt_runner_fini(&state->runners[i]);
        spt_free(state->pads[i]);
    }
    spt_free(state);
    return status;
}

/* A fixed chain of dependent operations: its time follows the clock frequency and nothing else. */
static double calibration_ns(void) {
    double best = 0.0;
    for (int repeat = 0; repeat < 5; repeat++) {
        const double start = spt_clock_now_ns(NULL);
        uint64_t x = 88172645463325252u;
        for (int i = 0; i < 20000; i++) {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            __asm__ volatile("" : "+r"(x));
        }
        const double ns = spt_clock_now_ns(NULL) - start;
        if (repeat == 0 || ns < best)
            best = ns;
    }
    return best;
}

static long involuntary_switches(void) {
    struct rusage usage;
    return getrusage(RUSAGE_SELF, &usage) == 0 ? usage.ru_nivcsw : 0;
}

static void answer(worker *self, int descriptor) {
    spt_reply *reply = &self->reply;
    *reply = (spt_reply){.status = SPT_OK};
    const double start = spt_clock_now_ns(NULL);
    const long switches = involuntary_switches();
    const int core = sched_getcpu();
    if (self->request.kind == SPT_REQUEST_LOAD)
        reply->status = load(self, descriptor);
    else if (self->arena == NULL || self->request.n_variants < 1 || self->request.n_variants > SPT_ROUND_MAX)
        reply->status = spt_fail(SPT_EINVAL, "the worker was asked to measure before anything was loaded");
    else
        reply->status = self->request.kind == SPT_REQUEST_ROUND ? measure_round(self) : measure(self);
    if (reply->status != SPT_OK)
        snprintf(reply->message, sizeof reply->message, "%s", spt_last_error());
    reply->is_spent = self->device.kind == SPT_CUDA && has_broken_context();
    reply->involuntary_switches = involuntary_switches() - switches;
    reply->was_moved = core >= 0 && sched_getcpu() != core;
    reply->calibration_ns = calibration_ns();
    reply->clock_resolution_ns = spt_clock_resolution_ns();
    reply->request_s = (spt_clock_now_ns(NULL) - start) * 1e-9;
}

int spt_worker_main(int argc, char **argv) {
    (void)argc;
    (void)argv;
    isolate();
    worker *self = spt_alloc_zeroed(1, sizeof *self);
    if (self != NULL) {
        self->device_name = "";
        spt_random_init(&self->random, (uint64_t)getpid());
    }
    if (self == NULL || use_device(self, "cpu") != SPT_OK)
        return 3;
    int descriptor;
    while (receive_request(&self->request, &descriptor)) {
        answer(self, descriptor);
        if (send(SPT_WORKER_FD, &self->reply, sizeof self->reply, MSG_NOSIGNAL) < 0)
            break;
    }
    return 0; /* the operating system takes the arena and the rest back */
}
