/* SPDX-License-Identifier: Apache-2.0 */
/* Intel MKL's sparse BLAS, inspector-executor: create a CSR handle, hint the product, optimise, then multiply. Layout
 * kn is row-major to MKL, nk column-major; n = 1 is a matrix-vector product. Opened at run time. */
#include <limits.h>
#include <pthread.h>
#include <string.h>

#include "core/memory.h"
#include "tuner/rivals/rivals.h"
#include "variants/epilogue.h"
#include "variants/vendor/library.h"

/* Constants of mkl_spblas.h. */
enum { INDEX_BASE_ZERO = 0, NON_TRANSPOSE = 10, GENERAL = 20, ROW_MAJOR = 101, COLUMN_MAJOR = 102, CALLS = 100000 };

typedef struct matrix_descr {
    int type, mode, diag;
} matrix_descr;

typedef int create_csr_function(void **handle, int base, int rows, int cols, int *begin, int *end, int *columns,
                                float *values);
typedef int set_mm_hint_function(void *handle, int operation, matrix_descr descr, int layout, int n, int calls);
typedef int set_mv_hint_function(void *handle, int operation, matrix_descr descr, int calls);
typedef int handle_function(void *handle);
typedef int mm_function(int operation, float alpha, void *handle, matrix_descr descr, int layout, const float *b, int n,
                        int ldb, float beta, float *c, int ldc);
typedef void version_function(char *text, int capacity);
typedef int mv_function(int operation, float alpha, void *handle, matrix_descr descr, const float *x, float beta,
                        float *y);

static struct {
    create_csr_function *create_csr;
    set_mm_hint_function *set_mm_hint;
    set_mv_hint_function *set_mv_hint;
    handle_function *optimize, *destroy;
    mm_function *mm;
    mv_function *mv;
    version_function *version; /* may be absent */
} mkl;
static char version_text[200];
static pthread_once_t mkl_once = PTHREAD_ONCE_INIT;

static void open_mkl(void) {
    static const char *const names[] = {"libmkl_rt.so.3", "libmkl_rt.so.2", "libmkl_rt.so.1", "libmkl_rt.so", NULL};
    void *library = spt_library_open(names);
    const struct {
        const char *name;
        void *target;
    } symbols[] = {
        {"mkl_sparse_s_create_csr", &mkl.create_csr},
        {"mkl_sparse_set_mm_hint", &mkl.set_mm_hint},
        {"mkl_sparse_set_mv_hint", &mkl.set_mv_hint},
        {"mkl_sparse_optimize", &mkl.optimize},
        {"mkl_sparse_destroy", &mkl.destroy},
        {"mkl_sparse_s_mv", &mkl.mv},
        {"mkl_sparse_s_mm", &mkl.mm},
        {"MKL_Get_Version_String", &mkl.version},
    };
    for (size_t i = 0; i < sizeof symbols / sizeof symbols[0]; i++) {
        void *symbol = spt_library_symbol(library, symbols[i].name);
        memcpy(symbols[i].target, &symbol, sizeof symbol);
    }
}

typedef struct mkl_state {
    void *handle;
    int *begin, *columns; /* MKL keeps pointers into them */
    float *values;
} mkl_state;

static spt_status available(const spt_device *device) {
    (void)device;
    pthread_once(&mkl_once, open_mkl);
    if (mkl.mm == NULL || mkl.create_csr == NULL || mkl.optimize == NULL || mkl.mv == NULL)
        return spt_fail(SPT_EUNSUPPORTED, "mkl_sparse: libmkl_rt was not found");
    return SPT_OK;
}

static const char *library_version(const spt_point *point) {
    (void)point;
    pthread_once(&mkl_once, open_mkl);
    if (mkl.version != NULL && version_text[0] == '\0')
        mkl.version(version_text, (int)sizeof version_text - 1);
    return version_text;
}

static bool is_valid(const spt_workload *workload, const spt_device *device, const spt_point *point) {
    (void)device;
    (void)point;
    return workload->pattern.nnz > 0 && workload->pattern.nnz < INT_MAX;
}

