/* SPDX-License-Identifier: Apache-2.0 */
/* Recording of misses; see capture.h. */
#include "runtime/capture.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/file.h"
#include "core/memory.h"
#include "core/text.h"

spt_status spt_capture_init(spt_capture *out) {
    const char *path = getenv("SPARSETUNE_RECORD");
    *out = (spt_capture){0};
    if (path == NULL || path[0] == '\0')
        return SPT_OK;
    out->path = spt_strdup(path);
    return out->path != NULL ? spt_memo_init(&out->claimed) : SPT_ENOMEM;
}

void spt_capture_fini(spt_capture *capture) {
    spt_free(capture->path);
    spt_memo_fini(&capture->claimed);
    *capture = (spt_capture){0};
}

static spt_status fail_os(const char *what, const char *path) {
    return spt_fail(SPT_EIO, "%s: %s: %s", path, what, strerror(errno));
}

/* ---- positions ---- */

static void write_positions(FILE *stream, const spt_csr *a) {
    const int64_t nnz = spt_csr_nnz(a);
    fprintf(stream, "%" PRId64 ", %" PRId64 ", %" PRId64 "\n", a->n_rows, a->n_cols, nnz);
    for (int64_t row = 0; row <= a->n_rows; row++)
        fprintf(stream, "%s%" PRId64, row > 0 ? " " : "", a->row_offsets[row]);
    fputc('\n', stream);
    for (int64_t nz = 0; nz < nnz; nz++)
        fprintf(stream, "%s%" PRId32, nz > 0 ? " " : "", a->columns[nz]);
    fputc('\n', stream);
}

/* Whole or not at all; a pattern that lies there already is left alone. */
static spt_status keep_positions(const spt_capture *capture, const spt_csr *a, const char *fingerprint) {
    char path[4096];
    spt_file_writer writer;
    spt_text text;
    spt_text_init(&text, path, sizeof path);
    spt_text_add(&text, "%s.d", capture->path);
    if (mkdir(path, 0777) != 0 && errno != EEXIST)
        return fail_os("cannot be created", path);
    spt_text_add(&text, "/%s.smtx", fingerprint);
    if (text.overflow)
        return spt_fail(SPT_EINVAL, "SPARSETUNE_RECORD: expected a shorter path, found '%s'", capture->path);
    if (access(path, F_OK) == 0)
        return SPT_OK;
    SPT_TRY(spt_file_writer_open(&writer, path));
    write_positions(writer.stream, a);
    return spt_file_writer_commit(&writer);
}

/* ---- lines ---- */

static spt_status append_line(const char *path, const char *line, size_t length) {
    const int file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NONBLOCK, 0666);
    if (file < 0)
        return fail_os("cannot be opened", path);
    const ssize_t n_written = write(file, line, length);
    const spt_status status = n_written == (ssize_t)length ? SPT_OK : fail_os("cannot be written", path);
    close(file);
    return status;
}

static spt_status record_miss(const spt_capture *capture, const spt_workload *workload, const spt_csr *a,
                              spt_match match) {
    const spt_problem *problem = &workload->problem;
    const spt_pattern *pattern = &workload->pattern;
    char line[512], fingerprint[SPT_HASH_TEXT_SIZE];
    spt_text text;
    spt_hash_text(fingerprint, pattern->fingerprint);
    SPT_TRY(keep_positions(capture, a, fingerprint));
    spt_text_init(&text, line, sizeof line);
    spt_text_add(&text, "{\"op\":\"%s\",\"dtype\":\"%s\",\"layout\":\"%s\",\"epilogue\":\"%s\",\"cache\":\"%s\"",
                 spt_op_name(problem->op), spt_dtype_name(problem->dtype), spt_layout_name(problem->layout),
                 spt_epilogue_name(problem->epilogue), spt_cache_name(problem->cache));
    spt_text_add(&text, ",\"m\":%" PRId64 ",\"k\":%" PRId64 ",\"nnz\":%" PRId64 ",\"n\":%" PRId64 ",\"threads\":%d",
                 pattern->n_rows, pattern->n_cols, pattern->nnz, problem->n, problem->threads);
    if (problem->op == SPT_CONV2D)
        spt_text_add(&text, ",\"image\":\"%" PRId64 "x%" PRId64 "s%d\"", problem->height, problem->width,
                     problem->stride);
    spt_text_add(&text, ",\"match\":\"%s\",\"fingerprint\":\"%s\"}\n", spt_match_name(match), fingerprint);
    return append_line(capture->path, line, text.length);
}

void spt_capture_miss(spt_context *context, const spt_workload *workload, const spt_csr *a, spt_match match) {
    spt_capture *capture = &context->capture;
    spt_key key;
    if (capture->path == NULL || context->mode == SPT_MODE_OFF || match == SPT_MATCH_EXACT ||
        atomic_load(&capture->is_off) || spt_key_init(&key, workload, &context->device) != SPT_OK ||
        !spt_memo_keep(&capture->claimed, key.hash, &(spt_answer){0}))
        return;
    if (record_miss(capture, workload, a, match) != SPT_OK && !atomic_exchange(&capture->is_off, true))
        spt_context_log(context, "misses are not recorded: %s", spt_last_error());
}
