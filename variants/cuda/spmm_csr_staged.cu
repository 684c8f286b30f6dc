/* SPDX-License-Identifier: Apache-2.0 */
/* spmm_csr_staged: a block has some dozens of rows of A and a tile of columns. It walks K in chunks; the rows of B of a
 * chunk and the nonzeros of the block in it come to shared memory by cp.async, some chunks ahead, so that B is read
 * from L2 once per block and not once per nonzero. A team of lanes has a few of the rows, their sums stay in registers.
 * Layout nk: cp.async writes B transposed as it comes, and C leaves through shared memory.
 * Bound: shared memory gives 128 bytes per cycle and SM, one vector of B per vector of multiply-adds and half a vector
 * of A beside it. Chunks without nonzeros are left out. */
#ifndef __CUDACC_RTC__
#include <string.h>

#include "core/memory.h"
#include "variants/cuda/kernel.h"
#include "variants/cuda/rows.h"
#include "variants/cuda/spmm_csr_staged_pack.h"

SPT_CUDA_TEXT(spmm_csr_staged);

enum { AXIS_LANES, AXIS_VEC, AXIS_ROWS, AXIS_THREADS, AXIS_KC, AXIS_STAGES, AXIS_ORDER, N_AXES };
enum { BUFFER_ROWS, BUFFER_FIRSTS, BUFFER_CHUNKS, BUFFER_BLOBS };
enum { NUMBER_BLOCKS, NUMBER_BLOB_BYTES };
enum { KERNEL_FIRST, KERNEL_SCALAR }; /* the second one in layout kn alone */

static const spt_axis_value lanes_values[] = {{8, NULL}, {16, NULL}, {32, NULL}};
static const spt_axis_value vec_values[] = {{2, NULL}, {4, NULL}, {8, NULL}};
static const spt_axis_value rows_values[] = {{1, NULL}, {2, NULL}, {4, NULL}, {8, NULL}};
static const spt_axis_value threads_values[] = {{128, NULL}, {256, NULL}};
static const spt_axis_value kc_values[] = {{32, NULL}, {64, NULL}, {128, NULL}};
static const spt_axis_value stages_values[] = {{2, NULL}, {3, NULL}, {4, NULL}};
static const spt_axis_value order_values[] = {{SPT_ROWS_NATURAL, "natural"}, {SPT_ROWS_SORTED, "sorted"}};
static const spt_axis axes[N_AXES] = {
    [AXIS_LANES] = {"lanes", "lanes that share a row", lanes_values, 3},
    [AXIS_VEC] = {"vec", "columns of a lane", vec_values, 3},
    [AXIS_ROWS] = {"rows", "rows of a team of lanes", rows_values, 4},
    [AXIS_THREADS] = {"threads", "threads of a block", threads_values, 2},
    [AXIS_KC] = {"kc", "rows of B in a chunk", kc_values, 3},
    [AXIS_STAGES] = {"stages", "chunks in shared memory", stages_values, 3},
    [AXIS_ORDER] = {"order", "rows as they are, or by length", order_values, 2},
};

static int value_of(const spt_point *point, int axis) {
    return spt_point_value(axes, point, axis);
}

static int tile_of(const spt_point *point) {
    return value_of(point, AXIS_LANES) * value_of(point, AXIS_VEC);
}

static int rows_of(const spt_point *point) {
    return value_of(point, AXIS_ROWS) * value_of(point, AXIS_THREADS) / value_of(point, AXIS_LANES);
}

/* Elements from one row of B in shared memory to the next; nk: so that transposing writes meet different banks. */
static int stride_of(const spt_workload *workload, const spt_point *point) {
    const int gap = (int)(16 / spt_dtype_bytes(workload->problem.dtype));
    return tile_of(point) + (workload->problem.layout == SPT_NK ? gap : 0);
}

