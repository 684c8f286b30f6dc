/* SPDX-License-Identifier: Apache-2.0 */
/* The device's key from what the architecture's file found and SPARSETUNE_ISA. */
#include "core/hardware.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "core/hardware_arch.h"
#include "core/hardware_cpu.h"
#include "core/text.h"

static const char *const isa_names[SPT_ISA_COUNT] = {"plain", "neon", "avx2", "avx512"};

const char *spt_isa_name(spt_isa isa) {
    return (unsigned)isa < SPT_ISA_COUNT ? isa_names[isa] : "unknown";
}

int spt_isa_lanes(spt_isa isa) {
    return isa == SPT_ISA_AVX512 ? 16 : isa == SPT_ISA_AVX2 ? 8 : 4;
}

spt_status spt_isa_parse(spt_isa *out, const char *name) {
    for (int i = 0; i < SPT_ISA_COUNT; i++) {
        if (strcmp(isa_names[i], name) == 0) {
            *out = (spt_isa)i;
            return SPT_OK;
        }
    }
    return spt_fail(SPT_EINVAL, "expected isa plain, neon, avx2 or avx512, found '%.40s'", name);
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

/* Where a virtual machine hides its caches: the smallest that current cores have, so that models divide by no zero. */
#define L1D_BYTES_ASSUMED 32768
#define L2_BYTES_ASSUMED 262144

static void describe_caches(spt_device *device) {
    spt_caches_from_sysfs(device, "");
    if (device->l1d_bytes <= 0)
        device->l1d_bytes = L1D_BYTES_ASSUMED;
    if (device->l2_bytes <= 0)
        device->l2_bytes = L2_BYTES_ASSUMED;
}

bool spt_device_may_use_tiles(const spt_device *device) {
    return strstr(device->isa_set, "amx_bf16") != NULL && spt_cpu_may_use_tiles();
}

spt_status spt_device_detect(spt_device *out) {
    *out = (spt_device){.kind = SPT_CPU, .vendor = "unknown", .name = "unknown"};
    uint32_t features = spt_isa_features_usable();
    SPT_TRY(force_isa(&features));
    describe_isa(out, features);
    spt_cpu_identify(out);
    describe_caches(out);
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

static const char *const cuda_names[] = {"cuda:0",  "cuda:1",  "cuda:2",  "cuda:3", "cuda:4",  "cuda:5",
                                         "cuda:6",  "cuda:7",  "cuda:8",  "cuda:9", "cuda:10", "cuda:11",
                                         "cuda:12", "cuda:13", "cuda:14", "cuda:15"};
enum { N_CUDA_NAMES = sizeof cuda_names / sizeof cuda_names[0] };

spt_status spt_device_name(const char **out, const char *name) {
    *out = "cpu";
    if (name == NULL || strcmp(name, "cpu") == 0)
        return SPT_OK;
    for (int i = 0; i < N_CUDA_NAMES; i++) {
        *out = cuda_names[i];
        if (strcmp(name, cuda_names[i]) == 0 || (i == 0 && strcmp(name, "cuda") == 0))
            return SPT_OK;
    }
    return spt_fail(SPT_EINVAL, "expected device cpu or cuda:N, N from 0 to %d, found '%.40s'", N_CUDA_NAMES - 1, name);
}

spt_status spt_device_find(spt_device *out, const char *name) {
    const char *known;
    SPT_TRY(spt_device_name(&known, name));
    for (int i = 0; i < N_CUDA_NAMES; i++)
        if (known == cuda_names[i])
            return spt_device_detect_cuda(out, i);
    return spt_device_detect(out);
}
