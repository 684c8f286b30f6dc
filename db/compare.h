/* SPDX-License-Identifier: Apache-2.0 */
/* What two databases have and have not in common, by walking both in the order of identities. */
#ifndef SPT_DB_COMPARE_H
#define SPT_DB_COMPARE_H

#include "db/item.h"

typedef struct spt_comparison {
    int64_t n_equal, n_only_first, n_only_second, n_differ; /* differ: same identity, other content */
} spt_comparison;

/* The order of identities within a kind, as a scan gives them. */
int spt_item_compare(const spt_item *a, const spt_item *b);

/* Count all records of a kind. Errors: EIO, EINVAL. */
spt_status spt_db_compare(spt_comparison *out, spt_db *first, spt_db *second, spt_item_kind kind);

#endif
