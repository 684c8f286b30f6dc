/* SPDX-License-Identifier: Apache-2.0 */
/* Stands in for jitlink_cuda.c in a build without the CUDA toolkit's headers. */
#include "variants/cuda/jitlink.h"

const char *spt_jitlink_version(void) {
    return "";
}

spt_status spt_jitlink_compile(spt_cuda_binary *out, const spt_cuda_source *source, const char *arch) {
    (void)out;
    (void)source;
    (void)arch;
    return spt_fail(SPT_EUNSUPPORTED,
                    "this build has no assembler for PTX, because the CUDA toolkit's headers were not "
                    "found when it was made");
}
