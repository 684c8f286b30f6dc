/* SPDX-License-Identifier: Apache-2.0 */
/* The small enumerations of the public header as tables: their names are what databases, keys and options hold. */
#ifndef SPT_CORE_TYPES_H
#define SPT_CORE_TYPES_H

#include <stdbool.h>
#include <stddef.h>

#include "core/error.h"

typedef enum spt_device_kind { SPT_CPU = 0, SPT_CUDA = 1 } spt_device_kind;

enum { SPT_DTYPE_COUNT = 7 };

/* What is done to an element of C before it is stored: v + bias when has_bias, + residual when has_residual, then the
 * activation. */
typedef enum spt_activation { SPT_IDENTITY = 0, SPT_RELU = 1 } spt_activation;

typedef struct spt_epilogue_row {
    const char *name;
    bool has_bias, has_residual;
    spt_activation activation;
} spt_epilogue_row;

const char *spt_op_name(spt_op op);
bool spt_op_has_epilogue(spt_op op); /* what it writes is a dense C */
const char *spt_dtype_name(spt_dtype dtype);
const char *spt_layout_name(spt_layout layout);
const char *spt_epilogue_name(spt_epilogue epilogue);
const char *spt_cache_name(spt_cache cache);
const char *spt_device_kind_name(spt_device_kind kind);

/* Parse a name. EINVAL lists the legal names. */
spt_status spt_op_parse(spt_op *out, const char *name);
spt_status spt_dtype_parse(spt_dtype *out, const char *name);
spt_status spt_layout_parse(spt_layout *out, const char *name);
spt_status spt_epilogue_parse(spt_epilogue *out, const char *name);
spt_status spt_cache_parse(spt_cache *out, const char *name);
spt_status spt_device_kind_parse(spt_device_kind *out, const char *name);
spt_status spt_match_parse(spt_match *out, const char *name);

size_t spt_dtype_bytes(spt_dtype dtype);
double spt_dtype_epsilon(spt_dtype dtype);             /* unit roundoff of a stored result, 0 for integers */
double spt_dtype_tiny(spt_dtype dtype);                /* half the step between the smallest results; 0: negligible */
double spt_dtype_accumulator_epsilon(spt_dtype dtype); /* unit roundoff of the accumulator */
double spt_dtype_operand_epsilon(spt_dtype dtype);     /* what a product may not see of an operand, 0: it sees all */
double spt_dtype_saturate(spt_dtype dtype, double v);  /* a result as it is stored, but for rounding */
const spt_epilogue_row *spt_epilogue_get(spt_epilogue epilogue);

#endif
