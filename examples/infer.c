/* SPDX-License-Identifier: Apache-2.0 */
/* One layer of a pruned network through sparsetune: read a pattern, plan, execute, say why, check the result.
 *
 *   infer PATTERN.smtx N [kn|nk] [none|bias|bias_relu] [DATABASE]
 *
 * Exit code: 0 right, 1 wrong or not possible, 2 usage. */
#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sparsetune.h"

/* A sparse matrix, its dense operands, and what is asked. */
typedef struct layer {
    spt_csr a;
    spt_problem problem;
    float *b, *c, *bias;
} layer;

static void give_up(const char *sentence) {
    fprintf(stderr, "infer: %s\n", sentence);
    exit(1);
}

static void *allocate(int64_t count, size_t item_bytes) {
    void *memory = calloc(count > 0 ? (size_t)count : 1, item_bytes);
    if (memory == NULL)
        give_up("out of memory");
    return memory;
}

/* Numbers in [-0.5, 0.5) that are the same in every run. */
static float *draw(int64_t count) {
    static uint32_t state = 1;
    float *values = allocate(count, sizeof *values);
    for (int64_t i = 0; i < count; i++) {
        state = state * 1664525u + 1013904223u;
        values[i] = (float)(state >> 8) / 16777216.0f - 0.5f;
    }
    return values;
}

/* "rows, cols, nonzeros", rows + 1 offsets, column indices. The library checks what the numbers mean. */
static void read_layer(layer *out, const char *path) {
    FILE *file = fopen(path, "r");
    int64_t nnz = 0;
    out->a.size = sizeof out->a;
    if (file == NULL || fscanf(file, "%" SCNd64 ", %" SCNd64 ", %" SCNd64, &out->a.n_rows, &out->a.n_cols, &nnz) != 3 ||
        out->a.n_rows < 1 || out->a.n_rows > INT32_MAX || out->a.n_cols < 1 || out->a.n_cols > INT32_MAX || nnz < 0)
        give_up("expected a pattern file that begins with rows, cols, nonzeros");
    int64_t *row_offsets = allocate(out->a.n_rows + 1, sizeof *row_offsets);
    int32_t *columns = allocate(nnz, sizeof *columns);
    for (int64_t i = 0; i <= out->a.n_rows; i++)
        if (fscanf(file, "%" SCNd64, &row_offsets[i]) != 1)
            give_up("the pattern file ends within its row offsets");
    for (int64_t i = 0; i < nnz; i++)
        if (fscanf(file, "%" SCNd32, &columns[i]) != 1)
            give_up("the pattern file ends within its columns");
    fclose(file);
    if (row_offsets[out->a.n_rows] != nnz)
        give_up("the pattern file's last row offset is not its number of nonzeros");
    out->a.row_offsets = row_offsets;
    out->a.columns = columns;
    out->a.values = draw(nnz);
    out->b = draw(out->a.n_cols * out->problem.n);
    out->c = draw(out->a.n_rows * out->problem.n);
    out->bias = draw(out->a.n_rows);
}

/* One element of C in double precision: its error as a share of what float arithmetic may cost. */
static double error_share(const layer *l, int64_t row, int64_t j) {
    const int64_t begin = l->a.row_offsets[row], end = l->a.row_offsets[row + 1], n = l->problem.n;
    const int is_kn = l->problem.layout == SPT_KN, has_bias = l->problem.epilogue != SPT_EPILOGUE_NONE;
    double sum = has_bias ? (double)l->bias[row] : 0.0, magnitude = fabs(sum);
    for (int64_t nz = begin; nz < end; nz++) {
        const int64_t col = l->a.columns[nz];
        const double b = (double)l->b[is_kn ? col * n + j : j * l->a.n_cols + col];
        const double product = (double)((const float *)l->a.values)[nz] * b;
        sum += product;
        magnitude += fabs(product);
    }
    if (l->problem.epilogue == SPT_BIAS_RELU && sum < 0.0)
        sum = 0.0;
    const double unit = FLT_EPSILON / 2.0; /* of rounding */
    const double bound = 2.0 * (double)(end - begin + 2) * unit * magnitude + unit * fabs(sum);
    const double error = fabs((double)l->c[is_kn ? row * n + j : j * l->a.n_rows + row] - sum);
    return error <= 0.0 ? 0.0 : error / bound; /* a NaN stays one */
}

static double largest_error(const layer *l) {
    double largest = 0.0;
    for (int64_t row = 0; row < l->a.n_rows; row++)
        for (int64_t j = 0; j < l->problem.n; j++) {
            const double share = error_share(l, row, j);
            if (!(share <= largest))
                largest = share;
        }
    return largest;
}

static void check(spt_status status) {
    if (status != SPT_OK)
        give_up(spt_last_error());
}

static void log_to_stderr(void *user, const char *message) {
    (void)user;
    fprintf(stderr, "infer: %s\n", message);
}

int main(int argc, char **argv) {
    layer l = {.problem = {.size = sizeof l.problem, .op = SPT_SPMM, .dtype = SPT_F32}};
    static const char *const layouts[] = {"kn", "nk"}, *const epilogues[] = {"none", "bias", "bias_relu"};
    int layout = 0, epilogue = 0;
    if (argc > 2)
        l.problem.n = strtoll(argv[2], NULL, 10);
    while (argc > 3 && layout < 2 && strcmp(argv[3], layouts[layout]) != 0)
        layout++;
    while (argc > 4 && epilogue < 3 && strcmp(argv[4], epilogues[epilogue]) != 0)
        epilogue++;
    if (l.problem.n < 1 || l.problem.n > INT32_MAX || layout == 2 || epilogue == 3 || argc > 6) {
        fprintf(stderr, "usage: infer PATTERN.smtx N [kn|nk] [none|bias|bias_relu] [DATABASE]\n");
        return 2;
    }
    l.problem.layout = (spt_layout)layout;
    l.problem.epilogue = (spt_epilogue)epilogue;
    read_layer(&l, argv[1]);

    /* Open once per process: the tuned results are read here. NULL databases would mean the usual places. */
    const char *const databases[] = {argc > 5 ? argv[5] : NULL, NULL};
    const spt_options options = {
        .size = sizeof options, .databases = argc > 5 ? databases : NULL, .log = log_to_stderr};
    spt_context *context;
    check(spt_open(&context, &options));

    /* Plan once per matrix: choose the kernel, pack the weights. */
    spt_plan *plan;
    check(spt_plan_spmm(&plan, context, &l.a, &l.problem));
    spt_choice choice = {.size = sizeof choice};
    check(spt_explain(plan, &choice));
    printf("%s %s\nmatch %s, expected %.0f ns, %.1f times dense (0: not known)\nwhy: %s\n", choice.family, choice.point,
           spt_match_name(choice.match), choice.time_ns_expected, choice.speedup_over_dense, choice.reason);

    /* Execute as often as you like. */
    const spt_args args = {.size = sizeof args, .b.data = l.b, .c.data = l.c, .bias = l.bias};
    check(spt_execute(plan, &args));
    const double error = largest_error(&l);
    printf("largest error %.3f of its bound\n", error);

    spt_plan_free(plan);
    spt_close(context);
    free((void *)l.a.row_offsets);
    free((void *)l.a.columns);
    free((void *)l.a.values);
    free(l.b);
    free(l.c);
    free(l.bias);
    return error <= 1.0 ? 0 : 1;
}
