/* SPDX-License-Identifier: Apache-2.0 */
/* The shared arena of one load: header, reference, then the inputs on pages of their own. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/element.h"
#include "core/random.h"
#include "core/text.h"
#include "tuner/measure/pages.h"
#include "tuner/measure/protocol.h"

/* Reserve `bytes` at the next multiple of `alignment` behind *cursor. */
static int64_t reserve(int64_t *cursor, int64_t bytes, int64_t alignment) {
    const int64_t at = (*cursor + alignment - 1) / alignment * alignment;
    *cursor = at + bytes;
    return at;
}

static void lay_out(spt_arena *arena, const spt_operation *operation) {
    const spt_workload *workload = &arena->workload;
    const spt_pattern *pattern = &workload->pattern;
    const int64_t item = (int64_t)spt_dtype_bytes(workload->problem.dtype);
    const int64_t n_outputs = spt_operand_count(&operation->operands[operation->n_operands - 1], workload);
    int64_t cursor = (int64_t)sizeof *arena;
    arena->value_at = reserve(&cursor, n_outputs * (int64_t)sizeof(double), 64);
    arena->tolerance_at = reserve(&cursor, n_outputs * (int64_t)sizeof(double), 64);
    arena->inputs_at = reserve(&cursor, 0, SPT_HUGE_PAGE);
    arena->row_offsets_at = reserve(&cursor, (pattern->n_rows + 1) * (int64_t)sizeof(int64_t), 64);
    arena->columns_at = reserve(&cursor, pattern->nnz * (int64_t)sizeof(int32_t), 64);
    arena->values_at = reserve(&cursor, pattern->nnz * item, 64);
    arena->bias_at = reserve(&cursor, pattern->n_rows * item, 64);
    for (int i = 0; i < operation->n_operands - 1; i++)
        arena->operand_at[i] = reserve(&cursor, spt_operand_count(&operation->operands[i], workload) * item, 4096);
    if (spt_epilogue_get(workload->problem.epilogue)->has_residual)
        arena->residual_at = reserve(&cursor, n_outputs * item, 4096);
    arena->inputs_end = reserve(&cursor, 0, SPT_HUGE_PAGE);
    arena->size_bytes = (size_t)arena->inputs_end;
}

/* Bytes that this machine can give without swapping; INT64_MAX when it does not say. */
static int64_t available_bytes(void) {
    char line[128];
    int64_t available = INT64_MAX;
    FILE *stream = fopen("/proc/meminfo", "re");
    if (stream == NULL)
        return available;
    while (fgets(line, sizeof line, stream) != NULL)
        if (strncmp(line, "MemAvailable:", 13) == 0)
            available = strtoll(line + 13, NULL, 10) * 1024;
    fclose(stream);
    return available;
}

/* Refuse what would bring the machine down: inputs, reference and tolerance here, the output in the worker. In floating
 * point, because the sizes of a legal problem may overflow. */
static spt_status check_memory(const spt_workload *workload, const spt_operation *operation) {
    const double item = (double)spt_dtype_bytes(workload->problem.dtype);
    double needed = (double)workload->pattern.nnz * (item + sizeof(int32_t));
    for (int i = 0; i < operation->n_operands; i++)
        needed += (double)spt_operand_count(&operation->operands[i], workload) *
                  (i + 1 < operation->n_operands ? item : item + 2.0 * sizeof(double));
    const double available = (double)available_bytes();
    if (needed < 0.9 * available)
        return SPT_OK;
    return spt_fail(SPT_ENOMEM,
                    "expected a problem that fits in memory, found that n=%lld needs %.3g GB and %.3g GB are free",
                    (long long)workload->problem.n, needed / 1e9, available / 1e9);
}

/* Random elements of the type, drawn as f32 and rounded; i8 uses some of its range. */
static void fill_random(void *out, spt_dtype dtype, spt_random *random, int64_t count) {
    float drawn[1024];
    for (int64_t at = 0; at < count;) {
        const int64_t n = count - at < 1024 ? count - at : 1024;
        spt_random_fill_f32(random, drawn, n);
        for (int64_t i = 0; dtype == SPT_I8 && i < n; i++)
            drawn[i] *= 8.0f;
        spt_elements_from_f32(dtype, (char *)out + (size_t)at * spt_dtype_bytes(dtype), drawn, n);
        at += n;
    }
}

