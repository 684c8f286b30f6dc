/* SPDX-License-Identifier: Apache-2.0 */
/* 2:4 products through cuSPARSELt. A is compressed once per plan and again after new values; a plan of the library is
 * for one n and one pair of leading dimensions, others are made for their call. A rounds nothing away: the family asks
 * for patterns that are 2:4 already. */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "core/memory.h"
#include "variants/cuda/cusparselt_abi.h"
#include "variants/cuda/device.h"
#include "variants/cuda/vendor.h"

static struct {
    lt_init *init;
    lt_destroy *destroy, *matrix_destroy, *plan_destroy;
    lt_get_property *property;
    lt_dense_init *dense_init;
    lt_structured_init *structured_init;
    lt_matmul_init *matmul_init;
    lt_selection_init *selection_init;
    lt_selection_set *selection_set;
    lt_selection_get *selection_get;
    lt_plan_init *plan_init;
    lt_get_workspace *workspace;
    lt_compressed_size *compressed_size;
    lt_compress *compress;
    lt_matmul *matmul;
} lt;
static bool is_loaded;
static int compute_32f; /* its number changed with the enumeration in front of it */
static char version_text[48];
static pthread_once_t lt_once = PTHREAD_ONCE_INIT;

static void open_library(void) {
    static const char *const names[] = {"libcusparseLt.so.0", "libcusparseLt.so", NULL};
    const spt_cuda_symbol symbols[] = {
        {"cusparseLtInit", &lt.init},
        {"cusparseLtDestroy", &lt.destroy},
        {"cusparseLtMatDescriptorDestroy", &lt.matrix_destroy},
        {"cusparseLtMatmulPlanDestroy", &lt.plan_destroy},
        {"cusparseLtGetProperty", &lt.property},
        {"cusparseLtDenseDescriptorInit", &lt.dense_init},
        {"cusparseLtStructuredDescriptorInit", &lt.structured_init},
        {"cusparseLtMatmulDescriptorInit", &lt.matmul_init},
        {"cusparseLtMatmulAlgSelectionInit", &lt.selection_init},
        {"cusparseLtMatmulAlgSetAttribute", &lt.selection_set},
        {"cusparseLtMatmulAlgGetAttribute", &lt.selection_get},
        {"cusparseLtMatmulPlanInit", &lt.plan_init},
        {"cusparseLtMatmulGetWorkspace", &lt.workspace},
        {"cusparseLtSpMMACompressedSize", &lt.compressed_size},
        {"cusparseLtSpMMACompress", &lt.compress},
        {"cusparseLtMatmul", &lt.matmul},
    };
    int part[3] = {0};
    is_loaded = spt_cuda_load(names, symbols, (int)(sizeof symbols / sizeof symbols[0]));
    if (!is_loaded)
        return;
    lt.property(MAJOR_VERSION, &part[0]);
    lt.property(MINOR_VERSION, &part[1]);
    lt.property(PATCH_LEVEL, &part[2]);
    is_loaded = part[0] == 0 && part[1] >= 6; /* CUSPARSE_COMPUTE_32I, _16F, _32F since then */
    compute_32f = 2;
    snprintf(version_text, sizeof version_text, "cuSPARSELt %d.%d.%d", part[0], part[1], part[2]);
}

spt_status spt_cusparselt_available(const spt_device *device) {
    SPT_TRY(spt_cublaslt_available(device)); /* it takes what this library does not */
    pthread_once(&lt_once, open_library);
    return is_loaded ? SPT_OK
                     : spt_fail(SPT_EUNSUPPORTED, "cuSPARSELt%s%s", version_text[0] != '\0' ? " 0.6 or later" : "",
                                version_text[0] != '\0' ? " is expected" : " was not found");
}

const char *spt_cusparselt_version(void) {
    pthread_once(&lt_once, open_library);
    return version_text;
}

static spt_status check(cusparseStatus_t status, const char *what) {
    if (status == CUSPARSE_STATUS_SUCCESS)
        return SPT_OK;
    const bool is_refusal = status == CUSPARSE_STATUS_NOT_SUPPORTED || status == CUSPARSE_STATUS_INVALID_VALUE;
    return spt_fail(is_refusal ? SPT_EUNSUPPORTED : SPT_EIO, "cuSPARSELt: %s: status %d", what, (int)status);
}

