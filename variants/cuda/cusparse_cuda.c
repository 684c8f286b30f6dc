/* SPDX-License-Identifier: Apache-2.0 */
/* SpMM and SDDMM through cuSPARSE. A handle has one stream and the external buffer belongs to the plan, because its
 * preprocessing lives there: executions of one plan take turns, and one that comes on another stream waits for the one
 * before. Dense operands of layout nk are column-major to cuSPARSE. */
#include <cusparse.h>

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "core/memory.h"
#include "variants/cuda/device.h"
#include "variants/cuda/vendor.h"

static struct {
    __typeof__(cusparseCreate) *create;
    __typeof__(cusparseDestroy) *destroy;
    __typeof__(cusparseGetProperty) *property;
    __typeof__(cusparseGetErrorString) *words;
    __typeof__(cusparseSetStream) *set_stream;
    __typeof__(cusparseCreateCsr) *create_csr;
    __typeof__(cusparseCreateCoo) *create_coo;
    __typeof__(cusparseDestroySpMat) *destroy_sparse;
    __typeof__(cusparseSpMatSetValues) *set_sparse_values;
    __typeof__(cusparseCreateDnMat) *create_dense;
    __typeof__(cusparseDestroyDnMat) *destroy_dense;
    __typeof__(cusparseSpMM_bufferSize) *spmm_size;
    __typeof__(cusparseSpMM_preprocess) *spmm_preprocess;
    __typeof__(cusparseSpMM) *spmm;
    __typeof__(cusparseSDDMM_bufferSize) *sddmm_size;
    __typeof__(cusparseSDDMM_preprocess) *sddmm_preprocess;
    __typeof__(cusparseSDDMM) *sddmm;
} sp;
static bool is_loaded;
static char version_text[48];
static pthread_once_t sp_once = PTHREAD_ONCE_INIT;

static void open_library(void) {
    static const char *const names[] = {"libcusparse.so.12", "libcusparse.so.11", "libcusparse.so", NULL};
    const spt_cuda_symbol symbols[] = {
        {"cusparseCreate", &sp.create},
        {"cusparseDestroy", &sp.destroy},
        {"cusparseGetProperty", &sp.property},
        {"cusparseGetErrorString", &sp.words},
        {"cusparseSetStream", &sp.set_stream},
        {"cusparseCreateCsr", &sp.create_csr},
        {"cusparseCreateCoo", &sp.create_coo},
        {"cusparseDestroySpMat", &sp.destroy_sparse},
        {"cusparseSpMatSetValues", &sp.set_sparse_values},
        {"cusparseCreateDnMat", &sp.create_dense},
        {"cusparseDestroyDnMat", &sp.destroy_dense},
        {"cusparseSpMM_bufferSize", &sp.spmm_size},
        {"cusparseSpMM_preprocess", &sp.spmm_preprocess},
        {"cusparseSpMM", &sp.spmm},
        {"cusparseSDDMM_bufferSize", &sp.sddmm_size},
        {"cusparseSDDMM_preprocess", &sp.sddmm_preprocess},
        {"cusparseSDDMM", &sp.sddmm},
    };
    int part[3] = {0};
    is_loaded = spt_cuda_load(names, symbols, (int)(sizeof symbols / sizeof symbols[0]));
    if (!is_loaded)
        return;
    sp.property(MAJOR_VERSION, &part[0]);
    sp.property(MINOR_VERSION, &part[1]);
    sp.property(PATCH_LEVEL, &part[2]);
    snprintf(version_text, sizeof version_text, "cuSPARSE %d.%d.%d", part[0], part[1], part[2]);
}

spt_status spt_cusparse_available(const spt_device *device) {
    SPT_TRY(spt_cuda_available(device));
    pthread_once(&sp_once, open_library);
    return is_loaded ? SPT_OK : spt_fail(SPT_EUNSUPPORTED, "cuSPARSE was not found");
}

const char *spt_cusparse_version(void) {
    pthread_once(&sp_once, open_library);
    return version_text;
}

static spt_status check(cusparseStatus_t status, const char *what) {
    if (status == CUSPARSE_STATUS_SUCCESS)
        return SPT_OK;
    return spt_fail(status == CUSPARSE_STATUS_NOT_SUPPORTED ? SPT_EUNSUPPORTED : SPT_EIO, "cuSPARSE: %s: %s", what,
                    sp.words(status));
}

