/* SPDX-License-Identifier: Apache-2.0 */
/* What the meter and its worker say to each other: fixed-size messages over a SOCK_SEQPACKET pair (each arrives whole
 * or not at all), and one shared arena per load that holds the matrix, the dense operands and the reference. Both ends
 * are the same binary, so the structs need no portable layout. */
#ifndef SPT_TUNER_PROTOCOL_H
#define SPT_TUNER_PROTOCOL_H

#include <stdatomic.h>

#include "tuner/measure/meter.h"
#include "variants/operation.h"

#define SPT_WORKER_FD 3

typedef enum spt_request_kind {
    SPT_REQUEST_LOAD = 1, /* carries the arena's descriptor */
    SPT_REQUEST_MEASURE,  /* one variant: verify, race */
    SPT_REQUEST_ROUND     /* several variants: verify each, then interleave */
} spt_request_kind;

typedef struct spt_request_variant {
    char family[64];
    char point[SPT_POINT_TEXT_MAX];
} spt_request_variant;

typedef struct spt_request {
    spt_request_kind kind;
    spt_measure_policy policy;
    double best_ns;
    int n_variants;
    spt_request_variant variants[SPT_ROUND_MAX];
} spt_request;

typedef struct spt_reply {
    spt_status status; /* of the request itself; failing variants are told by their measurements */
    char message[200];
    spt_measurement measurements[SPT_ROUND_MAX];
    double calibration_ns; /* of a fixed loop, to watch the clock's drift */
    double clock_resolution_ns;
    long involuntary_switches; /* during the request */
    double request_s;          /* wall time of the request */
    bool was_moved;            /* the request began on one core and ended on another */
    bool is_spent;             /* the worker cannot go on: a device's context broke with the last variant */
} spt_reply;

/* The arena starts with this header. Inputs begin on a huge page of their own; the worker copies them to
 * memory of its own and makes them read-only. */
typedef struct spt_arena {
    size_t size_bytes;
    spt_workload workload;                                  /* problem.device is set again by the reader */
    char device_name[16];                                   /* "cpu", "cuda:0" */
    int64_t row_offsets_at, columns_at, values_at, bias_at; /* byte offsets from the header; 0: absent */
    int64_t operand_at[SPT_OPERANDS_MAX];                   /* inputs only */
    int64_t residual_at;                                    /* 0: the epilogue has none */
    int64_t value_at, tolerance_at;                         /* reference, written by the first worker */
    int64_t inputs_at, inputs_end;                          /* range that kernels may only read */
    atomic_int has_reference;
    atomic_int current_variant; /* index within the request, for blame after a crash */
} spt_arena;

/* Build an arena in a new memory file and map it. Errors: ENOMEM, EIO. Owns: unmap with munmap, close the descriptor.
 */
spt_status spt_arena_new(spt_arena **out, int *descriptor, const spt_workload *workload, const spt_csr *a,
                         uint64_t seed);
/* View the matrix and bind the input operands and the bias to args; the output stays unbound. */
void spt_arena_view(spt_csr *a, spt_args *args, const spt_arena *arena);

#endif
