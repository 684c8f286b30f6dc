/* SPDX-License-Identifier: Apache-2.0 */
/* What other processes do to the machine, as the system counts it: CPU time of all less our own. Their caches' and
 * memory's load is not seen in our interruptions where they run on other cores. */
#ifndef SPT_TUNER_OTHERS_H
#define SPT_TUNER_OTHERS_H

#include <stdbool.h>
#include <sys/types.h>

typedef struct spt_others {
    double at_s, busy_s, own_s; /* when it was last looked, and CPU time until then; at_s 0: never */
    bool are_busy;              /* between the last two looks */
} spt_others;

/* Were others busy, for more than half a core, since the last look? Looks again after a tenth of a second at the
 * earliest, and says before what it said then. worker: its time is ours, 0 for none. false where the system does not
 * say. */
bool spt_others_are_busy(spt_others *self, pid_t worker);

#endif
