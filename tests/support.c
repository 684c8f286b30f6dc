/* SPDX-License-Identifier: Apache-2.0 */
/* Shared helpers of the tests. */
#include "tests/support.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/random.h"

/* assert() would be gone in a release build. */
static void require(bool is_true, const char *what) {
    if (is_true)
        return;
    fprintf(stderr, "%s: %s\n", what, spt_last_error());
    abort();
}

/* A fixed pseudo-random number in [0, 1000) for a cell. */
static int64_t noise(int64_t row, int64_t column) {
    uint64_t x = (uint64_t)row * 0x9e3779b97f4a7c15u + (uint64_t)column * 0xc2b2ae3d27d4eb4fu + 1;
    x ^= x >> 29;
    x *= 0xbf58476d1ce4e5b9u;
    x ^= x >> 32;
    return (int64_t)(x % 1000);
}

#define PATTERN(name, expression)                                                                                      \
    static bool name(int64_t r, int64_t c, int64_t m, int64_t k) {                                                     \
        (void)r, (void)c, (void)m, (void)k;                                                                            \
        return expression;                                                                                             \
    }
PATTERN(has_all, true)
PATTERN(has_none, false)
PATTERN(has_half, noise(r, c) < 500)
PATTERN(has_tenth, noise(r, c) < 100)
PATTERN(has_fiftieth, noise(r, c) < 20)
PATTERN(has_gaps, r % 4 != 0 && r != m - 1 && noise(r, c) < 300)
PATTERN(has_one_long_row, r == m / 2)
PATTERN(has_one_long_column, c == k - 1)
PATTERN(has_diagonal, r == c)
PATTERN(has_band, c - r <= 2 && r - c <= 3)
PATTERN(has_power_law, noise(r, c) < 900 / (r + 1) + 10)
PATTERN(has_blocks, noise(r / 4, c / 4) < 250)
PATTERN(has_large_blocks, noise(r / 16, c / 16) < 400)
PATTERN(has_one_of_two, noise(r, c / 2) % 2 == c % 2 && noise(r, c) < 900)
PATTERN(has_two_of_four, c % 4 == r % 4 || c % 4 == (r + 1 + c / 4) % 4)

/* V:N:M with V = 32, N = 2, M = 8: blocks of 32 x 8 keep four columns, of which a row keeps two. */
static bool has_vnm(int64_t row, int64_t column, int64_t n_rows, int64_t n_cols) {
    const int64_t block = column / 8, half = noise(row / 32, block) % 2; /* 0 1 4 5, or 2 3 6 7 */
    (void)n_rows, (void)n_cols;
    return column / 2 % 2 == half && (noise(row, block) % 2 == 0 ? column % 2 == row % 2 : column / 4 % 2 == row % 2);
}

/* Every pair of places in every group of every row of a tile of 16 rows, in one of the six tiles below each other. */
static bool has_all_pairs(int64_t row, int64_t column, int64_t n_rows, int64_t n_cols) {
    static const unsigned char pairs[6] = {0x3, 0x5, 0x9, 0x6, 0xa, 0xc};
    (void)n_rows, (void)n_cols;
    return (pairs[(row / 16 + row % 16 + column / 4) % 6] >> column % 4 & 1) != 0;
}

static const support_pattern patterns[] = {
    {"1x1", 1, 1, has_all},
    {"one row", 1, 70, has_half},
    {"one column", 70, 1, has_half},
    {"empty", 9, 11, has_none},
    {"empty rows", 37, 50, has_gaps},
    {"dense", 19, 23, has_all},
    {"one long row", 33, 300, has_one_long_row},
    {"one long column", 65, 40, has_one_long_column},
    {"diagonal", 45, 45, has_diagonal},
    {"band", 40, 64, has_band},
    {"half of 17x33", 17, 33, has_half},
    {"tenth of 40x100", 40, 100, has_tenth},
    {"fiftieth of 64x200", 64, 200, has_fiftieth},
    {"power law", 50, 130, has_power_law},
    {"blocks", 48, 96, has_blocks},
    {"tenth of 20x600", 20, 600, has_tenth},
    {"two of four of 29x136", 29, 136, has_two_of_four},
    {"large blocks", 53, 80, has_large_blocks},
    {"all pairs of two of four of 96x64", 96, 64, has_all_pairs},
    {"one of two of 37x150", 37, 150, has_one_of_two},
    {"vectors of two of eight of 70x92", 70, 92, has_vnm},
    {"tenth of 144x40", 144, 40, has_tenth},
};

