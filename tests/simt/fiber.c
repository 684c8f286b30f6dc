/* SPDX-License-Identifier: Apache-2.0 */
/* Fibers by saving what the calling convention says that a function keeps; ucontext on other machines. */
#include "tests/simt/fiber.h"

#include <stdint.h>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
/* A fiber that was left in the middle leaves marks on its stack. */
#define forget_marks(stack) ASAN_UNPOISON_MEMORY_REGION(stack, FIBER_STACK_BYTES)
#else
#define forget_marks(stack) (void)(stack)
#endif

#if defined(__x86_64__)

void fiber_swap_stacks(void **save, void *load);
__asm__(".text\n.globl fiber_swap_stacks\n.hidden fiber_swap_stacks\n.type fiber_swap_stacks, @function\n"
        "fiber_swap_stacks:\n"
        "push %rbp\npush %rbx\npush %r12\npush %r13\npush %r14\npush %r15\n"
        "mov %rsp, (%rdi)\nmov %rsi, %rsp\n"
        "pop %r15\npop %r14\npop %r13\npop %r12\npop %rbx\npop %rbp\nret\n"
        ".size fiber_swap_stacks, . - fiber_swap_stacks\n");

/* Six registers, the entry as the return address, and a slot that keeps the stack aligned as after a call. */
void fiber_init(fiber *self, void *stack, void (*entry)(void)) {
    forget_marks(stack);
    uintptr_t *top = (uintptr_t *)((char *)stack + FIBER_STACK_BYTES) - 8;
    for (int i = 0; i < 8; i++)
        top[i] = 0;
    top[6] = (uintptr_t)entry;
    self->stack_pointer = top;
}

void fiber_switch(fiber *from, fiber *to) {
    fiber_swap_stacks(&from->stack_pointer, to->stack_pointer);
}

#else

#include <stdlib.h>
#include <ucontext.h>

static ucontext_t *context_of(fiber *self) {
    if (self->context == NULL)
        self->context = calloc(1, sizeof(ucontext_t)); /* kept: fibers are reused and as many as threads */
    return self->context;
}

void fiber_init(fiber *self, void *stack, void (*entry)(void)) {
    ucontext_t *context = context_of(self);
    forget_marks(stack);
    getcontext(context);
    context->uc_stack.ss_sp = stack;
    context->uc_stack.ss_size = FIBER_STACK_BYTES;
    context->uc_link = NULL;
    makecontext(context, entry, 0);
}

void fiber_switch(fiber *from, fiber *to) {
    swapcontext(context_of(from), context_of(to));
}

#endif
