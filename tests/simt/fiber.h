/* SPDX-License-Identifier: Apache-2.0 */
/* Fibers: stacks that are switched by hand, one per emulated thread. A switch costs a few nanoseconds on x86-64 and a
 * system call elsewhere. */
#ifndef SPT_TESTS_SIMT_FIBER_H
#define SPT_TESTS_SIMT_FIBER_H

#include <stddef.h>

typedef struct fiber {
    void *stack_pointer; /* where it stopped */
    void *context;       /* ucontext_t of other machines */
} fiber;

#define FIBER_STACK_BYTES (128 * 1024)

/* Let `self` begin at entry(), which never returns, on a stack of FIBER_STACK_BYTES. */
void fiber_init(fiber *self, void *stack, void (*entry)(void));
void fiber_switch(fiber *from, fiber *to);

#endif
