/* SPDX-License-Identifier: Apache-2.0 */
/* Elements of any type and small integers, for packings. */
#include "variants/cuda/rows.h"

#include <inttypes.h>
#include <string.h>

#include "core/error.h"

void spt_copy_element(spt_dtype dtype, void *to, int64_t i, const void *from, int64_t j) {
    const size_t bytes = spt_dtype_bytes(dtype);
    memcpy((char *)to + (size_t)i * bytes, (const char *)from + (size_t)j * bytes, bytes);
}

spt_status spt_check_i32(int64_t number, const char *what) {
    if (number > INT32_MAX)
        return spt_fail(SPT_EUNSUPPORTED, "expected %s of at most %d on CUDA devices, found %" PRId64, what, INT32_MAX,
                        number);
    return SPT_OK;
}
