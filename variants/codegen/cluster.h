/* SPDX-License-Identifier: Apache-2.0 */
/* Rows in an order in which blocks of neighbours use few different columns, so that a block loads few rows of B. */
#ifndef SPT_VARIANTS_CODEGEN_CLUSTER_H
#define SPT_VARIANTS_CODEGEN_CLUSTER_H

#include "core/csr.h"

/* order[n_rows]: the rows of a checked matrix, block after block of rows_per_block, 1 to 2048; every row once, the same
 * for the same pattern. Rows of a block come from a window of at most 2048 rows, so a large matrix keeps its rough
 * order. Time: per row a look at the window, and per block the columns it uses; 1 us a row at 2 to 10 % of 512 columns.
 * Errors: ENOMEM. */
spt_status spt_rows_cluster(int32_t *order, const spt_csr *a, int rows_per_block);

/* Of the columns that blocks of neighbours use, those that blocks of clustered rows do, by the share of nonzeros.
 * Measured with 31 rows on layers of pruned networks: 0.66 at 2 %, 0.74 to 0.86 at 5 %, 0.82 to 0.91 at 10 %. */
double spt_clustered_share(double density);

#endif
