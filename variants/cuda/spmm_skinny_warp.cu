/* SPDX-License-Identifier: Apache-2.0 */
/* spmm_skinny_warp: for n up to 8, where reading A is all the work. A row is a stream of values with the distance of
 * each from the one before in 4, 8 or 16 bits (a zero is put in where a distance does not fit); every lane of a team
 * takes some neighbouring nonzeros with one wide load, and a scan over the lanes gives their columns. After Macko and
 * Boza, "MACKO: Sparse Matrix-Vector Multiplication for Low Sparsity", 2025 (arXiv 2511.13061), with several columns of
 * B, with teams narrower than a warp, and with B in shared memory where it fits.
 * Bound: bytes of A (a value and 4 to 16 bits per nonzero) from memory or L2; n gathers of B per nonzero. */
#ifndef __CUDACC_RTC__
#include <string.h>

#include "core/memory.h"
#include "variants/cuda/kernel.h"
#include "variants/cuda/rows.h"

SPT_CUDA_TEXT(spmm_skinny_warp);

enum { AXIS_LANES, AXIS_PER, AXIS_BITS, AXIS_NB, AXIS_THREADS, AXIS_WAVES, AXIS_AHEAD, AXIS_B, N_AXES };
enum { BUFFER_FIRSTS, BUFFER_VALUES, BUFFER_DELTAS };
enum { B_GLOBAL, B_SHARED };

static const spt_axis_value lanes_values[] = {{8, NULL}, {16, NULL}, {32, NULL}};
static const spt_axis_value per_values[] = {{4, NULL}, {8, NULL}};
static const spt_axis_value bits_values[] = {{4, NULL}, {8, NULL}, {16, NULL}};
static const spt_axis_value nb_values[] = {{1, NULL}, {2, NULL}, {4, NULL}, {8, NULL}};
static const spt_axis_value threads_values[] = {{128, NULL}, {256, NULL}, {512, NULL}};
static const spt_axis_value waves_values[] = {{1, NULL}, {2, NULL}, {4, NULL}, {16, NULL}};
static const spt_axis_value ahead_values[] = {{1, NULL}, {2, NULL}};
static const spt_axis_value b_values[] = {{B_GLOBAL, "global"}, {B_SHARED, "shared"}};
static const spt_axis axes[N_AXES] = {
    [AXIS_LANES] = {"lanes", "lanes that share a row", lanes_values, 3},
    [AXIS_PER] = {"per", "neighbouring nonzeros of a lane", per_values, 2},
    [AXIS_BITS] = {"bits", "bits of a distance", bits_values, 3},
    [AXIS_NB] = {"nb", "columns of B at a time", nb_values, 4},
    [AXIS_THREADS] = {"threads", "threads of a block", threads_values, 3},
    [AXIS_WAVES] = {"waves", "blocks per multiprocessor at most; each walks over rows", waves_values, 4},
    [AXIS_AHEAD] = {"ahead", "loads of A that are under way behind the one in use", ahead_values, 2},
    [AXIS_B] = {"b", "where B is gathered from", b_values, 2},
};

static int value_of(const spt_point *point, int axis) {
    return spt_point_value(axes, point, axis);
}

static int64_t shared_bytes(const spt_workload *workload, const spt_point *point) {
    if (value_of(point, AXIS_B) == B_GLOBAL)
        return 0;
    return workload->pattern.n_cols * value_of(point, AXIS_NB) * (int64_t)spt_dtype_bytes(workload->problem.dtype);
}

static bool is_valid(const spt_workload *workload, const spt_device *device, const spt_point *point) {
    const int64_t n = workload->problem.n, nb = value_of(point, AXIS_NB);
    return spt_cuda_has_dtype(device, workload->problem.dtype) && n <= 8 && nb / 2 < n &&
           shared_bytes(workload, point) <= device->shared_bytes_max;
}

/* Bits so that few distances do not fit; a warp per row where rows are long; B in shared memory where several blocks of
 * it fit into a multiprocessor. */
