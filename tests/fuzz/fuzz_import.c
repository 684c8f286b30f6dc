/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz target: an export from a stranger, plain or compressed. Whatever is kept is legal: it can be exported without a
 * row left out, and importing that export gives the same bytes again. */
#include "core/file.h"
#include "db/exchange.h"
#include "tests/fuzz/fuzz.h"

static void expect_sentence(void *user, int64_t line, const char *sentence) {
    (void)user;
    FUZZ_EXPECT(line >= 1);
    FUZZ_EXPECT(sentence[0] != '\0' && strchr(sentence, '\n') == NULL);
}

/* A database in memory with what the lines at `path` say; NULL where the import as a whole is refused. */
static spt_db *import_from(const char *path, bool strict) {
    const spt_import_options options = {.strict = strict, .refused = expect_sentence};
    spt_import_result result;
    spt_line_reader reader;
    spt_db *db;
    FUZZ_EXPECT(spt_db_open(&db, ":memory:", SPT_DB_WRITE) == SPT_OK);
    FUZZ_EXPECT(spt_line_reader_open(&reader, path) == SPT_OK);
    const spt_status status = spt_db_import(&result, db, &reader, &options);
    spt_line_reader_close(&reader);
    FUZZ_EXPECT(status == SPT_OK || status == SPT_EUNSUPPORTED);
    FUZZ_EXPECT(!strict || (status == SPT_OK && result.is_kept));
    if (status == SPT_OK)
        return db;
    spt_db_close(db);
    return NULL;
}

/* Export to an anonymous file; its bytes. Owns: spt_free. */
static char *export_of(spt_db *db, char *path, size_t capacity, int *descriptor) {
    spt_line_writer writer;
    spt_export_result result;
    char *data;
    size_t size;
    *descriptor = fuzz_file(path, capacity, (const uint8_t *)"", 0);
    FILE *stream = fopen(path, "w");
    FUZZ_EXPECT(stream != NULL);
    FUZZ_EXPECT(spt_line_writer_open(&writer, NULL, stream) == SPT_OK);
    FUZZ_EXPECT(spt_db_export(&result, db, &writer, &(spt_export_options){.with_positions = true}) == SPT_OK);
    FUZZ_EXPECT(result.n_skipped == 0);
    fclose(stream);
    FUZZ_EXPECT(spt_file_read(&data, &size, path, (size_t)1 << 30) == SPT_OK);
    return data;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char path[64], first_path[64], again_path[64];
    int first, again;
    const int input = fuzz_file(path, sizeof path, data, size);
    spt_db *db = import_from(path, false);
    if (db != NULL) {
        char *text = export_of(db, first_path, sizeof first_path, &first);
        spt_db *copy = import_from(first_path, true);
        char *text_again = export_of(copy, again_path, sizeof again_path, &again);
        FUZZ_EXPECT(strcmp(text, text_again) == 0);
        spt_free(text);
        spt_free(text_again);
        spt_db_close(copy);
        spt_db_close(db);
        close(first);
        close(again);
    }
    close(input);
    FUZZ_EXPECT(spt_memory_live() == 0);
    return 0;
}
