/* SPDX-License-Identifier: Apache-2.0 */
/* An interpreter for the PTX that variants/codegen/emit_ptx.c prints, and for nothing else: an instruction, a type or a
 * directive that it does not know is an error, and so are registers that are read before they are written, accesses
 * outside of memory that simt_memory_add named, and barriers that some threads of a block do not reach. */
#ifndef SPT_TESTS_SIMT_PTX_H
#define SPT_TESTS_SIMT_PTX_H

#include "tests/simt/simt.h"

typedef struct ptx_program ptx_program;

/* Read one text, or several one after another. NULL: `error` holds a sentence. */
ptx_program *ptx_parse(const char *text, size_t bytes, char error[SIMT_ERROR_MAX]);
void ptx_free(ptx_program *program);
int64_t ptx_count(const ptx_program *program, const char *instruction); /* how often the texts have it */

/* Run a whole grid of an entry point. values: one per parameter. False: `error` holds a sentence. */
bool ptx_run(const ptx_program *program, const char *kernel, simt_dim grid, simt_dim block, size_t shared_bytes,
             const uint64_t *values, char error[SIMT_ERROR_MAX]);

#endif
