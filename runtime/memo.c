/* SPDX-License-Identifier: Apache-2.0 */
/* The memo of neighbour searches; see memo.h. */
#include "runtime/memo.h"

#include <string.h>

#include "core/memory.h"

enum { EMPTY = 0, CLAIMED = 1, READY = 2 };

spt_status spt_memo_init(spt_memo *out) {
    return SPT_NEW_ZEROED(out->slots, SPT_MEMO_SLOTS);
}

void spt_memo_fini(spt_memo *memo) {
    spt_free(memo->slots);
    *memo = (spt_memo){0};
}

static spt_memo_slot *slot_at(const spt_memo *memo, spt_hash128 key, int probe) {
    uint64_t start;
    memcpy(&start, key.bytes, sizeof start);
    return &memo->slots[(start + (uint64_t)probe) & (SPT_MEMO_SLOTS - 1)];
}

bool spt_memo_find(spt_answer *out, const spt_memo *memo, spt_hash128 key) {
    for (int probe = 0; memo->slots != NULL && probe < SPT_MEMO_PROBES; probe++) {
        const spt_memo_slot *slot = slot_at(memo, key, probe);
        const int state = atomic_load_explicit(&slot->state, memory_order_acquire);
        if (state == EMPTY)
            return false;
        if (state == READY && spt_hash_equal(slot->key, key)) {
            *out = slot->answer;
            return true;
        }
    }
    return false;
}

bool spt_memo_keep(const spt_memo *memo, spt_hash128 key, const spt_answer *answer) {
    for (int probe = 0; memo->slots != NULL && probe < SPT_MEMO_PROBES; probe++) {
        spt_memo_slot *slot = slot_at(memo, key, probe);
        int state = EMPTY;
        if (!atomic_compare_exchange_strong_explicit(&slot->state, &state, CLAIMED, memory_order_acquire,
                                                     memory_order_acquire)) {
            if (state == READY && spt_hash_equal(slot->key, key))
                return false;
            continue;
        }
        slot->key = key;
        slot->answer = *answer;
        atomic_store_explicit(&slot->state, READY, memory_order_release);
        return true;
    }
    return false;
}
