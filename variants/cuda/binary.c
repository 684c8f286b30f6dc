/* SPDX-License-Identifier: Apache-2.0 */
/* From source to machine code: the cache first, then the compiler of the source's language. */
#include "variants/cuda/binary.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/memory.h"
#include "core/text.h"
#include "variants/cuda/jitlink.h"

typedef struct compiler_row {
    const char *(*version)(void);
    spt_status (*compile)(spt_cuda_binary *out, const spt_cuda_source *source, const char *arch);
} compiler_row;

static const compiler_row compilers[] = {
    [SPT_CUDA_C] = {spt_nvrtc_version, spt_nvrtc_compile},
    [SPT_CUDA_PTX] = {spt_jitlink_version, spt_jitlink_compile},
};
enum { N_COMPILERS = sizeof compilers / sizeof compilers[0] };

const char *spt_cuda_compiler(spt_cuda_language language) {
    return (int)language < N_COMPILERS ? compilers[language].version() : "";
}

/* CLOCK_THREAD_CPUTIME_ID: of this thread's work. Compilers use one, and beside other programs a clock on the wall
 * would tell of those. */
static double now_ms(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec * 1e-6;
}

/* Find the first line of a log that begins with `mark` after any indentation or prefix, e.g. "Used". */
static const char *next_mark(const char *at, const char *mark) {
    const char *found = strstr(at, mark);
    return found != NULL ? found + strlen(mark) : NULL;
}

void spt_cuda_binary_read_report(spt_cuda_binary *binary, const char *report) {
    for (const char *at = next_mark(report, "Used "); at != NULL; at = next_mark(at, "Used ")) {
        const int registers = (int)strtol(at, NULL, 10);
        binary->registers = registers > binary->registers ? registers : binary->registers;
    }
    for (const char *at = next_mark(report, "bytes stack frame, "); at != NULL;
         at = next_mark(at, "bytes stack frame, ")) {
        long stores = 0, loads = 0;
        if (sscanf(at, "%ld bytes spill stores, %ld bytes spill loads", &stores, &loads) == 2)
            binary->spill_bytes += stores + loads;
    }
}

/* *kept: what came of keeping it. */
static spt_status find_or_compile(spt_cuda_binary *out, spt_status *kept, const spt_cuda_source *source,
                                  const char *arch) {
    char noted[SPT_CUDA_COMPILER_SIZE] = "", full_arch[32];
    const char *version = spt_cuda_compiler(source->language);
    *out = (spt_cuda_binary){0};
    *kept = SPT_OK;
    snprintf(full_arch, sizeof full_arch, "%s%s", arch, source->has_arch_features ? "a" : "");
    if (version[0] == '\0' && source->language == SPT_CUDA_C && spt_cuda_cache_compiler(noted))
        version = noted;
    const spt_hash128 key = spt_cuda_cache_key(source, full_arch, version);
    if (version[0] != '\0' && spt_cuda_cache_find(out, key))
        return SPT_OK;
    if ((int)source->language >= N_COMPILERS)
        return spt_fail(SPT_EUNSUPPORTED, "no compiler for this language is in this build");
    const double start = now_ms(CLOCK_THREAD_CPUTIME_ID), wall_start = now_ms(CLOCK_MONOTONIC);
    const spt_status status = compilers[source->language].compile(out, source, full_arch);
    if (status != SPT_OK) {
        spt_cuda_binary_fini(out);
        return status;
    }
    out->compile_ms = now_ms(CLOCK_THREAD_CPUTIME_ID) - start;
    out->wall_ms = now_ms(CLOCK_MONOTONIC) - wall_start;
    if (source->language == SPT_CUDA_C)
        spt_cuda_cache_note_compiler(version);
    *kept = spt_cuda_cache_keep(out, key);
    return SPT_OK;
}

spt_status spt_cuda_binary_get(spt_cuda_binary *out, const spt_cuda_source *source, const char *arch) {
    spt_status kept;
    return find_or_compile(out, &kept, source, arch);
}

static spt_status fail_kept(spt_status status) {
    char reason[512];
    spt_copy_text(reason, sizeof reason, spt_last_error());
    return status == SPT_ENOMEM ? status : spt_fail(status, "the cache took no binary: %s", reason);
}

spt_status spt_cuda_binary_make(spt_cuda_binary *out, const spt_cuda_source *source, uint32_t modules,
                                const char *arch) {
    *out = (spt_cuda_binary){.is_cached = true};
    for (int i = 0; i < spt_cuda_source_n_modules(source); i++) {
        spt_cuda_source module;
        spt_cuda_binary one;
        spt_status kept;
        if ((modules >> i & 1) == 0)
            continue;
        spt_cuda_source_module(&module, source, i);
        SPT_TRY(find_or_compile(&one, &kept, &module, arch));
        out->bytes += one.bytes;
        out->registers = one.registers > out->registers ? one.registers : out->registers;
        out->spill_bytes += one.spill_bytes;
        out->compile_ms += one.compile_ms;
        out->wall_ms += one.wall_ms;
        out->is_cached = out->is_cached && one.is_cached;
        spt_cuda_binary_fini(&one);
        if (kept != SPT_OK && kept != SPT_ENOTFOUND)
            return fail_kept(kept);
    }
    return SPT_OK;
}

void spt_cuda_binary_fini(spt_cuda_binary *binary) {
    spt_free(binary->data);
    *binary = (spt_cuda_binary){0};
}
