/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz target: a database from a stranger: read its winners, its counts and its trials, then open it for writing and
 * derive its winners again. */
#include <math.h>

#include "db/db.h"
#include "tests/fuzz/fuzz.h"

#define DEVICE "fuzz" /* the device key in the corpus */

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
    write_all(path);
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
        snprintf(beside, sizeof beside, "%s%s", path, suffixes[i]);
        unlink(beside);
    }
    FUZZ_EXPECT(spt_memory_live() == 0);
    return 0;
}
