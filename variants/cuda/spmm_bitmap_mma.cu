/* SPDX-License-Identifier: Apache-2.0 */
/* spmm_bitmap_mma: A is loaded sparse and multiplied dense by tensor cores, for n up to about 64, where memory and not
 * arithmetic is the limit. Tiles of 16 x 32 are stored as bitmaps in the order of mma's fragments with the values
 * behind them, so that a lane finds its elements by counting bits. After Xia et al., "Flash-LLM", VLDB 2023 (arXiv
 * 2309.10285) and Fan et al., "SpInfer", EuroSys 2025; here a warp streams its tiles through shared memory of its own,
 * B needs no shared memory at all because its columns and rows are dealt to lanes in an order that makes whole vectors,
 * and K is split among warps and among blocks. lane = 4 g + t; step s, register r of A (r = half of the rows + 2 half
 * of the columns), element e: row of the tile g + 8 (r % 2), column of the group 8 t + 4 s + 2 (r / 2) + e; bit 2 lane
 * + e of bitmap 4 s + r column tile i, element c of B's or C's fragment stands for column c tile / 8 + i Bound: bytes
 * of A (its values and one bit per position) from memory or L2. */
#ifndef __CUDACC_RTC__
#include <string.h>

#include "core/memory.h"
#include "variants/cuda/kernel.h"
#include "variants/cuda/rows.h"
#include "variants/cuda/spmm_bitmap_mma_pack.h"

SPT_CUDA_TEXT(spmm_bitmap_mma);

enum { AXIS_TILE, AXIS_WARPS, AXIS_SPLIT, AXIS_PARTS, AXIS_GROUPS, AXIS_STAGES, N_AXES };
enum { BUFFER_UNITS, BUFFER_BLOBS };
enum { NUMBER_BLOB_BYTES };
enum { KERNEL_VECTOR, KERNEL_SCALAR, KERNEL_ADD };
enum { ROWS = SPT_BITMAP_ROWS, COLUMNS = SPT_BITMAP_COLUMNS, HEAD_BYTES = SPT_BITMAP_HEAD_BYTES };

static const spt_axis_value tile_values[] = {{8, NULL}, {16, NULL}, {32, NULL}, {64, NULL}};
static const spt_axis_value warps_values[] = {{4, NULL}, {8, NULL}};
static const spt_axis_value split_values[] = {{1, NULL}, {2, NULL}, {4, NULL}, {8, NULL}};
static const spt_axis_value parts_values[] = {{1, NULL}, {2, NULL}, {4, NULL}, {8, NULL}};
static const spt_axis_value groups_values[] = {{1, NULL}, {2, NULL}, {4, NULL}};
static const spt_axis_value stages_values[] = {{2, NULL}, {3, NULL}, {4, NULL}};
static const spt_axis axes[N_AXES] = {
    [AXIS_TILE] = {"tile", "columns of B of a block", tile_values, 4},
    [AXIS_WARPS] = {"warps", "warps of a block", warps_values, 2},
    [AXIS_SPLIT] = {"split", "warps that share a row tile, each with a part of K", split_values, 4},
    [AXIS_PARTS] = {"parts", "blocks that share a row tile, added by a second kernel", parts_values, 4},
    [AXIS_GROUPS] = {"groups", "tiles of 32 columns that are loaded at once", groups_values, 3},
    [AXIS_STAGES] = {"stages", "loads in shared memory per warp", stages_values, 3},
};

static int value_of(const spt_point *point, int axis) {
    return spt_point_value(axes, point, axis);
}

static int64_t n_chunks_of(const spt_workload *workload, const spt_point *point) {
    return spt_ceil_div(workload->pattern.n_cols, COLUMNS * value_of(point, AXIS_GROUPS));
}

static int64_t n_tiles_of(const spt_workload *workload) {
    return spt_ceil_div(workload->pattern.n_rows, ROWS);
}

/* Dynamic shared memory: the stages of all warps, or half of the warps' sums while they are added. */
static int64_t shared_bytes(const spt_point *point, int64_t blob_bytes) {
    const int64_t warps = value_of(point, AXIS_WARPS), stages = warps * value_of(point, AXIS_STAGES) * blob_bytes;
    const int64_t sums = value_of(point, AXIS_SPLIT) > 1 ? warps * ROWS * value_of(point, AXIS_TILE) * 2 : 0;
    return stages > sums ? stages : sums;
}

