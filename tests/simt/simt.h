/* SPDX-License-Identifier: Apache-2.0 */
/* A SIMT emulator: runs a kernel's text, compiled by the host compiler, one fiber per thread and one block after the
 * other. It stops with one sentence at what a GPU would leave undefined: accesses outside of known memory, reads of
 * shared memory that nobody wrote, two threads at one address without a barrier between them, collectives that not all
 * lanes reach, bytes that a cp.async has not delivered, metadata that mma.sp does not take.
 * One launch at a time; not for several threads. */
#ifndef SPT_TESTS_SIMT_SIMT_H
#define SPT_TESTS_SIMT_SIMT_H

#include <stdbool.h>

#include "tests/simt/calls.h"

#define SIMT_ERROR_MAX 400
#define SIMT_PARAMS_MAX 24

/* The order in which threads that can run are run. */
typedef enum simt_order { SIMT_FORWARD, SIMT_REVERSED, SIMT_SHUFFLED, SIMT_N_ORDERS } simt_order;

typedef struct simt_launch {
    const char *name;       /* for sentences */
    void (*kernel)(void);   /* takes the values below: integers and pointers, never floating point */
    simt_calls **calls;     /* the variable `simt` of the kernel's object */
    const uint64_t *values; /* SIMT_PARAMS_MAX of them */
    simt_dim grid, block;
    size_t shared_bytes; /* dynamic */
    simt_order order;
    uint64_t seed; /* of the shuffled order */
} simt_launch;

/* Run a whole grid. False when it was stopped; `error` then holds the sentence. */
bool simt_run(const simt_launch *launch, char error[SIMT_ERROR_MAX]);

/* Let kernels use [base, base + bytes). Ranges must not touch: keep a gap, so that overruns are seen. */
void simt_memory_add(void *base, size_t bytes);
void simt_memory_remove(void *base);
/* The bytes from `address` to the end of its range; 0 when it is in none. */
size_t simt_memory_left(const void *address);

#endif