static void default_point(const spt_workload *workload, const spt_device *device, spt_point *out) {
    const spt_features *features = &workload->pattern.features;
    const double gap = features->density > 0.0 ? 1.0 / features->density : 1e9;
    *out = (spt_point){{[AXIS_LANES] = features->row_mean >= 128.0  ? 2
                                       : features->row_mean >= 48.0 ? 1
                                                                    : 0,
                        [AXIS_PER] = workload->problem.dtype == SPT_F32 ? 0 : 1,
                        [AXIS_BITS] = gap <= 4.0    ? 0
                                      : gap <= 64.0 ? 1
                                                    : 2,
                        [AXIS_THREADS] = 1,
                        [AXIS_WAVES] = 2,
                        [AXIS_AHEAD] = features->row_mean >= 768.0}};
    while (out->index[AXIS_NB] < 3 && value_of(out, AXIS_NB) < workload->problem.n)
        out->index[AXIS_NB]++;
    out->index[AXIS_B] = B_SHARED;
    if (shared_bytes(workload, out) > device->shared_bytes_max / 4)
        out->index[AXIS_B] = B_GLOBAL;
}

static double bound_ns(const spt_workload *workload, const spt_device *device, const spt_point *point) {
    const double n = (double)workload->problem.n, nnz = (double)workload->pattern.nnz;
    const double bytes = (double)spt_dtype_bytes(workload->problem.dtype), bits = value_of(point, AXIS_BITS);
    const double density = workload->pattern.features.density;
    double fits = 1.0; /* the share of distances that fit, of a random pattern: 1 - (1 - density)^(2^bits) */
    for (double gap = 1.0, left = 1.0 - density; gap <= 65536.0; gap *= 2.0, left *= left)
        fits = gap == (bits == 4.0 ? 16.0 : bits == 8.0 ? 256.0 : 65536.0) ? 1.0 - left : fits;
    const double a_bytes = nnz * (bytes + bits / 8.0) / (fits > 0.05 ? fits : 0.05);
    const double b_bytes = bytes * n * (double)workload->pattern.n_cols;
    const double per_pass = (n + value_of(point, AXIS_NB) - 1.0) / value_of(point, AXIS_NB);
    const double gathers = nnz * n * bytes * (value_of(point, AXIS_B) == B_SHARED ? 1.0 : 4.0);
    const double c_bytes = bytes * n * (double)workload->pattern.n_rows;
    return spt_cuda_bound_ns(device, 2.0 * nnz * n, false, a_bytes * per_pass + gathers * 0.25 + b_bytes,
                             a_bytes + b_bytes + c_bytes);
}

static spt_status describe(spt_cuda_source *out, const spt_workload *workload, const spt_device *device,
                           const spt_point *point, const spt_csr *a) {
    static const char *const kernels[] = {"spmm_skinny"};
    (void)device, (void)a;
    SPT_CUDA_SOURCE(out, spmm_skinny_warp, kernels, workload);
    spt_cuda_define(out, "SPT_LANES", value_of(point, AXIS_LANES));
    spt_cuda_define(out, "SPT_PER", value_of(point, AXIS_PER));
    spt_cuda_define(out, "SPT_BITS", value_of(point, AXIS_BITS));
    spt_cuda_define(out, "SPT_NB", value_of(point, AXIS_NB));
    spt_cuda_define(out, "SPT_THREADS", value_of(point, AXIS_THREADS));
    spt_cuda_define(out, "SPT_AHEAD", value_of(point, AXIS_AHEAD));
    spt_cuda_define(out, "SPT_B_SHARED", value_of(point, AXIS_B) == B_SHARED);
    return SPT_OK;
}

/* The stream of one row; without arrays only its length in entries. `at` is the number of its first entry. */
static int64_t write_row(void *values, uint8_t *deltas, int64_t at, const spt_workload *workload, const spt_csr *a,
                         int64_t row, int bits) {
    const int64_t limit = ((int64_t)1 << bits) - 1;
    int64_t column = 0, n_entries = 0;
    for (int64_t nz = a->row_offsets[row]; nz < a->row_offsets[row + 1];) {
        const int64_t gap = a->columns[nz] - column, delta = gap < limit ? gap : limit;
        const int64_t entry = at + n_entries++;
        if (deltas != NULL && bits == 4)
            deltas[entry / 2] = (uint8_t)(deltas[entry / 2] | delta << (4 * (entry % 2)));
        else if (deltas != NULL && bits == 8)
            deltas[entry] = (uint8_t)delta;
        else if (deltas != NULL)
            ((uint16_t *)(void *)deltas)[entry] = (uint16_t)delta;
        column += delta;
        if (delta < gap)
            continue; /* a zero on the way */
        if (values != NULL)
            spt_copy_element(workload->problem.dtype, values, entry, a->values, nz);
        nz++;
    }
    return n_entries;
}

