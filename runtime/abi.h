/* SPDX-License-Identifier: Apache-2.0 */
/* Structs that cross the library's door: a caller built against an older or newer header says so by `size`.
 * Fields are only appended, at or behind the sizeof of the version before (never in its padding), and zero means what
 * the older version did. So a shorter struct is completed with zeros, and a longer one is legal when the part that
 * this library does not know is zero. */
#ifndef SPT_RUNTIME_ABI_H
#define SPT_RUNTIME_ABI_H

#include <stddef.h>

#include "core/error.h"

/* Sizes of the structs in version 0.1.0, the first one: anything shorter was never legal. */
enum {
    SPT_OPTIONS_SIZE_FIRST = sizeof(spt_options),
    SPT_CSR_SIZE_FIRST = sizeof(spt_csr),
    SPT_PROBLEM_SIZE_FIRST = offsetof(spt_problem, height),
    SPT_ARGS_SIZE_FIRST = offsetof(spt_args, residual),
    SPT_CHOICE_SIZE_FIRST = offsetof(spt_choice, level)
};

/* Copy the caller's struct `given` into `out`, a zeroed struct of size_known bytes; both begin with their size.
 * Errors: EINVAL naming `what`: no struct, shorter than size_first, or unknown fields that are set. */
spt_status spt_abi_read(void *out, size_t size_known, const void *given, size_t size_first, const char *what);

/* Copy `known` (size_known bytes) to the caller's struct `out` of whatever legal size; its size field is kept.
 * Errors: EINVAL naming `what`. */
spt_status spt_abi_write(void *out, const void *known, size_t size_known, size_t size_first, const char *what);

#endif