static spt_staged_shape shape_of(const spt_workload *workload, const spt_point *point) {
    const int rows = rows_of(point), kc = value_of(point, AXIS_KC);
    return (spt_staged_shape){.dtype = workload->problem.dtype,
                              .rows = rows,
                              .kc = kc,
                              .stride = stride_of(workload, point),
                              .pairs_max = rows * kc / 8,
                              .is_sorted = value_of(point, AXIS_ORDER) == SPT_ROWS_SORTED};
}

/* Dynamic shared memory: the stages, or C on its way to layout nk. */
static int64_t shared_bytes(const spt_workload *workload, const spt_point *point, int64_t blob_bytes) {
    const int64_t b_bytes = (int64_t)(value_of(point, AXIS_KC) + 1) * stride_of(workload, point) *
                            (int64_t)spt_dtype_bytes(workload->problem.dtype);
    const int64_t stages = value_of(point, AXIS_STAGES) * (b_bytes + blob_bytes);
    const int64_t c_bytes = workload->problem.layout == SPT_NK ? 4LL * tile_of(point) * (rows_of(point) + 1) : 0;
    return stages > c_bytes ? stages : c_bytes;
}

static bool is_valid(const spt_workload *workload, const spt_device *device, const spt_point *point) {
    const int vec = value_of(point, AXIS_VEC), tile = tile_of(point), kc = value_of(point, AXIS_KC);
    const spt_staged_shape shape = shape_of(workload, point);
    const size_t bytes = (size_t)vec * spt_dtype_bytes(workload->problem.dtype);
    const bool has_async_copies = device->compute_capability >= 80;
    return has_async_copies && bytes >= 8 && bytes <= 16 && rows_of(point) >= 8 && rows_of(point) <= 256 &&
           (tile / 2 < workload->problem.n || tile <= 32) && (kc / 2 < workload->pattern.n_cols || kc == 32) &&
           shared_bytes(workload, point, spt_staged_blob_max(&shape)) <= device->shared_bytes_max;
}

/* Tiles of 64 columns (f32) or 128, and as many rows of a block as leave two blocks for every multiprocessor. */
static void default_point(const spt_workload *workload, const spt_device *device, spt_point *out) {
    const bool is_wide = workload->problem.dtype == SPT_F32;
    const spt_features *features = &workload->pattern.features;
    const int64_t wanted = 2 * (int64_t)(device->n_sms > 0 ? device->n_sms : 132);
    *out = (spt_point){{[AXIS_LANES] = workload->problem.n > 32 ? 1 : 0,
                        [AXIS_VEC] = is_wide                    ? 1
                                     : workload->problem.n > 64 ? 2
                                                                : 1,
                        [AXIS_ROWS] = 2,
                        [AXIS_THREADS] = 1,
                        [AXIS_KC] = workload->pattern.n_cols > 32 ? 1 : 0,
                        [AXIS_STAGES] = 1,
                        [AXIS_ORDER] = features->row_cv > 0.3}};
    while (out->index[AXIS_ROWS] > 0 &&
           spt_ceil_div(workload->pattern.n_rows, rows_of(out)) * spt_ceil_div(workload->problem.n, tile_of(out)) <
               wanted)
        out->index[AXIS_ROWS]--;
    if (!is_valid(workload, device, out))
        *out = (spt_point){{[AXIS_VEC] = is_wide ? 0 : 1, [AXIS_THREADS] = 1}};
}

/* B once per block of rows from L2, and one vector of shared memory per vector of multiply-adds. */
static double bound_ns(const spt_workload *workload, const spt_device *device, const spt_point *point) {
    const double n = (double)workload->problem.n, nnz = (double)workload->pattern.nnz;
    const double k = (double)workload->pattern.n_cols, m = (double)workload->pattern.n_rows;
    const double bytes = (double)spt_dtype_bytes(workload->problem.dtype), tile = tile_of(point);
    const double rows = rows_of(point), n_tiles = n > tile ? n / tile : 1.0, n_blocks = m > rows ? m / rows : 1.0;
    const double used = 1.0 - workload->pattern.features.empty_cols, a_bytes = nnz * 2.5 * bytes;
    const double l2_bytes = n_blocks * k * used * n * bytes + a_bytes * n_tiles + m * n * bytes;
    /* an f32 multiply-add of shared memory's speed takes as long as five of the arithmetic's: 32 a cycle and A beside
     */
    const double flops = 2.0 * nnz * n * (bytes == 4.0 ? 5.0 : 2.5);
    const double waves = n_blocks * n_tiles / (device->n_sms > 0 ? device->n_sms : 132);
    return spt_cuda_bound_ns(device, flops / (waves < 1.0 ? waves : 1.0), false, l2_bytes,
                             a_bytes + (k + m) * n * bytes);
}

