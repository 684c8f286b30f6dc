/* SPDX-License-Identifier: Apache-2.0 */
/* dlopen with NVIDIA's customary folders behind the loader's own search. */
#include "variants/cuda/library_path.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "variants/vendor/library.h"

static const char *const usual_folders = "/usr/local/cuda/lib64:/usr/lib/x86_64-linux-gnu:/usr/lib64";

static void *open_in(const char *folders, const char *const *names) {
    for (const char *folder = folders; folder != NULL && *folder != '\0';) {
        const size_t length = strcspn(folder, ":");
        for (int i = 0; length > 0 && names[i] != NULL; i++) {
            char path[4096];
            if (snprintf(path, sizeof path, "%.*s/%s", (int)length, folder, names[i]) >= (int)sizeof path)
                continue;
            void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
            if (library != NULL)
                return library;
        }
        folder += length + (folder[length] == ':');
    }
    return NULL;
}

void *spt_cuda_library_open(const char *const *names) {
    const char *wanted = getenv("SPARSETUNE_CUDA");
    if (wanted != NULL && strcmp(wanted, "off") == 0)
        return NULL;
    void *library = spt_library_open(names);
    if (library == NULL)
        library = open_in(getenv("SPARSETUNE_CUDA_PATH"), names);
    return library != NULL ? library : open_in(usual_folders, names);
}
