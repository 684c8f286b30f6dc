/* SPDX-License-Identifier: Apache-2.0 */
/* Verification: a variant's output against the double-precision reference, element by element, in poisoned memory with
 * guard zones around it. */
#ifndef SPT_TUNER_VERIFY_H
#define SPT_TUNER_VERIFY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/trial.h"
#include "core/types.h"

/* Memory with a guard zone on either side. */
typedef struct spt_guarded {
    void *base;
    void *data; /* 64-byte aligned, size_bytes long */
    size_t size_bytes;
} spt_guarded;

spt_status spt_guarded_init(spt_guarded *out, size_t size_bytes); /* ENOMEM */
void spt_guarded_fini(spt_guarded *guarded);
/* Fill the data with bytes that read as NaN and set the guard zones anew. */
void spt_guarded_poison(spt_guarded *guarded);
size_t spt_guarded_bytes(const spt_guarded *guarded); /* with both guard zones */
/* Where the data begins in a copy of the whole, elsewhere. */
void *spt_guarded_twin(const spt_guarded *guarded, void *base);
bool spt_guarded_is_intact(const spt_guarded *guarded);

/* Compare n_rows x n_cols tightly packed results of a type with the reference, whose tolerance counts `scale` times,
 * and `slack` more. Sets max_error; when an element is off, sets status correctness and a reason that names the element
 * of `role`, and returns false. */
bool spt_verify(spt_measurement *out, spt_dtype dtype, const void *result, const double *value, const double *tolerance,
                double scale, double slack, int64_t n_rows, int64_t n_cols, const char *role);
bool spt_verify_f32(spt_measurement *out, const float *result, const double *value, const double *tolerance,
                    int64_t n_rows, int64_t n_cols, const char *role); /* the same for f32, scale 1 and no slack */

#endif
