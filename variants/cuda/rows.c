/* SPDX-License-Identifier: Apache-2.0 */
/* Orders of rows and elements of any type, for packings. */
#include "variants/cuda/rows.h"

#include <inttypes.h>
#include <string.h>

#include "core/memory.h"

spt_status spt_rows_by_length(int32_t *rows, const spt_csr *a) {
    int64_t longest = 0, *first;
    for (int64_t row = 0; row < a->n_rows; row++) {
        const int64_t length = a->row_offsets[row + 1] - a->row_offsets[row];
        longest = length > longest ? length : longest;
    }
    SPT_TRY(SPT_NEW_ZEROED(first, longest + 2)); /* counting sort: place of the first row of a length */
    for (int64_t row = 0; row < a->n_rows; row++)
        first[longest - (a->row_offsets[row + 1] - a->row_offsets[row]) + 1]++;
    for (int64_t i = 0; i <= longest; i++)
        first[i + 1] += first[i];
    for (int64_t row = 0; row < a->n_rows; row++)
        rows[first[longest - (a->row_offsets[row + 1] - a->row_offsets[row])]++] = (int32_t)row;
    spt_free(first);
    return SPT_OK;
}

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
