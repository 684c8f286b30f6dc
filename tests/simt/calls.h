/* SPDX-License-Identifier: Apache-2.0 */
/* What kernel text compiled by the host compiler calls: one table, which the loader puts into the kernel's object
 * before it is launched. Everything that other threads can see goes through it; arithmetic does not. */
#ifndef SPT_TESTS_SIMT_CALLS_H
#define SPT_TESTS_SIMT_CALLS_H

#include <stddef.h>
#include <stdint.h>

typedef struct simt_dim {
    unsigned x, y, z;
} simt_dim;

typedef enum simt_space { SIMT_GLOBAL, SIMT_SHARED } simt_space;

/* Operations of a warp. */
typedef enum simt_op {
    SIMT_SYNCWARP,
    SIMT_SHFL,
    SIMT_SHFL_UP,
    SIMT_SHFL_DOWN,
    SIMT_SHFL_XOR,
    SIMT_BALLOT,
    SIMT_ANY,
    SIMT_ALL,
    SIMT_REDUCE_ADD,
    SIMT_REDUCE_MIN,
    SIMT_REDUCE_MAX,
    SIMT_LDMATRIX,
    SIMT_LDMATRIX_TRANS,
    SIMT_MMA,
    SIMT_N_OPS
} simt_op;

/* Element types of matrix instructions. */
typedef enum simt_type {
    SIMT_F16,
    SIMT_BF16,
    SIMT_TF32,
    SIMT_S8,
    SIMT_E4M3,
    SIMT_E5M2,
} simt_type;

/* A shuffle, vote or reduction: value in and out, and the second operand. */
typedef struct simt_scalar {
    uint32_t value;
    int lane, width; /* lane, delta or mask of a shuffle; width of its segments */
} simt_scalar;

typedef struct simt_ldmatrix {
    const void *row; /* this lane's row of 16 bytes in shared memory */
    int n_matrices;  /* 1, 2 or 4 */
    uint32_t d[4];
} simt_ldmatrix;

/* mma.m16n8 with k = 16 / bytes of an element * (is_sparse ? 4 : 2) unless n_a is 2, which halves it. */
typedef struct simt_mma {
    simt_type type;
    int is_sparse, n_a; /* n_a: registers of A, 2 or 4; B has n_a / 2 of them, twice that when sparse */
    int selector;
    uint32_t metadata;
    uint32_t a[4], b[4];
    float c[4];
    int32_t c_s32[4]; /* the accumulator of S8 */
} simt_mma;

typedef struct simt_calls {
    simt_dim thread, block, block_dim, grid_dim; /* of the running thread */
    /* Check an access of the running thread; the address comes back. */
    const void *(*read)(simt_space space, const void *address, size_t bytes, int line);
    void *(*write)(simt_space space, void *address, size_t bytes, int line);
    uint32_t (*atomic_add)(void *address, uint32_t value, int is_float, int line); /* global; gives the old value */
    void *(*shared)(const char *name, size_t bytes, int line);
    void *(*shared_dynamic)(int line);
    void (*sync_block)(int line);
    /* Rendezvous of the warp: `io` is replaced by the result of this lane. */
    void (*warp)(simt_op op, unsigned mask, void *io, size_t bytes, int line);
    void (*async_copy)(void *to, const void *from, int bytes, int bytes_read, int line);
    void (*async_commit)(void);
    void (*async_wait)(int n_pending);
    void (*fail)(int line, const char *format, ...) __attribute__((format(printf, 2, 3), noreturn));
} simt_calls;

#endif
