/* SPDX-License-Identifier: Apache-2.0 */
/* The subcommands of the program: one table row and one screen each.
 * Exit codes: 0 ok, 1 negative or partial answer, 2 usage, 3 failure. Only main.c prints errors and exits. */
#ifndef SPT_TUNER_COMMAND_H
#define SPT_TUNER_COMMAND_H

#include "core/error.h"

enum { SPT_EXIT_OK = 0, SPT_EXIT_NEGATIVE = 1, SPT_EXIT_USAGE = 2, SPT_EXIT_FAILURE = 3 };

typedef struct spt_command {
    const char *name;
    const char *summary; /* one line for `sparsetune --help` */
    const char *usage;   /* what `sparsetune NAME --help` prints */
    /* argv[0] is the command's name. *exit_code starts as SPT_EXIT_OK; a status other than OK is printed by main,
     * which exits with 2 for EINVAL found while parsing options (spt_usage_fail) and 3 otherwise. */
    spt_status (*run)(int argc, char **argv, int *exit_code);
} spt_command;

#endif
