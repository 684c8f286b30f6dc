/* SPDX-License-Identifier: Apache-2.0 */
/* A family: one algorithm (format + mapping) with its tunables. One file defines one `const spt_family`; one row in
 * families.def registers it; the tests, `sparsetune space`, the tuner and the runtime iterate the registry.
 * Every family file has the same short verbs in the same order:
 * is_valid, default_point, bound_ns, prepare, set_values, workspace, run_part, release, and the descriptor last. */
#ifndef SPT_VARIANTS_FAMILY_H
#define SPT_VARIANTS_FAMILY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/csr.h"
#include "core/key.h"
#include "core/space.h"
#include "core/types.h"

typedef struct spt_family spt_family;
typedef struct spt_cuda_kernel spt_cuda_kernel; /* variants/cuda/kernel.h */

/* A variant made ready for one matrix: what a plan of the library and a worker of the tuner both hold.
 * Immutable after prepare but for set_values; run_part may be called from many threads at once. */
typedef struct spt_prepared {
    const spt_family *family;
    spt_point point;
    spt_workload workload; /* the planned problem; n is a hint, run_part gets the actual one */
    spt_device device;
    void *state;         /* the family's own, freed by release */
    size_t packed_bytes; /* reported by prepare: memory held in state */
    double pack_ns;      /* measured around prepare and set_values by spt_prepared_*, compiling left out */
    double compile_ns;   /* that its code took to compile, now or when it came into a cache; 0: nothing to compile */
    double compiling_ns; /* how long prepare and complete waited for code, from a compiler or a cache */
} spt_prepared;

/* One batch item, or several for a family with a batch_max, with everything resolved: no leading dimension is 0, n >=
 * 1, workspace belongs to this part alone. */
typedef struct spt_call {
    int64_t n;
    const void *b, *x, *y;
    int64_t ldb, ldx, ldy;
    void *c, *s;
    int64_t ldc;
    const void *bias;     /* NULL when the epilogue has none */
    const void *residual; /* like c; NULL when the epilogue has none */
    int64_t ldr;
    int64_t batch; /* items, 1 to batch_max; their distances follow, in bytes */
    int64_t step_b, step_c, step_residual;
    void *workspace; /* family->workspace(prepared, n) bytes, 64-byte aligned */
    void *stream;
} spt_call;

/* Move a call to the item that lies so many items further on; operands that it has not stay NULL. */
static inline void spt_call_advance(spt_call *call, int64_t n_items) {
    const uintptr_t count = (uintptr_t)n_items;
    if (call->b != NULL)
        call->b = (const void *)((uintptr_t)call->b + count * (uintptr_t)call->step_b);
    if (call->c != NULL)
        call->c = (void *)((uintptr_t)call->c + count * (uintptr_t)call->step_c);
    if (call->residual != NULL)
        call->residual = (const void *)((uintptr_t)call->residual + count * (uintptr_t)call->step_residual);
}

#define SPT_DTYPE_BIT(dtype) (1u << (dtype))

struct spt_family {
    const char *name;    /* the file's stem; stored in databases, never reused */
    const char *summary; /* one line, with the paper behind it */
    spt_op op;
    spt_device_kind device;
    uint32_t dtypes; /* SPT_DTYPE_BIT of each supported element type */
    const spt_axis *axes;
    int n_axes;
    int revision;        /* raised when a point's meaning or the code changes: records of another revision are misses */
    bool is_dense;       /* ignores the sparsity: "speedup over dense" compares with the best of these */
    bool pads_zeros;     /* computes 0*b where A has no nonzero: not used when operands may be Inf or NaN */
    bool takes_residual; /* serves the epilogues that add one */
    int64_t batch_max;   /* items of a batch that one call of run_part does; 0: one. Not with x, y and s */
    bool owns_threads;   /* the library or device behind it brings its own threads: always run as one part */
    bool names_algorithm;   /* points name algorithms of the vendor library: with another version they are misses */
    double tolerance_scale; /* of results that round their operands to less than the type holds (TF32); 0: 1 */
    const spt_cuda_kernel *cuda; /* families with CUDA kernels of their own; NULL: none */

