/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz target: a database from a stranger: read its winners, its counts and its trials, list it, merge it into another,
 * copy it, then open it for writing and derive its winners again. What a merge takes from it is legal. */
#include <math.h>

#include "db/compare.h"
#include "db/exchange.h"
#include "db/list.h"
#include "db/upkeep.h"
#include "runtime/table.h"
#include "tests/fuzz/fuzz.h"

#define DEVICE "fuzz" /* the device key in the corpus */

/* What spt_open does: tables of this device and of the one most like it. */
static void open_as_the_library(const char *path) {
    spt_device device = {.isa = SPT_ISA_AVX2, .key = DEVICE};
    spt_device_records own, near;
    spt_table table;
    if (spt_db_read_device(&own, &near, path, &device) != SPT_OK)
        return;
    if (spt_table_init(&table, &own, 1) == SPT_OK)
        spt_table_fini(&table);
    if (spt_table_init(&table, &near, 1) == SPT_OK)
        spt_table_fini(&table);
    spt_device_records_fini(&own);
    spt_device_records_fini(&near);
}

static void read_all(const char *path) {
    spt_winner_list winners = {0};
    spt_trial_list trials = {0};
    spt_key key = {0};
    spt_db_info info;
    spt_db *db = NULL;
    if (spt_db_read_winners(&winners, path, DEVICE) == SPT_OK) {
        for (int64_t i = 0; i < winners.count; i++) {
            const spt_winner *winner = &winners.items[i];
            FUZZ_EXPECT(winner->m >= 1 && winner->k >= 1 && winner->n >= 1 && winner->threads >= 1);
            FUZZ_EXPECT(isfinite(winner->time_ns_median) && winner->time_ns_median > 0.0);
            FUZZ_EXPECT(memchr(winner->point, '\0', sizeof winner->point) != NULL);
            key.hash = winner->key;
        }
    }
    spt_winner_list_fini(&winners);
    open_as_the_library(path);
    if (spt_db_open(&db, path, SPT_DB_READ) != SPT_OK)
        return;
    (void)spt_db_info_read(&info, db);
    if (spt_db_trials_read(&trials, db, &key, NULL) == SPT_OK) {
        for (int64_t i = 0; i < trials.count; i++)
            FUZZ_EXPECT((unsigned)trials.items[i].measurement.status < SPT_TRIAL_STATUS_COUNT);
    }
    spt_trial_list_fini(&trials);
    spt_db_close(db);
}

/* Everything that a merge kept can be exported without a row left out. */
static void expect_legal(spt_db *db) {
    spt_line_writer writer;
    spt_export_result result;
    FILE *stream = fopen("/dev/null", "w");
    FUZZ_EXPECT(stream != NULL);
    FUZZ_EXPECT(spt_line_writer_open(&writer, NULL, stream) == SPT_OK);
    FUZZ_EXPECT(spt_db_export(&result, db, &writer, &(spt_export_options){.with_positions = true}) == SPT_OK);
    FUZZ_EXPECT(result.n_skipped == 0);
    fclose(stream);
}

static void list_all(spt_db *db) {
    spt_list list;
    if (spt_list_open(&list, db, true) != SPT_OK)
        return;
    while (spt_list_next(&list) == SPT_OK)
        FUZZ_EXPECT(!list.item.has_winner || list.item.winner.time_ns_median > 0.0);
    spt_list_close(&list);
}

static void share_all(const char *path) {
    spt_db *db = NULL, *copy = NULL;
    spt_merge_result merged;
    spt_comparison comparison;
    spt_checksum checksum;
    FUZZ_EXPECT(spt_db_open(&db, ":memory:", SPT_DB_WRITE) == SPT_OK);
    (void)spt_db_merge(&merged, db, &path, 1);
    expect_legal(db);
    (void)spt_db_checksum_verify(&checksum, path);
    if (spt_db_open_copy(&copy, path) == SPT_OK) {
        list_all(copy);
        (void)spt_db_compare(&comparison, db, copy, SPT_ITEM_TRIAL);
        spt_db_close(copy);
    }
    spt_db_close(db);
}

static void write_all(const char *path) {
    spt_db *db = NULL;
    if (spt_db_open(&db, path, SPT_DB_WRITE) != SPT_OK)
        return;
    (void)spt_db_winners_rebuild(db, NULL);
    spt_db_close(db);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const suffixes[] = {"", "-wal", "-shm", "-journal"};
    char path[64], beside[80];
    snprintf(path, sizeof path, "%s/sparsetune-fuzz.XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    int descriptor = mkstemp(path);
    FUZZ_EXPECT(descriptor >= 0);
    FUZZ_EXPECT(write(descriptor, data, size) == (ssize_t)size);
    close(descriptor);
    read_all(path);
    share_all(path);
    write_all(path);
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
        snprintf(beside, sizeof beside, "%s%s", path, suffixes[i]);
        unlink(beside);
    }
    FUZZ_EXPECT(spt_memory_live() == 0);
    return 0;
}
