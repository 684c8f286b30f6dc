/* SPDX-License-Identifier: Apache-2.0 */
/* Times from events on a stream. An event's step is about half a microsecond, and a launch from the host takes two to
 * five: short work is captured REPLAYS times into a graph, whose kernels follow each other without the host. */
#include "core/cuda_driver.h"
#include "core/memory.h"
#include "variants/cuda/device.h"

enum { REPLAYS = 25 };
#define REPLAY_BELOW_NS 20e3

struct spt_cuda_clock {
    const spt_cuda_driver *driver;
    const spt_device *device;
    CUstream stream;
    CUevent begin, end;
    CUgraphExec graph; /* NULL: none */
    bool has_decided;  /* whether to replay */
    void *scrap;       /* overwritten to empty L2; NULL: hot */
    size_t scrap_bytes;
};

static spt_status make(spt_cuda_clock *self, size_t cold_bytes) {
    const spt_cuda_driver *driver = self->driver;
    SPT_TRY(spt_cuda_check(driver, driver->cuStreamCreate(&self->stream, CU_STREAM_NON_BLOCKING), "a stream"));
    SPT_TRY(spt_cuda_check(driver, driver->cuEventCreate(&self->begin, CU_EVENT_DEFAULT), "an event"));
    SPT_TRY(spt_cuda_check(driver, driver->cuEventCreate(&self->end, CU_EVENT_DEFAULT), "an event"));
    if (cold_bytes > 0)
        SPT_TRY(spt_cuda_alloc(&self->scrap, cold_bytes));
    self->scrap_bytes = cold_bytes;
    return SPT_OK;
}

spt_status spt_cuda_clock_new(spt_cuda_clock **out, const spt_device *device, size_t cold_bytes) {
    spt_cuda_clock *self;
    *out = NULL;
    SPT_TRY(SPT_NEW_ZEROED(self, 1));
    self->device = device;
    spt_status status = spt_cuda_driver_get(&self->driver);
    if (status == SPT_OK)
        status = make(self, cold_bytes);
    if (status != SPT_OK) {
        spt_cuda_clock_free(self);
        return status;
    }
    *out = self;
    return SPT_OK;
}

void spt_cuda_clock_free(spt_cuda_clock *self) {
    if (self == NULL)
        return;
    if (self->graph != NULL)
        self->driver->cuGraphExecDestroy(self->graph);
    if (self->begin != NULL)
        self->driver->cuEventDestroy(self->begin);
    if (self->end != NULL)
        self->driver->cuEventDestroy(self->end);
    if (self->stream != NULL)
        self->driver->cuStreamDestroy(self->stream);
    spt_cuda_free(self->scrap);
    spt_free(self);
}

/* One execution, or one replay of REPLAYS of them. */
static spt_status enqueue(spt_cuda_clock *self, spt_cuda_work *work, void *context) {
    if (self->graph != NULL)
        return spt_cuda_check(self->driver, self->driver->cuGraphLaunch(self->graph, self->stream), "a graph");
    return work(context, self->stream);
}

static spt_status time_between(double *ns, spt_cuda_clock *self, spt_cuda_work *work, void *context, long count) {
    const spt_cuda_driver *driver = self->driver;
    float ms = 0.0f;
    if (self->scrap != NULL)
        SPT_TRY(spt_cuda_fill(self->scrap, 0, self->scrap_bytes, self->stream));
    SPT_TRY(spt_cuda_check(driver, driver->cuEventRecord(self->begin, self->stream), "an event"));
    for (long i = 0; i < count; i++)
        SPT_TRY(enqueue(self, work, context));
    SPT_TRY(spt_cuda_check(driver, driver->cuEventRecord(self->end, self->stream), "an event"));
    SPT_TRY(spt_cuda_check(driver, driver->cuEventSynchronize(self->end), "the work on a stream"));
    SPT_TRY(spt_cuda_check(driver, driver->cuEventElapsedTime(&ms, self->begin, self->end), "a time"));
    *ns = (double)ms * 1e6;
    return SPT_OK;
}

/* Capture REPLAYS executions. A refusal leaves no graph and is no error: the work is launched then. */
static spt_status capture(spt_cuda_clock *self, spt_cuda_work *work, void *context) {
    const spt_cuda_driver *driver = self->driver;
    CUgraph graph = NULL;
    spt_status status = SPT_OK;
    if (driver->cuStreamBeginCapture(self->stream, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL) != CUDA_SUCCESS)
        return SPT_OK;
    for (int i = 0; i < REPLAYS && status == SPT_OK; i++)
        status = work(context, self->stream);
    const CUresult result = driver->cuStreamEndCapture(self->stream, &graph);
    if (status != SPT_OK || result != CUDA_SUCCESS ||
        driver->cuGraphInstantiateWithFlags(&self->graph, graph, 0) != CUDA_SUCCESS)
        self->graph = NULL;
    if (graph != NULL)
        driver->cuGraphDestroy(graph);
    return status == SPT_ENOMEM ? status : SPT_OK;
}

/* The second of two executions decides: the first one loads code. */
static spt_status decide(spt_cuda_clock *self, spt_cuda_work *work, void *context) {
    double ns = 0.0;
    self->has_decided = true;
    for (int i = 0; i < 2; i++)
        SPT_TRY(time_between(&ns, self, work, context, 1));
    if (ns >= REPLAY_BELOW_NS || self->scrap != NULL)
        return SPT_OK;
    return capture(self, work, context);
}

spt_status spt_cuda_clock_time(double *ns, spt_cuda_clock *self, spt_cuda_work *work, void *context, long calls) {
    if (!self->has_decided)
        SPT_TRY(decide(self, work, context));
    const long per_launch = self->graph != NULL ? REPLAYS : 1;
    const long count = self->scrap != NULL ? 1 : (calls + per_launch - 1) / per_launch;
    double total_ns = 0.0;
    SPT_TRY(time_between(&total_ns, self, work, context, count));
    *ns = total_ns / (double)(count * per_launch);
    return SPT_OK;
}

bool spt_cuda_clock_replays(const spt_cuda_clock *self) {
    return self->graph != NULL;
}