static spt_status describe(spt_cuda_source *out, const spt_workload *workload, const spt_device *device,
                           const spt_point *point, const spt_csr *a) {
    static const char *const kernels[] = {"spmm_vector", "spmm_scalar"};
    static const char *const kernels_nk[] = {"spmm_scalar"};
    (void)device, (void)a;
    if (workload->problem.layout == SPT_KN)
        SPT_CUDA_SOURCE(out, spmm_csr_staged, kernels, workload);
    else
        SPT_CUDA_SOURCE(out, spmm_csr_staged, kernels_nk, workload);
    spt_cuda_source_split(out, 0);
    spt_cuda_define(out, "SPT_LANES", value_of(point, AXIS_LANES));
    spt_cuda_define(out, "SPT_VEC", value_of(point, AXIS_VEC));
    spt_cuda_define(out, "SPT_TEAM_ROWS", value_of(point, AXIS_ROWS));
    spt_cuda_define(out, "SPT_THREADS", value_of(point, AXIS_THREADS));
    spt_cuda_define(out, "SPT_KC", value_of(point, AXIS_KC));
    spt_cuda_define(out, "SPT_STAGES", value_of(point, AXIS_STAGES));
    spt_cuda_define(out, "SPT_STRIDE", stride_of(workload, point));
    if (workload->problem.layout == SPT_NK) /* kn has no use for it: one text for both orders */
        spt_cuda_define(out, "SPT_SORTED", value_of(point, AXIS_ORDER) == SPT_ROWS_SORTED);
    return SPT_OK;
}

static spt_status pack(spt_cuda_packed *out, const spt_workload *workload, const spt_device *device,
                       const spt_point *point, const spt_csr *a) {
    (void)device;
    const spt_staged_shape shape = shape_of(workload, point);
    return spt_staged_pack(out, &shape, a, &out->numbers[NUMBER_BLOCKS], &out->numbers[NUMBER_BLOB_BYTES]);
}

static spt_status launch(spt_cuda_launch *out, const spt_prepared *prepared, const spt_call *call, int index) {
    const spt_point *point = &prepared->point;
    const spt_workload *workload = &prepared->workload;
    const int64_t *numbers = spt_cuda_packed_of(prepared)->numbers;
    const int tile = tile_of(point);
    const int64_t vector = (int64_t)(16 / spt_dtype_bytes(workload->problem.dtype));
    (void)index;
    SPT_TRY(spt_check_i32(call->n + 65536 * (int64_t)tile, "n"));
    const bool is_aligned = call->n % vector == 0 && spt_is_aligned(call->b, call->ldb, workload->problem.dtype, 16) &&
                            spt_is_aligned(call->c, call->ldc, workload->problem.dtype, 16);
    const int64_t n_tiles = spt_ceil_div(call->n, tile);
    out->kernel = is_aligned || workload->problem.layout == SPT_NK ? KERNEL_FIRST : KERNEL_SCALAR;
    out->grid[0] = (uint32_t)numbers[NUMBER_BLOCKS];
    out->grid[1] = (uint32_t)(n_tiles > 65535 ? 65535 : n_tiles);
    out->grid[2] = 1;
    memcpy(out->block, (uint32_t[3]){(uint32_t)value_of(point, AXIS_THREADS), 1, 1}, sizeof out->block);
    out->shared_bytes = (uint32_t)shared_bytes(workload, point, numbers[NUMBER_BLOB_BYTES]);
    spt_cuda_pass_buffer(out, BUFFER_ROWS);
    spt_cuda_pass_buffer(out, BUFFER_FIRSTS);
    spt_cuda_pass_buffer(out, BUFFER_CHUNKS);
    spt_cuda_pass_buffer(out, BUFFER_BLOBS);
    spt_cuda_pass_i32(out, numbers[NUMBER_BLOB_BYTES]);
    spt_cuda_pass_operand(out, 'b');
    spt_cuda_pass_i64(out, call->ldb);
    spt_cuda_pass_operand(out, 'c');
    spt_cuda_pass_i64(out, call->ldc);
    spt_cuda_pass_operand(out, 'i');
    spt_cuda_pass_i32(out, call->n);
    return SPT_OK;
}

