/* SPDX-License-Identifier: Apache-2.0 */
/* Aligned allocation with overflow checks; counters let tests fail the n-th allocation and count what is live. */
#include "core/memory.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static atomic_long fail_after = -1; /* allocations that may still succeed before one fails; -1: never */
static atomic_long n_allocations;
static atomic_long n_live;

static bool is_failure_due(void) {
    long left = atomic_load(&fail_after);
    while (left >= 0) {
        if (atomic_compare_exchange_weak(&fail_after, &left, left - 1))
            return left == 0;
    }
    return false;
}

void *spt_alloc(size_t count, size_t item_bytes) {
    size_t size;
    if (__builtin_mul_overflow(count, item_bytes, &size) || size > (size_t)PTRDIFF_MAX - SPT_ALIGNMENT) {
        spt_fail(SPT_ENOMEM, "an array of %zu items of %zu bytes does not fit the address space", count, item_bytes);
        return NULL;
    }
    atomic_fetch_add(&n_allocations, 1);
    void *pointer = NULL;
    if (is_failure_due() || posix_memalign(&pointer, SPT_ALIGNMENT, size > 0 ? size : 1) != 0) {
        spt_fail(SPT_ENOMEM, "out of memory: %zu bytes were asked for", size);
        return NULL;
    }
    atomic_fetch_add(&n_live, 1);
    return pointer;
}

void *spt_alloc_zeroed(size_t count, size_t item_bytes) {
    void *pointer = spt_alloc(count, item_bytes);
    if (pointer != NULL)
        memset(pointer, 0, count * item_bytes);
    return pointer;
}

void *spt_realloc(void *old, size_t old_count, size_t new_count, size_t item_bytes) {
    void *pointer = spt_alloc(new_count, item_bytes);
    if (pointer == NULL)
        return NULL;
    if (old != NULL)
        memcpy(pointer, old, (old_count < new_count ? old_count : new_count) * item_bytes);
    spt_free(old);
    return pointer;
}

spt_status spt_grow(void **items, int64_t *capacity, int64_t count, size_t item_bytes) {
    if (count < *capacity)
        return SPT_OK;
    const int64_t larger = *capacity == 0 ? 64 : *capacity * 2;
    void *moved = spt_realloc(*items, (size_t)*capacity, (size_t)larger, item_bytes);
    if (moved == NULL)
        return SPT_ENOMEM;
    *items = moved;
    *capacity = larger;
    return SPT_OK;
}

char *spt_strdup(const char *text) {
    const size_t size = strlen(text) + 1;
    char *copy = spt_alloc(size, 1);
    if (copy != NULL)
        memcpy(copy, text, size);
    return copy;
}

void spt_free(void *pointer) {
    if (pointer == NULL)
        return;
    atomic_fetch_sub(&n_live, 1);
    free(pointer);
}

void spt_memory_fail_after(long n) {
    atomic_store(&n_allocations, 0);
    atomic_store(&fail_after, n);
}

long spt_memory_count(void) {
    return atomic_load(&n_allocations);
}

long spt_memory_live(void) {
    return atomic_load(&n_live);
}
