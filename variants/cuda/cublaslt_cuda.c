/* SPDX-License-Identifier: Apache-2.0 */
/* Dense products through cuBLASLt, which is column-major. D and its factors there, with W = A row-major m x k:
 *
 *   kn:  D (n x m, ld ldc) = B (n x k, ld ldb) W (k x m, ld k)        the transpose of C = A B
 *   nk:  D (m x n, ld ldc) = W' (k x m, ld k)  B (k x n, ld ldb)
 *
 * What the planned call needs is found once; another n, leading dimension or alignment is looked up for that call. */
#include <cublasLt.h>

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "core/memory.h"
#include "variants/cuda/device.h"
#include "variants/cuda/vendor.h"

enum { RANKS_MAX = 8, ALIGNMENT_MAX = 256 };

static struct {
    __typeof__(cublasLtCreate) *create;
    __typeof__(cublasLtDestroy) *destroy;
    __typeof__(cublasLtGetVersion) *version;
    __typeof__(cublasLtGetStatusString) *words;
    __typeof__(cublasLtMatmul) *matmul;
    __typeof__(cublasLtMatmulDescCreate) *desc_create;
    __typeof__(cublasLtMatmulDescDestroy) *desc_destroy;
    __typeof__(cublasLtMatmulDescSetAttribute) *desc_set;
    __typeof__(cublasLtMatrixLayoutCreate) *layout_create;
    __typeof__(cublasLtMatrixLayoutDestroy) *layout_destroy;
    __typeof__(cublasLtMatmulPreferenceCreate) *preference_create;
    __typeof__(cublasLtMatmulPreferenceDestroy) *preference_destroy;
    __typeof__(cublasLtMatmulPreferenceSetAttribute) *preference_set;
    __typeof__(cublasLtMatmulAlgoGetHeuristic) *heuristic;
} lt;
static bool is_loaded;
static char version_text[48];
static pthread_once_t lt_once = PTHREAD_ONCE_INIT;

static void open_library(void) {
    static const char *const names[] = {"libcublasLt.so.13", "libcublasLt.so.12", "libcublasLt.so", NULL};
    const spt_cuda_symbol symbols[] = {
        {"cublasLtCreate", &lt.create},
        {"cublasLtDestroy", &lt.destroy},
        {"cublasLtGetVersion", &lt.version},
        {"cublasLtGetStatusString", &lt.words},
        {"cublasLtMatmul", &lt.matmul},
        {"cublasLtMatmulDescCreate", &lt.desc_create},
        {"cublasLtMatmulDescDestroy", &lt.desc_destroy},
        {"cublasLtMatmulDescSetAttribute", &lt.desc_set},
        {"cublasLtMatrixLayoutCreate", &lt.layout_create},
        {"cublasLtMatrixLayoutDestroy", &lt.layout_destroy},
        {"cublasLtMatmulPreferenceCreate", &lt.preference_create},
        {"cublasLtMatmulPreferenceDestroy", &lt.preference_destroy},
        {"cublasLtMatmulPreferenceSetAttribute", &lt.preference_set},
        {"cublasLtMatmulAlgoGetHeuristic", &lt.heuristic},
    };
    is_loaded = spt_cuda_load(names, symbols, (int)(sizeof symbols / sizeof symbols[0]));
    if (is_loaded)
        snprintf(version_text, sizeof version_text, "cuBLASLt %zu", lt.version());
}

spt_status spt_cublaslt_available(const spt_device *device) {
    SPT_TRY(spt_cuda_available(device));
    pthread_once(&lt_once, open_library);
    return is_loaded ? SPT_OK : spt_fail(SPT_EUNSUPPORTED, "cuBLASLt was not found");
}

const char *spt_cublaslt_version(void) {
    pthread_once(&lt_once, open_library);
    return version_text;
}

static spt_status check(cublasStatus_t status, const char *what) {
    if (status == CUBLAS_STATUS_SUCCESS)
        return SPT_OK;
    return spt_fail(status == CUBLAS_STATUS_NOT_SUPPORTED ? SPT_EUNSUPPORTED : SPT_EIO, "cuBLASLt: %s: %s", what,
                    lt.words(status));
}

