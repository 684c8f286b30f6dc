/* SPDX-License-Identifier: Apache-2.0 */
/* PTX to machine code through nvJitLink, opened at run time. */
#ifndef SPT_VARIANTS_CUDA_JITLINK_H
#define SPT_VARIANTS_CUDA_JITLINK_H

#include "variants/cuda/binary.h"

/* "nvJitLink 13.0"; "" when the library is not there. */
const char *spt_jitlink_version(void);

/* Assemble and link a source of language SPT_CUDA_PTX: one text, or several one after another, each of which begins
 * with
 * `.version`. Errors: EUNSUPPORTED without the library, ECOMPILE with its first sentence, ENOMEM. Owns: out->data. */
spt_status spt_jitlink_compile(spt_cuda_binary *out, const spt_cuda_source *source, const char *arch);

#endif
