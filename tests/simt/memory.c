/* SPDX-License-Identifier: Apache-2.0 */
/* The memory that kernels may use: global ranges that somebody announced, and the shared arrays of the running block,
 * which lie apart so that an overrun of one does not reach the next. */
#include <stdlib.h>
#include <string.h>

#include "tests/simt/state.h"

typedef struct range {
    char *base;
    size_t bytes;
    simt_cell *cells; /* NULL until a kernel uses it */
} range;

static range *ranges; /* by address */
static int n_ranges, ranges_capacity;

static _Alignas(128) char shared_memory[SIMT_SHARED_MAX + SIMT_ARRAYS_MAX * SIMT_GAP];
static simt_cell *shared_cells;

/* The last range that begins at or before the address, -1 when there is none. */
static int range_before(const void *address) {
    int low = 0, high = n_ranges;
    while (low < high) {
        const int middle = (low + high) / 2;
        if (ranges[middle].base <= (const char *)address)
            low = middle + 1;
        else
            high = middle;
    }
    return low - 1;
}

void simt_memory_add(void *base, size_t bytes) {
    if (n_ranges == ranges_capacity) {
        ranges_capacity = 2 * ranges_capacity + 16;
        ranges = realloc(ranges, (size_t)ranges_capacity * sizeof *ranges);
        if (ranges == NULL)
            abort();
    }
    const int at = range_before(base) + 1;
    memmove(&ranges[at + 1], &ranges[at], (size_t)(n_ranges - at) * sizeof *ranges);
    ranges[at] = (range){base, bytes, NULL};
    n_ranges++;
}

void simt_memory_remove(void *base) {
    const int at = range_before(base);
    if (at < 0 || ranges[at].base != base)
        abort();
    if (ranges[at].cells != NULL)
        simt_shadow_free(ranges[at].cells, ranges[at].bytes);
    n_ranges--;
    memmove(&ranges[at], &ranges[at + 1], (size_t)(n_ranges - at) * sizeof *ranges);
}

size_t simt_memory_left(const void *address) {
    const int at = range_before(address);
    const size_t offset = at < 0 ? 0 : (size_t)((const char *)address - ranges[at].base);
    return at < 0 || offset >= ranges[at].bytes ? 0 : ranges[at].bytes - offset;
}

/* Shadow and offset of a global access; stops when it is not inside a range. */
static simt_cell *find_global(size_t *offset, const void *address, size_t bytes, const char *verb, int line) {
    const int at = range_before(address);
    if (at < 0)
        simt_fail(line, "%s %zu bytes of global memory at %p, below every allocation", verb, bytes, address);
    *offset = (size_t)((const char *)address - ranges[at].base);
    if (*offset + bytes > ranges[at].bytes)
        simt_fail(line, "%s %zu bytes of global memory at offset %zu of an allocation of %zu bytes", verb, bytes,
                  *offset, ranges[at].bytes);
    if (ranges[at].cells == NULL)
        ranges[at].cells = simt_shadow_new(ranges[at].bytes);
    return ranges[at].cells;
}

static simt_cell *find_shared(size_t *offset, const void *address, size_t bytes, const char *verb, int line) {
    const simt_array *nearest = NULL;
    for (int i = 0; i < simt_now.n_arrays; i++) {
        const simt_array *array = &simt_now.arrays[i];
        if ((const char *)address >= array->base && (const char *)address + bytes <= array->base + array->bytes) {
            *offset = (size_t)((const char *)address - shared_memory);
            return shared_cells;
        }
        if ((const char *)address >= array->base)
            nearest = array;
    }
    if (nearest == NULL)
        simt_fail(line, "%s %zu bytes that are before all shared arrays", verb, bytes);
    simt_fail(line, "%s %zu bytes at offset %td of the shared array %s of %zu bytes", verb, bytes,
              (const char *)address - nearest->base, nearest->name, nearest->bytes);
}

