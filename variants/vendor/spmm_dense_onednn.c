/* SPDX-License-Identifier: Apache-2.0 */
/* spmm_dense_onednn: ignore the zeros and call dnnl_sgemm of oneDNN, which generates its code for this CPU. On some
 * chips it is the fastest dense product there is. The library brings its own threads. */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "variants/epilogue.h"
#include "variants/vendor/dense.h"
#include "variants/vendor/library.h"

typedef int dnnl_sgemm_function(char trans_a, char trans_b, int64_t m, int64_t n, int64_t k, float alpha,
                                const float *a, int64_t lda, const float *b, int64_t ldb, float beta, float *c,
                                int64_t ldc);

typedef struct dnnl_version_numbers { /* the leading fields of dnnl_version_t */
    int major, minor, patch;
} dnnl_version_numbers;

static const char *const library_names[] = {"libdnnl.so.3", "libdnnl.so.2", NULL};
static dnnl_sgemm_function *sgemm; /* NULL: absent */
static char version_text[48];
static pthread_once_t library_once = PTHREAD_ONCE_INIT;

static void open_library(void) {
    typedef const dnnl_version_numbers *version_function(void);
    void *library = spt_library_open(library_names);
    void *symbol = spt_library_symbol(library, "dnnl_sgemm");
    memcpy(&sgemm, &symbol, sizeof sgemm);
    version_function *version = NULL;
    symbol = spt_library_symbol(library, "dnnl_version");
    memcpy(&version, &symbol, sizeof version);
    if (version != NULL)
        snprintf(version_text, sizeof version_text, "oneDNN %d.%d.%d", version()->major, version()->minor,
                 version()->patch);
}

static spt_status available(const spt_device *device) {
    (void)device;
    pthread_once(&library_once, open_library);
    if (sgemm == NULL)
        return spt_fail(SPT_EUNSUPPORTED, "spmm_dense_onednn: oneDNN was not found; libdnnl2 or libdnnl3 would do");
    return SPT_OK;
}

static const char *library_version(const spt_point *point) {
    (void)point;
    pthread_once(&library_once, open_library);
    return version_text;
}

static bool is_valid(const spt_workload *workload, const spt_device *device, const spt_point *point) {
    (void)point;
    return spt_dense_fits(workload) && available(device) == SPT_OK;
}

static spt_status run_part(const spt_prepared *prepared, const spt_call *call, int part, int n_parts) {
    (void)part;
    (void)n_parts;
    const float *a = spt_dense_matrix(prepared);
    const int64_t m = prepared->workload.pattern.n_rows, k = prepared->workload.pattern.n_cols, n = call->n;
    int result;
    if (prepared->workload.problem.layout == SPT_KN) /* C[m,n] = A[m,k] B[k,n] */
        result = sgemm('N', 'N', m, n, k, 1.0f, a, k, call->b, call->ldb, 0.0f, call->c, call->ldc);
    else /* C[n,m] = B[n,k] A[m,k]^T */
        result = sgemm('N', 'T', n, m, k, 1.0f, call->b, call->ldb, a, k, 0.0f, call->c, call->ldc);
    if (result != 0)
        return spt_fail(SPT_EINVAL, "spmm_dense_onednn: dnnl_sgemm refused the call with status %d", result);
    spt_epilogue_apply_f32(prepared, call);
    return SPT_OK;
}

const spt_family spt_family_spmm_dense_onednn = {
    .name = "spmm_dense_onednn",
    .summary = "dense sgemm of oneDNN where it is present",
    .op = SPT_SPMM,
    .device = SPT_CPU,
    .dtypes = SPT_DTYPE_BIT(SPT_F32),
    .revision = 1,
    .is_dense = true,
    .pads_zeros = true,
    .takes_residual = true,
    .owns_threads = true,
    .available = available,
    .library_version = library_version,
    .is_valid = is_valid,
    .default_point = spt_family_first_point,
    .bound_ns = spt_dense_bound_ns,
    .prepare = spt_dense_prepare,
    .set_values = spt_dense_set_values,
    .run_part = run_part,
    .release = spt_dense_release,
};
