/* SPDX-License-Identifier: Apache-2.0 */
/* Rivals behind a plug-in (bench/plugin.h), which tools/rivals.sh builds where their headers or static libraries are
 * installed: a row per plug-in, which is an axis. Some come per instruction set; that one is looked for first. */
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "core/memory.h"
#include "tuner/rivals/rivals.h"
#include "variants/epilogue.h"
#include "variants/vendor/library.h"

/* bench/plugin.h tells what these mean. */
typedef struct plugin_problem {
    int m, k, n;
    int is_nk, threads;
    const uint32_t *row_begin, *columns;
    const float *values;
} plugin_problem;

typedef struct plugin_functions {
    int (*takes)(const plugin_problem *problem);
    void *(*create)(const plugin_problem *problem);
    int (*run)(void *handle, const float *b, int64_t ldb, float *c, int64_t ldc);
    void (*destroy)(void *handle);
    const char *(*version)(void);
    const double *input_error;
} plugin_functions;

static const spt_axis_value plugin_values[] = {{0, "libxsmm"}, {1, "eigen"}, {2, "onednn_bf16"}, {3, "onednn_int8"}};
enum { N_PLUGINS = sizeof plugin_values / sizeof plugin_values[0] };
static const spt_axis axes[] = {{"lib", "the plug-in", plugin_values, N_PLUGINS}};

static const double fma_scales[N_PLUGINS] = {1.0, 1.0, 2.0, 4.0};

static plugin_functions plugins[N_PLUGINS]; /* zeroed where absent or incomplete */
static pthread_once_t plugins_once = PTHREAD_ONCE_INIT;

static void open_plugin(plugin_functions *out, const char *name, spt_isa isa) {
    char for_isa[96], for_all[96];
    snprintf(for_isa, sizeof for_isa, "libsparsetune_rival_%s_%s.so", name, spt_isa_name(isa));
    snprintf(for_all, sizeof for_all, "libsparsetune_rival_%s.so", name);
    const char *const files[] = {for_isa, for_all, NULL};
    void *library = spt_library_open(files);
    const struct {
        const char *name;
        void *target;
    } symbols[] = {{"spt_plugin_takes", &out->takes},     {"spt_plugin_create", &out->create},
                   {"spt_plugin_run", &out->run},         {"spt_plugin_destroy", &out->destroy},
                   {"spt_plugin_version", &out->version}, {"spt_plugin_input_error", &out->input_error}};
    for (size_t i = 0; i < sizeof symbols / sizeof symbols[0]; i++) {
        void *symbol = spt_library_symbol(library, symbols[i].name);
        if (symbol == NULL) {
            *out = (plugin_functions){0};
            return;
        }
        memcpy(symbols[i].target, &symbol, sizeof symbol);
    }
}

static void open_plugins(void) {
    spt_device device;
    for (int i = 0; i < N_PLUGINS && spt_device_detect(&device) == SPT_OK; i++)
        open_plugin(&plugins[i], plugin_values[i].name, device.isa);
}

/* NULL: not there. */
static const plugin_functions *plugin_of(const spt_point *point) {
    pthread_once(&plugins_once, open_plugins);
    const plugin_functions *plugin = &plugins[spt_point_value(axes, point, 0)];
    return plugin->run != NULL ? plugin : NULL;
}

static spt_status available(const spt_device *device) {
    (void)device;
    for (uint16_t i = 0; i < N_PLUGINS; i++) {
        if (plugin_of(&(spt_point){{i}}) != NULL)
            return SPT_OK;
    }
    return spt_fail(SPT_EUNSUPPORTED, "rival_plugin: no plug-in was found; tools/rivals.sh builds them");
}

static const char *library_version(const spt_point *point) {
    const plugin_functions *plugin = plugin_of(point);
    return plugin != NULL ? plugin->version() : "";
}

static double input_error(const spt_point *point) {
    const plugin_functions *plugin = plugin_of(point);
    return plugin != NULL ? *plugin->input_error : 0.0;
}

static double fma_scale(const spt_point *point) {
    return fma_scales[spt_point_value(axes, point, 0)];
}

static plugin_problem problem_of(const spt_workload *workload) {
    return (plugin_problem){.m = (int)workload->pattern.n_rows,
                            .k = (int)workload->pattern.n_cols,
                            .n = (int)workload->problem.n,
                            .is_nk = workload->problem.layout == SPT_NK,
                            .threads = workload->problem.threads};
}