static const spt_cuda_kernel kernel = {.describe = describe, .pack = pack, .launch = launch};

const spt_family spt_family_spmm_csr_staged = {
    .name = "spmm_csr_staged",
    .summary = "CUDA: B and A through shared memory by asynchronous copies, sums in registers",
    .op = SPT_SPMM,
    .dtypes = SPT_DTYPE_BIT(SPT_F32) | SPT_DTYPE_BIT(SPT_BF16) | SPT_DTYPE_BIT(SPT_F16),
    .axes = axes,
    .n_axes = N_AXES,
    .revision = 2,
    .cuda = &kernel,
    .is_valid = is_valid,
    .default_point = default_point,
    .bound_ns = bound_ns,
    SPT_CUDA_VERBS,
};

#else // kernel half
#define SPT_TEAMS (SPT_THREADS / SPT_LANES)
#define SPT_ROWS (SPT_TEAMS * SPT_TEAM_ROWS)
#define SPT_TILE (SPT_LANES * SPT_VEC)
#define SPT_WARPS (SPT_THREADS / 32)
#define SPT_UNIT ((int)(16 / sizeof(spt_element))) /* elements in 16 bytes */
#define SPT_B_BYTES ((SPT_KC + 1) * SPT_STRIDE * (int)sizeof(spt_element))
#define SPT_STARTS_BYTES ((2 * (SPT_ROWS + 1) + 15) / 16 * 16)

SPT_PACK(b_pack, spt_element, SPT_VEC);
SPT_PACK(chunk_pack, int, 4); /* first row of B, rows, first unit of 16 bytes of the blob, units */
SPT_PACK(unit_pack, int, 4);
#if SPT_DTYPE == 0
SPT_PACK(pair_pack, int, 4); /* two values, two places in the chunk of B */
#define pair_value(pair, i) spt_as_f32((unsigned)(pair).v[i])
#else
SPT_PACK(pair_pack, unsigned short, 4);
#define pair_value(pair, i) spt_widen((pair).v[i])
#endif

/* ---- copies to a stage ---- */

