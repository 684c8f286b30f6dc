/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz target: suites, and the generator specs that they hold. A small spec is generated as well. */
#include "tests/fuzz/fuzz.h"
#include "tuner/input/loaders.h"

#define CELLS_MAX 100000.0 /* larger patterns only take time */

/* Is MxK, after the kind's colon, small enough? Anything that is no such text is refused before memory is used. */
static int is_small(const char *spec) {
    double rows = 0.0, cols = 0.0;
    const char *colon = strchr(spec, ':');
    return colon == NULL || sscanf(colon + 1, "%lfx%lf", &rows, &cols) != 2 || rows * cols <= CELLS_MAX;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const spt_input_options options = {.min_sparsity = 0.0, .seed = 1};
    spt_layer_list list = {0};
    char path[64];
    int descriptor = fuzz_file(path, sizeof path, data, size);
    spt_status status = spt_layers_add_suite(&list, path, &options);
    FUZZ_EXPECT(status == SPT_OK || spt_last_error()[0] != '\0');
    for (int64_t i = 0; status == SPT_OK && i < list.count; i++) {
        const spt_layer *layer = &list.items[i];
        FUZZ_EXPECT(layer->name != NULL && layer->source != NULL && layer->count >= 1 && layer->n >= 0);
        spt_matrix matrix = {0};
        if (!spt_is_generator(layer->source) || !is_small(layer->source))
            continue;
        if (spt_generate(&matrix, layer->source, 1) == SPT_OK)
            FUZZ_EXPECT(spt_csr_check(&matrix.view, "result") == SPT_OK);
        spt_matrix_fini(&matrix);
    }
    spt_layer_list_fini(&list);
    close(descriptor);
    FUZZ_EXPECT(spt_memory_live() == 0);
    return 0;
}
