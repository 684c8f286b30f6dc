/* SPDX-License-Identifier: Apache-2.0 */
/* Sweep: every valid point once, in order. For spaces that are small enough to be measured whole. */
#include "core/memory.h"
#include "search/strategy.h"

typedef struct sweep {
    const spt_space *space;
    int64_t ordinal; /* the next one to look at */
} sweep;

static spt_status init(void **state, const spt_space *space, uint64_t seed) {
    (void)seed;
    sweep *self = NULL;
    SPT_TRY(SPT_NEW_ZEROED(self, 1));
    self->space = space;
    *state = self;
    return SPT_OK;
}

static spt_status ask(void *state, spt_point *out) {
    sweep *self = state;
    if (!spt_space_next(self->space, &self->ordinal, out))
        return spt_fail(SPT_ENOTFOUND, "every valid point was proposed");
    self->ordinal++;
    return SPT_OK;
}

static void tell(void *state, const spt_point *point, double cost, spt_trial_status status) {
    (void)state, (void)point, (void)cost, (void)status;
}

static void fini(void *state) {
    spt_free(state);
}

const spt_strategy spt_strategy_sweep = {
    .name = "sweep",
    .summary = "every valid point once, in order",
    .init = init,
    .ask = ask,
    .tell = tell,
    .fini = fini,
};
