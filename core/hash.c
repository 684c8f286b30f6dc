/* SPDX-License-Identifier: Apache-2.0 */
/* XXH3-128 (Collet, xxHash 0.8) compiled in from its header, so that no version of the shared library matters and the
 * streaming state lives on the stack. */
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "core/hash.h"

#include <string.h>

static spt_hash128 canonical(XXH128_hash_t hash) {
    XXH128_canonical_t big_endian;
    spt_hash128 out;
    XXH128_canonicalFromHash(&big_endian, hash);
    memcpy(out.bytes, big_endian.digest, sizeof out.bytes);
    return out;
}

spt_hash128 spt_hash(const void *data, size_t size_bytes) {
    return canonical(XXH3_128bits(data, size_bytes));
}

spt_hash128 spt_hash_parts(const spt_hash_part *parts, int n_parts) {
    XXH3_state_t state;
    XXH3_128bits_reset(&state);
    for (int i = 0; i < n_parts; i++) {
        if (parts[i].size_bytes > 0)
            XXH3_128bits_update(&state, parts[i].data, parts[i].size_bytes);
    }
    return canonical(XXH3_128bits_digest(&state));
}

bool spt_hash_equal(spt_hash128 a, spt_hash128 b) {
    return spt_hash_compare(a, b) == 0;
}

int spt_hash_compare(spt_hash128 a, spt_hash128 b) {
    return memcmp(a.bytes, b.bytes, sizeof a.bytes);
}

void spt_hash_text(char out[SPT_HASH_TEXT_SIZE], spt_hash128 hash) {
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < sizeof hash.bytes; i++) {
        out[2 * i] = digits[hash.bytes[i] >> 4];
        out[2 * i + 1] = digits[hash.bytes[i] & 15];
    }
    out[SPT_HASH_TEXT_SIZE - 1] = 0;
}

static int hex_digit(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

spt_status spt_hash_parse(spt_hash128 *out, const char *text) {
    spt_hash128 hash;
    if (strlen(text) != SPT_HASH_TEXT_SIZE - 1)
        return spt_fail(SPT_EINVAL, "expected a hash of 32 hex digits, found %zu characters", strlen(text));
    for (size_t i = 0; i < sizeof hash.bytes; i++) {
        int high = hex_digit(text[2 * i]), low = hex_digit(text[2 * i + 1]);
        if (high < 0 || low < 0)
            return spt_fail(SPT_EINVAL, "expected a hash of 32 hex digits, found '%.32s'", text);
        hash.bytes[i] = (uint8_t)(high << 4 | low);
    }
    *out = hash;
    return SPT_OK;
}
