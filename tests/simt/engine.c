/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/simt/engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/simt/object.h"
#include "tests/simt/ptx.h"
#include "tests/support.h"
#include "variants/cuda/primitives_text.h"

typedef struct simt_compiled {
    struct simt_compiled *next;
    const char *text;
    char options[SPT_CUDA_DEFINES_MAX * 48];
    simt_object object;
    const char *const *kernels;
    int n_kernels;
} simt_compiled;

void (*simt_engine_edit)(char *text);
unsigned simt_engine_grid_y;

static simt_compiled *all_compiled;
static char folder[256];
static int n_compiled;

static char *whole_text(const spt_cuda_source *source, size_t *n_bytes) {
    size_t n_primitives;
    const char *primitives = spt_cuda_primitives(&n_primitives);
    *n_bytes = n_primitives + source->text_bytes;
    char *text = malloc(*n_bytes + 1);
    if (text == NULL)
        abort();
    memcpy(text, primitives, n_primitives);
    memcpy(text + n_primitives, source->text, source->text_bytes);
    text[*n_bytes] = '\0';
    if (simt_engine_edit != NULL)
        simt_engine_edit(text + n_primitives);
    return text;
}

static simt_compiled *compile(const spt_cuda_source *source, const char *options, char error[SIMT_ERROR_MAX]) {
    char path[300], log[SIMT_ERROR_MAX] = "";
    const char *defines[SPT_CUDA_DEFINES_MAX];
    size_t n_bytes;
    if (folder[0] == '\0')
        support_folder_make(folder, sizeof folder);
    snprintf(path, sizeof path, "%s/%d.so", folder, n_compiled++);
    for (int i = 0; i < source->n_defines; i++)
        defines[i] = source->defines[i];
    char *text = whole_text(source, &n_bytes);
    simt_compiled *out = NULL;
    if (simt_object_compile(path, text, n_bytes, defines, source->n_defines, log, sizeof log)) {
        out = calloc(1, sizeof *out);
        if (out == NULL)
            abort();
        simt_object_open(&out->object, path, text, n_bytes);
        out->text = source->text;
        out->kernels = source->kernels;
        out->n_kernels = source->n_kernels;
        snprintf(out->options, sizeof out->options, "%s", options);
        out->next = all_compiled;
        all_compiled = out;
    } else {
        snprintf(error, SIMT_ERROR_MAX, "%.*s", SIMT_ERROR_MAX - 1, log);
    }
    free(text);
    return out;
}

static simt_compiled *find_or_compile(const spt_cuda_source *source, char error[SIMT_ERROR_MAX]) {
    char options[SPT_CUDA_DEFINES_MAX * 48] = "";
    for (int i = 0; i < source->n_defines; i++)
        strncat(options, source->defines[i], sizeof options - strlen(options) - 1);
    for (simt_compiled *at = all_compiled; at != NULL; at = at->next)
        if (at->text == source->text && strcmp(at->options, options) == 0)
            return at;
    return compile(source, options, error);
}

bool simt_variant_init(simt_variant *out, const spt_family *family, const spt_workload *workload,
                       const spt_device *device, const spt_point *point, const spt_csr *a, char error[SIMT_ERROR_MAX]) {
    spt_cuda_source source = {0};
    *out = (simt_variant){.prepared = {.family = family, .point = *point, .workload = *workload, .device = *device}};
    if (family->cuda->describe(&source, workload, device, point, family->cuda->is_baked ? a : NULL) != SPT_OK ||
        family->cuda->pack(&out->packed, workload, device, point, a) != SPT_OK) {
        snprintf(error, SIMT_ERROR_MAX, "%s", spt_last_error());
        spt_cuda_source_fini(&source);
        simt_variant_fini(out);
        return false;
    }
    if (source.language == SPT_CUDA_PTX) {
        out->program = ptx_parse(source.text, source.text_bytes, error);
        out->source = source;
    } else {
        out->compiled = find_or_compile(&source, error);
        spt_cuda_source_fini(&source);
    }
    for (int i = 0; i < out->packed.n_buffers; i++)
        if (out->packed.buffers[i].bytes > 0)
            simt_memory_add(out->packed.buffers[i].data, out->packed.buffers[i].bytes);
    const bool is_ready = out->compiled != NULL || out->program != NULL;
    if (!is_ready)
        simt_variant_fini(out);
    return is_ready;
}

void simt_variant_fini(simt_variant *variant) {
    for (int i = 0; i < variant->packed.n_buffers; i++)
        if (simt_memory_left(variant->packed.buffers[i].data) != 0)
            simt_memory_remove(variant->packed.buffers[i].data);
    spt_cuda_packed_fini(&variant->packed);
    if (variant->program != NULL)
        ptx_free(variant->program);
    spt_cuda_source_fini(&variant->source);
    *variant = (simt_variant){0};
}

static const void *operand_of(const spt_call *call, int role) {
    const struct {
        int role;
        const void *data;
    } operands[] = {{'b', call->b}, {'c', call->c},    {'x', call->x},       {'y', call->y},
                    {'s', call->s}, {'i', call->bias}, {'r', call->residual}};
    for (size_t i = 0; i < sizeof operands / sizeof operands[0]; i++)
        if (operands[i].role == role)
            return operands[i].data;
    abort();
}

