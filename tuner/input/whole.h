/* SPDX-License-Identifier: Apache-2.0 */
/* Whole files, plain or .gz. */
#ifndef SPT_TUNER_WHOLE_H
#define SPT_TUNER_WHOLE_H

#include <stddef.h>

#include "core/error.h"

/* Read all of a file or pipe, unpacked where it begins as gzip does; (*out)[*size] is 0. A stream that was cut or
 * damaged, or that anything but another gzip stream follows, is refused.
 * Errors: EIO (unreadable), EINVAL with the file and the byte, ENOMEM (also above 4 GiB). Owns: spt_free. */
spt_status spt_whole_read(char **out, size_t *size, const char *path);

#endif
