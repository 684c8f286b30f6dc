/* SPDX-License-Identifier: Apache-2.0 */
/* LIBXSMM 1.17: the pattern as generated code over packed columns (libxsmm_create_xcsr_soa). A row-major B is the
 * packed form already when n is a multiple of the width: k x (n / 16) x 16. Its generator writes into a buffer of fixed
 * size and past its end when code grows (seen from about 128 KiB on), so rows go in blocks and columns in panels. */
#include <libxsmm.h>
#include <stdlib.h>
#include <string.h>

#include "bench/plugin.h"

enum { WIDTH = 16, PANEL = 8 * WIDTH, BLOCK_NONZEROS = 700 };

typedef struct plugin {
    int m, n, n_blocks;
    int *first_row;                  /* n_blocks + 1 */
    libxsmm_xmmfunction *kernels[2]; /* n_blocks each: a whole panel, the columns that are left */
    uint32_t *row_begin;             /* of every block, counted from its first nonzero */
    const uint32_t *nonzeros;        /* the caller's row starts */
    const float *values;
} plugin;

const double spt_plugin_input_error = 0.0;

const char *spt_plugin_version(void) {
    return "LIBXSMM " LIBXSMM_VERSION;
}

/* Contiguous rows are checked by every run. */
int spt_plugin_takes(const spt_plugin_problem *problem) {
    return !problem->is_nk && problem->n % WIDTH == 0 && problem->threads == 1;
}

static void release_kernel(libxsmm_xmmfunction kernel) {
    const void *code;
    memcpy(&code, &kernel, sizeof code);
    if (code != NULL)
        libxsmm_release_kernel(code);
}

void spt_plugin_destroy(void *handle) {
    plugin *self = handle;
    for (int which = 0; self != NULL && which < 2; which++) {
        for (int block = 0; self->kernels[which] != NULL && block < self->n_blocks; block++)
            release_kernel(self->kernels[which][block]);
        free(self->kernels[which]);
    }
    if (self != NULL) {
        free(self->first_row);
        free(self->row_begin);
    }
    free(self);
}

/* Rows in blocks of at most BLOCK_NONZEROS; 0 when a single row has more. */
static int split_rows(plugin *self, int m, const uint32_t *row_begin) {
    self->first_row[0] = 0;
    for (int row = 0; row < m; row++) {
        if (row_begin[row + 1] - row_begin[row] > BLOCK_NONZEROS)
            return 0;
        if (row_begin[row + 1] - row_begin[self->first_row[self->n_blocks]] > BLOCK_NONZEROS)
            self->first_row[++self->n_blocks] = row;
    }
    self->first_row[++self->n_blocks] = m;
    return 1;
}

static int make_kernels(plugin *self, int which, int columns, int k, const uint32_t *column_index) {
    self->kernels[which] = calloc((size_t)self->n_blocks, sizeof *self->kernels[which]);
    for (int block = 0; columns > 0 && self->kernels[which] != NULL && block < self->n_blocks; block++) {
        const int first = self->first_row[block], rows = self->first_row[block + 1] - first;
        const uint32_t begin = self->nonzeros[first];
        libxsmm_descriptor_blob blob;
        for (int row = 0; row <= rows; row++)
            self->row_begin[row] = self->nonzeros[first + row] - begin;
        const libxsmm_gemm_descriptor *descriptor =
            libxsmm_sgemm_descriptor_init(&blob, rows, columns / WIDTH, k, 0, self->n / WIDTH, self->n / WIDTH, 1.0f,
                                          0.0f, LIBXSMM_GEMM_FLAG_NONE, LIBXSMM_PREFETCH_NONE);
        self->kernels[which][block] =
            libxsmm_create_xcsr_soa(descriptor, self->row_begin, column_index + begin, self->values + begin, WIDTH);
        if (self->kernels[which][block].xmm == NULL)
            return 0;
    }
    return self->kernels[which] != NULL;
}

void *spt_plugin_create(const spt_plugin_problem *problem) {
    const int m = problem->m, k = problem->k, n = problem->n;
    plugin *self = calloc(1, sizeof *self);
    if (self == NULL)
        return NULL;
    libxsmm_init();
    self->m = m;
    self->n = n;
    self->nonzeros = problem->row_begin;
    self->values = problem->values;
    self->first_row = malloc(((size_t)m + 2) * sizeof *self->first_row);
    self->row_begin = malloc(((size_t)m + 1) * sizeof *self->row_begin);
    if (self->first_row == NULL || self->row_begin == NULL || !split_rows(self, m, problem->row_begin) ||
        !make_kernels(self, 0, n < PANEL ? 0 : PANEL, k, problem->columns) ||
        !make_kernels(self, 1, n % PANEL, k, problem->columns)) {
        spt_plugin_destroy(self);
        return NULL;
    }
    return self;
}

int spt_plugin_run(void *handle, const float *b, int64_t ldb, float *c, int64_t ldc) {
    const plugin *self = handle;
    if (ldb != self->n || ldc != self->n)
        return 1;
    for (int row = 0; row < self->m; row++) { /* the library leaves rows without nonzeros as they are */
        if (self->nonzeros[row] == self->nonzeros[row + 1])
            memset(c + (size_t)row * (size_t)self->n, 0, (size_t)self->n * sizeof *c);
    }
    for (int block = 0; block < self->n_blocks; block++) {
        const int first = self->first_row[block];
        const float *values = self->values + self->nonzeros[first];
        for (int column = 0; column < self->n; column += PANEL) {
            const int which = self->n - column < PANEL;
            self->kernels[which][block].smm(values, b + column, c + (size_t)first * (size_t)self->n + column);
        }
    }
    return 0;
}
