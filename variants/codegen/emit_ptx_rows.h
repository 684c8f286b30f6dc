/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel SPT_PTX_ROWS beside baked ones (emit_ptx.h): a thread per column of C walks rows of CSR, with any leading
 * dimension of B. */
#ifndef SPT_VARIANTS_CODEGEN_EMIT_PTX_ROWS_H
#define SPT_VARIANTS_CODEGEN_EMIT_PTX_ROWS_H

#include "variants/codegen/emit_ptx.h"
#include "variants/codegen/ptx_text.h"

/* The last parameters of every entry point: bytes from one item of a batch to the next. */
#define SPT_PTX_STEPS ", .param .u64 p_step_b, .param .u64 p_step_c, .param .u64 p_step_residual"

/* Declare %item, the number of this block's item, and %step. */
void spt_ptx_put_item(ptx_text *out);
/* Move the pointer %reg to the item, by its step. */
void spt_ptx_put_step(ptx_text *out, const char *reg, const char *operand);

void spt_ptx_put_rows(ptx_text *out, const spt_ptx_target *target);

#endif
