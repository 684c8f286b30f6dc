/* SPDX-License-Identifier: Apache-2.0 */
/* The geometry of conv2d; see conv.h. */
#include "core/conv.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/csr.h"

static int stride_of(const spt_problem *problem) {
    return problem->stride == 0 ? 1 : problem->stride;
}

spt_conv spt_conv_of(const spt_problem *problem, int64_t n_cols) {
    const int stride = stride_of(problem);
    return (spt_conv){.channels = (n_cols + SPT_CONV_TAPS - 1) / SPT_CONV_TAPS,
                      .height = problem->height,
                      .width = problem->width,
                      .out_height = spt_conv_extent(problem->height, stride),
                      .out_width = spt_conv_extent(problem->width, stride),
                      .stride = stride};
}

spt_status spt_conv_check(int64_t *n, const spt_problem *problem) {
    const int64_t height = problem->height, width = problem->width;
    if (problem->op != SPT_CONV2D) {
        if (height != 0 || width != 0 || problem->stride != 0)
            return spt_fail(SPT_EINVAL, "expected no image outside of conv2d, found %" PRId64 "x%" PRId64 ", stride %d",
                            height, width, problem->stride);
        return SPT_OK;
    }
    if (height < 1 || width < 1 || height > SPT_DIM_MAX || width > SPT_DIM_MAX || height * width > SPT_DIM_MAX)
        return spt_fail(SPT_EINVAL, "conv2d: expected an image of 1 to %d places, found %" PRId64 "x%" PRId64,
                        SPT_DIM_MAX, height, width);
    if (problem->stride < 0 || problem->stride > SPT_CONV_STRIDE_MAX)
        return spt_fail(SPT_EINVAL, "conv2d: expected stride 1 or 2, found %d", problem->stride);
    if (problem->layout != SPT_KN)
        return spt_fail(SPT_EINVAL, "conv2d: expected layout kn, which is NCHW, found nk");
    const spt_conv conv = spt_conv_of(problem, SPT_CONV_TAPS);
    if (*n != 0 && *n != conv.out_height * conv.out_width)
        return spt_fail(SPT_EINVAL,
                        "conv2d: expected n 0 or %" PRId64 ", the output's %" PRId64 "x%" PRId64 ", found %" PRId64,
                        conv.out_height * conv.out_width, conv.out_height, conv.out_width, *n);
    *n = conv.out_height * conv.out_width;
    return SPT_OK;
}

void spt_conv_text(char out[SPT_CONV_TEXT_SIZE], const spt_problem *problem) {
    if (problem->op != SPT_CONV2D)
        snprintf(out, SPT_CONV_TEXT_SIZE, "-");
    else
        snprintf(out, SPT_CONV_TEXT_SIZE, "%dx%d,s%d,%" PRId64 "x%" PRId64, SPT_CONV_WINDOW, SPT_CONV_WINDOW,
                 stride_of(problem), problem->height, problem->width);
}

spt_status spt_conv_parse(spt_problem *problem, const char *text) {
    char again[SPT_CONV_TEXT_SIZE];
    if (problem->op != SPT_CONV2D)
        return SPT_OK;
    const bool is_read =
        sscanf(text, "3x3,s%1d,%10" SCNd64 "x%10" SCNd64, &problem->stride, &problem->height, &problem->width) == 3;
    spt_conv_text(again, problem);
    if (!is_read || strcmp(text, again) != 0) /* one text per problem */
        return spt_fail(SPT_EINVAL, "expected a key with parameters such as 3x3,s1,56x56, found '%.40s'", text);
    return spt_conv_check(&problem->n, problem);
}

void spt_conv_assume(spt_problem *problem) {
    int64_t side = 1;
    if (problem->op == SPT_CONV2D && problem->height > 0)
        return;
    problem->height = problem->width = 0;
    problem->stride = 0;
    if (problem->op != SPT_CONV2D)
        return;
    while (side * side < problem->n)
        side++;
    problem->height = problem->width = side;
    problem->stride = 1;
    problem->n = side * side;
    problem->layout = SPT_KN;
}
