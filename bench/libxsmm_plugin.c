/* SPDX-License-Identifier: Apache-2.0 */
/* LIBXSMM 1.17: the pattern as generated code over packed columns (libxsmm_create_xcsr_soa). A row-major B is the
 * packed form already when n is a multiple of the width: k x (n / 16) x 16. */
#include <libxsmm.h>
#include <stdlib.h>
#include <string.h>

#include "bench/plugin.h"

enum { WIDTH = 16 };

typedef struct plugin {
    libxsmm_xmmfunction kernel;
    const float *values;
} plugin;

spt_plugin_create spt_plugin_create_kernel;
spt_plugin_run spt_plugin_run_kernel;
spt_plugin_destroy spt_plugin_destroy_kernel;

void *spt_plugin_create_kernel(int m, int k, int n, const uint32_t *row_begin, const uint32_t *columns,
                               const float *values) {
    libxsmm_descriptor_blob blob;
    if (n % WIDTH != 0)
        return NULL;
    libxsmm_init();
    const libxsmm_gemm_descriptor *descriptor = libxsmm_sgemm_descriptor_init(
        &blob, m, n / WIDTH, k, 0, n / WIDTH, n / WIDTH, 1.0f, 0.0f, LIBXSMM_GEMM_FLAG_NONE, LIBXSMM_PREFETCH_NONE);
    plugin *self = malloc(sizeof *self);
    if (self == NULL || descriptor == NULL)
        return free(self), NULL;
    self->kernel = libxsmm_create_xcsr_soa(descriptor, row_begin, columns, values, WIDTH);
    self->values = values;
    if (self->kernel.xmm == NULL)
        return free(self), NULL;
    return self;
}

void spt_plugin_run_kernel(void *handle, const float *b, float *c) {
    const plugin *self = handle;
    self->kernel.smm(self->values, b, c);
}

void spt_plugin_destroy_kernel(void *handle) {
    plugin *self = handle;
    const void *code;
    memcpy(&code, &self->kernel, sizeof code);
    libxsmm_release_kernel(code);
    free(self);
}
