/* SPDX-License-Identifier: Apache-2.0 */
/* The image of a convolution as text. */
#include <inttypes.h>
#include <stdio.h>

#include "core/conv.h"
#include "core/csr.h"
#include "tuner/input/input.h"

spt_status spt_image_parse(int64_t *height, int64_t *width, int *stride, const char *text) {
    int end = 0;
    char letter = 's';
    *stride = 1;
    const bool has_extents = sscanf(text, "%10" SCNd64 "x%10" SCNd64 "%n", height, width, &end) == 2;
    const char *rest = text + end;
    end = 0;
    const bool has_stride =
        has_extents && rest[0] != '\0' && sscanf(rest, "%c%1d%n", &letter, stride, &end) == 2 && rest[end] == '\0';
    if (!has_extents || (rest[0] != '\0' && (!has_stride || letter != 's')) || *height < 1 || *width < 1 ||
        *height > SPT_DIM_MAX || *width > SPT_DIM_MAX || *height * *width > SPT_DIM_MAX || *stride < 1 ||
        *stride > SPT_CONV_STRIDE_MAX)
        return spt_fail(SPT_EINVAL,
                        "expected an image as height x width and perhaps the stride 1 or 2, such as "
                        "56x56s2, found '%.40s'",
                        text);
    return SPT_OK;
}
