/* SPDX-License-Identifier: Apache-2.0 */
/* What the stand-in for NVRTC gives for a cubin and the stand-in for the driver loads: a shared object of the host,
 * then the text that it was made of. What the one for nvJitLink gives has no object, and PTX for a text. */
#ifndef SPT_TESTS_FAKE_IMAGE_H
#define SPT_TESTS_FAKE_IMAGE_H

#include <stddef.h>

#define FAKE_IMAGE_MAGIC "emulator"

typedef struct fake_image {
    char magic[8];
    size_t code_bytes, text_bytes;
} fake_image;

#endif
