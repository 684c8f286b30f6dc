/* SPDX-License-Identifier: Apache-2.0 */
/* spmm_bcsr_amx: A in blocks of 32 x 32 on the matrix tiles of AMX, f32 operands as three bf16 terms (amx.h). Blocks
 * without nonzeros are left out; all other zeros are multiplied, six products for one at twelve to sixteen times the
 * rate of vectors. Operands below 2^-100 lose bits, as the terms have no subnormals; above 3.39e38 they overflow.
 * Workload: layers that are up to some 60 % sparse, and block patterns.
 *
 * In layout kn rows of C are rows of A, the left operand; in nk they are rows of B, and A is the right one. Packed A:
 * the terms of its blocks, slice by slice of the depth within 32 rows. B is split and packed a slice at a time. */
#include <string.h>

#include "core/memory.h"
#include "variants/bound.h"
#include "variants/cpu/amx.h"
#include "variants/cpu/simd.h"
#include "variants/epilogue.h"
#include "variants/family.h"
#include "variants/isa.h"
#include "variants/parts.h"

enum { AXIS_KB, AXIS_NB, N_AXES };
enum { PAD = 32 }; /* bf16 between packed strips: a line, or a row of all strips would fall into one set of L1 */

typedef struct amx_state {
    int64_t m, k, nnz, n_groups;    /* of 32 rows of A */
    int64_t n_slices, slice_blocks; /* B is packed for so many blocks of depth at a time */
    int64_t block_columns;          /* columns of C per pass over A */
    int64_t *start;                 /* n_groups x n_slices + 1: first block of each group and slice */
    int32_t *position;              /* per block: its place in the slice */
    int64_t *place;                 /* nnz: where the first term of each value goes */
    uint16_t *blocks;               /* per block three terms of two tiles */
} amx_state;

SPT_INLINE int64_t amx_min(int64_t a, int64_t b) {
    return a < b ? a : b;
}

/* bf16 from one packed strip of 32 columns of C to the next. */
SPT_INLINE int64_t amx_slot(const amx_state *state) {
    return state->slice_blocks * AMX_BLOCK + PAD;
}

typedef void amx_run(const amx_state *state, const spt_call *call, const spt_problem *problem, spt_range groups,
                     spt_range columns);

#if SPT_ISA == 3

/* Columns of C that are computed together, and the packed slice of B that they need. */
typedef struct amx_piece {
    const spt_call *call;
    int64_t first, columns;
    uint16_t *packed;
    int64_t slot;
} amx_piece;

/* Layout kn: rows of B from `begin` become block `position` of every strip. Rows outermost: what is read of a row lies
 * together. */
static void amx_pack_rows(const amx_piece *piece, int64_t position, int64_t begin, int64_t k) {
    const int64_t ldb = piece->call->ldb, depth = amx_min(AMX_SIDE, k - begin);
    for (int64_t row = 0; row < AMX_SIDE; row += 2) {
        const float *even = (const float *)piece->call->b + (begin + row) * ldb + piece->first;
        uint16_t *to = piece->packed + position * AMX_BLOCK + row * AMX_SIDE / 2;
        for (int64_t j = 0; j < piece->columns; j += AMX_SIDE, to += piece->slot) {
            for (int64_t tile = 0; tile < 2; tile++) {
                const int64_t at = j + tile * SPT_LANES, left = piece->columns - at;
                const spt_mask mask = vec_first((int)(left < 0 ? 0 : amx_min(left, SPT_LANES)));
                const spt_vec first = row < depth ? vec_load_masked(mask, even + at) : vec_zero();
                const spt_vec second = row + 1 < depth ? vec_load_masked(mask, even + ldb + at) : vec_zero();
                amx_pack_pair(to + tile * AMX_TILE, first, second);
            }
        }
    }
}

