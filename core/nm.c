/* SPDX-License-Identifier: Apache-2.0 */
/* N:M sparsity: compressed rows and their metadata; see nm.h. */
#include "core/nm.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

spt_status spt_nm_parse(spt_nm *out, const char *text) {
    int end = 0;
    *out = (spt_nm){0};
    const bool is_pair = sscanf(text, "%2d:%2d%n", &out->keep, &out->of, &end) == 2 && text[end] == '\0';
    const bool is_power = out->of >= 2 && out->of <= SPT_NM_OF_MAX && (out->of & (out->of - 1)) == 0;
    if (!is_pair || !is_power || out->keep < 1 || out->keep >= out->of)
        return spt_fail(SPT_EINVAL, "expected N:M with M 2, 4, 8 or 16 and N below it, such as 2:4, found '%.40s'",
                        text);
    return SPT_OK;
}

static int place_bits(spt_nm nm) {
    return __builtin_ctz((unsigned)nm.of);
}

int64_t spt_nm_groups(spt_nm nm, int64_t n_cols) {
    return (n_cols + nm.of - 1) / nm.of;
}

int64_t spt_nm_metadata_bytes(spt_nm nm, int64_t n_cols) {
    return (spt_nm_groups(nm, n_cols) * nm.keep * place_bits(nm) + 7) / 8;
}

static bool is_zero(const char *item, size_t item_bytes) {
    for (size_t i = 0; i < item_bytes; i++)
        if (item[i] != 0)
            return false;
    return true;
}

/* The places that a group keeps as bits: its nonzeros, then its first free places. More than `keep` bits: too many. */
static unsigned choose_places(const char *group, size_t item_bytes, int64_t n_here, spt_nm nm) {
    unsigned places = 0;
    for (int place = 0; place < n_here; place++)
        places |= is_zero(group + (size_t)place * item_bytes, item_bytes) ? 0u : 1u << place;
    for (int place = 0; __builtin_popcount(places) < nm.keep; place++)
        places |= 1u << place;
    return places;
}

/* Place number `index` of a row's metadata; a place may not cross a byte, and with 3 bits it may: bit by bit. */
static void put_place(uint8_t *metadata, int64_t index, int bits, unsigned place) {
    for (int bit = 0; bit < bits; bit++) {
        const int64_t at = index * bits + bit;
        metadata[at / 8] |= (uint8_t)((place >> bit & 1u) << at % 8);
    }
}

static unsigned get_place(const uint8_t *metadata, int64_t index, int bits) {
    unsigned place = 0;
    for (int bit = 0; bit < bits; bit++) {
        const int64_t at = index * bits + bit;
        place |= (metadata[at / 8] >> at % 8 & 1u) << bit;
    }
    return place;
}

spt_status spt_nm_compress(void *values, uint8_t *metadata, const void *dense, size_t item_bytes, int64_t n_rows,
                           int64_t n_cols, spt_nm nm) {
    const int64_t n_groups = spt_nm_groups(nm, n_cols), row_metadata = spt_nm_metadata_bytes(nm, n_cols);
    const int bits = place_bits(nm);
    memset(values, 0, (size_t)(n_rows * n_groups * nm.keep) * item_bytes);
    memset(metadata, 0, (size_t)(n_rows * row_metadata));
    char *value = values;
    for (int64_t row = 0; row < n_rows; row++) {
        const char *elements = (const char *)dense + (size_t)(row * n_cols) * item_bytes;
        int64_t index = 0;
        for (int64_t group = 0; group < n_groups; group++) {
            const int64_t first = group * nm.of, n_here = n_cols - first < nm.of ? n_cols - first : nm.of;
            unsigned places = choose_places(elements + (size_t)first * item_bytes, item_bytes, n_here, nm);
            if (__builtin_popcount(places) > nm.keep)
                return spt_fail(SPT_EWRONG,
                                "expected at most %d nonzeros of %d, found %d in row %" PRId64 ", group %" PRId64,
                                nm.keep, nm.of, __builtin_popcount(places), row, group);
            for (; places != 0; places &= places - 1, value += item_bytes) {
                const int place = __builtin_ctz(places);
                put_place(metadata + row * row_metadata, index++, bits, (unsigned)place);
                if (place < n_here)
                    memcpy(value, elements + (size_t)(first + place) * item_bytes, item_bytes);
            }
        }
    }
    return SPT_OK;
}

spt_status spt_nm_decompress(void *dense, const void *values, const uint8_t *metadata, size_t item_bytes,
                             int64_t n_rows, int64_t n_cols, spt_nm nm) {
    const int64_t n_groups = spt_nm_groups(nm, n_cols), row_metadata = spt_nm_metadata_bytes(nm, n_cols);
    const int bits = place_bits(nm);
    const char *value = values;
    memset(dense, 0, (size_t)(n_rows * n_cols) * item_bytes);
    for (int64_t row = 0; row < n_rows; row++) {
        for (int64_t index = 0; index < n_groups * nm.keep; index++, value += item_bytes) {
            const int64_t column = index / nm.keep * nm.of + get_place(metadata + row * row_metadata, index, bits);
            if (is_zero(value, item_bytes))
                continue;
            if (column >= n_cols)
                return spt_fail(SPT_EWRONG, "expected a column below %" PRId64 ", found %" PRId64 " in row %" PRId64,
                                n_cols, column, row);
            memcpy((char *)dense + (size_t)(row * n_cols + column) * item_bytes, value, item_bytes);
        }
    }
    return SPT_OK;
}
