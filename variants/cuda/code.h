/* SPDX-License-Identifier: Apache-2.0 */
/* The kernels of a prepared variant on the device: modules that are compiled and loaded when they are needed. Only
 * files whose name ends in _cuda.c include this. */
#ifndef SPT_VARIANTS_CUDA_CODE_H
#define SPT_VARIANTS_CUDA_CODE_H

#include <pthread.h>
#include <stdatomic.h>

#include "core/cuda_driver.h"
#include "variants/cuda/kernel.h"

typedef struct spt_cuda_code {
    int n_modules, n_functions;     /* one of them is 1, or they are equal */
    CUmodule *modules;              /* NULL: not loaded yet */
    _Atomic(CUfunction) *functions; /* NULL: not loaded yet */
    pthread_mutex_t lock;           /* held while a module is loaded */
} spt_cuda_code;

/* Compile and load what a call of the problem's own shape needs. prepared->compile_ns and compiling_ns grow by what
 * that took. `a` is read by families that bake the pattern. On failure nothing is left. Owns: spt_cuda_code_fini. */
spt_status spt_cuda_code_init(spt_cuda_code *out, spt_prepared *prepared, const spt_csr *a);
void spt_cuda_code_fini(spt_cuda_code *code); /* safe on a zeroed struct; the device's context is current */

/* The same for new values, of a text that holds them. On failure the old code stays. */
spt_status spt_cuda_code_replace(spt_cuda_code *code, spt_prepared *prepared, const spt_csr *a);

/* Compile and load the rest. */
spt_status spt_cuda_code_complete(spt_cuda_code *code, spt_prepared *prepared);

/* The entry point of a launch, compiled now if it has to be. Threads: safe. */
spt_status spt_cuda_code_function(CUfunction *out, spt_cuda_code *code, const spt_prepared *prepared, int kernel);

#endif
