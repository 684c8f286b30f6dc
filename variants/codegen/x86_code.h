/* SPDX-License-Identifier: Apache-2.0 */
/* Generated functions, one after the other in code pages: room, where each one begins, and the end. */
#ifndef SPT_VARIANTS_CODEGEN_X86_CODE_H
#define SPT_VARIANTS_CODEGEN_X86_CODE_H

#include "variants/codegen/code_pages.h"
#include "variants/codegen/x86.h"

typedef struct spt_x86_code {
    spt_code_pages pages;
    int64_t *entry; /* offset of each function, a multiple of 64; and the next one behind the last */
} spt_x86_code;

/* A function, to be cast to what it is. */
typedef void spt_x86_function(void);
static inline spt_x86_function *spt_x86_code_at(const spt_x86_code *code, int64_t index) {
    union { /* ISO C has no cast from data to function */
        const uint8_t *data;
        spt_x86_function *function;
    } entry = {code->pages.data + code->entry[index]};
    return entry.function;
}

/* Room for n_functions of at most `bytes` in all, beside what their alignment takes; writer: where they begin.
 * Errors: ENOMEM. Owns: spt_x86_code_fini, which is also safe on a zeroed struct and after a failure. */
spt_status spt_x86_code_init(spt_x86_code *out, int64_t n_functions, size_t bytes, x86_writer *writer);
/* Begin function `index`, or end the last one, where the writer is. */
void spt_x86_code_enter(spt_x86_code *code, int64_t index, x86_writer *writer);
/* Make what has been written executable. Errors: EUNSUPPORTED where that is denied. */
spt_status spt_x86_code_seal(spt_x86_code *code, const x86_writer *writer);
void spt_x86_code_fini(spt_x86_code *code);

#endif
