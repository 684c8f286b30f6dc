/* SPDX-License-Identifier: Apache-2.0 */
/* Median polish of a table with holes; see polish.h. Cost: O(n log n) in the cells. */
#include "db/polish.h"

#include <stdbool.h>

#include "core/memory.h"
#include "core/statistics.h"

#define SWEEPS 4 /* more change nothing that could be measured */

/* The cells of one side (rows or columns) after each other: those of line i are order[start[i]] to order[start[i+1]].
 */
typedef struct side {
    int64_t *start, *order;
} side;

static int64_t line_of(const spt_cell *cell, bool by_row) {
    return by_row ? cell->row : cell->column;
}

static spt_status side_init(side *out, const spt_cell *cells, int64_t n_cells, int64_t n_lines, bool by_row) {
    SPT_TRY(SPT_NEW_ZEROED(out->start, n_lines + 2));
    SPT_TRY(SPT_NEW_ZEROED(out->order, n_cells + 1));
    for (int64_t i = 0; i < n_cells; i++)
        out->start[line_of(&cells[i], by_row) + 2]++;
    for (int64_t line = 2; line < n_lines + 2; line++)
        out->start[line] += out->start[line - 1];
    for (int64_t i = 0; i < n_cells; i++) /* leaves start[line + 1] where the next line begins */
        out->order[out->start[line_of(&cells[i], by_row) + 1]++] = i;
    return SPT_OK;
}

static void side_fini(side *self) {
    spt_free(self->start);
    spt_free(self->order);
}

/* Each line's part is the median of what the other side leaves of its cells. */
static void sweep(double *parts, int64_t n_lines, const double *others, const spt_cell *cells, const side *lines,
                  bool by_row, double *scratch) {
    for (int64_t line = 0; line < n_lines; line++) {
        int n = 0;
        for (int64_t i = lines->start[line]; i < lines->start[line + 1]; i++) {
            const spt_cell *cell = &cells[lines->order[i]];
            scratch[n++] = cell->value / others[line_of(cell, !by_row)];
        }
        if (n > 0)
            parts[line] = spt_median(scratch, n);
    }
}

spt_status spt_polish(double *rows, int64_t n_rows, double *columns, int64_t n_columns, const spt_cell *cells,
                      int64_t n_cells) {
    side by_row = {0}, by_column = {0};
    double *scratch = NULL;
    spt_status status = SPT_OK;
    SPT_TRY_TO(done, side_init(&by_row, cells, n_cells, n_rows, true));
    SPT_TRY_TO(done, side_init(&by_column, cells, n_cells, n_columns, false));
    SPT_TRY_TO(done, SPT_NEW(scratch, n_cells + 1));
    for (int64_t row = 0; row < n_rows; row++)
        rows[row] = 1.0;
    sweep(rows, n_rows, columns, cells, &by_row, true, scratch);
    for (int i = 0; i < SWEEPS; i++) {
        sweep(columns, n_columns, rows, cells, &by_column, false, scratch);
        sweep(rows, n_rows, columns, cells, &by_row, true, scratch);
    }
done:
    spt_free(scratch);
    side_fini(&by_row);
    side_fini(&by_column);
    return status;
}
