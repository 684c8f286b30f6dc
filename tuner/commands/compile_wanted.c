/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of the command line, resolved before anything is compiled. */
#include "tuner/commands/compile_wanted.h"

#include <string.h>

#include "core/text.h"
#include "tuner/progress.h"
#include "variants/cuda/kernel.h"

/* ---- architectures ---- */

static void add_arch(spt_compile_wanted *out, const char *name) {
    for (int i = 0; i < out->n_archs; i++)
        if (strcmp(out->archs[i], name) == 0)
            return;
    if (out->n_archs < SPT_COMPILE_ARCHS_MAX)
        out->archs[out->n_archs++] = name;
}

/* `name` NULL: all. */
static void add_known(spt_compile_wanted *out, const char *name) {
    const char *known;
    for (int i = 0; (known = spt_device_arch(i)) != NULL; i++)
        if (name == NULL || strcmp(known, name) == 0)
            add_arch(out, known);
}

static spt_status list_archs(spt_compile_wanted *out, const char *list) {
    if (strcmp(list, "all") == 0) {
        add_known(out, NULL);
        return SPT_OK;
    }
    for (const char *at = list; *at != '\0';) {
        char arch[32];
        spt_device device;
        const size_t length = strcspn(at, ",");
        spt_copy_text(arch, length < sizeof arch ? length + 1 : sizeof arch, at);
        if (spt_device_pretend(&device, arch) != SPT_OK)
            return spt_usage_fail("%s", spt_last_error());
        add_known(out, arch);
        at += length + (at[length] == ',');
    }
    return SPT_OK;
}

/* ---- families ---- */

static bool has_kernels(const spt_family *family) {
    return family->cuda != NULL && family->cuda->describe != NULL;
}

static spt_status check_name(const spt_problem_options *options, const char *name) {
    const spt_family *family = spt_family_find(name);
    if (family == NULL)
        return spt_usage_fail("unknown family '%s'; `sparsetune space` lists them", name);
    if (!has_kernels(family))
        return spt_usage_fail("%s has no CUDA kernel to compile", family->name);
    if (options->has_op && family->op != options->op)
        return spt_usage_fail("expected families of --op %s, found %s, which is of %s", spt_op_name(options->op),
                              family->name, spt_op_name(family->op));
    return SPT_OK;
}

static bool is_named(const spt_family *family, char *const *names, int n_names) {
    for (int i = 0; i < n_names; i++)
        if (strcmp(names[i], family->name) == 0)
            return true;
    return false;
}

/* In the registry's order. */
static spt_status list_families(spt_compile_wanted *out, char *const *names, int n_names) {
    const spt_problem_options *options = out->options;
    for (int i = 0; i < n_names; i++)
        SPT_TRY(check_name(options, names[i]));
    out->are_named = n_names > 0;
    for (int i = 0; i < spt_family_count() && out->n_families < SPT_COMPILE_FAMILIES_MAX; i++) {
        const spt_family *family = spt_family_at(i);
        const bool is_wanted = out->are_named ? is_named(family, names, n_names)
                                              : has_kernels(family) && (!options->has_op || family->op == options->op);
        if (!is_wanted)
            continue;
        out->families[out->n_families++] = family;
        out->is_conv_named |= out->are_named && family->op == SPT_CONV2D;
    }
    return SPT_OK;
}

spt_status spt_compile_wanted_init(spt_compile_wanted *out, const spt_problem_options *options, const char *arch_list,
                                   char *const *names, int n_names) {
    *out = (spt_compile_wanted){.options = options};
    SPT_TRY(list_archs(out, arch_list));
    return list_families(out, names, n_names);
}

bool spt_compile_wants(const spt_compile_wanted *wanted, const spt_family *family, int dtype) {
    const spt_problem_options *options = wanted->options;
    return (family->dtypes & SPT_DTYPE_BIT(dtype)) != 0 && (!options->has_dtype || (int)options->dtype == dtype);
}

/* ---- what gives nothing ---- */

/* The wanted element types (SPT_DTYPE_BIT) in which the family has no point on this device, and how many have one. */
static uint32_t dtypes_without(int *n_with, const spt_compile_wanted *self, const spt_compile_problems *problems,
                               const spt_family *family, const spt_device *device) {
    uint32_t without = 0;
    for (int dtype = SPT_F32; dtype < SPT_DTYPE_COUNT; dtype++) {
        spt_workload workload;
        const spt_csr *a;
        bool has_point = false;
        if (!spt_compile_wants(self, family, dtype))
            continue;
        for (int i = 0; !has_point && i < problems->n_widths; i++)
            has_point = spt_compile_problem(&workload, &a, problems, family, (spt_dtype)dtype, device, i);
        *n_with += has_point;
        without |= has_point ? 0 : SPT_DTYPE_BIT(dtype);
    }
    if (self->are_named && self->options->has_dtype) /* a type that the family does not have */
        without |= SPT_DTYPE_BIT(self->options->dtype) & ~family->dtypes;
    return without;
}

/* *n_with: families and element types that give points. *first: the first reason, "" when there is none. */
static spt_status check(int *n_with, char *first, size_t capacity, const spt_compile_wanted *self,
                        const spt_compile_problems *problems, bool say) {
    *n_with = 0;
    first[0] = '\0';
    for (int arch = 0; arch < self->n_archs; arch++) {
        spt_device device;
        SPT_TRY(spt_device_pretend(&device, self->archs[arch]));
        for (int i = 0; i < self->n_families; i++) {
            char reason[512];
            const uint32_t without = dtypes_without(n_with, self, problems, self->families[i], &device);
            if (without == 0)
                continue;
            spt_compile_why_not(reason, sizeof reason, problems, self->families[i], without, &device);
            if (first[0] == '\0')
                spt_copy_text(first, capacity, reason);
            if (say)
                spt_say("left out: %s", reason);
        }
    }
    return SPT_OK;
}

spt_status spt_compile_wanted_check(const spt_compile_wanted *wanted, const spt_compile_problems *problems, bool say) {
    char first[512];
    int n_with = 0;
    SPT_TRY(check(&n_with, first, sizeof first, wanted, problems, false));
    if (n_with == 0)
        return spt_fail(SPT_EINVAL, "expected a point to compile, found none: %s",
                        first[0] != '\0' ? first : "no family has the operation in this element type");
    return say && first[0] != '\0' ? check(&n_with, first, sizeof first, wanted, problems, true) : SPT_OK;
}
