/* SPDX-License-Identifier: Apache-2.0 */
/* Operations of a warp: every lane of the mask comes with its operand, the last one computes for all. A mask must name
 * its own lane and no lane that is absent, and all its lanes must come to the same line with the same mask. */
#include <string.h>

#include "tests/simt/state.h"

static const char *const op_names[SIMT_N_OPS] = {
    [SIMT_SYNCWARP] = "__syncwarp",
    [SIMT_SHFL] = "shfl",
    [SIMT_SHFL_UP] = "shfl.up",
    [SIMT_SHFL_DOWN] = "shfl.down",
    [SIMT_SHFL_XOR] = "shfl.xor",
    [SIMT_BALLOT] = "ballot",
    [SIMT_ANY] = "any",
    [SIMT_ALL] = "all",
    [SIMT_REDUCE_ADD] = "redux.add",
    [SIMT_REDUCE_MIN] = "redux.min",
    [SIMT_REDUCE_MAX] = "redux.max",
    [SIMT_LDMATRIX] = "ldmatrix",
    [SIMT_LDMATRIX_TRANS] = "ldmatrix.trans",
    [SIMT_MMA] = "mma",
};

static simt_thread *lane_at(int lane) {
    return &simt_now.threads[simt_now.self->linear / SIMT_WARP * SIMT_WARP + lane];
}

/* May the running thread ask for this mask now? */
static void check_mask(simt_op op, unsigned mask, int line) {
    const simt_thread *self = simt_now.self;
    const int first = self->linear / SIMT_WARP * SIMT_WARP;
    if ((mask >> self->linear % SIMT_WARP & 1) == 0)
        simt_fail(line, "%s with mask 0x%08x, which does not name the lane itself", op_names[op], mask);
    for (int lane = 0; lane < SIMT_WARP; lane++) {
        if ((mask >> lane & 1) == 0)
            continue;
        if (first + lane >= simt_now.n_threads)
            simt_fail(line, "%s with mask 0x%08x, which names the absent lane %d", op_names[op], mask, lane);
        const simt_thread *other = lane_at(lane);
        if (other->status == SIMT_EXITED)
            simt_fail(line, "%s with mask 0x%08x, which names lane %d, and that has returned", op_names[op], mask,
                      lane);
        if (other->status == SIMT_AT_WARP && (other->mask >> self->linear % SIMT_WARP & 1) != 0 &&
            (other->op != op || other->mask != mask || other->line != line))
            simt_fail(line, "divergent: lane %d waits in %s of line %d with mask 0x%08x, this lane in %s with 0x%08x",
                      lane, op_names[other->op], other->line, other->mask, op_names[op], mask);
    }
    if (op >= SIMT_LDMATRIX && mask != 0xffffffffu)
        simt_fail(line, "%s needs the whole warp", op_names[op]);
}

static bool all_have_come(simt_op op, unsigned mask, int line) {
    for (int lane = 0; lane < SIMT_WARP; lane++) {
        const simt_thread *other = lane_at(lane);
        if ((mask >> lane & 1) != 0 && other != simt_now.self &&
            (other->status != SIMT_AT_WARP || other->op != op || other->mask != mask || other->line != line))
            return false;
    }
    return true;
}

/* Everybody of the mask is ordered after what the others did until now. */
static void order_lanes(unsigned mask) {
    simt_warp_order *order = &simt_now.warps[simt_now.self->linear / SIMT_WARP];
    uint32_t joined[SIMT_WARP] = {0};
    for (int lane = 0; lane < SIMT_WARP; lane++) {
        for (int i = 0; i < SIMT_WARP && (mask >> lane & 1) != 0; i++)
            joined[i] = order->seen[lane][i] > joined[i] ? order->seen[lane][i] : joined[i];
        if ((mask >> lane & 1) != 0 && lane_at(lane)->clock > joined[lane])
            joined[lane] = lane_at(lane)->clock;
    }
    simt_now.stamp++;
    for (int lane = 0; lane < SIMT_WARP; lane++) {
        if ((mask >> lane & 1) == 0)
            continue;
        memcpy(order->seen[lane], joined, sizeof joined);
        lane_at(lane)->clock = simt_now.stamp;
    }
}

/* The lane that a shuffle reads; itself when the source is outside of its segment. */
static int source_of(simt_op op, int lane, const simt_scalar *io, int line) {
    if (io->width <= 0 || io->width > SIMT_WARP || (io->width & (io->width - 1)) != 0)
        simt_fail(line, "%s with width %d; a power of two up to 32 is legal", op_names[op], io->width);
    const int first = lane / io->width * io->width;
    int source = first + io->lane % io->width;
    if (op == SIMT_SHFL_UP)
        source = lane - io->lane >= first ? lane - io->lane : lane;
    else if (op == SIMT_SHFL_DOWN)
        source = lane + io->lane < first + io->width ? lane + io->lane : lane;
    else if (op == SIMT_SHFL_XOR)
        source = (lane ^ io->lane) < first + io->width ? lane ^ io->lane : lane;
    return source;
}