static bool is_valid(const spt_workload *workload, const spt_device *device, const spt_point *point) {
    const int64_t n = workload->problem.n, tile = value_of(point, AXIS_TILE), split = value_of(point, AXIS_SPLIT);
    const int64_t groups = value_of(point, AXIS_GROUPS), parts = value_of(point, AXIS_PARTS);
    const int64_t worst = groups * (HEAD_BYTES + 2 * ROWS * COLUMNS);
    return device->compute_capability >= 80 && n <= 64 && (tile / 2 < n || tile == 8) &&
           split <= value_of(point, AXIS_WARPS) &&
           (split * parts == 1 || split * parts <= n_chunks_of(workload, point)) &&
           shared_bytes(point, worst) <= device->shared_bytes_max;
}

/* K is split until there are some 16 warps for every multiprocessor. */
static void default_point(const spt_workload *workload, const spt_device *device, spt_point *out) {
    const int64_t wanted = 16 * (int64_t)(device->n_sms > 0 ? device->n_sms : 132), tiles = n_tiles_of(workload);
    *out = (spt_point){{[AXIS_WARPS] = 1, [AXIS_GROUPS] = workload->pattern.n_cols >= 1024 ? 1 : 0, [AXIS_STAGES] = 1}};
    while (out->index[AXIS_TILE] < 3 && value_of(out, AXIS_TILE) < workload->problem.n)
        out->index[AXIS_TILE]++;
    for (int axis = AXIS_SPLIT; axis <= AXIS_PARTS; axis++) {
        const int most = axis == AXIS_SPLIT ? 3 : 2;
        while (out->index[axis] < most &&
               2 * value_of(out, AXIS_SPLIT) * value_of(out, AXIS_PARTS) <= n_chunks_of(workload, out) &&
               tiles * value_of(out, AXIS_SPLIT) * value_of(out, AXIS_PARTS) < wanted)
            out->index[axis]++;
    }
}

static double bound_ns(const spt_workload *workload, const spt_device *device, const spt_point *point) {
    const double n = (double)workload->problem.n, m = (double)workload->pattern.n_rows;
    const double k = (double)workload->pattern.n_cols, tile = value_of(point, AXIS_TILE);
    const double passes = n > tile ? n / tile : 1.0, parts = value_of(point, AXIS_PARTS);
    const double a_bytes = 2.0 * (double)workload->pattern.nnz + m * k * (HEAD_BYTES / 512.0);
    const double b_bytes = 2.0 * k * n * (m > ROWS ? m / ROWS : 1.0) * 0.5; /* L1 keeps some of it */
    const double part_bytes = parts > 1.0 ? 8.0 * parts * m * n : 0.0;
    return spt_cuda_bound_ns(device, 2.0 * m * k * tile * passes, true, a_bytes * passes + b_bytes + part_bytes,
                             a_bytes + 2.0 * (k + m) * n) +
           (parts > 1.0 ? 1500.0 : 0.0);
}

static spt_status describe(spt_cuda_source *out, const spt_workload *workload, const spt_device *device,
                           const spt_point *point, const spt_csr *a) {
    static const char *const kernels[] = {"spmm_vector", "spmm_scalar", "add_parts"};
    (void)device, (void)a;
    SPT_CUDA_SOURCE(out, spmm_bitmap_mma, kernels, workload);
    if (value_of(point, AXIS_PARTS) == 1)
        out->n_kernels = KERNEL_ADD;
    spt_cuda_source_split(out, value_of(point, AXIS_PARTS) == 1 ? 0 : 1u << KERNEL_ADD);
    spt_cuda_define(out, "SPT_TILE", value_of(point, AXIS_TILE));
    spt_cuda_define(out, "SPT_WARPS", value_of(point, AXIS_WARPS));
    spt_cuda_define(out, "SPT_SPLIT", value_of(point, AXIS_SPLIT));
    spt_cuda_define(out, "SPT_GROUPS", value_of(point, AXIS_GROUPS));
    spt_cuda_define(out, "SPT_STAGES", value_of(point, AXIS_STAGES));
    return SPT_OK;
}

