/* SPDX-License-Identifier: Apache-2.0 */
/* RFC 4648: three bytes are four characters of six bits; the last group is padded with '='. */
#include "db/base64.h"

#include <stdint.h>
#include <string.h>

#include "core/memory.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

spt_status spt_base64_encode(char **out, const void *data, size_t size) {
    const uint8_t *bytes = data;
    SPT_TRY(SPT_NEW(*out, (size + 2) / 3 * 4 + 1));
    char *end = *out;
    for (size_t i = 0; i < size; i += 3) {
        const size_t left = size - i;
        const uint32_t group = (uint32_t)bytes[i] << 16 | (left > 1 ? (uint32_t)bytes[i + 1] << 8 : 0) |
                               (left > 2 ? (uint32_t)bytes[i + 2] : 0);
        *end++ = alphabet[group >> 18];
        *end++ = alphabet[group >> 12 & 63];
        *end++ = left > 1 ? alphabet[group >> 6 & 63] : '=';
        *end++ = left > 2 ? alphabet[group & 63] : '=';
    }
    *end = '\0';
    return SPT_OK;
}

/* The six bits of a character, or -1. */
static int value_of(char c) {
    const char *found = c != '\0' ? strchr(alphabet, c) : NULL;
    return found != NULL ? (int)(found - alphabet) : -1;
}

spt_status spt_base64_decode(void **out, size_t *out_size, const char *text, size_t length) {
    uint8_t *bytes;
    size_t n_padding = 0;
    while (n_padding < 2 && n_padding < length && text[length - 1 - n_padding] == '=')
        n_padding++;
    if (length % 4 != 0)
        return spt_fail(SPT_EINVAL, "expected base64 text of a multiple of 4 characters, found %zu", length);
    SPT_TRY(SPT_NEW(bytes, length / 4 * 3 + 1));
    size_t size = 0;
    for (size_t i = 0; i < length; i += 4) {
        uint32_t group = 0;
        const size_t n_values = i + 4 == length ? 4 - n_padding : 4;
        for (size_t j = 0; j < 4; j++) {
            const int value = j < n_values ? value_of(text[i + j]) : 0;
            if (value < 0) {
                spt_free(bytes);
                return spt_fail(SPT_EINVAL, "expected base64 text, found another character at %zu", i + j);
            }
            group = group << 6 | (uint32_t)value;
        }
        for (size_t j = 0; j + 1 < n_values; j++)
            bytes[size++] = (uint8_t)(group >> (16 - 8 * j));
        if (n_values < 4 && (group & (n_values == 3 ? 0xffu : 0xffffu)) != 0) {
            spt_free(bytes);
            return spt_fail(SPT_EINVAL, "expected base64 text whose last bits are 0, found others");
        }
    }
    *out = bytes;
    *out_size = size;
    return SPT_OK;
}
