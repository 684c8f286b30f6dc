/* SPDX-License-Identifier: Apache-2.0 */
/* CUDA C to machine code through NVRTC, opened at run time. A text without a kernel takes 50 ms, one kernel 80 to 150.
 */
#include <nvrtc.h>

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "core/memory.h"
#include "core/text.h"
#include "variants/cuda/binary.h"
#include "variants/cuda/library_path.h"
#include "variants/cuda/primitives_text.h"
#include "variants/vendor/library.h"

#define NVRTC_FUNCTIONS(X)                                                                                             \
    X(nvrtcVersion)                                                                                                    \
    X(nvrtcGetErrorString)                                                                                             \
    X(nvrtcCreateProgram)                                                                                              \
    X(nvrtcDestroyProgram)                                                                                             \
    X(nvrtcCompileProgram)                                                                                             \
    X(nvrtcGetProgramLogSize)                                                                                          \
    X(nvrtcGetProgramLog)                                                                                              \
    X(nvrtcGetCUBINSize)                                                                                               \
    X(nvrtcGetCUBIN)

static struct {
#define FIELD(name) __typeof__(name) *name;
    NVRTC_FUNCTIONS(FIELD)
#undef FIELD
} nvrtc;
static char version_text[SPT_CUDA_COMPILER_SIZE]; /* "": absent */
static bool knows_minimal;                        /* --minimal: no textures, no device runtime, 8 ms less (12.4) */
static pthread_once_t nvrtc_once = PTHREAD_ONCE_INIT;

static void open_nvrtc(void) {
    static const char *const names[] = {"libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so", NULL};
    void *library = spt_cuda_library_open(names), *symbol;
    int major = 0, minor = 0;
#define LOAD(name)                                                                                                     \
    symbol = spt_library_symbol(library, #name);                                                                       \
    if (symbol == NULL)                                                                                                \
        return;                                                                                                        \
    memcpy(&nvrtc.name, &symbol, sizeof symbol);
    NVRTC_FUNCTIONS(LOAD)
#undef LOAD
    if (nvrtc.nvrtcVersion(&major, &minor) == NVRTC_SUCCESS)
        snprintf(version_text, sizeof version_text, "NVRTC %d.%d", major, minor);
    knows_minimal = major > 12 || (major == 12 && minor >= 4);
}

const char *spt_nvrtc_version(void) {
    pthread_once(&nvrtc_once, open_nvrtc);
    return version_text;
}

/* The compiler's first complaint, without its newline. */
static spt_status fail_with_log(const char *log, nvrtcResult result) {
    const char *error = strstr(log, "error");
    const char *line = error != NULL ? error : log;
    while (line > log && line[-1] != '\n')
        line--;
    return spt_fail(SPT_ECOMPILE, "NVRTC: %s: %.*s", nvrtc.nvrtcGetErrorString(result), (int)strcspn(line, "\n"), line);
}

static spt_status compile(spt_cuda_binary *out, nvrtcProgram program, const spt_cuda_source *source, const char *arch) {
    char arch_option[64];
    const char *options[SPT_CUDA_DEFINES_MAX + 5];
    int n_options = 0;
    size_t log_bytes = 0;
    char *log = NULL;
    spt_status status = SPT_OK;
    snprintf(arch_option, sizeof arch_option, "--gpu-architecture=%s", arch);
    options[n_options++] = arch_option;
    options[n_options++] = "--std=c++17";
    options[n_options++] = "--ptxas-options=-v";
    if (knows_minimal)
        options[n_options++] = "--minimal";
    for (int i = 0; i < source->n_defines; i++)
        options[n_options++] = source->defines[i];
    const nvrtcResult result = nvrtc.nvrtcCompileProgram(program, n_options, options);
    nvrtc.nvrtcGetProgramLogSize(program, &log_bytes);
    SPT_TRY_TO(done, SPT_NEW_ZEROED(log, log_bytes + 1));
    nvrtc.nvrtcGetProgramLog(program, log);
    if (result != NVRTC_SUCCESS) {
        status = fail_with_log(log, result);
        goto done;
    }
    spt_cuda_binary_read_report(out, log);
    if (nvrtc.nvrtcGetCUBINSize(program, &out->bytes) != NVRTC_SUCCESS || out->bytes == 0) {
        status = spt_fail(SPT_ECOMPILE, "NVRTC: no machine code for %s came back", arch);
        goto done;
    }
    SPT_TRY_TO(done, (out->data = spt_alloc(out->bytes, 1)) != NULL ? SPT_OK : SPT_ENOMEM);
    if (nvrtc.nvrtcGetCUBIN(program, out->data) != NVRTC_SUCCESS)
        status = spt_fail(SPT_ECOMPILE, "NVRTC: no machine code for %s came back", arch);
done:
    spt_free(log);
    return status;
}

spt_status spt_nvrtc_compile(spt_cuda_binary *out, const spt_cuda_source *source, const char *arch) {
    size_t primitives_bytes = 0;
    const char *primitives = spt_cuda_primitives(&primitives_bytes);
    char *text = NULL;
    nvrtcProgram program = NULL;
    if (spt_nvrtc_version()[0] == '\0')
        return spt_fail(SPT_EUNSUPPORTED, "no compiler for CUDA kernels: libnvrtc was not found");
    SPT_TRY(SPT_NEW_ZEROED(text, primitives_bytes + source->text_bytes + 1));
    memcpy(text, primitives, primitives_bytes);
    memcpy(text + primitives_bytes, source->text, source->text_bytes);
    spt_status status = SPT_OK;
    if (nvrtc.nvrtcCreateProgram(&program, text, "kernel.cu", 0, NULL, NULL) != NVRTC_SUCCESS)
        status = spt_fail(SPT_ENOMEM, "NVRTC: no program could be made");
    if (status == SPT_OK)
        status = compile(out, program, source, arch);
    if (program != NULL)
        nvrtc.nvrtcDestroyProgram(&program);
    spt_free(text);
    return status;
}
