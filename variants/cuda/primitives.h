/* SPDX-License-Identifier: Apache-2.0 */
/* Put in front of every kernel text: what kernels may use beside plain loops. */
#define SPT_KERNEL extern "C" __global__ void