static spt_status pack(spt_cuda_packed *out, const spt_workload *workload, const spt_device *device,
                       const spt_point *point, const spt_csr *a) {
    (void)device;
    const int per = value_of(point, AXIS_PER), bits = value_of(point, AXIS_BITS);
    void *firsts, *values, *deltas;
    SPT_TRY(spt_cuda_packed_add(out, "firsts", (size_t)(a->n_rows + 1) * sizeof(int32_t), &firsts));
    int32_t *first = firsts;
    int64_t n_chunks = 0;
    for (int64_t row = 0; row < a->n_rows; row++) {
        n_chunks += spt_ceil_div(write_row(NULL, NULL, 0, workload, a, row, bits), per);
        SPT_TRY(spt_check_i32(n_chunks * per, "nonzeros"));
        first[row + 1] = (int32_t)n_chunks;
    }
    SPT_TRY(spt_cuda_packed_add(out, "values", (size_t)(n_chunks * per) * spt_dtype_bytes(workload->problem.dtype),
                                &values));
    SPT_TRY(spt_cuda_packed_add(out, "deltas", (size_t)(n_chunks * per * bits / 8), &deltas));
    for (int64_t row = 0; row < a->n_rows; row++)
        write_row(values, deltas, (int64_t)first[row] * per, workload, a, row, bits);
    return SPT_OK;
}

static spt_status launch(spt_cuda_launch *out, const spt_prepared *prepared, const spt_call *call, int index) {
    const spt_point *point = &prepared->point;
    const int64_t m = prepared->workload.pattern.n_rows, threads = value_of(point, AXIS_THREADS);
    const int64_t teams = threads / value_of(point, AXIS_LANES), n_sms = prepared->device.n_sms;
    const int64_t blocks = spt_ceil_div(m, teams), most = value_of(point, AXIS_WAVES) * (n_sms > 0 ? n_sms : 132);
    const int64_t n_passes = spt_ceil_div(call->n, value_of(point, AXIS_NB));
    (void)index;
    SPT_TRY(spt_check_i32(call->n + 65536 * 8, "n"));
    out->grid[0] = (uint32_t)(blocks < most ? blocks : most);
    out->grid[1] = (uint32_t)(n_passes > 65535 ? 65535 : n_passes);
    out->grid[2] = 1;
    memcpy(out->block, (uint32_t[3]){(uint32_t)threads, 1, 1}, sizeof out->block);
    out->shared_bytes = (uint32_t)shared_bytes(&prepared->workload, point);
    spt_cuda_pass_buffer(out, BUFFER_FIRSTS);
    spt_cuda_pass_buffer(out, BUFFER_VALUES);
    spt_cuda_pass_buffer(out, BUFFER_DELTAS);
    spt_cuda_pass_operand(out, 'b');
    spt_cuda_pass_i64(out, call->ldb);
    spt_cuda_pass_operand(out, 'c');
    spt_cuda_pass_i64(out, call->ldc);
    spt_cuda_pass_operand(out, 'i');
    spt_cuda_pass_i32(out, m);
    spt_cuda_pass_i32(out, prepared->workload.pattern.n_cols);
    spt_cuda_pass_i32(out, call->n);
    return SPT_OK;
}

static const spt_cuda_kernel kernel = {.describe = describe, .pack = pack, .launch = launch};

const spt_family spt_family_spmm_skinny_warp = {
    .name = "spmm_skinny_warp",
    .summary = "CUDA: n up to 8, distances of 4 to 16 bits, a scan per warp (after MACKO, 2025)",
    .op = SPT_SPMM,
    .dtypes = SPT_DTYPE_BIT(SPT_F32) | SPT_DTYPE_BIT(SPT_BF16) | SPT_DTYPE_BIT(SPT_F16),
    .axes = axes,
    .n_axes = N_AXES,
    .revision = 2,
    .pads_zeros = true,
    .cuda = &kernel,
    .is_valid = is_valid,
    .default_point = default_point,
    .bound_ns = bound_ns,
    SPT_CUDA_VERBS,
};

