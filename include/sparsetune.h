/* SPDX-License-Identifier: Apache-2.0 */
/* sparsetune: the library's only public header.
 *
 * An application opens a context once (tuned results are read from SQLite databases then, and never again), makes one
 * plan per sparse matrix, executes the plan as often as it likes and from as many threads as it likes, and frees both.
 *
 *   m, k     rows and columns of the sparse matrix A
 *   n        the dense width: columns of B and C in C[m,n] = A[m,k] B[k,n]
 *   layout   kn: B is stored [k][n] and C is stored [m][n]; nk: B is stored [n][k] and C is stored [n][m]
 *
 * Every function that can fail returns an spt_status; spt_last_error gives the calling thread's last sentence.
 * Every struct that crosses this door begins with `size`, which the caller sets to sizeof the struct. The library takes
 * the structs of every version: fields that a shorter one lacks count as zero, a longer one is refused only when a
 * field that this library does not know is set. */
#ifndef SPARSETUNE_H
#define SPARSETUNE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SPT_VERSION_MAJOR 0
#define SPT_VERSION_MINOR 1
#define SPT_VERSION_PATCH 0
#define SPT_VERSION_TEXT "0.1.0"

#if defined(__GNUC__)
#define SPT_API __attribute__((visibility("default")))
#else
#define SPT_API
#endif

typedef enum spt_status {
    SPT_OK = 0,
    SPT_EINVAL = -1,       /* the caller's input is not what the call requires */
    SPT_ENOMEM = -2,       /* memory is exhausted, or a size does not fit */
    SPT_ENOTFOUND = -3,    /* an expected answer: there is no such thing */
    SPT_EUNSUPPORTED = -4, /* an expected answer: not on this machine or in this build */
    SPT_EWRONG = -5,       /* a result differs from the reference */
    SPT_ECOMPILE = -6,     /* generated code did not compile */
    SPT_ETIMEOUT = -7,     /* something did not answer in time */
    SPT_EIO = -8           /* a file, a database or a pipe could not be read or written */
} spt_status;

typedef enum spt_op {
    SPT_SPMM = 0,  /* C[m,n] = A[m,k] B[k,n], A sparse */
    SPT_SDDMM = 1, /* S[m,k] = mask[m,k] o (X[m,n] Y[k,n]^T), mask and S sparse with one pattern */
    SPT_CONV2D = 2 /* a 3x3 convolution, NCHW, with one row of true zeros around the input: A, sparse, holds the
                      weights [m][3][3][channels], so k = 9 channels; see spt_problem.height */
} spt_op;

/* Of A, the operands and the result; sums are f32, of i8 i32. Results of i8, e4m3 and e5m2 saturate. */
typedef enum spt_dtype {
    SPT_F32 = 0,
    SPT_BF16 = 1,
    SPT_F16 = 2,
    SPT_I8 = 3,
    SPT_E4M3 = 4, /* 8-bit floats: exponent and fraction bits */
    SPT_E5M2 = 5,
    SPT_TF32 = 6 /* f32 in memory; products look at the first ten bits of a fraction */
} spt_dtype;

typedef enum spt_layout {
    SPT_KN = 0, /* feature-major: dense rows have length n (convolutions in NCHW) */
    SPT_NK = 1  /* token-major: dense rows have length k or m (linear layers) */
} spt_layout;

typedef enum spt_epilogue {
    SPT_EPILOGUE_NONE = 0,
    SPT_BIAS = 1,
    SPT_BIAS_RELU = 2,
    SPT_BIAS_ADD_RELU = 3 /* bias, then args.residual is added, then ReLU: the end of a residual block; on CPUs only
                             plain and dense kernels have it for spmm */
} spt_epilogue;

typedef enum spt_cache { SPT_HOT = 0, SPT_COLD = 1 } spt_cache;

/* How a plan's variant was found, best first. */
typedef enum spt_match {
    SPT_MATCH_EXACT = 0,        /* this problem was tuned on this device */
    SPT_MATCH_NEAR_SIZE = 1,    /* this pattern was tuned here with another n or thread count */
    SPT_MATCH_NEAR_PATTERN = 2, /* a similar pattern, or this one with another epilogue, was tuned here */
    SPT_MATCH_NEAR_DEVICE = 3,  /* a similar device was tuned */
    SPT_MATCH_DEFAULT = 4       /* nothing tuned applies: the model's default */
} spt_match;

