/* SPDX-License-Identifier: Apache-2.0 */
/* Kernel text made executable here: compiled by the host compiler as C, loaded, its entry points launched. */
#ifndef SPT_TESTS_SIMT_OBJECT_H
#define SPT_TESTS_SIMT_OBJECT_H

#include "tests/simt/simt.h"

typedef struct simt_object {
    void *handle;
    simt_calls **calls;
    char *text; /* kept: signatures are read from it */
} simt_object;

/* Compile text (primitives in front, options like "-DSPT_X=1") to the shared object `path`. False: the compiler's
 * message is in log. The compiler is $SPT_SIMT_CC or cc; headers are found from $SPT_SIMT_ROOT or the current folder.
 */
bool simt_object_compile(const char *path, const char *text, size_t text_bytes, const char *const *options,
                         int n_options, char *log, size_t log_capacity);

/* Load what was compiled. Aborts when it cannot be loaded. */
void simt_object_open(simt_object *out, const char *path, const char *text, size_t text_bytes);
void simt_object_close(simt_object *object);

/* An entry point with the sizes of its parameters, as SPT_KERNEL declares it in the text. False: no such kernel. */
bool simt_object_kernel(void (**kernel)(void), int *n_params, int bytes[SIMT_PARAMS_MAX], const simt_object *object,
                        const char *name);

#endif
