/* SPDX-License-Identifier: Apache-2.0 */
/* What variants and rounds have to do with a time, apart: time = variant's part x round's part. A pure function.
 * Paper: J. W. Tukey, Exploratory Data Analysis, 1977, chapter 11 (median polish); ours multiplies instead of adding,
 * which spares the logarithms, so that every machine computes the same. */
#ifndef SPT_DB_POLISH_H
#define SPT_DB_POLISH_H

#include <stdint.h>

#include "core/error.h"

typedef struct spt_cell {
    int64_t row, column;
    double value; /* above 0 */
} spt_cell;

/* Find the parts of rows and columns; `columns` comes in as a first guess, all above 0. A row or column without cells
 * keeps 1 or its guess. Disturbed cells, fewer than half of a row or column, hardly matter. Errors: ENOMEM. */
spt_status spt_polish(double *rows, int64_t n_rows, double *columns, int64_t n_columns, const spt_cell *cells,
                      int64_t n_cells);

#endif
