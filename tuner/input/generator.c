/* SPDX-License-Identifier: Apache-2.0 */
/* Patterns from a seed: uniformly random, with rows of uneven length as magnitude pruning leaves them, N:M, blocks.
 * Memory O(m + nnz), time O(m k). */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/memory.h"
#include "core/random.h"
#include "core/text.h"
#include "tuner/input/loaders.h"

#define CELLS_MAX ((int64_t)1 << 34)
#define ROW_SPREAD 0.4 /* of the logarithm of row lengths; pruned layers have a variation of 0.1 to 0.8 */

/* A parsed spec. block_rows x block_cols: of a block; kept, of: N of every M. */
typedef struct spec {
    int64_t rows, cols;
    double sparsity;
    int64_t block_rows, block_cols;
    int64_t kept, of;
    uint64_t seed;
} spec;

typedef struct generator_row {
    const char *prefix;
    const char *form;
    spt_status (*parse)(spec *s, char *text); /* what follows MxK@ */
    spt_status (*make)(spt_matrix *out, const spec *s);
} generator_row;

/* Choose `wanted` of `count` places in order (Knuth, The Art of Computer Programming 2, algorithm 3.4.2S). */
static void choose_columns(int32_t *columns, int64_t wanted, int64_t count, spt_random *random) {
    for (int64_t column = 0; wanted > 0; column++) {
        if ((int64_t)spt_random_below(random, (uint64_t)(count - column)) < wanted) {
            *columns++ = (int32_t)column;
            wanted--;
        }
    }
}

static int64_t nonzeros_of(const spec *s) {
    return llround((1.0 - s->sparsity) * (double)s->rows * (double)s->cols);
}

static spt_status make_uniform(spt_matrix *out, const spec *s) {
    int64_t left = nonzeros_of(s), cells = s->rows * s->cols, nz = 0;
    spt_random random;
    spt_random_init(&random, s->seed);
    SPT_TRY(spt_matrix_init(out, s->rows, s->cols, left, false));
    for (int64_t row = 0; row < s->rows; row++) {
        for (int64_t column = 0; column < s->cols; column++, cells--) {
            if ((int64_t)spt_random_below(&random, (uint64_t)cells) < left) {
                out->columns[nz++] = (int32_t)column;
                left--;
            }
        }
        out->row_offsets[row + 1] = nz;
    }
    return SPT_OK;
}

static int64_t clamp(int64_t value, int64_t min, int64_t max) {
    return value < min ? min : value > max ? max : value;
}

/* Row lengths follow a log-normal distribution and add up to the wanted number of nonzeros. */
static spt_status make_skew(spt_matrix *out, const spec *s) {
    double *weights, sum = 0.0, due = 0.0;
    const int64_t wanted = nonzeros_of(s);
    int64_t nz = 0;
    spt_random random;
    spt_random_init(&random, s->seed);
    SPT_TRY(SPT_NEW(weights, s->rows));
    for (int64_t row = 0; row < s->rows; row++)
        sum += weights[row] = exp(ROW_SPREAD * spt_random_normal(&random));
    const spt_status status = spt_matrix_init(out, s->rows, s->cols, wanted, false);
    for (int64_t row = 0; row < s->rows && status == SPT_OK; row++) {
        due += weights[row] / sum * (double)wanted;
        const int64_t left = wanted - nz, later = (s->rows - row - 1) * s->cols; /* room of the rows to come */
        const int64_t least = left > later ? left - later : 0, most = left < s->cols ? left : s->cols;
        const int64_t length = clamp(row == s->rows - 1 ? left : llround(due) - nz, least, most);
        choose_columns(out->columns + nz, length, s->cols, &random);
        nz += length;
        out->row_offsets[row + 1] = nz;
    }
    spt_free(weights);
    return status;
}

static spt_status make_nm(spt_matrix *out, const spec *s) {
    const int64_t groups = s->cols / s->of;
    int64_t nz = 0;
    spt_random random;
    spt_random_init(&random, s->seed);
    SPT_TRY(spt_matrix_init(out, s->rows, s->cols, s->rows * groups * s->kept, false));
    for (int64_t row = 0; row < s->rows; row++) {
        for (int64_t group = 0; group < groups; group++) {
            choose_columns(out->columns + nz, s->kept, s->of, &random);
            for (int64_t i = 0; i < s->kept; i++)
                out->columns[nz++] += (int32_t)(group * s->of);
        }
        out->row_offsets[row + 1] = nz;
    }
    return SPT_OK;
}