static spt_status pack(spt_cuda_packed *out, const spt_workload *workload, const spt_device *device,
                       const spt_point *point, const spt_csr *a) {
    (void)device;
    const int groups = value_of(point, AXIS_GROUPS);
    const int64_t n_chunks = n_chunks_of(workload, point), n_blobs = n_chunks * n_tiles_of(workload);
    void *units, *blobs;
    SPT_TRY(spt_check_i32(n_blobs * groups * (HEAD_BYTES / 16) + spt_csr_nnz(a) / 8 + n_blobs, "units of 16 bytes"));
    SPT_TRY(spt_cuda_packed_add(out, "units", (size_t)(n_blobs + 1) * sizeof(int32_t), &units));
    spt_bitmap_pack(units, NULL, &out->numbers[NUMBER_BLOB_BYTES], a, groups, n_chunks);
    SPT_TRY(spt_cuda_packed_add(out, "blobs", (size_t)((int32_t *)units)[n_blobs] * 16, &blobs));
    spt_bitmap_pack(units, blobs, &out->numbers[NUMBER_BLOB_BYTES], a, groups, n_chunks);
    return SPT_OK;
}

static size_t workspace(const spt_prepared *prepared, int64_t n) {
    const int64_t parts = value_of(&prepared->point, AXIS_PARTS);
    return parts == 1 ? 0 : (size_t)(parts * prepared->workload.pattern.n_rows * n) * sizeof(float);
}

static int n_launches(const spt_prepared *prepared, const spt_call *call) {
    (void)call;
    return value_of(&prepared->point, AXIS_PARTS) == 1 ? 1 : 2;
}

static void launch_add(spt_cuda_launch *out, const spt_prepared *prepared, const spt_call *call) {
    const int64_t m = prepared->workload.pattern.n_rows, blocks = spt_ceil_div(m * call->n, 256);
    out->kernel = KERNEL_ADD;
    out->grid[0] = (uint32_t)(blocks > INT32_MAX ? INT32_MAX : blocks);
    out->grid[1] = out->grid[2] = 1;
    memcpy(out->block, (uint32_t[3]){256, 1, 1}, sizeof out->block);
    spt_cuda_pass_workspace(out, 0);
    spt_cuda_pass_i32(out, value_of(&prepared->point, AXIS_PARTS));
    spt_cuda_pass_operand(out, 'c');
    spt_cuda_pass_i64(out, call->ldc);
    spt_cuda_pass_operand(out, 'i');
    spt_cuda_pass_i32(out, m);
    spt_cuda_pass_i32(out, call->n);
}

static bool may_use_vectors(const spt_prepared *prepared, const spt_call *call, int tile) {
    const spt_dtype dtype = prepared->workload.problem.dtype;
    if (prepared->workload.problem.layout == SPT_NK)
        return prepared->workload.pattern.n_cols % 8 == 0 && spt_is_aligned(call->b, call->ldb, dtype, 16);
    return call->n % (tile / 8) == 0 && spt_is_aligned(call->b, call->ldb, dtype, (size_t)tile / 4) &&
           spt_is_aligned(call->c, call->ldc, dtype, (size_t)tile / 4);
}

