/* SPDX-License-Identifier: Apache-2.0 */
/* Cold caches by reading other memory, twice the last-level cache of it. */
#ifndef SPT_TUNER_CHILL_H
#define SPT_TUNER_CHILL_H

#include "core/error.h"
#include "core/hardware.h"

/* Read memory that nothing else uses until the caches of the cores that `threads` threads run on hold nothing but it.
 * Some 10 ms per 100 MB. Errors: ENOMEM. Threads: one caller at a time. */
spt_status spt_chill(const spt_device *device, int threads);

#endif
