/* SPDX-License-Identifier: Apache-2.0 */
/* Stands in for hardware_cuda.c in a build without the CUDA toolkit's headers. */
#include "core/hardware_arch.h"

spt_status spt_device_detect_cuda(spt_device *out, int ordinal) {
    (void)ordinal;
    *out = (spt_device){.kind = SPT_CUDA};
    return spt_fail(SPT_EUNSUPPORTED,
                    "no CUDA device: this build has no CUDA support, because the CUDA toolkit's headers "
                    "were not found when it was made");
}
