/* SPDX-License-Identifier: Apache-2.0 */
/* Text: bounded building of strings and strict parsing of numbers (the whole text, in range, or EINVAL). */
#ifndef SPT_CORE_TEXT_H
#define SPT_CORE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/error.h"

/* A string in the caller's array; overflow is remembered and nothing is written past the end. */
typedef struct spt_text {
    char *data;      /* always terminated */
    size_t capacity; /* bytes of data, at least 1 */
    size_t length;   /* without the terminator, below capacity */
    bool overflow;
} spt_text;

void spt_text_init(spt_text *text, char *data, size_t capacity);
void spt_text_add(spt_text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
void spt_copy_text(char *out, size_t capacity, const char *text); /* truncates, always terminates */
/* Put '?' for every byte that is not printable ASCII: what a file says may steer a terminal. */
void spt_make_printable(char *text);

spt_status spt_parse_i64(int64_t *out, const char *text, int64_t min, int64_t max, const char *what);
spt_status spt_parse_f64(double *out, const char *text, double min, double max, const char *what); /* refuses NaN */

#endif
