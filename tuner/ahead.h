/* SPDX-License-Identifier: Apache-2.0 */
/* Compiling ahead of measuring: worker processes fill the cache of binaries with every valid point of the families,
 * while the one that measures asks for some of them. What is not there yet it compiles itself. */
#ifndef SPT_TUNER_AHEAD_H
#define SPT_TUNER_AHEAD_H

#include <sys/types.h>

#include "core/key.h"

/* Start `sparsetune compile --all` for the problem's kind, its widths and a pattern with zeros anywhere in the
 * background, on all cores but one; families may be NULL (all) or a list a,b. Gives 0 where there is nothing to compile
 * or no process: tuning goes on without. */
pid_t spt_ahead_start(const spt_device *device, const spt_problem *problem, const int64_t *widths, int n_widths,
                      const char *families);
void spt_ahead_end(pid_t ahead); /* 0 is allowed */

#endif
