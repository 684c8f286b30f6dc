/* SPDX-License-Identifier: Apache-2.0 */
/* The memory is written once, so that it is more than one shared page of zeros, and then only read: written lines would
 * go back to memory while something is timed. It stays for the process's life. */
#include "tuner/measure/chill.h"

#include <omp.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

enum { LINE_BYTES = 64, L3_BYTES_UNKNOWN = 32 << 20 };

static char *memory;
static int64_t memory_bytes;

static spt_status get_memory(const spt_device *device) {
    const int64_t bytes = 2 * (device->l3_bytes > 0 ? device->l3_bytes : L3_BYTES_UNKNOWN);
    if (memory != NULL)
        return SPT_OK;
    void *map = mmap(NULL, (size_t)bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED)
        return spt_fail(SPT_ENOMEM, "expected %lld bytes beside a cold measurement, found no memory", (long long)bytes);
    memset(map, 1, (size_t)bytes);
    memory = map;
    memory_bytes = bytes;
    return SPT_OK;
}

spt_status spt_chill(const spt_device *device, int threads) {
    int64_t sum = 0;
    SPT_TRY(get_memory(device));
#pragma omp parallel for num_threads(threads) reduction(+ : sum) schedule(static)
    for (int64_t at = 0; at < memory_bytes; at += LINE_BYTES)
        sum += memory[at];
    __asm__ volatile("" : : "r"(sum)); /* the sum is wanted */
    return SPT_OK;
}