static const cusparseSpMMAlg_t algorithms[SPT_CUSPARSE_N_ALGORITHMS] = {
    [SPT_CUSPARSE_CSR_DEFAULT] = CUSPARSE_SPMM_ALG_DEFAULT, [SPT_CUSPARSE_CSR1] = CUSPARSE_SPMM_CSR_ALG1,
    [SPT_CUSPARSE_CSR2] = CUSPARSE_SPMM_CSR_ALG2,           [SPT_CUSPARSE_CSR3] = CUSPARSE_SPMM_CSR_ALG3,
    [SPT_CUSPARSE_COO1] = CUSPARSE_SPMM_COO_ALG1,           [SPT_CUSPARSE_COO2] = CUSPARSE_SPMM_COO_ALG2,
    [SPT_CUSPARSE_COO3] = CUSPARSE_SPMM_COO_ALG3,           [SPT_CUSPARSE_COO4] = CUSPARSE_SPMM_COO_ALG4,
};

typedef struct sp_state {
    cusparseHandle_t handle;
    cusparseSpMatDescr_t sparse;
    cusparseSpMMAlg_t algorithm;
    bool preprocess;
    pthread_mutex_t turn;
    void *buffer;        /* external; grows with n */
    size_t buffer_bytes; /* of buffer */
    int64_t ready_n;     /* n that buffer was preprocessed for; 0: none */
    void *last_stream;
    bool has_run;
} sp_state;

/* The two dense operands of a call: b and c, or x and y. */
typedef struct dense_pair {
    cusparseDnMatDescr_t first, second;
} dense_pair;

static void pair_fini(dense_pair *pair) {
    if (pair->first != NULL)
        sp.destroy_dense(pair->first);
    if (pair->second != NULL)
        sp.destroy_dense(pair->second);
}

static cudaDataType type_of(spt_dtype dtype) {
    return dtype == SPT_F32 ? CUDA_R_32F : dtype == SPT_F16 ? CUDA_R_16F : CUDA_R_16BF;
}

static spt_status pair_init(dense_pair *out, const spt_prepared *prepared, const spt_call *call) {
    const spt_problem *problem = &prepared->workload.problem;
    const cusparseOrder_t order = problem->layout == SPT_KN ? CUSPARSE_ORDER_ROW : CUSPARSE_ORDER_COL;
    const cudaDataType type = type_of(problem->dtype);
    const int64_t m = prepared->workload.pattern.n_rows, k = prepared->workload.pattern.n_cols, n = call->n;
    const bool is_sddmm = problem->op == SPT_SDDMM;
    void *first = (void *)(uintptr_t)(is_sddmm ? call->x : call->b);
    void *second = is_sddmm ? (void *)(uintptr_t)call->y : call->c;
    *out = (dense_pair){0};
    SPT_TRY(
        check(sp.create_dense(&out->first, is_sddmm ? m : k, n, is_sddmm ? call->ldx : call->ldb, first, type, order),
              "a matrix"));
    return check(
        sp.create_dense(&out->second, is_sddmm ? k : m, n, is_sddmm ? call->ldy : call->ldc, second, type, order),
        "a matrix");
}

static const cusparseOperation_t plain = CUSPARSE_OPERATION_NON_TRANSPOSE, turned = CUSPARSE_OPERATION_TRANSPOSE;
static const float one = 1.0f, zero = 0.0f;

static spt_status grow_buffer(sp_state *self, size_t bytes) {
    if (bytes <= self->buffer_bytes)
        return SPT_OK;
    spt_cuda_free(self->buffer);
    self->buffer_bytes = 0;
    SPT_TRY(spt_cuda_alloc(&self->buffer, bytes));
    self->buffer_bytes = bytes;
    return SPT_OK;
}

static spt_status spmm(sp_state *self, const dense_pair *pair, int64_t n) {
    size_t bytes = 0;
    if (self->ready_n != n) {
        SPT_TRY(check(sp.spmm_size(self->handle, plain, plain, &one, self->sparse, pair->first, &zero, pair->second,
                                   CUDA_R_32F, self->algorithm, &bytes),
                      "its buffer"));
        SPT_TRY(grow_buffer(self, bytes));
        if (self->preprocess)
            SPT_TRY(check(sp.spmm_preprocess(self->handle, plain, plain, &one, self->sparse, pair->first, &zero,
                                             pair->second, CUDA_R_32F, self->algorithm, self->buffer),
                          "preprocessing"));
        self->ready_n = n;
    }
    return check(sp.spmm(self->handle, plain, plain, &one, self->sparse, pair->first, &zero, pair->second, CUDA_R_32F,
                         self->algorithm, self->buffer),
                 "SpMM");
}

