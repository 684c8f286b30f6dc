/* SPDX-License-Identifier: Apache-2.0 */
/* LIBXSMM's packed sparse code, through a plug-in that tools/rivals.sh builds where the static library is installed.
 * Offered where the library's form fits without copies: layout kn, n a multiple of 16, contiguous rows, one thread. */
#include <pthread.h>
#include <string.h>

#include "core/memory.h"
#include "tuner/rivals/rivals.h"
#include "variants/epilogue.h"
#include "variants/vendor/library.h"

/* The plug-in's functions; see bench/plugin.h. */
typedef void *create_function(int m, int k, int n, const uint32_t *row_begin, const uint32_t *columns,
                              const float *values);
typedef void run_function(void *handle, const float *b, float *c);
typedef void destroy_function(void *handle);

static create_function *create;
static run_function *run;
static destroy_function *destroy;
static pthread_once_t plugin_once = PTHREAD_ONCE_INIT;

static void open_plugin(void) {
    static const char *const names[] = {"libsparsetune_rival_libxsmm.so", NULL};
    void *library = spt_library_open(names);
    void *symbol = spt_library_symbol(library, "spt_plugin_create_kernel");
    memcpy(&create, &symbol, sizeof symbol);
    symbol = spt_library_symbol(library, "spt_plugin_run_kernel");
    memcpy(&run, &symbol, sizeof symbol);
    symbol = spt_library_symbol(library, "spt_plugin_destroy_kernel");
    memcpy(&destroy, &symbol, sizeof symbol);
}

typedef struct libxsmm_state {
    void *handle;
    uint32_t *row_begin, *columns;
    float *values;
} libxsmm_state;

static spt_status available(const spt_device *device) {
    (void)device;
    pthread_once(&plugin_once, open_plugin);
    if (create == NULL || run == NULL || destroy == NULL)
        return spt_fail(SPT_EUNSUPPORTED, "libxsmm: the plug-in was not found; tools/rivals.sh builds it");
    return SPT_OK;
}

static bool is_valid(const spt_workload *workload, const spt_device *device, const spt_point *point) {
    (void)device;
    (void)point;
    return workload->problem.layout == SPT_KN && workload->problem.n % 16 == 0 && workload->problem.threads == 1 &&
           workload->pattern.nnz > 0 && workload->pattern.nnz < INT32_MAX;
}

static void release(spt_prepared *prepared) {
    libxsmm_state *state = prepared->state;
    if (state == NULL)
        return;
    if (state->handle != NULL)
        destroy(state->handle);
    spt_free(state->row_begin);
    spt_free(state->columns);
    spt_free(state->values);
    spt_free(state);
    prepared->state = NULL;
}

static spt_status prepare(spt_prepared *prepared, const spt_csr *a) {
    const int64_t nnz = spt_csr_nnz(a);
    libxsmm_state *state;
    spt_status status = SPT_OK;
    SPT_TRY(SPT_NEW_ZEROED(state, 1));
    prepared->state = state;
    SPT_TRY_TO(done, SPT_NEW(state->row_begin, a->n_rows + 1));
    SPT_TRY_TO(done, SPT_NEW(state->columns, nnz));
    SPT_TRY_TO(done, SPT_NEW(state->values, nnz));
    for (int64_t row = 0; row <= a->n_rows; row++)
        state->row_begin[row] = (uint32_t)a->row_offsets[row];
    for (int64_t nz = 0; nz < nnz; nz++)
        state->columns[nz] = (uint32_t)a->columns[nz];
    memcpy(state->values, a->values, (size_t)nnz * sizeof *state->values);
    state->handle = create((int)a->n_rows, (int)a->n_cols, (int)prepared->workload.problem.n, state->row_begin,
                           state->columns, state->values);
    if (state->handle == NULL)
        status = spt_fail(SPT_ECOMPILE, "libxsmm: no code for this matrix");
done:
    if (status != SPT_OK)
        release(prepared);
    return status;
}

static spt_status set_values(spt_prepared *prepared, const void *values) {
    (void)prepared;
    (void)values;
    return spt_fail(SPT_EUNSUPPORTED, "libxsmm: a rival keeps its values");
}

static spt_status run_part(const spt_prepared *prepared, const spt_call *call, int part, int n_parts) {
    const libxsmm_state *state = prepared->state;
    const int64_t n = prepared->workload.problem.n;
    (void)part;
    (void)n_parts;
    if (call->n != n || call->ldb != n || call->ldc != n)
        return spt_fail(SPT_EUNSUPPORTED, "libxsmm: expected contiguous rows of the planned n");
    run(state->handle, call->b, call->c);
    spt_epilogue_apply_f32(prepared, call);
    return SPT_OK;
}

const spt_family spt_family_rival_libxsmm = {
    .name = "rival_libxsmm",
    .summary = "LIBXSMM, generated code for a pattern and packed columns",
    .op = SPT_SPMM,
    .device = SPT_CPU,
    .dtypes = SPT_DTYPE_BIT(SPT_F32),
    .revision = 1,
    .owns_threads = true,
    .available = available,
    .is_valid = is_valid,
    .default_point = spt_rival_default_point,
    .bound_ns = spt_rival_bound_ns,
    .prepare = prepare,
    .set_values = set_values,
    .run_part = run_part,
    .release = release,
};
