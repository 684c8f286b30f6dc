/* SPDX-License-Identifier: Apache-2.0 */
/* The database of trials and winners, as the tuner writes it. Raw trials are the truth; winners are derived.
 * One writer transaction per result: a killed process loses at most the trial or the round in flight. */
#ifndef SPT_DB_DB_H
#define SPT_DB_DB_H

#include <stdbool.h>
#include <stdint.h>

#include "core/hardware.h"
#include "core/key.h"
#include "core/trial.h"
#include "db/reader.h"

typedef struct spt_db spt_db;

/* SPT_DB_READ refuses a published file whose bytes are not those that were published; SPT_DB_INSPECT does not. */
typedef enum spt_db_mode { SPT_DB_READ = 0, SPT_DB_WRITE = 1, SPT_DB_INSPECT = 2 } spt_db_mode;

#define SPT_UUID_TEXT_SIZE 37
#define SPT_POLICY_MAX 256

/* One run of the tuner. */
typedef struct spt_session {
    char uuid[SPT_UUID_TEXT_SIZE];
    char host[SPT_UUID_TEXT_SIZE]; /* random id of this host, see spt_db_host_id */
    char tool_version[32];
    char compiler[96];
    char strategy[32];
    uint64_t seed;
    int64_t budget;
    char policy[SPT_POLICY_MAX]; /* how it measured, as text: trials of an equal policy count as done */
    int64_t started_unix_s;
} spt_session;

/* What a trial is about. */
typedef struct spt_subject {
    const spt_key *key;
    const spt_workload *workload;
    const spt_device *device;
} spt_subject;

typedef struct spt_variant_id {
    char family[64];
    int revision;
    char point[SPT_POINT_TEXT_MAX];
    bool is_dense;
    bool is_default;  /* the untuned answer of this problem */
    char library[96]; /* soft: vendor library version, "" otherwise */
} spt_variant_id;

typedef struct spt_trial {
    spt_variant_id variant;
    spt_phase phase;
    int round; /* 0 in search */
    spt_measurement measurement;
} spt_trial;

typedef struct spt_trial_list {
    spt_trial *items;
    int64_t count;
} spt_trial_list;

typedef struct spt_db_info {
    int schema_version;
    int64_t devices, patterns, problems, trials, winners, sessions;
    char integrity[64]; /* "ok", or what SQLite's integrity check found first */
} spt_db_info;

/* Open; SPT_DB_WRITE creates and migrates. path ":memory:" is allowed.
 * Errors: EIO (unreadable, read-only folder, full disk), EINVAL (not a database, not ours, a newer schema). */
spt_status spt_db_open(spt_db **out, const char *path, spt_db_mode mode);
/* A copy in memory, upgraded; an empty one where there is no file. For trying what a change would do. */
spt_status spt_db_open_copy(spt_db **out, const char *path);
void spt_db_close(spt_db *db); /* NULL is allowed */
/* The same, but a file that this connection created, that has no record and that nobody else has open goes. */
void spt_db_close_unused(spt_db *db);

/* Keep no write-ahead log: for a file that one process writes alone, on whatever file system. Errors: EIO. */
spt_status spt_db_write_alone(spt_db *db);

void spt_uuid_new(char out[SPT_UUID_TEXT_SIZE]);
/* The random id of this host: made once, kept in the user's data folder, process-wide when there is none. */
void spt_db_host_id(char out[SPT_UUID_TEXT_SIZE]);
/* $SPARSETUNE_DB, else $XDG_DATA_HOME/sparsetune/tune.db, else ~/.local/share/sparsetune/tune.db. ENOTFOUND: no home.
 */
spt_status spt_db_default_path(char *out, size_t capacity);

/* Make the folders above a file. What cannot be made is named when the file is opened. */
void spt_db_make_folders(const char *path);

/* When a session that begins now began: later than all that the file has, so that it is the newest of them also within
 * a second of the last one and beside those of a clock that is ahead. */
spt_status spt_db_session_start(int64_t *unix_s, spt_db *db);
spt_status spt_db_session_add(spt_db *db, const spt_session *session);
/* The policy of the newest session that has trials of a key, which decides about all of them (derive.h). ENOTFOUND: no
 * trials. */
spt_status spt_db_policy_newest(char out[SPT_POLICY_MAX], spt_db *db, const spt_key *key);
/* Add trials of one subject in one transaction: one search trial, or a whole final round. */
spt_status spt_db_trials_add(spt_db *db, const spt_session *session, const spt_subject *subject,
                             const spt_trial *trials, int n_trials);
/* All trials of a key with this policy, oldest first, whatever their session. policy NULL: any. */
spt_status spt_db_trials_read(spt_trial_list *out, spt_db *db, const spt_key *key, const char *policy);
/* The same of sessions whose program was built by this compiler; NULL: any. */
spt_status spt_db_trials_read_built(spt_trial_list *out, spt_db *db, const spt_key *key, const char *policy,
                                    const char *compiler);
void spt_trial_list_fini(spt_trial_list *list);

/* Derive the winners of one key from its trials (finals where there are any), or of all keys (NULL). */
spt_status spt_db_winners_rebuild(spt_db *db, const spt_key *key);
/* What a key's trials say of some variants (by family and point): how long each takes, in a unit of the key's own;
 * INFINITY for one without a standing, which can be neither a winner nor pinned. *winner: the one that wins where
 * nothing is pinned, -1 when it is not among them. */
spt_status spt_db_scores(double *scores, int *winner, spt_db *db, const spt_key *key, const spt_variant_id *variants,
                         int n_variants);
/* The winners of one key, best first. */
spt_status spt_db_winners_find(spt_winner_list *out, spt_db *db, const spt_key *key);

spt_status spt_db_info_read(spt_db_info *out, spt_db *db);

#endif
