/* SPDX-License-Identifier: Apache-2.0 */
/* A CUDA device's memory, streams and clock, for those who may not include the driver: the engine, the tuner's worker.
 * In a build without CUDA support every function answers EUNSUPPORTED. */
#ifndef SPT_VARIANTS_CUDA_DEVICE_H
#define SPT_VARIANTS_CUDA_DEVICE_H

#include <stdbool.h>
#include <stddef.h>

#include "core/hardware.h"

/* Make the device's primary context current on this thread, and give back what was. Every function below needs it.
 * The context is retained once per process and never released. Threads: safe. */
spt_status spt_cuda_enter(const spt_device *device);
void spt_cuda_leave(const spt_device *device);

spt_status spt_cuda_alloc(void **out, size_t bytes); /* ENOMEM; a zero size gives a valid pointer */
void spt_cuda_free(void *pointer);                   /* NULL is allowed */
spt_status spt_cuda_upload(void *to, const void *from, size_t bytes);
spt_status spt_cuda_download(void *to, const void *from, size_t bytes);
spt_status spt_cuda_fill(void *to, int byte, size_t bytes, void *stream); /* asynchronous */
spt_status spt_cuda_synchronize(void *stream);
bool spt_cuda_knows_pointer(const void *pointer); /* does the driver know it: device, managed or pinned memory */

/* A clock: one stream, two events, and a graph for work that is too short to be launched one by one. */
typedef struct spt_cuda_clock spt_cuda_clock;
typedef spt_status spt_cuda_work(void *context, void *stream); /* enqueue one execution */

/* cold_bytes: what is overwritten before each timed execution to empty L2; 0: caches stay hot.
 * Owns: spt_cuda_clock_free. */
spt_status spt_cuda_clock_new(spt_cuda_clock **out, const spt_device *device, size_t cold_bytes);
void spt_cuda_clock_free(spt_cuda_clock *clock); /* NULL is allowed */

/* ns per execution over `calls` of them, as events on the stream tell. Executions shorter than 20 us are captured once
 * and replayed from a graph, so that launches do not hide them; a library that refuses to be captured is launched.
 * The work of a clock stays the same over its life. */
spt_status spt_cuda_clock_time(double *ns, spt_cuda_clock *clock, spt_cuda_work *work, void *context, long calls);
bool spt_cuda_clock_replays(const spt_cuda_clock *clock); /* did it come to a graph */

#endif
