/* SPDX-License-Identifier: Apache-2.0 */
/* Compiled kernels on disk, one file each. Any number of processes reads and writes at once: a file appears whole by
 * its rename, and one that is not whole after all (a full disk, another program) fails its checksum and counts as
 * absent.
 *
 *   file:  "sptcubin" | registers i32 | 0 i32 | spill bytes i64 | compile ms f64 | length u64 | code | XXH3-128 of all
 *         of it and of its key, so that an entry that was copied to another's name counts as absent, too
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/file.h"
#include "core/hash.h"
#include "core/memory.h"
#include "core/text.h"
#include "variants/cuda/binary.h"
#include "variants/cuda/primitives_text.h"

#define BINARY_BYTES_MAX ((size_t)1 << 28)

typedef struct file_head {
    char magic[8];
    int32_t registers, zero;
    int64_t spill_bytes;
    double compile_ms;
    uint64_t length;
} file_head;

static const char magic[8] = {'s', 'p', 't', 'c', 'u', 'b', 'i', 'n'};

void spt_cuda_cache_folder(char *out, size_t capacity) {
    const char *named = getenv("SPARSETUNE_CACHE"), *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    int length = 0;
    out[0] = '\0';
    if (named != NULL && named[0] != '\0')
        length = strcmp(named, "off") == 0 ? 0 : snprintf(out, capacity, "%s", named);
    else if (xdg != NULL && xdg[0] == '/')
        length = snprintf(out, capacity, "%s/sparsetune", xdg);
    else if (home != NULL && home[0] == '/')
        length = snprintf(out, capacity, "%s/.cache/sparsetune", home);
    if (length < 0 || (size_t)length >= capacity)
        out[0] = '\0';
}

/* False when there is no folder, or the path would be too long. */
static bool file_path(char *out, size_t capacity, const char *name) {
    char folder[3900];
    spt_cuda_cache_folder(folder, sizeof folder);
    return folder[0] != '\0' && snprintf(out, capacity, "%s/%s", folder, name) < (int)capacity;
}

static bool binary_path(char *out, size_t capacity, spt_hash128 key) {
    char digits[SPT_HASH_TEXT_SIZE], name[SPT_HASH_TEXT_SIZE + 8];
    spt_hash_text(digits, key);
    snprintf(name, sizeof name, "%s.cubin", digits);
    return file_path(out, capacity, name);
}

spt_hash128 spt_cuda_cache_key(const spt_cuda_source *source, const char *arch, const char *compiler) {
    spt_hash_part parts[6 + SPT_CUDA_DEFINES_MAX];
    int n_parts = 0;
    size_t primitives_bytes = 0;
    const char *primitives = spt_cuda_primitives(&primitives_bytes);
    const char language = (char)('0' + (int)source->language);
    parts[n_parts++] = (spt_hash_part){&language, 1};
    parts[n_parts++] = (spt_hash_part){arch, strlen(arch) + 1};
    parts[n_parts++] = (spt_hash_part){compiler, strlen(compiler) + 1};
    if (source->language == SPT_CUDA_C)
        parts[n_parts++] = (spt_hash_part){primitives, primitives_bytes};
    parts[n_parts++] = (spt_hash_part){source->text, source->text_bytes};
    for (int i = 0; i < source->n_defines; i++)
        parts[n_parts++] = (spt_hash_part){source->defines[i], strlen(source->defines[i]) + 1};
    return spt_hash_parts(parts, n_parts);
}

static spt_hash128 checksum(const char *data, size_t size, spt_hash128 key) {
    const spt_hash_part parts[] = {{data, size}, {key.bytes, sizeof key.bytes}};
    return spt_hash_parts(parts, 2);
}

static bool take(spt_cuda_binary *out, const char *data, size_t size, spt_hash128 key) {
    file_head head;
    if (size < sizeof head + sizeof(spt_hash128))
        return false;
    memcpy(&head, data, sizeof head);
    if (memcmp(head.magic, magic, sizeof magic) != 0 || head.length != size - sizeof head - sizeof(spt_hash128))
        return false;
    const spt_hash128 hash = checksum(data, size - sizeof hash, key);
    if (memcmp(hash.bytes, data + size - sizeof hash, sizeof hash) != 0)
        return false;
    void *code = spt_alloc((size_t)head.length, 1);
    if (code == NULL)
        return false;
    memcpy(code, data + sizeof head, (size_t)head.length);
    *out = (spt_cuda_binary){.data = code,
                             .bytes = (size_t)head.length,
                             .registers = head.registers,
                             .spill_bytes = head.spill_bytes,
                             .compile_ms = head.compile_ms,
                             .is_cached = true};
    return true;
}

