/* SPDX-License-Identifier: Apache-2.0 */
#include "tuner/measure/pages.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

static size_t whole_pages(size_t bytes) {
    return (bytes + SPT_HUGE_PAGE - 1) / SPT_HUGE_PAGE * SPT_HUGE_PAGE;
}

/* The address range is reserved a page longer than wanted, then cut to a multiple of the page at both ends. */
void *spt_pages_new(size_t size_bytes) {
    if (size_bytes > SIZE_MAX / 2)
        return NULL;
    const size_t bytes = whole_pages(size_bytes);
    char *map = mmap(NULL, bytes + SPT_HUGE_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED)
        return NULL;
    const size_t before = whole_pages((size_t)(uintptr_t)map) - (size_t)(uintptr_t)map;
    if (before > 0)
        munmap(map, before);
    if (before < SPT_HUGE_PAGE)
        munmap(map + before + bytes, SPT_HUGE_PAGE - before);
    madvise(map + before, bytes, MADV_HUGEPAGE); /* a wish: without it the pages are small */
    return map + before;
}

void spt_pages_free(void *pages, size_t size_bytes) {
    if (pages != NULL)
        munmap(pages, whole_pages(size_bytes));
}

static bool read_all(int descriptor, char *out, size_t size_bytes, size_t at) {
    while (size_bytes > 0) {
        const ssize_t got = pread(descriptor, out, size_bytes, (off_t)at);
        if (got <= 0)
            return false;
        out += got;
        at += (size_t)got;
        size_bytes -= (size_t)got;
    }
    return true;
}

void *spt_pages_map(int descriptor, size_t size_bytes, size_t private_at) {
    char *map = private_at <= size_bytes ? spt_pages_new(size_bytes) : NULL;
    if (map == NULL)
        return NULL;
    const bool is_mapped = private_at == 0 || mmap(map, private_at, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
                                                   descriptor, 0) != MAP_FAILED;
    if (is_mapped && read_all(descriptor, map + private_at, size_bytes - private_at, private_at))
        return map;
    spt_pages_free(map, size_bytes);
    return NULL;
}
