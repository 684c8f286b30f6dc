/* SPDX-License-Identifier: Apache-2.0 */
/* dlopen with candidates. The handles are never closed: BLAS libraries keep threads. */
#include "variants/vendor/library.h"

#include <dlfcn.h>
#include <stddef.h>

void *spt_library_open(const char *const *names) {
    for (int i = 0; names[i] != NULL; i++) {
        void *library = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
        if (library != NULL)
            return library;
    }
    return NULL;
}

void *spt_library_symbol(void *library, const char *name) {
    return library != NULL ? dlsym(library, name) : NULL;
}
