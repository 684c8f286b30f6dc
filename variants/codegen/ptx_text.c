/* SPDX-License-Identifier: Apache-2.0 */
/* Growing text; see ptx_text.h. */
#include "variants/codegen/ptx_text.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/memory.h"

enum { LINE_MAX_BYTES = 512, CAPACITY_FIRST = 1 << 16 };

/* Room for one more line. */
static bool make_room(ptx_text *out) {
    if (out->has_failed || out->capacity - out->length >= LINE_MAX_BYTES)
        return !out->has_failed;
    const size_t capacity = out->capacity > 0 ? 2 * out->capacity : CAPACITY_FIRST;
    char *data = spt_realloc(out->data, out->capacity, capacity, 1);
    if (data == NULL) {
        out->has_failed = true;
        return false;
    }
    out->data = data;
    out->capacity = capacity;
    return true;
}

void spt_ptx_put(ptx_text *out, const char *format, ...) {
    va_list arguments;
    if (!make_room(out))
        return;
    va_start(arguments, format);
    const int length = vsnprintf(out->data + out->length, LINE_MAX_BYTES, format, arguments);
    va_end(arguments);
    if (length < 0 || length >= LINE_MAX_BYTES)
        out->has_failed = true;
    else
        out->length += (size_t)length;
}

void spt_ptx_put_literal(ptx_text *out, float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    spt_ptx_put(out, "0f%08" PRIX32, bits);
}

spt_status spt_ptx_finish(ptx_text *out, char **text, size_t *text_bytes) {
    if (out->has_failed) {
        spt_free(out->data);
        *out = (ptx_text){0};
        return spt_fail(SPT_ENOMEM, "expected memory for the text of a kernel, found none");
    }
    *text = out->data;
    *text_bytes = out->length;
    *out = (ptx_text){0};
    return SPT_OK;
}
