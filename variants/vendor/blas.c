/* SPDX-License-Identifier: Apache-2.0 */
/* CBLAS libraries behind dlopen, one table row each. */
#include "variants/vendor/blas.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "variants/vendor/library.h"

enum { LIB_OPENBLAS, LIB_MKL, LIB_BLIS, N_LIBRARIES };

typedef struct blas_library {
    const char *const names[4]; /* candidates, NULL-terminated */
    const char *version_symbol; /* a function without arguments that gives a text; NULL: none */
    spt_sgemm *sgemm;           /* NULL: absent */
    char version[96];
} blas_library;

static blas_library libraries[N_LIBRARIES] = {
    [LIB_OPENBLAS] = {.names = {"libopenblas.so.0", "libopenblas.so"}, .version_symbol = "openblas_get_config"},
    [LIB_MKL] = {.names = {"libmkl_rt.so.3", "libmkl_rt.so.2", "libmkl_rt.so.1"}},
    [LIB_BLIS] = {.names = {"libblis.so.4", "libblis.so.3"}, .version_symbol = "bli_info_get_version_str"},
};
static pthread_once_t libraries_once = PTHREAD_ONCE_INIT;

static const spt_axis_value lib_values[] = {{LIB_OPENBLAS, "openblas"}, {LIB_MKL, "mkl"}, {LIB_BLIS, "blis"}};
const spt_axis spt_blas_axes[1] = {{"lib", "the CBLAS library", lib_values, N_LIBRARIES}};

/* The version text with the core type behind it, where the library tells one. */
static void read_version(blas_library *library, void *handle) {
    typedef const char *text_function(void);
    text_function *version = NULL, *core = NULL;
    void *symbol = library->version_symbol != NULL ? spt_library_symbol(handle, library->version_symbol) : NULL;
    memcpy(&version, &symbol, sizeof version);
    symbol = spt_library_symbol(handle, "openblas_get_corename");
    memcpy(&core, &symbol, sizeof core);
    snprintf(library->version, sizeof library->version, "%.70s%s%.18s", version != NULL ? version() : "",
             core != NULL ? " core " : "", core != NULL ? core() : "");
}

static void open_libraries(void) {
    for (int i = 0; i < N_LIBRARIES; i++) {
        void *handle = spt_library_open(libraries[i].names);
        void *symbol = spt_library_symbol(handle, "cblas_sgemm");
        memcpy(&libraries[i].sgemm, &symbol, sizeof libraries[i].sgemm);
        if (libraries[i].sgemm != NULL)
            read_version(&libraries[i], handle);
    }
}

static const blas_library *library_of(const spt_point *point) {
    pthread_once(&libraries_once, open_libraries);
    return &libraries[spt_point_value(spt_blas_axes, point, 0)];
}

spt_sgemm *spt_blas_sgemm(const spt_point *point) {
    return library_of(point)->sgemm;
}

const char *spt_blas_version(const spt_point *point) {
    return library_of(point)->version;
}

spt_status spt_blas_available(const spt_device *device) {
    (void)device;
    for (uint16_t i = 0; i < N_LIBRARIES; i++) {
        if (library_of(&(spt_point){{i}})->sgemm != NULL)
            return SPT_OK;
    }
    return spt_fail(SPT_EUNSUPPORTED, "no CBLAS library was found; libopenblas0, MKL or BLIS would do");
}

void spt_blas_default_point(const spt_workload *workload, const spt_device *device, spt_point *out) {
    (void)workload;
    (void)device;
    *out = (spt_point){0};
    while (out->index[0] + 1 < N_LIBRARIES && library_of(out)->sgemm == NULL)
        out->index[0]++;
}
