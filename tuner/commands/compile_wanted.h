/* SPDX-License-Identifier: Apache-2.0 */
/* The families and architectures that `sparsetune compile` was asked for, each once, and what of them gives nothing. */
#ifndef SPT_TUNER_COMPILE_WANTED_H
#define SPT_TUNER_COMPILE_WANTED_H

#include "tuner/commands/compile_problems.h"

enum { SPT_COMPILE_ARCHS_MAX = 32, SPT_COMPILE_FAMILIES_MAX = 128 };

typedef struct spt_compile_wanted {
    const spt_problem_options *options;
    const char *archs[SPT_COMPILE_ARCHS_MAX];
    int n_archs;
    const spt_family *families[SPT_COMPILE_FAMILIES_MAX]; /* all with kernels of the operation, or those named */
    int n_families;
    bool are_named, is_conv_named;
} spt_compile_wanted;

/* arch_list: of --arch. The options stay alive. Errors: usage. */
spt_status spt_compile_wanted_init(spt_compile_wanted *out, const spt_problem_options *options, const char *arch_list,
                                   char *const *names, int n_names);

/* Is the family to be compiled in this element type? */
bool spt_compile_wants(const spt_compile_wanted *wanted, const spt_family *family, int dtype);

/* Say which families are left out on which architecture and why, where `say`. Errors: EINVAL with the first reason when
 * that is all of them, and then nothing is said. */
spt_status spt_compile_wanted_check(const spt_compile_wanted *wanted, const spt_compile_problems *problems, bool say);

#endif
