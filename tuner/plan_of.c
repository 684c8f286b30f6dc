/* SPDX-License-Identifier: Apache-2.0 */
/* The library has one function per operation. */
#include "tuner/plan_of.h"

static spt_status (*const planners[])(spt_plan **, spt_context *, const spt_csr *, const spt_problem *) = {
    [SPT_SPMM] = spt_plan_spmm, [SPT_SDDMM] = spt_plan_sddmm, [SPT_CONV2D] = spt_plan_conv2d};

spt_status spt_plan_of(spt_plan **out, spt_context *context, const spt_csr *a, const spt_problem *problem) {
    return planners[problem->op](out, context, a, problem);
}
