/* SPDX-License-Identifier: Apache-2.0 */
/* One error record per thread: the sentence and where in the source it was recorded. */
#include "core/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

typedef struct error_record {
    char message[512];
    char place[96]; /* file:line */
} error_record;

static _Thread_local error_record last_error;

spt_status spt_fail_at(spt_status status, const char *file, int line, const char *format, ...) {
    char message[sizeof last_error.message]; /* the arguments may point into the old message */
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    for (char *c = message; *c != '\0'; c++) { /* names from files may hold anything; a sentence is one line */
        if ((unsigned char)*c < ' ')
            *c = '?';
    }
    memcpy(last_error.message, message, sizeof message);
    snprintf(last_error.place, sizeof last_error.place, "%s:%d", file, line);
    return status;
}

const char *spt_last_error(void) {
    return last_error.message;
}

const char *spt_last_error_place(void) {
    return last_error.place;
}

void spt_error_clear(void) {
    last_error.message[0] = '\0';
    last_error.place[0] = '\0';
}

const char *spt_status_name(spt_status status) {
    static const char *const names[] = {"OK",     "EINVAL",   "ENOMEM",   "ENOTFOUND", "EUNSUPPORTED",
                                        "EWRONG", "ECOMPILE", "ETIMEOUT", "EIO"};
    const int index = -(int)status;
    return index >= 0 && index < (int)(sizeof names / sizeof names[0]) ? names[index] : "unknown status";
}
