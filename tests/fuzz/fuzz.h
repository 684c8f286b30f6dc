/* SPDX-License-Identifier: Apache-2.0 */
/* What fuzz targets share. A target takes any bytes; it may refuse them with a sentence, but neither crash nor leak nor
 * accept what is not a matrix. Linked with replay.c it runs its corpus as a test; with libFuzzer it looks for more. */
#ifndef SPT_TESTS_FUZZ_H
#define SPT_TESTS_FUZZ_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/csr.h"
#include "core/memory.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Unlike assert it also holds in builds with NDEBUG. */
#define FUZZ_EXPECT(condition)                                                                                         \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "%s:%d: expected %s; the last error is '%s'\n", __FILE__, __LINE__, #condition,            \
                    spt_last_error());                                                                                 \
            abort();                                                                                                   \
        }                                                                                                              \
    } while (0)

/* What a loader gave must be a whole matrix, or one sentence and nothing to free. */
static inline void fuzz_expect_matrix(spt_status status, spt_matrix *matrix) {
    if (status == SPT_OK) {
        FUZZ_EXPECT(spt_csr_check(&matrix->view, "result") == SPT_OK);
        FUZZ_EXPECT(spt_csr_check_finite(&matrix->view, "result") == SPT_OK);
    } else {
        FUZZ_EXPECT(spt_last_error()[0] != '\0');
        FUZZ_EXPECT(strchr(spt_last_error(), '\n') == NULL);
    }
    spt_matrix_fini(matrix);
    FUZZ_EXPECT(spt_memory_live() == 0);
}

typedef spt_status (*fuzz_parser)(spt_matrix *out, const char *path, const char *data, size_t size);

/* Hand a parser its own copy of exactly these bytes and the 0 that loaders may rely on. */
static inline int fuzz_parse(fuzz_parser parse, const uint8_t *data, size_t size) {
    spt_matrix matrix = {0};
    char *copy = spt_alloc(size + 1, 1);
    FUZZ_EXPECT(copy != NULL);
    if (size > 0)
        memcpy(copy, data, size);
    copy[size] = '\0';
    spt_status status = parse(&matrix, "input", copy, size);
    spt_free(copy);
    fuzz_expect_matrix(status, &matrix);
    return 0;
}

/* Put bytes into an anonymous file; path names it while the descriptor is open. */
static inline int fuzz_file(char *path, size_t capacity, const uint8_t *data, size_t size) {
    int descriptor = memfd_create("fuzz", MFD_CLOEXEC);
    FUZZ_EXPECT(descriptor >= 0);
    FUZZ_EXPECT(write(descriptor, data, size) == (ssize_t)size);
    snprintf(path, capacity, "/proc/self/fd/%d", descriptor);
    return descriptor;
}

#endif