typedef enum spt_mode {
    SPT_MODE_FALLBACK = 0, /* tuned results where they apply, neighbours and defaults elsewhere */
    SPT_MODE_EXACT = 1,    /* tuned results for exactly this problem, defaults elsewhere */
    SPT_MODE_OFF = 2       /* defaults only; no database is opened */
} spt_mode;

typedef struct spt_context spt_context;
typedef struct spt_plan spt_plan;

/* Receives one sentence, without a newline. May be called from any thread that calls the library. */
typedef void (*spt_log_fn)(void *user, const char *message);

typedef struct spt_options {
    size_t size;
    /* NULL-terminated paths, first valid answer wins. NULL: the default layers, which are $SPARSETUNE_DB,
     * ./.sparsetune.db, $XDG_DATA_HOME/sparsetune/tune.db (~/.local/share without it), and sparsetune/tune.db in
     * /usr/local/share and /usr/share. */
    const char *const *databases;
    spt_mode mode;
    spt_log_fn log; /* NULL: silent */
    void *log_user;
} spt_options;

/* A sparse matrix in compressed rows. Columns are strictly increasing within a row. */
typedef struct spt_csr {
    size_t size;
    int64_t n_rows;             /* m, 1 or more */
    int64_t n_cols;             /* k, 1 or more, below 2^31 */
    const int64_t *row_offsets; /* n_rows + 1, from 0, never falling; the last one is the number of nonzeros */
    const int32_t *columns;     /* one per nonzero */
    const void *values;         /* one per nonzero, of problem.dtype, taken as they are, Inf and NaN too; NULL for a
                                   mask */
} spt_csr;

typedef struct spt_problem {
    size_t size;
    spt_op op;
    spt_dtype dtype;
    spt_layout layout;
    spt_epilogue epilogue;
    int64_t n;          /* the dense width to plan for, 1 or more */
    int threads;        /* 0: as many as the affinity mask and the cgroup allow */
    spt_cache cache;    /* whether operands are expected in cache */
    const char *device; /* "cpu" or "cuda:N"; NULL: "cpu" */
    /* Nonzero: dense operands may hold Inf or NaN, so kernels that compute 0*b are not used: Inf and NaN reach the
     * elements whose row of A has a nonzero there and no other. ReLU keeps NaN on CPUs; on GPUs it may give 0. Zero:
     * they may turn other elements to NaN. */
    int may_be_nonfinite;
    /* Conv2d only, else 0: the input image, and the stride 1 or 2 (0: 1). The output has (height - 1) / stride + 1 rows
     * and (width - 1) / stride + 1 columns, and n, which may be left 0, is their product. Layout kn. */
    int64_t height, width;
    int stride;
} spt_problem;

/* A dense operand that is read. ld: elements from one stored row to the next, 0 means tightly packed.
 * batch_stride: elements from one batch item to the next, 0 means the same operand for every item. EINVAL where they
 * lead beyond 64-bit addresses. */
typedef struct spt_input {
    const void *data;
    int64_t ld;
    int64_t batch_stride;
} spt_input;

/* A dense operand that is written; batch_stride 0 is allowed only for one batch item. It overlaps no input. */
typedef struct spt_output {
    void *data;
    int64_t ld;
    int64_t batch_stride;
} spt_output;

/* Operands by role. spmm uses b, c and bias; sddmm uses x, y and s (s: one value per nonzero, in CSR order); conv2d
 * uses b [channels][height * width], c [m][n] and bias, with leading dimensions from channel to channel and the plan's
 * n. */
typedef struct spt_args {
    size_t size;
    int64_t n;              /* the dense width of this call, 1 or more; 0: the planned n, which conv2d requires */
    int64_t batch;          /* number of items, 0 means 1 */
    spt_input b;            /* kn: [k][n], nk: [n][k] */
    spt_output c;           /* kn: [m][n], nk: [n][m] */
    spt_input x;            /* kn: [m][n], nk: [n][m] */
    spt_input y;            /* kn: [k][n], nk: [n][k] */
    spt_output s;           /* [nnz]; ld unused */
    const void *bias;       /* m values of the dtype, required by the epilogues that name it */
    void *workspace;        /* 64-byte aligned, spt_plan_workspace bytes; NULL: allocated for the call when needed */
    size_t workspace_bytes; /* size of workspace */
    void *stream;           /* a CUDA stream (cudaStream_t or CUstream; NULL: the default one); NULL on the CPU */
    spt_input residual;     /* shaped and stored like c, required by the epilogues that add it */
} spt_args;