#else // kernel half
#define SPT_TEAMS (SPT_THREADS / SPT_LANES)
#define SPT_DELTA_BYTES (SPT_PER * SPT_BITS / 8)
#define SPT_UNIT ((int)(16 / sizeof(spt_element)) < SPT_PER ? (int)(16 / sizeof(spt_element)) : SPT_PER)
#define SPT_B_UNIT ((int)(16 / sizeof(spt_element)) < SPT_NB ? (int)(16 / sizeof(spt_element)) : SPT_NB)

SPT_PACK(value_pack, spt_element, SPT_UNIT);
SPT_PACK(delta_pack, unsigned char, SPT_DELTA_BYTES);
SPT_PACK(b_pack, spt_element, SPT_B_UNIT);

typedef struct chunk {
    spt_element value[SPT_PER];
    delta_pack deltas;
} chunk;

SPT_DEVICE chunk load_chunk(const spt_element *values, const delta_pack *deltas, int number, bool is_there) {
    chunk out;
    SPT_UNROLL
    for (int i = 0; i < SPT_DELTA_BYTES; i++)
        out.deltas.v[i] = 0;
    SPT_UNROLL
    for (int i = 0; i < SPT_PER; i++)
        out.value[i] = 0;
    if (is_there) {
        out.deltas = spt_ldg_once(deltas + number);
        SPT_UNROLL
        for (int u = 0; u < SPT_PER; u += SPT_UNIT) {
            const value_pack v = spt_ldg_once((const value_pack *)(values + (long long)number * SPT_PER + u));
            SPT_UNROLL
            for (int i = 0; i < SPT_UNIT; i++)
                out.value[u + i] = v.v[i];
        }
    }
    return out;
}

SPT_DEVICE int delta_of(const delta_pack *deltas, int i) {
#if SPT_BITS == 4
    return deltas->v[i / 2] >> (4 * (i % 2)) & 15;
#elif SPT_BITS == 8
    return deltas->v[i];
#else
    return deltas->v[2 * i] | deltas->v[2 * i + 1] << 8;
#endif
}

/* out[j] = b[column][j0 + j] for SPT_NB columns, zero beyond n */
SPT_DEVICE void load_b(float *out, const spt_element *b, long long ldb, const spt_element *b_shared, int column,
                       int n_left) {
#if SPT_B_SHARED
    SPT_UNROLL
    for (int u = 0; u < SPT_NB; u += SPT_B_UNIT) {
        const b_pack v = spt_lds((const b_pack *)(b_shared + column * SPT_NB + u));
        SPT_UNROLL
        for (int i = 0; i < SPT_B_UNIT; i++)
            out[u + i] = spt_widen(v.v[i]);
    }
#else
    SPT_UNROLL
    for (int j = 0; j < SPT_NB; j++)
        out[j] = spt_widen(spt_ldg_if(SPT_LAYOUT_NK ? b + j * ldb + column : b + column * ldb + j, j < n_left));
#endif
}

#if SPT_B_SHARED
/* The columns of this pass, side by side for each row of B. */
SPT_DEVICE void stage_b(spt_element *b_shared, const spt_element *b, long long ldb, int k, int n_left) {
    for (int t = threadIdx.x; t < k * SPT_NB; t += SPT_THREADS) {
        const int row = SPT_LAYOUT_NK ? t % k : t / SPT_NB, j = SPT_LAYOUT_NK ? t / k : t % SPT_NB;
        spt_element v = 0;
        if (j < n_left)
            v = spt_ldg(SPT_LAYOUT_NK ? b + j * ldb + row : b + row * ldb + j);
        spt_sts(b_shared + row * SPT_NB + j, v);
    }
}
#endif

