/* SPDX-License-Identifier: Apache-2.0 */
/* What Linux tells about the CPU in files: cache sizes in sysfs, the affinity mask, the cgroup's quota.
 * Every path hangs below `root`, so that tests can show their own file system. */
#include "core/hardware_cpu.h"

#include <limits.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATH_SIZE 4400

/* Read the first line of a file without its newline; false when there is none. */
static bool read_line(char *out, int capacity, const char *path) {
    FILE *stream = fopen(path, "re");
    if (stream == NULL)
        return false;
    bool is_read = fgets(out, capacity, stream) != NULL;
    fclose(stream);
    if (is_read)
        out[strcspn(out, "\n")] = 0;
    return is_read;
}

static bool read_cache_file(char out[64], const char *root, int index, const char *name) {
    char path[PATH_SIZE];
    snprintf(path, sizeof path, "%s/sys/devices/system/cpu/cpu0/cache/index%d/%s", root, index, name);
    return read_line(out, 64, path);
}

void spt_caches_from_sysfs(spt_device *device, const char *root) {
    int64_t *const levels[4] = {NULL, &device->l1d_bytes, &device->l2_bytes, &device->l3_bytes};
    for (int index = 0; index < 16; index++) {
        char level_text[64], type[64], size_text[64];
        if (!read_cache_file(level_text, root, index, "level"))
            return;
        if (!read_cache_file(type, root, index, "type") || !read_cache_file(size_text, root, index, "size"))
            continue;
        long level = strtol(level_text, NULL, 10);
        if (level < 1 || level > 3 || strcmp(type, "Instruction") == 0 || *levels[level] > 0)
            continue;
        char *unit = NULL;
        long long size = strtoll(size_text, &unit, 10); /* "48K", "2048K", "1M" */
        int shift = *unit == 'K' ? 10 : *unit == 'M' ? 20 : *unit == 'G' ? 30 : 0;
        if (size > 0 && size < INT64_MAX >> shift)
            *levels[level] = (int64_t)size << shift;
    }
}

/* ceil(quota / period), at least 1; INT_MAX for no quota. */
static int quota_threads(long long quota_us, long long period_us) {
    if (quota_us <= 0 || period_us <= 0)
        return INT_MAX;
    long long threads = quota_us / period_us + (quota_us % period_us != 0);
    return threads < 1 ? 1 : threads > INT_MAX ? INT_MAX : (int)threads;
}

/* cgroup v2: "max 100000" or "150000 100000". */
static int read_v2(const char *folder) {
    char path[PATH_SIZE + 32], line[64];
    long long quota = 0, period = 0;
    snprintf(path, sizeof path, "%s/cpu.max", folder);
    if (!read_line(line, sizeof line, path) || sscanf(line, "%lld %lld", &quota, &period) != 2)
        return INT_MAX;
    return quota_threads(quota, period);
}

/* cgroup v1: a quota of -1 is none. */
static int read_v1(const char *folder) {
    char path[PATH_SIZE + 32], quota[64], period[64];
    snprintf(path, sizeof path, "%s/cpu.cfs_quota_us", folder);
    if (!read_line(quota, sizeof quota, path))
        return INT_MAX;
    snprintf(path, sizeof path, "%s/cpu.cfs_period_us", folder);
    if (!read_line(period, sizeof period, path))
        return INT_MAX;
    return quota_threads(strtoll(quota, NULL, 10), strtoll(period, NULL, 10));
}

/* The lowest quota of a group and all above it. `group` is cut on the way up. */
static int lowest_quota(const char *mount, char *group, int (*read_quota)(const char *folder)) {
    int lowest = INT_MAX;
    for (;;) {
        char folder[PATH_SIZE];
        if (snprintf(folder, sizeof folder, "%s%s", mount, group) < (int)sizeof folder) {
            int threads = read_quota(folder);
            lowest = threads < lowest ? threads : lowest;
        }
        char *slash = strrchr(group, '/');
        if (slash == NULL)
            return lowest;
        *slash = 0;
    }
}

/* Does the comma-separated list of controllers name `cpu`? */
static bool names_cpu(const char *controllers) {
    for (const char *item = controllers; *item != 0;) {
        size_t length = strcspn(item, ",");
        if (length == 3 && memcmp(item, "cpu", 3) == 0)
            return true;
        item += length + (item[length] == ',');
    }
    return false;
}

int spt_cgroup_threads(const char *root) {
    char line[4096], path[256], mount[512];
    int lowest = INT_MAX;
    snprintf(path, sizeof path, "%.200s/proc/self/cgroup", root);
    FILE *stream = fopen(path, "re");
    if (stream == NULL)
        return lowest;
    while (fgets(line, sizeof line, stream) != NULL) { /* "0::/group" (v2) or "4:cpu,cpuacct:/group" (v1) */
        char *controllers = strchr(line, ':');
        char *group = controllers != NULL ? strchr(controllers + 1, ':') : NULL;
        if (group == NULL)
            continue;
        *controllers++ = 0;
        *group++ = 0;
        group[strcspn(group, "\n")] = 0;
        bool is_v2 = controllers[0] == 0;
        if (!is_v2 && !names_cpu(controllers))
            continue;
        snprintf(mount, sizeof mount, "%.200s/sys/fs/cgroup%s%.200s", root, is_v2 ? "" : "/", controllers);
        int threads = lowest_quota(mount, group, is_v2 ? read_v2 : read_v1);
        lowest = threads < lowest ? threads : lowest;
    }
    fclose(stream);
    return lowest;
}

int spt_hardware_threads(void) {
    cpu_set_t masks[8]; /* 8192 CPUs */
    int n_cores = 1;
    memset(masks, 0, sizeof masks);
    if (sched_getaffinity(0, sizeof masks, masks) == 0)
        n_cores = CPU_COUNT_S(sizeof masks, masks);
    int quota = spt_cgroup_threads("");
    n_cores = quota < n_cores ? quota : n_cores;
    return n_cores > 1 ? n_cores : 1;
}
