/* SPDX-License-Identifier: Apache-2.0 */
/* Where NVIDIA's libraries are looked for. */
#ifndef SPT_VARIANTS_CUDA_LIBRARY_PATH_H
#define SPT_VARIANTS_CUDA_LIBRARY_PATH_H

/* Open the first of the NULL-terminated names that the loader finds, then the first in the folders of
 * $SPARSETUNE_CUDA_PATH (separated by ':'), then in the toolkit's own. NULL when there is none, or SPARSETUNE_CUDA=off.
 */
void *spt_cuda_library_open(const char *const *names);

#endif