static simt_cell *find(simt_space space, size_t *offset, const void *address, size_t bytes, const char *verb,
                       int line) {
    const size_t alignment = bytes & -bytes;
    if ((uintptr_t)address % alignment != 0)
        simt_fail(line, "%s %zu bytes at %p, which is not aligned to %zu bytes", verb, bytes, address, alignment);
    return space == SIMT_SHARED ? find_shared(offset, address, bytes, verb, line)
                                : find_global(offset, address, bytes, verb, line);
}

const void *simt_read(simt_space space, const void *address, size_t bytes, int line) {
    size_t offset;
    simt_cell *cells = find(space, &offset, address, bytes, "reads", line);
    simt_shadow_read(cells, space, offset, bytes, line);
    return address;
}

void *simt_write(simt_space space, void *address, size_t bytes, int line) {
    size_t offset;
    simt_cell *cells = find(space, &offset, address, bytes, "writes", line);
    simt_shadow_write(cells, space, offset, bytes, false, line);
    return address;
}

uint32_t simt_atomic_add(void *address, uint32_t value, int is_float, int line) {
    size_t offset;
    uint32_t old;
    simt_cell *cells = find(SIMT_GLOBAL, &offset, address, sizeof old, "adds to", line);
    simt_shadow_write(cells, SIMT_GLOBAL, offset, sizeof old, true, line);
    memcpy(&old, address, sizeof old);
    uint32_t sum = old + value;
    if (is_float) {
        float a, b;
        memcpy(&a, &old, sizeof a);
        memcpy(&b, &value, sizeof b);
        a += b;
        memcpy(&sum, &a, sizeof sum);
    }
    memcpy(address, &sum, sizeof sum);
    return old;
}

void simt_async_expect(void *to, size_t bytes, bool is_delivered) {
    const size_t offset = (size_t)((char *)to - shared_memory);
    if (is_delivered) {
        simt_shadow_deliver(shared_cells, offset, bytes);
    } else {
        simt_shadow_pend(shared_cells, offset, bytes);
        memset(to, 0xff, bytes);
    }
}

/* The array of this name; the first thread that comes by makes it. */
static void *array_get(const char *name, size_t bytes, int line) {
    for (int i = 0; i < simt_now.n_arrays; i++) {
        if (strcmp(simt_now.arrays[i].name, name) == 0)
            return simt_now.arrays[i].base;
    }
    if (simt_now.n_arrays == SIMT_ARRAYS_MAX)
        simt_fail(line, "declares more than %d shared arrays", SIMT_ARRAYS_MAX);
    const size_t rounded = (bytes + 127) / 128 * 128 + SIMT_GAP * 2;
    if (simt_now.shared_used + rounded > sizeof shared_memory)
        simt_fail(line, "declares %s of %zu bytes, with which shared memory is above %d bytes", name, bytes,
                  SIMT_SHARED_MAX);
    simt_array *array = &simt_now.arrays[simt_now.n_arrays++];
    *array = (simt_array){name, shared_memory + simt_now.shared_used, bytes};
    memset(array->base, 0xff, bytes);
    simt_now.shared_used += rounded;
    return array->base;
}

void *simt_shared(const char *name, size_t bytes, int line) {
    size_t total = bytes;
    for (int i = 0; i < simt_now.n_arrays; i++)
        total += strcmp(simt_now.arrays[i].name, name) != 0 && strcmp(simt_now.arrays[i].name, "(dynamic)") != 0
                     ? simt_now.arrays[i].bytes
                     : 0;
    if (total > SIMT_STATIC_MAX)
        simt_fail(line, "declares %zu bytes of static shared memory, above %d", total, SIMT_STATIC_MAX);
    return array_get(name, bytes, line);
}

void *simt_shared_dynamic(int line) {
    return array_get("(dynamic)", simt_now.launch->shared_bytes, line);
}

void simt_memory_block_begin(void) {
    if (shared_cells == NULL)
        shared_cells = simt_shadow_new(sizeof shared_memory);
    simt_now.n_arrays = 0;
    simt_now.shared_used = 0;
}
