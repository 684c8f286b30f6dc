/* SPDX-License-Identifier: Apache-2.0 */
/* A libnvrtc.so without NVIDIA: the text is compiled by the host compiler for the emulator. Its version is 0.1, so that
 * what it makes never meets what NVRTC makes in a cache. */
#include <nvrtc.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/fake/image.h"
#include "tests/simt/object.h"

#define EXPORT __attribute__((visibility("default")))

struct _nvrtcProgram {
    char *text;
    char *image;
    size_t image_bytes;
    char log[4096];
};

EXPORT nvrtcResult nvrtcVersion(int *major, int *minor) {
    *major = 0;
    *minor = 1;
    return NVRTC_SUCCESS;
}

EXPORT const char *nvrtcGetErrorString(nvrtcResult result) {
    return result == NVRTC_SUCCESS ? "no error" : "the host compiler refused";
}

EXPORT nvrtcResult nvrtcCreateProgram(nvrtcProgram *out, const char *text, const char *name, int n_headers,
                                      const char *const *headers, const char *const *names) {
    (void)name, (void)n_headers, (void)headers, (void)names;
    *out = calloc(1, sizeof **out);
    (*out)->text = strdup(text);
    return NVRTC_SUCCESS;
}

EXPORT nvrtcResult nvrtcDestroyProgram(nvrtcProgram *program) {
    free((*program)->text);
    free((*program)->image);
    free(*program);
    *program = NULL;
    return NVRTC_SUCCESS;
}

static bool read_image(nvrtcProgram program, const char *path) {
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return false;
    fseek(file, 0, SEEK_END);
    fake_image head = {.code_bytes = (size_t)ftell(file), .text_bytes = strlen(program->text)};
    rewind(file);
    memcpy(head.magic, FAKE_IMAGE_MAGIC, sizeof head.magic);
    program->image_bytes = sizeof head + head.code_bytes + head.text_bytes;
    program->image = malloc(program->image_bytes);
    memcpy(program->image, &head, sizeof head);
    const bool is_whole = fread(program->image + sizeof head, 1, head.code_bytes, file) == head.code_bytes;
    memcpy(program->image + sizeof head + head.code_bytes, program->text, head.text_bytes);
    fclose(file);
    return is_whole;
}

EXPORT nvrtcResult nvrtcCompileProgram(nvrtcProgram program, int n_options, const char *const *options) {
    char path[64] = "/tmp/sparsetune-emulated-XXXXXX";
    const int file = mkstemp(path);
    if (file < 0)
        return NVRTC_ERROR_OUT_OF_MEMORY;
    close(file);
    const bool is_ok = simt_object_compile(path, program->text, strlen(program->text), options, n_options, program->log,
                                           sizeof program->log) &&
                       read_image(program, path);
    unlink(path);
    return is_ok ? NVRTC_SUCCESS : NVRTC_ERROR_COMPILATION;
}

EXPORT nvrtcResult nvrtcGetProgramLogSize(nvrtcProgram program, size_t *bytes) {
    *bytes = strlen(program->log) + 1;
    return NVRTC_SUCCESS;
}
EXPORT nvrtcResult nvrtcGetProgramLog(nvrtcProgram program, char *log) {
    memcpy(log, program->log, strlen(program->log) + 1);
    return NVRTC_SUCCESS;
}
EXPORT nvrtcResult nvrtcGetCUBINSize(nvrtcProgram program, size_t *bytes) {
    *bytes = program->image_bytes;
    return NVRTC_SUCCESS;
}
EXPORT nvrtcResult nvrtcGetCUBIN(nvrtcProgram program, char *image) {
    memcpy(image, program->image, program->image_bytes);
    return NVRTC_SUCCESS;
}