static spt_status launch(spt_cuda_launch *out, const spt_prepared *prepared, const spt_call *call, int index) {
    const spt_point *point = &prepared->point;
    const spt_workload *workload = &prepared->workload;
    const int tile = value_of(point, AXIS_TILE), warps = value_of(point, AXIS_WARPS);
    const int64_t blob_bytes = spt_cuda_packed_of(prepared)->numbers[NUMBER_BLOB_BYTES];
    SPT_TRY(spt_check_i32(call->n + 65536 * (int64_t)tile, "n"));
    if (index == 1) {
        launch_add(out, prepared, call);
        return SPT_OK;
    }
    const int64_t n_passes = spt_ceil_div(call->n, tile);
    out->kernel = may_use_vectors(prepared, call, tile) ? KERNEL_VECTOR : KERNEL_SCALAR;
    out->grid[0] = (uint32_t)spt_ceil_div(n_tiles_of(workload), warps / value_of(point, AXIS_SPLIT));
    out->grid[1] = (uint32_t)(n_passes > 65535 ? 65535 : n_passes);
    out->grid[2] = (uint32_t)value_of(point, AXIS_PARTS);
    memcpy(out->block, (uint32_t[3]){(uint32_t)warps * 32, 1, 1}, sizeof out->block);
    out->shared_bytes = (uint32_t)shared_bytes(point, blob_bytes);
    spt_cuda_pass_buffer(out, BUFFER_UNITS);
    spt_cuda_pass_buffer(out, BUFFER_BLOBS);
    spt_cuda_pass_i32(out, blob_bytes);
    spt_cuda_pass_i32(out, n_chunks_of(workload, point));
    spt_cuda_pass_operand(out, 'b');
    spt_cuda_pass_i64(out, call->ldb);
    spt_cuda_pass_operand(out, 'c');
    spt_cuda_pass_i64(out, call->ldc);
    spt_cuda_pass_operand(out, 'i');
    spt_cuda_pass_workspace(out, 0);
    spt_cuda_pass_i32(out, workload->pattern.n_rows);
    spt_cuda_pass_i32(out, workload->pattern.n_cols);
    spt_cuda_pass_i32(out, call->n);
    return SPT_OK;
}

static const spt_cuda_kernel kernel = {.describe = describe, .pack = pack, .n_launches = n_launches, .launch = launch};

const spt_family spt_family_spmm_bitmap_mma = {
    .name = "spmm_bitmap_mma",
    .summary = "CUDA: bitmaps, loaded sparse and computed dense by tensor cores (after Flash-LLM and SpInfer)",
    .op = SPT_SPMM,
    .dtypes = SPT_DTYPE_BIT(SPT_BF16) | SPT_DTYPE_BIT(SPT_F16),
    .axes = axes,
    .n_axes = N_AXES,
    .revision = 2,
    .pads_zeros = true,
    .cuda = &kernel,
    .is_valid = is_valid,
    .default_point = default_point,
    .bound_ns = bound_ns,
    .workspace = workspace,
    SPT_CUDA_VERBS,
};

#else // kernel half

SPT_DEVICE float finish(float sum, const spt_element *bias, int row) {
    if (SPT_HAS_BIAS)
        sum += spt_widen(spt_ldg(bias + row));
    return SPT_RELU && sum < 0.0f ? 0.0f : sum;
}

#if SPT_HAS_ENTRY(2)
/* c = act(sum of the parts + bias) */
SPT_KERNEL SPT_BOUNDS(256, 1)
    add_parts(const float *parts, int n_parts, spt_element *c, long long ldc, const spt_element *bias, int m, int n) {
    const long long count = (long long)m * n;
    SPT_NO_UNROLL
    for (long long i = blockIdx.x * 256LL + threadIdx.x; i < count; i += gridDim.x * 256LL) {
        const int row = (int)(SPT_LAYOUT_NK ? i % m : i / n), j = (int)(SPT_LAYOUT_NK ? i / m : i % n);
        float sum = 0.0f;
        for (int p = 0; p < n_parts; p++)
            sum += spt_ldg(parts + p * count + (long long)row * n + j);
        spt_stg(SPT_LAYOUT_NK ? c + j * ldc + row : c + row * ldc + j, spt_narrow(finish(sum, bias, row)));
    }
}
#endif

#if SPT_HAS_ENTRY(0) || SPT_HAS_ENTRY(1)
#define SPT_EACH (SPT_TILE / 8) /* column tiles, and columns that a lane loads from a row of B */
#define SPT_SUMS (4 * SPT_EACH)
#define SPT_HEAD_BYTES (80 * SPT_GROUPS)
#if SPT_DTYPE == 1
#define spt_mma spt_mma_bf16
#else
#define spt_mma spt_mma_f16
#endif

SPT_PACK(unit_pack, int, 4);
SPT_PACK(b_pack, spt_element, SPT_EACH);
SPT_PACK(bitmap_pack, unsigned, 2);

/* ---- B: a lane's rows 8 t to 8 t + 7 of the group, SPT_EACH columns of each, two elements to a word ---- */

