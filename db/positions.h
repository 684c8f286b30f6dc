/* SPDX-License-Identifier: Apache-2.0 */
/* The positions of a pattern's nonzeros as bytes: numbers of seven bits a byte (rows, columns, nonzeros, then per row
 * its length and the gaps between its columns), deflated. Who reads them checks them against the fingerprint. */
#ifndef SPT_DB_POSITIONS_H
#define SPT_DB_POSITIONS_H

#include "core/csr.h"
#include "db/db.h"

/* Owns: spt_free. Errors: ENOMEM, EUNSUPPORTED (more than a database record may hold). */
spt_status spt_positions_encode(void **out, size_t *out_bytes, const spt_csr *a);
/* Values are left out. Errors: EINVAL (not what an encoder makes), ENOMEM. Owns: spt_matrix_fini. */
spt_status spt_positions_decode(spt_matrix *out, const void *data, size_t size);

/* Are these the positions of the pattern with this fingerprint? Errors: EINVAL, ENOMEM. */
spt_status spt_positions_check(const void *data, size_t size, const spt_hash128 *fingerprint);

/* Keep the positions of a pattern that the database knows. Errors: EIO, ENOMEM, EUNSUPPORTED. */
spt_status spt_db_positions_add(spt_db *db, const spt_hash128 *fingerprint, const spt_csr *a);
/* Read them. Errors: ENOTFOUND (not kept), EINVAL (damaged, or of another pattern). Owns: spt_matrix_fini. */
spt_status spt_db_positions_read(spt_matrix *out, spt_db *db, const spt_hash128 *fingerprint);

#endif
