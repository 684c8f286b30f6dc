/* SPDX-License-Identifier: Apache-2.0 */
/* The table of strategies. */
#include <string.h>

#include "search/strategy.h"

#define SPT_STRATEGY(name) &spt_strategy_##name,
static const spt_strategy *const strategies[] = {
#include "search/strategies.def"
};
#undef SPT_STRATEGY

int spt_strategy_count(void) {
    return (int)(sizeof strategies / sizeof strategies[0]);
}

const spt_strategy *spt_strategy_at(int index) {
    return index >= 0 && index < spt_strategy_count() ? strategies[index] : NULL;
}

const spt_strategy *spt_strategy_find(const char *name) {
    for (int i = 0; i < spt_strategy_count(); i++)
        if (strcmp(strategies[i]->name, name) == 0)
            return strategies[i];
    return NULL;
}
