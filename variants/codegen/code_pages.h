/* SPDX-License-Identifier: Apache-2.0 */
/* Memory for generated code: written first, then made executable, never both at once. A system may deny the second
 * step (a hardened kernel, SELinux, a sandbox): an expected answer, EUNSUPPORTED. */
#ifndef SPT_VARIANTS_CODEGEN_CODE_PAGES_H
#define SPT_VARIANTS_CODEGEN_CODE_PAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/error.h"

typedef struct spt_code_pages {
    uint8_t *data;
    size_t size_bytes; /* a multiple of the page size */
} spt_code_pages;

/* Get zeroed pages for at least size_bytes > 0, writable. Errors: ENOMEM. Owns: spt_code_pages_free. */
spt_status spt_code_pages_new(spt_code_pages *out, size_t size_bytes);
/* Keep the first used_bytes, give the rest back, and make them executable. Errors: EUNSUPPORTED when that is denied. */
spt_status spt_code_pages_seal(spt_code_pages *pages, size_t used_bytes);
void spt_code_pages_free(spt_code_pages *pages); /* safe on a zeroed struct */

/* Does this process get executable memory? Tried once, then remembered. OK or EUNSUPPORTED. Threads: any. */
spt_status spt_code_pages_available(void);
/* Tests only: behave as if the system denied it. */
void spt_code_pages_deny(bool is_denied);

#endif
