/* SPDX-License-Identifier: Apache-2.0 */
/* Hardware identity: against what Linux says, under every SPARSETUNE_ISA, and quotas in made-up file systems. */
#include "tests/unit.h"

#include <limits.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "core/hardware_cpu.h"
#include "tests/support.h"

/* The tests of lowered sets would otherwise start from a set that the caller has lowered. */
static int clear_forced(void **state) {
    (void)state;
    return unsetenv("SPARSETUNE_ISA");
}

/* Is `name` one of the items of `list`, which are separated by `separator`? */
static bool has_item(const char *list, const char *name, const char *separator) {
    const size_t length = strlen(name);
    for (const char *item = list; item != NULL && *item != '\0';) {
        const size_t item_length = strcspn(item, separator);
        if (item_length == length && memcmp(item, name, length) == 0)
            return true;
        item += item_length;
        item += strspn(item, separator);
    }
    return false;
}

static void the_key_is_made_of_the_fields(void **state) {
    (void)state;
    spt_device device, again;
    char expected[512];
    expect_ok(spt_device_detect(&device));
    snprintf(expected, sizeof expected, "cpu|%s|%d|%d|%s|%lld|%lld", device.vendor, device.family, device.model,
             device.isa_set, (long long)device.l1d_bytes, (long long)device.l2_bytes);
    assert_string_equal(device.key, expected);
    assert_int_equal(device.kind, SPT_CPU);
    assert_in_range(device.l1d_bytes, 4096, 1 << 24);
    assert_in_range(device.l2_bytes, 65536, 1 << 30);
    assert_true(device.l3_bytes >= 0);
    assert_true(strlen(device.vendor) > 0 && strlen(device.name) > 0 && strlen(device.os) > 0);
    assert_int_equal(device.n_cores, spt_hardware_threads());
    expect_ok(spt_device_detect(&again));
    assert_string_equal(device.key, again.key);
}

static bool read_cpuinfo(char *out, size_t capacity, const char *field) {
    FILE *stream = fopen("/proc/cpuinfo", "re");
    bool is_found = false;
    while (stream != NULL && !is_found && fgets(out, (int)capacity, stream) != NULL) {
        const size_t length = strlen(field);
        if (strncmp(out, field, length) != 0 || (out[length] != '\t' && out[length] != ' ' && out[length] != ':'))
            continue;
        char *colon = strchr(out, ':');
        if (colon == NULL)
            continue;
        colon[strcspn(colon, "\n")] = '\0';
        memmove(out, colon + 1, strlen(colon));
        is_found = true;
    }
    if (stream != NULL)
        fclose(stream);
    return is_found;
}

/* What Linux calls the numbers of the identity. */
#if defined(__aarch64__)
static const char family_field[] = "CPU architecture", model_field[] = "CPU part";
#else
static const char family_field[] = "cpu family", model_field[] = "model";
#endif

static void identity_and_features_are_those_that_linux_lists(void **state) {
    (void)state;
    char flags[8192], number[256], vendor[256];
    spt_device device;
    expect_ok(spt_device_detect(&device));
    if (!read_cpuinfo(number, sizeof number, family_field)) { /* qemu 7.2 shows the host's file */
        print_message("SKIP: /proc/cpuinfo has no '%s', it describes another architecture\n", family_field);
        skip();
    }
    assert_int_equal(strtol(number, NULL, 0), device.family);
    assert_true(read_cpuinfo(number, sizeof number, model_field));
    assert_int_equal(strtol(number, NULL, 0), device.model);
    if (!read_cpuinfo(vendor, sizeof vendor, "vendor_id") || !read_cpuinfo(flags, sizeof flags, "flags"))
        return; /* aarch64 lists an implementer's number and names of its own */
    assert_string_equal(vendor + 1, device.vendor);
    for (int i = 0; spt_isa_features[i].name != NULL; i++) {
        const char *name = spt_isa_features[i].name;
        if (has_item(device.isa_set, name, "+") != has_item(flags, name, " "))
            fail_msg("%s: the set is %s, the flags are%s", name, device.isa_set, flags);
    }
}

