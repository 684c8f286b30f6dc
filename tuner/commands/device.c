/* SPDX-License-Identifier: Apache-2.0 */
/* `sparsetune device`: what this machine is to the tuner: the fields of its key, the soft fields beside it, and the
 * vendor libraries that its dense rivals would use. */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>

#include "core/conv.h"
#include "core/hardware.h"
#include "core/text.h"
#include "tuner/command.h"
#include "tuner/options.h"
#include "tuner/report.h"
#include "variants/bound.h"
#include "variants/family.h"

static const char usage[] = "usage: sparsetune device [--device cpu|cuda:0] [--json | --ceilings]\n\n"
                            "Says what this machine is to the tuner. Results are kept under the key: vendor, family, "
                            "model, usable instruction\n"
                            "set, L1 and L2 data cache; everything else may differ without making results foreign. "
                            "SPARSETUNE_ISA=plain, avx2,\n"
                            "avx512 or neon lowers the instruction set and so gives another key.\n\n"
                            "options:\n"
                            "  --json              one JSON object on standard output\n"
                            "  --ceilings          measure what one core can do, in a second or two\n"
                            "\nexit codes: 0 ok, 2 usage, 3 failure\n";

typedef void library_visitor(void *user, const spt_family *family, const char *point, const char *version);

/* Visit every vendor library that a family can call here; version NULL: none, and spt_last_error says why. */
static spt_status visit_libraries(const spt_device *device, library_visitor *visit, void *user) {
    static const int64_t offsets[] = {0, 1};
    static const int32_t columns[] = {0};
    static const float values[] = {1.0f};
    const spt_csr one = {sizeof one, 1, 9, offsets, columns, values}; /* nine columns: a convolution's windows, too */
    for (int i = 0; i < spt_family_count(); i++) {
        const spt_family *family = spt_family_at(i);
        if (family->library_version == NULL)
            continue;
        if (family->device != device->kind)
            continue;
        spt_problem problem = {.size = sizeof problem, .op = family->op, .n = 16, .threads = 1};
        spt_workload workload;
        spt_conv_assume(&problem);
        SPT_TRY(spt_workload_init(&workload, &problem, &one));
        if (spt_family_check(family, &workload, device) != SPT_OK) {
            visit(user, family, "", NULL);
            continue;
        }
        spt_family_space space;
        spt_family_space_init(&space, family, &workload, device);
        spt_point point;
        for (int64_t at = 0; spt_space_next(&space.space, &at, &point); at++) {
            char text[SPT_POINT_TEXT_MAX];
            SPT_TRY(spt_point_text(text, family->axes, family->n_axes, &point));
            visit(user, family, text, spt_family_library(family, &point));
        }
    }
    return SPT_OK;
}

/* ---- for programs ---- */

static void add_library(void *user, const spt_family *family, const char *point, const char *version) {
    json_array_append_new(user, json_pack("{s:s, s:s, s:b, s:s, s:s}", "family", family->name, "point", point,
                                          "available", version != NULL, "version", version != NULL ? version : "",
                                          "why", version != NULL ? "" : spt_last_error()));
}

static spt_status print_json(const spt_device *device) {
    json_t *libraries = json_array();
    const spt_status status = visit_libraries(device, add_library, libraries);
    if (status != SPT_OK) {
        json_decref(libraries);
        return status;
    }
    return spt_json_print(
        json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:i, s:i, s:i, s:i, s:I, s:I, s:I, s:s, s:i, s:i, s:I, s:o}", "key",
                  device->key, "kind", spt_device_kind_name(device->kind), "name", device->name, "vendor",
                  device->vendor, "isa", spt_isa_name(device->isa), "isa_set", device->isa_set, "family",
                  device->family, "model", device->model, "stepping", device->stepping, "threads", device->n_cores,
                  "l1d_bytes", (json_int_t)device->l1d_bytes, "l2_bytes", (json_int_t)device->l2_bytes, "l3_bytes",
                  (json_int_t)device->l3_bytes, "os", device->os, "compute_capability", device->compute_capability,
                  "sms", device->n_sms, "memory_bytes", (json_int_t)device->memory_bytes, "libraries", libraries));
}

/* ---- for people ---- */

static void print_library(void *user, const spt_family *family, const char *point, const char *version) {
    (void)user;
    if (version != NULL)
        printf("library   %s %s: %s\n", family->name, point, version);
    else
        printf("library   %s: %s\n", family->name, spt_last_error());
}

static void print_bytes(const char *label, int64_t bytes) {
    if (bytes > 0)
        printf("%-9s %" PRId64 " KiB\n", label, bytes / 1024);
    else
        printf("%-9s unknown\n", label);
}

