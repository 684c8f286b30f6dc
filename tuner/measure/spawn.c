/* SPDX-License-Identifier: Apache-2.0 */
/* Worker processes: their environment, descriptors, process group, and their end. */
#include "tuner/measure/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/hardware.h"
#include "core/memory.h"
#include "tuner/measure/protocol.h"

extern char **environ;

/* Variables that a worker does not inherit. OPENBLAS_CORETYPE and its kin would force kernels of another CPU; most
 * others are set anew below. */
static const char *const replaced_variables[] = {
    "OPENBLAS_CORETYPE",       "OPENBLAS_NUM_THREADS",    "OMP_NUM_THREADS",    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",        "GOTO_NUM_THREADS",        "OMP_DYNAMIC",        "OMP_WAIT_POLICY",
    "GOMP_SPINCOUNT",          "OPENBLAS_THREAD_TIMEOUT", "ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA",
    "MKL_ENABLE_INSTRUCTIONS", "LIBXSMM_TARGET",          "BLIS_ARCH_TYPE",
};
/* Under SPARSETUNE_ISA=avx2 the libraries are held to AVX2 as well: a race between unlike instruction sets says nothing
 * about kernels. */
static const char *const avx2_settings[] = {
    "OPENBLAS_CORETYPE=Haswell",    "ONEDNN_MAX_CPU_ISA=AVX2", "DNNL_MAX_CPU_ISA=AVX2",
    "MKL_ENABLE_INSTRUCTIONS=AVX2", "LIBXSMM_TARGET=hsw",      "BLIS_ARCH_TYPE=haswell",
};
/* Idle threads spin for about a tenth of a millisecond only (both libraries' defaults are tens of milliseconds), so
 * that the team of one library is asleep when another one's is timed. */
static const char *const spin_settings[] = {"GOMP_SPINCOUNT=2000", "OPENBLAS_THREAD_TIMEOUT=18"};
static const char *const thread_variables[] = {
    "OPENBLAS_NUM_THREADS",
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
};
enum {
    N_REPLACED = sizeof replaced_variables / sizeof replaced_variables[0],
    N_THREAD_VARIABLES = sizeof thread_variables / sizeof thread_variables[0],
    N_SPIN_SETTINGS = sizeof spin_settings / sizeof spin_settings[0],
    N_AVX2_SETTINGS = sizeof avx2_settings / sizeof avx2_settings[0],
    SETTING_BYTES = 40,
};

typedef struct worker_environment {
    char **variables;
    char settings[N_THREAD_VARIABLES][SETTING_BYTES];
} worker_environment;

static bool is_replaced(const char *variable) {
    for (int i = 0; i < N_REPLACED; i++) {
        const size_t length = strlen(replaced_variables[i]);
        if (strncmp(variable, replaced_variables[i], length) == 0 && variable[length] == '=')
            return true;
    }
    return false;
}

static spt_status make_environment(worker_environment *out, int threads) {
    size_t n_variables = 0, n_kept = 0;
    while (environ[n_variables] != NULL)
        n_variables++;
    SPT_TRY(SPT_NEW(out->variables, n_variables + N_THREAD_VARIABLES + N_SPIN_SETTINGS + N_AVX2_SETTINGS + 1));
    for (size_t i = 0; i < n_variables; i++) {
        if (!is_replaced(environ[i]))
            out->variables[n_kept++] = environ[i];
    }
    for (int i = 0; i < N_THREAD_VARIABLES; i++) {
        snprintf(out->settings[i], SETTING_BYTES, "%s=%d", thread_variables[i], threads);
        out->variables[n_kept++] = out->settings[i];
    }
    for (int i = 0; i < N_SPIN_SETTINGS; i++)
        out->variables[n_kept++] = (char *)(uintptr_t)spin_settings[i];
    const char *isa = getenv("SPARSETUNE_ISA");
    for (int i = 0; isa != NULL && strcmp(isa, spt_isa_name(SPT_ISA_AVX2)) == 0 && i < N_AVX2_SETTINGS; i++)
        out->variables[n_kept++] = (char *)(uintptr_t)avx2_settings[i];
    out->variables[n_kept] = NULL;
    return SPT_OK;
}

spt_worker_process spt_worker_none(void) {
    return (spt_worker_process){.pid = 0, .socket = -1};
}

static spt_status spawn(pid_t *pid, const char *program, int socket, char **variables) {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0); /* vendor libraries talk */
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, socket, SPT_WORKER_FD);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP); /* Ctrl-C is for the parent */
    posix_spawnattr_setpgroup(&attributes, 0);
    char name[] = "sparsetune", verb[] = SPT_WORKER_VERB;
    char *const arguments[] = {name, verb, NULL};
    const int error =
        posix_spawn(pid, program != NULL ? program : "/proc/self/exe", &actions, &attributes, arguments, variables);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    if (error != 0)
        return spt_fail(SPT_EIO, "no worker process can be started: %s", strerror(error));
    return SPT_OK;
}

spt_status spt_worker_start(spt_worker_process *out, const char *program, int threads) {
    worker_environment environment = {0};
    int ends[2] = {-1, -1};
    *out = spt_worker_none();
    spt_status status = make_environment(&environment, threads);
    if (status == SPT_OK && socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
        status = spt_fail(SPT_EIO, "no socket pair for a worker: %s", strerror(errno));
    if (status == SPT_OK && ends[1] == SPT_WORKER_FD) { /* dup2 onto itself would keep close-on-exec */
        const int moved = fcntl(ends[1], F_DUPFD_CLOEXEC, SPT_WORKER_FD + 1);
        close(ends[1]);
        ends[1] = moved;
    }
    if (status == SPT_OK)
        status = spawn(&out->pid, program, ends[1], environment.variables);
    if (ends[1] >= 0)
        close(ends[1]);
    if (status == SPT_OK)
        out->socket = ends[0];
    else if (ends[0] >= 0)
        close(ends[0]);
    spt_free(environment.variables);
    return status;
}

int spt_child_wait(pid_t child, pid_t killed, int patience_ms) {
    int how = 0;
    for (int waited_ms = 0; waitpid(child, &how, WNOHANG) == 0; waited_ms++) {
        if (waited_ms == patience_ms)
            kill(killed, SIGKILL);
        usleep(1000);
    }
    return how;
}

void spt_worker_bury(spt_worker_process *worker, bool is_dead, char *obituary, size_t capacity) {
    if (worker->pid <= 0)
        return;
    if (!is_dead)
        kill(worker->pid, SIGKILL);
    close(worker->socket); /* a worker that closed its socket and lives on sees the end */
    const int how = spt_child_wait(worker->pid, worker->pid, 1000);
    if (obituary != NULL && WIFSIGNALED(how))
        snprintf(obituary, capacity, "the worker was killed by signal %d (%s)", WTERMSIG(how),
                 strsignal(WTERMSIG(how)));
    else if (obituary != NULL)
        snprintf(obituary, capacity, "the worker exited with code %d", WEXITSTATUS(how));
    *worker = spt_worker_none();
}

void spt_worker_end(spt_worker_process *worker) {
    spt_worker_bury(worker, false, NULL, 0);
}
