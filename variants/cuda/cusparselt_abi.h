/* SPDX-License-Identifier: Apache-2.0 */
/* The part of cuSPARSELt's binary interface that is used, because its header is no part of the CUDA toolkit. Its
 * handles are opaque bytes of the caller: 512 since 0.8, 11024 in some earlier ones; the larger size serves both. The
 * numbers are those of versions 0.5 to 0.10. */
#ifndef SPT_VARIANTS_CUDA_CUSPARSELT_ABI_H
#define SPT_VARIANTS_CUDA_CUSPARSELT_ABI_H

#include <stddef.h>
#include <stdint.h>

#include <cusparse.h>

typedef struct lt_opaque {
    _Alignas(16) uint8_t data[11024];
} lt_opaque;

enum { LT_SPARSITY_50_PERCENT = 0, LT_ALGORITHM_DEFAULT = 0 };
/* attributes of an algorithm selection */
enum { LT_CONFIG_ID = 0, LT_CONFIG_MAX_ID = 1, LT_SPLIT_K = 3, LT_SPLIT_K_MODE = 4 };
enum { LT_ONE_KERNEL = 1, LT_TWO_KERNELS = 2 };

typedef cusparseStatus_t lt_init(lt_opaque *handle);
typedef cusparseStatus_t lt_destroy(const lt_opaque *object);
typedef cusparseStatus_t lt_get_property(libraryPropertyType type, int *value);
typedef cusparseStatus_t lt_dense_init(const lt_opaque *handle, lt_opaque *matrix, int64_t rows, int64_t cols,
                                       int64_t ld, uint32_t alignment, cudaDataType type, cusparseOrder_t order);
typedef cusparseStatus_t lt_structured_init(const lt_opaque *handle, lt_opaque *matrix, int64_t rows, int64_t cols,
                                            int64_t ld, uint32_t alignment, cudaDataType type, cusparseOrder_t order,
                                            int sparsity);
typedef cusparseStatus_t lt_matmul_init(const lt_opaque *handle, lt_opaque *matmul, cusparseOperation_t op_a,
                                        cusparseOperation_t op_b, const lt_opaque *a, const lt_opaque *b,
                                        const lt_opaque *c, const lt_opaque *d, int compute_type);
typedef cusparseStatus_t lt_selection_init(const lt_opaque *handle, lt_opaque *selection, const lt_opaque *matmul,
                                           int algorithm);
typedef cusparseStatus_t lt_selection_set(const lt_opaque *handle, lt_opaque *selection, int attribute,
                                          const void *data, size_t bytes);
typedef cusparseStatus_t lt_selection_get(const lt_opaque *handle, const lt_opaque *selection, int attribute,
                                          void *data, size_t bytes);
typedef cusparseStatus_t lt_plan_init(const lt_opaque *handle, lt_opaque *plan, const lt_opaque *matmul,
                                      const lt_opaque *selection);
typedef cusparseStatus_t lt_get_workspace(const lt_opaque *handle, const lt_opaque *plan, size_t *bytes);
typedef cusparseStatus_t lt_compressed_size(const lt_opaque *handle, const lt_opaque *plan, size_t *bytes,
                                            size_t *scratch_bytes);
typedef cusparseStatus_t lt_compress(const lt_opaque *handle, const lt_opaque *plan, const void *dense,
                                     void *compressed, void *scratch, cudaStream_t stream);
typedef cusparseStatus_t lt_matmul(const lt_opaque *handle, const lt_opaque *plan, const void *alpha, const void *a,
                                   const void *b, const void *beta, const void *c, void *d, void *workspace,
                                   cudaStream_t *streams, int32_t n_streams);

#endif
