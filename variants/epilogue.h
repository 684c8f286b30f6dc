/* SPDX-License-Identifier: Apache-2.0 */
/* The epilogue as a pass of its own over C, for kernels that cannot fuse it. */
#ifndef SPT_VARIANTS_EPILOGUE_H
#define SPT_VARIANTS_EPILOGUE_H

#include "variants/family.h"

/* Apply the planned epilogue to all of C in its layout. f32. Cost: one read and one write of C. */
void spt_epilogue_apply_f32(const spt_prepared *prepared, const spt_call *call);

#endif
