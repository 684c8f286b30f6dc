/* SPDX-License-Identifier: Apache-2.0 */
/* Text that grows while it is printed. Running out of memory is remembered and told once, at the end. */
#ifndef SPT_VARIANTS_CODEGEN_PTX_TEXT_H
#define SPT_VARIANTS_CODEGEN_PTX_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "core/error.h"

typedef struct ptx_text {
    char *data; /* terminated */
    size_t length, capacity;
    bool has_failed;
} ptx_text;

void spt_ptx_put(ptx_text *out, const char *format, ...) __attribute__((format(printf, 2, 3)));
void spt_ptx_put_literal(ptx_text *out, float value); /* 0f and eight hexadecimal digits */
/* Hand the text over, or free it. Errors: ENOMEM when any part did not fit. */
spt_status spt_ptx_finish(ptx_text *out, char **text, size_t *text_bytes);

#endif
