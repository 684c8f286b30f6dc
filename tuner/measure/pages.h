/* SPDX-License-Identifier: Apache-2.0 */
/* Memory of measured operands, on huge pages where the system gives them: scattered small pages collide in caches that
 * are indexed by physical address, differently in every process, and exhaust the TLB where rows lie far apart. */
#ifndef SPT_TUNER_PAGES_H
#define SPT_TUNER_PAGES_H

#include <stddef.h>

enum { SPT_HUGE_PAGE = 2 << 20 }; /* bytes; such memory begins at a multiple of it */

/* Zeroed memory for this process alone, NULL when there is none. Owns: spt_pages_free with the same size. */
void *spt_pages_new(size_t size_bytes);
void spt_pages_free(void *pages, size_t size_bytes); /* NULL is nothing */

/* Map a file shared, but for its bytes from private_at on, a multiple of SPT_HUGE_PAGE, which become a copy in memory
 * of this process. NULL when there is no memory or the file ends early. Owns: spt_pages_free with the file's size. */
void *spt_pages_map(int descriptor, size_t size_bytes, size_t private_at);

#endif