/* One product as cuSPARSELt wants it; the objects point at each other, so it stays where it is. */
typedef struct product {
    lt_opaque a, b, c, matmul, selection, plan;
    int n_matrices;
    bool has_plan;
    int64_t n, ldb, ldc;
} product;

typedef struct lt_state {
    lt_opaque handle;
    bool has_handle;
    int algorithm, split;
    bool two_kernels;
    product planned;
    void *compressed, *scratch;
} lt_state;

static void product_fini(product *self) {
    const lt_opaque *matrices[] = {&self->a, &self->b, &self->c};
    if (self->has_plan)
        lt.plan_destroy(&self->plan);
    for (int i = 0; i < self->n_matrices; i++)
        lt.matrix_destroy(matrices[i]);
    self->has_plan = false;
    self->n_matrices = 0;
}

static spt_status describe(product *self, const lt_state *state, const spt_prepared *prepared) {
    const spt_problem *problem = &prepared->workload.problem;
    const cudaDataType type = problem->dtype == SPT_F16 ? CUDA_R_16F : CUDA_R_16BF;
    const cusparseOrder_t order = problem->layout == SPT_KN ? CUSPARSE_ORDER_ROW : CUSPARSE_ORDER_COL;
    const cusparseOperation_t plain = CUSPARSE_OPERATION_NON_TRANSPOSE;
    const int64_t m = prepared->workload.pattern.n_rows, k = prepared->workload.pattern.n_cols;
    SPT_TRY(check(
        lt.structured_init(&state->handle, &self->a, m, k, k, 16, type, CUSPARSE_ORDER_ROW, LT_SPARSITY_50_PERCENT),
        "the sparse matrix"));
    self->n_matrices = 1;
    SPT_TRY(check(lt.dense_init(&state->handle, &self->b, k, self->n, self->ldb, 16, type, order), "matrix B"));
    self->n_matrices = 2;
    SPT_TRY(check(lt.dense_init(&state->handle, &self->c, m, self->n, self->ldc, 16, type, order), "matrix C"));
    self->n_matrices = 3;
    return check(lt.matmul_init(&state->handle, &self->matmul, plain, plain, &self->a, &self->b, &self->c, &self->c,
                                compute_32f),
                 "the product");
}

static spt_status choose(product *self, const lt_state *state) {
    const int mode = state->two_kernels ? LT_TWO_KERNELS : LT_ONE_KERNEL;
    int n_algorithms = 0;
    SPT_TRY(
        check(lt.selection_init(&state->handle, &self->selection, &self->matmul, LT_ALGORITHM_DEFAULT), "a choice"));
    SPT_TRY(
        check(lt.selection_get(&state->handle, &self->selection, LT_CONFIG_MAX_ID, &n_algorithms, sizeof n_algorithms),
              "the number of algorithms"));
    if (state->algorithm >= n_algorithms)
        return spt_fail(SPT_EUNSUPPORTED, "cuSPARSELt: expected an algorithm below %d, found %d", n_algorithms,
                        state->algorithm);
    SPT_TRY(check(
        lt.selection_set(&state->handle, &self->selection, LT_CONFIG_ID, &state->algorithm, sizeof state->algorithm),
        "the algorithm"));
    if (state->split == 1)
        return SPT_OK;
    SPT_TRY(check(lt.selection_set(&state->handle, &self->selection, LT_SPLIT_K, &state->split, sizeof state->split),
                  "the split of k"));
    return check(lt.selection_set(&state->handle, &self->selection, LT_SPLIT_K_MODE, &mode, sizeof mode),
                 "the mode of the split");
}

