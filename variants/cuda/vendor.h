/* SPDX-License-Identifier: Apache-2.0 */
/* What families that call NVIDIA's libraries share: loading, packing A, and the epilogue that a library does not do. */
#ifndef SPT_VARIANTS_CUDA_VENDOR_H
#define SPT_VARIANTS_CUDA_VENDOR_H

#include "variants/cuda/kernel.h"

/* A function of a library and where its address goes. */
typedef struct spt_cuda_symbol {
    const char *name;
    void *target; /* of a function pointer */
} spt_cuda_symbol;

/* Open the library of the first of these names that is there and take all symbols; false when one is missing. */
bool spt_cuda_load(const char *const *names, const spt_cuda_symbol *symbols, int n_symbols);

/* Buffer 0: A as a dense row-major m x k matrix of problem.dtype. */
spt_status spt_cuda_pack_dense(spt_cuda_packed *out, const spt_workload *workload, const spt_device *device,
                               const spt_point *point, const spt_csr *a);
bool spt_cuda_dense_fits(const spt_workload *workload); /* at most 4 GiB */
double spt_cuda_dense_bound_ns(const spt_workload *workload, const spt_device *device, const spt_point *point);

/* describe, n_launches and launch of a library family: one small kernel that adds the bias and applies the activation
 * to C where the problem has an epilogue, and nothing where it has none. */
spt_status spt_cuda_epilogue_describe(spt_cuda_source *out, const spt_workload *workload, const spt_device *device,
                                      const spt_point *point, const spt_csr *a);
int spt_cuda_epilogue_launches(const spt_prepared *prepared, const spt_call *call);
spt_status spt_cuda_epilogue_launch(spt_cuda_launch *out, const spt_prepared *prepared, const spt_call *call,
                                    int index);

/* The workspace of cuBLASLt's and cuSPARSELt's families, and their verb. */
#define SPT_CUDA_VENDOR_WORKSPACE ((size_t)32 << 20)
size_t spt_cuda_vendor_workspace(const spt_prepared *prepared, int64_t n);

/* --- cublaslt_cuda.c: C = A B by cuBLASLt; `rank` is the place in its own list of algorithms --- */
spt_status spt_cublaslt_available(const spt_device *device);
const char *spt_cublaslt_version(void);
spt_status spt_cublaslt_open(spt_prepared *prepared, int rank, bool uses_tf32);
spt_status spt_cublaslt_run(const spt_prepared *prepared, const spt_call *call);
void spt_cublaslt_close(spt_prepared *prepared);
/* The product once, with buffer 0 as dense A and nothing kept: for calls that another library does not take. Waits. */
spt_status spt_cublaslt_once(const spt_prepared *prepared, const spt_call *call);

/* --- cusparse_cuda.c --- */
typedef enum spt_cusparse_algorithm {
    SPT_CUSPARSE_CSR_DEFAULT,
    SPT_CUSPARSE_CSR1,
    SPT_CUSPARSE_CSR2,
    SPT_CUSPARSE_CSR3,
    SPT_CUSPARSE_COO1,
    SPT_CUSPARSE_COO2,
    SPT_CUSPARSE_COO3,
    SPT_CUSPARSE_COO4,
    SPT_CUSPARSE_N_ALGORITHMS
} spt_cusparse_algorithm;
spt_status spt_cusparse_available(const spt_device *device);
const char *spt_cusparse_version(void);
/* Buffers: 0 row offsets (CSR) or row indices (COO), 1 columns, 2 values (SpMM alone). */
spt_status spt_cusparse_open(spt_prepared *prepared, spt_cusparse_algorithm algorithm, bool preprocess);
spt_status spt_cusparse_run(const spt_prepared *prepared, const spt_call *call);
void spt_cusparse_close(spt_prepared *prepared);

/* --- cusparselt_cuda.c --- */
spt_status spt_cusparselt_available(const spt_device *device);
const char *spt_cusparselt_version(void);
/* Buffer 0: A dense. split: 1 is none; two_kernels: how partial sums are added. */
spt_status spt_cusparselt_open(spt_prepared *prepared, int algorithm, int split, bool two_kernels);
spt_status spt_cusparselt_refresh(spt_prepared *prepared);
spt_status spt_cusparselt_run(const spt_prepared *prepared, const spt_call *call);
void spt_cusparselt_close(spt_prepared *prepared);

/* --- cudnn_cuda.c --- */
#define SPT_CUDNN_WORKSPACE_MAX ((size_t)1 << 30)
spt_status spt_cudnn_available(const spt_device *device);
const char *spt_cudnn_version(void);
/* Buffer 0: the filters. Errors: EUNSUPPORTED where the algorithm does not take the convolution, or wants more than
 * SPT_CUDNN_WORKSPACE_MAX. */
spt_status spt_cudnn_open(spt_prepared *prepared, int algorithm);
size_t spt_cudnn_workspace(const spt_prepared *prepared);
spt_status spt_cudnn_run(const spt_prepared *prepared, const spt_call *call);
void spt_cudnn_close(spt_prepared *prepared);

#endif
