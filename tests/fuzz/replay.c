/* SPDX-License-Identifier: Apache-2.0 */
/* Run a fuzz target on files, and on the files of folders, without a fuzzer: so the corpus is a test.
 * usage: fuzz_NAME FILE|FOLDER... */
#include <dirent.h>
#include <sys/stat.h>

#include "core/file.h"
#include "tests/fuzz/fuzz.h"

#define INPUT_BYTES_MAX ((size_t)64 << 20)

static int replay_file(const char *path) {
    char *data;
    size_t size;
    if (spt_file_read(&data, &size, path, INPUT_BYTES_MAX) != SPT_OK) {
        fprintf(stderr, "%s\n", spt_last_error());
        return -1;
    }
    uint8_t *copy = malloc(size > 0 ? size : 1); /* as libFuzzer hands it over: no byte behind it */
    FUZZ_EXPECT(copy != NULL);
    memcpy(copy, data, size);
    spt_free(data);
    fprintf(stderr, "%s\n", path); /* so that the log of a crash names the file */
    LLVMFuzzerTestOneInput(copy, size);
    free(copy);
    return 1;
}

/* Returns the number of inputs, or -1. */
static int replay(const char *path) {
    struct stat info;
    int n_inputs = 0;
    if (stat(path, &info) != 0 || !S_ISDIR(info.st_mode))
        return replay_file(path);
    DIR *folder = opendir(path);
    FUZZ_EXPECT(folder != NULL);
    for (struct dirent *entry; (entry = readdir(folder)) != NULL && n_inputs >= 0;) {
        char file[4096];
        if (entry->d_name[0] == '.')
            continue;
        FUZZ_EXPECT(snprintf(file, sizeof file, "%s/%s", path, entry->d_name) < (int)sizeof file);
        n_inputs = replay_file(file) < 0 ? -1 : n_inputs + 1;
    }
    closedir(folder);
    return n_inputs;
}

int main(int argc, char **argv) {
    int n_inputs = 0;
    for (int i = 1; i < argc; i++) {
        int count = replay(argv[i]);
        if (count < 0)
            return 1;
        n_inputs += count;
    }
    printf("%d inputs\n", n_inputs);
    return n_inputs > 0 ? 0 : 1; /* an empty corpus proves nothing */
}
