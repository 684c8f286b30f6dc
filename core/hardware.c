/* SPDX-License-Identifier: Apache-2.0 */
/* The device's key from what the architecture's file found, SPARSETUNE_ISA, and the threads this process may use. */
#include "core/hardware.h"

#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "core/hardware_cpu.h"
#include "core/text.h"

static const char *const isa_names[SPT_ISA_COUNT] = {"plain", "neon", "avx2", "avx512"};

const char *spt_isa_name(spt_isa isa) {
    return (unsigned)isa < SPT_ISA_COUNT ? isa_names[isa] : "unknown";
}

/* Keep the features that builds up to `isa` may use. */
static uint32_t lower_features(uint32_t features, spt_isa isa) {
    for (uint32_t i = 0; spt_isa_features[i].name != NULL; i++) {
        if (spt_isa_features[i].level > isa)
            features &= ~(1u << i);
    }
    return features;
}

/* Apply SPARSETUNE_ISA to the usable features. */
static spt_status force_isa(uint32_t *features) {
    const char *wanted = getenv("SPARSETUNE_ISA");
    if (wanted == NULL || wanted[0] == '\0')
        return SPT_OK;
    for (int isa = 0; isa < SPT_ISA_COUNT; isa++) {
        if (strcmp(wanted, isa_names[isa]) != 0)
            continue;
        *features = lower_features(*features, (spt_isa)isa);
        if (spt_isa_best(*features) != (spt_isa)isa)
            return spt_fail(SPT_EINVAL, "SPARSETUNE_ISA=%s asks for instructions that this CPU does not have", wanted);
        return SPT_OK;
    }
    return spt_fail(SPT_EINVAL, "SPARSETUNE_ISA: expected plain, avx2, avx512 or neon, found '%s'", wanted);
}

static void describe_isa(spt_device *device, uint32_t features) {
    spt_text text;
    spt_text_init(&text, device->isa_set, sizeof device->isa_set);
    for (uint32_t i = 0; spt_isa_features[i].name != NULL; i++) {
        if ((features >> i & 1) != 0)
            spt_text_add(&text, "%s%s", text.length > 0 ? "+" : "", spt_isa_features[i].name);
    }
    if (text.length == 0)
        spt_text_add(&text, "plain");
    device->isa = spt_isa_best(features);
}

spt_status spt_device_detect(spt_device *out) {
    *out = (spt_device){.kind = SPT_CPU, .vendor = "unknown", .name = "unknown"};
    uint32_t features = spt_isa_features_usable();
    SPT_TRY(force_isa(&features));
    describe_isa(out, features);
    spt_cpu_identify(out);
    out->n_cores = spt_hardware_threads();
    struct utsname system;
    if (uname(&system) == 0)
        snprintf(out->os, sizeof out->os, "%.20s %.60s", system.sysname, system.release);
    for (char *c = out->vendor; *c != '\0'; c++) {
        if (*c == '|')
            *c = '_'; /* the key's separator */
    }
    spt_text key;
    spt_text_init(&key, out->key, sizeof out->key);
    spt_text_add(&key, "cpu|%s|%d|%d|%s|%" PRId64 "|%" PRId64, out->vendor, out->family, out->model, out->isa_set,
                 out->l1d_bytes, out->l2_bytes);
    return SPT_OK;
}

static int affinity_threads(void) {
    for (size_t n_cpus = 1024; n_cpus <= 1u << 18; n_cpus *= 2) {
        cpu_set_t *set = CPU_ALLOC(n_cpus);
        if (set == NULL)
            return 1;
        const size_t size = CPU_ALLOC_SIZE(n_cpus);
        const int count = sched_getaffinity(0, size, set) == 0 ? CPU_COUNT_S(size, set) : 0;
        CPU_FREE(set);
        if (count > 0)
            return count;
    }
    return 1;
}

/* Read up to two numbers of a one-line file; the word "max" reads as -1. Returns how many were found. */
static int read_numbers(const char *path, int64_t out[2]) {
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return 0;
    char line[96] = "";
    const char *cursor = fgets(line, sizeof line, file) != NULL ? line : "";
    fclose(file);
    int found = 0;
    while (found < 2 && *cursor != '\0') {
        char *end;
        out[found] = strncmp(cursor, "max", 3) == 0 ? -1 : strtoll(cursor, &end, 10);
        found++;
        cursor += strcspn(cursor, " \n");
        cursor += strspn(cursor, " \n");
    }
    return found;
}

/* CPUs that the cgroup's quota allows, rounded up; 0 when there is no quota. */
static int64_t quota_threads(void) {
    int64_t quota[2] = {-1, 0}, period[2] = {0, 0};
    if (read_numbers("/sys/fs/cgroup/cpu.max", quota) < 2) {
        if (read_numbers("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", quota) < 1 ||
            read_numbers("/sys/fs/cgroup/cpu/cpu.cfs_period_us", period) < 1)
            return 0;
        quota[1] = period[0];
    }
    return quota[0] > 0 && quota[1] > 0 ? (quota[0] + quota[1] - 1) / quota[1] : 0;
}

int spt_hardware_threads(void) {
    const int affinity = affinity_threads();
    const int64_t quota = quota_threads();
    return quota > 0 && quota < affinity ? (int)quota : affinity;
}
