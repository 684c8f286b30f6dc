/* SPDX-License-Identifier: Apache-2.0 */
/* x86-64: identity and caches from libcpuid, usable instruction sets from cpuid and XCR0 themselves, because libcpuid
 * 0.6 lacks the newest flags and does not ask whether the operating system saves the registers. */
#include "core/hardware_cpu.h"

#if defined(__x86_64__)

#include <cpuid.h>
#include <libcpuid/libcpuid.h>
#include <stdbool.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/text.h"

enum { REG_A, REG_B, REG_C, REG_D };

/* Register states that the operating system must save, as bits of XCR0. */
#define XCR0_AVX 0x6u
#define XCR0_AVX512 0xe6u
#define XCR0_AMX 0x60000u

typedef struct cpuid_bit {
    uint32_t leaf, subleaf;
    int reg, bit;
    uint32_t xcr0;
} cpuid_bit;

const spt_isa_feature spt_isa_features[] = {
    {"avx2", SPT_ISA_AVX2},          {"fma", SPT_ISA_AVX2},           {"f16c", SPT_ISA_AVX2},
    {"avx512f", SPT_ISA_AVX512},     {"avx512bw", SPT_ISA_AVX512},    {"avx512dq", SPT_ISA_AVX512},
    {"avx512vl", SPT_ISA_AVX512},    {"avx512_vnni", SPT_ISA_AVX512}, {"avx512_bf16", SPT_ISA_AVX512},
    {"avx512_fp16", SPT_ISA_AVX512}, {"avx_vnni", SPT_ISA_AVX512},    {"amx_tile", SPT_ISA_AVX512},
    {"amx_int8", SPT_ISA_AVX512},    {"amx_bf16", SPT_ISA_AVX512},    {NULL, SPT_ISA_PLAIN},
};

/* Where each feature of the table above is told, in the same order (Intel SDM volume 2A, CPUID). */
static const cpuid_bit feature_bits[] = {
    {7, 0, REG_B, 5, XCR0_AVX},     {1, 0, REG_C, 12, XCR0_AVX},    {1, 0, REG_C, 29, XCR0_AVX},
    {7, 0, REG_B, 16, XCR0_AVX512}, {7, 0, REG_B, 30, XCR0_AVX512}, {7, 0, REG_B, 17, XCR0_AVX512},
    {7, 0, REG_B, 31, XCR0_AVX512}, {7, 0, REG_C, 11, XCR0_AVX512}, {7, 1, REG_A, 5, XCR0_AVX512},
    {7, 0, REG_D, 23, XCR0_AVX512}, {7, 1, REG_A, 4, XCR0_AVX},     {7, 0, REG_D, 24, XCR0_AMX},
    {7, 0, REG_D, 25, XCR0_AMX},    {7, 0, REG_D, 22, XCR0_AMX},
};
_Static_assert(sizeof feature_bits / sizeof feature_bits[0] + 1 == sizeof spt_isa_features / sizeof spt_isa_features[0],
               "one cpuid bit per feature");

static uint32_t saved_states(void) {
    uint32_t a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d) || (c >> 27 & 1) == 0) /* OSXSAVE */
        return 0;
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
}

uint32_t spt_isa_features_usable(void) {
    const uint32_t xcr0 = saved_states();
    uint32_t usable = 0;
    for (uint32_t i = 0; spt_isa_features[i].name != NULL; i++) {
        const cpuid_bit *bit = &feature_bits[i];
        uint32_t reg[4] = {0};
        if (__get_cpuid_count(bit->leaf, bit->subleaf, &reg[REG_A], &reg[REG_B], &reg[REG_C], &reg[REG_D]) &&
            (reg[bit->reg] >> bit->bit & 1) != 0 && (xcr0 & bit->xcr0) == bit->xcr0)
            usable |= 1u << i;
    }
    return usable;
}

spt_isa spt_isa_best(uint32_t features) {
    const uint32_t avx2 = 0x7, avx512 = 0x7f; /* the leading features of the table */
    if ((features & avx512) == avx512)
        return SPT_ISA_AVX512;
    return (features & avx2) == avx2 ? SPT_ISA_AVX2 : SPT_ISA_PLAIN;
}

bool spt_cpu_may_use_tiles(void) {
#if defined(__linux__)
    enum { ASK_FOR_STATE = 0x1023, TILE_DATA = 18 }; /* arch_prctl's ARCH_REQ_XCOMP_PERM and XFEATURE_XTILEDATA */
    static _Atomic int answer;                       /* 0: not asked yet, 1: yes, -1: no. A fork inherits both */
    if (answer == 0)
        answer = syscall(SYS_arch_prctl, ASK_FOR_STATE, TILE_DATA) == 0 ? 1 : -1;
    return answer > 0;
#else
    return false;
#endif
}

/* Cache sizes from cpuid leaf 4, for machines (often virtual ones) that libcpuid does not understand. */
static void read_caches_from_leaf_4(spt_device *device) {
    for (uint32_t i = 0; i < 8; i++) {
        uint32_t a, b, c, d;
        if (!__get_cpuid_count(4, i, &a, &b, &c, &d) || (a & 31) == 0)
            return;
        const int64_t ways = (b >> 22) + 1, partitions = (b >> 12 & 1023) + 1, line = (b & 4095) + 1;
        const int64_t bytes = ways * partitions * line * ((int64_t)c + 1);
        const uint32_t level = a >> 5 & 7;
        const bool holds_data = (a & 31) != 2;
        int64_t *field = level == 1 ? &device->l1d_bytes : level == 2 ? &device->l2_bytes : &device->l3_bytes;
        if (holds_data && level <= 3 && *field <= 0)
            *field = bytes;
    }
}

void spt_cpu_identify(spt_device *device) {
    struct cpu_raw_data_t raw;
    struct cpu_id_t id;
    cpuid_set_warn_function(NULL);
    if (cpuid_get_raw_data(&raw) == 0 && cpu_identify(&raw, &id) == 0) {
        spt_copy_text(device->vendor, sizeof device->vendor, id.vendor_str);
        spt_copy_text(device->name, sizeof device->name, id.brand_str);
        device->family = id.ext_family;
        device->model = id.ext_model;
        device->stepping = id.stepping;
        device->l1d_bytes = id.l1_data_cache > 0 ? (int64_t)id.l1_data_cache * 1024 : 0;
        device->l2_bytes = id.l2_cache > 0 ? (int64_t)id.l2_cache * 1024 : 0;
        device->l3_bytes = id.l3_cache > 0 ? (int64_t)id.l3_cache * 1024 : 0;
    }
    read_caches_from_leaf_4(device);
}

#else
typedef int spt_hardware_x86_64_is_for_another_architecture;
#endif
