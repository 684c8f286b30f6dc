/* SPDX-License-Identifier: Apache-2.0 */
/* Bounded text and strict numbers. Both use the C locale whatever the application has set, because stored text must
 * read the same everywhere ("0.5", never "0,5"). */
#include "core/text.h"

#include <errno.h>
#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static locale_t c_locale; /* lives as long as the process */
static pthread_once_t c_locale_once = PTHREAD_ONCE_INIT;

static void make_c_locale(void) {
    c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
}

/* (locale_t)0 when the C library has no memory for it: the caller's locale is then kept. */
static locale_t get_c_locale(void) {
    pthread_once(&c_locale_once, make_c_locale);
    return c_locale;
}

void spt_text_init(spt_text *text, char *data, size_t capacity) {
    *text = (spt_text){.data = data, .capacity = capacity};
    data[0] = 0;
}

void spt_text_add(spt_text *text, const char *format, ...) {
    size_t room = text->capacity - text->length;
    locale_t previous = uselocale(get_c_locale());
    va_list arguments;
    va_start(arguments, format);
    int added = vsnprintf(text->data + text->length, room, format, arguments);
    va_end(arguments);
    uselocale(previous);
    if (added < 0 || (size_t)added >= room) {
        text->overflow = true;
        text->length += strlen(text->data + text->length);
        return;
    }
    text->length += (size_t)added;
}

void spt_copy_text(char *out, size_t capacity, const char *text) {
    if (capacity == 0)
        return;
    size_t length = strnlen(text, capacity - 1);
    memmove(out, text, length);
    out[length] = 0;
}

void spt_make_printable(char *text) {
    for (; *text != '\0'; text++) {
        if (*text < ' ' || *text > '~')
            *text = '?';
    }
}

/* Do only `legal` characters stand in the text, at least one, and is the first no plus sign or space? */
static bool has_only(const char *text, const char *legal) {
    return text[0] != 0 && text[0] != '+' && text[strspn(text, legal)] == 0;
}

spt_status spt_parse_i64(int64_t *out, const char *text, int64_t min, int64_t max, const char *what) {
    char *end = NULL;
    errno = 0;
    long long value = has_only(text, "-0123456789") ? strtoll(text, &end, 10) : 0;
    if (end == NULL || end == text || *end != 0)
        return spt_fail(SPT_EINVAL, "%s: expected a whole number, found '%.80s'", what, text);
    if (errno == ERANGE || value < min || value > max)
        return spt_fail(SPT_EINVAL, "%s: expected a number from %lld to %lld, found '%.80s'", what, (long long)min,
                        (long long)max, text);
    *out = value;
    return SPT_OK;
}

spt_status spt_parse_f64(double *out, const char *text, double min, double max, const char *what) {
    char *end = NULL;
    double value = 0.0;
    if (has_only(text, "+-.0123456789eE"))
        value = get_c_locale() != (locale_t)0 ? strtod_l(text, &end, get_c_locale()) : strtod(text, &end);
    if (end == NULL || end == text || *end != 0)
        return spt_fail(SPT_EINVAL, "%s: expected a number, found '%.80s'", what, text);
    if (isinf(value) || !(value >= min && value <= max))
        return spt_fail(SPT_EINVAL, "%s: expected a number from %g to %g, found '%.80s'", what, min, max, text);
    *out = value;
    return SPT_OK;
}
