/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers of a text file, one after the other, with the line in every sentence. Made for files of tens of megabytes. */
#ifndef SPT_TUNER_SCANNER_H
#define SPT_TUNER_SCANNER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/error.h"

typedef struct spt_scanner {
    const char *cursor, *end; /* *end is readable and 0 */
    const char *path;         /* for sentences */
    int64_t line;             /* from 1 */
} spt_scanner;

spt_scanner spt_scanner_of(const char *path, const char *data, size_t size);

/* Skip white space and commas, then read an integer in [min, max]. Errors: EINVAL with path, line and `what`. */
spt_status spt_scan_integer(int64_t *out, spt_scanner *scanner, int64_t min, int64_t max, const char *what);
/* The same for a finite real number. */
spt_status spt_scan_real(double *out, spt_scanner *scanner, const char *what);
/* Read the next line without its end, cut to capacity; false at the end of the file. */
bool spt_scan_line(char *out, size_t capacity, spt_scanner *scanner);
/* Does this line end here? Steps over blanks. */
bool spt_scan_is_line_end(spt_scanner *scanner);
/* Is there nothing but white space left? Errors: EINVAL. */
spt_status spt_scan_end(spt_scanner *scanner);

#endif