/* One product as cuBLASLt wants it. */
typedef struct product {
    cublasLtMatmulDesc_t desc;
    cublasLtMatrixLayout_t left, right, result;
    cublasLtMatmulHeuristicResult_t found;
    int64_t n, ldb, ldc;
    uint32_t alignment; /* of all operands, in bytes */
} product;

typedef struct lt_state {
    cublasLtHandle_t handle;
    product planned;
    int rank;
    bool uses_tf32;
} lt_state;

static void product_fini(product *self) {
    if (self->desc != NULL)
        lt.desc_destroy(self->desc);
    if (self->left != NULL)
        lt.layout_destroy(self->left);
    if (self->right != NULL)
        lt.layout_destroy(self->right);
    if (self->result != NULL)
        lt.layout_destroy(self->result);
    *self = (product){0};
}

static cudaDataType type_of(spt_dtype dtype) {
    return dtype == SPT_F32 || dtype == SPT_TF32 ? CUDA_R_32F : dtype == SPT_F16 ? CUDA_R_16F : CUDA_R_16BF;
}

static spt_status describe(product *self, const spt_prepared *prepared, bool uses_tf32) {
    const spt_problem *problem = &prepared->workload.problem;
    const cudaDataType type = type_of(problem->dtype);
    const uint64_t m = (uint64_t)prepared->workload.pattern.n_rows, k = (uint64_t)prepared->workload.pattern.n_cols;
    const uint64_t n = (uint64_t)self->n;
    const cublasComputeType_t compute = uses_tf32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F;
    const cublasOperation_t transposed = CUBLAS_OP_T;
    SPT_TRY(check(lt.desc_create(&self->desc, compute, CUDA_R_32F), "a description"));
    if (problem->layout == SPT_KN) {
        SPT_TRY(check(lt.layout_create(&self->left, type, n, k, self->ldb), "a layout"));
        SPT_TRY(check(lt.layout_create(&self->right, type, k, m, (int64_t)k), "a layout"));
        return check(lt.layout_create(&self->result, type, n, m, self->ldc), "a layout");
    }
    SPT_TRY(
        check(lt.desc_set(self->desc, CUBLASLT_MATMUL_DESC_TRANSA, &transposed, sizeof transposed), "a description"));
    SPT_TRY(check(lt.layout_create(&self->left, type, k, m, (int64_t)k), "a layout"));
    SPT_TRY(check(lt.layout_create(&self->right, type, k, n, self->ldb), "a layout"));
    return check(lt.layout_create(&self->result, type, m, n, self->ldc), "a layout");
}

/* The algorithm at `rank` of cuBLASLt's list, or its last one for a product that the point was not tuned for. */
static spt_status choose(product *self, const lt_state *state, bool is_planned) {
    cublasLtMatmulPreference_t preference = NULL;
    cublasLtMatmulHeuristicResult_t results[RANKS_MAX];
    const size_t workspace = SPT_CUDA_VENDOR_WORKSPACE;
    const cublasLtMatmulPreferenceAttributes_t alignments[] = {
        CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
        CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES};
    int count = 0;
    SPT_TRY(check(lt.preference_create(&preference), "a preference"));
    cublasStatus_t status =
        lt.preference_set(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &workspace, sizeof workspace);
    for (int i = 0; i < 4 && status == CUBLAS_STATUS_SUCCESS; i++)
        status = lt.preference_set(preference, alignments[i], &self->alignment, sizeof self->alignment);
    if (status == CUBLAS_STATUS_SUCCESS)
        status = lt.heuristic(state->handle, self->desc, self->left, self->right, self->result, self->result,
                              preference, RANKS_MAX, results, &count);
    lt.preference_destroy(preference);
    SPT_TRY(check(status, "no algorithm for this product"));
    if (count == 0 || (is_planned && state->rank >= count))
        return spt_fail(SPT_EUNSUPPORTED, "cuBLASLt: expected %d algorithms for this product, found %d",
                        state->rank + 1, count);
    self->found = results[state->rank < count ? state->rank : count - 1];
    return check(self->found.state, "an algorithm");
}

