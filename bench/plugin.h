/* SPDX-License-Identifier: Apache-2.0 */
/* What a rival that exists only as a static library looks like from outside: a shared object with these three
 * functions, built by tools/rivals.sh and opened by `sparsetune bench`. C[m,n] = A[m,k] B[k,n], f32, row-major, one
 * thread. */
#ifndef SPT_BENCH_PLUGIN_H
#define SPT_BENCH_PLUGIN_H

#include <stdint.h>

/* NULL when the library cannot take the problem. The arrays live as long as the handle. */
typedef void *spt_plugin_create(int m, int k, int n, const uint32_t *row_begin, const uint32_t *columns,
                                const float *values);
typedef void spt_plugin_run(void *handle, const float *b, float *c);
typedef void spt_plugin_destroy(void *handle);

#endif
