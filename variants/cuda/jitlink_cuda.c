/* SPDX-License-Identifier: Apache-2.0 */
/* PTX to machine code through nvJitLink; see jitlink.h. A text of 30 thousand instructions takes 2 to 3 seconds. */
#include <nvJitLink.h>

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "core/memory.h"
#include "core/text.h"
#include "variants/cuda/jitlink.h"
#include "variants/cuda/library_path.h"
#include "variants/vendor/library.h"

#define JITLINK_FUNCTIONS(X)                                                                                           \
    X(nvJitLinkVersion)                                                                                                \
    X(nvJitLinkCreate)                                                                                                 \
    X(nvJitLinkDestroy)                                                                                                \
    X(nvJitLinkAddData)                                                                                                \
    X(nvJitLinkComplete)                                                                                               \
    X(nvJitLinkGetErrorLogSize)                                                                                        \
    X(nvJitLinkGetErrorLog)                                                                                            \
    X(nvJitLinkGetInfoLogSize)                                                                                         \
    X(nvJitLinkGetInfoLog)                                                                                             \
    X(nvJitLinkGetLinkedCubinSize)                                                                                     \
    X(nvJitLinkGetLinkedCubin)

static struct {
#define FIELD(name) __typeof__(name) *name;
    JITLINK_FUNCTIONS(FIELD)
#undef FIELD
} jitlink;
static char version_text[SPT_CUDA_COMPILER_SIZE]; /* "": absent */
static unsigned version_major;
static pthread_once_t jitlink_once = PTHREAD_ONCE_INIT;