#if SPT_LAYOUT_NK && SPT_DTYPE == 0
/* b[j][k0 + row] to stage[row][j]: a warp has 8 rows of 4 columns, whole sectors there, all banks here. */
SPT_DEVICE void copy_b(spt_element *stage, const spt_element *b, long long ldb, chunk_pack chunk, int n_left,
                       bool is_vector) {
    const int lane = threadIdx.x % 32, n_groups = (chunk.v[1] + 7) / 8;
    SPT_NO_UNROLL
    for (int t = threadIdx.x / 32; t < n_groups * (SPT_TILE / 4); t += SPT_WARPS) {
        const int row = t % n_groups * 8 + lane % 8, j = t / n_groups * 4 + lane / 8;
        if (row < chunk.v[1])
            spt_cp_async(stage + row * SPT_STRIDE + j, b + (j < n_left ? j * ldb : 0) + chunk.v[0] + row, 4,
                         j < n_left ? 4 : 0);
    }
}
#elif SPT_LAYOUT_NK
/* Elements of 2 bytes are too small for cp.async. */
SPT_DEVICE void copy_b(spt_element *stage, const spt_element *b, long long ldb, chunk_pack chunk, int n_left,
                       bool is_vector) {
    const int lane = threadIdx.x % 32, n_groups = (chunk.v[1] + 15) / 16;
    for (int t = threadIdx.x / 32; t < n_groups * (SPT_TILE / 2); t += SPT_WARPS) {
        const int row = t % n_groups * 16 + lane % 16, j = t / n_groups * 2 + lane / 16;
        spt_element v = 0;
        if (row < chunk.v[1] && j < n_left)
            v = spt_ldg(b + j * ldb + chunk.v[0] + row);
        if (row < chunk.v[1])
            spt_sts(stage + row * SPT_STRIDE + j, v);
    }
}
#else
SPT_DEVICE void copy_b(spt_element *stage, const spt_element *b, long long ldb, chunk_pack chunk, int n_left,
                       bool is_vector) {
    if (is_vector) { /* 16 bytes are inside or outside as a whole */
        const int n_units = SPT_TILE / SPT_UNIT;
        SPT_NO_UNROLL
        for (int t = threadIdx.x; t < chunk.v[1] * n_units; t += SPT_THREADS) {
            const int row = t / n_units, j = t % n_units * SPT_UNIT;
            spt_cp_async(stage + row * SPT_STRIDE + j, b + (chunk.v[0] + row) * ldb + (j < n_left ? j : 0), 16,
                         j < n_left ? 16 : 0);
        }
        return;
    }
    SPT_NO_UNROLL
    for (int t = threadIdx.x; t < chunk.v[1] * SPT_TILE; t += SPT_THREADS) {
        const int row = t / SPT_TILE, j = t % SPT_TILE;
        const spt_element *from = b + (chunk.v[0] + row) * ldb + (j < n_left ? j : 0);
#if SPT_DTYPE == 0
        spt_cp_async(stage + row * SPT_STRIDE + j, from, 4, j < n_left ? 4 : 0);
#else
        spt_element v = 0;
        if (j < n_left)
            v = spt_ldg(from);
        spt_sts(stage + row * SPT_STRIDE + j, v);
#endif
    }
}
#endif

SPT_DEVICE void copy_chunk(unsigned char *stage, const unit_pack *blobs, const spt_element *b, long long ldb,
                           chunk_pack chunk, int n_left, bool is_vector) {
    copy_b((spt_element *)stage, b, ldb, chunk, n_left, is_vector);
    SPT_NO_UNROLL
    for (int t = threadIdx.x; t < chunk.v[3]; t += SPT_THREADS)
        spt_cp_async(stage + SPT_B_BYTES + t * 16, blobs + chunk.v[2] + t, 16, 16);
}

/* ---- arithmetic ---- */

/* The rows of a team in one chunk. Pairs end with the row of zeros behind the chunk where a row has an odd number. */
SPT_DEVICE void add_chunk(float *sum, const unsigned char *stage, int lane, int team) {
    const spt_element *b = (const spt_element *)stage + lane * SPT_VEC;
    const unsigned short *starts = (const unsigned short *)(stage + SPT_B_BYTES);
    const pair_pack *pairs = (const pair_pack *)(stage + SPT_B_BYTES + SPT_STARTS_BYTES);
    SPT_UNROLL
    for (int i = 0; i < SPT_TEAM_ROWS; i++) {
        const int row = i * SPT_TEAMS + team;
        const int end = spt_lds(starts + row + 1);
        int p = spt_lds(starts + row);
        pair_pack next = spt_lds(pairs + p); /* there is one behind the last */
        SPT_NO_UNROLL
        for (; p < end; p++) {
            const pair_pack pair = next;
            const b_pack b0 = spt_lds((const b_pack *)(b + pair.v[2])), b1 = spt_lds((const b_pack *)(b + pair.v[3]));
            next = spt_lds(pairs + p + 1);
            SPT_UNROLL
            for (int v = 0; v < SPT_VEC; v++) {
                sum[i * SPT_VEC + v] = spt_fma(pair_value(pair, 0), spt_widen(b0.v[v]), sum[i * SPT_VEC + v]);
                sum[i * SPT_VEC + v] = spt_fma(pair_value(pair, 1), spt_widen(b1.v[v]), sum[i * SPT_VEC + v]);
            }
        }
    }
}