static void a_forced_isa_lowers_the_set_and_changes_the_key(void **state) {
    (void)state;
    spt_device best;
    expect_ok(spt_device_detect(&best));
    for (int isa = 0; isa < SPT_ISA_COUNT; isa++) {
        spt_device device;
        assert_int_equal(setenv("SPARSETUNE_ISA", spt_isa_name((spt_isa)isa), 1), 0);
        const spt_status status = spt_device_detect(&device);
        unsetenv("SPARSETUNE_ISA");
        if (status != SPT_OK) {
            assert_int_equal(status, SPT_EINVAL);
            assert_non_null(strstr(spt_last_error(), spt_isa_name((spt_isa)isa)));
            assert_true(isa != SPT_ISA_PLAIN && isa != (int)best.isa);
            continue;
        }
        assert_int_equal(device.isa, isa);
        assert_true(isa <= (int)best.isa);
        if (isa < (int)best.isa)
            assert_string_not_equal(device.key, best.key);
        if (isa == SPT_ISA_PLAIN)
            assert_string_equal(device.isa_set, "plain");
        if (isa == SPT_ISA_AVX2)
            assert_string_equal(device.isa_set, "avx2+fma+f16c");
        if (isa == SPT_ISA_AVX512)
            assert_memory_equal(device.isa_set, "avx2+fma+f16c+avx512f+avx512bw+avx512dq+avx512vl", 48);
    }
}

static void an_unknown_isa_is_refused_with_the_legal_names(void **state) {
    (void)state;
    static const char *const bad[] = {"sse", "AVX2", "avx2 ", "avx512f", "1"};
    spt_device device;
    for (int i = 0; i < N_ITEMS(bad); i++) {
        assert_int_equal(setenv("SPARSETUNE_ISA", bad[i], 1), 0);
        const spt_status status = spt_device_detect(&device);
        unsetenv("SPARSETUNE_ISA");
        assert_int_equal(status, SPT_EINVAL);
        static const char *const named[] = {"plain", "neon", "avx2", "avx512"};
        for (int name = 0; name < N_ITEMS(named); name++)
            assert_non_null(strstr(spt_last_error(), named[name]));
        assert_non_null(strstr(spt_last_error(), bad[i]));
    }
    assert_int_equal(setenv("SPARSETUNE_ISA", "", 1), 0); /* set and empty is not set */
    expect_ok(spt_device_detect(&device));
    unsetenv("SPARSETUNE_ISA");
}

static void incomplete_sets_get_the_build_below(void **state) {
    (void)state;
    const uint32_t usable = spt_isa_features_usable();
    const spt_isa best = spt_isa_best(usable);
    if (best == SPT_ISA_PLAIN) {
        print_message("SKIP: this CPU has no extension that could be missing\n");
        skip();
    }
    assert_int_equal(spt_isa_best(usable & ~1u), SPT_ISA_PLAIN); /* the first feature is needed by every build */
    assert_int_equal(spt_isa_best(0), SPT_ISA_PLAIN);
    if (best == SPT_ISA_AVX512) {
        for (uint32_t bit = 3; bit < 7; bit++)
            assert_int_equal(spt_isa_best(usable & ~(1u << bit)), SPT_ISA_AVX2);
    }
}

static void threads_follow_the_affinity_mask(void **state) {
    (void)state;
    cpu_set_t before, one;
    const int threads = spt_hardware_threads();
    assert_true(threads >= 1);
    assert_int_equal(sched_getaffinity(0, sizeof before, &before), 0);
    assert_true(threads <= CPU_COUNT(&before));
    CPU_ZERO(&one);
    CPU_SET((size_t)sched_getcpu(), &one);
    assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
    const int threads_of_one = spt_hardware_threads();
    assert_int_equal(sched_setaffinity(0, sizeof before, &before), 0);
    assert_int_equal(threads_of_one, 1);
}

/* ---- made-up file systems ---- */

/* Write a file below the root, with the folders that it needs. */
static void put_file(const char *root, const char *path, const char *text) {
    char full[1024];
    snprintf(full, sizeof full, "%s%s", root, path);
    for (char *slash = full + strlen(root) + 1; (slash = strchr(slash, '/')) != NULL; slash++) {
        *slash = '\0';
        mkdir(full, 0777);
        *slash = '/';
    }
    FILE *stream = fopen(full, "we");
    assert_non_null(stream);
    fputs(text, stream);
    assert_int_equal(fclose(stream), 0);
}

