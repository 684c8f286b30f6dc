/* SPDX-License-Identifier: Apache-2.0 */
/* What tests share: awkward patterns, paths of optional data, temporary folders. */
#ifndef SPT_TESTS_SUPPORT_H
#define SPT_TESTS_SUPPORT_H

#include "core/csr.h"
#include "core/hardware.h"
#include "core/types.h"

/* An awkward pattern and how it is made; values are small integers. */
typedef struct support_pattern {
    const char *name;
    int64_t n_rows, n_cols;
    bool (*has)(int64_t row, int64_t column, int64_t n_rows, int64_t n_cols); /* is there a nonzero? */
} support_pattern;

int support_pattern_count(void);
const support_pattern *support_pattern_at(int index);
/* Build a pattern; aborts on failure. Owns: spt_matrix_fini. */
void support_pattern_build(spt_matrix *out, const support_pattern *pattern);

/* Where the operation is conv2d: make a matrix's columns windows (more of them, without a nonzero) and give the problem
 * an image whose output has n places; stride and proportions change with the turn. */
void support_fit_conv(spt_problem *problem, spt_matrix *matrix, int turn);

/* Walk over the kernel builds that this machine runs, from the plain one up to `best`, what was detected: the device's
 * isa is set to each. The second is false behind the last. */
bool support_isa_first(spt_device *device);
bool support_isa_next(spt_device *device, spt_isa best);

/* Fill with integers from -2 to 2 that are exact in every sum of a test. */
void support_fill_small(float *out, int64_t count, uint64_t seed);

/* The path of a file of the optional data folder (SPARSETUNE_TEST_DATA, default ../shared/data); false where it is
 * absent, after printing a line that begins with SKIP. */
bool support_data_path(char *out, size_t capacity, const char *file);

/* How many times slower than usual this machine is: SPT_SLOWER, as emulation sets it, or 1. */
double support_slower(void);

/* Make a temporary folder, and remove it with everything in it. */
void support_folder_make(char *out, size_t capacity);
void support_folder_remove(const char *folder);

#endif