/* A uniform pattern, each nonzero of which is then a whole block. */
static spt_status make_block(spt_matrix *out, const spec *s) {
    const spec coarse = {
        .rows = s->rows / s->block_rows, .cols = s->cols / s->block_cols, .sparsity = s->sparsity, .seed = s->seed};
    spt_matrix blocks;
    SPT_TRY(make_uniform(&blocks, &coarse));
    const int64_t nnz = spt_csr_nnz(&blocks.view) * s->block_rows * s->block_cols;
    const spt_status status = spt_matrix_init(out, s->rows, s->cols, nnz, false);
    int64_t nz = 0;
    for (int64_t row = 0; row < s->rows && status == SPT_OK; row++) {
        const int64_t block_row = row / s->block_rows;
        for (int64_t i = blocks.row_offsets[block_row]; i < blocks.row_offsets[block_row + 1]; i++) {
            for (int64_t column = 0; column < s->block_cols; column++)
                out->columns[nz++] = (int32_t)(blocks.columns[i] * s->block_cols + column);
        }
        out->row_offsets[row + 1] = nz;
    }
    spt_matrix_fini(&blocks);
    return status;
}

/* Parse the integer before `separator` (0: the end) and move the cursor behind it. */
static spt_status take_integer(int64_t *out, char **cursor, char separator, const char *what) {
    char *begin = *cursor, *end = strchr(begin, separator);
    if (end == NULL)
        return spt_fail(SPT_EINVAL, "%s: expected a number and then '%c'", what, separator);
    *cursor = separator != '\0' ? end + 1 : end;
    *end = '\0';
    return spt_parse_i64(out, begin, 1, SPT_DIM_MAX, what);
}

static spt_status parse_sparsity(spec *s, char *text) {
    return spt_parse_f64(&s->sparsity, text, 0.0, 1.0, "sparsity");
}

static spt_status parse_nm(spec *s, char *text) {
    SPT_TRY(take_integer(&s->kept, &text, ':', "N"));
    SPT_TRY(take_integer(&s->of, &text, '\0', "M"));
    if (s->kept > s->of || s->cols % s->of != 0)
        return spt_fail(SPT_EINVAL, "expected N at most M and columns divisible by M");
    return SPT_OK;
}

static spt_status parse_block(spec *s, char *text) {
    SPT_TRY(take_integer(&s->block_rows, &text, 'x', "rows of a block"));
    SPT_TRY(take_integer(&s->block_cols, &text, '@', "columns of a block"));
    if (s->rows % s->block_rows != 0 || s->cols % s->block_cols != 0)
        return spt_fail(SPT_EINVAL, "expected a shape that is divisible by the block");
    return parse_sparsity(s, text);
}

static const generator_row generators[] = {
    {"uniform:", "uniform:MxK@S", parse_sparsity, make_uniform},
    {"skew:", "skew:MxK@S", parse_sparsity, make_skew},
    {"nm:", "nm:MxK@N:M", parse_nm, make_nm},
    {"block:", "block:MxK@RxC@S", parse_block, make_block},
};
enum { N_GENERATORS = sizeof generators / sizeof generators[0] };

static const generator_row *find_generator(const char *text) {
    for (int i = 0; i < N_GENERATORS; i++) {
        if (strncmp(text, generators[i].prefix, strlen(generators[i].prefix)) == 0)
            return &generators[i];
    }
    return NULL;
}

bool spt_is_generator(const char *text) {
    return find_generator(text) != NULL;
}

static spt_status parse_spec(spec *out, const generator_row *row, const char *text, uint64_t seed) {
    char copy[128], *cursor = copy, *seed_text;
    if (strlen(text) >= sizeof copy)
        return spt_fail(SPT_EINVAL, "expected at most %zu characters", sizeof copy - 1);
    spt_copy_text(copy, sizeof copy, text + strlen(row->prefix));
    *out = (spec){.seed = seed};
    seed_text = strstr(copy, ":seed=");
    if (seed_text != NULL) {
        int64_t own_seed;
        SPT_TRY(spt_parse_i64(&own_seed, seed_text + strlen(":seed="), 0, INT64_MAX, "seed"));
        out->seed = (uint64_t)own_seed;
        *seed_text = '\0';
    }
    SPT_TRY(take_integer(&out->rows, &cursor, 'x', "rows"));
    SPT_TRY(take_integer(&out->cols, &cursor, '@', "columns"));
    if (out->rows > CELLS_MAX / out->cols)
        return spt_fail(SPT_EINVAL, "expected at most %" PRId64 " cells", CELLS_MAX);
    return row->parse(out, cursor);
}

static spt_status read_spec(spec *out, const generator_row **row, const char *text, uint64_t seed) {
    *row = find_generator(text);
    if (*row == NULL)
        return spt_fail(SPT_EINVAL, "%s: expected uniform:MxK@S, skew:MxK@S, nm:MxK@N:M or block:MxK@RxC@S", text);
    if (parse_spec(out, *row, text, seed) == SPT_OK)
        return SPT_OK;
    char reason[256];
    spt_copy_text(reason, sizeof reason, spt_last_error());
    return spt_fail(SPT_EINVAL, "%.100s: %s; the form is %s", text, reason, (*row)->form);
}

spt_status spt_generator_check(const char *text) {
    const generator_row *row;
    spec s;
    return read_spec(&s, &row, text, 0);
}

spt_status spt_generate(spt_matrix *out, const char *text, uint64_t seed) {
    const generator_row *row;
    spec s;
    *out = (spt_matrix){0};
    SPT_TRY(read_spec(&s, &row, text, seed));
    return row->make(out, &s);
}
