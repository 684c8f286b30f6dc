/* SPDX-License-Identifier: Apache-2.0 */
/* The race detector: per two bytes the last writer and two last readers with their stamps. Two accesses, one of them a
 * write, are a race unless they are of one thread or a barrier lies between them: __syncthreads for the block,
 * __syncwarp for the lanes of its mask, the end of a launch for the grid. Since order is judged by barriers and not by
 * who happened to run first, one schedule finds what another would hide. Of three and more readers only two are kept.
 */
#include <sys/mman.h>

#include "tests/simt/state.h"

simt_cell *simt_shadow_new(size_t bytes) {
    void *cells = mmap(NULL, (bytes / SIMT_GRANULE + 1) * sizeof(simt_cell), PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return cells == MAP_FAILED ? NULL : cells;
}

void simt_shadow_free(simt_cell *cells, size_t bytes) {
    munmap(cells, (bytes / SIMT_GRANULE + 1) * sizeof(simt_cell));
}

/* Is what `thread` did at `stamp` ordered before what the running thread does now? */
static bool is_ordered(simt_space space, uint32_t stamp, int thread) {
    const simt_thread *self = simt_now.self;
    if (stamp < (space == SIMT_SHARED ? simt_now.block_start : simt_now.launch_start))
        return true; /* of an earlier block or launch */
    if (stamp < simt_now.block_start)
        return false; /* another block of this launch */
    if (thread == self->linear || stamp <= simt_now.floor)
        return true;
    return thread / SIMT_WARP == self->linear / SIMT_WARP &&
           stamp <= simt_now.warps[thread / SIMT_WARP].seen[self->linear % SIMT_WARP][thread % SIMT_WARP];
}

/* Which bytes of a cell an access touches. */
static uint8_t mask_of(size_t cell, size_t offset, size_t bytes) {
    uint8_t mask = 0;
    for (size_t i = 0; i < SIMT_GRANULE; i++) {
        const size_t byte = cell * SIMT_GRANULE + i;
        mask = (uint8_t)(mask | (byte >= offset && byte < offset + bytes) << i);
    }
    return mask;
}

static const char *space_name(simt_space space) {
    return space == SIMT_SHARED ? "shared" : "global";
}

static void check_writer(const simt_cell *cell, simt_space space, uint8_t mask, const char *verb, int line) {
    if ((cell->write_mask & mask) == 0 || cell->write_stamp == 0)
        return;
    const uint32_t start = space == SIMT_SHARED ? simt_now.block_start : simt_now.launch_start;
    if (cell->is_pending && cell->write_stamp >= start)
        simt_fail(line, "%s bytes that a cp.async of line %d has not delivered; cp.async.wait_group is missing", verb,
                  cell->write_line);
    if (!is_ordered(space, cell->write_stamp, cell->writer))
        simt_fail(line, "race: %s %s memory that thread %d%s wrote at line %d, without a barrier between", verb,
                  space_name(space), cell->writer, cell->write_stamp < simt_now.block_start ? " of another block" : "",
                  cell->write_line);
}

void simt_shadow_read(simt_cell *cells, simt_space space, size_t offset, size_t bytes, int line) {
    const uint16_t self = (uint16_t)simt_now.self->linear;
    for (size_t i = offset / SIMT_GRANULE; i * SIMT_GRANULE < offset + bytes; i++) {
        simt_cell *cell = &cells[i];
        if (space == SIMT_SHARED && cell->write_stamp < simt_now.block_start)
            simt_fail(line, "reads shared memory that nobody has written in this block");
        check_writer(cell, space, mask_of(i, offset, bytes), "reads", line);
        const int slot = cell->reader[0] == self || cell->read_stamp[0] < simt_now.block_start ? 0 : 1;
        cell->reader[slot] = self;
        cell->read_stamp[slot] = simt_now.self->clock;
    }
}

void simt_shadow_write(simt_cell *cells, simt_space space, size_t offset, size_t bytes, bool is_atomic, int line) {
    for (size_t i = offset / SIMT_GRANULE; i * SIMT_GRANULE < offset + bytes; i++) {
        simt_cell *cell = &cells[i];
        const uint8_t mask = mask_of(i, offset, bytes);
        if (!(is_atomic && cell->is_atomic))
            check_writer(cell, space, mask, "overwrites", line);
        for (int r = 0; r < 2 && mask == 3; r++) { /* readers of single bytes are not told apart */
            if (!is_ordered(space, cell->read_stamp[r], cell->reader[r]))
                simt_fail(line, "race: overwrites %s memory that thread %d reads, without a barrier between",
                          space_name(space), cell->reader[r]);
        }
        cell->write_stamp = simt_now.self->clock;
        cell->writer = (uint16_t)simt_now.self->linear;
        cell->write_line = (uint16_t)line;
        cell->write_mask = mask;
        cell->is_pending = false;
        cell->is_atomic = is_atomic;
    }
}

void simt_shadow_pend(simt_cell *cells, size_t offset, size_t bytes) {
    for (size_t i = offset / SIMT_GRANULE; i * SIMT_GRANULE < offset + bytes; i++)
        cells[i].is_pending = true;
}

void simt_shadow_deliver(simt_cell *cells, size_t offset, size_t bytes) {
    for (size_t i = offset / SIMT_GRANULE; i * SIMT_GRANULE < offset + bytes; i++) {
        cells[i].is_pending = false;
        cells[i].write_stamp = simt_now.self->clock;
    }
}