#if SPT_LAYOUT_NK
#define SPT_WORDS (4 * SPT_EACH) /* word 4 i + w: rows 2 w and 2 w + 1 of column i */
#define place_of_word(row, i) (4 * (i) + (row) / 2)
#define half_of_word(row, i) ((row) % 2)
#else
#define SPT_ROW_WORDS (SPT_EACH > 1 ? SPT_EACH / 2 : 1)
#define SPT_WORDS (8 * SPT_ROW_WORDS) /* a row's words side by side, as they are loaded */
#define place_of_word(row, i) ((row)*SPT_ROW_WORDS + (i) / 2)
#define half_of_word(row, i) ((i) % 2)
SPT_PACK(row_pack, unsigned, SPT_ROW_WORDS);
#endif
SPT_PACK(column_pack, unsigned, 4);

/* The 8 rows from row0 on of the columns from column0 on, zero outside of B. */
SPT_DEVICE void load_b(unsigned *words, const spt_element *b, long long ldb, int row0, int column0, int k, int n,
                       bool is_vector) {
    SPT_UNROLL
    for (int i = 0; i < SPT_WORDS; i++)
        words[i] = 0;
    if (!is_vector) {
        SPT_UNROLL
        for (int i = 0; i < SPT_EACH * 8; i++) {
            const int row = row0 + i % 8, column = column0 + i / 8;
            unsigned v = 0;
            if (row < k && column < n)
                v = spt_ldg(SPT_LAYOUT_NK ? b + column * ldb + row : b + row * ldb + column);
            words[place_of_word(i % 8, i / 8)] |= v << (16 * half_of_word(i % 8, i / 8));
        }
        return;
    }
#if SPT_LAYOUT_NK
    SPT_UNROLL
    for (int i = 0; i < SPT_EACH; i++) {
        const column_pack p =
            spt_ldg_if((const column_pack *)(b + (column0 + i) * ldb + row0), row0 < k && column0 + i < n);
        SPT_UNROLL
        for (int w = 0; w < 4; w++)
            words[4 * i + w] = p.v[w];
    }
#else
    SPT_UNROLL
    for (int row = 0; row < 8; row++) {
        const bool is_there = row0 + row < k && column0 < n;
#if SPT_EACH == 1
        words[row] = spt_ldg_if(b + (row0 + row) * ldb + column0, is_there);
#else
        const row_pack p = spt_ldg_if((const row_pack *)(b + (row0 + row) * ldb + column0), is_there);
        SPT_UNROLL
        for (int w = 0; w < SPT_ROW_WORDS; w++)
            words[row * SPT_ROW_WORDS + w] = p.v[w];
#endif
    }
#endif
}

/* Register h of B's fragment of step s for column tile i: rows 4 s + 2 h and the next. */
SPT_DEVICE unsigned pair_of(const unsigned *words, int s, int h, int i) {
    const int row = 4 * s + 2 * h;
    const unsigned a = words[place_of_word(row, i)], b = words[place_of_word(row + 1, i)];
    if (SPT_LAYOUT_NK)
        return a;
    return half_of_word(row, i) == 0 ? spt_low_halves(a, b) : spt_high_halves(a, b);
}

/* ---- A: from a blob in shared memory ---- */

/* The fragment of step s of a group. */
SPT_DEVICE void load_a(unsigned *fragment, const unsigned char *blob, int group, int s, int lane) {
    const spt_element *values = (const spt_element *)(blob + SPT_HEAD_BYTES);
    SPT_UNROLL
    for (int r = 0; r < 4; r++) {
        const int i = group * 8 + 4 * s + r;
        const bitmap_pack bits = spt_lds((const bitmap_pack *)blob + i);
        const int start = spt_lds((const unsigned short *)(blob + 64 * SPT_GROUPS) + i);
        const unsigned word = lane < 16 ? bits.v[0] : bits.v[1], shift = 2 * lane % 32;
        const int place = start + spt_popc(word & ((1u << shift) - 1)) + (lane < 16 ? 0 : spt_popc(bits.v[0]));
        const unsigned mine = word >> shift & 3;
        unsigned low = 0, high = 0;
        if (mine & 1)
            low = spt_lds(values + place);
        if (mine & 2)
            high = spt_lds(values + place + (mine & 1));
        fragment[r] = low | high << 16;
    }
}

