/* SPDX-License-Identifier: Apache-2.0 */
/* What a rival that needs headers or a static library at build time looks like from outside: a shared object with these
 * symbols, built by tools/rivals.sh and opened by `sparsetune bench`. C[m,n] = A[m,k] B[k,n] in f32; in layout nk B is
 * [n, k] and C is [n, m]. */
#ifndef SPT_BENCH_PLUGIN_H
#define SPT_BENCH_PLUGIN_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct spt_plugin_problem {
    int m, k, n;
    int is_nk, threads;
    const uint32_t *row_begin, *columns; /* m + 1 and row_begin[m]; NULL where only spt_plugin_takes is asked */
    const float *values;
} spt_plugin_problem;

/* Can it run such a problem at all? Cheap. */
typedef int spt_plugin_takes_function(const spt_plugin_problem *problem);
/* NULL when the library refuses this matrix. The arrays live as long as the handle. */
typedef void *spt_plugin_create_function(const spt_plugin_problem *problem);
/* Rows of B and C are ldb and ldc apart. Returns 0, or the library's error. A plug-in that converts B may do so when it
 * first sees the address: whoever computes in a narrow type has his activations in that type already. */
typedef int spt_plugin_run_function(void *handle, const float *b, int64_t ldb, float *c, int64_t ldc);
typedef void spt_plugin_destroy_function(void *handle);
typedef const char *spt_plugin_version_function(void);

spt_plugin_takes_function spt_plugin_takes;
spt_plugin_create_function spt_plugin_create;
spt_plugin_run_function spt_plugin_run;
spt_plugin_destroy_function spt_plugin_destroy;
spt_plugin_version_function spt_plugin_version;
/* Half a step of the element type that A and B are rounded to, as a share of the largest magnitude; 0: f32 as it is. */
extern const double spt_plugin_input_error;

#ifdef __cplusplus
}
#endif

#endif
