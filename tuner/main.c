/* SPDX-License-Identifier: Apache-2.0 */
/* The program: finds the subcommand, prints its error, exits. Nothing else in the tuner prints errors or exits.
 * Exit codes: 0 ok, 1 negative or partial answer, 2 usage, 3 failure. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/file.h"
#include "tuner/command.h"
#include "tuner/measure/meter.h"
#include "tuner/options.h"
#include "tuner/rivals/rivals.h"

#define SPT_COMMAND(name) extern const spt_command spt_command_##name;
#include "tuner/commands.def"
#undef SPT_COMMAND

#define SPT_COMMAND(name) &spt_command_##name,
static const spt_command *const commands[] = {
#include "tuner/commands.def"
};
#undef SPT_COMMAND

#define N_COMMANDS (sizeof commands / sizeof commands[0])

static void print_help(FILE *stream) {
    fputs(
        "Finds the fastest kernel for a sparse matrix on this machine, remembers it, and serves it to a C program.\n\n"
        "usage: sparsetune COMMAND [options]\n"
        "       sparsetune COMMAND --help\n"
        "       sparsetune --help | --version\n\n"
        "commands:\n",
        stream);
    for (size_t i = 0; i < N_COMMANDS; i++)
        fprintf(stream, "  %-9s %s\n", commands[i]->name, commands[i]->summary);
    fputs("\nexit codes: 0 ok, 1 negative or partial answer, 2 usage, 3 failure\n", stream);
}

static const spt_command *find_command(const char *name) {
    for (size_t i = 0; i < N_COMMANDS; i++)
        if (strcmp(commands[i]->name, name) == 0)
            return commands[i];
    return NULL;
}

static bool asks_for_help(int argc, char **argv) {
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            return true;
    return false;
}

static int usage_error(const char *sentence, const char *word, const char *hint) {
    fprintf(stderr, "sparsetune: %s%s%s; see `sparsetune%s%s --help`\n", sentence, *word ? " " : "", word,
            *hint ? " " : "", hint);
    return SPT_EXIT_USAGE;
}

/* What standard output could not take is lost output: say so, whatever the command thought. */
static int flush_output(int exit_code) {
    errno = 0;
    if (fflush(stdout) == 0 && !ferror(stdout))
        return exit_code;
    fprintf(stderr, "sparsetune: standard output took no more (%s)\n", errno != 0 ? strerror(errno) : "write error");
    return SPT_EXIT_FAILURE;
}

static int run_command(const spt_command *command, int argc, char **argv) {
    int exit_code = SPT_EXIT_OK;
    spt_status status = command->run(argc, argv, &exit_code);
    if (status == SPT_OK)
        return flush_output(exit_code);
    if (spt_usage_failed())
        return usage_error(spt_last_error(), "", command->name);
    fflush(stdout);
    fprintf(stderr, "sparsetune: %s\n", spt_last_error());
    return SPT_EXIT_FAILURE;
}

/* OPENBLAS_CORETYPE acts when the library is loaded, and a wrong core would make dense look slow; workers set their own
 * in the same way. */
static void choose_blas_core(void) {
    const char *isa = getenv("SPARSETUNE_ISA");
    if (isa != NULL && strcmp(isa, "avx2") == 0)
        setenv("OPENBLAS_CORETYPE", "Haswell", 1);
    else
        unsetenv("OPENBLAS_CORETYPE");
}

/* A file that is opened later must not become a standard stream that the caller closed, or what is printed would land
 * in it. A stream that is held here fails at its first use, as a closed one does. */
static bool hold_closed_streams(void) {
    for (int stream = 0; stream < 3; stream++) {
        const int mode = stream == STDIN_FILENO ? O_WRONLY : O_RDONLY;
        if (fcntl(stream, F_GETFD) < 0 && open("/dev/null", mode) != stream)
            return false;
    }
    return true;
}

/* Whoever is interrupted leaves no half-written file; commands that have more to end catch these signals themselves. */
static void on_end(int number) {
    sigset_t this_one;
    spt_file_remove_unfinished();
    signal(number, SIG_DFL); /* a compiler may have put a handler of its own before this one, which calls it for ever */
    sigemptyset(&this_one);
    sigaddset(&this_one, number);
    sigprocmask(SIG_UNBLOCK, &this_one, NULL);
    raise(number);
    _exit(128 + number);
}

static void catch_end(void) {
    static const int numbers[] = {SIGHUP, SIGINT, SIGTERM};
    const struct sigaction action = {.sa_handler = on_end, .sa_flags = (int)SA_RESETHAND};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        struct sigaction before;
        if (sigaction(numbers[i], NULL, &before) == 0 && before.sa_handler != SIG_IGN)
            sigaction(numbers[i], &action, NULL);
    }
}

int main(int argc, char **argv) {
    if (!hold_closed_streams())
        return SPT_EXIT_FAILURE;
    if (argc >= 2 && strcmp(argv[1], SPT_WORKER_VERB) == 0) {
        spt_rivals_plant();
        return spt_worker_main(argc, argv);
    }
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a file at its size limit is an error to report, not a death */
    catch_end();
    choose_blas_core();
    if (argc < 2) {
        print_help(stderr);
        return SPT_EXIT_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
        print_help(stdout);
        return flush_output(SPT_EXIT_OK);
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("sparsetune %s\n", SPT_VERSION_TEXT);
        return flush_output(SPT_EXIT_OK);
    }
    const spt_command *command = find_command(argv[1]);
    if (command == NULL)
        return usage_error(argv[1][0] == '-' ? "unknown option" : "unknown command", argv[1], "");
    if (asks_for_help(argc - 1, argv + 1)) {
        fputs(command->usage, stdout);
        return flush_output(SPT_EXIT_OK);
    }
    return run_command(command, argc - 1, argv + 1);
}
