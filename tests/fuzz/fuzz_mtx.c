/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz target: the .mtx loader (Matrix Market text). */
#include "tests/fuzz/fuzz.h"
#include "tuner/input/loaders.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    return fuzz_parse(spt_parse_mtx, data, size);
}
