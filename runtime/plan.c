/* SPDX-License-Identifier: Apache-2.0 */
/* Plans: a selected variant made ready, executed through the same driver that the tuner measures.
 * A plan is immutable but for set_values and points into nobody's memory but its own. */
#include <string.h>

#include "core/memory.h"
#include "core/text.h"
#include "runtime/abi.h"
#include "runtime/capture.h"
#include "runtime/select.h"

struct spt_plan {
    spt_prepared prepared;
    spt_selection selection;
};

/* ---- making one ---- */

/* Tell once per context and family that a variant could not be made ready. */
static void report_family(spt_context *context, const spt_family *family, const char *why) {
    const spt_families bit = spt_families_of(family);
    if ((atomic_fetch_or(&context->families_reported, bit) & bit) == 0)
        spt_context_log(context, "%s could not be made ready, something else runs in its place: %s", family->name, why);
}

static spt_status prepare(spt_plan *plan, const spt_context *context, const spt_workload *workload, const spt_csr *a) {
    const spt_selection *selection = &plan->selection;
    SPT_TRY(spt_prepared_init(&plan->prepared, selection->family, &selection->point, workload, &context->device, a));
    const spt_status status = spt_prepared_complete(&plan->prepared);
    if (status != SPT_OK)
        spt_prepared_fini(&plan->prepared);
    return status;
}

/* Code that cannot be generated, or a library that went away, is no reason to have no answer: the next default serves,
 * at last the plain kernel. Memory that is exhausted is the caller's to know. */
static spt_status make_ready(spt_plan *plan, spt_context *context, const spt_workload *workload, const spt_csr *a) {
    spt_selection *selection = &plan->selection;
    spt_families failed = 0;
    SPT_TRY(spt_select(selection, context, workload));
    spt_capture_miss(context, workload, a, selection->match);
    for (;;) {
        const spt_status status = prepare(plan, context, workload, a);
        if (status == SPT_OK || status == SPT_ENOMEM)
            return status;
        char why[200];
        spt_copy_text(why, sizeof why, spt_last_error());
        report_family(context, selection->family, why);
        failed |= spt_families_of(selection->family);
        if (spt_select_default(selection, context, workload, why, failed) != SPT_OK)
            return spt_fail(status, "%s", why);
    }
}

static spt_status make_plan(spt_plan **out, spt_context *context, const spt_csr *a, const spt_problem *problem,
                            spt_op op) {
    if (out == NULL)
        return spt_fail(SPT_EINVAL, "expected a place for the plan, found a null pointer");
    *out = NULL;
    if (context == NULL)
        return spt_fail(SPT_EINVAL, "expected an open context, found a null pointer");
    spt_csr known_a = {0};
    spt_problem known_problem = {0};
    spt_workload workload;
    SPT_TRY(spt_abi_read(&known_problem, sizeof known_problem, problem, SPT_PROBLEM_SIZE_FIRST, "a problem"));
    SPT_TRY(spt_abi_read(&known_a, sizeof known_a, a, SPT_CSR_SIZE_FIRST, "a matrix"));
    if (known_problem.op != op)
        return spt_fail(SPT_EINVAL, "expected problem.op %s for this call, found %s", spt_op_name(op),
                        spt_op_name(known_problem.op));
    SPT_TRY(spt_workload_init(&workload, &known_problem, &known_a));
    SPT_TRY(spt_context_on(&context, context, workload.problem.device));
    if (op != SPT_SDDMM && known_a.values == NULL && workload.pattern.nnz > 0)
        return spt_fail(SPT_EINVAL, "A: expected values for its nonzeros, found none");
    if (workload.pattern.nnz == 0) /* families may copy zero elements from here */
        known_a.columns = (const int32_t *)(known_a.values = known_a.row_offsets);
    spt_plan *plan = NULL;
    SPT_TRY(SPT_NEW_ZEROED(plan, 1));
    const spt_status status = make_ready(plan, context, &workload, &known_a);
    if (status != SPT_OK) {
        spt_plan_free(plan);
        return status;
    }
    *out = plan;
    return SPT_OK;
}

