/* SPDX-License-Identifier: Apache-2.0 */
/* spmm_dense_blas: ignore the zeros and call sgemm of a CBLAS library, which is an axis. The honest rival of every
 * sparse kernel, and the right answer for dense patterns. The library brings its own threads; its settings are not
 * touched. */
#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "variants/epilogue.h"
#include "variants/vendor/dense.h"
#include "variants/vendor/library.h"

enum { AXIS_LIB, N_AXES };
enum { LIB_OPENBLAS, LIB_MKL, LIB_BLIS, N_LIBRARIES };
enum { ROW_MAJOR = 101, NO_TRANS = 111, TRANS = 112 }; /* of the CBLAS interface */

typedef void sgemm_function(int order, int trans_a, int trans_b, int m, int n, int k, float alpha, const float *a,
                            int lda, const float *b, int ldb, float beta, float *c, int ldc);

typedef struct blas_library {
    const char *const names[4]; /* candidates, NULL-terminated */
    const char *version_symbol; /* a function without arguments that gives a text; NULL: none */
    sgemm_function *sgemm;      /* NULL: absent */
    char version[96];
} blas_library;

static blas_library libraries[N_LIBRARIES] = {
    [LIB_OPENBLAS] = {.names = {"libopenblas.so.0", "libopenblas.so"}, .version_symbol = "openblas_get_config"},
    [LIB_MKL] = {.names = {"libmkl_rt.so.3", "libmkl_rt.so.2", "libmkl_rt.so.1"}},
    [LIB_BLIS] = {.names = {"libblis.so.4", "libblis.so.3"}, .version_symbol = "bli_info_get_version_str"},
};
static pthread_once_t libraries_once = PTHREAD_ONCE_INIT;

static const spt_axis_value lib_values[] = {{LIB_OPENBLAS, "openblas"}, {LIB_MKL, "mkl"}, {LIB_BLIS, "blis"}};
static const spt_axis axes[N_AXES] = {[AXIS_LIB] = {"lib", "the CBLAS library", lib_values, N_LIBRARIES}};

/* The version text with the core type behind it, where the library tells one. */
static void read_version(blas_library *library, void *handle) {
    typedef const char *text_function(void);
    text_function *version = NULL, *core = NULL;
    void *symbol = library->version_symbol != NULL ? spt_library_symbol(handle, library->version_symbol) : NULL;
    memcpy(&version, &symbol, sizeof version);
    symbol = spt_library_symbol(handle, "openblas_get_corename");
    memcpy(&core, &symbol, sizeof core);
    snprintf(library->version, sizeof library->version, "%.70s%s%.18s", version != NULL ? version() : "",
             core != NULL ? " core " : "", core != NULL ? core() : "");
}

static void open_libraries(void) {
    for (int i = 0; i < N_LIBRARIES; i++) {
        void *handle = spt_library_open(libraries[i].names);
        void *symbol = spt_library_symbol(handle, "cblas_sgemm");
        memcpy(&libraries[i].sgemm, &symbol, sizeof libraries[i].sgemm);
        if (libraries[i].sgemm != NULL)
            read_version(&libraries[i], handle);
    }
}

static const blas_library *library_of(const spt_point *point) {
    pthread_once(&libraries_once, open_libraries);
    return &libraries[spt_point_value(axes, point, AXIS_LIB)];
}

static spt_status available(const spt_device *device) {
    (void)device;
    for (uint16_t i = 0; i < N_LIBRARIES; i++) {
        if (library_of(&(spt_point){{i}})->sgemm != NULL)
            return SPT_OK;
    }
    return spt_fail(SPT_EUNSUPPORTED,
                    "spmm_dense_blas: no CBLAS library was found; libopenblas0, MKL or BLIS would do");
}

static const char *library_version(const spt_point *point) {
    return library_of(point)->version;
}

static bool is_valid(const spt_workload *workload, const spt_device *device, const spt_point *point) {
    (void)device;
    return spt_dense_fits(workload) && library_of(point)->sgemm != NULL;
}

static void default_point(const spt_workload *workload, const spt_device *device, spt_point *out) {
    (void)workload;
    (void)device;
    *out = (spt_point){0};
    while (out->index[AXIS_LIB] + 1 < N_LIBRARIES && library_of(out)->sgemm == NULL)
        out->index[AXIS_LIB]++;
}

static spt_status run_part(const spt_prepared *prepared, const spt_call *call, int part, int n_parts) {
    (void)part;
    (void)n_parts;
    if (call->ldb > INT_MAX || call->ldc > INT_MAX)
        return spt_fail(SPT_EINVAL,
                        "spmm_dense_blas: expected leading dimensions of at most %d, found %" PRId64 " and %" PRId64,
                        INT_MAX, call->ldb, call->ldc);
    sgemm_function *sgemm = library_of(&prepared->point)->sgemm;
    const float *a = spt_dense_matrix(prepared);
    const int m = (int)prepared->workload.pattern.n_rows, k = (int)prepared->workload.pattern.n_cols;
    const int n = (int)call->n, ldb = (int)call->ldb, ldc = (int)call->ldc;
    if (prepared->workload.problem.layout == SPT_KN) /* C[m,n] = A[m,k] B[k,n] */
        sgemm(ROW_MAJOR, NO_TRANS, NO_TRANS, m, n, k, 1.0f, a, k, call->b, ldb, 0.0f, call->c, ldc);
    else /* C[n,m] = B[n,k] A[m,k]^T */
        sgemm(ROW_MAJOR, NO_TRANS, TRANS, n, m, k, 1.0f, call->b, ldb, a, k, 0.0f, call->c, ldc);
    spt_epilogue_apply_f32(prepared, call);
    return SPT_OK;
}

const spt_family spt_family_spmm_dense_blas = {
    .name = "spmm_dense_blas",
    .summary = "dense sgemm of a CBLAS library that is present",
    .op = SPT_SPMM,
    .device = SPT_CPU,
    .dtypes = SPT_DTYPE_BIT(SPT_F32),
    .axes = axes,
    .n_axes = N_AXES,
    .revision = 1,
    .is_dense = true,
    .pads_zeros = true,
    .owns_threads = true,
    .available = available,
    .library_version = library_version,
    .is_valid = is_valid,
    .default_point = default_point,
    .bound_ns = spt_dense_bound_ns,
    .prepare = spt_dense_prepare,
    .set_values = spt_dense_set_values,
    .run_part = run_part,
    .release = spt_dense_release,
};
