/* SPDX-License-Identifier: Apache-2.0 */
/* Structs of another size than this library's; see abi.h. */
#include "runtime/abi.h"

#include <string.h>

static size_t size_of(const void *given) {
    size_t size;
    memcpy(&size, given, sizeof size);
    return size;
}

static spt_status check_size(const void *given, size_t size_first, const char *what) {
    if (given == NULL)
        return spt_fail(SPT_EINVAL, "expected %s, found a null pointer", what);
    if (size_of(given) < size_first)
        return spt_fail(SPT_EINVAL, "expected %s whose size field is at least %zu, found %zu", what, size_first,
                        size_of(given));
    return SPT_OK;
}

spt_status spt_abi_read(void *out, size_t size_known, const void *given, size_t size_first, const char *what) {
    SPT_TRY(check_size(given, size_first, what));
    const size_t size = size_of(given);
    const unsigned char *bytes = given;
    for (size_t i = size_known; i < size; i++)
        if (bytes[i] != 0)
            return spt_fail(SPT_EINVAL,
                            "%s: a field at byte %zu is set that sparsetune %s, which knows %zu bytes, does not have",
                            what, i, SPT_VERSION_TEXT, size_known);
    memcpy(out, given, size < size_known ? size : size_known);
    memcpy(out, &size_known, sizeof size_known);
    return SPT_OK;
}

spt_status spt_abi_write(void *out, const void *known, size_t size_known, size_t size_first, const char *what) {
    SPT_TRY(check_size(out, size_first, what));
    const size_t size = size_of(out);
    memset(out, 0, size);
    memcpy(out, known, size < size_known ? size : size_known);
    memcpy(out, &size, sizeof size);
    return SPT_OK;
}