SPT_DEVICE void copy_blob(unsigned char *stage, const unit_pack *blobs, int unit, int n_units, int lane) {
    SPT_NO_UNROLL
    for (int t = lane; t < n_units; t += 32)
        spt_cp_async(stage + 16 * t, blobs + unit + t, 16, 16);
}

/* This warp's chunks of a row tile: number `first`, then each `step`-th. `stages` is the warp's own memory. */
SPT_DEVICE void add_chunks(float *sum, unsigned char *stages, int blob_bytes, const int *units, const unit_pack *blobs,
                           int first, int step, int n_chunks, const spt_element *b, long long ldb, int j0, int k, int n,
                           bool is_vector) {
    const int lane = threadIdx.x % 32, row0 = lane % 4 * 8, column0 = j0 + lane / 4 * SPT_EACH;
    unsigned words[SPT_WORDS], next[SPT_WORDS];
    int unit = 0, unit_end = 0, stage = 0, filled = 0;
    if (first < n_chunks) {
        unit = spt_ldg(units + first);
        unit_end = spt_ldg(units + first + 1);
    }
    if (is_vector)
        load_b(next, b, ldb, first * SPT_GROUPS * 32 + row0, column0, first < n_chunks ? k : 0, n, true);
    /* The first turns only fill stages: a loop of their own would be a second copy of copy_blob to compile. */
    SPT_NO_UNROLL
    for (int chunk = first - (SPT_STAGES - 1) * step; chunk < n_chunks; chunk += step) {
        const int ahead = chunk + (SPT_STAGES - 1) * step;
        if (chunk >= first) {
            spt_cp_async_wait(SPT_STAGES - 2);
            __syncwarp(SPT_FULL_MASK); /* this blob is there for all lanes, and the stage before it is free */
        }
        if (ahead < n_chunks)
            copy_blob(stages + filled * blob_bytes, blobs, unit, unit_end - unit, lane);
        spt_cp_async_commit();
        filled = filled + 1 == SPT_STAGES ? 0 : filled + 1;
        if (ahead + step < n_chunks) {
            unit = spt_ldg(units + ahead + step);
            unit_end = spt_ldg(units + ahead + step + 1);
        }
        if (chunk < first)
            continue;
        SPT_NO_UNROLL
        for (int group = 0; group < SPT_GROUPS; group++) {
            const int after = group + 1 < SPT_GROUPS ? chunk * SPT_GROUPS + group + 1 : (chunk + step) * SPT_GROUPS;
            if (is_vector) {
                SPT_UNROLL
                for (int i = 0; i < SPT_WORDS; i++)
                    words[i] = next[i];
                load_b(next, b, ldb, after * 32 + row0, column0, k, n, true);
            } else { /* a way for few: registers rather than time */
                load_b(words, b, ldb, (chunk * SPT_GROUPS + group) * 32 + row0, column0, k, n, false);
            }
            SPT_UNROLL
            for (int s = 0; s < 2; s++) {
                unsigned a[4];
                load_a(a, stages + stage * blob_bytes, group, s, lane);
                SPT_UNROLL
                for (int i = 0; i < SPT_EACH; i++) {
                    const unsigned pair[2] = {pair_of(words, s, 0, i), pair_of(words, s, 1, i)};
                    spt_mma(sum + 4 * i, a, pair);
                }
            }
        }
        stage = stage + 1 == SPT_STAGES ? 0 : stage + 1;
    }
    spt_cp_async_wait_all();
}

/* ---- sums of warps, and C ---- */

/* Add the sums of the warps that share a row tile into the first of them, half of them at a time. */
SPT_DEVICE void add_warps(float *sum, float *memory) {
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, member = warp % SPT_SPLIT;
    SPT_NO_UNROLL
    for (int half = SPT_SPLIT / 2; half >= 1; half /= 2) {
        float *place = memory + (warp / SPT_SPLIT * (SPT_SPLIT / 2) + member % half) * SPT_SUMS * 32 + lane;
        __syncthreads();
        SPT_UNROLL
        for (int i = 0; i < SPT_SUMS; i++) {
            if (member >= half && member < 2 * half)
                spt_sts(place + 32 * i, sum[i]);
        }
        __syncthreads();
        SPT_UNROLL
        for (int i = 0; i < SPT_SUMS; i++) {
            if (member < half)
                sum[i] += spt_lds(place + 32 * i);
        }
    }
    __syncthreads();
}

