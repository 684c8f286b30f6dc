/* SPDX-License-Identifier: Apache-2.0 */
/* One record under examination: may it be used for this workload by this library here, and what is said of it? */
#ifndef SPT_RUNTIME_RECORD_H
#define SPT_RUNTIME_RECORD_H

#include "core/text.h"
#include "runtime/select.h"

/* One lookup in progress. */
typedef struct spt_lookup {
    const spt_context *context;
    const spt_workload *workload;
    char skipped[128]; /* why the best record that was passed over does not hold; "" when none was */
} spt_lookup;

/* Keep why something was passed over; only the first one is kept: it is the one that would have won. */
void spt_lookup_note(spt_lookup *lookup, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Take the record's variant and numbers when it holds here, else note why not. */
bool spt_record_take(spt_selection *out, spt_lookup *lookup, const spt_record *record);

/* Parts of the sentence: "; stale: ..." (which also sets out->stale), and "; record of ... skipped: ...". */
void spt_record_say_staleness(spt_text *text, spt_selection *out, const spt_record *record);
void spt_lookup_say_skipped(spt_text *text, const spt_lookup *lookup);

#endif
