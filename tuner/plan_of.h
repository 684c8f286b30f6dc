/* SPDX-License-Identifier: Apache-2.0 */
/* A plan through the library's door, whatever the operation. */
#ifndef SPT_TUNER_PLAN_OF_H
#define SPT_TUNER_PLAN_OF_H

#include "core/error.h"

spt_status spt_plan_of(spt_plan **out, spt_context *context, const spt_csr *a, const spt_problem *problem);

#endif