/* The lane's SPT_EACH neighbouring columns of one row: in `parts` as floats where a second kernel adds them, or in C.
 */
SPT_DEVICE void store_part(const float *sum, int e, int row, int j, spt_element *c, long long ldc,
                           const spt_element *bias, float *parts, int m, int n, bool is_vector) {
    b_pack out;
    SPT_UNROLL
    for (int i = 0; i < SPT_EACH; i++) {
        if (gridDim.z > 1) {
            if (j + i < n)
                spt_stg(parts + ((long long)blockIdx.z * m + row) * n + j + i, sum[4 * i + e]);
            continue;
        }
        out.v[i] = spt_narrow(finish(sum[4 * i + e], bias, row));
        if ((SPT_LAYOUT_NK || !is_vector) && j + i < n)
            spt_stg(SPT_LAYOUT_NK ? c + (j + i) * ldc + row : c + row * ldc + j + i, out.v[i]);
    }
    if (gridDim.z == 1 && !SPT_LAYOUT_NK && is_vector && j < n)
        spt_stg((b_pack *)(c + row * ldc + j), out);
}

SPT_DEVICE void multiply(const int *units, const unit_pack *blobs, int blob_bytes, int n_chunks, const spt_element *b,
                         long long ldb, spt_element *c, long long ldc, const spt_element *bias, float *parts, int m,
                         int k, int n, bool is_vector) {
    SPT_SHARED_DYNAMIC(unsigned char, memory);
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, member = warp % SPT_SPLIT;
    const int tile = blockIdx.x * (SPT_WARPS / SPT_SPLIT) + warp / SPT_SPLIT;
    SPT_NO_UNROLL
    for (int j0 = blockIdx.y * SPT_TILE; j0 < n; j0 += gridDim.y * SPT_TILE) {
        float sum[SPT_SUMS];
        SPT_UNROLL
        for (int i = 0; i < SPT_SUMS; i++)
            sum[i] = 0.0f;
        add_chunks(sum, memory + warp * SPT_STAGES * blob_bytes, blob_bytes, units + (long long)tile * n_chunks, blobs,
                   blockIdx.z * SPT_SPLIT + member, gridDim.z * SPT_SPLIT, tile * 16 < m ? n_chunks : 0, b, ldb, j0, k,
                   n, is_vector);
        if (SPT_SPLIT > 1)
            add_warps(sum, (float *)memory);
        SPT_UNROLL
        for (int e = 0; e < 4; e++) {
            const int row = tile * 16 + lane / 4 + e / 2 * 8, j = j0 + (lane % 4 * 2 + e % 2) * SPT_EACH;
            if (member == 0 && row < m)
                store_part(sum, e, row, j, c, ldc, bias, parts, m, n, is_vector);
        }
        __syncwarp(SPT_FULL_MASK);
    }
}

#if SPT_HAS_ENTRY(0)
SPT_KERNEL SPT_BOUNDS(SPT_WARPS * 32, 1)
    spmm_vector(const int *units, const unit_pack *blobs, int blob_bytes, int n_chunks, const spt_element *b,
                long long ldb, spt_element *c, long long ldc, const spt_element *bias, float *parts, int m, int k,
                int n) {
    multiply(units, blobs, blob_bytes, n_chunks, b, ldb, c, ldc, bias, parts, m, k, n, true);
}
#endif

#if SPT_HAS_ENTRY(1)
SPT_KERNEL SPT_BOUNDS(SPT_WARPS * 32, 1)
    spmm_scalar(const int *units, const unit_pack *blobs, int blob_bytes, int n_chunks, const spt_element *b,
                long long ldb, spt_element *c, long long ldc, const spt_element *bias, float *parts, int m, int k,
                int n) {
    multiply(units, blobs, blob_bytes, n_chunks, b, ldb, c, ldc, bias, parts, m, k, n, false);
}
#endif
#endif
#endif // __CUDACC_RTC__
