/* SPDX-License-Identifier: Apache-2.0 */
/* The cache of compiled kernels: what is kept comes back whole; what is damaged, cut off or of another key does not;
 * many processes may keep and find the same binary at once. And the reading of ptxas's report. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/memory.h"
#include "tests/support.h"
#include "tests/unit.h"
#include "variants/cuda/binary.h"

static char folder[256];

static int make_folder(void **state) {
    (void)state;
    support_folder_make(folder, sizeof folder);
    setenv("SPARSETUNE_CACHE", folder, 1);
    return 0;
}

static int remove_folder(void **state) {
    (void)state;
    support_folder_remove(folder);
    return 0;
}

static const char text[] = "SPT_KERNEL k(float *c) { c[0] = SPT_A; }";

static spt_cuda_source make_source(int64_t a) {
    spt_cuda_source source = {.text = text, .text_bytes = sizeof text - 1};
    spt_cuda_define(&source, "SPT_A", a);
    return source;
}

static spt_cuda_binary make_binary(char *data, size_t bytes) {
    for (size_t i = 0; i < bytes; i++)
        data[i] = (char)(i * 7);
    return (spt_cuda_binary){.data = data, .bytes = bytes, .registers = 40, .spill_bytes = 8, .compile_ms = 61.5};
}

static void path_of(char *out, size_t capacity, spt_hash128 key) {
    char digits[SPT_HASH_TEXT_SIZE];
    spt_hash_text(digits, key);
    snprintf(out, capacity, "%s/%s.cubin", folder, digits);
}

static void what_is_kept_comes_back(void **state) {
    (void)state;
    char data[1000];
    const spt_cuda_source source = make_source(1);
    const spt_cuda_binary kept = make_binary(data, sizeof data);
    const spt_hash128 key = spt_cuda_cache_key(&source, "sm_90", "C 1.0");
    spt_cuda_binary found;
    assert_false(spt_cuda_cache_find(&found, key));
    spt_cuda_cache_keep(&kept, key);
    assert_true(spt_cuda_cache_find(&found, key));
    assert_int_equal(found.bytes, sizeof data);
    assert_memory_equal(found.data, data, sizeof data);
    assert_int_equal(found.registers, 40);
    assert_int_equal(found.spill_bytes, 8);
    assert_true(found.compile_ms == 61.5 && found.is_cached);
    spt_cuda_binary_fini(&found);
}

static void a_key_knows_source_options_arch_and_compiler(void **state) {
    (void)state;
    const spt_cuda_source one = make_source(1), other = make_source(2);
    spt_cuda_source ptx = make_source(1), longer = make_source(1);
    ptx.language = SPT_CUDA_PTX;
    longer.text_bytes--;
    const spt_hash128 keys[] = {
        spt_cuda_cache_key(&one, "sm_90", "C 1.0"), spt_cuda_cache_key(&other, "sm_90", "C 1.0"),
        spt_cuda_cache_key(&one, "sm_80", "C 1.0"), spt_cuda_cache_key(&one, "sm_90", "C 1.1"),
        spt_cuda_cache_key(&ptx, "sm_90", "C 1.0"), spt_cuda_cache_key(&longer, "sm_90", "C 1.0"),
        spt_cuda_cache_key(&one, "sm_90C", " 1.0"),
    };
    for (int i = 0; i < N_ITEMS(keys); i++)
        for (int j = 0; j < i; j++)
            assert_false(spt_hash_equal(keys[i], keys[j]));
    assert_true(spt_hash_equal(keys[0], spt_cuda_cache_key(&one, "sm_90", "C 1.0")));
}

static void what_is_damaged_counts_as_absent(void **state) {
    (void)state;
    char data[300], path[512];
    const spt_cuda_source source = make_source(3);
    const spt_cuda_binary kept = make_binary(data, sizeof data);
    const spt_hash128 key = spt_cuda_cache_key(&source, "sm_90", "C 1.0");
    spt_cuda_binary found;
    path_of(path, sizeof path, key);
    for (long at = 0; at < 356; at++) { /* each byte of the file in turn */
        spt_cuda_cache_keep(&kept, key);
        FILE *file = fopen(path, "r+b");
        assert_non_null(file);
        fseek(file, at, SEEK_SET);
        const int byte = fgetc(file);
        assert_true(byte != EOF);
        fseek(file, at, SEEK_SET);
        fputc(byte ^ 0x10, file);
        fclose(file);
        assert_false(spt_cuda_cache_find(&found, key));
    }
    for (long size = 0; size < 356; size += 5) {
        spt_cuda_cache_keep(&kept, key);
        assert_int_equal(truncate(path, size), 0);
        assert_false(spt_cuda_cache_find(&found, key));
    }
    spt_cuda_cache_keep(&kept, key); /* and it mends itself */
    assert_true(spt_cuda_cache_find(&found, key));
    spt_cuda_binary_fini(&found);
}

