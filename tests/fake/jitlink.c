/* SPDX-License-Identifier: Apache-2.0 */
/* A libnvJitLink.so without NVIDIA: PTX is read by the interpreter of the tests, and what comes out is the text again.
 * nvJitLink.h defines these names as inline functions, so they are declared here; results are ints, 0 is success. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fake/image.h"
#include "tests/simt/ptx.h"

#define EXPORT __attribute__((visibility("default")))

typedef struct fake_link {
    char *text;
    size_t bytes;
    char error[SIMT_ERROR_MAX];
} fake_link;

EXPORT int nvJitLinkVersion(unsigned *major, unsigned *minor);
EXPORT int nvJitLinkCreate(fake_link **out, uint32_t n_options, const char **options);
EXPORT int nvJitLinkDestroy(fake_link **self);
EXPORT int nvJitLinkAddData(fake_link *self, int type, const void *data, size_t bytes, const char *name);
EXPORT int nvJitLinkComplete(fake_link *self);
EXPORT int nvJitLinkGetErrorLogSize(fake_link *self, size_t *bytes);
EXPORT int nvJitLinkGetErrorLog(fake_link *self, char *log);
EXPORT int nvJitLinkGetInfoLogSize(fake_link *self, size_t *bytes);
EXPORT int nvJitLinkGetInfoLog(fake_link *self, char *log);
EXPORT int nvJitLinkGetLinkedCubinSize(fake_link *self, size_t *bytes);
EXPORT int nvJitLinkGetLinkedCubin(fake_link *self, void *out);

int nvJitLinkVersion(unsigned *major, unsigned *minor) {
    *major = 0;
    *minor = 1;
    return 0;
}

int nvJitLinkCreate(fake_link **out, uint32_t n_options, const char **options) {
    (void)n_options, (void)options;
    *out = calloc(1, sizeof **out);
    return 0;
}

int nvJitLinkDestroy(fake_link **self) {
    free((*self)->text);
    free(*self);
    *self = NULL;
    return 0;
}

int nvJitLinkAddData(fake_link *self, int type, const void *data, size_t bytes, const char *name) {
    (void)type, (void)name;
    while (bytes > 0 && ((const char *)data)[bytes - 1] == '\0')
        bytes--;
    self->text = realloc(self->text, self->bytes + bytes + 1);
    memcpy(self->text + self->bytes, data, bytes);
    self->bytes += bytes;
    self->text[self->bytes] = '\0';
    return 0;
}

int nvJitLinkComplete(fake_link *self) {
    ptx_program *program = ptx_parse(self->text, self->bytes, self->error);
    if (program == NULL)
        return 1;
    ptx_free(program);
    return 0;
}

int nvJitLinkGetErrorLogSize(fake_link *self, size_t *bytes) {
    *bytes = strlen(self->error) + 1;
    return 0;
}
int nvJitLinkGetErrorLog(fake_link *self, char *log) {
    memcpy(log, self->error, strlen(self->error) + 1);
    return 0;
}
int nvJitLinkGetInfoLogSize(fake_link *self, size_t *bytes) {
    (void)self;
    *bytes = 1;
    return 0;
}
int nvJitLinkGetInfoLog(fake_link *self, char *log) {
    (void)self;
    *log = '\0';
    return 0;
}

int nvJitLinkGetLinkedCubinSize(fake_link *self, size_t *bytes) {
    *bytes = sizeof(fake_image) + self->bytes;
    return 0;
}
int nvJitLinkGetLinkedCubin(fake_link *self, void *out) {
    fake_image head = {.code_bytes = 0, .text_bytes = self->bytes};
    memcpy(head.magic, FAKE_IMAGE_MAGIC, sizeof head.magic);
    memcpy(out, &head, sizeof head);
    memcpy((char *)out + sizeof head, self->text, self->bytes);
    return 0;
}
