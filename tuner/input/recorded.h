/* SPDX-License-Identifier: Apache-2.0 */
/* Recorded spaces: every point of a kernel's space with the time that somebody measured. Read from Kernel Tuner's cache
 * files and from T4 result files, plain or .gz; up to about a million points. Values that are whole numbers make a
 * numeric axis in rising order, with names among them at its end in order of appearance, as in 64, 128, all; names
 * alone make a named axis; columns with one value are left out. */
#ifndef SPT_TUNER_RECORDED_H
#define SPT_TUNER_RECORDED_H

#include "core/space.h"
#include "core/trial.h"

typedef struct spt_recorded_trial {
    spt_point point;
    spt_trial_status status;
    double time_ns;  /* of a correct trial, > 0; the file's milliseconds */
    double spent_s;  /* what the evaluation took when it was recorded: compilation, runs and all else; 0 unknown */
    double bound_ns; /* what the kernel's model expected, from a member `bound` in milliseconds; 0 unknown */
    bool is_default; /* the kernel's untuned point, from a member `is_default` */
} spt_recorded_trial;

typedef struct spt_recorded {
    char *name; /* the file's name without folder and suffixes */
    spt_axis *axes;
    int n_axes;
    spt_space space;            /* its valid points are the recorded ones; context is this struct */
    spt_recorded_trial *trials; /* in the order of their points */
    int64_t n_trials, n_correct;
    bool has_bounds; /* every trial has one: the space expects them, until space.expect is set to NULL */
} spt_recorded;

/* Load a file. The struct must stay where it is while its space is in use.
 * Errors: EIO, EINVAL with file and line, ENOMEM. Owns: spt_recorded_fini. */
spt_status spt_recorded_load(spt_recorded *out, const char *path);
/* The same from bytes in memory, which are changed in place; data[size] is 0. */
spt_status spt_recorded_parse(spt_recorded *out, const char *path, char *data, size_t size);
const spt_recorded_trial *spt_recorded_find(const spt_recorded *recorded, const spt_point *point); /* NULL: none */
void spt_recorded_fini(spt_recorded *recorded);

/* One space per value of an axis, without that axis: what a search of one family sees. */
typedef struct spt_recorded_part {
    spt_recorded recorded; /* its name is the value */
    int64_t *origins;      /* per trial: its index in the whole space */
} spt_recorded_part;

/* Split a space by the axis of this name; without one the only part is a copy of the whole. The parts must stay where
 * they are. Errors: ENOMEM. Owns: spt_recorded_parts_free. */
spt_status spt_recorded_split(spt_recorded_part **parts, int *n_parts, const spt_recorded *whole, const char *axis);
void spt_recorded_parts_free(spt_recorded_part *parts, int n_parts);

#endif
