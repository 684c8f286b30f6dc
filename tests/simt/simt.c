/* SPDX-License-Identifier: Apache-2.0 */
/* Launches: blocks one after the other, threads as fibers until each has waited or returned, again and again. */
#include "tests/simt/simt.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "tests/simt/state.h"

simt_state simt_now;

static char *stacks; /* SIMT_THREADS_MAX of them, each with a page below that nobody may touch */

#define GUARD_BYTES 4096

static void leave(void) {
    fiber_switch(&simt_now.self->fiber, &simt_now.scheduler);
}

void simt_fail(int line, const char *format, ...) {
    const simt_thread *self = simt_now.self;
    const simt_dim block = simt_now.calls.block;
    const int n = snprintf(simt_now.error, sizeof simt_now.error,
                           "%s, block (%u, %u, %u), thread (%u, %u, %u), line %d: ", simt_now.launch->name, block.x,
                           block.y, block.z, self->index.x, self->index.y, self->index.z, line);
    va_list arguments;
    va_start(arguments, format);
    if (n > 0 && n < SIMT_ERROR_MAX)
        vsnprintf(simt_now.error + n, sizeof simt_now.error - (size_t)n, format, arguments);
    va_end(arguments);
    simt_now.has_failed = true;
    for (;;)
        leave();
}

void simt_wait(simt_status status, int line) {
    simt_now.self->status = status;
    simt_now.self->line = line;
    leave();
}

static void sync_block(int line) {
    simt_wait(SIMT_AT_BARRIER, line);
}

static void thread_begin(void) {
    typedef void kernel(uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t,
                        uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t,
                        uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t);
    const uint64_t *v = simt_now.launch->values;
    kernel *run = (kernel *)simt_now.launch->kernel;
    run(v[0], v[1], v[2], v[3], v[4], v[5], v[6], v[7], v[8], v[9], v[10], v[11], v[12], v[13], v[14], v[15], v[16],
        v[17], v[18], v[19], v[20], v[21], v[22], v[23]);
    simt_now.self->status = SIMT_EXITED;
    for (;;)
        leave();
}

static void block_begin(void) {
    const simt_dim dim = simt_now.launch->block;
    simt_now.block_start = ++simt_now.stamp;
    simt_now.floor = simt_now.block_start - 1;
    simt_memory_block_begin();
    memset(simt_now.warps, 0, sizeof simt_now.warps);
    for (int i = 0; i < simt_now.n_threads; i++) {
        simt_thread *thread = &simt_now.threads[i];
        const unsigned x = (unsigned)i % dim.x, rest = (unsigned)i / dim.x;
        thread->index = (simt_dim){x, rest % dim.y, rest / dim.y};
        thread->linear = i;
        thread->status = SIMT_RUNNABLE;
        thread->clock = simt_now.stamp;
        thread->n_copies = thread->n_groups = 0;
        fiber_init(&thread->fiber, stacks + (size_t)i * (FIBER_STACK_BYTES + GUARD_BYTES) + GUARD_BYTES, thread_begin);
    }
}

/* Let all threads go on behind the barrier if all of them are there. */
static bool barrier_release(void) {
    for (int i = 0; i < simt_now.n_threads; i++) {
        if (simt_now.threads[i].status != SIMT_AT_BARRIER)
            return false;
    }
    for (int i = 1; i < simt_now.n_threads; i++) {
        simt_now.self = &simt_now.threads[i];
        if (simt_now.self->line != simt_now.threads[0].line) {
            snprintf(simt_now.error, sizeof simt_now.error,
                     "%s: divergent barrier: thread 0 waits at line %d, thread %d at line %d", simt_now.launch->name,
                     simt_now.threads[0].line, i, simt_now.self->line);
            simt_now.has_failed = true;
            return false;
        }
    }
    simt_now.floor = simt_now.stamp++;
    for (int i = 0; i < simt_now.n_threads; i++) {
        simt_now.threads[i].status = SIMT_RUNNABLE;
        simt_now.threads[i].clock = simt_now.stamp;
    }
    return true;
}

static const char *status_text(const simt_thread *thread) {
    static const char *const texts[] = {"runs", "waits at __syncthreads", "waits in an operation of its warp",
                                        "has returned"};
    return texts[thread->status];
}

/* Nobody can go on: say who waits, and for whom. */
static void report_deadlock(void) {
    const simt_thread *waiting = NULL, *missing = NULL;
    for (int i = 0; i < simt_now.n_threads && waiting == NULL; i++) {
        if (simt_now.threads[i].status == SIMT_AT_WARP)
            waiting = &simt_now.threads[i];
    }
    for (int i = 0; i < simt_now.n_threads && waiting == NULL; i++) {
        if (simt_now.threads[i].status == SIMT_AT_BARRIER)
            waiting = &simt_now.threads[i];
    }
    for (int i = 0; i < simt_now.n_threads && missing == NULL; i++) {
        const simt_thread *thread = &simt_now.threads[i];
        const bool is_wanted = waiting->status == SIMT_AT_BARRIER ||
                               (i / SIMT_WARP == waiting->linear / SIMT_WARP && (waiting->mask >> i % SIMT_WARP & 1));
        if (is_wanted && (thread->status != waiting->status || thread->line != waiting->line))
            missing = thread;
    }
    if (missing == NULL)
        missing = waiting;
    snprintf(simt_now.error, sizeof simt_now.error,
             "%s, block (%u, %u, %u): divergent: thread %d %s of line %d, thread %d %s (line %d)",
             simt_now.launch->name, simt_now.calls.block.x, simt_now.calls.block.y, simt_now.calls.block.z,
             waiting->linear, status_text(waiting), waiting->line, missing->linear, status_text(missing),
             missing->line);
    simt_now.has_failed = true;
}

