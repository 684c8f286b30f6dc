/* SPDX-License-Identifier: Apache-2.0 */
/* `sparsetune db`: what is in a database. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "db/db.h"
#include "tuner/command.h"
#include "tuner/options.h"
#include "tuner/report.h"

static const char usage[] =
    "usage: sparsetune db info [--db FILE] [--json]\n\n"
    "info    counts what the database holds and checks its integrity\n\n"
    "options:\n"
    "  --db FILE   database (SPARSETUNE_DB, else sparsetune/tune.db in the user's data folder)\n"
    "  --json      one JSON object on standard output\n"
    "\nexit codes: 0 ok, 1 the integrity check found something, 2 usage, 3 failure\n";

typedef struct db_command {
    const char *path;
    spt_db *db;
    bool json;
} db_command;

static spt_status info(const db_command *self, int *exit_code) {
    spt_db_info found;
    SPT_TRY(spt_db_info_read(&found, self->db));
    if (strcmp(found.integrity, "ok") != 0)
        *exit_code = SPT_EXIT_NEGATIVE;
    if (self->json)
        return spt_json_print(json_pack("{ss si sI sI sI sI sI sI ss}", "path", self->path, "schema_version",
                                        found.schema_version, "devices", (json_int_t)found.devices, "patterns",
                                        (json_int_t)found.patterns, "problems", (json_int_t)found.problems, "trials",
                                        (json_int_t)found.trials, "winners", (json_int_t)found.winners, "sessions",
                                        (json_int_t)found.sessions, "integrity", found.integrity));
    printf("path       %s\nschema     version %d\nintegrity  %s\n", self->path, found.schema_version, found.integrity);
    printf("devices    %" PRId64 "\npatterns   %" PRId64 "\nproblems   %" PRId64 "\n", found.devices, found.patterns,
           found.problems);
    printf("trials     %" PRId64 "\nwinners    %" PRId64 "\nsessions   %" PRId64 "\n", found.trials, found.winners,
           found.sessions);
    return SPT_OK;
}

typedef struct verb_row {
    const char *name;
    spt_status (*run)(const db_command *self, int *exit_code);
} verb_row;

static const verb_row verbs[] = {
    {"info", info},
};

static const verb_row *find_verb(const char *name) {
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++) {
        if (strcmp(verbs[i].name, name) == 0)
            return &verbs[i];
    }
    return NULL;
}

static spt_status run(int argc, char **argv, int *exit_code) {
    db_command self = {0};
    spt_problem_options given = {0};
    char path[4096];
    int n_arguments;
    const spt_option rows[] = {
        {"--db", SPT_OPTION_TEXT, &given.db_path},
        {"--json", SPT_OPTION_FLAG, &self.json},
    };
    SPT_TRY(spt_options_parse(&n_arguments, argc, argv, rows, 2, NULL));
    const verb_row *verb = n_arguments == 1 ? find_verb(argv[1]) : NULL;
    if (verb == NULL)
        return spt_usage_fail("expected the verb info, found %s", n_arguments > 0 ? argv[1] : "none");
    SPT_TRY(spt_options_db_path(path, sizeof path, &given));
    self.path = path;
    SPT_TRY(spt_db_open(&self.db, path, SPT_DB_READ));
    const spt_status status = verb->run(&self, exit_code);
    spt_db_close(self.db);
    return status;
}

const spt_command spt_command_db = {
    .name = "db",
    .summary = "look into a database: info",
    .usage = usage,
    .run = run,
};
