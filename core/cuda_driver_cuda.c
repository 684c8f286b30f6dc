/* SPDX-License-Identifier: Apache-2.0 */
/* dlopen of libcuda. The library stays loaded: it keeps threads. SPARSETUNE_CUDA=off says that there is none. */
#include "core/cuda_driver.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static spt_cuda_driver driver;
static char why_not[200]; /* "" when the driver is there */
static pthread_once_t driver_once = PTHREAD_ONCE_INIT;

#define TEXT_OF(name) #name
#define RENAMED_TEXT_OF(name) TEXT_OF(name)

static bool load_functions(void *library) {
    void *symbol;
#define LOAD(name)                                                                                                     \
    symbol = dlsym(library, RENAMED_TEXT_OF(name));                                                                    \
    if (symbol == NULL) /* older drivers know the newest renames under the plain name */                               \
        symbol = dlsym(library, TEXT_OF(name));                                                                        \
    if (symbol == NULL) {                                                                                              \
        snprintf(why_not, sizeof why_not, "no CUDA device: the driver is too old, it has no %s", TEXT_OF(name));       \
        return false;                                                                                                  \
    }                                                                                                                  \
    memcpy(&driver.name, &symbol, sizeof symbol);
    SPT_CUDA_DRIVER_FUNCTIONS(LOAD)
#undef LOAD
    return true;
}

static void open_driver(void) {
    const char *wanted = getenv("SPARSETUNE_CUDA");
    if (wanted != NULL && strcmp(wanted, "off") == 0) {
        snprintf(why_not, sizeof why_not, "no CUDA device: SPARSETUNE_CUDA=off");
        return;
    }
    void *library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
        snprintf(why_not, sizeof why_not, "no CUDA device: the driver's library libcuda.so.1 was not found");
        return;
    }
    if (!load_functions(library))
        return;
    const CUresult result = driver.cuInit(0);
    if (result == CUDA_SUCCESS)
        return;
    const char *words = NULL;
    driver.cuGetErrorString(result, &words);
    snprintf(why_not, sizeof why_not, "no CUDA device: the driver says '%.100s'", words != NULL ? words : "unknown");
}

spt_status spt_cuda_driver_get(const spt_cuda_driver **out) {
    pthread_once(&driver_once, open_driver);
    *out = NULL;
    if (why_not[0] != '\0')
        return spt_fail(SPT_EUNSUPPORTED, "%s", why_not);
    *out = &driver;
    return SPT_OK;
}

spt_status spt_cuda_check(const spt_cuda_driver *self, CUresult result, const char *what) {
    if (result == CUDA_SUCCESS)
        return SPT_OK;
    const char *words = NULL;
    self->cuGetErrorString(result, &words);
    const spt_status status = result == CUDA_ERROR_OUT_OF_MEMORY ? SPT_ENOMEM
                              : result == CUDA_ERROR_NO_DEVICE   ? SPT_EUNSUPPORTED
                                                                 : SPT_EIO;
    return spt_fail(status, "%s: the CUDA driver says '%.100s' (%d)", what, words != NULL ? words : "unknown",
                    (int)result);
}