int support_pattern_count(void) {
    return (int)(sizeof patterns / sizeof patterns[0]);
}

const support_pattern *support_pattern_at(int index) {
    return &patterns[index];
}

void support_pattern_build(spt_matrix *out, const support_pattern *pattern) {
    int64_t nnz = 0;
    for (int64_t row = 0; row < pattern->n_rows; row++)
        for (int64_t column = 0; column < pattern->n_cols; column++)
            nnz += pattern->has(row, column, pattern->n_rows, pattern->n_cols);
    spt_status status = spt_matrix_init(out, pattern->n_rows, pattern->n_cols, nnz, true);
    require(status == SPT_OK, pattern->name);
    nnz = 0;
    for (int64_t row = 0; row < pattern->n_rows; row++) {
        for (int64_t column = 0; column < pattern->n_cols; column++)
            if (pattern->has(row, column, pattern->n_rows, pattern->n_cols))
                out->columns[nnz++] = (int32_t)column;
        out->row_offsets[row + 1] = nnz;
    }
    support_fill_small(out->values, nnz, 7);
}

void support_fit_conv(spt_problem *problem, spt_matrix *matrix, int turn) {
    int64_t out_width = 1;
    if (problem->op != SPT_CONV2D)
        return;
    for (int64_t i = 1; i * i <= problem->n; i++)
        if (problem->n % i == 0)
            out_width = turn % 3 == 0 ? problem->n / i : i;
    problem->layout = SPT_KN;
    problem->stride = 1 + turn % 2;
    problem->width = (out_width - 1) * problem->stride + 1;
    problem->height = (problem->n / out_width - 1) * problem->stride + 1;
    if (problem->stride == 2 && turn % 4 == 1) { /* the last window does not end at the border */
        problem->width++;
        problem->height++;
    }
    matrix->view.n_cols = (matrix->view.n_cols + 8) / 9 * 9;
}

double support_slower(void) {
    const char *slower = getenv("SPT_SLOWER");
    return slower != NULL ? strtod(slower, NULL) : 1.0;
}

bool support_isa_first(spt_device *device) {
    device->isa = SPT_ISA_PLAIN;
    return true;
}

bool support_isa_next(spt_device *device, spt_isa best) {
#if defined(__x86_64__)
    const int step = device->isa == SPT_ISA_PLAIN ? 2 : 1; /* past NEON */
#else
    const int step = 1;
#endif
    device->isa = (spt_isa)((int)device->isa + step);
    return device->isa <= best;
}

void support_fill_small(float *out, int64_t count, uint64_t seed) {
    spt_random random;
    spt_random_init(&random, seed);
    for (int64_t i = 0; i < count; i++)
        out[i] = (float)((int)spt_random_below(&random, 5) - 2);
}

bool support_data_path(char *out, size_t capacity, const char *file) {
    const char *folder = getenv("SPARSETUNE_TEST_DATA");
    snprintf(out, capacity, "%s/%s", folder != NULL ? folder : "../shared/data", file);
    if (access(out, R_OK) == 0)
        return true;
    printf("SKIP: %s is not there; SPARSETUNE_TEST_DATA names the data folder\n", out);
    return false;
}

void support_folder_make(char *out, size_t capacity) {
    snprintf(out, capacity, "%s/sparsetune-test.XXXXXX", getenv("TMPDIR") != NULL ? getenv("TMPDIR") : "/tmp");
    const char *made = mkdtemp(out);
    require(made != NULL, out);
}

void support_folder_remove(const char *folder) {
    DIR *stream = opendir(folder);
    for (struct dirent *entry; stream != NULL && (entry = readdir(stream)) != NULL;) {
        char path[4096];
        struct stat info;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (lstat(path, &info) == 0 && S_ISDIR(info.st_mode))
            support_folder_remove(path);
        else
            unlink(path);
    }
    if (stream != NULL)
        closedir(stream);
    rmdir(folder);
}