static void cgroup_quotas_are_found_wherever_they_are_set(void **state) {
    (void)state;
    static const struct {
        const char *groups;
        const char *files[6]; /* path, text, path, text */
        int expected;
    } rows[] = {
        {"0::/\n", {"/sys/fs/cgroup/cpu.max", "150000 100000\n"}, 2},
        {"0::/\n", {"/sys/fs/cgroup/cpu.max", "100000 100000\n"}, 1},
        {"0::/\n", {"/sys/fs/cgroup/cpu.max", "1000 100000\n"}, 1},
        {"0::/\n", {"/sys/fs/cgroup/cpu.max", "max 100000\n"}, INT_MAX},
        {"0::/\n", {"/sys/fs/cgroup/cpu.max", "junk\n"}, INT_MAX},
        {"0::/\n", {"/sys/fs/cgroup/cpu.max", "-5 0\n"}, INT_MAX},
        {"0::/\n", {NULL}, INT_MAX},
        {"", {NULL}, INT_MAX},
        {"no colon\n", {NULL}, INT_MAX},
        {"0::/a/b\n", {"/sys/fs/cgroup/a/b/cpu.max", "max 1000\n", "/sys/fs/cgroup/a/cpu.max", "3000 1000\n"}, 3},
        {"0::/a/b\n", {"/sys/fs/cgroup/a/b/cpu.max", "2000 1000\n", "/sys/fs/cgroup/a/cpu.max", "7000 1000\n"}, 2},
        {"4:cpu,cpuacct:/g\n",
         {"/sys/fs/cgroup/cpu,cpuacct/g/cpu.cfs_quota_us", "250000\n", "/sys/fs/cgroup/cpu,cpuacct/g/cpu.cfs_period_us",
          "100000\n"},
         3},
        {"4:cpu:/\n",
         {"/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n", "/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n"},
         INT_MAX},
        {"3:cpuset:/\n2:cpuacct:/\n",
         {"/sys/fs/cgroup/cpuset/cpu.cfs_quota_us", "1\n", "/sys/fs/cgroup/cpuset/cpu.cfs_period_us", "1\n"},
         INT_MAX},
    };
    for (int i = 0; i < N_ITEMS(rows); i++) {
        char root[256];
        support_folder_make(root, sizeof root);
        put_file(root, "/proc/self/cgroup", rows[i].groups);
        for (int file = 0; file < 6 && rows[i].files[file] != NULL; file += 2)
            put_file(root, rows[i].files[file], rows[i].files[file + 1]);
        const int found = spt_cgroup_threads(root);
        support_folder_remove(root);
        if (found != rows[i].expected)
            fail_msg("row %d, %s: expected %d threads, found %d", i, rows[i].groups, rows[i].expected, found);
    }
    assert_int_equal(spt_cgroup_threads("/nowhere"), INT_MAX);
}

static void sysfs_fills_only_the_caches_that_are_unknown(void **state) {
    (void)state;
    static const char *const caches[][3] = {
        {"1", "Instruction", "64K"}, {"1", "Data", "48K"}, {"2", "Unified", "2M"}, {"3", "Unified", "112640K"}};
    static const char *const names[] = {"level", "type", "size"};
    char root[256];
    support_folder_make(root, sizeof root);
    for (int index = 0; index < N_ITEMS(caches); index++) {
        for (int file = 0; file < 3; file++) {
            char path[128];
            snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu0/cache/index%d/%s", index, names[file]);
            put_file(root, path, caches[index][file]);
        }
    }
    spt_device device = {0}, known = {.l1d_bytes = 1, .l2_bytes = 2, .l3_bytes = 3}, none = {0};
    spt_caches_from_sysfs(&device, root);
    spt_caches_from_sysfs(&known, root);
    spt_caches_from_sysfs(&none, "/nowhere");
    support_folder_remove(root);
    assert_int_equal(device.l1d_bytes, 48 * 1024);
    assert_int_equal(device.l2_bytes, 2 * 1024 * 1024);
    assert_int_equal(device.l3_bytes, 112640 * 1024);
    assert_int_equal(known.l1d_bytes + known.l2_bytes + known.l3_bytes, 6);
    assert_int_equal(none.l1d_bytes + none.l2_bytes + none.l3_bytes, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_key_is_made_of_the_fields),
        cmocka_unit_test(identity_and_features_are_those_that_linux_lists),
        cmocka_unit_test(a_forced_isa_lowers_the_set_and_changes_the_key),
        cmocka_unit_test(an_unknown_isa_is_refused_with_the_legal_names),
        cmocka_unit_test(incomplete_sets_get_the_build_below),
        cmocka_unit_test(threads_follow_the_affinity_mask),
        cmocka_unit_test(cgroup_quotas_are_found_wherever_they_are_set),
        cmocka_unit_test(sysfs_fills_only_the_caches_that_are_unknown),
    };
    return cmocka_run_group_tests(tests, clear_forced, NULL);
}
