/* SPDX-License-Identifier: Apache-2.0 */
/* What a CUDA family says about itself, so that no family knows a driver: the text of its kernels with the options of a
 * point, the buffers that are uploaded, and one record per launch. Two engines carry this out: the driver's (launch.c,
 * device memory) and the emulator of the tests (host memory).
 *
 * A family is one file variants/cuda/NAME.cu with two halves:
 *
 *     #ifndef __CUDACC_RTC__
 *     ... host half: C17, compiled by the host compiler; ends with `const spt_family spt_family_NAME` ...
 *     #else // kernel half
 *     ... kernel half: text for NVRTC and for the emulator ...
 *     #endif // __CUDACC_RTC__
 *
 * The three preprocessor lines stand in column 1 exactly so; the build cuts the kernel half out between the last two,
 * and SPT_CUDA_TEXT(NAME) embeds it. primitives.h is put in front of the text. A kernel half has no includes, is
 * written in what C17 and CUDA C++ have in common, and every macro that the host gives it begins with SPT_ (a -DT=4
 * breaks NVRTC's own headers). */
#ifndef SPT_VARIANTS_CUDA_KERNEL_H
#define SPT_VARIANTS_CUDA_KERNEL_H

#include "variants/family.h"

/* ---- the text and its options ---- */

typedef enum spt_cuda_language { SPT_CUDA_C = 0, SPT_CUDA_PTX = 1 } spt_cuda_language;

#define SPT_CUDA_DEFINES_MAX 32

typedef struct spt_cuda_source {
    spt_cuda_language language;
    const char *text; /* of the kernels; CUDA C gets primitives.h in front; PTX goes to nvJitLink as it is */
    size_t text_bytes;
    void *owned_text;           /* freed with the source; NULL where the text is embedded */
    const char *const *kernels; /* names of the entry points (extern "C"), in the order that launches refer to */
    int n_kernels;
    void *owned_kernels;    /* freed with the source; NULL where the names are static */
    bool has_arch_features; /* compile for sm_90a instead of sm_90 (wgmma) */
    bool is_split;          /* CUDA C: every kernel is a module of its own (spt_cuda_source_split) */
    uint32_t shared_kernels;
    int n_shared_defines; /* the first ones, which every kernel gets */
    int n_defines;
    char defines[SPT_CUDA_DEFINES_MAX][48]; /* CUDA C: "-DSPT_NAME=value"; PTX: options of the linker */
} spt_cuda_source;