/* Layout nk: the same, where a row's depth lies together. */
static void amx_pack_columns(const amx_piece *piece, int64_t position, int64_t begin, int64_t k) {
    const int64_t depth = amx_min(AMX_SIDE, k - begin);
    const spt_mask low = vec_first((int)amx_min(depth, SPT_LANES));
    const spt_mask high = vec_first((int)(depth > SPT_LANES ? depth - SPT_LANES : 0));
    for (int64_t j = 0; j < piece->columns; j++) {
        const float *from = (const float *)piece->call->b + (piece->first + j) * piece->call->ldb + begin;
        uint16_t *strip = piece->packed + j / AMX_SIDE * piece->slot + position * AMX_BLOCK;
        amx_pack_row(strip + j % AMX_SIDE * AMX_SIDE, vec_load_masked(low, from),
                     vec_load_masked(high, from + SPT_LANES));
    }
}

static void amx_pack_slice(const amx_state *state, spt_layout layout, const amx_piece *piece, int64_t slice) {
    const int64_t begin = slice * state->slice_blocks * AMX_SIDE;
    for (int64_t i = 0; i < state->slice_blocks && begin + i * AMX_SIDE < state->k; i++) {
        if (layout == SPT_NK)
            amx_pack_columns(piece, i, begin + i * AMX_SIDE, state->k);
        else
            amx_pack_rows(piece, i, begin + i * AMX_SIDE, state->k);
    }
}

/* Where a block of sums goes in C, and what becomes of it. */
typedef struct amx_target {
    float *c;
    int64_t ldc, rows, columns;          /* as C lies in memory */
    const float *row_bias, *column_bias; /* at most one of them */
    bool adds, has_relu;
} amx_target;

static void amx_finish(const amx_target *target, float sums[AMX_SIDE][AMX_SIDE]) {
    for (int64_t row = 0; row < target->rows; row++) {
        float *c = target->c + row * target->ldc;
        for (int64_t j = 0; j < target->columns; j += SPT_LANES) {
            const spt_mask mask = vec_first((int)amx_min(target->columns - j, SPT_LANES));
            spt_vec sum = vec_load(&sums[row][j]);
            if (target->adds)
                sum = vec_add(sum, vec_load_masked(mask, c + j));
            if (target->row_bias != NULL)
                sum = vec_add(sum, vec_set1(target->row_bias[row]));
            if (target->column_bias != NULL)
                sum = vec_add(sum, vec_load_masked(mask, target->column_bias + j));
            vec_store_masked(mask, c + j, target->has_relu ? vec_relu(sum) : sum);
        }
    }
}

/* The blocks of one group and slice times all strips of a piece. */
AMX_CODE static void amx_group(const amx_state *state, const spt_problem *problem, const amx_piece *piece,
                               int64_t group, int64_t slice) {
    const spt_call *call = piece->call;
    const bool is_nk = problem->layout == SPT_NK, is_first = slice == 0, is_last = slice == state->n_slices - 1;
    const int64_t *start = state->start + group * state->n_slices + slice;
    const int64_t row = group * AMX_SIDE, n_rows = amx_min(AMX_SIDE, state->m - row);
    const float *bias = is_first && call->bias != NULL ? (const float *)call->bias + row : NULL;
    float sums[AMX_SIDE][AMX_SIDE] __attribute__((aligned(64)));
    for (int64_t j = 0; j < piece->columns; j += AMX_SIDE) {
        const uint16_t *strip = piece->packed + j / AMX_SIDE * piece->slot;
        const int64_t column = piece->first + j, n_columns = amx_min(AMX_SIDE, piece->columns - j);
        const amx_target target = {
            .c = (float *)call->c + (is_nk ? column * call->ldc + row : row * call->ldc + column),
            .ldc = call->ldc,
            .rows = is_nk ? n_columns : n_rows,
            .columns = is_nk ? n_rows : n_columns,
            .row_bias = is_nk ? NULL : bias,
            .column_bias = is_nk ? bias : NULL,
            .adds = !is_first,
            .has_relu = is_last && spt_epilogue_get(problem->epilogue)->activation == SPT_RELU,
        };
        amx_clear();
        for (int64_t block = start[0]; block < start[1]; block++) {
            const uint16_t *a = state->blocks + block * AMX_BLOCK, *b = strip + state->position[block] * AMX_BLOCK;
            amx_multiply(is_nk ? b : a, is_nk ? a : b);
        }
        amx_store(sums);
        amx_finish(&target, sums);
    }
}

