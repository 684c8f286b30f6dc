/* SPDX-License-Identifier: Apache-2.0 */
/* The packed A of spmm_skinny: rows in slices of as many as a vector has lanes; a slice is a run of steps, a step is
 * one nonzero (or a zero that pads) of each of its rows. */
#ifndef SPT_VARIANTS_SPMM_SKINNY_PACK_H
#define SPT_VARIANTS_SPMM_SKINNY_PACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/csr.h"

enum {
    SKINNY_TABLE_SHORT = 32, /* columns of a table that serves one step */
    SKINNY_TABLE_LONG = 64,  /* and of one that serves SKINNY_STEPS */
    SKINNY_BASE = 16,        /* a table begins at a multiple of it */
    SKINNY_STEPS = 4         /* a slice's steps are a multiple of it */
};

typedef struct skinny_shape {
    int lanes;
    int64_t window;  /* rows that are sorted by length together */
    int table_width; /* columns of a table: SKINNY_TABLE_...; 0: gathers */
} skinny_shape;

typedef struct skinny_state {
    int table_width, table_steps; /* columns of a table, 0 for gathers; steps that it serves */
    int lanes;
    int64_t k, n_slices, n_steps;
    int64_t *slice_start; /* n_slices + 1: first step */
    int32_t *rows;        /* n_slices x lanes: row of A, -1 when a lane has none */
    int32_t *source;      /* n_steps x lanes: place of the value in CSR order, -1 pads */
    float *values;        /* n_steps x lanes */
    uint16_t *columns;    /* gather: n_steps x lanes */
    uint16_t *table;      /* tables: n_steps / table_steps: first column, in units of SKINNY_BASE */
    uint32_t *words;      /* tables: n_steps / 4 x lanes: columns inside the table of four steps, a byte each */
} skinny_state;

/* Elements between packed columns of B: the last table may begin shortly before their end. */
static inline int64_t skinny_ldx(int64_t k) {
    return (k + SKINNY_BASE - 1) / SKINNY_BASE * SKINNY_BASE + SKINNY_TABLE_LONG;
}

/* Lay out positions; values are set by spt_skinny_set_values. Errors: ENOMEM. Owns: spt_skinny_state_free. */
spt_status spt_skinny_state_new(skinny_state **out, size_t *bytes, const spt_csr *a, const skinny_shape *shape);
void spt_skinny_set_values(skinny_state *state, const float *values);
void spt_skinny_state_free(skinny_state *state); /* NULL is fine */

#endif
