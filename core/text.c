/* SPDX-License-Identifier: Apache-2.0 */
/* Bounded strings and strict numbers. */
#include "core/text.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void spt_text_init(spt_text *text, char *data, size_t capacity) {
    *text = (spt_text){.data = data, .capacity = capacity};
    data[0] = '\0';
}

void spt_text_add(spt_text *text, const char *format, ...) {
    const size_t room = text->capacity - text->length;
    va_list arguments;
    va_start(arguments, format);
    const int wanted = vsnprintf(text->data + text->length, room, format, arguments);
    va_end(arguments);
    if (wanted < 0 || (size_t)wanted >= room) {
        text->overflow = true;
        text->length = text->capacity - 1;
    } else {
        text->length += (size_t)wanted;
    }
}

void spt_copy_text(char *out, size_t capacity, const char *text) {
    const size_t length = strnlen(text, capacity - 1);
    memcpy(out, text, length);
    out[length] = '\0';
}

spt_status spt_parse_i64(int64_t *out, const char *text, int64_t min, int64_t max, const char *what) {
    char *end;
    errno = 0;
    const long long value = strtoll(text, &end, 10);
    const bool starts_well = (text[0] >= '0' && text[0] <= '9') || text[0] == '-';
    if (!starts_well || end == text || *end != '\0')
        return spt_fail(SPT_EINVAL, "%s: expected an integer, found '%s'", what, text);
    if (errno == ERANGE || value < min || value > max)
        return spt_fail(SPT_EINVAL, "%s: expected %" PRId64 " to %" PRId64 ", found %s", what, min, max, text);
    *out = value;
    return SPT_OK;
}

spt_status spt_parse_f64(double *out, const char *text, double min, double max, const char *what) {
    char *end;
    const double value = strtod(text, &end);
    const bool starts_well = text[0] != '\0' && strchr("0123456789.-", text[0]) != NULL;
    if (!starts_well || end == text || *end != '\0' || isnan(value))
        return spt_fail(SPT_EINVAL, "%s: expected a number, found '%s'", what, text);
    if (value < min || value > max)
        return spt_fail(SPT_EINVAL, "%s: expected %g to %g, found %s", what, min, max, text);
    *out = value;
    return SPT_OK;
}
