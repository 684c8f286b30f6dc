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

static size_t whole_pages(size_t bytes) {
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    return (bytes + page - 1) / page * page;
}

spt_status spt_code_pages_new(spt_code_pages *out, size_t size_bytes) {
    const size_t bytes = whole_pages(size_bytes);
    void *data = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    *out = (spt_code_pages){0};
    if (data == MAP_FAILED)
        return spt_fail(SPT_ENOMEM, "generated code: expected %zu bytes of pages: %s", bytes, strerror(errno));
    *out = (spt_code_pages){data, bytes};
    return SPT_OK;
}

spt_status spt_code_pages_seal(spt_code_pages *pages, size_t used_bytes) {
    const size_t keep = whole_pages(used_bytes);
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
