/* SPDX-License-Identifier: Apache-2.0 */
/* The verbs of `sparsetune db`: one row in db.c and one function each, in db_*.c. */
#ifndef SPT_TUNER_COMMANDS_DB_VERBS_H
#define SPT_TUNER_COMMANDS_DB_VERBS_H

#include "db/db.h"
#include "tuner/command.h"
#include "tuner/options.h"
#include "tuner/progress.h"
#include "tuner/report.h"

/* argv[0] is "db VERB", the rest as the command line has it. */
typedef spt_status spt_db_verb(int argc, char **argv, int *exit_code);

spt_db_verb spt_db_verb_info, spt_db_verb_list, spt_db_verb_layers, spt_db_verb_coverage, spt_db_verb_check;
spt_db_verb spt_db_verb_export, spt_db_verb_import, spt_db_verb_merge, spt_db_verb_diff;
spt_db_verb spt_db_verb_verify, spt_db_verb_publish, spt_db_verb_pin, spt_db_verb_gc;

#define SPT_DB_PATH_MAX 4096

/* The database that --db or its default names. */
spt_status spt_db_verb_path(char out[SPT_DB_PATH_MAX], const char *given);
/* Open it. path: filled with its name. */
spt_status spt_db_verb_open(spt_db **out, char path[SPT_DB_PATH_MAX], const char *given, spt_db_mode mode);
/* Expect so many arguments, or a usage error that says what they are. */
spt_status spt_db_verb_arguments(int found, int min, int max, const char *what);
/* Expect the beginning of a key, or a usage error that names what was typed. */
spt_status spt_db_verb_key(const char *typed);

#define SPT_N_ROWS(rows) ((int)(sizeof(rows) / sizeof(rows)[0]))

#endif
