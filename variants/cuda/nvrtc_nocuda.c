/* SPDX-License-Identifier: Apache-2.0 */
/* Stands in for nvrtc_cuda.c in a build without the CUDA toolkit's headers. */
#include "variants/cuda/binary.h"

const char *spt_nvrtc_version(void) {
    return "";
}

spt_status spt_nvrtc_compile(spt_cuda_binary *out, const spt_cuda_source *source, const char *arch) {
    (void)out;
    (void)source;
    (void)arch;
    return spt_fail(SPT_EUNSUPPORTED, "no compiler for CUDA kernels: this build has no CUDA support, because the CUDA "
                                      "toolkit's headers were not found when it was made");
}
