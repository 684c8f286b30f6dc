/* SPDX-License-Identifier: Apache-2.0 */
/* One background process with jobs of its own, in a process group that ends with the run. */
#include "tuner/ahead.h"

#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/text.h"
#include "tuner/commands/compile_problems.h"
#include "tuner/drive_state.h"
#include "tuner/measure/spawn.h"
#include "variants/cuda/binary.h"

extern char **environ;

enum { NAMES_MAX = 16, PATIENCE_MS = 2000 }; /* for compilers to end by themselves */

static pid_t spawn(char *const *arguments) {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    pid_t pid = 0;
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
    posix_spawnattr_setpgroup(&attributes, 0);
    if (posix_spawn(&pid, "/proc/self/exe", &actions, &attributes, arguments, environ) != 0)
        pid = 0;
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return pid;
}

/* The families whose kernels do not depend on the pattern, as arguments. */
static int list_names(char **arguments, spt_op op, const char *families) {
    int n_names = 0;
    for (int i = 0; i < spt_family_count() && n_names < NAMES_MAX; i++) {
        const spt_family *family = spt_family_at(i);
        if (family->op == op && family->cuda != NULL && family->cuda->library_run == NULL && !family->cuda->is_baked &&
            spt_drive_names_family(families, family->name))
            arguments[n_names++] = (char *)(uintptr_t)family->name;
    }
    return n_names;
}

/* Of a convolution the image, of the others the widths. */
static void add_shape(spt_text *text, const spt_problem *problem, const int64_t *widths, int n_widths) {
    if (problem->op == SPT_CONV2D)
        spt_text_add(text, "--image=%" PRId64 "x%" PRId64 "s%d", problem->height, problem->width, problem->stride);
    for (int i = 0; problem->op != SPT_CONV2D && i < n_widths; i++)
        spt_text_add(text, "%s%" PRId64, i == 0 ? "--n=" : ",", widths[i]);
}

pid_t spt_ahead_start(const spt_device *device, const spt_problem *problem, const int64_t *widths, int n_widths,
                      const char *families) {
    char jobs[16], program[] = "sparsetune", verb[] = "compile", all[] = "--all", shape_text[16 * SPT_WIDTHS_MAX];
    char arch[48], op[32], dtype[32], layout[32], epilogue[32], jobs_option[] = "--jobs";
    char pattern[] = "--pattern=" SPT_COMPILE_PATTERN; /* families for other patterns alone would be in the way */
    char *arguments[NAMES_MAX + 16];
    spt_text shape;
    int n_arguments = 0;
    if (device->kind != SPT_CUDA || spt_nvrtc_version()[0] == '\0')
        return 0;
    const int n_jobs = spt_hardware_threads() - 1;
    snprintf(jobs, sizeof jobs, "%d", n_jobs > 1 ? n_jobs : 1);
    snprintf(arch, sizeof arch, "--arch=%.32s", device->isa_set);
    snprintf(op, sizeof op, "--op=%s", spt_op_name(problem->op));
    snprintf(dtype, sizeof dtype, "--dtype=%s", spt_dtype_name(problem->dtype));
    snprintf(layout, sizeof layout, "--layout=%s", spt_layout_name(problem->layout));
    snprintf(epilogue, sizeof epilogue, "--epilogue=%s", spt_epilogue_name(problem->epilogue));
    spt_text_init(&shape, shape_text, sizeof shape_text);
    add_shape(&shape, problem, widths, n_widths);
    char *const fixed[] = {program, verb, all, jobs_option, jobs, arch, op, dtype, layout, epilogue, pattern};
    for (size_t i = 0; i < sizeof fixed / sizeof fixed[0]; i++)
        arguments[n_arguments++] = fixed[i];
    if (shape_text[0] != '\0')
        arguments[n_arguments++] = shape_text;
    const int n_names = list_names(arguments + n_arguments, problem->op, families);
    if (n_names == 0)
        return 0;
    arguments[n_arguments + n_names] = NULL;
    return spawn(arguments);
}

void spt_ahead_end(pid_t ahead) {
    if (ahead <= 0)
        return;
    kill(-ahead, SIGTERM); /* what compiles may not listen */
    spt_child_wait(ahead, -ahead, PATIENCE_MS);
}