    /* OK, or EUNSUPPORTED with one sentence (a library that is absent). NULL: always available. Cheap when repeated. */
    spt_status (*available)(const spt_device *device);
    /* Version and build of the vendor library that this point calls; stored beside trials. NULL: none. */
    const char *(*library_version)(const spt_point *point);
    /* Half a step of the narrower element type that A and the operands are rounded to, as a share of the largest
     * magnitude: results are held to that. NULL: none; only rivals that are advice have one. */
    double (*input_error)(const spt_point *point);
    /* How many multiply-adds of the type that it computes in a vector does for one of f32: 2 of bf16, 4 of int8. NULL:
     * 1
     */
    double (*fma_scale)(const spt_point *point);
    /* May this point run this workload here? Families need not check op, dtype and device kind again. */
    bool (*is_valid)(const spt_workload *workload, const spt_device *device, const spt_point *point);
    /* A point that is good without tuning, and valid whenever any point of the family is. */
    void (*default_point)(const spt_workload *workload, const spt_device *device, spt_point *out);
    /* The machine's bound for this mapping in ns for one execution, from the table of ceilings (bound.h). */
    double (*bound_ns)(const spt_workload *workload, const spt_device *device, const spt_point *point);
    /* Pack weights or generate code into prepared->state; set packed_bytes. On failure state is released and NULL. */
    spt_status (*prepare)(spt_prepared *prepared, const spt_csr *a);
    /* New values, same pattern. On failure the old values stay. NULL: none are kept, as of a mask. */
    spt_status (*set_values)(spt_prepared *prepared, const void *values);
    /* Make ready for calls of any shape; without it what the planned one does not need comes when it is. NULL: is so.
     */
    spt_status (*complete)(spt_prepared *prepared);
    /* Bytes that one part needs for this n. NULL: none. */
    size_t (*workspace)(const spt_prepared *prepared, int64_t n);
    /* Compute part `part` of `n_parts`. Parts touch disjoint output, whatever the order and thread. */
    spt_status (*run_part)(const spt_prepared *prepared, const spt_call *call, int part, int n_parts);
    void (*release)(spt_prepared *prepared);
};

/* --- registry.c --- */

#define SPT_FAMILY(name) extern const spt_family spt_family_##name;
#include "variants/families.def"
#undef SPT_FAMILY

int spt_family_count(void);
const spt_family *spt_family_at(int index);
const spt_family *spt_family_find(const char *name); /* NULL when unknown */

/* A default_point for families whose points are all as good, or have no axis: the first value of every axis. */
void spt_family_first_point(const spt_workload *workload, const spt_device *device, spt_point *out);

/* Register further families in this process: rivals of a bench, bad ones of a test. The array must stay alive. */
void spt_registry_plant(const spt_family *const *families, int n_families);

/* The legal space of a family for one workload: a spt_space whose predicate is the family's is_valid and whose
 * expectation is its bound_ns. */
typedef struct spt_family_space {
    spt_space space; /* space.context points at this struct: do not copy it */
    const spt_family *family;
    const spt_workload *workload;
    const spt_device *device;
} spt_family_space;
void spt_family_space_init(spt_family_space *out, const spt_family *family, const spt_workload *workload,
                           const spt_device *device);

/* Is the family a candidate for this workload here: op, dtype, device, library present, finite operands where it pads,
 * default point valid? OK, or EUNSUPPORTED with one sentence. */
spt_status spt_family_check(const spt_family *family, const spt_workload *workload, const spt_device *device);

/* The untuned answer: the candidate whose default point has the lowest bound_ns.
 * Errors: EUNSUPPORTED when no family serves the workload. */
spt_status spt_default_variant(const spt_family **family, spt_point *point, const spt_workload *workload,
                               const spt_device *device);

/* For a family's default_point: *out = the valid point with the least bound among those whose axes take values that
 * `tried` names, a bit per value, beside the first; the first one of equals. Without any, the first values. */
#define SPT_TRY_ALL UINT32_MAX
void spt_family_least_bound(spt_point *out, const spt_family *family, const uint32_t *tried,
                            const spt_workload *workload, const spt_device *device);

/* Version of the vendor library behind a point, "" when there is none. */
const char *spt_family_library(const spt_family *family, const spt_point *point);

/* --- prepared.c --- */

/* Make a variant ready. Errors: EINVAL (point not valid here), ENOMEM, ECOMPILE, EUNSUPPORTED.
 * `a` must be checked already; the prepared variant keeps no pointer into it. Owns: spt_prepared_fini. */
spt_status spt_prepared_init(spt_prepared *out, const spt_family *family, const spt_point *point,
                             const spt_workload *workload, const spt_device *device, const spt_csr *a);
spt_status spt_prepared_complete(spt_prepared *prepared); /* for calls of any shape: see family->complete */
spt_status spt_prepared_set_values(spt_prepared *prepared, const void *values);
size_t spt_prepared_workspace(const spt_prepared *prepared, int64_t n); /* bytes for problem.threads parts */
/* OpenMP driver, and one part of it; both check args (EINVAL) and loop over the batch. */
spt_status spt_prepared_run(const spt_prepared *prepared, const spt_args *args);
spt_status spt_prepared_run_part(const spt_prepared *prepared, const spt_args *args, int part, int n_parts);
void spt_prepared_fini(spt_prepared *prepared); /* safe on a zeroed struct */

#endif
