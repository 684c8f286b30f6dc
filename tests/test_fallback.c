/* SPDX-License-Identifier: Apache-2.0 */
/* The fallback chain behind the exact answer, with planted databases: who answers, what is said of it, and what a
 * question costs (no allocation, no system call, and the second time no search). */
#include "tests/runtime_fixture.h"

#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "runtime/select.h"
#include "variants/codegen/code_pages.h"

#define M 96
#define K 80
#define N 48

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define IS_SANITIZED true
#else
#define IS_SANITIZED false
#endif

typedef struct fixture {
    spt_matrix tuned, asked; /* two draws from one distribution */
    spt_device device;
    char folder[128];
    char db[160];
    log_book book;
} fixture;

static int set_up(void **state) {
    fixture *f = spt_alloc_zeroed(1, sizeof *f);
    make_matrix(&f->tuned, M, K, 0.2, 1);
    make_matrix(&f->asked, M, K, 0.2, 2);
    assert_ok(spt_device_detect(&f->device));
    support_folder_make(f->folder, sizeof f->folder);
    snprintf(f->db, sizeof f->db, "%s/tune.db", f->folder);
    *state = f;
    return 0;
}

static int tear_down(void **state) {
    fixture *f = *state;
    spt_code_pages_deny(false);
    support_folder_remove(f->folder);
    spt_matrix_fini(&f->tuned);
    spt_matrix_fini(&f->asked);
    spt_free(f);
    return 0;
}

static spt_problem plain_problem(void) {
    return make_problem(SPT_SPMM, SPT_KN, SPT_EPILOGUE_NONE, N, 1);
}

/* A device like this one but for its model. */
static spt_device sibling(const spt_device *device, int model) {
    spt_device other = *device;
    other.model = model;
    snprintf(other.key, sizeof other.key, "cpu|%s|%d|%d|%s|%lld|%lld", other.vendor, other.family, other.model,
             other.isa_set, (long long)other.l1d_bytes, (long long)other.l2_bytes);
    return other;
}

static spt_choice choose(fixture *f, spt_mode mode, const spt_problem *problem) {
    spt_context *context = open_with(f->db, mode, &f->book);
    const spt_choice choice = explain_right(context, &f->asked.view, problem);
    spt_close(context);
    return choice;
}

static void write_tuned(fixture *f, const spt_problem *problem, const char *family, double time_ns) {
    write_records(f->db, &f->tuned.view, problem, &(record_row){.family = family, .time_ns = time_ns}, 1);
}

/* ---- near pattern ---- */

static void nearest_pattern_serves_a_pattern_that_was_never_tuned(void **state) {
    fixture *f = *state;
    const spt_problem problem = plain_problem();
    spt_matrix far;
    make_matrix(&far, 2 * M, 2 * K, 0.6, 3);
    write_tuned(f, &problem, "spmm_csr_rows", 500.0);
    write_records(f->db, &far.view, &problem, &(record_row){.family = "spmm_csr_panel", .time_ns = 20000.0}, 1);
    const spt_choice choice = choose(f, SPT_MODE_FALLBACK, &problem);
    assert_int_equal(choice.match, SPT_MATCH_NEAR_PATTERN);
    assert_string_equal(choice.level, "near_pattern");
    assert_string_equal(choice.family, "spmm_csr_rows");
    assert_int_equal(choice.n_tuned, N);
    assert_non_null(strstr(choice.neighbour, "m=96 k=80 nnz="));
    assert_non_null(strstr(choice.neighbour, "n=48 threads=1 pattern="));
    assert_true(choice.neighbour_distance > 0.0 && choice.neighbour_distance < 1.0);
    assert_true(choice.loss_expected > 0.0 && choice.loss_expected < 0.1);
    assert_true(choice.time_ns_expected > 400.0 && choice.time_ns_expected < 600.0);
    assert_non_null(strstr(choice.reason, "nearest patterns tuned here"));
    assert_int_equal(choose(f, SPT_MODE_EXACT, &problem).match, SPT_MATCH_DEFAULT);
    spt_matrix_fini(&far);
}

static void other_epilogue_is_a_near_neighbour(void **state) {
    fixture *f = *state;
    spt_problem problem = plain_problem();
    write_records(f->db, &f->asked.view, &problem, &(record_row){.family = "spmm_csr_rows", .time_ns = 500.0}, 1);
    problem.epilogue = SPT_BIAS;
    const spt_choice choice = choose(f, SPT_MODE_FALLBACK, &problem);
    assert_int_equal(choice.match, SPT_MATCH_NEAR_PATTERN);
    assert_string_equal(choice.family, "spmm_csr_rows");
    assert_string_equal(choice.reason,
                        "this pattern, tuned here for n=48 with epilogue none, at distance 0.10, expected to lose 0 %");
}