static spt_status sddmm(sp_state *self, const dense_pair *pair, const spt_call *call) {
    const cusparseSDDMMAlg_t algorithm = CUSPARSE_SDDMM_ALG_DEFAULT;
    size_t bytes = 0;
    SPT_TRY(check(sp.set_sparse_values(self->sparse, call->s), "the output"));
    if (self->ready_n != call->n) {
        SPT_TRY(check(sp.sddmm_size(self->handle, plain, turned, &one, pair->first, pair->second, &zero, self->sparse,
                                    CUDA_R_32F, algorithm, &bytes),
                      "its buffer"));
        SPT_TRY(grow_buffer(self, bytes));
        SPT_TRY(check(sp.sddmm_preprocess(self->handle, plain, turned, &one, pair->first, pair->second, &zero,
                                          self->sparse, CUDA_R_32F, algorithm, self->buffer),
                      "preprocessing"));
        self->ready_n = call->n;
    }
    return check(sp.sddmm(self->handle, plain, turned, &one, pair->first, pair->second, &zero, self->sparse, CUDA_R_32F,
                          algorithm, self->buffer),
                 "SDDMM");
}

static spt_status describe_sparse(sp_state *self, const spt_prepared *prepared, bool is_coo) {
    const spt_pattern *pattern = &prepared->workload.pattern;
    const cudaDataType type = type_of(prepared->workload.problem.dtype);
    void *rows = spt_cuda_buffer_at(prepared, 0), *columns = spt_cuda_buffer_at(prepared, 1);
    void *values = prepared->workload.problem.op == SPT_SPMM ? spt_cuda_buffer_at(prepared, 2) : columns;
    if (is_coo)
        return check(sp.create_coo(&self->sparse, pattern->n_rows, pattern->n_cols, pattern->nnz, rows, columns, values,
                                   CUSPARSE_INDEX_32I, CUSPARSE_INDEX_BASE_ZERO, type),
                     "a matrix");
    return check(sp.create_csr(&self->sparse, pattern->n_rows, pattern->n_cols, pattern->nnz, rows, columns, values,
                               CUSPARSE_INDEX_32I, CUSPARSE_INDEX_32I, CUSPARSE_INDEX_BASE_ZERO, type),
                 "a matrix");
}

spt_status spt_cusparse_open(spt_prepared *prepared, spt_cusparse_algorithm algorithm, bool preprocess) {
    sp_state *self;
    SPT_TRY(SPT_NEW_ZEROED(self, 1));
    *spt_cuda_library_state(prepared) = self;
    pthread_mutex_init(&self->turn, NULL);
    self->algorithm = algorithms[algorithm];
    self->preprocess = preprocess;
    SPT_TRY(check(sp.create(&self->handle), "no handle"));
    return describe_sparse(self, prepared, algorithm >= SPT_CUSPARSE_COO1);
}

static spt_status run_in_turn(sp_state *self, const spt_prepared *prepared, const spt_call *call) {
    dense_pair pair = {0};
    if (self->has_run && self->last_stream != call->stream)
        (void)spt_cuda_synchronize(self->last_stream); /* a stream that is gone has done its work */
    SPT_TRY(check(sp.set_stream(self->handle, call->stream), "the stream"));
    spt_status status = pair_init(&pair, prepared, call);
    if (status == SPT_OK)
        status = prepared->workload.problem.op == SPT_SDDMM ? sddmm(self, &pair, call) : spmm(self, &pair, call->n);
    pair_fini(&pair);
    self->last_stream = call->stream;
    self->has_run = true;
    return status;
}

spt_status spt_cusparse_run(const spt_prepared *prepared, const spt_call *call) {
    sp_state *self = *spt_cuda_library_state(prepared);
    pthread_mutex_lock(&self->turn);
    const spt_status status = run_in_turn(self, prepared, call);
    pthread_mutex_unlock(&self->turn);
    return status;
}

void spt_cusparse_close(spt_prepared *prepared) {
    sp_state *self = *spt_cuda_library_state(prepared);
    if (self->sparse != NULL)
        sp.destroy_sparse(self->sparse);
    if (self->handle != NULL)
        sp.destroy(self->handle);
    spt_cuda_free(self->buffer);
    pthread_mutex_destroy(&self->turn);
    spt_free(self);
    *spt_cuda_library_state(prepared) = NULL;
}
