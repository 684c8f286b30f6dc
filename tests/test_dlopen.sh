#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A program that opens the shared library with dlopen, uses it on two threads, closes it and opens it again; and one whose
# surroundings deny what libraries like to have: no home, an unknown user, nothing that can be written.
# usage: tests/test_dlopen.sh BUILD_FOLDER
# shellcheck source=tests/shell.sh
. "$(dirname "$0")/shell.sh"
grep -q -- '-fsanitize=' "$build/flags" &&
    skip "a sanitizer must be loaded before the program, so its library cannot be opened later"
cat >"$folder/program.c" <<'C'
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "sparsetune.h"

static int n_logged;
static void count(void *user, const char *message) { (void)user; n_logged++; fprintf(stderr, "log: %s\n", message); }
#define LOAD(name) __typeof__(&name) p_##name = (__typeof__(&name))dlsym(library, #name); if (p_##name == NULL) return 2

static int use(const char *path) {
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) { fprintf(stderr, "%s\n", dlerror()); return 2; }
    LOAD(spt_open); LOAD(spt_plan_spmm); LOAD(spt_execute); LOAD(spt_plan_free); LOAD(spt_close); LOAD(spt_last_error);
    const int64_t offsets[3] = {0, 1, 3};
    const int32_t columns[3] = {0, 0, 1};
    const float values[3] = {1, 2, 3}, b[4] = {1, 10, 100, 1000};
    float c[4] = {0};
    const spt_csr a = {sizeof a, 2, 2, offsets, columns, values};
    const spt_options options = {.size = sizeof options, .log = count};
    const spt_problem problem = {.size = sizeof problem, .n = 2, .threads = 2};
    const spt_args args = {.size = sizeof args, .b = {b, 0, 0}, .c = {c, 0, 0}};
    spt_context *context;
    spt_plan *plan;
    if (p_spt_open(&context, &options) != SPT_OK || p_spt_plan_spmm(&plan, context, &a, &problem) != SPT_OK ||
        p_spt_execute(plan, &args) != SPT_OK) { fprintf(stderr, "%s\n", p_spt_last_error()); return 3; }
    p_spt_plan_free(plan);
    p_spt_close(context);
    dlclose(library);
    return c[0] == 1 && c[1] == 10 && c[2] == 302 && c[3] == 3020 ? 0 : 4;
}

int main(int argc, char **argv) {
    for (int i = 0; i < 3; i++) {
        const int code = use(argv[1]);
        if (code != 0) return code;
    }
    const pid_t child = fork(); /* prefork: a child opens what its parent has closed */
    if (child == 0) _exit(use(argv[1]));
    int state = 0;
    waitpid(child, &state, 0);
    if (!WIFEXITED(state) || WEXITSTATUS(state) != 0) return 5;
    printf("%d\n", n_logged);
    return argc > 2 && n_logged != atoi(argv[2]) ? 6 : 0;
}
C
link -std=gnu11 -Iinclude -o "$folder/program" "$folder/program.c" -ldl || exit 1
cp "$(readlink -f "$build/libsparsetune.so")" "$folder/lib.so"
chmod 755 "$folder" "$folder/lib.so" "$folder/program"
mkdir "$folder/empty" && cd "$folder/empty" || exit 1
check() { # check NAME COMMAND...
    local name=$1
    n_checks=$((n_checks + 1))
    shift
    timeout 60 "$@" >"$folder/out" 2>&1 || wrong "$name: exit $?: $(tail -2 "$folder/out")"
}
bare=(env -i ${QEMU_LD_PREFIX:+QEMU_LD_PREFIX="$QEMU_LD_PREFIX"}) # nothing of the environment but where emulation finds libraries
check "opened, closed, opened again" env XDG_DATA_HOME="$folder" "$folder/program" "$folder/lib.so" 0
check "no home at all" "${bare[@]}" PATH="$PATH" "$folder/program" "$folder/lib.so" 0
check "a home that does not exist" "${bare[@]}" HOME=/nowhere "$folder/program" "$folder/lib.so" 0
check "a database that is missing is told once per context" env SPARSETUNE_DB=/nowhere/t.db "$folder/program" "$folder/lib.so" 3
if setpriv --reuid 54321 --regid 54321 --clear-groups true 2>/dev/null; then
    check "an unknown user" setpriv --reuid 54321 --regid 54321 --clear-groups "${bare[@]}" HOME=/root "$folder/program" "$folder/lib.so" 0
else
    echo "SKIP: an unknown user: this one cannot become another"
fi
if unshare -rm sh -c 'mount -o remount,bind,ro / && ! touch /sparsetune-probe' 2>/dev/null; then
    # shellcheck disable=SC2016 # the inner shell expands
    check "a root that cannot be written" unshare -rm sh -c 'mount -o remount,bind,ro / && exec "$0" "$@"' \
        "${bare[@]}" HOME=/root "$folder/program" "$folder/lib.so" 0
else
    echo "SKIP: a root that cannot be written: this system lets no user namespace mount"
fi
finish
