/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes as text after RFC 4648, section 4. */
#ifndef SPT_DB_BASE64_H
#define SPT_DB_BASE64_H

#include <stddef.h>

#include "core/error.h"

/* Owns: spt_free. Errors: ENOMEM. */
spt_status spt_base64_encode(char **out, const void *data, size_t size);
/* Errors: EINVAL (another character, a wrong length, bits that no encoder leaves), ENOMEM. Owns: spt_free. */
spt_status spt_base64_decode(void **out, size_t *out_size, const char *text, size_t length);

#endif
