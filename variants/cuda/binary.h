/* SPDX-License-Identifier: Apache-2.0 */
/* Machine code of kernels: compiled from a source, or found in the cache of compiled ones. */
#ifndef SPT_VARIANTS_CUDA_BINARY_H
#define SPT_VARIANTS_CUDA_BINARY_H

#include "variants/cuda/kernel.h"

#define SPT_CUDA_COMPILER_SIZE 64

typedef struct spt_cuda_binary {
    void *data; /* a cubin */
    size_t bytes;
    int registers;       /* the most that a thread of any of its kernels uses */
    int64_t spill_bytes; /* stores and loads of one thread that spills cause; 0 is what a good kernel has */
    double compile_ms;   /* of a core's time, when it was compiled, then or now */
    double wall_ms;      /* of a clock on the wall, which other programs lengthen; 0 from the cache */
    bool is_cached;      /* it came from there */
} spt_cuda_binary;

/* Give the binary of a source for an architecture such as "sm_90", from the cache or from the compiler.
 * Errors: ECOMPILE with the compiler's first error; EUNSUPPORTED where there is no compiler; ENOMEM.
 * Owns: spt_cuda_binary_fini. Threads and processes: safe. */
spt_status spt_cuda_binary_get(spt_cuda_binary *out, const spt_cuda_source *source, const char *arch);
void spt_cuda_binary_fini(spt_cuda_binary *binary); /* safe on a zeroed struct */

/* The same for some modules of a source (bit i: module i), for those who want the cache to have them: *out gets the
 * sums of sizes, spills and times, the most registers, whether all were cached, and no data. Errors: also EIO where
 * there is a cache that did not take one of them, with the reason. */
spt_status spt_cuda_binary_make(spt_cuda_binary *out, const spt_cuda_source *source, uint32_t modules,
                                const char *arch);

/* The compiler behind a language, with its version: "NVRTC 13.0"; "" where there is none. */
const char *spt_cuda_compiler(spt_cuda_language language);

/* --- cache.c: files <hash>.cubin in the cache folder; what cannot be read or written is as good as absent --- */

/* XXH3-128 of text, primitives, options, kernel names, architecture and the compiler's version. */
spt_hash128 spt_cuda_cache_key(const spt_cuda_source *source, const char *arch, const char *compiler);
/* False when there is none, or none that is whole. Errors are not told. */
bool spt_cuda_cache_find(spt_cuda_binary *out, spt_hash128 key);
/* A link in the folder is replaced, never written through. Errors: EIO with the reason, EINVAL (something else has the
 * name), ENOTFOUND (there is no folder), ENOMEM. */
spt_status spt_cuda_cache_keep(const spt_cuda_binary *binary, spt_hash128 key);
/* Is the folder there now, unless it is "off"? One that takes no files may have all that is wanted. Errors: EIO, EINVAL
 * (nothing names one). */
spt_status spt_cuda_cache_check(void);
/* The folder: $SPARSETUNE_CACHE ("off": none), $XDG_CACHE_HOME/sparsetune, ~/.cache/sparsetune; "" when there is none.
 */
void spt_cuda_cache_folder(char *out, size_t capacity);
/* The version that CUDA C in the folder was compiled with last, in its file `compiler`: for machines that have the
 * binaries and no compiler. False without such a file. */
bool spt_cuda_cache_compiler(char out[SPT_CUDA_COMPILER_SIZE]);
void spt_cuda_cache_note_compiler(const char *version);

/* --- the compilers: nvrtc_cuda.c, jitlink --- */

/* Compile CUDA C. version: "" when the library is not there. */
const char *spt_nvrtc_version(void);
spt_status spt_nvrtc_compile(spt_cuda_binary *out, const spt_cuda_source *source, const char *arch);

/* Read registers and spills of all kernels from ptxas's report (-v). */
void spt_cuda_binary_read_report(spt_cuda_binary *binary, const char *report);

#endif
