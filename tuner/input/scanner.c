/* SPDX-License-Identifier: Apache-2.0 */
/* A cursor over text; integers are converted by hand, because they are what the large files are made of. */
#include "tuner/input/scanner.h"

#include <ctype.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

spt_scanner spt_scanner_of(const char *path, const char *data, size_t size) {
    return (spt_scanner){.cursor = data, .end = data + size, .path = path, .line = 1};
}

static void skip_space(spt_scanner *scanner) {
    while (scanner->cursor < scanner->end) {
        const char c = *scanner->cursor;
        if (c == '\n')
            scanner->line++;
        else if (c != ' ' && c != ',' && c != '\t' && c != '\r')
            return;
        scanner->cursor++;
    }
}

/* Say what stands where a number was expected. */
static spt_status refuse(const spt_scanner *scanner, const char *what) {
    char found[24];
    const size_t left = (size_t)(scanner->end - scanner->cursor);
    size_t length = 0;
    while (length < left && length + 1 < sizeof found && isgraph((unsigned char)scanner->cursor[length])) {
        found[length] = scanner->cursor[length];
        length++;
    }
    found[length] = '\0';
    if (left == 0)
        return spt_fail(SPT_EINVAL, "%s:%" PRId64 ": expected %s, found the end of the file", scanner->path,
                        scanner->line, what);
    if (length == 0)
        return spt_fail(SPT_EINVAL, "%s:%" PRId64 ": expected %s, found the byte 0x%02x", scanner->path, scanner->line,
                        what, (unsigned char)scanner->cursor[0]);
    return spt_fail(SPT_EINVAL, "%s:%" PRId64 ": expected %s, found '%s'", scanner->path, scanner->line, what, found);
}

/* A number ends at white space, a comma or the end of the file. */
static bool is_at_separator(const spt_scanner *scanner) {
    return scanner->cursor == scanner->end || memchr(" ,\t\r\n", *scanner->cursor, 5) != NULL;
}

spt_status spt_scan_integer(int64_t *out, spt_scanner *scanner, int64_t min, int64_t max, const char *what) {
    skip_space(scanner);
    const spt_scanner start = *scanner;
    const bool is_negative = scanner->cursor < scanner->end && *scanner->cursor == '-';
    scanner->cursor += is_negative;
    uint64_t value = 0;
    bool is_too_large = false;
    const char *first_digit = scanner->cursor;
    for (; scanner->cursor < scanner->end && *scanner->cursor >= '0' && *scanner->cursor <= '9'; scanner->cursor++) {
        is_too_large |= value > (uint64_t)INT64_MAX / 10 - 1;
        value = value * 10 + (uint64_t)(*scanner->cursor - '0');
    }
    if (scanner->cursor == first_digit || !is_at_separator(scanner))
        return refuse(&start, what);
    *out = is_too_large ? INT64_MAX : (int64_t)value;
    if (is_negative)
        *out = -*out;
    if (is_too_large || *out < min || *out > max)
        return spt_fail(SPT_EINVAL, "%s:%" PRId64 ": expected %s from %" PRId64 " to %" PRId64 ", found %.*s",
                        start.path, start.line, what, min, max, (int)(scanner->cursor - start.cursor), start.cursor);
    return SPT_OK;
}

spt_status spt_scan_real(double *out, spt_scanner *scanner, const char *what) {
    skip_space(scanner);
    const spt_scanner start = *scanner;
    char *end;
    /* strtod also takes blanks, hexadecimal numbers and words */
    const char *digits = scanner->cursor + strspn(scanner->cursor, "+-");
    if (digits[0] == '\0' || strchr("0123456789.", digits[0]) == NULL || digits[1] == 'x' || digits[1] == 'X')
        return refuse(&start, what);
    *out = strtod(scanner->cursor, &end);
    if (end == scanner->cursor || end > scanner->end)
        return refuse(&start, what);
    scanner->cursor = end;
    if (!is_at_separator(scanner) || !isfinite(*out))
        return refuse(&start, what);
    return SPT_OK;
}

bool spt_scan_line(char *out, size_t capacity, spt_scanner *scanner) {
    if (scanner->cursor == scanner->end)
        return false;
    const size_t left = (size_t)(scanner->end - scanner->cursor);
    const char *newline = memchr(scanner->cursor, '\n', left);
    const size_t length = newline != NULL ? (size_t)(newline - scanner->cursor) : left;
    const size_t copied = length < capacity - 1 ? length : capacity - 1;
    memcpy(out, scanner->cursor, copied);
    out[copied] = '\0';
    scanner->cursor += length + (newline != NULL);
    scanner->line += newline != NULL;
    return true;
}

bool spt_scan_is_line_end(spt_scanner *scanner) {
    while (scanner->cursor < scanner->end && memchr(" \t\r", *scanner->cursor, 3) != NULL)
        scanner->cursor++;
    return scanner->cursor == scanner->end || *scanner->cursor == '\n';
}

spt_status spt_scan_end(spt_scanner *scanner) {
    skip_space(scanner);
    return scanner->cursor == scanner->end ? SPT_OK : refuse(scanner, "the end of the file");
}