static uint64_t value_of(const spt_cuda_arg *arg, const simt_variant *variant, const spt_call *call,
                         const char *workspace) {
    const char *address = NULL;
    switch (arg->kind) {
    case SPT_CUDA_I32:
    case SPT_CUDA_I64:
        return (uint64_t)arg->value;
    case SPT_CUDA_BUFFER:
        address = (const char *)variant->packed.buffers[arg->index].data + arg->value;
        break;
    case SPT_CUDA_OPERAND:
        address = (const char *)operand_of(call, arg->index);
        break;
    case SPT_CUDA_WORKSPACE:
        address = workspace + arg->value;
        break;
    }
    return (uint64_t)(uintptr_t)address;
}

/* The same for PTX, which the interpreter executes. */
static bool run_ptx(const simt_variant *variant, const spt_cuda_launch *record, const spt_call *call,
                    const char *workspace, char error[SIMT_ERROR_MAX]) {
    uint64_t values[SIMT_PARAMS_MAX] = {0};
    for (int i = 0; i < record->n_args; i++)
        values[i] = value_of(&record->args[i], variant, call, workspace);
    return ptx_run(variant->program, variant->source.kernels[record->kernel],
                   (simt_dim){record->grid[0], record->grid[1], record->grid[2]},
                   (simt_dim){record->block[0], record->block[1], record->block[2]}, record->shared_bytes, values,
                   error);
}

static bool run_launch(const simt_variant *variant, const spt_cuda_launch *record, const spt_call *call,
                       const char *workspace, simt_order order, char error[SIMT_ERROR_MAX]) {
    uint64_t values[SIMT_PARAMS_MAX] = {0};
    int n_params, bytes[SIMT_PARAMS_MAX];
    const char *name = variant->compiled->kernels[record->kernel];
    simt_launch launch = {.name = name,
                          .calls = variant->compiled->object.calls,
                          .values = values,
                          .grid = {record->grid[0], record->grid[1], record->grid[2]},
                          .block = {record->block[0], record->block[1], record->block[2]},
                          .shared_bytes = record->shared_bytes,
                          .order = order,
                          .seed = 7};
    if (simt_engine_grid_y > 0 && launch.grid.y > simt_engine_grid_y)
        launch.grid.y = simt_engine_grid_y;
    if (record->grid[0] == 0 || record->grid[1] == 0 || record->grid[2] == 0)
        return true;
    if (!simt_object_kernel(&launch.kernel, &n_params, bytes, &variant->compiled->object, name) ||
        n_params != record->n_args) {
        snprintf(error, SIMT_ERROR_MAX, "%s is not there, or does not take %d arguments", name, record->n_args);
        return false;
    }
    for (int i = 0; i < n_params; i++) {
        values[i] = value_of(&record->args[i], variant, call, workspace);
        if ((record->args[i].kind == SPT_CUDA_I32) != (bytes[i] == 4)) {
            snprintf(error, SIMT_ERROR_MAX, "%s: argument %d has another width than its parameter", name, i);
            return false;
        }
    }
    return simt_run(&launch, error);
}

bool simt_variant_run(const simt_variant *variant, const spt_call *call, const simt_range *ranges, int n_ranges,
                      simt_order order, char error[SIMT_ERROR_MAX]) {
    const spt_family *family = variant->prepared.family;
    spt_prepared prepared = variant->prepared;
    spt_cuda_packed packed = variant->packed;
    prepared.state = &packed;
    const int n = family->cuda->n_launches != NULL ? family->cuda->n_launches(&prepared, call) : 1;
    const size_t bytes = family->workspace != NULL ? family->workspace(&prepared, call->n) : 0;
    char *workspace = aligned_alloc(256, bytes / 256 * 256 + 512);
    bool is_ok = workspace != NULL;
    memset(workspace, 0xff, bytes);
    if (bytes > 0)
        simt_memory_add(workspace, bytes);
    for (int i = 0; i < n_ranges; i++)
        simt_memory_add((void *)(uintptr_t)ranges[i].base, ranges[i].bytes);
    for (int i = 0; i < n && is_ok; i++) {
        spt_cuda_launch record = {0};
        is_ok = family->cuda->launch(&record, &prepared, call, i) == SPT_OK;
        if (is_ok && variant->program != NULL)
            is_ok = run_ptx(variant, &record, call, workspace, error);
        else if (is_ok)
            is_ok = run_launch(variant, &record, call, workspace, order, error);
        else
            snprintf(error, SIMT_ERROR_MAX, "%s", spt_last_error());
    }
    for (int i = 0; i < n_ranges; i++)
        simt_memory_remove((void *)(uintptr_t)ranges[i].base);
    if (bytes > 0)
        simt_memory_remove(workspace);
    free(workspace);
    return is_ok;
}

void simt_engine_close(void) {
    for (simt_compiled *next; all_compiled != NULL; all_compiled = next) {
        next = all_compiled->next;
        simt_object_close(&all_compiled->object);
        free(all_compiled);
    }
    if (folder[0] != '\0')
        support_folder_remove(folder);
    folder[0] = '\0';
}