extern amx_run amx_run_f32_avx512;
void amx_run_f32_avx512(const amx_state *state, const spt_call *call, const spt_problem *problem, spt_range groups,
                        spt_range columns) {
    amx_begin();
    for (int64_t j = columns.begin; j < columns.end; j += state->block_columns) {
        const amx_piece piece = {.call = call,
                                 .first = j,
                                 .columns = amx_min(state->block_columns, columns.end - j),
                                 .packed = call->workspace,
                                 .slot = amx_slot(state)};
        for (int64_t slice = 0; slice < state->n_slices; slice++) {
            amx_pack_slice(state, problem->layout, &piece, slice);
            for (int64_t group = groups.begin; group < groups.end; group++)
                amx_group(state, problem, &piece, group, slice);
        }
    }
    amx_end();
}

#endif

#if SPT_EMIT_DESCRIPTOR

#if defined(__x86_64__)
extern amx_run amx_run_f32_avx512;
static amx_run *const run_f32 = amx_run_f32_avx512;
#else
static amx_run *const run_f32 = NULL; /* no point is valid */
#endif

static const spt_axis_value kb_values[] = {{128, NULL}, {256, NULL}, {512, NULL}, {1024, NULL}, {0, "all"}};
static const spt_axis_value nb_values[] = {{64, NULL}, {128, NULL}, {256, NULL}, {512, NULL}, {1024, NULL}};
static const spt_axis axes[N_AXES] = {
    [AXIS_KB] = {"kb", "columns of A per slice of packed B", kb_values, 5},
    [AXIS_NB] = {"nb", "columns of C per pass over A", nb_values, 5},
};

static spt_status available(const spt_device *device) {
    return spt_device_may_use_tiles(device)
               ? SPT_OK
               : spt_fail(SPT_EUNSUPPORTED, "matrix tiles for bf16 (amx_bf16) are absent or not allowed here");
}

static bool is_valid(const spt_workload *workload, const spt_device *device, const spt_point *point) {
    const int64_t kb = spt_point_value(axes, point, AXIS_KB), nb = spt_point_value(axes, point, AXIS_NB);
    const bool is_nb_used = nb == nb_values[0].value || nb / 2 < workload->problem.n;
    return device->isa == SPT_ISA_AVX512 && (kb == 0 || kb < workload->pattern.n_cols) && is_nb_used &&
           workload->problem.n >= 16;
}

/* Splitting an element of B and storing its terms. */
#define SPLIT_NS 0.14

static double bound_ns(const spt_workload *workload, const spt_device *device, const spt_point *point) {
    const spt_ceilings *ceilings = spt_ceilings_get(device);
    const double m = (double)workload->pattern.n_rows, k = (double)workload->pattern.n_cols;
    const double n = (double)workload->problem.n, kb = spt_point_value(axes, point, AXIS_KB);
    const double nb = spt_point_value(axes, point, AXIS_NB), passes = nb < n ? n / nb : 1.0;
    const double slices = kb > 0.0 && kb < k ? k / kb : 1.0;
    /* 32 x 32 blocks with nonzeros: all, unless even 16 x 16 ones are dense where they are not empty. */
    const double fill = workload->pattern.features.fill_16x16, cells = (double)workload->pattern.nnz;
    const double blocks = fill > 0.0 && cells / fill < m * k ? cells / fill / (m * k) : 1.0;
    const double multiply_ns = 2.0 * SPT_TILE_PRODUCTS * m * k * blocks * n / ceilings->tile_gflops;
    const double a_ns = passes * spt_fill_ns(ceilings, device, 6.0 * m * k * blocks, 6.0 * m * k * blocks);
    const double b_ns = k * n * SPLIT_NS + spt_read_ns(ceilings, device, 4.0 * k * n, 4.0 * k * n);
    const double c_ns = slices * spt_fill_ns(ceilings, device, 8.0 * m * n, 4.0 * m * n);
    return (multiply_ns + a_ns + b_ns + c_ns) / workload->problem.threads;
}

static void default_point(const spt_workload *workload, const spt_device *device, spt_point *out) {
    const uint32_t tried[N_AXES] = {[AXIS_KB] = SPT_TRY_ALL, [AXIS_NB] = SPT_TRY_ALL};
    spt_family_least_bound(out, &spt_family_spmm_bcsr_amx, tried, workload, device);
}

