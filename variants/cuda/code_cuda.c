/* SPDX-License-Identifier: Apache-2.0 */
/* Kernels for a call of the problem's own shape are loaded at once. Others, for operands that are not aligned or for
 * another n, come when a plan is completed, or else with the first call that needs them. */
#include "variants/cuda/code.h"

#include <time.h>

#include "core/memory.h"
#include "variants/cuda/binary.h"

static spt_status describe(spt_cuda_source *out, const spt_prepared *prepared, const spt_csr *a) {
    const spt_cuda_kernel *cuda = prepared->family->cuda;
    return cuda->describe(out, &prepared->workload, &prepared->device, &prepared->point, cuda->is_baked ? a : NULL);
}

static double wall_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

/* Add what a binary took to compile, now or when it was put into the cache, and how long it was waited for. */
static spt_status load_binary(CUmodule *out, double *compile_ns, double *waited_ns, const spt_cuda_source *module,
                              const spt_prepared *prepared) {
    const double start = wall_ns();
    const spt_cuda_driver *driver;
    spt_cuda_binary binary = {0};
    SPT_TRY(spt_cuda_driver_get(&driver));
    SPT_TRY(spt_cuda_binary_get(&binary, module, prepared->device.isa_set));
    *compile_ns += 1e6 * binary.compile_ms;
    *waited_ns += wall_ns() - start;
    const spt_status status = spt_cuda_check(driver, driver->cuModuleLoadData(out, binary.data), "a kernel's code");
    spt_cuda_binary_fini(&binary);
    return status;
}

/* Under the lock, or before anybody else knows the code. */
static spt_status load_module(spt_cuda_code *code, double *compile_ns, double *waited_ns, const spt_prepared *prepared,
                              const spt_cuda_source *source, int number) {
    const spt_cuda_driver *driver;
    spt_cuda_source module;
    CUfunction function;
    if (code->modules[number] != NULL)
        return SPT_OK;
    SPT_TRY(spt_cuda_driver_get(&driver));
    spt_cuda_source_module(&module, source, number);
    SPT_TRY(load_binary(&code->modules[number], compile_ns, waited_ns, &module, prepared));
    for (int i = 0; i < module.n_kernels; i++) {
        SPT_TRY(spt_cuda_check(driver, driver->cuModuleGetFunction(&function, code->modules[number], module.kernels[i]),
                               module.kernels[i]));
        atomic_store(&code->functions[source->is_split ? number : i], function);
    }
    return SPT_OK;
}

static spt_status load_modules(spt_cuda_code *code, spt_prepared *prepared, const spt_cuda_source *source,
                               uint32_t wanted) {
    for (int i = 0; i < code->n_modules; i++)
        if ((wanted >> i & 1) != 0)
            SPT_TRY(load_module(code, &prepared->compile_ns, &prepared->compiling_ns, prepared, source, i));
    return SPT_OK;
}

spt_status spt_cuda_code_init(spt_cuda_code *out, spt_prepared *prepared, const spt_csr *a) {
    spt_cuda_source source = {0};
    spt_status status;
    *out = (spt_cuda_code){0};
    pthread_mutex_init(&out->lock, NULL);
    SPT_TRY_TO(done, describe(&source, prepared, a));
    if (source.n_kernels == 0)
        goto done;
    out->n_modules = spt_cuda_source_n_modules(&source);
    out->n_functions = source.n_kernels;
    SPT_TRY_TO(done, SPT_NEW_ZEROED(out->modules, out->n_modules));
    SPT_TRY_TO(done, SPT_NEW_ZEROED(out->functions, out->n_functions));
    status = load_modules(
        out, prepared, &source,
        spt_cuda_modules_wanted(&source, prepared->family, &prepared->workload, &prepared->device, &prepared->point));
done:
    spt_cuda_source_fini(&source);
    if (status != SPT_OK)
        spt_cuda_code_fini(out);
    return status;
}

void spt_cuda_code_fini(spt_cuda_code *code) {
    const spt_cuda_driver *driver;
    for (int i = 0; code->modules != NULL && i < code->n_modules; i++)
        if (code->modules[i] != NULL && spt_cuda_driver_get(&driver) == SPT_OK)
            driver->cuModuleUnload(code->modules[i]);
    spt_free(code->modules);
    spt_free(code->functions);
    *code = (spt_cuda_code){0};
}

spt_status spt_cuda_code_replace(spt_cuda_code *code, spt_prepared *prepared, const spt_csr *a) {
    spt_cuda_code fresh, old = {.n_modules = code->n_modules, .modules = code->modules, .functions = code->functions};
    SPT_TRY(spt_cuda_code_init(&fresh, prepared, a));
    code->n_modules = fresh.n_modules;
    code->n_functions = fresh.n_functions;
    code->modules = fresh.modules;
    code->functions = fresh.functions;
    spt_cuda_code_fini(&old);
    return SPT_OK;
}

spt_status spt_cuda_code_complete(spt_cuda_code *code, spt_prepared *prepared) {
    spt_cuda_source source = {0};
    if (code->n_modules <= 1)
        return SPT_OK;
    spt_status status = describe(&source, prepared, NULL);
    if (status == SPT_OK)
        status = load_modules(code, prepared, &source, UINT32_MAX);
    spt_cuda_source_fini(&source);
    return status;
}

spt_status spt_cuda_code_function(CUfunction *out, spt_cuda_code *code, const spt_prepared *prepared, int kernel) {
    spt_cuda_source source = {0};
    double compile_ns = 0.0, waited_ns = 0.0;
    *out = atomic_load_explicit(&code->functions[kernel], memory_order_acquire);
    if (*out != NULL)
        return SPT_OK;
    pthread_mutex_lock(&code->lock);
    spt_status status = describe(&source, prepared, NULL);
    if (status == SPT_OK)
        status = load_module(code, &compile_ns, &waited_ns, prepared, &source, kernel);
    spt_cuda_source_fini(&source);
    *out = atomic_load(&code->functions[kernel]);
    pthread_mutex_unlock(&code->lock);
    return status;
}