static bool is_valid(const spt_workload *workload, const spt_device *device, const spt_point *point) {
    const spt_pattern *pattern = &workload->pattern;
    const plugin_functions *plugin = plugin_of(point);
    (void)device;
    if (plugin == NULL || pattern->nnz == 0 || pattern->nnz > INT_MAX || pattern->n_rows > INT_MAX ||
        pattern->n_cols > INT_MAX || workload->problem.n > INT_MAX)
        return false;
    const plugin_problem problem = problem_of(workload);
    return plugin->takes(&problem) != 0;
}

/* The first plug-in that takes the problem. */
static void default_point(const spt_workload *workload, const spt_device *device, spt_point *out) {
    *out = (spt_point){0};
    while (out->index[0] + 1 < N_PLUGINS && !is_valid(workload, device, out))
        out->index[0]++;
}

typedef struct plugin_state {
    const plugin_functions *plugin;
    void *handle;
    uint32_t *row_begin, *columns;
    float *values;
} plugin_state;

static void release(spt_prepared *prepared) {
    plugin_state *state = prepared->state;
    if (state == NULL)
        return;
    if (state->handle != NULL)
        state->plugin->destroy(state->handle);
    spt_free(state->row_begin);
    spt_free(state->columns);
    spt_free(state->values);
    spt_free(state);
    prepared->state = NULL;
}

static spt_status prepare(spt_prepared *prepared, const spt_csr *a) {
    const int64_t nnz = spt_csr_nnz(a);
    plugin_state *state;
    spt_status status = SPT_OK;
    SPT_TRY(SPT_NEW_ZEROED(state, 1));
    prepared->state = state;
    state->plugin = plugin_of(&prepared->point);
    SPT_TRY_TO(done, SPT_NEW(state->row_begin, a->n_rows + 1));
    SPT_TRY_TO(done, SPT_NEW(state->columns, nnz));
    SPT_TRY_TO(done, SPT_NEW(state->values, nnz));
    for (int64_t row = 0; row <= a->n_rows; row++)
        state->row_begin[row] = (uint32_t)a->row_offsets[row];
    for (int64_t nz = 0; nz < nnz; nz++)
        state->columns[nz] = (uint32_t)a->columns[nz];
    memcpy(state->values, a->values, (size_t)nnz * sizeof *state->values);
    plugin_problem problem = problem_of(&prepared->workload);
    problem.row_begin = state->row_begin;
    problem.columns = state->columns;
    problem.values = state->values;
    state->handle = state->plugin->create(&problem);
    if (state->handle == NULL)
        status = spt_fail(SPT_ECOMPILE, "%s does not take this matrix", state->plugin->version());
done:
    if (status != SPT_OK)
        release(prepared);
    return status;
}

static spt_status run_part(const spt_prepared *prepared, const spt_call *call, int part, int n_parts) {
    const plugin_state *state = prepared->state;
    (void)part;
    (void)n_parts;
    if (call->n != prepared->workload.problem.n)
        return spt_fail(SPT_EUNSUPPORTED, "rival_plugin: a rival is run with the planned n alone");
    const int error = state->plugin->run(state->handle, call->b, call->ldb, call->c, call->ldc);
    if (error != 0)
        return spt_fail(SPT_EUNSUPPORTED, "%s refused the product with %d", state->plugin->version(), error);
    spt_epilogue_apply_f32(prepared, call);
    return SPT_OK;
}

const spt_family spt_family_rival_plugin = {
    .name = "rival_plugin",
    .summary = "a library behind a plug-in: LIBXSMM, Eigen, oneDNN in narrower types",
    .op = SPT_SPMM,
    .device = SPT_CPU,
    .dtypes = SPT_DTYPE_BIT(SPT_F32),
    .axes = axes,
    .n_axes = 1,
    .revision = 1,
    .owns_threads = true,
    .available = available,
    .library_version = library_version,
    .input_error = input_error,
    .fma_scale = fma_scale,
    .is_valid = is_valid,
    .default_point = default_point,
    .bound_ns = spt_rival_bound_ns,
    .prepare = prepare,
    .set_values = spt_rival_set_values,
    .run_part = run_part,
    .release = release,
};
