/* SPDX-License-Identifier: Apache-2.0 */
/* `sparsetune db VERB`: look into databases and share them. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "db/upkeep.h"
#include "tuner/commands/db_verbs.h"

static const char usage[] =
    "usage: sparsetune db VERB [options]\n\n"
    "look:\n"
    "  info                       what the database holds, and whether it is whole\n"
    "  list                       winners; --op --dtype --layout --epilogue --m --k --n --threads --family select,\n"
    "                             --device TEXT and --pattern DIGITS by parts, --all shows every kept rank\n"
    "  layers [PATTERN --n N]     the databases that the library asks, in order; which one answers, and why\n"
    "  coverage [--problems]      devices by problems: tuned, stale, missing, age\n"
    "  check                      what this version would no longer use, and why\n"
    "  diff A B                   records that only one has, and winners that differ\n"
    "  verify [--patterns DIR]    measure winners of this device again and say what moved, with kept positions or the\n"
    "      --tolerance 0.1          files of DIR; --limit N winners; nothing is written\n"
    "share:\n"
    "  export [-o FILE[.gz]]      all trials as JSON Lines, sorted (standard output)\n"
    "      --anonymous              without hosts, systems and reasons; docs/DATABASE.md says what is left\n"
    "      --with-patterns          with the positions of the nonzeros, where they are kept\n"
    "      --t4 KEY                 one problem's search trials as T4 results; --family NAME alone\n"
    "  import FILE...             read exports, plain or .gz, - for standard input; refused lines are named\n"
    "      --strict                 one refused line refuses the file\n"
    "      --dry-run                say what would happen and change nothing\n"
    "  merge A B... -o C          the union of databases; C takes part where it exists\n"
    "  publish -o FILE            a compact, read-only copy with a checksum\n"
    "keep:\n"
    "  pin KEY FAMILY [POINT]     fix a winner by hand; pin KEY --remove; pin alone lists; --note TEXT\n"
    "  gc [--dry-run]             take out trials of older revisions and what nothing refers to\n\n"
    "options:\n"
    "  --db FILE   database (SPARSETUNE_DB, else sparsetune/tune.db in the user's data folder)\n"
    "  --json      one JSON object per line on standard output\n"
    "\nexit codes: 0 ok, 1 a negative or partial answer (not whole, different, nothing found, lines refused), 2 "
    "usage,\n"
    "3 failure\n";

typedef struct verb_row {
    const char *name;
    const char *full_name;
    spt_db_verb *run;
} verb_row;

#define VERB(name)                                                                                                     \
    { #name, "db " #name, spt_db_verb_##name }
static const verb_row verbs[] = {
    VERB(info),   VERB(list),  VERB(layers),  VERB(coverage), VERB(check), VERB(diff), VERB(export),
    VERB(import), VERB(merge), VERB(publish), VERB(verify),   VERB(pin),   VERB(gc),
};

static const verb_row *find_verb(const char *name) {
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++) {
        if (strcmp(verbs[i].name, name) == 0)
            return &verbs[i];
    }
    return NULL;
}

spt_status spt_db_verb_path(char out[SPT_DB_PATH_MAX], const char *given) {
    const spt_problem_options options = {.db_path = given};
    return spt_options_db_path(out, SPT_DB_PATH_MAX, &options);
}

spt_status spt_db_verb_open(spt_db **out, char path[SPT_DB_PATH_MAX], const char *given, spt_db_mode mode) {
    SPT_TRY(spt_db_verb_path(path, given));
    if (given == NULL && mode == SPT_DB_WRITE)
        spt_db_make_folders(path);
    return spt_db_open(out, path, mode);
}

spt_status spt_db_verb_arguments(int found, int min, int max, const char *what) {
    if (found >= min && found <= max)
        return SPT_OK;
    return spt_usage_fail("expected %s, found %d argument%s", what, found, found == 1 ? "" : "s");
}

spt_status spt_db_verb_key(const char *typed) {
    return spt_db_check_key(typed) == SPT_OK ? SPT_OK : spt_usage_fail("%s", spt_last_error());
}

spt_status spt_db_verb_info(int argc, char **argv, int *exit_code) {
    const char *given = NULL;
    bool json = false;
    const spt_option rows[] = {{"--db", SPT_OPTION_TEXT, &given}, {"--json", SPT_OPTION_FLAG, &json}};
    char path[SPT_DB_PATH_MAX];
    spt_db *db;
    spt_db_info found;
    spt_checksum checksum;
    int n_arguments;
    SPT_TRY(spt_options_parse(&n_arguments, argc, argv, rows, SPT_N_ROWS(rows), NULL));
    SPT_TRY(spt_db_verb_arguments(n_arguments, 0, 0, "no argument but options"));
    SPT_TRY(spt_db_verb_open(&db, path, given, SPT_DB_INSPECT));
    const spt_status status = spt_db_info_read(&found, db);
    spt_db_close(db);
    SPT_TRY(status);
    SPT_TRY(spt_db_checksum_verify(&checksum, path));
    if (strcmp(found.integrity, "ok") != 0 || checksum == SPT_CHECKSUM_WRONG)
        *exit_code = SPT_EXIT_NEGATIVE;
    if (json)
        return spt_json_print(json_pack("{so si sI sI sI sI sI sI ss ss}", "path", spt_json_name(path),
                                        "schema_version", found.schema_version, "devices", (json_int_t)found.devices,
                                        "patterns", (json_int_t)found.patterns, "problems", (json_int_t)found.problems,
                                        "trials", (json_int_t)found.trials, "winners", (json_int_t)found.winners,
                                        "sessions", (json_int_t)found.sessions, "integrity", found.integrity,
                                        "checksum", spt_checksum_name(checksum)));
    printf("path       %s\nschema     version %d\nintegrity  %s\n", path, found.schema_version, found.integrity);
    printf("devices    %" PRId64 "\npatterns   %" PRId64 "\nproblems   %" PRId64 "\n", found.devices, found.patterns,
           found.problems);
    printf("trials     %" PRId64 "\nwinners    %" PRId64 "\nsessions   %" PRId64 "\n", found.trials, found.winners,
           found.sessions);
    if (checksum != SPT_CHECKSUM_NONE)
        printf("published  checksum %s\n", spt_checksum_name(checksum));
    return SPT_OK;
}

/* The verb is the first word that names one; options may stand before it. */
static spt_status run(int argc, char **argv, int *exit_code) {
    const verb_row *verb = NULL;
    int at = 1;
    for (; at < argc; at++) {
        if (argv[at][0] != '-' && (verb = find_verb(argv[at])) != NULL)
            break;
    }
    if (verb == NULL)
        return spt_usage_fail("expected a verb such as info, export or merge, found %s", argc > 1 ? argv[1] : "none");
    memmove(argv + 2, argv + 1, (size_t)(at - 1) * sizeof *argv);
    argv[1] = (char *)verb->full_name;
    return verb->run(argc - 1, argv + 1, exit_code);
}

const spt_command spt_command_db = {
    .name = "db",
    .summary = "look into tuning databases and share them: list, export, merge, ...",
    .usage = usage,
    .run = run,
};
