/* SPDX-License-Identifier: Apache-2.0 */
/* Kernel text to shared objects, and the little that has to be known of a declaration: how wide its parameters are. */
#include "tests/simt/object.h"

#include <dlfcn.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

enum { OPTIONS_MAX = 64 };

static char *copy_text(const char *text, size_t bytes) {
    char *copy = malloc(bytes + 1);
    if (copy == NULL)
        abort();
    memcpy(copy, text, bytes);
    copy[bytes] = '\0';
    return copy;
}

static bool run_compiler(const char *const *arguments, const char *log_path) {
    posix_spawn_file_actions_t actions;
    pid_t child;
    int status = -1;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 2, log_path, 01101, 0600); /* O_CREAT, O_TRUNC, O_WRONLY */
    if (posix_spawnp(&child, arguments[0], &actions, NULL, (char *const *)arguments, environ) == 0)
        waitpid(child, &status, 0);
    posix_spawn_file_actions_destroy(&actions);
    return status == 0;
}

static void read_log(char *log, size_t capacity, const char *path) {
    FILE *file = fopen(path, "r");
    const size_t n = file != NULL ? fread(log, 1, capacity - 1, file) : 0;
    log[n] = '\0';
    if (file != NULL)
        fclose(file);
}

bool simt_object_compile(const char *path, const char *text, size_t text_bytes, const char *const *options,
                         int n_options, char *log, size_t log_capacity) {
    char source[4096], log_path[4096], include[4096];
    const char *root = getenv("SPT_SIMT_ROOT"), *compiler = getenv("SPT_SIMT_CC");
    const char *arguments[OPTIONS_MAX + 24] = {compiler != NULL ? compiler : "cc",
                                               "-std=gnu17",
                                               "-O1",
                                               "-w",
                                               "-shared",
                                               "-fPIC",
                                               "-fno-strict-aliasing",
                                               "-DSPT_SIMT=1",
                                               include,
                                               "-x",
                                               "c",
                                               source,
                                               "-o",
                                               path};
    int n = 0;
    snprintf(source, sizeof source, "%s.kernel.c", path);
    snprintf(log_path, sizeof log_path, "%s.log", path);
    snprintf(include, sizeof include, "-I%s", root != NULL ? root : ".");
    FILE *file = fopen(source, "w");
    if (file == NULL || n_options > OPTIONS_MAX)
        abort();
    fwrite(text, 1, text_bytes, file);
    fclose(file);
    while (arguments[n] != NULL)
        n++;
    for (int i = 0; i < n_options; i++) {
        if (strncmp(options[i], "-D", 2) == 0) /* others are NVRTC's own */
            arguments[n++] = options[i];
    }
    const bool is_ok = run_compiler(arguments, log_path);
    read_log(log, log_capacity, log_path);
    unlink(source);
    unlink(log_path);
    return is_ok;
}

void simt_object_open(simt_object *out, const char *path, const char *text, size_t text_bytes) {
    *out = (simt_object){.handle = dlopen(path, RTLD_NOW | RTLD_LOCAL), .text = copy_text(text, text_bytes)};
    out->calls = out->handle != NULL ? dlsym(out->handle, "simt") : NULL;
    if (out->calls == NULL) {
        fprintf(stderr, "%s\n", dlerror());
        abort();
    }
}

void simt_object_close(simt_object *object) {
    dlclose(object->handle);
    free(object->text);
    *object = (simt_object){0};
}

/* The '(' behind `SPT_KERNEL [SPT_BOUNDS(...)] name`; NULL when there is none. */
static const char *find_parameters(const char *text, const char *name) {
    const size_t length = strlen(name);
    for (const char *at = text; (at = strstr(at, "SPT_KERNEL")) != NULL;) {
        at += strlen("SPT_KERNEL") + strspn(at + strlen("SPT_KERNEL"), " \n");
        if (strncmp(at, "SPT_BOUNDS", 10) == 0) {
            at = strchr(at, ')') + 1;
            at += strspn(at, " \n");
        }
        if (strncmp(at, name, length) == 0 && at[length] == '(')
            return at + length;
    }
    return NULL;
}

bool simt_object_kernel(void (**kernel)(void), int *n_params, int bytes[SIMT_PARAMS_MAX], const simt_object *object,
                        const char *name) {
    const char *at = find_parameters(object->text, name);
    void *symbol = dlsym(object->handle, name);
    *n_params = 0;
    if (at == NULL || symbol == NULL)
        return false;
    memcpy(kernel, &symbol, sizeof *kernel);
    for (const char *end; *at != ')'; at = end) {
        const char *begin = at + 1;
        end = begin + strcspn(begin, ",)");
        char *parameter = copy_text(begin, (size_t)(end - begin));
        const bool is_wide = strchr(parameter, '*') != NULL || strstr(parameter, "long") != NULL;
        free(parameter);
        if (*n_params == SIMT_PARAMS_MAX)
            return false;
        bytes[(*n_params)++] = is_wide ? 8 : 4;
    }
    return true;
}