/* Values come as f32, which is what every loader gives, and become the problem's type. */
static void fill(spt_arena *arena, const spt_operation *operation, const spt_csr *a, uint64_t seed) {
    char *base = (char *)arena;
    const spt_pattern *pattern = &arena->workload.pattern;
    const spt_dtype dtype = arena->workload.problem.dtype;
    spt_random random;
    spt_random_init(&random, seed);
    memcpy(base + arena->row_offsets_at, a->row_offsets, (size_t)(pattern->n_rows + 1) * sizeof *a->row_offsets);
    if (pattern->nnz > 0)
        memcpy(base + arena->columns_at, a->columns, (size_t)pattern->nnz * sizeof *a->columns);
    if (a->values != NULL && pattern->nnz > 0)
        spt_elements_from_f32(dtype, base + arena->values_at, a->values, pattern->nnz);
    else
        fill_random(base + arena->values_at, dtype, &random, pattern->nnz);
    fill_random(base + arena->bias_at, dtype, &random, pattern->n_rows);
    for (int i = 0; i < operation->n_operands - 1; i++)
        fill_random(base + arena->operand_at[i], dtype, &random,
                    spt_operand_count(&operation->operands[i], &arena->workload));
    if (arena->residual_at != 0)
        fill_random(base + arena->residual_at, dtype, &random,
                    spt_operand_count(&operation->operands[operation->n_operands - 1], &arena->workload));
}

spt_status spt_arena_new(spt_arena **out, int *descriptor, const spt_workload *workload, const spt_csr *a,
                         uint64_t seed) {
    const spt_operation *operation = spt_operation_get(workload->problem.op);
    SPT_TRY(check_memory(workload, operation));
    spt_arena layout = {.workload = *workload};
    spt_copy_text(layout.device_name, sizeof layout.device_name, workload->problem.device);
    lay_out(&layout, operation);
    *descriptor = memfd_create("sparsetune-arena", MFD_CLOEXEC);
    if (*descriptor < 0)
        return spt_fail(SPT_EIO, "no memory file can be made: %s", strerror(errno));
    void *map = MAP_FAILED;
    if (posix_fallocate(*descriptor, 0, (off_t)layout.size_bytes) == 0)
        map = mmap(NULL, layout.size_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, *descriptor, 0);
    if (map == MAP_FAILED) {
        close(*descriptor);
        *descriptor = -1;
        return spt_fail(SPT_ENOMEM, "no room for %zu bytes of operands in shared memory", layout.size_bytes);
    }
    *out = map;
    memcpy(*out, &layout, sizeof layout);
    fill(*out, operation, a, seed);
    return SPT_OK;
}

void spt_arena_view(spt_csr *a, spt_args *args, const spt_arena *arena) {
    const char *base = (const char *)arena;
    const spt_workload *workload = &arena->workload;
    const spt_operation *operation = spt_operation_get(workload->problem.op);
    *a = (spt_csr){.size = sizeof *a,
                   .n_rows = workload->pattern.n_rows,
                   .n_cols = workload->pattern.n_cols,
                   .row_offsets = (const int64_t *)(const void *)(base + arena->row_offsets_at),
                   .columns = (const int32_t *)(const void *)(base + arena->columns_at),
                   .values = base + arena->values_at};
    *args = (spt_args){.size = sizeof *args, .n = workload->problem.n, .batch = 1};
    if (spt_epilogue_get(workload->problem.epilogue)->has_bias)
        args->bias = base + arena->bias_at;
    if (arena->residual_at != 0)
        args->residual.data = base + arena->residual_at;
    for (int i = 0; i < operation->n_operands - 1; i++)
        spt_operand_bind(args, &operation->operands[i], (void *)(uintptr_t)(base + arena->operand_at[i]), 0, 0);
}