/* What a plan runs, and why. */
typedef struct spt_choice {
    size_t size;
    char family[64];
    char point[256];
    spt_match match;
    double time_ns_expected;   /* median when tuned (a neighbour's: scaled to this problem), else the model's bound */
    double speedup_over_dense; /* as measured for n_tuned; 0 where it was not measured */
    double speedup_over_default;
    int64_t n_tuned;       /* the n of the tuned record, 0 for a default */
    int stale;             /* nonzero: used although a soft field (compiler, BLAS build...) differs */
    uint64_t packed_bytes; /* memory that the plan holds for its copy of A */
    double pack_ns;        /* time that the last packing took */
    char reason[256];      /* one sentence */
    char level[32];        /* exact near_size near_pattern near_device portable_default family_default plain_kernel */
    char neighbour[320];   /* what was tuned where that is not what was asked: "m=512 k=512 nnz=... n=128 ..."; or "" */
    double neighbour_distance; /* of it, 0 for an exact answer or a default; below 1 is much alike */
    double loss_expected;      /* share of the speed that tuning this very problem is expected to give on top, 0 to 1 */
    double compile_ns; /* time that its code took to compile, now or when it came into a cache; 0: nothing to compile */
} spt_choice;

/* Open a context: detect the device and read what the databases know about it. options may be NULL.
 * Errors: ENOMEM, EINVAL (options.size or mode, more than 16 databases). A missing, broken or foreign database is
 * reported to the log and skipped.
 * Owns: free with spt_close. Threads: the context may be shared. */
SPT_API spt_status spt_open(spt_context **out, const spt_options *options);

/* Make a plan for C[m,n] = A[m,k] B[k,n]: choose the variant, pack A for it.
 * Errors: EINVAL for a matrix or a problem that is not legal (row and position are named), ENOMEM, EUNSUPPORTED.
 * Owns: the plan copies what it needs of A; free it with spt_plan_free before spt_close. Threads: safe. */
SPT_API spt_status spt_plan_spmm(spt_plan **out, spt_context *context, const spt_csr *a, const spt_problem *problem);

/* Make a plan for S = mask o (X Y^T). mask->values is not used. Otherwise as spt_plan_spmm. */
SPT_API spt_status spt_plan_sddmm(spt_plan **out, spt_context *context, const spt_csr *mask,
                                  const spt_problem *problem);

/* Make a plan for a convolution with sparse weights; `a` is [m, 9 channels], channels fastest. As spt_plan_spmm, but
 * the size of the image is part of the plan. */
SPT_API spt_status spt_plan_conv2d(spt_plan **out, spt_context *context, const spt_csr *a, const spt_problem *problem);

/* Give the bytes of workspace that one concurrent execution with this n needs; 0 is common. */
SPT_API size_t spt_plan_workspace(const spt_plan *plan, int64_t n);

/* Execute with OpenMP on at most problem.threads threads (one inside a parallel region or in a forked child).
 * Correct for every n >= 1. Errors: EINVAL, ENOMEM. Threads: many threads may execute one plan, each with its own
 * workspace and output.
 * A plan for "cuda:N" takes pointers into that device's memory, the workspace too, enqueues its work on args.stream and
 * returns at once. Operands that the CUDA driver does not know are the host's: they are copied there and back, and the
 * call waits, which is for examples and tests. Errors there: EIO with the driver's words. */
SPT_API spt_status spt_execute(const spt_plan *plan, const spt_args *args);

/* Execute part `part` of `n_parts` on the calling thread; all parts together give spt_execute's result, in any order
 * and on any threads. With a caller's workspace n_parts may not exceed problem.threads. Errors: as spt_execute. */
SPT_API spt_status spt_execute_part(const spt_plan *plan, const spt_args *args, int part, int n_parts);

/* Replace the values of A (one per nonzero, CSR order, same pattern, taken as they are): one packing, no tuning.
 * Threads: no execution of this plan may be running. Errors: EINVAL, ENOMEM (the plan then keeps its old values). */
SPT_API spt_status spt_plan_set_values(spt_plan *plan, const void *values);

/* Say what the plan runs and why. out->size must be set. Errors: EINVAL. */
SPT_API spt_status spt_explain(const spt_plan *plan, spt_choice *out);

SPT_API void spt_plan_free(spt_plan *plan);   /* NULL is allowed */
SPT_API void spt_close(spt_context *context); /* NULL is allowed; every plan of the context must be free */

/* Give the calling thread's last error sentence; "" when there was none. Valid until the thread's next error. */
SPT_API const char *spt_last_error(void);

SPT_API const char *spt_version(void);
SPT_API const char *spt_match_name(spt_match match); /* exact near_size near_pattern near_device default */

#ifdef __cplusplus
}
#endif
#endif
