/* SPDX-License-Identifier: Apache-2.0 */
/* Memory: alignment, refused sizes, and the countdown that other tests rely on. */
#include "tests/unit.h"

#include <pthread.h>
#include <string.h>

#include "core/memory.h"

static void every_size_is_aligned_and_writable(void **state) {
    (void)state;
    const long live = spt_memory_live();
    for (size_t size = 0; size < 300; size++) {
        unsigned char *pointer = spt_alloc(size, 1);
        assert_non_null(pointer);
        assert_int_equal((uintptr_t)pointer % SPT_ALIGNMENT, 0);
        memset(pointer, 0xa5, size);
        spt_free(pointer);
    }
    spt_free(NULL);
    assert_int_equal(spt_memory_live(), live);
}

static void sizes_that_overflow_are_refused(void **state) {
    (void)state;
    static const struct {
        size_t count, item_bytes;
    } rows[] = {
        {SIZE_MAX, 1},     {SIZE_MAX, SIZE_MAX},         {SIZE_MAX / 2 + 2, 2},
        {3, SIZE_MAX / 2}, {(size_t)PTRDIFF_MAX + 1, 1}, {(size_t)1 << 61, 8},
    };
    const long live = spt_memory_live();
    char kept[4] = "old";
    for (int i = 0; i < N_ITEMS(rows); i++) {
        spt_error_clear();
        assert_null(spt_alloc(rows[i].count, rows[i].item_bytes));
        assert_true(strlen(spt_last_error()) > 10);
        assert_null(spt_alloc_zeroed(rows[i].count, rows[i].item_bytes));
        assert_null(spt_realloc(kept, 4, rows[i].count, rows[i].item_bytes));
    }
    double *array;
    assert_int_equal(SPT_NEW(array, -1), SPT_ENOMEM); /* a negative count is a huge one */
    assert_int_equal(spt_memory_live(), live);
}

static void zeroed_memory_is_zero(void **state) {
    (void)state;
    for (int round = 0; round < 20; round++) {
        unsigned char *pointer = spt_alloc_zeroed(1000, 3);
        assert_non_null(pointer);
        for (int i = 0; i < 3000; i++)
            assert_int_equal(pointer[i], 0);
        memset(pointer, 0xff, 3000);
        spt_free(pointer);
    }
}

static void realloc_keeps_what_fits(void **state) {
    (void)state;
    int *array = spt_realloc(NULL, 0, 3, sizeof *array);
    assert_non_null(array);
    for (int i = 0; i < 3; i++)
        array[i] = i + 1;
    array = spt_realloc(array, 3, 500, sizeof *array);
    assert_non_null(array);
    array = spt_realloc(array, 500, 2, sizeof *array);
    assert_non_null(array);
    assert_int_equal(array[0], 1);
    assert_int_equal(array[1], 2);
    spt_free(array);
}

static void a_failed_realloc_keeps_the_old_array(void **state) {
    (void)state;
    int *array = spt_alloc(2, sizeof *array);
    assert_non_null(array);
    array[0] = 7, array[1] = 8;
    spt_memory_fail_after(0);
    assert_null(spt_realloc(array, 2, 100, sizeof *array));
    spt_memory_fail_after(-1);
    assert_int_equal(array[0], 7);
    assert_int_equal(array[1], 8);
    spt_free(array);
}

static void exactly_the_chosen_allocation_fails(void **state) {
    (void)state;
    for (long n = 0; n < 5; n++) {
        void *pointers[8];
        const long live = spt_memory_live();
        spt_memory_fail_after(n);
        for (int i = 0; i < 8; i++) {
            pointers[i] = spt_alloc(1, 16);
            assert_int_equal(pointers[i] == NULL, i == n);
        }
        assert_int_equal(spt_memory_count(), 8);
        assert_int_equal(spt_memory_live(), live + 7);
        for (int i = 0; i < 8; i++)
            spt_free(pointers[i]);
        assert_int_equal(spt_memory_live(), live);
    }
    spt_memory_fail_after(-1);
    assert_int_equal(spt_memory_count(), 0);
}

static void a_copied_text_is_equal_and_its_own(void **state) {
    (void)state;
    char text[] = "panel";
    char *copy = spt_strdup(text);
    assert_string_equal(copy, "panel");
    text[0] = 'x';
    assert_string_equal(copy, "panel");
    spt_free(copy);
    spt_memory_fail_after(0);
    assert_null(spt_strdup(text));
    spt_memory_fail_after(-1);
}

enum { N_THREADS = 4, N_PER_THREAD = 500 };

static void *allocate_many(void *n_failed) {
    for (int i = 0; i < N_PER_THREAD; i++) {
        void *pointer = spt_alloc(3, 5);
        *(int *)n_failed += pointer == NULL;
        spt_free(pointer);
    }
    return NULL;
}

static void one_allocation_fails_among_many_threads(void **state) {
    (void)state;
    pthread_t threads[N_THREADS];
    int n_failed[N_THREADS] = {0}, sum = 0;
    const long live = spt_memory_live();
    spt_memory_fail_after(700);
    for (int i = 0; i < N_THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, allocate_many, &n_failed[i]), 0);
    for (int i = 0; i < N_THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        sum += n_failed[i];
    }
    assert_int_equal(spt_memory_count(), N_THREADS * N_PER_THREAD);
    spt_memory_fail_after(-1);
    assert_int_equal(sum, 1);
    assert_int_equal(spt_memory_live(), live);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_size_is_aligned_and_writable),
        cmocka_unit_test(sizes_that_overflow_are_refused),
        cmocka_unit_test(zeroed_memory_is_zero),
        cmocka_unit_test(realloc_keeps_what_fits),
        cmocka_unit_test(a_failed_realloc_keeps_the_old_array),
        cmocka_unit_test(exactly_the_chosen_allocation_fails),
        cmocka_unit_test(a_copied_text_is_equal_and_its_own),
        cmocka_unit_test(one_allocation_fails_among_many_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