/* sum[j] = sum over the row of a * b[column, j], this lane's share */
SPT_DEVICE void add_row(float *sum, const spt_element *values, const delta_pack *deltas, int first, int end, int lane,
                        unsigned mask, const spt_element *b, long long ldb, const spt_element *b_shared, int n_left) {
    int base = 0;
    chunk next = load_chunk(values, deltas, first + lane, first + lane < end);
#if SPT_AHEAD == 2
    chunk later = load_chunk(values, deltas, first + SPT_LANES + lane, first + SPT_LANES + lane < end);
#endif
    SPT_NO_UNROLL
    for (int s = first; s < end; s += SPT_LANES) {
        const chunk now = next;
        const int after = s + SPT_AHEAD * SPT_LANES + lane;
        int total = 0;
#if SPT_AHEAD == 2
        next = later;
        later = load_chunk(values, deltas, after, after < end);
#else
        next = load_chunk(values, deltas, after, after < end);
#endif
        SPT_UNROLL
        for (int i = 0; i < SPT_PER; i++)
            total += delta_of(&now.deltas, i);
        int until = total; /* the sum of this lane's and all earlier lanes' distances */
        SPT_UNROLL
        for (int d = 1; d < SPT_LANES; d *= 2) {
            const int before = spt_shfl_up(mask, until, d, SPT_LANES);
            until += lane >= d ? before : 0;
        }
        int column = base + until - total;
        SPT_UNROLL
        for (int i = 0; i < SPT_PER; i++) {
            float row[SPT_NB];
            column += delta_of(&now.deltas, i);
            load_b(row, b, ldb, b_shared, column, n_left);
            SPT_UNROLL
            for (int j = 0; j < SPT_NB; j++)
                sum[j] = spt_fma(spt_widen(now.value[i]), row[j], sum[j]);
        }
        base += spt_shfl(mask, until, SPT_LANES - 1, SPT_LANES);
    }
}

/* Lane j of the team stores column j. */
SPT_DEVICE void store_row(spt_element *c, long long ldc, const float *sum, const spt_element *bias, int row, int lane,
                          int n_left) {
    float v = 0.0f;
    SPT_UNROLL
    for (int j = 0; j < SPT_NB; j++)
        v = j == lane ? sum[j] : v;
    if (lane >= spt_min(SPT_NB, n_left))
        return;
    if (SPT_HAS_BIAS)
        v += spt_widen(spt_ldg(bias + row));
    if (SPT_RELU)
        v = v < 0.0f ? 0.0f : v;
    spt_stg(SPT_LAYOUT_NK ? c + lane * ldc + row : c + row * ldc + lane, spt_narrow(v));
}

SPT_KERNEL SPT_BOUNDS(SPT_THREADS, 1)
    spmm_skinny(const int *firsts, const spt_element *values, const delta_pack *deltas, const spt_element *b,
                long long ldb, spt_element *c, long long ldc, const spt_element *bias, int m, int k, int n) {
    SPT_SHARED_DYNAMIC(spt_element, b_shared);
    const int lane = threadIdx.x % SPT_LANES, team = threadIdx.x / SPT_LANES;
    const unsigned mask = SPT_FULL_MASK >> (32 - SPT_LANES) << (threadIdx.x % 32 / SPT_LANES * SPT_LANES);
    SPT_NO_UNROLL
    for (int j0 = blockIdx.y * SPT_NB; j0 < n; j0 += gridDim.y * SPT_NB) {
        const spt_element *b_pass = SPT_LAYOUT_NK ? b + j0 * ldb : b + j0;
        spt_element *c_pass = SPT_LAYOUT_NK ? c + j0 * ldc : c + j0;
#if SPT_B_SHARED
        stage_b(b_shared, b_pass, ldb, k, n - j0);
        __syncthreads();
#endif
        SPT_NO_UNROLL
        for (int row = blockIdx.x * SPT_TEAMS + team; row < m; row += gridDim.x * SPT_TEAMS) {
            float sum[SPT_NB];
            SPT_UNROLL
            for (int j = 0; j < SPT_NB; j++)
                sum[j] = 0.0f;
            add_row(sum, values, deltas, spt_ldg(firsts + row), spt_ldg(firsts + row + 1), lane, mask, b_pass, ldb,
                    b_shared, n - j0);
            SPT_UNROLL
            for (int d = 1; d < SPT_LANES; d *= 2) {
                SPT_UNROLL
                for (int j = 0; j < SPT_NB; j++)
                    sum[j] += spt_shfl_xor(mask, sum[j], d, 32);
            }
            store_row(c_pass, ldc, sum, bias, row, lane, n - j0);
        }
#if SPT_B_SHARED
        __syncthreads();
#endif
    }
}
#endif // __CUDACC_RTC__