static spt_status print_cuda(const spt_device *device) {
    printf("chip      %s, %d SMs, %.1f GiB, %d KiB of shared memory for a block\n", device->isa_set, device->n_sms,
           (double)device->memory_bytes / 1073741824.0, device->shared_bytes_max / 1024);
    printf("nominal   %.0f GFLOP/s in f32, %.0f GFLOP/s of tensor cores, %.0f GB/s of memory\n", device->fma_gflops,
           device->tensor_gflops, device->dram_gbs);
    print_bytes("L2", device->l2_bytes);
    printf("os        %s\n", device->os);
    return visit_libraries(device, print_library, NULL);
}

static spt_status print_text(const spt_device *device) {
    printf("key       %s\n", device->key);
    printf("name      %s\n", device->name);
    if (device->kind == SPT_CUDA)
        return print_cuda(device);
    printf("cpu       %s family %d model %d stepping %d\n", device->vendor, device->family, device->model,
           device->stepping);
    printf("kernels   %s\n", spt_isa_name(device->isa));
    printf("isa set   %s\n", device->isa_set);
    printf("threads   %d\n", device->n_cores);
    print_bytes("L1d", device->l1d_bytes);
    print_bytes("L2", device->l2_bytes);
    print_bytes("L3", device->l3_bytes);
    printf("os        %s\n", device->os);
    return visit_libraries(device, print_library, NULL);
}

static spt_status print_ceilings(const spt_device *device, bool json) {
    spt_ceilings now;
    const spt_ceilings table = *spt_ceilings_get(device);
    SPT_TRY(spt_ceilings_measure(&now, device));
    const struct {
        const char *field, *name;
        double table, now;
    } rows[] = {{"fma_gflops", "multiply-adds, GFLOP/s", table.fma_gflops, now.fma_gflops},
                {"l1_gbs", "reads from L1, GB/s", table.l1_gbs, now.l1_gbs},
                {"l2_gbs", "reads from L2, GB/s", table.l2_gbs, now.l2_gbs},
                {"l3_gbs", "reads from L3, GB/s", table.l3_gbs, now.l3_gbs},
                {"dram_gbs", "reads from memory, GB/s", table.dram_gbs, now.dram_gbs},
                {"vector_loads_per_ns", "vector loads per ns", table.vector_loads_per_ns, now.vector_loads_per_ns},
                {"l1_fill_ns", "line from L2 beside multiply-adds, ns", table.l1_fill_ns, now.l1_fill_ns},
                {"gathers_per_ns", "gathered elements per ns", table.gathers_per_ns, now.gathers_per_ns},
                {"tile_gflops", "bf16 on matrix tiles, GFLOP/s", table.tile_gflops, now.tile_gflops}};
    const size_t n_rows = sizeof rows / sizeof rows[0];
    if (json) {
        json_t *object = json_pack("{s:s}", "isa", spt_isa_name(device->isa));
        for (size_t i = 0; i < n_rows; i++)
            json_object_set_new(object, rows[i].field, json_real(rows[i].now));
        return spt_json_print(object);
    }
    printf("ceilings of one core, %-18s  measured now     table\n", spt_isa_name(device->isa));
    for (size_t i = 0; i < n_rows; i++)
        printf("  %-38s %12.2f %9.2f\n", rows[i].name, rows[i].now, rows[i].table);
    return SPT_OK;
}

static spt_status run(int argc, char **argv, int *exit_code) {
    (void)exit_code;
    bool json = false;
    int n_arguments = 0;
    bool has_ceilings = false;
    const char *name = "cpu";
    const spt_option rows[] = {{"--json", SPT_OPTION_FLAG, &json},
                               {"--ceilings", SPT_OPTION_FLAG, &has_ceilings},
                               {"--device", SPT_OPTION_TEXT, &name}};
    SPT_TRY(spt_options_parse(&n_arguments, argc, argv, rows, 3, NULL));
    if (n_arguments > 0)
        return spt_usage_fail("expected no argument, found '%s'", argv[1]);
    spt_device device;
    if (spt_device_name(&name, name) != SPT_OK)
        return spt_usage_fail("%s", spt_last_error());
    SPT_TRY(spt_device_find(&device, name));
    if (has_ceilings && device.kind != SPT_CPU)
        return spt_usage_fail("expected --ceilings for the CPU alone, found --device %s", name);
    if (has_ceilings)
        return print_ceilings(&device, json);
    return json ? print_json(&device) : print_text(&device);
}

const spt_command spt_command_device = {
    .name = "device",
    .summary = "say what this machine is to the tuner",
    .usage = usage,
    .run = run,
};
