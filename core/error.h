/* SPDX-License-Identifier: Apache-2.0 */
/* Errors: a code for the program and one sentence for the person, kept per thread.
 * The function that finds a problem records it with spt_fail; those above forward with SPT_TRY and add nothing,
 * so the deepest sentence (which knows most) survives. Sentence: what was expected, what was found, where. */
#ifndef SPT_CORE_ERROR_H
#define SPT_CORE_ERROR_H

#include "sparsetune.h"

/* Record a sentence for this thread and return `status`, so that `return spt_fail(...)` reads as one step. */
#define spt_fail(status, ...) spt_fail_at((status), __FILE__, __LINE__, __VA_ARGS__)

spt_status spt_fail_at(spt_status status, const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Source file:line of this thread's last spt_fail, for debugging output; "" when there was none. */
const char *spt_last_error_place(void);

void spt_error_clear(void);
const char *spt_status_name(spt_status status); /* "EINVAL" and so on */

/* Return from the calling function when `expr` is not SPT_OK. */
#define SPT_TRY(expr)                                                                                                  \
    do {                                                                                                               \
        spt_status spt_try_status_ = (expr);                                                                           \
        if (spt_try_status_ != SPT_OK)                                                                                 \
            return spt_try_status_;                                                                                    \
    } while (0)

/* Store the status of `expr` in the local variable `status` and go to the one cleanup label when it is not SPT_OK. */
#define SPT_TRY_TO(label, expr)                                                                                        \
    do {                                                                                                               \
        status = (expr);                                                                                               \
        if (status != SPT_OK)                                                                                          \
            goto label;                                                                                                \
    } while (0)

#endif
