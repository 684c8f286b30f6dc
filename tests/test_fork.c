/* SPDX-License-Identifier: Apache-2.0 */
/* A forked child executes: OpenMP's threads do not survive a fork, so a child that asked for them would wait for ever.
 * The parent executes on two threads first; the child has a few seconds, and a hang is a failure. */
#include "tests/runtime_fixture.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

#define M 90
#define K 64
#define N 40
#define PATIENCE_MS 20000

typedef bool child_function(const spt_plan *plan, const run_case *c);

/* Run `child` in a forked process. -1: it did not end in time and was killed. */
static int run_in_child(child_function *child, const spt_plan *plan, const run_case *c) {
    const pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* a child that hangs goes with its parent */
        _exit(child(plan, c) ? 0 : 1);
    }
    int state = 0;
    for (int waited_ms = 0; waitpid(pid, &state, WNOHANG) == 0; waited_ms += 5) {
        if (waited_ms > PATIENCE_MS) {
            kill(pid, SIGKILL);
            waitpid(pid, &state, 0);
            return -1;
        }
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    }
    return WIFEXITED(state) ? WEXITSTATUS(state) : 128 + WTERMSIG(state);
}

static bool child_executes(const spt_plan *plan, const run_case *c) {
    case_poison(c);
    return spt_execute(plan, &c->args) == SPT_OK && case_first_wrong(c, case_output(c)) < 0;
}

static bool child_executes_parts(const spt_plan *plan, const run_case *c) {
    case_poison(c);
    for (int part = 2; part >= 0; part--)
        if (spt_execute_part(plan, &c->args, part, 3) != SPT_OK)
            return false;
    return case_first_wrong(c, case_output(c)) < 0;
}

/* Its own context and plan, as a server does that forks its workers before it loads its model. */
static bool child_plans_and_executes(const spt_plan *plan, const run_case *c) {
    (void)plan;
    spt_matrix a;
    spt_context *context;
    spt_plan *own = NULL;
    make_matrix(&a, M, K, 0.3, 21);
    const spt_options options = {.size = sizeof options, .mode = SPT_MODE_OFF};
    const spt_problem problem = make_problem(SPT_SPMM, SPT_KN, SPT_BIAS, N, 2);
    case_poison(c);
    const bool is_right = spt_open(&context, &options) == SPT_OK &&
                          spt_plan_spmm(&own, context, &a.view, &problem) == SPT_OK &&
                          spt_execute(own, &c->args) == SPT_OK && case_first_wrong(c, case_output(c)) < 0;
    spt_plan_free(own);
    spt_close(context);
    spt_matrix_fini(&a);
    return is_right;
}

static bool child_forks_again(const spt_plan *plan, const run_case *c) {
    return run_in_child(child_executes, plan, c) == 0;
}

static void parent_on_two_threads_then_child(child_function *child) {
    spt_matrix a;
    spt_plan *plan;
    run_case c;
    make_matrix(&a, M, K, 0.3, 21);
    const spt_problem problem = make_problem(SPT_SPMM, SPT_KN, SPT_BIAS, N, 2);
    spt_context *context = open_with_family("spmm_csr_panel", &a.view, &problem);
    assert_ok(spt_plan_spmm(&plan, context, &a.view, &problem));
    assert_family(plan, "spmm_csr_panel");
    case_init(&c, &a.view, &problem, N);
    assert_ok(spt_execute(plan, &c.args)); /* now the parent has a team of threads */
    assert_case_right(&c);
    const int result = run_in_child(child, plan, &c);
    if (result != 0)
        fail_msg("the child %s (%d)", result < 0 ? "hung" : result == 1 ? "computed something else" : "died", result);
    case_poison(&c);
    assert_ok(spt_execute(plan, &c.args)); /* and the parent still works */
    assert_case_right(&c);
    case_fini(&c);
    spt_plan_free(plan);
    spt_close(context);
    spt_matrix_fini(&a);
}

static void forked_child_executes_its_parents_plan(void **state) {
    (void)state;
    parent_on_two_threads_then_child(child_executes);
}

static void forked_child_executes_parts(void **state) {
    (void)state;
    parent_on_two_threads_then_child(child_executes_parts);
}

static void forked_child_opens_plans_and_executes(void **state) {
    (void)state;
    parent_on_two_threads_then_child(child_plans_and_executes);
}

static void grandchild_executes_its_grandparents_plan(void **state) {
    (void)state;
    parent_on_two_threads_then_child(child_forks_again);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forked_child_executes_its_parents_plan),
        cmocka_unit_test(forked_child_executes_parts),
        cmocka_unit_test(forked_child_opens_plans_and_executes),
        cmocka_unit_test(grandchild_executes_its_grandparents_plan),
    };
    return cmocka_run_group_tests_name("fork", tests, NULL, NULL);
}