static void release(spt_prepared *prepared) {
    mkl_state *state = prepared->state;
    if (state == NULL)
        return;
    if (state->handle != NULL)
        mkl.destroy(state->handle);
    spt_free(state->begin);
    spt_free(state->columns);
    spt_free(state->values);
    spt_free(state);
    prepared->state = NULL;
}

static spt_status optimise(mkl_state *state, const spt_problem *problem, const spt_csr *a) {
    const matrix_descr general = {GENERAL, 0, 0};
    if (mkl.create_csr(&state->handle, INDEX_BASE_ZERO, (int)a->n_rows, (int)a->n_cols, state->begin, state->begin + 1,
                       state->columns, state->values) != 0)
        return spt_fail(SPT_ECOMPILE, "mkl_sparse: the matrix was refused");
    if (problem->n == 1)
        mkl.set_mv_hint(state->handle, NON_TRANSPOSE, general, CALLS);
    else
        mkl.set_mm_hint(state->handle, NON_TRANSPOSE, general, problem->layout == SPT_KN ? ROW_MAJOR : COLUMN_MAJOR,
                        (int)problem->n, CALLS);
    if (mkl.optimize(state->handle) != 0)
        return spt_fail(SPT_ECOMPILE, "mkl_sparse: optimising was refused");
    return SPT_OK;
}

static spt_status prepare(spt_prepared *prepared, const spt_csr *a) {
    const int64_t nnz = spt_csr_nnz(a);
    mkl_state *state;
    spt_status status = SPT_OK;
    SPT_TRY(SPT_NEW_ZEROED(state, 1));
    prepared->state = state;
    SPT_TRY_TO(done, SPT_NEW(state->begin, a->n_rows + 1));
    SPT_TRY_TO(done, SPT_NEW(state->columns, nnz));
    SPT_TRY_TO(done, SPT_NEW(state->values, nnz));
    for (int64_t row = 0; row <= a->n_rows; row++)
        state->begin[row] = (int)a->row_offsets[row];
    memcpy(state->columns, a->columns, (size_t)nnz * sizeof *state->columns);
    memcpy(state->values, a->values, (size_t)nnz * sizeof *state->values);
    SPT_TRY_TO(done, optimise(state, &prepared->workload.problem, a));
done:
    if (status != SPT_OK)
        release(prepared);
    return status;
}

static spt_status run_part(const spt_prepared *prepared, const spt_call *call, int part, int n_parts) {
    const mkl_state *state = prepared->state;
    const spt_problem *problem = &prepared->workload.problem;
    const matrix_descr general = {GENERAL, 0, 0};
    const bool is_vector = call->n == 1 && (problem->layout == SPT_NK || (call->ldb == 1 && call->ldc == 1));
    (void)part;
    (void)n_parts;
    const int error = is_vector ? mkl.mv(NON_TRANSPOSE, 1.0f, state->handle, general, call->b, 0.0f, call->c)
                                : mkl.mm(NON_TRANSPOSE, 1.0f, state->handle, general,
                                         problem->layout == SPT_KN ? ROW_MAJOR : COLUMN_MAJOR, call->b, (int)call->n,
                                         (int)call->ldb, 0.0f, call->c, (int)call->ldc);
    if (error != 0)
        return spt_fail(SPT_EUNSUPPORTED, "mkl_sparse: the product was refused with %d", error);
    spt_epilogue_apply_f32(prepared, call);
    return SPT_OK;
}

const spt_family spt_family_rival_mkl_sparse = {
    .name = "rival_mkl_sparse",
    .summary = "Intel MKL, sparse BLAS, inspector-executor",
    .op = SPT_SPMM,
    .device = SPT_CPU,
    .dtypes = SPT_DTYPE_BIT(SPT_F32),
    .revision = 1,
    .owns_threads = true,
    .available = available,
    .library_version = library_version,
    .is_valid = is_valid,
    .default_point = spt_family_first_point,
    .bound_ns = spt_rival_bound_ns,
    .prepare = prepare,
    .set_values = spt_rival_set_values,
    .run_part = run_part,
    .release = release,
};
