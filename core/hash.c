/* SPDX-License-Identifier: Apache-2.0 */
/* XXH3-128 in canonical bytes, as hex text and back. */
#include "core/hash.h"

#include <string.h>
#include <xxhash.h>

spt_hash128 spt_hash(const void *data, size_t size_bytes) {
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, XXH3_128bits(data, size_bytes));
    spt_hash128 hash;
    memcpy(hash.bytes, canonical.digest, sizeof hash.bytes);
    return hash;
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
    out[SPT_HASH_TEXT_SIZE - 1] = '\0';
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
    if (strlen(text) != SPT_HASH_TEXT_SIZE - 1)
        return spt_fail(SPT_EINVAL, "expected a hash of 32 hex digits, found %zu characters", strlen(text));
    for (size_t i = 0; i < sizeof out->bytes; i++) {
        const int high = hex_digit(text[2 * i]), low = hex_digit(text[2 * i + 1]);
        if (high < 0 || low < 0)
            return spt_fail(SPT_EINVAL, "expected a hash of 32 hex digits, found '%s'", text);
        out->bytes[i] = (uint8_t)(high << 4 | low);
    }
    return SPT_OK;
}
