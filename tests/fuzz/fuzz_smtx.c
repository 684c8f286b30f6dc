/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz target: the .smtx loader (Deep Learning Matrix Collection text). */
#include "tests/fuzz/fuzz.h"
#include "tuner/input/loaders.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    return fuzz_parse(spt_parse_smtx, data, size);
}