static void neighbours_record_that_does_not_hold_gives_way_to_its_next(void **state) {
    fixture *f = *state;
    const spt_problem problem = plain_problem();
    const record_row rows[] = {{.family = "spmm_csr_panel", .revision = 77, .time_ns = 100.0},
                               {.family = "spmm_csr_rows", .time_ns = 500.0}};
    write_records(f->db, &f->tuned.view, &problem, rows, 2);
    const spt_choice choice = choose(f, SPT_MODE_FALLBACK, &problem);
    assert_int_equal(choice.match, SPT_MATCH_NEAR_PATTERN);
    assert_string_equal(choice.family, "spmm_csr_rows");
    assert_non_null(strstr(choice.reason, "revision 77 skipped"));
}

static void same_pattern_at_another_width_comes_before_another_pattern(void **state) {
    fixture *f = *state;
    spt_problem problem = plain_problem();
    write_tuned(f, &problem, "spmm_csr_rows", 500.0);
    problem.n = 2 * N;
    write_records(f->db, &f->asked.view, &problem, &(record_row){.family = "spmm_csr_panel", .time_ns = 900.0}, 1);
    problem.n = N;
    const spt_choice choice = choose(f, SPT_MODE_FALLBACK, &problem);
    assert_string_equal(choice.level, "near_size");
    assert_string_equal(choice.family, "spmm_csr_panel");
    assert_true(choice.loss_expected > 0.0);
}

/* ---- near device ---- */

static void same_pattern_of_the_most_similar_device_serves(void **state) {
    fixture *f = *state;
    const spt_problem problem = plain_problem();
    const spt_device like = sibling(&f->device, f->device.model + 1);
    spt_device unlike = sibling(&f->device, f->device.model + 2);
    snprintf(unlike.vendor, sizeof unlike.vendor, "Unheard");
    unlike.key[4] = '#'; /* another device's key, too */
    const record_row rows = {.family = "spmm_csr_rows", .time_ns = 700.0};
    write_records_on(&unlike, f->db, &f->asked.view, &problem,
                     &(record_row){.family = "spmm_csr_panel", .time_ns = 300.0}, 1);
    write_records_on(&like, f->db, &f->asked.view, &problem, &rows, 1);
    const spt_choice choice = choose(f, SPT_MODE_FALLBACK, &problem);
    assert_int_equal(choice.match, SPT_MATCH_NEAR_DEVICE);
    assert_string_equal(choice.level, "near_device");
    assert_string_equal(choice.family, "spmm_csr_rows");
    assert_non_null(strstr(choice.neighbour, like.key));
    assert_int_equal(choose(f, SPT_MODE_EXACT, &problem).match, SPT_MATCH_DEFAULT);
}

static void near_pattern_of_a_near_device_serves_and_this_device_comes_first(void **state) {
    fixture *f = *state;
    const spt_problem problem = plain_problem();
    const spt_device like = sibling(&f->device, f->device.model + 1);
    write_records_on(&like, f->db, &f->tuned.view, &problem, &(record_row){.family = "spmm_csr_rows", .time_ns = 700.0},
                     1);
    assert_string_equal(choose(f, SPT_MODE_FALLBACK, &problem).level, "near_device");
    write_tuned(f, &problem, "spmm_csr_panel", 900.0);
    const spt_choice choice = choose(f, SPT_MODE_FALLBACK, &problem);
    assert_string_equal(choice.level, "near_pattern");
    assert_string_equal(choice.family, "spmm_csr_panel");
}

static void devices_of_another_kernel_build_are_no_neighbours(void **state) {
    fixture *f = *state;
    const spt_problem problem = plain_problem();
    spt_device other = sibling(&f->device, f->device.model + 1);
    other.isa = other.isa == SPT_ISA_PLAIN ? SPT_ISA_AVX2 : SPT_ISA_PLAIN;
    write_records_on(&other, f->db, &f->asked.view, &problem,
                     &(record_row){.family = "spmm_csr_rows", .time_ns = 700.0}, 1);
    assert_string_equal(choose(f, SPT_MODE_FALLBACK, &problem).level, "portable_default");
}

/* ---- the way down ---- */

static void denied_executable_memory_costs_one_message_and_no_answer(void **state) {
    fixture *f = *state;
    const spt_problem problem = plain_problem();
    if (spt_family_find("spmm_jit_x86")->available(&f->device) != SPT_OK) {
        print_message("SKIP: %s\n", spt_last_error());
        skip();
    }
    write_records(f->db, &f->asked.view, &problem, &(record_row){.family = "spmm_jit_x86", .time_ns = 1.0}, 1);
    spt_context *context = open_with(f->db, SPT_MODE_FALLBACK, &f->book);
    spt_code_pages_deny(true);
    for (int i = 0; i < 3; i++) {
        const spt_choice choice = explain_right(context, &f->asked.view, &problem);
        assert_string_not_equal(choice.family, "spmm_jit_x86");
        assert_int_equal(choice.match, SPT_MATCH_DEFAULT);
        assert_non_null(strstr(choice.level, choice.family[0] == 's' && strstr(choice.family, "_rows") ? "plain_kernel"
                                                                                                       : "_default"));
    }
    assert_true(f->book.count <= 1);
    spt_code_pages_deny(false);
    spt_close(context);
}

