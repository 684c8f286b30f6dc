/* SPDX-License-Identifier: Apache-2.0 */
/* What the emulator's files share: the running launch, its threads, and the shadow of memory. */
#ifndef SPT_TESTS_SIMT_STATE_H
#define SPT_TESTS_SIMT_STATE_H

#include "tests/simt/fiber.h"
#include "tests/simt/simt.h"

enum {
    SIMT_WARP = 32,
    SIMT_THREADS_MAX = 1024,
    SIMT_SHARED_MAX = 227 * 1024, /* dynamic and static together, compute capability 9.0 */
    SIMT_STATIC_MAX = 48 * 1024,
    SIMT_ARRAYS_MAX = 16,
    SIMT_GAP = 64,    /* bytes between two shared arrays */
    SIMT_GRANULE = 2, /* bytes that one shadow cell stands for */
};

typedef enum simt_status { SIMT_RUNNABLE, SIMT_AT_BARRIER, SIMT_AT_WARP, SIMT_EXITED } simt_status;

/* A copy to shared memory that is under way. */
typedef struct simt_copy {
    void *to;
    const void *from;
    int bytes, bytes_read, group, line;
} simt_copy;

typedef struct simt_thread {
    fiber fiber;
    simt_dim index;
    int linear; /* number in the block; its warp is linear / 32 */
    simt_status status;
    uint32_t clock; /* stamp of what it accesses now; later stamps come after barriers */
    int line;       /* where it waits */
    simt_op op;     /* what it waits in, with whom, and its operand */
    unsigned mask;
    void *io;
    size_t io_bytes;
    simt_copy *copies;
    int n_copies, copies_capacity, n_groups; /* groups that are committed */
} simt_thread;

/* seen[a][b]: lane a is ordered after what lane b did up to this stamp, by __syncwarp. */
typedef struct simt_warp_order {
    uint32_t seen[SIMT_WARP][SIMT_WARP];
} simt_warp_order;

typedef struct simt_array {
    const char *name;
    char *base;
    size_t bytes;
} simt_array;

/* The last write and two last readers of two neighbouring bytes. Stamps never fall, so nothing has to be cleared
 * between blocks and launches. */
typedef struct simt_cell {
    uint32_t write_stamp, read_stamp[2];
    uint16_t writer, reader[2];
    uint16_t write_line;
    uint8_t write_mask, is_pending, is_atomic; /* mask: which of the two bytes */
} simt_cell;

typedef struct simt_state {
    simt_calls calls;
    const simt_launch *launch;
    simt_thread threads[SIMT_THREADS_MAX];
    simt_warp_order warps[SIMT_THREADS_MAX / SIMT_WARP];
    simt_thread *self; /* the running one */
    fiber scheduler;
    int n_threads;
    uint32_t stamp;        /* the greatest in use */
    uint32_t launch_start; /* the first of this launch, of this block, and the last before the last barrier */
    uint32_t block_start, floor;
    simt_array arrays[SIMT_ARRAYS_MAX];
    int n_arrays;
    size_t shared_used;
    bool has_failed;
    char error[SIMT_ERROR_MAX];
} simt_state;

extern simt_state simt_now;

/* Stop the launch with a sentence; does not come back. */
void simt_fail(int line, const char *format, ...) __attribute__((format(printf, 2, 3), noreturn));
void simt_wait(simt_status status, int line); /* leave the running thread until it is made runnable */

/* memory.c */
void simt_memory_block_begin(void);
const void *simt_read(simt_space space, const void *address, size_t bytes, int line);
void *simt_write(simt_space space, void *address, size_t bytes, int line);
uint32_t simt_atomic_add(void *address, uint32_t value, int is_float, int line);
void *simt_shared(const char *name, size_t bytes, int line);
void *simt_shared_dynamic(int line);

/* shadow.c */
simt_cell *simt_shadow_new(size_t bytes);
void simt_shadow_free(simt_cell *cells, size_t bytes);
void simt_shadow_read(simt_cell *cells, simt_space space, size_t offset, size_t bytes, int line);
void simt_shadow_write(simt_cell *cells, simt_space space, size_t offset, size_t bytes, bool is_atomic, int line);
void simt_shadow_pend(simt_cell *cells, size_t offset, size_t bytes);
void simt_shadow_deliver(simt_cell *cells, size_t offset, size_t bytes);

/* async.c */
void simt_async_copy(void *to, const void *from, int bytes, int bytes_read, int line);
void simt_async_commit(void);
void simt_async_wait(int n_pending);
void simt_async_expect(void *to, size_t bytes, bool is_delivered); /* memory.c: mark as under way, or as written */

/* warp.c, mma.c */
void simt_warp(simt_op op, unsigned mask, void *io, size_t bytes, int line);
void simt_mma_all(void *const io[SIMT_WARP], int line);
int simt_mma_registers(const simt_mma *mma, int *n_b);

#endif
