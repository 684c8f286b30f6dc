/* SPDX-License-Identifier: Apache-2.0 */
/* 128-bit hashes: XXH3-128, seed 0, kept in xxHash's canonical (big-endian) bytes so that they are equal everywhere. */
#ifndef SPT_CORE_HASH_H
#define SPT_CORE_HASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/error.h"

typedef struct spt_hash128 {
    uint8_t bytes[16];
} spt_hash128;

#define SPT_HASH_TEXT_SIZE 33 /* 32 hex digits and the terminator */

typedef struct spt_hash_part {
    const void *data; /* may be NULL when size_bytes is 0 */
    size_t size_bytes;
} spt_hash_part;

spt_hash128 spt_hash(const void *data, size_t size_bytes);
/* The hash of all parts' bytes in order, without joining them in memory. */
spt_hash128 spt_hash_parts(const spt_hash_part *parts, int n_parts);
bool spt_hash_equal(spt_hash128 a, spt_hash128 b);
int spt_hash_compare(spt_hash128 a, spt_hash128 b); /* as memcmp */
void spt_hash_text(char out[SPT_HASH_TEXT_SIZE], spt_hash128 hash);
spt_status spt_hash_parse(spt_hash128 *out, const char *text); /* exactly 32 hex digits, or EINVAL */

#endif