spt_status spt_plan_spmm(spt_plan **out, spt_context *context, const spt_csr *a, const spt_problem *problem) {
    return make_plan(out, context, a, problem, SPT_SPMM);
}

spt_status spt_plan_sddmm(spt_plan **out, spt_context *context, const spt_csr *mask, const spt_problem *problem) {
    return make_plan(out, context, mask, problem, SPT_SDDMM);
}

spt_status spt_plan_conv2d(spt_plan **out, spt_context *context, const spt_csr *a, const spt_problem *problem) {
    return make_plan(out, context, a, problem, SPT_CONV2D);
}

void spt_plan_free(spt_plan *plan) {
    if (plan == NULL)
        return;
    spt_prepared_fini(&plan->prepared);
    spt_free(plan);
}

/* ---- using one ---- */

static spt_status check_plan(const spt_plan *plan) {
    return plan != NULL ? SPT_OK : spt_fail(SPT_EINVAL, "expected a plan, found a null pointer");
}

/* Give args as this library knows them: the caller's own where the size is ours, a completed copy otherwise. */
static spt_status known_args(const spt_args **out, spt_args *copy, const spt_args *args) {
    *out = args;
    if (args != NULL && args->size == sizeof *args)
        return SPT_OK;
    *copy = (spt_args){0};
    *out = copy;
    return spt_abi_read(copy, sizeof *copy, args, SPT_ARGS_SIZE_FIRST, "args");
}

size_t spt_plan_workspace(const spt_plan *plan, int64_t n) {
    if (plan == NULL)
        return 0;
    return spt_prepared_workspace(&plan->prepared, n >= 1 ? n : plan->prepared.workload.problem.n);
}

spt_status spt_execute(const spt_plan *plan, const spt_args *args) {
    const spt_args *known;
    spt_args copy;
    SPT_TRY(check_plan(plan));
    SPT_TRY(known_args(&known, &copy, args));
    return spt_prepared_run(&plan->prepared, known);
}

spt_status spt_execute_part(const spt_plan *plan, const spt_args *args, int part, int n_parts) {
    const spt_args *known;
    spt_args copy;
    SPT_TRY(check_plan(plan));
    SPT_TRY(known_args(&known, &copy, args));
    return spt_prepared_run_part(&plan->prepared, known, part, n_parts);
}

spt_status spt_plan_set_values(spt_plan *plan, const void *values) {
    SPT_TRY(check_plan(plan));
    return spt_prepared_set_values(&plan->prepared, values);
}

spt_status spt_explain(const spt_plan *plan, spt_choice *out) {
    SPT_TRY(check_plan(plan));
    const spt_selection *selection = &plan->selection;
    const spt_prepared *prepared = &plan->prepared;
    spt_choice choice = {
        .size = sizeof choice,
        .match = selection->match,
        .time_ns_expected = selection->time_ns_expected,
        .speedup_over_dense = selection->speedup_over_dense,
        .speedup_over_default = selection->speedup_over_default,
        .n_tuned = selection->n_tuned,
        .stale = selection->stale,
        .packed_bytes = prepared->packed_bytes,
        .pack_ns = prepared->pack_ns,
        .compile_ns = prepared->compile_ns,
        .neighbour_distance = selection->distance,
        .loss_expected = selection->loss_expected,
    };
    spt_copy_text(choice.family, sizeof choice.family, selection->family->name);
    SPT_TRY(spt_point_text(choice.point, selection->family->axes, selection->family->n_axes, &selection->point));
    spt_copy_text(choice.reason, sizeof choice.reason, selection->reason);
    spt_copy_text(choice.level, sizeof choice.level, selection->level);
    spt_copy_text(choice.neighbour, sizeof choice.neighbour, selection->neighbour);
    return spt_abi_write(out, &choice, sizeof choice, SPT_CHOICE_SIZE_FIRST, "a choice");
}
