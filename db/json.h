/* SPDX-License-Identifier: Apache-2.0 */
/* A record as one line of JSON and back. One table of fields per kind serves both directions; the fields come in its
 * order, so equal records give equal bytes. docs/DATABASE.md describes the format. */
#ifndef SPT_DB_JSON_H
#define SPT_DB_JSON_H

#include <jansson.h>

#include "db/item.h"

#define SPT_EXCHANGE_VERSION 1

/* The line without its newline. Owns: spt_free. Errors: ENOMEM. */
spt_status spt_item_to_json(char **out, size_t *size, const spt_item *item);
/* A value as text, terminated; flags as for json_dumpb. Owns: spt_free. Errors: ENOMEM. */
spt_status spt_json_text(char **out, size_t *size, const json_t *json, size_t flags);
/* The line that opens an export. */
const char *spt_exchange_header(void);

/* Read a line of `size` bytes. *is_header: it was the opening line, and there is no item. An item's positions are
 * *blob, which the caller frees with spt_free (NULL where there are none). The item is checked.
 * Errors: EINVAL with what is wrong, EUNSUPPORTED for a header of a newer version, ENOMEM. */
spt_status spt_item_from_json(spt_item *out, bool *is_header, void **blob, const char *line, size_t size);

#endif