static void release(spt_prepared *prepared) {
    amx_state *state = prepared->state;
    if (state == NULL)
        return;
    spt_free(state->start);
    spt_free(state->position);
    spt_free(state->place);
    spt_free(state->blocks);
    spt_free(state);
    prepared->state = NULL;
}

/* The nearest bf16, as the kernels split B; what it leaves stays in value. */
static uint16_t take_term(float *value) {
    uint32_t bits;
    float term;
    memcpy(&bits, value, sizeof bits);
    bits = (bits + 0x8000u) & 0xffff0000u;
    memcpy(&term, &bits, sizeof term);
    *value -= term;
    return (uint16_t)(bits >> 16);
}

static spt_status set_values(spt_prepared *prepared, const void *values) {
    const amx_state *state = prepared->state;
    for (int64_t nz = 0; nz < state->nnz; nz++) {
        float value = ((const float *)values)[nz];
        for (int i = 0; i < AMX_TERMS; i++)
            state->blocks[state->place[nz] + i * AMX_TERM] = take_term(&value);
    }
    return SPT_OK;
}

/* Where element (row, column) of a block of A lies: in a left operand in layout kn, in a right one in nk. */
static int64_t place_in_block(spt_layout layout, int64_t row, int64_t column) {
    const int64_t tile = row / 16 * AMX_TILE;
    return layout == SPT_KN ? tile + row % 16 * AMX_SIDE + column
                            : tile + column / 2 * AMX_SIDE + row % 16 * 2 + column % 2;
}

/* number[i] = how many blocks of a group lie in column i of blocks or left of it; *last = all of them. */
static void count_blocks(const amx_state *state, const spt_csr *a, int64_t group, int64_t *number, int64_t *last) {
    const int64_t n_columns = (state->k + AMX_SIDE - 1) / AMX_SIDE;
    const int64_t begin = group * AMX_SIDE, end = amx_min(begin + AMX_SIDE, state->m);
    int64_t count = 0;
    memset(number, 0, (size_t)n_columns * sizeof *number);
    for (int64_t nz = a->row_offsets[begin]; nz < a->row_offsets[end]; nz++)
        number[a->columns[nz] / AMX_SIDE] = 1;
    for (int64_t i = 0; i < n_columns; i++)
        number[i] = count += number[i];
    *last = count;
}

/* Lay out one group's blocks from `first` on. */
static void place_group(const amx_state *state, const spt_csr *a, spt_layout layout, int64_t group,
                        const int64_t *number, int64_t first) {
    const int64_t n_columns = (state->k + AMX_SIDE - 1) / AMX_SIDE, begin = group * AMX_SIDE;
    for (int64_t slice = 0; slice < state->n_slices; slice++) {
        const int64_t before = slice * state->slice_blocks;
        state->start[group * state->n_slices + slice] = first + (before > 0 ? number[before - 1] : 0);
    }
    for (int64_t i = 0; i < n_columns; i++) {
        if (number[i] > (i > 0 ? number[i - 1] : 0))
            state->position[first + number[i] - 1] = (int32_t)(i % state->slice_blocks);
    }
    for (int64_t row = begin; row < amx_min(begin + AMX_SIDE, state->m); row++) {
        for (int64_t nz = a->row_offsets[row]; nz < a->row_offsets[row + 1]; nz++)
            state->place[nz] = (first + number[a->columns[nz] / AMX_SIDE] - 1) * AMX_BLOCK +
                               place_in_block(layout, row - begin, a->columns[nz] % AMX_SIDE);
    }
}

/* Two passes over the groups: the first counts, the second places. */
static spt_status fill_blocks(amx_state *state, const spt_csr *a, spt_layout layout) {
    int64_t *number, count, n_blocks = 0;
    spt_status status = SPT_OK;
    SPT_TRY(SPT_NEW(number, state->k / AMX_SIDE + 1));
    for (int64_t group = 0; group < state->n_groups; group++) {
        count_blocks(state, a, group, number, &count);
        n_blocks += count;
    }
    SPT_TRY_TO(done, SPT_NEW(state->start, state->n_groups * state->n_slices + 1));
    SPT_TRY_TO(done, SPT_NEW(state->position, n_blocks));
    SPT_TRY_TO(done, SPT_NEW_ZEROED(state->blocks, n_blocks * AMX_BLOCK));
    n_blocks = 0;
    for (int64_t group = 0; group < state->n_groups; group++, n_blocks += count) {
        count_blocks(state, a, group, number, &count);
        place_group(state, a, layout, group, number, n_blocks);
    }
    state->start[state->n_groups * state->n_slices] = n_blocks;
done:
    spt_free(number);
    return status;
}