static void an_entry_under_another_name_counts_as_absent(void **state) {
    (void)state;
    char data[300], paths[2][512];
    const spt_cuda_source one = make_source(51), other = make_source(52);
    const spt_cuda_binary kept = make_binary(data, sizeof data);
    const spt_hash128 key = spt_cuda_cache_key(&one, "sm_90", "C 1.0");
    const spt_hash128 other_key = spt_cuda_cache_key(&other, "sm_90", "C 1.0");
    spt_cuda_binary found;
    path_of(paths[0], sizeof paths[0], key);
    path_of(paths[1], sizeof paths[1], other_key);
    spt_cuda_cache_keep(&kept, key);
    assert_int_equal(rename(paths[0], paths[1]), 0);
    assert_false(spt_cuda_cache_find(&found, other_key));
    assert_int_equal(rename(paths[1], paths[0]), 0);
    assert_true(spt_cuda_cache_find(&found, key));
    spt_cuda_binary_fini(&found);
}

static void no_folder_is_no_cache_and_no_error(void **state) {
    (void)state;
    char data[10];
    const spt_cuda_source source = make_source(4);
    const spt_cuda_binary kept = make_binary(data, sizeof data);
    const spt_hash128 key = spt_cuda_cache_key(&source, "sm_90", "C 1.0");
    static const char *const places[] = {"off", "/proc/nowhere", "/dev/null/below"};
    spt_cuda_binary found;
    for (int i = 0; i < N_ITEMS(places); i++) {
        setenv("SPARSETUNE_CACHE", places[i], 1);
        spt_cuda_cache_keep(&kept, key);
        assert_false(spt_cuda_cache_find(&found, key));
    }
    setenv("SPARSETUNE_CACHE", folder, 1);
}

/* Whoever compiles for the cache is told that there is none, unless that was wanted. */
static void a_folder_that_nothing_names_is_an_error(void **state) {
    (void)state;
    char home[256];
    snprintf(home, sizeof home, "%s", getenv("HOME") != NULL ? getenv("HOME") : "");
    unsetenv("XDG_CACHE_HOME");
    unsetenv("HOME");
    unsetenv("SPARSETUNE_CACHE");
    expect_error(SPT_EINVAL, "found none", spt_cuda_cache_check());
    setenv("SPARSETUNE_CACHE", "off", 1);
    expect_ok(spt_cuda_cache_check());
    setenv("SPARSETUNE_CACHE", folder, 1);
    setenv("HOME", home, 1);
}

/* Run `claim` in a process of its own, which may give up rights and limits. */
static void in_a_child(void (*claim)(void)) {
    int how = -1;
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        claim();
        _exit(0);
    }
    assert_int_equal(waitpid(child, &how, 0), child);
    assert_int_equal(how, 0);
}

#define CHILD_EXPECTS(condition)                                                                                       \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "expected %s; %s\n", #condition, spt_last_error());                                        \
            _exit(1);                                                                                                  \
        }                                                                                                              \
    } while (0)

