/* SPDX-License-Identifier: Apache-2.0 */
/* Pages straight from the kernel: their protection changes as a whole, so they share none with other memory. */
#include "variants/codegen/code_pages.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static atomic_bool is_denied_by_test;

enum { HUGE_PAGE = 2 << 20, HUGE_CODE_MIN = 256 << 10 }; /* bytes; less code than that is not worth a huge page */

static size_t round_up(size_t bytes, size_t unit) {
    return (bytes + unit - 1) / unit * unit;
}

static size_t whole_pages(size_t bytes) {
    return round_up(bytes, (size_t)sysconf(_SC_PAGESIZE));
}

/* Pages for `bytes` of code: huge ones as far as they would be well used. */
static size_t code_bytes(size_t bytes) {
    return bytes % HUGE_PAGE >= HUGE_CODE_MIN ? round_up(bytes, HUGE_PAGE) : whole_pages(bytes);
}

/* Map bytes at a multiple of the size of huge pages, and ask for these: scattered small pages collide in L2, which is
 * indexed by physical address. A system without huge pages gives small ones. */
static void *map_aligned(size_t bytes) {
    uint8_t *map = mmap(NULL, bytes + HUGE_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED)
        return MAP_FAILED;
    const size_t before = round_up((size_t)(uintptr_t)map, HUGE_PAGE) - (size_t)(uintptr_t)map;
    if (before > 0)
        munmap(map, before);
    if (before < HUGE_PAGE)
        munmap(map + before + bytes, HUGE_PAGE - before);
    madvise(map + before, bytes, MADV_HUGEPAGE);
    return map + before;
}

spt_status spt_code_pages_new(spt_code_pages *out, size_t size_bytes) {
    const size_t bytes = code_bytes(size_bytes);
    void *data = bytes >= HUGE_PAGE ? map_aligned(bytes)
                                    : mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    *out = (spt_code_pages){0};
    if (data == MAP_FAILED)
        return spt_fail(SPT_ENOMEM, "generated code: expected %zu bytes of pages: %s", bytes, strerror(errno));
    *out = (spt_code_pages){data, bytes};
    return SPT_OK;
}

spt_status spt_code_pages_seal(spt_code_pages *pages, size_t used_bytes) {
    const size_t used = code_bytes(used_bytes), keep = used < pages->size_bytes ? used : pages->size_bytes;
    if (keep < pages->size_bytes) {
        munmap(pages->data + keep, pages->size_bytes - keep);
        pages->size_bytes = keep;
    }
    if (atomic_load(&is_denied_by_test))
        return spt_fail(SPT_EUNSUPPORTED, "generated code: expected executable memory, denied by a test");
    if (mprotect(pages->data, pages->size_bytes, PROT_READ | PROT_EXEC) != 0)
        return spt_fail(SPT_EUNSUPPORTED, "generated code: expected executable memory: %s", strerror(errno));
    __builtin___clear_cache((char *)pages->data, (char *)pages->data + used_bytes);
    return SPT_OK;
}

void spt_code_pages_free(spt_code_pages *pages) {
    if (pages->data != NULL)
        munmap(pages->data, pages->size_bytes);
    *pages = (spt_code_pages){0};
}

static pthread_once_t probe_once = PTHREAD_ONCE_INIT;
static bool is_allowed;

static void probe(void) {
    spt_code_pages pages;
    if (spt_code_pages_new(&pages, 1) != SPT_OK)
        return;
    is_allowed = mprotect(pages.data, pages.size_bytes, PROT_READ | PROT_EXEC) == 0;
    spt_code_pages_free(&pages);
}

spt_status spt_code_pages_available(void) {
    pthread_once(&probe_once, probe);
    if (!is_allowed || atomic_load(&is_denied_by_test))
        return spt_fail(SPT_EUNSUPPORTED, "generated code: this system denies executable memory");
    return SPT_OK;
}

void spt_code_pages_deny(bool is_denied) {
    atomic_store(&is_denied_by_test, is_denied);
}
