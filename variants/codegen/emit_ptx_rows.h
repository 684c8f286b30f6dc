/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel SPT_PTX_ROWS beside baked ones (emit_ptx.h): a thread per column of C walks rows of CSR, with any leading
 * dimension of B. */
#ifndef SPT_VARIANTS_CODEGEN_EMIT_PTX_ROWS_H
#define SPT_VARIANTS_CODEGEN_EMIT_PTX_ROWS_H

#include "variants/codegen/emit_ptx.h"
#include "variants/codegen/ptx_text.h"

void spt_ptx_put_rows(ptx_text *out, const spt_ptx_target *target);

#endif
