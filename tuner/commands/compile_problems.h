/* SPDX-License-Identifier: Apache-2.0 */
/* What `sparsetune compile` compiles for: the problem of the command line and, where that leaves pattern, width or
 * epilogue open, the first of a few usual ones for which a family has a point with a kernel. */
#ifndef SPT_TUNER_COMPILE_PROBLEMS_H
#define SPT_TUNER_COMPILE_PROBLEMS_H

#include "core/csr.h"
#include "tuner/options.h"
#include "variants/family.h"

#define SPT_COMPILE_PATTERN "uniform:512x512@0.9" /* of convolutions 57 channels, the last one of which is cut */

enum { SPT_COMPILE_PATTERNS = 4 };

typedef struct spt_compile_problems {
    const spt_problem_options *options;
    const char *pattern; /* NULL: left open */
    int n_widths;        /* 1 or more; of a width that is left open 0 */
    const int64_t *widths;
    spt_matrix matrices[SPT_COMPILE_PATTERNS]; /* the one that was given, or all usual ones */
    spt_workload workloads[SPT_COMPILE_PATTERNS];
    int64_t layer_n; /* the width that the pattern brings along, 0: none */
} spt_compile_problems;

/* Load what `pattern` names; NULL: the usual patterns. conv: it has to be one of a convolution. The options stay alive.
 * Errors: usage; EIO, EINVAL with file and line. Owns: spt_compile_problems_fini. */
spt_status spt_compile_problems_init(spt_compile_problems *out, const spt_problem_options *options, const char *pattern,
                                     bool conv);
void spt_compile_problems_fini(spt_compile_problems *problems); /* safe on a zeroed struct */

/* Give the problem of a family in an element type for widths[width]; *a is its pattern. False when no point of the
 * family serves it on this device, or none that has a kernel. Errors as false: ENOMEM. */
bool spt_compile_problem(spt_workload *out, const spt_csr **a, const spt_compile_problems *problems,
                         const spt_family *family, spt_dtype dtype, const spt_device *device, int width);

/* Say in one sentence why a family gives nothing in the element types (SPT_DTYPE_BIT). */
void spt_compile_why_not(char *out, size_t capacity, const spt_compile_problems *problems, const spt_family *family,
                         uint32_t dtypes, const spt_device *device);

#endif