static spt_status product_init(product *self, const spt_prepared *prepared, const lt_state *state, bool is_planned) {
    spt_status status = describe(self, prepared, state->uses_tf32);
    if (status == SPT_OK)
        status = choose(self, state, is_planned);
    if (status != SPT_OK)
        product_fini(self);
    return status;
}

spt_status spt_cublaslt_open(spt_prepared *prepared, int rank, bool uses_tf32) {
    const spt_problem *problem = &prepared->workload.problem;
    const bool is_nk = problem->layout == SPT_NK;
    lt_state *state;
    SPT_TRY(SPT_NEW_ZEROED(state, 1));
    *spt_cuda_library_state(prepared) = state;
    state->rank = rank;
    state->uses_tf32 = uses_tf32;
    state->planned = (product){.n = problem->n,
                               .ldb = is_nk ? prepared->workload.pattern.n_cols : problem->n,
                               .ldc = is_nk ? prepared->workload.pattern.n_rows : problem->n,
                               .alignment = ALIGNMENT_MAX};
    SPT_TRY(check(lt.create(&state->handle), "no handle"));
    return product_init(&state->planned, prepared, state, true);
}

static spt_status multiply(const lt_state *state, const product *self, const spt_prepared *prepared,
                           const spt_call *call) {
    const float one = 1.0f, zero = 0.0f;
    const void *weights = spt_cuda_buffer_at(prepared, 0);
    const bool is_nk = prepared->workload.problem.layout == SPT_NK;
    return check(lt.matmul(state->handle, self->desc, &one, is_nk ? weights : call->b, self->left,
                           is_nk ? call->b : weights, self->right, &zero, call->c, self->result, call->c, self->result,
                           &self->found.algo, call->workspace, SPT_CUDA_VENDOR_WORKSPACE, call->stream),
                 "the product");
}

/* The largest power of two, up to ALIGNMENT_MAX, that divides both addresses. */
static uint32_t alignment_of(const spt_call *call) {
    const uintptr_t bits = (uintptr_t)call->b | (uintptr_t)call->c | ALIGNMENT_MAX;
    return (uint32_t)(bits & (~bits + 1));
}

spt_status spt_cublaslt_run(const spt_prepared *prepared, const spt_call *call) {
    const lt_state *state = *spt_cuda_library_state(prepared);
    const product *planned = &state->planned;
    product other = {.n = call->n, .ldb = call->ldb, .ldc = call->ldc, .alignment = alignment_of(call)};
    if (planned->n == other.n && planned->ldb == other.ldb && planned->ldc == other.ldc &&
        planned->alignment == other.alignment)
        return multiply(state, planned, prepared, call);
    SPT_TRY(product_init(&other, prepared, state, false));
    const spt_status status = multiply(state, &other, prepared, call);
    product_fini(&other);
    return status;
}

spt_status spt_cublaslt_once(const spt_prepared *prepared, const spt_call *call) {
    lt_state state = {0};
    product once = {.n = call->n, .ldb = call->ldb, .ldc = call->ldc, .alignment = alignment_of(call)};
    SPT_TRY(check(lt.create(&state.handle), "no handle"));
    spt_status status = product_init(&once, prepared, &state, false);
    if (status == SPT_OK)
        status = multiply(&state, &once, prepared, call);
    if (status == SPT_OK)
        status = spt_cuda_synchronize(call->stream);
    product_fini(&once);
    lt.destroy(state.handle);
    return status;
}

void spt_cublaslt_close(spt_prepared *prepared) {
    lt_state *state = *spt_cuda_library_state(prepared);
    product_fini(&state->planned);
    if (state->handle != NULL)
        lt.destroy(state->handle);
    spt_free(state);
    *spt_cuda_library_state(prepared) = NULL;
}
