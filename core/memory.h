/* SPDX-License-Identifier: Apache-2.0 */
/* Memory: overflow-checked, 64-byte aligned allocation that tests can make fail.
 * Every heap pointer of the project comes from here and has one owner. */
#ifndef SPT_CORE_MEMORY_H
#define SPT_CORE_MEMORY_H

#include <stddef.h>

#include "core/error.h"

#define SPT_ALIGNMENT 64

/* Allocate count * item_bytes bytes, uninitialised. Returns NULL after recording ENOMEM (or a size that overflows).
 * A zero size gives a valid pointer. */
void *spt_alloc(size_t count, size_t item_bytes);
void *spt_alloc_zeroed(size_t count, size_t item_bytes);

/* Move an array of old_count items to one of new_count; the old array stays valid when NULL comes back. */
void *spt_realloc(void *old, size_t old_count, size_t new_count, size_t item_bytes);

/* Make room for one item behind `count` of them: twice the room where none is left. *items may be NULL. */
spt_status spt_grow(void **items, int64_t *capacity, int64_t count, size_t item_bytes);
char *spt_strdup(const char *text);
void spt_free(void *pointer); /* NULL is allowed */

/* SPT_TRY(SPT_NEW(p, count)): allocate `count` items of *p. */
#define SPT_NEW(pointer, count)                                                                                        \
    (((pointer) = spt_alloc((size_t)(count), sizeof *(pointer))) != NULL ? SPT_OK : SPT_ENOMEM)
#define SPT_NEW_ZEROED(pointer, count)                                                                                 \
    (((pointer) = spt_alloc_zeroed((size_t)(count), sizeof *(pointer))) != NULL ? SPT_OK : SPT_ENOMEM)

/* Tests only: let the next `n` allocations of this process succeed and the one after fail once; -1 switches it off. */
void spt_memory_fail_after(long n);
/* Tests only: allocations since the last call of spt_memory_fail_after. */
long spt_memory_count(void);
/* Tests only: allocations that are live now. */
long spt_memory_live(void);

#endif