static void defaults_go_down_to_the_plain_kernel_and_end(void **state) {
    fixture *f = *state;
    const spt_problem problem = plain_problem();
    spt_workload workload;
    spt_selection selection;
    spt_families excluded = 0;
    int n_levels = 0;
    const char *level = "";
    spt_context *context = open_with(NULL, SPT_MODE_FALLBACK, &f->book);
    assert_ok(spt_workload_init(&workload, &problem, &f->asked.view));
    for (; spt_select_default(&selection, context, &workload, "why", excluded) == SPT_OK; n_levels++) {
        level = selection.level;
        assert_int_equal(excluded & spt_families_of(selection.family), 0);
        assert_string_equal(level, strcmp(selection.family->name, "spmm_csr_rows") == 0 ? "plain_kernel"
                                   : excluded == 0                                      ? "portable_default"
                                                                                        : "family_default");
        excluded |= spt_families_of(selection.family);
    }
    assert_true(n_levels >= 3);
    spt_close(context);
}

/* ---- what a question costs ---- */

static void questions_allocate_nothing_and_negative_answers_are_kept(void **state) {
    fixture *f = *state;
    spt_problem problem = plain_problem();
    spt_workload workload;
    spt_selection first, again;
    write_tuned(f, &problem, "spmm_csr_rows", 500.0);
    spt_context *context = open_with(f->db, SPT_MODE_FALLBACK, &f->book);
    for (int is_negative = 0; is_negative < 2; is_negative++) {
        problem.n = is_negative != 0 ? 64 * N : N;
        assert_ok(spt_workload_init(&workload, &problem, &f->asked.view));
        assert_ok(spt_select(&first, context, &workload)); /* libraries may be opened here */
        assert_int_equal(first.match, is_negative != 0 ? SPT_MATCH_DEFAULT : SPT_MATCH_NEAR_PATTERN);
        const int64_t n_records = context->table.n_records;
        context->table.n_records = is_negative != 0 ? -1 : n_records; /* a search would find nothing now */
        spt_memory_fail_after(-1);
        const long before = spt_memory_count();
        assert_ok(spt_select(&again, context, &workload));
        assert_int_equal(spt_memory_count(), before);
        context->table.n_records = n_records;
        assert_int_equal(again.match, first.match);
        assert_ptr_equal(again.family, first.family);
        assert_true(again.time_ns_expected == first.time_ns_expected);
    }
    spt_close(context);
}

/* In strict mode the kernel kills a thread at its first system call but read, write and exit. */
static void questions_make_no_system_call(void **state) {
    fixture *f = *state;
    spt_problem problem = plain_problem();
    spt_workload near, exact;
    spt_selection selection;
    if (IS_SANITIZED) {
        print_message("SKIP: a sanitizer's run-time makes system calls of its own\n");
        skip();
    }
    write_tuned(f, &problem, "spmm_csr_rows", 500.0);
    spt_context *context = open_with(f->db, SPT_MODE_FALLBACK, &f->book);
    assert_ok(spt_workload_init(&near, &problem, &f->asked.view));
    assert_ok(spt_workload_init(&exact, &problem, &f->tuned.view));
    assert_ok(spt_select(&selection, context, &exact)); /* libraries are opened once, by whoever asks first */
    assert_ok(spt_default_variant(&selection.family, &selection.point, &near, &f->device));
    const pid_t pid = fork();
    if (pid == 0) {
        int n_right = 0;
        if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) != 0)
            _exit(99);
        for (int i = 0; i < 100; i++) {
            n_right += spt_select(&selection, context, &near) == SPT_OK && selection.match == SPT_MATCH_NEAR_PATTERN;
            n_right += spt_select(&selection, context, &exact) == SPT_OK && selection.match == SPT_MATCH_EXACT;
        }
        syscall(SYS_exit, n_right == 200 ? 0 : 1);
    }
    int child = 0;
    assert_int_equal(waitpid(pid, &child, 0), pid);
    spt_close(context);
    if (WIFEXITED(child) && WEXITSTATUS(child) == 99) {
        print_message("SKIP: this system has no seccomp\n");
        skip();
    }
    assert_true(WIFEXITED(child));
    assert_int_equal(WEXITSTATUS(child), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(nearest_pattern_serves_a_pattern_that_was_never_tuned),
        TEST(other_epilogue_is_a_near_neighbour),
        TEST(neighbours_record_that_does_not_hold_gives_way_to_its_next),
        TEST(same_pattern_at_another_width_comes_before_another_pattern),
        TEST(same_pattern_of_the_most_similar_device_serves),
        TEST(near_pattern_of_a_near_device_serves_and_this_device_comes_first),
        TEST(devices_of_another_kernel_build_are_no_neighbours),
        TEST(denied_executable_memory_costs_one_message_and_no_answer),
        TEST(defaults_go_down_to_the_plain_kernel_and_end),
        TEST(questions_allocate_nothing_and_negative_answers_are_kept),
        TEST(questions_make_no_system_call),
    };
    return cmocka_run_group_tests_name("fallback", tests, NULL, NULL);
}