/* Embed the kernel half of variants/cuda/NAME.cu as spt_cuda_text_NAME and spt_cuda_text_NAME_end. */
#define SPT_CUDA_TEXT(name)                                                                                            \
    extern const char spt_cuda_text_##name[], spt_cuda_text_##name##_end[];                                            \
    __asm__(".pushsection .rodata\n"                                                                                   \
            ".globl spt_cuda_text_" #name "\n.hidden spt_cuda_text_" #name "\n"                                        \
            "spt_cuda_text_" #name ":\n.incbin \"" SPT_CUDA_TEXT_FOLDER "/" #name ".kernel\"\n"                        \
            ".globl spt_cuda_text_" #name "_end\n.hidden spt_cuda_text_" #name "_end\n"                                \
            "spt_cuda_text_" #name "_end:\n.byte 0\n.popsection\n")

/* Begin with embedded CUDA C and the macros that every kernel gets:
 * SPT_DTYPE (0 f32, 1 bf16, 2 f16, 3 i8), SPT_LAYOUT_NK (0 or 1), SPT_HAS_BIAS,
 * SPT_HAS_RESIDUAL, SPT_RELU (0 or 1). */
#define SPT_CUDA_SOURCE(out, name, kernel_names, workload)                                                             \
    spt_cuda_source_init((out), spt_cuda_text_##name, (size_t)(spt_cuda_text_##name##_end - spt_cuda_text_##name),     \
                         (kernel_names), (int)(sizeof(kernel_names) / sizeof((kernel_names)[0])), (workload))
void spt_cuda_source_init(spt_cuda_source *out, const char *text, size_t text_bytes, const char *const *kernels,
                          int n_kernels, const spt_workload *workload);
/* Add -DSPT_NAME=value; name begins with SPT_. More than SPT_CUDA_DEFINES_MAX is a programmer's mistake. */
void spt_cuda_define(spt_cuda_source *source, const char *name, int64_t value);
void spt_cuda_source_fini(spt_cuda_source *source); /* safe on a zeroed struct */

/* Compile each kernel by itself, when a launch needs it: half the compiler's work where one of two kernels is for
 * operands that are not aligned. The text has kernel i under `#if SPT_HAS_ENTRY(i)`. Bit i of shared_kernels: kernel i
 * reads only the macros that every kernel gets, so that the points of a family share its code. */
void spt_cuda_source_split(spt_cuda_source *source, uint32_t shared_kernels);
/* Modules of a source: as many as kernels where it is split, else one. */
int spt_cuda_source_n_modules(const spt_cuda_source *source);
/* What the compiler gets for a module; borrows from source, which stays its owner. */
void spt_cuda_source_module(spt_cuda_source *out, const spt_cuda_source *source, int module);
/* Which modules a call of the problem's own shape with aligned operands needs: bit i for module i. */
uint32_t spt_cuda_modules_wanted(const spt_cuda_source *source, const spt_family *family, const spt_workload *workload,
                                 const spt_device *device, const spt_point *point);

/* ---- what is uploaded ---- */

#define SPT_CUDA_BUFFERS_MAX 12
#define SPT_CUDA_NUMBERS_MAX 12

typedef struct spt_cuda_buffer {
    const char *name; /* static; for messages */
    void *data;       /* on the host, owned */
    size_t bytes;     /* 0 is allowed */
} spt_cuda_buffer;

/* A, packed on the host. Packing the same pattern with other values gives buffers of the same sizes. */
typedef struct spt_cuda_packed {
    int n_buffers;
    spt_cuda_buffer buffers[SPT_CUDA_BUFFERS_MAX];
    int64_t numbers[SPT_CUDA_NUMBERS_MAX]; /* what launches need to know of the packing; the family's own meaning */
} spt_cuda_packed;

/* Add the next buffer, zeroed, 64-byte aligned; *data is where to write. Its number is the count of those before it.
 * Errors: ENOMEM. */
spt_status spt_cuda_packed_add(spt_cuda_packed *packed, const char *name, size_t bytes, void **data);
void spt_cuda_packed_fini(spt_cuda_packed *packed); /* safe on a zeroed struct */

/* The packing behind a prepared variant: state points at a struct that begins with it, in both engines. After the
 * upload the driver's engine frees the data of buffers; sizes and numbers stay. */
const spt_cuda_packed *spt_cuda_packed_of(const spt_prepared *prepared);

/* ---- launches ---- */

typedef enum spt_cuda_arg_kind {
    SPT_CUDA_BUFFER = 0,    /* pointer to buffer `index`, `value` bytes in */
    SPT_CUDA_OPERAND = 1,   /* pointer to the operand whose role is `index` ('b' 'c' 'x' 'y' 's', 'i' for the bias, 'r'
                               for the residual) */
    SPT_CUDA_WORKSPACE = 2, /* pointer into the workspace, `value` bytes in */
    SPT_CUDA_I32 = 3,       /* int */
    SPT_CUDA_I64 = 4        /* long long */
} spt_cuda_arg_kind;

typedef struct spt_cuda_arg {
    spt_cuda_arg_kind kind;
    int index;
    int64_t value;
} spt_cuda_arg;

#define SPT_CUDA_ARGS_MAX 24

typedef struct spt_cuda_launch {
    int kernel;            /* which of the source's kernels */
    uint32_t grid[3];      /* a 0 is no launch at all; y and z at most 65535 */
    uint32_t block[3];     /* the product at most 1024 */
    uint32_t shared_bytes; /* dynamic shared memory, at most device->shared_bytes_max */
    int n_args;
    spt_cuda_arg args[SPT_CUDA_ARGS_MAX]; /* in the order of the kernel's parameters */
} spt_cuda_launch;

/* Append an argument; the shapes of calls that launch() makes. */
void spt_cuda_pass_buffer(spt_cuda_launch *launch, int buffer);
void spt_cuda_pass_operand(spt_cuda_launch *launch, char role);
void spt_cuda_pass_workspace(spt_cuda_launch *launch, int64_t offset_bytes);
void spt_cuda_pass_i32(spt_cuda_launch *launch, int64_t value);
void spt_cuda_pass_i64(spt_cuda_launch *launch, int64_t value);

/* ---- a family's CUDA half: spt_family.cuda ---- */

typedef struct spt_cuda_kernel {
    /* The text and options of a point. Baked families (is_baked) read `a`; for the others it is NULL. Texts must not
     * depend on m, k, n or nnz unless they are baked, so that one binary serves many patterns. */
    spt_status (*describe)(spt_cuda_source *out, const spt_workload *workload, const spt_device *device,
                           const spt_point *point, const spt_csr *a);
    /* Pack A. Values are of problem.dtype. On failure the caller releases what was added. */
    spt_status (*pack)(spt_cuda_packed *out, const spt_workload *workload, const spt_device *device,
                       const spt_point *point, const spt_csr *a);
    /* Launches of one execution; they run one after another on one stream. NULL: one. */
    int (*n_launches)(const spt_prepared *prepared, const spt_call *call);
    /* Record of launch `index`; *out is zeroed. A family with a batch_max launches call->batch items at once (fewer
     * than 1 count as 1). Runs at every execution: integer arithmetic only. n, leading dimensions
     * and alignment are those of the call: operands are aligned to their element and to nothing more. Which kernel it
     * names does not depend on the packing (a split source is asked before anything is packed). */
    spt_status (*launch)(spt_cuda_launch *out, const spt_prepared *prepared, const spt_call *call, int index);
    bool is_baked;
    bool is_unconfirmed; /* rests on what no chip has confirmed yet: never an untuned answer */
    bool (*bakes_values)(
        const spt_point *point); /* the text holds the values, too: new ones make a new text; NULL: no */

    /* Families that call a library of the vendor instead leave describe, n_launches and launch NULL and give these;
     * pack stays. The device's context is current; operands, workspace and buffers are device pointers. */
    spt_status (*library_open)(spt_prepared *prepared);    /* after the buffers are uploaded */
    spt_status (*library_refresh)(spt_prepared *prepared); /* after new values are; NULL: nothing to do */
    spt_status (*library_run)(const spt_prepared *prepared, const spt_call *call); /* on call->stream */
    void (*library_close)(spt_prepared *prepared);
} spt_cuda_kernel;

/* For library families: the device pointer of a buffer, and the place of the library's own state. */
void *spt_cuda_buffer_at(const spt_prepared *prepared, int buffer);
void **spt_cuda_library_state(const spt_prepared *prepared);

/* The engine's verbs: what the descriptor of every CUDA family says. The family itself gives
 * cuda, name, summary, op, dtypes, axes, revision, is_valid, default_point, bound_ns, and workspace where it has one.
 */
#define SPT_CUDA_VERBS                                                                                                 \
    .device = SPT_CUDA, .owns_threads = true, .available = spt_cuda_available, .prepare = spt_cuda_prepare,            \
    .complete = spt_cuda_complete, .set_values = spt_cuda_set_values, .run_part = spt_cuda_run_part,                   \
    .release = spt_cuda_release
/* The same for families of libraries, which have their own `available`. */
#define SPT_CUDA_LIBRARY_VERBS                                                                                         \
    .device = SPT_CUDA, .owns_threads = true, .prepare = spt_cuda_prepare, .complete = spt_cuda_complete,              \
    .set_values = spt_cuda_set_values, .run_part = spt_cuda_run_part, .release = spt_cuda_release
spt_status spt_cuda_available(const spt_device *device);
spt_status spt_cuda_prepare(spt_prepared *prepared, const spt_csr *a);
spt_status spt_cuda_complete(spt_prepared *prepared);
spt_status spt_cuda_set_values(spt_prepared *prepared, const void *values);
spt_status spt_cuda_run_part(const spt_prepared *prepared, const spt_call *call, int part, int n_parts);
void spt_cuda_release(spt_prepared *prepared);

/* The roofline of a device for bound_ns: launch overhead plus the largest of multiply-adds (flops of f32 lanes, or of
 * tensor cores where uses_tensor), bytes that pass through L2, and bytes that must come from memory. */
double spt_cuda_bound_ns(const spt_device *device, double flops, bool uses_tensor, double l2_bytes, double dram_bytes);

#endif
