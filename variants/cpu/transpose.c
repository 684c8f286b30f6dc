/* SPDX-License-Identifier: Apache-2.0 */
/* Transposition in blocks of registers, and the way out for C in layout nk. There a token's row is a long way from the
 * next one's, often a power of two, so that lines of 16 tokens share a set of L1: a line that is written in two visits
 * is fetched twice, and its halves cost stores that straddle. */
#include "variants/cpu/transpose.h"

#include "variants/cpu/simd.h"

void SPT_ISA_NAME(transpose_any_f32)(float *dst, int64_t ld_dst, const float *src, int64_t ld_src, int64_t rows,
                                     int64_t cols) {
    vec_transpose_any(dst, ld_dst, src, ld_src, rows, cols);
}

/* Rows of a line that precede row r of column c of C. */
static int64_t line_offset(const float *c, int64_t r) {
    return (int64_t)((uintptr_t)(c + r) / sizeof *c % SPT_LINE_FLOATS);
}

#if SPT_HAS_TRANSPOSE_LINES

/* [begin, end) of the lines' rows; whole lines but for its ends. */
static void leave_aligned(const transpose_out *out, int64_t begin, int64_t end) {
    for (int64_t j = 0; j < out->width; j += SPT_LANES) {
        const int cols = (int)(out->width - j < SPT_LANES ? out->width - j : SPT_LANES);
        float *c = out->c + j * out->ldc;
        for (int64_t r = begin, n_rows; r < end; r += n_rows) {
            n_rows = SPT_LANES - line_offset(c, r);
            n_rows = end - r < n_rows ? end - r : n_rows;
            const float *rows = out->rows + (r - out->begin) * out->ld + j;
            if (n_rows == SPT_LANES)
                vec_transpose_lines(c + r, out->ldc, rows, out->ld, cols, out->is_far);
            else
                vec_transpose_any(c + r, out->ldc, rows, out->ld, n_rows, cols);
        }
    }
}

enum { PIECE_ROWS = 64, PIECE_LD = PIECE_ROWS + SPT_LINE_FLOATS };

/* Rows [begin, end) of one column, whole lines but for its ends. */
static void leave_column(float *c, const float *column, int64_t begin, int64_t end, bool is_far) {
    for (int64_t r = begin, n_rows; r < end; r += n_rows, column += n_rows) {
        n_rows = SPT_LANES - line_offset(c, r);
        n_rows = end - r < n_rows ? end - r : n_rows;
        if (n_rows < SPT_LANES)
            vec_store_masked(vec_first((int)n_rows), c + r, vec_load_masked(vec_first((int)n_rows), column));
        else if (is_far)
            vec_stream(c + r, vec_load(column));
        else
            vec_store(c + r, vec_load(column));
    }
}

/* Columns whose lines begin at different rows: transposed near by first, then each by its own lines. */
static void leave_unaligned(const transpose_out *out) {
    float columns[SPT_LANES * PIECE_LD];
    for (int64_t j = 0; j < out->width; j += SPT_LANES) {
        const int64_t cols = out->width - j < SPT_LANES ? out->width - j : SPT_LANES;
        for (int64_t r = out->begin, n_rows; r < out->end; r += n_rows - (SPT_LINE_FLOATS - 1)) {
            n_rows = out->end - r < PIECE_ROWS ? out->end - r : PIECE_ROWS;
            vec_transpose_any(columns, PIECE_LD, out->rows + (r - out->begin) * out->ld + j, out->ld, n_rows, cols);
            for (int64_t i = 0; i < cols; i++) {
                float *c = out->c + (j + i) * out->ldc;
                const int64_t before = line_offset(c, r), after = line_offset(c, r + n_rows);
                const bool begins = r == out->begin && out->is_first, ends = r + n_rows == out->end && out->is_last;
                const int64_t begin = begins || before == 0 ? r : r + SPT_LINE_FLOATS - before;
                leave_column(c, columns + i * PIECE_LD + (begin - r), begin, r + n_rows - (ends ? 0 : after),
                             out->is_far);
            }
            if (r + n_rows == out->end)
                break;
        }
    }
}

#endif

int64_t SPT_ISA_NAME(transpose_leave_f32)(const transpose_out *out) {
    const bool is_aligned = out->ldc % SPT_LINE_FLOATS == 0;
    const int64_t rows = out->end - out->begin;
    int64_t kept = out->is_last ? 0 : is_aligned ? line_offset(out->c, out->end) : SPT_LINE_FLOATS - 1;
#if SPT_HAS_TRANSPOSE_LINES
    kept = kept < rows ? kept : rows;
    if (is_aligned)
        leave_aligned(out, out->begin, out->end - kept);
    else
        leave_unaligned(out);
#else
    kept = !is_aligned ? 0 : kept < rows ? kept : rows;
    vec_transpose_any(out->c + out->begin, out->ldc, out->rows, out->ld, rows - kept, out->width);
#endif
    return kept;
}
