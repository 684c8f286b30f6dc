/* SPDX-License-Identifier: Apache-2.0 */
/* The geometry of conv2d: windows of 3x3 over an image with one row of zeros around it. Columns of A are (tap,
 * channel), channels fastest; tap 3 y + x looks at row y - 1 and column x - 1 around the window's middle. */
#ifndef SPT_CORE_CONV_H
#define SPT_CORE_CONV_H

#include <stdint.h>

#include "core/error.h"

enum { SPT_CONV_WINDOW = 3, SPT_CONV_TAPS = 9, SPT_CONV_STRIDE_MAX = 2, SPT_CONV_TEXT_SIZE = 64 };

typedef struct spt_conv {
    int64_t channels, height, width; /* of the input */
    int64_t out_height, out_width;
    int stride;
} spt_conv;

/* Rows or columns of the output. */
static inline int64_t spt_conv_extent(int64_t extent, int stride) {
    return (extent - 1) / stride + 1;
}

/* The geometry of a checked problem; channels are rounded up where n_cols is no multiple of the taps. */
spt_conv spt_conv_of(const spt_problem *problem, int64_t n_cols);

/* Check what a problem says of an image (conv2d: all of it and layout kn; other operations: nothing), and give conv2d's
 * n where it is 0. Errors: EINVAL. */
spt_status spt_conv_check(int64_t *n, const spt_problem *problem);

/* An operation's own parameters in the key, "-" where it has none; and back, checked against op and n. Errors: EINVAL.
 */
void spt_conv_text(char out[SPT_CONV_TEXT_SIZE], const spt_problem *problem);
spt_status spt_conv_parse(spt_problem *problem, const char *text);

/* Give a conv2d problem that says nothing of an image a square one of about n places, stride 1; other problems lose
 * theirs. For listing spaces and compiling what does not depend on it. */
void spt_conv_assume(spt_problem *problem);

#endif
