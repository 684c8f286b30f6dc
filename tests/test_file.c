/* SPDX-License-Identifier: Apache-2.0 */
/* Files: nothing but regular files is read or replaced, and a written file appears whole or not at all. */
#include "tests/unit.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/file.h"
#include "core/memory.h"
#include "tests/support.h"

static char folder[256];

static int set_up(void **state) {
    (void)state;
    support_folder_make(folder, sizeof folder);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    support_folder_remove(folder);
    return 0;
}

static const char *path_of(const char *name) {
    static char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static int count_entries(void) {
    DIR *stream = opendir(folder);
    int count = 0;
    assert_non_null(stream);
    for (struct dirent *entry; (entry = readdir(stream)) != NULL;)
        count += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    closedir(stream);
    return count;
}

static void write_whole(const char *path, const char *data, size_t size) {
    spt_file_writer writer;
    expect_ok(spt_file_writer_open(&writer, path));
    assert_int_equal(fwrite(data, 1, size, writer.stream), size);
    expect_ok(spt_file_writer_commit(&writer));
}

static void what_is_written_is_read_back(void **state) {
    (void)state;
    static const size_t sizes[] = {0, 1, 4095, 4096, 300000};
    const long live = spt_memory_live();
    for (int i = 0; i < N_ITEMS(sizes); i++) {
        char *written = spt_alloc(sizes[i], 1), *data;
        size_t size;
        assert_non_null(written);
        for (size_t byte = 0; byte < sizes[i]; byte++)
            written[byte] = (char)(byte * 31);
        write_whole(path_of("data"), written, sizes[i]);
        expect_ok(spt_file_read(&data, &size, path_of("data"), 300000));
        assert_int_equal(size, sizes[i]);
        assert_memory_equal(data, written, size);
        assert_int_equal(data[size], 0);
        spt_free(data);
        spt_free(written);
        assert_int_equal(count_entries(), 1);
    }
    assert_int_equal(spt_memory_live(), live);
}

static void the_limit_is_inclusive(void **state) {
    (void)state;
    char *data;
    size_t size;
    write_whole(path_of("data"), "0123456789", 10);
    expect_ok(spt_file_read(&data, &size, path_of("data"), 10));
    spt_free(data);
    expect_error(SPT_EINVAL, "at most 9 bytes", spt_file_read(&data, &size, path_of("data"), 9));
    assert_null(data);
}

static void special_files_are_refused_without_waiting(void **state) {
    (void)state;
    char *data = NULL;
    size_t size = 0;
    assert_int_equal(mkfifo(path_of("pipe"), 0600), 0);
    expect_error(SPT_EINVAL, "directory", spt_file_read(&data, &size, folder, 100));
    expect_error(SPT_EINVAL, "regular file", spt_file_read(&data, &size, path_of("pipe"), 100));
    expect_error(SPT_EINVAL, "/dev/zero", spt_file_read(&data, &size, "/dev/zero", 100));
    expect_error(SPT_EIO, "missing", spt_file_read(&data, &size, path_of("missing"), 100));
    expect_error(SPT_EIO, "", spt_file_read(&data, &size, "", 100));
    assert_null(data);
}

static void nothing_special_is_replaced(void **state) {
    (void)state;
    spt_file_writer writer;
    assert_int_equal(mkfifo(path_of("pipe"), 0600), 0);
    assert_int_equal(mkdir(path_of("folder"), 0700), 0);
    expect_error(SPT_EINVAL, "pipe", spt_file_writer_open(&writer, path_of("pipe")));
    expect_error(SPT_EINVAL, "directory", spt_file_writer_open(&writer, path_of("folder")));
    expect_error(SPT_EINVAL, "/dev/null", spt_file_writer_open(&writer, "/dev/null"));
    expect_error(SPT_EIO, "nowhere", spt_file_writer_open(&writer, path_of("nowhere/data")));
    assert_null(writer.stream);
    spt_file_writer_discard(&writer);
    assert_int_equal(count_entries(), 2);
}

static void the_old_file_stays_until_commit(void **state) {
    (void)state;
    spt_file_writer writer;
    char *data;
    size_t size;
    write_whole(path_of("data"), "old", 3);
    expect_ok(spt_file_writer_open(&writer, path_of("data")));
    fputs("new and longer", writer.stream);
    fflush(writer.stream);
    expect_ok(spt_file_read(&data, &size, path_of("data"), 100));
    assert_string_equal(data, "old");
    spt_free(data);
    spt_file_writer_discard(&writer);
    spt_file_writer_discard(&writer);
    assert_int_equal(count_entries(), 1);
    expect_ok(spt_file_read(&data, &size, path_of("data"), 100));
    assert_string_equal(data, "old");
    spt_free(data);
}

static void a_new_file_has_the_usual_permissions(void **state) {
    (void)state;
    struct stat info;
    const mode_t before = umask(027);
    write_whole(path_of("data"), "x", 1);
    umask(before);
    assert_int_equal(stat(path_of("data"), &info), 0);
    assert_int_equal(info.st_mode & 0777, 0640);
}

/* Nobody may read after a rewrite what he could not read before. */
static void a_replaced_file_keeps_its_permissions(void **state) {
    (void)state;
    static const mode_t modes[] = {0600, 0640, 0664, 0444};
    struct stat info;
    const mode_t before = umask(022);
    write_whole(path_of("data"), "old", 3);
    for (int i = 0; i < N_ITEMS(modes); i++) {
        assert_int_equal(chmod(path_of("data"), modes[i]), 0);
        write_whole(path_of("data"), "new", 3);
        assert_int_equal(stat(path_of("data"), &info), 0);
        assert_int_equal(info.st_mode & 0777, modes[i]);
    }
    umask(before);
}

/* /dev/full would be refused as a special file, so the size limit of the process stands for the full disk. */
static void a_full_disk_leaves_the_old_file_and_nothing_else(void **state) {
    (void)state;
    struct rlimit before;
    spt_file_writer writer;
    char *data, block[4096] = {0};
    size_t size;
    write_whole(path_of("data"), "old", 3);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    const struct rlimit small = {.rlim_cur = 10000, .rlim_max = before.rlim_max};
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    expect_ok(spt_file_writer_open(&writer, path_of("data")));
    for (int i = 0; i < 20; i++)
        (void)!fwrite(block, 1, sizeof block, writer.stream);
    const spt_status status = spt_file_writer_commit(&writer);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    signal(SIGXFSZ, handler);
    assert_int_equal(status, SPT_EIO);
    assert_non_null(strstr(spt_last_error(), "data: cannot be written: File too large"));
    assert_int_equal(count_entries(), 1);
    expect_ok(spt_file_read(&data, &size, path_of("data"), 100));
    assert_string_equal(data, "old");
    spt_free(data);
    spt_file_writer_discard(&writer);
}

static void a_link_is_written_through(void **state) {
    (void)state;
    char target[512], *data;
    size_t size;
    struct stat info;
    spt_file_writer writer;
    snprintf(target, sizeof target, "%s", path_of("data"));
    write_whole(target, "old", 3);
    assert_int_equal(symlink("data", path_of("link")), 0);
    write_whole(path_of("link"), "newer", 5);
    assert_int_equal(lstat(path_of("link"), &info), 0);
    assert_true(S_ISLNK(info.st_mode));
    expect_ok(spt_file_read(&data, &size, target, 100));
    assert_string_equal(data, "newer");
    spt_free(data);
    assert_int_equal(symlink("missing", path_of("loose")), 0);
    expect_error(SPT_EIO, "loose: is a link that leads nowhere", spt_file_writer_open(&writer, path_of("loose")));
    assert_int_equal(count_entries(), 3);
}

static void unfinished_files_can_be_removed_at_once(void **state) {
    (void)state;
    spt_file_writer one, two;
    write_whole(path_of("done"), "x", 1);
    expect_ok(spt_file_writer_open(&one, path_of("one")));
    expect_ok(spt_file_writer_open(&two, path_of("two")));
    assert_int_equal(count_entries(), 3);
    spt_file_remove_unfinished();
    assert_int_equal(count_entries(), 1);
    spt_file_writer_discard(&one);
    spt_file_writer_discard(&two);
}

int main(void) {
    alarm(60); /* a pipe that is opened to wait for its writer would wait for ever */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_written_is_read_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_limit_is_inclusive, set_up, tear_down),
        cmocka_unit_test_setup_teardown(special_files_are_refused_without_waiting, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nothing_special_is_replaced, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_old_file_stays_until_commit, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_new_file_has_the_usual_permissions, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_replaced_file_keeps_its_permissions, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_full_disk_leaves_the_old_file_and_nothing_else, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_link_is_written_through, set_up, tear_down),
        cmocka_unit_test_setup_teardown(unfinished_files_can_be_removed_at_once, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