static spt_status product_init(product *self, const lt_state *state, const spt_prepared *prepared) {
    size_t workspace = 0;
    SPT_TRY(describe(self, state, prepared));
    SPT_TRY(choose(self, state));
    SPT_TRY(check(lt.plan_init(&state->handle, &self->plan, &self->matmul, &self->selection), "a plan"));
    self->has_plan = true;
    SPT_TRY(check(lt.workspace(&state->handle, &self->plan, &workspace), "its workspace"));
    if (workspace > SPT_CUDA_VENDOR_WORKSPACE)
        return spt_fail(SPT_EUNSUPPORTED, "cuSPARSELt: expected a workspace of at most %zu bytes, found %zu",
                        SPT_CUDA_VENDOR_WORKSPACE, workspace);
    return SPT_OK;
}

spt_status spt_cusparselt_refresh(spt_prepared *prepared) {
    lt_state *state = *spt_cuda_library_state(prepared);
    SPT_TRY(check(lt.compress(&state->handle, &state->planned.plan, spt_cuda_buffer_at(prepared, 0), state->compressed,
                              state->scratch, NULL),
                  "compressing"));
    return spt_cuda_synchronize(NULL);
}

spt_status spt_cusparselt_open(spt_prepared *prepared, int algorithm, int split, bool two_kernels) {
    const spt_problem *problem = &prepared->workload.problem;
    const bool is_nk = problem->layout == SPT_NK;
    size_t bytes = 0, scratch_bytes = 0;
    lt_state *state;
    SPT_TRY(SPT_NEW_ZEROED(state, 1));
    *spt_cuda_library_state(prepared) = state;
    state->algorithm = algorithm;
    state->split = split;
    state->two_kernels = two_kernels;
    state->planned.n = problem->n;
    state->planned.ldb = is_nk ? prepared->workload.pattern.n_cols : problem->n;
    state->planned.ldc = is_nk ? prepared->workload.pattern.n_rows : problem->n;
    SPT_TRY(check(lt.init(&state->handle), "no handle"));
    state->has_handle = true;
    SPT_TRY(product_init(&state->planned, state, prepared));
    SPT_TRY(check(lt.compressed_size(&state->handle, &state->planned.plan, &bytes, &scratch_bytes), "its size"));
    SPT_TRY(spt_cuda_alloc(&state->compressed, bytes));
    SPT_TRY(spt_cuda_alloc(&state->scratch, scratch_bytes));
    prepared->packed_bytes += bytes;
    return spt_cusparselt_refresh(prepared);
}

static spt_status multiply(const lt_state *state, const product *self, const spt_call *call) {
    const float one = 1.0f, zero = 0.0f;
    cudaStream_t stream = call->stream;
    return check(lt.matmul(&state->handle, &self->plan, &one, state->compressed, call->b, &zero, call->c, call->c,
                           call->workspace, &stream, 1),
                 "the product");
}

spt_status spt_cusparselt_run(const spt_prepared *prepared, const spt_call *call) {
    const lt_state *state = *spt_cuda_library_state(prepared);
    const product *planned = &state->planned;
    product *other;
    const bool is_taken = call->n % 16 == 0 && call->ldb % 8 == 0 && call->ldc % 8 == 0 &&
                          ((uintptr_t)call->b | (uintptr_t)call->c) % 16 == 0;
    if (!is_taken)
        return spt_cublaslt_once(prepared, call);
    if (planned->n == call->n && planned->ldb == call->ldb && planned->ldc == call->ldc)
        return multiply(state, planned, call);
    SPT_TRY(SPT_NEW_ZEROED(other, 1));
    other->n = call->n;
    other->ldb = call->ldb;
    other->ldc = call->ldc;
    spt_status status = product_init(other, state, prepared);
    if (status == SPT_OK)
        status = multiply(state, other, call);
    if (status == SPT_OK)
        status = spt_cuda_synchronize(call->stream); /* the plan goes */
    product_fini(other);
    spt_free(other);
    return status;
}

void spt_cusparselt_close(spt_prepared *prepared) {
    lt_state *state = *spt_cuda_library_state(prepared);
    product_fini(&state->planned);
    if (state->has_handle)
        lt.destroy(&state->handle);
    spt_cuda_free(state->compressed);
    spt_cuda_free(state->scratch);
    spt_free(state);
    *spt_cuda_library_state(prepared) = NULL;
}