/* All chunks of a block, SPT_STAGES - 1 of them under way while one is computed. */
SPT_DEVICE void add_chunks(float *sum, unsigned char *memory, int stage_bytes, const chunk_pack *chunks, int n_chunks,
                           const unit_pack *blobs, const spt_element *b, long long ldb, int n_left, bool is_vector) {
    const int lane = threadIdx.x % SPT_LANES, team = threadIdx.x / SPT_LANES;
    chunk_pack next;
    if (n_chunks > 0)
        next = spt_ldg(chunks);
    /* The first turns only fill stages: a loop of their own would be a second copy of copy_chunk to compile. */
    SPT_NO_UNROLL
    for (int c = -(SPT_STAGES - 1); c < n_chunks; c++) {
        const int ahead = c + SPT_STAGES - 1;
        if (c >= 0) {
            spt_cp_async_wait(SPT_STAGES - 2);
            __syncthreads(); /* this chunk is there for all, and the stage before it is free */
        }
        if (ahead < n_chunks)
            copy_chunk(memory + ahead % SPT_STAGES * stage_bytes, blobs, b, ldb, next, n_left, is_vector);
        spt_cp_async_commit();
        if (ahead + 1 < n_chunks)
            next = spt_ldg(chunks + ahead + 1);
        if (c < 0)
            continue;
        add_chunk(sum, memory + c % SPT_STAGES * stage_bytes, lane, team);
    }
    spt_cp_async_wait_all();
}

/* ---- C ---- */

SPT_DEVICE void finish(float *sum, const spt_element *bias, int row) {
    float start = 0.0f;
    if (SPT_HAS_BIAS)
        start = spt_widen(spt_ldg(bias + row));
    SPT_UNROLL
    for (int v = 0; v < SPT_VEC; v++) {
        sum[v] += start;
        if (SPT_RELU)
            sum[v] = sum[v] < 0.0f ? 0.0f : sum[v];
    }
}

#if SPT_LAYOUT_NK
/* Through shared memory, so that neighbouring rows are written together. */
SPT_DEVICE void store(spt_element *c, long long ldc, float *sum, unsigned char *memory, const int *rows,
                      const spt_element *bias, int n_left, bool is_vector) {
    const int lane = threadIdx.x % SPT_LANES, team = threadIdx.x / SPT_LANES;
    float *tile = (float *)memory;
    __syncthreads();
    SPT_UNROLL
    for (int i = 0; i < SPT_TEAM_ROWS; i++) {
        const int row = spt_ldg(rows + i * SPT_TEAMS + team);
        const int place = SPT_SORTED ? i * SPT_TEAMS + team : row - (int)blockIdx.x * SPT_ROWS;
        if (row < 0)
            continue;
        finish(sum + i * SPT_VEC, bias, row);
        SPT_UNROLL
        for (int v = 0; v < SPT_VEC; v++)
            spt_sts(tile + (lane * SPT_VEC + v) * (SPT_ROWS + 1) + place, sum[i * SPT_VEC + v]);
    }
    __syncthreads();
    SPT_NO_UNROLL
    for (int t = threadIdx.x; t < SPT_ROWS * spt_min(SPT_TILE, n_left); t += SPT_THREADS) {
        const int place = t % SPT_ROWS, j = t / SPT_ROWS;
        const int row = spt_ldg(rows + place) < 0 ? -1
                        : SPT_SORTED              ? spt_ldg(rows + place)
                                                  : (int)blockIdx.x * SPT_ROWS + place;
        if (row >= 0)
            spt_stg(c + j * ldc + row, spt_narrow(spt_lds(tile + j * (SPT_ROWS + 1) + place)));
    }
    __syncthreads();
}
#else
SPT_DEVICE void store(spt_element *c, long long ldc, float *sum, unsigned char *memory, const int *rows,
                      const spt_element *bias, int n_left, bool is_vector) {
    const int lane = threadIdx.x % SPT_LANES, team = threadIdx.x / SPT_LANES;
    SPT_UNROLL
    for (int i = 0; i < SPT_TEAM_ROWS; i++) {
        const int row = spt_ldg(rows + i * SPT_TEAMS + team);
        if (row < 0)
            continue;
        finish(sum + i * SPT_VEC, bias, row);
        spt_element *to = c + row * ldc + lane * SPT_VEC;
        b_pack out;
        SPT_UNROLL
        for (int v = 0; v < SPT_VEC; v++) {
            out.v[v] = spt_narrow(sum[i * SPT_VEC + v]);
            if (!is_vector && lane * SPT_VEC + v < n_left)
                spt_stg(to + v, out.v[v]);
        }
        if (is_vector && lane * SPT_VEC < n_left)
            spt_stg((b_pack *)to, out);
    }
    __syncthreads();
}
#endif

