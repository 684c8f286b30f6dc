/* SPDX-License-Identifier: Apache-2.0 */
/* The rivals of a bench: variants with names of their own, and the list by which a user picks some of them. */
#ifndef SPT_TUNER_BENCH_RIVALS_H
#define SPT_TUNER_BENCH_RIVALS_H

#include <stdbool.h>

#include "core/text.h"
#include "variants/family.h"

typedef struct spt_bench_rival {
    const char *contender, *family, *point;
} spt_bench_rival;

#define SPT_BENCH_RIVALS_MAX 40
extern const spt_bench_rival spt_bench_rivals[];
extern const int spt_bench_n_rivals;

/* Advice answers another question (a narrower element type): it is measured beside the race and enters no ratio. */
bool spt_bench_is_advice(const char *contender);

/* Does the list "A,B" mean this contender, by its name or a part of it between underscores? NULL means all. */
bool spt_bench_wants(const char *list, const char *contender);
/* Errors: a usage error that names the item which means no rival. */
spt_status spt_bench_check_wanted(const char *list);

/* NULL when this rival's library is here and takes the problem; otherwise which of the two is not so. */
const char *spt_bench_rival_absence(const spt_bench_rival *rival, const spt_workload *workload,
                                    const spt_device *device);
/* A line per wanted rival of the workload's operation that is a library: its version, or that it was not found. */
void spt_bench_list_libraries(spt_text *out, const char *wanted, const spt_workload *workload,
                              const spt_device *device);

#endif
