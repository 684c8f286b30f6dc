/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of the runtime share: random matrices, a case (operands, poisoned output, double-precision reference),
 * and databases with the winners that a test asks for. */
#ifndef SPT_TESTS_RUNTIME_FIXTURE_H
#define SPT_TESTS_RUNTIME_FIXTURE_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/memory.h"
#include "core/random.h"
#include "core/text.h"
#include "db/db.h"
#include "sparsetune.h"
#include "tests/support.h"
#include "variants/family.h"
#include "variants/operation.h"

#define assert_ok(expr)                                                                                                \
    do {                                                                                                               \
        const spt_status status_ = (expr);                                                                             \
        if (status_ != SPT_OK)                                                                                         \
            fail_msg("%s: %d, %s", #expr, (int)status_, spt_last_error());                                             \
    } while (0)

static inline void make_matrix(spt_matrix *out, int64_t n_rows, int64_t n_cols, double density, uint64_t seed) {
    spt_random random;
    spt_random_init(&random, seed);
    const int64_t count = n_rows * n_cols;
    float *dense = spt_alloc((size_t)count, sizeof *dense);
    assert_non_null(dense);
    spt_random_fill_f32(&random, dense, count);
    for (int64_t i = 0; i < count; i++)
        if (spt_random_unit(&random) >= density)
            dense[i] = 0.0f;
    assert_ok(spt_matrix_from_dense(out, dense, n_rows, n_cols));
    spt_free(dense);
}

static inline spt_problem make_problem(spt_op op, spt_layout layout, spt_epilogue epilogue, int64_t n, int threads) {
    return (spt_problem){
        .size = sizeof(spt_problem), .op = op, .layout = layout, .epilogue = epilogue, .n = n, .threads = threads};
}

/* ---- one case: operands, output, reference ---- */

typedef struct run_case {
    spt_workload workload; /* n is the actual one */
    spt_args args;         /* complete; args.n is 0 when it is the planned n */
    float *operands[SPT_OPERANDS_MAX];
    int n_operands;
    int64_t output_count;
    float *bias;
    double *value, *tolerance;
} run_case;

static inline float *case_output(const run_case *c) {
    return c->operands[c->n_operands - 1];
}

static inline void case_poison(const run_case *c) {
    for (int64_t i = 0; i < c->output_count; i++)
        case_output(c)[i] = NAN;
}

static inline void case_init(run_case *out, const spt_csr *a, const spt_problem *problem, int64_t n) {
    *out = (run_case){.args = {.size = sizeof out->args}};
    assert_ok(spt_workload_init(&out->workload, problem, a));
    out->workload.problem.n = n;
    out->args.n = n; /* the reference wants it said */
    const spt_operation *operation = spt_operation_get(problem->op);
    spt_random random;
    spt_random_init(&random, 7);
    out->n_operands = operation->n_operands;
    for (int i = 0; i < operation->n_operands; i++) {
        const int64_t count = spt_operand_count(&operation->operands[i], &out->workload);
        out->operands[i] = spt_alloc((size_t)count, sizeof(float));
        spt_random_fill_f32(&random, out->operands[i], count);
        spt_operand_bind(&out->args, &operation->operands[i], out->operands[i], 0, 0);
        out->output_count = count;
    }
    out->bias = spt_alloc((size_t)a->n_rows, sizeof(float));
    spt_random_fill_f32(&random, out->bias, a->n_rows);
    out->args.bias = out->bias;
    out->value = spt_alloc((size_t)out->output_count, sizeof(double));
    out->tolerance = spt_alloc((size_t)out->output_count, sizeof(double));
    operation->reference(out->value, out->tolerance, &out->workload, a, &out->args);
    out->args.n = n == problem->n ? 0 : n;
    case_poison(out);
}

/* The first element that is too far from the reference, or -1. */
static inline int64_t case_first_wrong(const run_case *c, const float *output) {
    for (int64_t i = 0; i < c->output_count; i++)
        if (!(fabs((double)output[i] - c->value[i]) <= c->tolerance[i]))
            return i;
    return -1;
}

static inline void assert_case_right(const run_case *c) {
    const int64_t wrong = case_first_wrong(c, case_output(c));
    if (wrong >= 0)
        fail_msg("element %lld is %g instead of %g", (long long)wrong, (double)case_output(c)[wrong], c->value[wrong]);
}

static inline void case_fini(run_case *c) {
    for (int i = 0; i < c->n_operands; i++)
        spt_free(c->operands[i]);
    spt_free(c->bias);
    spt_free(c->value);
    spt_free(c->tolerance);
    *c = (run_case){0};
}

/* ---- databases ---- */

/* One tuned result; zero and NULL fields mean what this library and this build would write. */
typedef struct record_row {
    const char *family;
    int revision;
    const char *point; /* NULL: the family's default point */
    double time_ns;
    const char *compiler;
    const char *library;
} record_row;

static inline void record_trial(spt_trial *out, const record_row *row, const spt_workload *workload,
                                const spt_device *device) {
    *out = (spt_trial){.phase = SPT_PHASE_SEARCH};
    spt_variant_id *variant = &out->variant;
    const spt_family *family = spt_family_find(row->family);
    const char *library = "";
    spt_copy_text(variant->family, sizeof variant->family, row->family);
    variant->revision = family != NULL ? family->revision : 1;
    spt_copy_text(variant->point, sizeof variant->point, "-");
    if (family != NULL) {
        spt_point point = {0};
        family->default_point(workload, device, &point);
        assert_ok(spt_point_text(variant->point, family->axes, family->n_axes, &point));
        library = spt_family_library(family, &point);
        variant->is_dense = family->is_dense;
    }
    if (row->revision != 0)
        variant->revision = row->revision;
    if (row->point != NULL)
        spt_copy_text(variant->point, sizeof variant->point, row->point);
    spt_copy_text(variant->library, sizeof variant->library, row->library != NULL ? row->library : library);
    out->measurement = (spt_measurement){.status = SPT_TRIAL_CORRECT,
                                         .n_samples = 11,
                                         .time_ns_median = row->time_ns,
                                         .ci_ns_low = row->time_ns * 0.999,
                                         .ci_ns_high = row->time_ns * 1.001};
}

/* Add the results of one problem on a device to the database at path, which is made when it is missing. */
static inline void write_records_on(const spt_device *where, const char *path, const spt_csr *a,
                                    const spt_problem *problem, const record_row *rows, int n_rows) {
    const spt_device device = *where;
    spt_workload workload;
    spt_key key;
    spt_db *db;
    assert_ok(spt_workload_init(&workload, problem, a));
    assert_ok(spt_key_init(&key, &workload, &device));
    assert_ok(spt_db_open(&db, path, SPT_DB_WRITE));
    for (int i = 0; i < n_rows; i++) {
        spt_session session = {.budget = 1, .started_unix_s = 1700000000 + i};
        spt_uuid_new(session.uuid);
        spt_copy_text(session.host, sizeof session.host, "11111111-2222-4333-8444-555555555555");
        spt_copy_text(session.tool_version, sizeof session.tool_version, SPT_VERSION_TEXT);
        spt_copy_text(session.compiler, sizeof session.compiler, rows[i].compiler ? rows[i].compiler : __VERSION__);
        spt_copy_text(session.strategy, sizeof session.strategy, "random");
        spt_copy_text(session.policy, sizeof session.policy, "test");
        assert_ok(spt_db_session_add(db, &session));
        spt_trial trial;
        record_trial(&trial, &rows[i], &workload, &device);
        const spt_subject subject = {&key, &workload, &device};
        assert_ok(spt_db_trials_add(db, &session, &subject, &trial, 1));
    }
    assert_ok(spt_db_winners_rebuild(db, &key));
    spt_db_close(db);
}

/* The same, on this device. */
static inline void write_records(const char *path, const spt_csr *a, const spt_problem *problem, const record_row *rows,
                                 int n_rows) {
    spt_device device;
    assert_ok(spt_device_detect(&device));
    write_records_on(&device, path, a, problem, rows, n_rows);
}

/* ---- contexts ---- */

/* What the log heard. */
typedef struct log_book {
    int count;
    char last[640];
} log_book;

static inline void log_to_book(void *user, const char *message) {
    log_book *book = user;
    if (book == NULL)
        fail_msg("the log heard: %s", message);
    book->count++;
    spt_copy_text(book->last, sizeof book->last, message);
}

/* Open with one database (NULL: none at all). */
static inline spt_context *open_with(const char *path, spt_mode mode, log_book *book) {
    const char *const databases[] = {path, NULL};
    const spt_options options = {
        .size = sizeof options, .databases = databases, .mode = mode, .log = log_to_book, .log_user = book};
    spt_context *context;
    assert_ok(spt_open(&context, &options));
    return context;
}

/* A context whose database names `family` for the problem: what the tests of threads and forks run must not depend on
 * the model's taste. */
static inline spt_context *open_with_family(const char *family, const spt_csr *a, const spt_problem *problem) {
    char folder[128], db[160];
    support_folder_make(folder, sizeof folder);
    snprintf(db, sizeof db, "%s/tune.db", folder);
    write_records(db, a, problem, &(record_row){.family = family, .time_ns = 1.0}, 1);
    spt_context *context = open_with(db, SPT_MODE_EXACT, NULL);
    support_folder_remove(folder);
    return context;
}

static inline void assert_family(const spt_plan *plan, const char *family) {
    spt_choice choice = {.size = sizeof choice};
    assert_ok(spt_explain(plan, &choice));
    assert_string_equal(choice.family, family);
}

/* Plan in an open context, execute, compare with the reference, and tell the choice. */
static inline spt_choice explain_right(spt_context *context, const spt_csr *a, const spt_problem *problem) {
    spt_plan *plan;
    run_case c;
    spt_choice choice = {.size = sizeof choice};
    assert_ok(spt_plan_spmm(&plan, context, a, problem));
    assert_ok(spt_explain(plan, &choice));
    case_init(&c, a, problem, problem->n);
    assert_ok(spt_execute(plan, &c.args));
    assert_case_right(&c);
    case_fini(&c);
    spt_plan_free(plan);
    return choice;
}

/* One matrix and a context without databases: what set_up hands to tests of untuned plans. */
typedef struct untuned {
    spt_matrix a;
    spt_context *context;
    log_book book;
} untuned;

static inline int untuned_set_up(void **state, int64_t n_rows, int64_t n_cols, double density, uint64_t seed) {
    untuned *u = spt_alloc_zeroed(1, sizeof *u);
    make_matrix(&u->a, n_rows, n_cols, density, seed);
    u->context = open_with(NULL, SPT_MODE_FALLBACK, &u->book);
    *state = u;
    return 0;
}

static inline int untuned_tear_down(void **state) {
    untuned *u = *state;
    spt_close(u->context);
    spt_matrix_fini(&u->a);
    spt_free(u);
    return 0;
}

#endif
