/* SPDX-License-Identifier: Apache-2.0 */
/* The preamble of a cmocka test, and checks of statuses with their sentences. */
#ifndef SPT_TESTS_UNIT_H
#define SPT_TESTS_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/error.h"

#define N_ITEMS(table) ((int)(sizeof(table) / sizeof((table)[0])))

/* Expect OK; otherwise show the sentence. */
#define expect_ok(expr)                                                                                                \
    do {                                                                                                               \
        const spt_status status_ = (expr);                                                                             \
        if (status_ != SPT_OK)                                                                                         \
            fail_msg("%s: %s, %s", #expr, spt_status_name(status_), spt_last_error());                                 \
    } while (0)

/* Expect an error whose sentence holds `part`. */
#define expect_error(expected, part, expr)                                                                             \
    do {                                                                                                               \
        spt_error_clear();                                                                                             \
        const spt_status status_ = (expr);                                                                             \
        if (status_ != (expected) || strstr(spt_last_error(), (part)) == NULL)                                         \
            fail_msg("%s: expected %s with '%s', found %s: %s", #expr, spt_status_name(expected), (part),              \
                     spt_status_name(status_), spt_last_error());                                                      \
    } while (0)

#endif