static spt_status prepare(spt_prepared *prepared, const spt_csr *a) {
    const spt_point *point = &prepared->point;
    SPT_TRY(available(&prepared->device)); /* each process asks for itself */
    const int64_t nnz = spt_csr_nnz(a), n_columns = (a->n_cols + AMX_SIDE - 1) / AMX_SIDE;
    const int64_t kb = spt_point_value(axes, point, AXIS_KB);
    amx_state *state;
    spt_status status = SPT_OK;
    SPT_TRY(SPT_NEW_ZEROED(state, 1));
    prepared->state = state;
    *state = (amx_state){.m = a->n_rows,
                         .k = a->n_cols,
                         .nnz = nnz,
                         .n_groups = (a->n_rows + AMX_SIDE - 1) / AMX_SIDE,
                         .slice_blocks = kb > 0          ? kb / AMX_SIDE
                                         : n_columns > 0 ? n_columns
                                                         : 1,
                         .block_columns = spt_point_value(axes, point, AXIS_NB)};
    state->n_slices = n_columns > 0 ? (n_columns + state->slice_blocks - 1) / state->slice_blocks : 1;
    SPT_TRY_TO(done, SPT_NEW(state->place, nnz));
    SPT_TRY_TO(done, fill_blocks(state, a, prepared->workload.problem.layout));
    SPT_TRY_TO(done, set_values(prepared, a->values));
    const int64_t n_starts = state->n_groups * state->n_slices, n_blocks = state->start[n_starts];
    prepared->packed_bytes = (size_t)n_blocks * (AMX_BLOCK * sizeof *state->blocks + sizeof *state->position) +
                             (size_t)(nnz + n_starts + 1) * 8;
done:
    if (status != SPT_OK)
        release(prepared);
    return status;
}

static size_t workspace(const spt_prepared *prepared, int64_t n) {
    const amx_state *state = prepared->state;
    const int64_t strips = (amx_min(state->block_columns, n) + AMX_SIDE - 1) / AMX_SIDE;
    return (size_t)(strips * amx_slot(state)) * sizeof(uint16_t);
}

/* Columns are dealt out first, so that no part packs what another does; rows of A where columns are too few. */
static spt_status run_part(const spt_prepared *prepared, const spt_call *call, int part, int n_parts) {
    const amx_state *state = prepared->state;
    const int64_t strips = (call->n + AMX_SIDE - 1) / AMX_SIDE;
    int column_parts = n_parts;
    while (column_parts > strips || n_parts % column_parts != 0)
        column_parts--;
    const spt_range columns = spt_part_of(strips, part % column_parts, column_parts);
    const spt_range groups = spt_part_of(state->n_groups, part / column_parts, n_parts / column_parts);
    run_f32(state, call, &prepared->workload.problem, groups,
            (spt_range){columns.begin * AMX_SIDE, amx_min(columns.end * AMX_SIDE, call->n)});
    return SPT_OK;
}

const spt_family spt_family_spmm_bcsr_amx = {
    .name = "spmm_bcsr_amx",
    .summary = "32x32 blocks on AMX tiles, f32 as three bf16 terms (after Henry et al., ARITH 2019)",
    .op = SPT_SPMM,
    .device = SPT_CPU,
    .dtypes = SPT_DTYPE_BIT(SPT_F32),
    .axes = axes,
    .n_axes = N_AXES,
    .revision = 1,
    .pads_zeros = true,
    .available = available,
    .is_valid = is_valid,
    .default_point = default_point,
    .bound_ns = bound_ns,
    .prepare = prepare,
    .set_values = set_values,
    .workspace = workspace,
    .run_part = run_part,
    .release = release,
};

#endif
