/* SPDX-License-Identifier: Apache-2.0 */
#include "tuner/commands/bench_fixed.h"

#include <stdio.h>
#include <string.h>

#include "tuner/options.h"

static spt_status parse_one(spt_bench_fixed *out, const char *item, size_t length) {
    char text[128];
    const int i = out->count;
    if (i == SPT_BENCH_FIXED_MAX)
        return spt_usage_fail("--fixed: expected at most %d variants, found more", SPT_BENCH_FIXED_MAX);
    snprintf(text, sizeof text, "%.*s", (int)length, item);
    char *colon = strchr(text, ':');
    if (length >= sizeof text || colon == NULL)
        return spt_usage_fail("--fixed: expected FAMILY:POINT, found '%.*s'", (int)length, item);
    *colon = '\0';
    out->families[i] = spt_family_find(text);
    if (out->families[i] == NULL)
        return spt_usage_fail("--fixed: expected the name of a family, found '%s'", text);
    if (spt_point_parse(&out->points[i], out->families[i]->axes, out->families[i]->n_axes, colon + 1) != SPT_OK)
        return spt_usage_fail("--fixed: %s", spt_last_error());
    *colon = ' ';
    memcpy(out->names[i], text, sizeof text);
    out->count++;
    return SPT_OK;
}

spt_status spt_bench_fixed_parse(spt_bench_fixed *out, const char *list) {
    *out = (spt_bench_fixed){.count = 0};
    for (const char *item = list; item != NULL && *item != '\0'; item += strcspn(item, ";"), item += *item == ';')
        SPT_TRY(parse_one(out, item, strcspn(item, ";")));
    return SPT_OK;
}