static void shuffle_all(simt_op op, unsigned mask, simt_scalar *const io[SIMT_WARP], int line) {
    uint32_t values[SIMT_WARP] = {0};
    for (int lane = 0; lane < SIMT_WARP; lane++)
        values[lane] = (mask >> lane & 1) != 0 ? io[lane]->value : 0;
    for (int lane = 0; lane < SIMT_WARP; lane++) {
        if ((mask >> lane & 1) == 0)
            continue;
        const int source = source_of(op, lane, io[lane], line);
        if ((mask >> source & 1) == 0)
            simt_fail(line, "%s: lane %d reads lane %d, which the mask 0x%08x does not name", op_names[op], lane,
                      source, mask);
        io[lane]->value = values[source];
    }
}

static void reduce_all(simt_op op, unsigned mask, simt_scalar *const io[SIMT_WARP]) {
    uint32_t ballot = 0, sum = 0;
    int32_t least = INT32_MAX, greatest = INT32_MIN;
    for (int lane = 0; lane < SIMT_WARP; lane++) {
        if ((mask >> lane & 1) == 0)
            continue;
        const int32_t value = (int32_t)io[lane]->value;
        ballot |= (uint32_t)(value != 0) << lane;
        sum += io[lane]->value;
        least = value < least ? value : least;
        greatest = value > greatest ? value : greatest;
    }
    const uint32_t result[SIMT_N_OPS] = {
        [SIMT_BALLOT] = ballot,
        [SIMT_ANY] = ballot != 0,
        [SIMT_ALL] = ballot == mask,
        [SIMT_REDUCE_ADD] = sum,
        [SIMT_REDUCE_MIN] = (uint32_t)least,
        [SIMT_REDUCE_MAX] = (uint32_t)greatest,
    };
    for (int lane = 0; lane < SIMT_WARP; lane++) {
        if ((mask >> lane & 1) != 0)
            io[lane]->value = result[op];
    }
}

/* Matrix i has its rows at the addresses of lanes 8i to 8i+7. A lane gets elements (lane/4, 2(lane%4)) and the next of
 * each matrix, or of its transpose. */
static void ldmatrix_all(bool is_transposed, simt_ldmatrix *const io[SIMT_WARP]) {
    for (int lane = 0; lane < SIMT_WARP; lane++) {
        for (int i = 0; i < io[lane]->n_matrices; i++) {
            uint16_t pair[2];
            for (int j = 0; j < 2; j++) {
                const int a = lane / 4, b = lane % 4 * 2 + j;
                const int row = is_transposed ? b : a, column = is_transposed ? a : b;
                memcpy(&pair[j], (const char *)io[8 * i + row]->row + 2 * column, sizeof pair[j]);
            }
            memcpy(&io[lane]->d[i], pair, sizeof pair);
        }
    }
}

static void compute_all(simt_op op, unsigned mask, int line) {
    void *io[SIMT_WARP];
    for (int lane = 0; lane < SIMT_WARP; lane++)
        io[lane] = (mask >> lane & 1) != 0 ? lane_at(lane)->io : NULL;
    if (op == SIMT_SYNCWARP)
        order_lanes(mask);
    else if (op <= SIMT_SHFL_XOR)
        shuffle_all(op, mask, (simt_scalar *const *)io, line);
    else if (op <= SIMT_REDUCE_MAX)
        reduce_all(op, mask, (simt_scalar *const *)io);
    else if (op <= SIMT_LDMATRIX_TRANS)
        ldmatrix_all(op == SIMT_LDMATRIX_TRANS, (simt_ldmatrix *const *)io);
    else
        simt_mma_all(io, line);
}

void simt_warp(simt_op op, unsigned mask, void *io, size_t bytes, int line) {
    simt_thread *self = simt_now.self;
    check_mask(op, mask, line);
    if (op == SIMT_LDMATRIX || op == SIMT_LDMATRIX_TRANS) {
        const simt_ldmatrix *load = io;
        if (self->linear % SIMT_WARP < 8 * load->n_matrices)
            simt_read(SIMT_SHARED, load->row, 16, line);
    }
    self->op = op;
    self->mask = mask;
    self->io = io;
    self->io_bytes = bytes;
    self->line = line;
    if (!all_have_come(op, mask, line)) {
        simt_wait(SIMT_AT_WARP, line);
        return;
    }
    compute_all(op, mask, line);
    for (int lane = 0; lane < SIMT_WARP; lane++) {
        if ((mask >> lane & 1) != 0)
            lane_at(lane)->status = SIMT_RUNNABLE;
    }
}
