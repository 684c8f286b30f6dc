/* SPDX-License-Identifier: Apache-2.0 */
/* The check of one record; see record.h. Every record is checked by itself, and what does not hold is passed over. */
#include "runtime/record.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* What this library was built by: the soft field that tuned records carry. */
static const char built_by[] = __VERSION__;

void spt_lookup_note(spt_lookup *self, const char *format, ...) {
    if (self->skipped[0] != '\0')
        return;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(self->skipped, sizeof self->skipped, format, arguments);
    va_end(arguments);
}

bool spt_record_take(spt_selection *out, spt_lookup *self, const spt_record *record) {
    const spt_family *family = spt_family_find(record->family);
    if (family == NULL) {
        spt_lookup_note(self, "record of %s skipped: this library has no such family", record->family);
        return false;
    }
    if (family->revision != record->revision) {
        spt_lookup_note(self, "record of %s revision %d skipped: this library has revision %d", record->family,
                        record->revision, family->revision);
        return false;
    }
    if (spt_point_parse(&out->point, family->axes, family->n_axes, record->point) != SPT_OK ||
        spt_family_check(family, self->workload, &self->context->device) != SPT_OK) {
        spt_lookup_note(self, "record skipped: %s", spt_last_error());
        return false;
    }
    if (!family->is_valid(self->workload, &self->context->device, &out->point)) {
        spt_lookup_note(self, "record of %s skipped: point %s is not valid here", record->family, record->point);
        return false;
    }
    if (family->names_algorithm && strcmp(record->library, spt_family_library(family, &out->point)) != 0) {
        spt_lookup_note(self, "record of %s skipped: its point names an algorithm of %s, here is %s", record->family,
                        record->library, spt_family_library(family, &out->point));
        return false;
    }
    out->family = family;
    out->time_ns_expected = record->time_ns_median;
    out->speedup_over_dense = record->speedup_over_dense;
    out->speedup_over_default = record->speedup_over_default;
    out->n_tuned = record->n;
    return true;
}

void spt_record_say_staleness(spt_text *text, spt_selection *selection, const spt_record *record) {
    const char *library = spt_family_library(selection->family, &selection->point);
    const char *field = strcmp(record->compiler, built_by) != 0 ? "compiler"
                        : strcmp(record->library, library) != 0 ? "vendor library"
                                                                : NULL;
    selection->stale = field != NULL;
    if (field != NULL)
        spt_text_add(text, "; stale: measured with another %s", field);
}

void spt_lookup_say_skipped(spt_text *text, const spt_lookup *self) {
    if (self->skipped[0] != '\0')
        spt_text_add(text, "; %s", self->skipped);
}