static void keep_beyond_the_limit(void) {
    static char data[5000];
    const spt_cuda_source source = make_source(8);
    const spt_cuda_binary binary = make_binary(data, sizeof data);
    const spt_hash128 key = spt_cuda_cache_key(&source, "sm_90", "C 1.0");
    spt_cuda_binary found;
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &(struct rlimit){1000, 1000});
    CHILD_EXPECTS(spt_cuda_cache_keep(&binary, key) == SPT_EIO);
    CHILD_EXPECTS(strstr(spt_last_error(), ".cubin: cannot be written: File too large") != NULL);
    CHILD_EXPECTS(!spt_cuda_cache_find(&found, key));
}

static void what_is_not_written_has_a_reason(void **state) {
    (void)state;
    in_a_child(keep_beyond_the_limit);
}

static void use_a_folder_of_others(void) {
    char data[100];
    const spt_cuda_source source = make_source(9), other = make_source(10);
    const spt_cuda_binary binary = make_binary(data, sizeof data);
    spt_cuda_binary found;
    CHILD_EXPECTS(geteuid() != 0 || setuid(65534) == 0);
    if (access(folder, R_OK | X_OK) != 0) {
        printf("SKIP: %s is in a folder of root's\n", folder);
        return;
    }
    CHILD_EXPECTS(spt_cuda_cache_check() == SPT_OK);
    CHILD_EXPECTS(spt_cuda_cache_find(&found, spt_cuda_cache_key(&source, "sm_90", "C 1.0")));
    spt_cuda_binary_fini(&found);
    CHILD_EXPECTS(spt_cuda_cache_keep(&binary, spt_cuda_cache_key(&other, "sm_90", "C 1.0")) == SPT_EIO);
    CHILD_EXPECTS(strstr(spt_last_error(), ".cubin: cannot be created: Permission denied") != NULL);
}

static void a_folder_that_takes_nothing_still_gives(void **state) {
    (void)state;
    char data[100];
    const spt_cuda_source source = make_source(9);
    const spt_cuda_binary kept = make_binary(data, sizeof data);
    expect_ok(spt_cuda_cache_keep(&kept, spt_cuda_cache_key(&source, "sm_90", "C 1.0")));
    assert_int_equal(chmod(folder, 0555), 0);
    in_a_child(use_a_folder_of_others);
    assert_int_equal(chmod(folder, 0700), 0);
}

static void write_text(const char *path, const char *content) {
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    fputs(content, file);
    fclose(file);
}

/* Links to a file of the user's, and to nothing. */
static void a_link_is_replaced_and_not_followed(void **state) {
    (void)state;
    char data[100], path[512], compiler[512], mine[512], read_back[16] = "";
    const spt_cuda_source source = make_source(11);
    const spt_cuda_binary kept = make_binary(data, sizeof data);
    const spt_hash128 key = spt_cuda_cache_key(&source, "sm_90", "C 1.0");
    spt_cuda_binary found;
    struct stat info;
    path_of(path, sizeof path, key);
    snprintf(compiler, sizeof compiler, "%s/compiler", folder);
    snprintf(mine, sizeof mine, "%s/mine", folder);
    write_text(mine, "mine");
    (void)unlink(compiler);
    assert_int_equal(symlink(mine, path), 0);
    assert_int_equal(symlink("/nowhere/at/all", compiler), 0);
    expect_ok(spt_cuda_cache_keep(&kept, key));
    spt_cuda_cache_note_compiler("C 1.0");
    assert_true(lstat(path, &info) == 0 && S_ISREG(info.st_mode));
    assert_true(lstat(compiler, &info) == 0 && S_ISREG(info.st_mode));
    assert_true(spt_cuda_cache_find(&found, key));
    spt_cuda_binary_fini(&found);
    FILE *file = fopen(mine, "rb");
    assert_non_null(file);
    assert_int_equal(fread(read_back, 1, sizeof read_back - 1, file), 4);
    fclose(file);
    assert_string_equal(read_back, "mine");
}

