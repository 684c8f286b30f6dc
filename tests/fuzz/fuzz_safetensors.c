/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz target: the .safetensors reader: list the tensors, then load every one that was listed. */
#include "tests/fuzz/fuzz.h"
#include "tuner/input/loaders.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const spt_input_options options = {.min_sparsity = 0.0, .seed = 1};
    spt_layer_list list = {0};
    char path[64];
    int descriptor = fuzz_file(path, sizeof path, data, size);
    spt_status status = spt_safetensors_list(&list, path, &options);
    FUZZ_EXPECT(status == SPT_OK || spt_last_error()[0] != '\0');
    for (int64_t i = 0; status == SPT_OK && i < list.count; i++) {
        spt_matrix matrix = {0};
        status = spt_safetensors_load(&matrix, path, list.items[i].tensor);
        FUZZ_EXPECT(status != SPT_ENOTFOUND); /* what was listed is there */
        if (status == SPT_OK) {
            FUZZ_EXPECT(spt_csr_check(&matrix.view, "result") == SPT_OK);
            FUZZ_EXPECT(spt_csr_check_finite(&matrix.view, "result") == SPT_OK);
        }
        spt_matrix_fini(&matrix);
    }
    spt_layer_list_fini(&list);
    close(descriptor);
    FUZZ_EXPECT(spt_memory_live() == 0);
    return 0;
}
