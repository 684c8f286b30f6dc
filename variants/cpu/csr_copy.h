/* SPDX-License-Identifier: Apache-2.0 */
/* A plan's own CSR copy, for the families that run on plain CSR. The state of the prepared variant is an spt_matrix. */
#ifndef SPT_VARIANTS_CSR_COPY_H
#define SPT_VARIANTS_CSR_COPY_H

#include <string.h>

#include "core/memory.h"
#include "variants/family.h"

static inline spt_status csr_copy_prepare(spt_prepared *prepared, const spt_csr *a) {
    spt_matrix *copy;
    SPT_TRY(SPT_NEW_ZEROED(copy, 1));
    const spt_status status = spt_matrix_copy(copy, a);
    if (status != SPT_OK) {
        spt_free(copy);
        return status;
    }
    prepared->state = copy;
    prepared->packed_bytes = (size_t)(a->n_rows + 1) * sizeof(int64_t) + (size_t)spt_csr_nnz(a) * 8;
    return SPT_OK;
}

static inline spt_status csr_copy_set_values(spt_prepared *prepared, const void *values) {
    const spt_matrix *copy = prepared->state;
    if (copy->values != NULL && spt_csr_nnz(&copy->view) > 0)
        memcpy(copy->values, values, (size_t)spt_csr_nnz(&copy->view) * sizeof *copy->values);
    return SPT_OK;
}

static inline void csr_copy_release(spt_prepared *prepared) {
    if (prepared->state != NULL)
        spt_matrix_fini(prepared->state);
    spt_free(prepared->state);
    prepared->state = NULL;
}

#endif