SPT_DEVICE void multiply(const int *rows, const int *firsts, const chunk_pack *chunks, const unit_pack *blobs,
                         int blob_bytes, const spt_element *b, long long ldb, spt_element *c, long long ldc,
                         const spt_element *bias, int n, bool is_vector) {
    SPT_SHARED_DYNAMIC(unsigned char, memory);
    const int first = spt_ldg(firsts + blockIdx.x), n_chunks = spt_ldg(firsts + blockIdx.x + 1) - first;
    const int stage_bytes = SPT_B_BYTES + blob_bytes;
    SPT_NO_UNROLL
    for (int j0 = blockIdx.y * SPT_TILE; j0 < n; j0 += gridDim.y * SPT_TILE) {
        float sum[SPT_TEAM_ROWS * SPT_VEC];
        SPT_UNROLL
        for (int i = 0; i < SPT_TEAM_ROWS * SPT_VEC; i++)
            sum[i] = 0.0f;
        for (int t = threadIdx.x; t < SPT_STAGES * SPT_TILE; t += SPT_THREADS) /* the row of zeros of each stage */
            spt_sts((spt_element *)(memory + t / SPT_TILE * stage_bytes) + SPT_KC * SPT_STRIDE + t % SPT_TILE,
                    (spt_element)0);
        add_chunks(sum, memory, stage_bytes, chunks + first, n_chunks, blobs, SPT_LAYOUT_NK ? b + j0 * ldb : b + j0,
                   ldb, n - j0, is_vector);
        store(SPT_LAYOUT_NK ? c + j0 * ldc : c + j0, ldc, sum, memory, rows + blockIdx.x * SPT_ROWS, bias, n - j0,
              is_vector);
    }
}

#if !SPT_LAYOUT_NK && SPT_HAS_ENTRY(0)
SPT_KERNEL SPT_BOUNDS(SPT_THREADS, 1)
    spmm_vector(const int *rows, const int *firsts, const chunk_pack *chunks, const unit_pack *blobs, int blob_bytes,
                const spt_element *b, long long ldb, spt_element *c, long long ldc, const spt_element *bias, int n) {
    multiply(rows, firsts, chunks, blobs, blob_bytes, b, ldb, c, ldc, bias, n, true);
}
#endif

#if SPT_LAYOUT_NK || SPT_HAS_ENTRY(1)
SPT_KERNEL SPT_BOUNDS(SPT_THREADS, 1)
    spmm_scalar(const int *rows, const int *firsts, const chunk_pack *chunks, const unit_pack *blobs, int blob_bytes,
                const spt_element *b, long long ldb, spt_element *c, long long ldc, const spt_element *bias, int n) {
    multiply(rows, firsts, chunks, blobs, blob_bytes, b, ldb, c, ldc, bias, n, false);
}
#endif
#endif // __CUDACC_RTC__
