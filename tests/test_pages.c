/* SPDX-License-Identifier: Apache-2.0 */
/* Memory of measured operands. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "tuner/measure/pages.h"

static void pages_begin_at_huge_pages_and_are_zero(void **unused) {
    (void)unused;
    const size_t sizes[] = {1, 4096, SPT_HUGE_PAGE, SPT_HUGE_PAGE + 1};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        char *pages = spt_pages_new(sizes[i]);
        assert_non_null(pages);
        assert_int_equal((uintptr_t)pages % SPT_HUGE_PAGE, 0);
        for (size_t at = 0; at < sizes[i]; at++)
            assert_int_equal(pages[at], 0);
        memset(pages, 1, sizes[i]);
        spt_pages_free(pages, sizes[i]);
    }
    spt_pages_free(NULL, 1);
}

static void absurd_sizes_have_no_pages(void **unused) {
    (void)unused;
    assert_null(spt_pages_new(SIZE_MAX));
    assert_null(spt_pages_new(SIZE_MAX / 2));
}

static int file_of(const char *bytes, size_t size) {
    const int descriptor = memfd_create("test-pages", MFD_CLOEXEC);
    assert_true(descriptor >= 0);
    assert_int_equal(ftruncate(descriptor, (off_t)size), 0);
    assert_int_equal(pwrite(descriptor, bytes, size, 0), (ssize_t)size);
    return descriptor;
}

/* What is written before private_at is everybody's; what is written behind it stays in this process. */
static void a_map_shares_its_head_and_owns_its_tail(void **unused) {
    (void)unused;
    static char bytes[SPT_HUGE_PAGE + 5000];
    char found;
    memset(bytes, 7, sizeof bytes);
    const int descriptor = file_of(bytes, sizeof bytes);
    char *map = spt_pages_map(descriptor, sizeof bytes, SPT_HUGE_PAGE);
    assert_non_null(map);
    assert_memory_equal(map, bytes, sizeof bytes);
    map[1] = 8;
    map[SPT_HUGE_PAGE + 1] = 8;
    assert_int_equal(pread(descriptor, &found, 1, 1), 1);
    assert_int_equal(found, 8);
    assert_int_equal(pread(descriptor, &found, 1, SPT_HUGE_PAGE + 1), 1);
    assert_int_equal(found, 7);
    spt_pages_free(map, sizeof bytes);
    close(descriptor);
}

static void a_short_file_is_refused(void **unused) {
    (void)unused;
    const int descriptor = file_of("short", 5);
    assert_null(spt_pages_map(descriptor, SPT_HUGE_PAGE + 10, SPT_HUGE_PAGE));
    assert_null(spt_pages_map(descriptor, 5, SPT_HUGE_PAGE));
    close(descriptor);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pages_begin_at_huge_pages_and_are_zero),
        cmocka_unit_test(absurd_sizes_have_no_pages),
        cmocka_unit_test(a_map_shares_its_head_and_owns_its_tail),
        cmocka_unit_test(a_short_file_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