/* Writers and readers of one key: a reader finds nothing or all of it. */
static void processes_share_the_folder(void **state) {
    (void)state;
    enum { PROCESSES = 8, ROUNDS = 60, BYTES = 20000 };
    const spt_cuda_source source = make_source(5);
    const spt_hash128 key = spt_cuda_cache_key(&source, "sm_90", "C 1.0");
    static char data[BYTES];
    const spt_cuda_binary kept = make_binary(data, sizeof data);
    pid_t children[PROCESSES];
    for (int i = 0; i < PROCESSES; i++) {
        children[i] = fork();
        assert_true(children[i] >= 0);
        if (children[i] > 0)
            continue;
        for (int round = 0; round < ROUNDS; round++) {
            spt_cuda_binary found;
            if (i % 2 == 0)
                spt_cuda_cache_keep(&kept, key);
            if (!spt_cuda_cache_find(&found, key))
                continue;
            if (found.bytes != BYTES || memcmp(found.data, data, BYTES) != 0)
                _exit(1);
            spt_cuda_binary_fini(&found);
        }
        _exit(0);
    }
    for (int i = 0; i < PROCESSES; i++) {
        int how = -1;
        waitpid(children[i], &how, 0);
        assert_int_equal(how, 0);
    }
    spt_cuda_binary found;
    assert_true(spt_cuda_cache_find(&found, key));
    spt_cuda_binary_fini(&found);
}

static void a_report_gives_registers_and_spills(void **state) {
    (void)state;
    spt_cuda_binary binary = {0};
    spt_cuda_binary_read_report(
        &binary, "ptxas info    : 0 bytes gmem\nptxas info    : Compiling entry function 'k' for 'sm_90'\n"
                 "ptxas         .     16 bytes stack frame, 12 bytes spill stores, 20 bytes spill loads\n"
                 "ptxas info    : Used 32 registers, used 1 barriers, 1024 bytes smem\n"
                 "ptxas         .     0 bytes stack frame, 0 bytes spill stores, 4 bytes spill loads\n"
                 "ptxas info    : Used 30 registers\n");
    assert_int_equal(binary.registers, 32);
    assert_int_equal(binary.spill_bytes, 36);
}

static void nvrtc_compiles_and_names_mistakes(void **state) {
    (void)state;
    static const char *const kernels[] = {"k"};
    spt_cuda_source source = make_source(6), wrong = make_source(7);
    spt_cuda_binary binary;
    if (spt_nvrtc_version()[0] == '\0') {
        printf("SKIP: NVRTC is not here\n");
        skip();
        return;
    }
    source.kernels = kernels;
    source.n_kernels = 1;
    spt_cuda_define(&source, "SPT_DTYPE", 0);
    expect_ok(spt_cuda_binary_get(&binary, &source, "sm_90"));
    assert_true(binary.bytes > 0 && !binary.is_cached && binary.compile_ms > 0.0);
    spt_cuda_binary_fini(&binary);
    expect_ok(spt_cuda_binary_get(&binary, &source, "sm_90"));
    assert_true(binary.bytes > 0 && binary.is_cached);
    spt_cuda_binary_fini(&binary);
    wrong.text = "SPT_KERNEL k(float *c) { c[0] = undeclared; }";
    wrong.text_bytes = strlen(wrong.text);
    spt_cuda_define(&wrong, "SPT_DTYPE", 0);
    expect_error(SPT_ECOMPILE, "undeclared", spt_cuda_binary_get(&binary, &wrong, "sm_90"));
    assert_null(binary.data);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_kept_comes_back),
        cmocka_unit_test(a_key_knows_source_options_arch_and_compiler),
        cmocka_unit_test(what_is_damaged_counts_as_absent),
        cmocka_unit_test(an_entry_under_another_name_counts_as_absent),
        cmocka_unit_test(no_folder_is_no_cache_and_no_error),
        cmocka_unit_test(a_folder_that_nothing_names_is_an_error),
        cmocka_unit_test(what_is_not_written_has_a_reason),
        cmocka_unit_test(a_folder_that_takes_nothing_still_gives),
        cmocka_unit_test(a_link_is_replaced_and_not_followed),
        cmocka_unit_test(processes_share_the_folder),
        cmocka_unit_test(a_report_gives_registers_and_spills),
        cmocka_unit_test(nvrtc_compiles_and_names_mistakes),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