static uint64_t next_random(uint64_t *seed) {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

/* The number of threads that returned in one pass over all that can run; -1 when none could run. */
static int run_pass(uint64_t *seed) {
    const int n = simt_now.n_threads;
    const simt_order order = simt_now.launch->order;
    int n_exited = 0, n_ran = 0, start = 0, step = 1;
    if (order == SIMT_SHUFFLED) { /* a stride that meets every thread */
        start = (int)(next_random(seed) % (unsigned)n);
        step = (int)(next_random(seed) % (unsigned)n) + 1;
        for (int a = step, b = n; a != 1;) { /* until the greatest common divisor is 1 */
            const int rest = b % a;
            b = a;
            a = rest;
            if (a == 0) {
                step = step % n + 1;
                a = step, b = n;
            }
        }
    }
    for (int i = 0; i < n && !simt_now.has_failed; i++) {
        const int at = order == SIMT_REVERSED ? n - 1 - i : (int)((start + (int64_t)i * step) % n);
        simt_thread *thread = &simt_now.threads[at];
        if (thread->status != SIMT_RUNNABLE)
            continue;
        n_ran++;
        simt_now.self = thread;
        simt_now.calls.thread = thread->index;
        fiber_switch(&simt_now.scheduler, &thread->fiber);
        n_exited += thread->status == SIMT_EXITED;
    }
    return n_ran == 0 ? -1 : n_exited;
}

static bool run_block(uint64_t *seed) {
    int n_left = simt_now.n_threads;
    block_begin();
    while (n_left > 0 && !simt_now.has_failed) {
        const int n_exited = run_pass(seed);
        if (n_exited >= 0)
            n_left -= n_exited;
        else if (!barrier_release() && !simt_now.has_failed)
            report_deadlock();
    }
    simt_now.stamp++;
    return !simt_now.has_failed;
}

static bool check_launch(const simt_launch *launch) {
    const simt_dim b = launch->block, g = launch->grid;
    const char *what = NULL;
    if ((uint64_t)b.x * b.y * b.z == 0 || (uint64_t)b.x * b.y * b.z > SIMT_THREADS_MAX || b.z > 64)
        what = "a block of 1 to 1024 threads";
    else if ((uint64_t)g.x * g.y * g.z == 0 || g.x > INT32_MAX || g.y > 65535 || g.z > 65535)
        what = "a grid within the limits";
    else if (launch->shared_bytes > SIMT_SHARED_MAX)
        what = "at most 227 KiB of shared memory";
    if (what != NULL)
        snprintf(simt_now.error, sizeof simt_now.error,
                 "%s: expected %s, found grid (%u, %u, %u), block (%u, %u, %u), %zu bytes", launch->name, what, g.x,
                 g.y, g.z, b.x, b.y, b.z, launch->shared_bytes);
    return what == NULL;
}

static void stacks_init(void) {
    const size_t each = FIBER_STACK_BYTES + GUARD_BYTES;
    stacks = mmap(NULL, SIMT_THREADS_MAX * each, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (stacks == MAP_FAILED)
        abort();
    for (size_t i = 0; i < SIMT_THREADS_MAX; i++)
        mprotect(stacks + i * each, GUARD_BYTES, PROT_NONE);
}

bool simt_run(const simt_launch *launch, char error[SIMT_ERROR_MAX]) {
    uint64_t seed = launch->seed * 2 + 0x9e3779b97f4a7c15u;
    bool is_ok = check_launch(launch);
    if (stacks == NULL)
        stacks_init();
    simt_now.calls = (simt_calls){
        .block_dim = launch->block,
        .grid_dim = launch->grid,
        .read = simt_read,
        .write = simt_write,
        .atomic_add = simt_atomic_add,
        .shared = simt_shared,
        .shared_dynamic = simt_shared_dynamic,
        .sync_block = sync_block,
        .warp = simt_warp,
        .async_copy = simt_async_copy,
        .async_commit = simt_async_commit,
        .async_wait = simt_async_wait,
        .fail = simt_fail,
    };
    simt_now.launch = launch;
    simt_now.has_failed = false;
    simt_now.launch_start = ++simt_now.stamp;
    simt_now.n_threads = (int)(launch->block.x * launch->block.y * launch->block.z);
    *launch->calls = &simt_now.calls;
    const uint64_t n_blocks = (uint64_t)launch->grid.x * launch->grid.y * launch->grid.z;
    for (uint64_t i = 0; i < n_blocks && is_ok; i++) {
        const uint64_t at = launch->order == SIMT_REVERSED ? n_blocks - 1 - i : i;
        simt_now.calls.block =
            (simt_dim){(unsigned)(at % launch->grid.x), (unsigned)(at / launch->grid.x % launch->grid.y),
                       (unsigned)(at / launch->grid.x / launch->grid.y)};
        is_ok = run_block(&seed);
    }
    if (!is_ok)
        memcpy(error, simt_now.error, SIMT_ERROR_MAX);
    return is_ok;
}