bool spt_cuda_cache_find(spt_cuda_binary *out, spt_hash128 key) {
    char path[4096];
    char *data = NULL;
    size_t size = 0;
    struct stat info;
    if (!binary_path(path, sizeof path, key) || stat(path, &info) != 0 ||
        spt_file_read(&data, &size, path, BINARY_BYTES_MAX) != SPT_OK)
        return false;
    const bool is_whole = take(out, data, size, key);
    spt_free(data);
    return is_whole;
}

/* Make the folders of a path; what cannot be made is found missing by whoever writes. */
static void make_folders(char *path) {
    for (char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(path, 0777);
        *slash = '/';
    }
}

/* A folder that others may write to has no links of ours: what is one is replaced. */
spt_status spt_cuda_cache_keep(const spt_cuda_binary *binary, spt_hash128 key) {
    char path[4096];
    spt_file_writer writer;
    const file_head head = {.registers = binary->registers,
                            .spill_bytes = binary->spill_bytes,
                            .compile_ms = binary->compile_ms,
                            .length = binary->bytes};
    const size_t size = sizeof head + binary->bytes;
    char *data = NULL;
    if (!binary_path(path, sizeof path, key))
        return SPT_ENOTFOUND;
    SPT_TRY(SPT_NEW(data, size));
    memcpy(data, &head, sizeof head);
    memcpy(data, magic, sizeof magic);
    memcpy(data + sizeof head, binary->data, binary->bytes);
    const spt_hash128 hash = checksum(data, size, key);
    make_folders(path);
    spt_status status = spt_file_writer_open_here(&writer, path);
    if (status == SPT_OK) { /* what is not written, committing finds and names */
        (void)(fwrite(data, 1, size, writer.stream) == size && fwrite(hash.bytes, sizeof hash, 1, writer.stream) == 1);
        status = spt_file_writer_commit(&writer);
    }
    spt_free(data);
    return status;
}

spt_status spt_cuda_cache_check(void) {
    char path[4096], folder[4096];
    struct stat info;
    const char *named = getenv("SPARSETUNE_CACHE");
    if (!file_path(path, sizeof path, "compiler"))
        return named != NULL && strcmp(named, "off") == 0
                   ? SPT_OK
                   : spt_fail(SPT_EINVAL,
                              "expected a folder for the cache by SPARSETUNE_CACHE, XDG_CACHE_HOME or HOME, "
                              "found none; SPARSETUNE_CACHE=off keeps nothing");
    make_folders(path);
    spt_cuda_cache_folder(folder, sizeof folder);
    if (stat(folder, &info) == 0 && S_ISDIR(info.st_mode))
        return SPT_OK;
    spt_file_writer writer; /* which says what is the matter */
    SPT_TRY(spt_file_writer_open_here(&writer, path));
    spt_file_writer_discard(&writer);
    return SPT_OK;
}

bool spt_cuda_cache_compiler(char out[SPT_CUDA_COMPILER_SIZE]) {
    char path[4096];
    char *text = NULL;
    size_t size = 0;
    struct stat info;
    if (!file_path(path, sizeof path, "compiler") || stat(path, &info) != 0 ||
        spt_file_read(&text, &size, path, 4096) != SPT_OK)
        return false;
    text[strcspn(text, "\n")] = '\0';
    spt_copy_text(out, SPT_CUDA_COMPILER_SIZE, text);
    spt_free(text);
    return out[0] != '\0';
}

void spt_cuda_cache_note_compiler(const char *version) {
    char path[4096], noted[SPT_CUDA_COMPILER_SIZE];
    spt_file_writer writer;
    if (spt_cuda_cache_compiler(noted) && strcmp(noted, version) == 0)
        return;
    if (!file_path(path, sizeof path, "compiler"))
        return;
    make_folders(path);
    if (spt_file_writer_open_here(&writer, path) != SPT_OK)
        return;
    if (fprintf(writer.stream, "%s\n", version) > 0)
        (void)spt_file_writer_commit(&writer);
    spt_file_writer_discard(&writer);
}