static void open_jitlink(void) {
    static const char *const names[] = {"libnvJitLink.so.13", "libnvJitLink.so.12", "libnvJitLink.so", NULL};
    void *library = spt_cuda_library_open(names), *symbol;
    unsigned minor = 0;
#define LOAD(name)                                                                                                     \
    symbol = spt_library_symbol(library, #name);                                                                       \
    if (symbol == NULL)                                                                                                \
        return;                                                                                                        \
    memcpy(&jitlink.name, &symbol, sizeof symbol);
    JITLINK_FUNCTIONS(LOAD)
#undef LOAD
    if (jitlink.nvJitLinkVersion(&version_major, &minor) == NVJITLINK_SUCCESS)
        snprintf(version_text, sizeof version_text, "nvJitLink %u.%u", version_major, minor);
}

const char *spt_jitlink_version(void) {
    pthread_once(&jitlink_once, open_jitlink);
    return version_text;
}

typedef nvJitLinkResult log_size(nvJitLinkHandle handle, size_t *size);
typedef nvJitLinkResult log_text(nvJitLinkHandle handle, char *log);

/* A log of the linker, "" where there is none. Owns: spt_free. */
static spt_status read_log(char **out, nvJitLinkHandle handle, log_size *size_of, log_text *text_of) {
    size_t size = 0;
    if (size_of(handle, &size) != NVJITLINK_SUCCESS)
        size = 0;
    SPT_TRY(SPT_NEW_ZEROED(*out, size + 1));
    if (size > 0)
        text_of(handle, *out);
    return SPT_OK;
}

/* The linker's first complaint. */
static spt_status fail_with_log(nvJitLinkHandle handle, nvJitLinkResult result) {
    char *log;
    SPT_TRY(read_log(&log, handle, jitlink.nvJitLinkGetErrorLogSize, jitlink.nvJitLinkGetErrorLog));
    const char *line = log + strspn(log, "\n");
    const spt_status status =
        spt_fail(SPT_ECOMPILE, "nvJitLink: error %d: %.*s", (int)result, (int)strcspn(line, "\n"), line);
    spt_free(log);
    return status;
}

/* Add the texts, each with a 0 of its own at the end. */
static spt_status add_texts(nvJitLinkHandle handle, const spt_cuda_source *source) {
    static const char beginning[] = ".version";
    char *copy, name[32];
    int n_texts = 0;
    spt_status status = SPT_OK;
    SPT_TRY(SPT_NEW(copy, source->text_bytes + 1));
    memcpy(copy, source->text, source->text_bytes);
    copy[source->text_bytes] = '\0';
    for (char *at = copy; at != NULL && status == SPT_OK;) {
        char *next = strstr(at + 1, beginning);
        const size_t length = next != NULL ? (size_t)(next - at) : strlen(at);
        if (next != NULL)
            *next = '\0';
        snprintf(name, sizeof name, "text %d", n_texts++);
        const nvJitLinkResult result = jitlink.nvJitLinkAddData(handle, NVJITLINK_INPUT_PTX, at, length + 1, name);
        if (result != NVJITLINK_SUCCESS)
            status = fail_with_log(handle, result);
        if (next != NULL)
            *next = beginning[0];
        at = next;
    }
    spt_free(copy);
    return status;
}

static spt_status take_binary(spt_cuda_binary *out, nvJitLinkHandle handle, const char *arch) {
    char *report;
    if (jitlink.nvJitLinkGetLinkedCubinSize(handle, &out->bytes) != NVJITLINK_SUCCESS || out->bytes == 0)
        return spt_fail(SPT_ECOMPILE, "nvJitLink: no machine code for %s came back", arch);
    out->data = spt_alloc(out->bytes, 1);
    if (out->data == NULL)
        return SPT_ENOMEM;
    if (jitlink.nvJitLinkGetLinkedCubin(handle, out->data) != NVJITLINK_SUCCESS)
        return spt_fail(SPT_ECOMPILE, "nvJitLink: no machine code for %s came back", arch);
    SPT_TRY(read_log(&report, handle, jitlink.nvJitLinkGetInfoLogSize, jitlink.nvJitLinkGetInfoLog));
    spt_cuda_binary_read_report(out, report);
    spt_free(report);
    return SPT_OK;
}

/* The library ends the process at an architecture that it does not know: ask it for nothing else than these. */
static bool is_known(const char *arch) {
    static const struct {
        const char *arch;
        unsigned since; /* major version */
    } known[] = {{"sm_75", 12},  {"sm_80", 12},  {"sm_86", 12},  {"sm_87", 12},   {"sm_88", 13},
                 {"sm_89", 12},  {"sm_90", 12},  {"sm_90a", 12}, {"sm_100", 12},  {"sm_100a", 12},
                 {"sm_103", 12}, {"sm_110", 13}, {"sm_120", 12}, {"sm_120a", 12}, {"sm_121", 13}};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strcmp(arch, known[i].arch) == 0)
            return version_major >= known[i].since;
    return false;
}

spt_status spt_jitlink_compile(spt_cuda_binary *out, const spt_cuda_source *source, const char *arch) {
    char arch_option[64];
    const char *options[SPT_CUDA_DEFINES_MAX + 2] = {arch_option, "-verbose"};
    const uint32_t n_options = 2 + (uint32_t)source->n_defines;
    nvJitLinkHandle handle = NULL;
    if (spt_jitlink_version()[0] == '\0')
        return spt_fail(SPT_EUNSUPPORTED, "no assembler for PTX: libnvJitLink was not found");
    snprintf(arch_option, sizeof arch_option, "-arch=%s", arch);
    for (int i = 0; i < source->n_defines; i++)
        options[2 + i] = source->defines[i];
    if (!is_known(arch) || jitlink.nvJitLinkCreate(&handle, n_options, options) != NVJITLINK_SUCCESS)
        return spt_fail(SPT_ECOMPILE, "nvJitLink: expected an architecture that it knows, found %s", arch);
    spt_status status = add_texts(handle, source);
    const nvJitLinkResult result = status == SPT_OK ? jitlink.nvJitLinkComplete(handle) : NVJITLINK_SUCCESS;
    if (result != NVJITLINK_SUCCESS)
        status = fail_with_log(handle, result);
    if (status == SPT_OK)
        status = take_binary(out, handle, arch);
    jitlink.nvJitLinkDestroy(&handle);
    return status;
}
