/* SPDX-License-Identifier: Apache-2.0 */
/* aarch64: identity from /proc/cpuinfo, instruction sets from the auxiliary vector. */
#include "core/hardware_cpu.h"

#if defined(__aarch64__)

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>

#include "core/text.h"

const spt_isa_feature spt_isa_features[] = {
    {"neon", SPT_ISA_NEON}, {"fphp", SPT_ISA_NEON},    {"asimddp", SPT_ISA_NEON},
    {"sve", SPT_ISA_NEON},  {"asimdhp", SPT_ISA_NEON}, {NULL, SPT_ISA_PLAIN},
};

/* Bits of AT_HWCAP in the order of the table (Linux arch/arm64/include/uapi/asm/hwcap.h). */
static const int hwcap_bits[] = {1, 9, 20, 22, 10};

uint32_t spt_isa_features_usable(void) {
    const unsigned long capabilities = getauxval(AT_HWCAP);
    uint32_t usable = 0;
    for (uint32_t i = 0; spt_isa_features[i].name != NULL; i++) {
        if ((capabilities >> hwcap_bits[i] & 1) != 0)
            usable |= 1u << i;
    }
    return usable;
}

spt_isa spt_isa_best(uint32_t features) {
    return (features & 1) != 0 ? SPT_ISA_NEON : SPT_ISA_PLAIN;
}

bool spt_cpu_may_use_tiles(void) {
    return false;
}

/* Read the number after `field` in a line of /proc/cpuinfo. */
static void take_number(int *out, const char *line, const char *field) {
    const char *colon = strchr(line, ':');
    if (strncmp(line, field, strlen(field)) == 0 && colon != NULL)
        *out = (int)strtol(colon + 1, NULL, 0);
}

void spt_cpu_identify(spt_device *device) {
    int implementer = 0;
    FILE *file = fopen("/proc/cpuinfo", "re");
    char line[256];
    while (file != NULL && fgets(line, sizeof line, file) != NULL && line[0] != '\n') {
        take_number(&implementer, line, "CPU implementer");
        take_number(&device->family, line, "CPU architecture");
        take_number(&device->model, line, "CPU part");
        take_number(&device->stepping, line, "CPU revision");
    }
    if (file != NULL)
        fclose(file);
    snprintf(device->vendor, sizeof device->vendor, "arm-0x%02x", (unsigned)implementer);
    snprintf(device->name, sizeof device->name, "aarch64 part 0x%03x", (unsigned)device->model);
}

#else
typedef int spt_hardware_aarch64_is_for_another_architecture;
#endif
