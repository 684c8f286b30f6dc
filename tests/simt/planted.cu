/* SPDX-License-Identifier: Apache-2.0 */
/* Kernels that are right, and kernels with one bug each, which the emulator must find. `data` has 256 floats. */

/* ---- right ---- */

SPT_KERNEL SPT_BOUNDS(128, 1) reverse_block(const float *in, float *out, int n) {
    SPT_SHARED(float, tile, 128);
    spt_sts(&tile[threadIdx.x], spt_ldg(&in[blockIdx.x * 128 + threadIdx.x]));
    __syncthreads();
    spt_stg(&out[blockIdx.x * 128 + threadIdx.x], spt_lds(&tile[n - 1 - threadIdx.x]));
}

SPT_KERNEL SPT_BOUNDS(32, 1) sum_warp(const float *in, float *out) {
    float sum = spt_ldg(&in[threadIdx.x]);
    for (int lanes = 16; lanes > 0; lanes /= 2)
        sum += spt_shfl_xor(SPT_FULL_MASK, sum, lanes, 32);
    spt_stg(&out[threadIdx.x], sum);
}

SPT_KERNEL SPT_BOUNDS(32, 1) scan_halves(const float *in, float *out) {
    float sum = spt_ldg(&in[threadIdx.x]);
    const unsigned mask = threadIdx.x < 16 ? 0x0000ffffu : 0xffff0000u;
    for (int delta = 1; delta < 16; delta *= 2) {
        const float before = spt_shfl_up(mask, sum, delta, 16);
        sum += (int)(threadIdx.x % 16) >= delta ? before : 0.0f;
    }
    spt_stg(&out[threadIdx.x], sum);
}

SPT_KERNEL SPT_BOUNDS(32, 1) votes(const float *in, float *out) {
    const int is_odd = (int)spt_ldg(&in[threadIdx.x]) % 2;
    float v = (float)spt_popc(spt_ballot(SPT_FULL_MASK, is_odd));
    v += spt_any(SPT_FULL_MASK, is_odd) ? 100.0f : 0.0f;
    v += spt_all(SPT_FULL_MASK, is_odd) ? 1000.0f : 0.0f;
    v += (float)spt_reduce_add(SPT_FULL_MASK, threadIdx.x) * 10000.0f;
    v += spt_shfl(SPT_FULL_MASK, (float)threadIdx.x, 31 - threadIdx.x, 32) + spt_shfl_down(SPT_FULL_MASK, 0.0f, 1, 32);
    spt_stg(&out[threadIdx.x], v);
}

SPT_KERNEL SPT_BOUNDS(64, 1) order_by_syncwarp(const float *in, float *out) {
    SPT_SHARED(float, tile, 64);
    spt_sts(&tile[threadIdx.x], spt_ldg(&in[threadIdx.x]));
    __syncwarp(SPT_FULL_MASK);
    spt_stg(&out[threadIdx.x], spt_lds(&tile[threadIdx.x ^ 1]));
}

SPT_KERNEL SPT_BOUNDS(32, 1) copy_async(const float *in, float *out) {
    SPT_SHARED(float, tile, 256);
    spt_cp_async(&tile[4 * threadIdx.x], &in[4 * threadIdx.x], 16, threadIdx.x == 31 ? 8 : 16);
    spt_cp_async_commit();
    spt_cp_async(&tile[128 + 4 * threadIdx.x], &in[128 + 4 * threadIdx.x], 16, 16);
    spt_cp_async_commit();
    spt_cp_async_wait(1);
    __syncthreads();
    for (int i = threadIdx.x; i < 128; i += 32)
        spt_stg(&out[i], spt_lds(&tile[127 - i]));
    spt_cp_async_wait(0);
    __syncthreads();
    for (int i = threadIdx.x; i < 128; i += 32)
        spt_stg(&out[128 + i], spt_lds(&tile[255 - i]));
}

SPT_KERNEL SPT_BOUNDS(64, 1) count_atomically(const float *in, float *out) {
    spt_atomic_add_f32(&out[threadIdx.x % 2], spt_ldg(&in[threadIdx.x]));
}

/* ---- one bug each ---- */

SPT_KERNEL SPT_BOUNDS(128, 1) missing_barrier(const float *in, float *out) {
    SPT_SHARED(float, tile, 128);
    spt_sts(&tile[threadIdx.x], spt_ldg(&in[threadIdx.x]));
    spt_stg(&out[threadIdx.x], spt_lds(&tile[threadIdx.x ^ 64]));
}

SPT_KERNEL SPT_BOUNDS(64, 1) missing_second_barrier(const float *in, float *out) {
    SPT_SHARED(float, tile, 64);
    for (int i = 0; i < 2; i++) {
        spt_sts(&tile[threadIdx.x], spt_ldg(&in[64 * i + threadIdx.x]));
        __syncthreads();
        spt_stg(&out[64 * i + threadIdx.x], spt_lds(&tile[63 - threadIdx.x]));
    }
}

SPT_KERNEL SPT_BOUNDS(64, 1) syncwarp_is_no_barrier(const float *in, float *out) {
    SPT_SHARED(float, tile, 64);
    spt_sts(&tile[threadIdx.x], spt_ldg(&in[threadIdx.x]));
    __syncwarp(SPT_FULL_MASK);
    spt_stg(&out[threadIdx.x], spt_lds(&tile[threadIdx.x ^ 32]));
}

SPT_KERNEL SPT_BOUNDS(32, 1) shuffle_is_no_barrier(const float *in, float *out) {
    SPT_SHARED(float, tile, 32);
    spt_sts(&tile[threadIdx.x], spt_ldg(&in[threadIdx.x]));
    spt_shfl(SPT_FULL_MASK, 0, 0, 32);
    spt_stg(&out[threadIdx.x], spt_lds(&tile[threadIdx.x ^ 1]));
}

SPT_KERNEL SPT_BOUNDS(64, 1) two_writers(const float *in, float *out) {
    SPT_SHARED(float, tile, 64);
    spt_sts(&tile[threadIdx.x / 2], spt_ldg(&in[threadIdx.x]));
    __syncthreads();
    spt_stg(&out[threadIdx.x], spt_lds(&tile[threadIdx.x / 2]));
}

SPT_KERNEL SPT_BOUNDS(64, 1) two_blocks_write(const float *in, float *out) {
    spt_stg(&out[threadIdx.x], spt_ldg(&in[threadIdx.x]) + (float)blockIdx.x);
}

SPT_KERNEL SPT_BOUNDS(32, 1) global_race(const float *in, float *out) {
    spt_stg(&out[threadIdx.x], spt_ldg(&in[threadIdx.x]));
    spt_stg(&out[64 + threadIdx.x], spt_ldg(&out[threadIdx.x ^ 1]));
}

SPT_KERNEL SPT_BOUNDS(64, 1) divergent_barrier(const float *in, float *out) {
    if (threadIdx.x < 32)
        __syncthreads();
    spt_stg(&out[threadIdx.x], spt_ldg(&in[threadIdx.x]));
}

SPT_KERNEL SPT_BOUNDS(64, 1) two_barriers(const float *in, float *out) {
    if (threadIdx.x < 32)
        __syncthreads();
    else
        __syncthreads();
    spt_stg(&out[threadIdx.x], spt_ldg(&in[threadIdx.x]));
}

SPT_KERNEL SPT_BOUNDS(32, 1) divergent_shuffle(const float *in, float *out) {
    float v = spt_ldg(&in[threadIdx.x]);
    if (threadIdx.x < 16)
        v += spt_shfl_xor(SPT_FULL_MASK, v, 1, 32);
    spt_stg(&out[threadIdx.x], v);
}

SPT_KERNEL SPT_BOUNDS(32, 1) other_masks(const float *in, float *out) {
    const unsigned mask = threadIdx.x < 16 ? 0x0001ffffu : SPT_FULL_MASK;
    spt_stg(&out[threadIdx.x], spt_shfl_xor(mask, spt_ldg(&in[threadIdx.x]), 1, 32));
}

SPT_KERNEL SPT_BOUNDS(32, 1) mask_without_itself(const float *in, float *out) {
    spt_stg(&out[threadIdx.x], spt_shfl_xor(0x0000ffffu, spt_ldg(&in[threadIdx.x]), 1, 32));
}

SPT_KERNEL SPT_BOUNDS(32, 1) reads_beyond_the_mask(const float *in, float *out) {
    float v = spt_ldg(&in[threadIdx.x]);
    if (threadIdx.x < 16)
        v = spt_shfl(0x0000ffffu, v, 16, 32);
    spt_stg(&out[threadIdx.x], v);
}

SPT_KERNEL SPT_BOUNDS(40, 1) absent_lanes(const float *in, float *out) {
    spt_stg(&out[threadIdx.x], spt_shfl_xor(SPT_FULL_MASK, spt_ldg(&in[threadIdx.x]), 1, 32));
}

SPT_KERNEL SPT_BOUNDS(32, 1) returned_lanes(const float *in, float *out) {
    if (threadIdx.x >= 20)
        return;
    spt_stg(&out[threadIdx.x], spt_shfl_xor(SPT_FULL_MASK, spt_ldg(&in[threadIdx.x]), 1, 32));
}

SPT_KERNEL SPT_BOUNDS(32, 1) shared_overrun(const float *in, float *out) {
    SPT_SHARED(float, tile, 32);
    SPT_SHARED(float, other, 32);
    spt_sts(&other[threadIdx.x], 0.0f);
    spt_sts(&tile[threadIdx.x + 1], spt_ldg(&in[threadIdx.x]));
    spt_stg(&out[threadIdx.x], 0.0f);
}

SPT_KERNEL SPT_BOUNDS(32, 1) dynamic_overrun(const float *in, float *out) {
    SPT_SHARED_DYNAMIC(float, tile);
    spt_sts(&tile[threadIdx.x + 1], spt_ldg(&in[threadIdx.x]));
    spt_stg(&out[threadIdx.x], 0.0f);
}

SPT_KERNEL SPT_BOUNDS(32, 1) global_overrun(const float *in, float *out) {
    spt_stg(&out[threadIdx.x], spt_ldg(&in[threadIdx.x + 225]));
}

SPT_KERNEL SPT_BOUNDS(32, 1) write_overrun(const float *in, float *out) {
    spt_stg(&out[(int)threadIdx.x - 1], spt_ldg(&in[threadIdx.x]));
}

SPT_PACK(planted_pack, float, 4);
SPT_KERNEL SPT_BOUNDS(32, 1) misaligned(const float *in, float *out) {
    const planted_pack p = spt_ldg((const planted_pack *)&in[threadIdx.x]);
    spt_stg(&out[threadIdx.x], p.v[0]);
}

SPT_KERNEL SPT_BOUNDS(32, 1) uninitialised(const float *in, float *out) {
    SPT_SHARED(float, tile, 64);
    spt_sts(&tile[threadIdx.x], spt_ldg(&in[threadIdx.x]));
    __syncthreads();
    spt_stg(&out[threadIdx.x], spt_lds(&tile[threadIdx.x + 1]));
}

SPT_KERNEL SPT_BOUNDS(32, 1) missing_async_wait(const float *in, float *out) {
    SPT_SHARED(float, tile, 128);
    spt_cp_async(&tile[4 * threadIdx.x], &in[4 * threadIdx.x], 16, 16);
    spt_cp_async_commit();
    __syncthreads();
    spt_stg(&out[threadIdx.x], spt_lds(&tile[threadIdx.x]));
}

SPT_KERNEL SPT_BOUNDS(32, 1) async_wait_too_lax(const float *in, float *out) {
    SPT_SHARED(float, tile, 128);
    spt_cp_async(&tile[4 * threadIdx.x], &in[4 * threadIdx.x], 16, 16);
    spt_cp_async_commit();
    spt_cp_async_wait(1);
    __syncthreads();
    spt_stg(&out[threadIdx.x], spt_lds(&tile[threadIdx.x]));
}

SPT_KERNEL SPT_BOUNDS(32, 1) async_without_barrier(const float *in, float *out) {
    SPT_SHARED(float, tile, 128);
    spt_cp_async(&tile[4 * threadIdx.x], &in[4 * threadIdx.x], 16, 16);
    spt_cp_async_commit();
    spt_cp_async_wait(0);
    spt_stg(&out[threadIdx.x], spt_lds(&tile[threadIdx.x]));
}

SPT_KERNEL SPT_BOUNDS(32, 1) async_overwrites_readers(const float *in, float *out) {
    SPT_SHARED(float, tile, 128);
    for (int i = 0; i < 2; i++) {
        spt_cp_async(&tile[4 * threadIdx.x], &in[128 * i + 4 * threadIdx.x], 16, 16);
        spt_cp_async_commit();
        spt_cp_async_wait(0);
        __syncthreads();
        spt_stg(&out[32 * i + threadIdx.x], spt_lds(&tile[threadIdx.x]));
    }
}

SPT_KERNEL SPT_BOUNDS(32, 1) bad_metadata(const float *in, float *out, int metadata) {
    const unsigned a[4] = {0, 0, 0, 0}, b[4] = {0, 0, 0, 0};
    float c[4] = {0.0f, 0.0f, 0.0f, 0.0f};
    spt_mma_sp_f16(c, a, b, (unsigned)metadata);
    spt_stg(&out[threadIdx.x], c[0] + spt_ldg(&in[threadIdx.x]));
}

#define PLANTED_BAD_METADATA(kernel, instruction, type_c)                                                              \
    SPT_KERNEL SPT_BOUNDS(32, 1) kernel(const float *in, float *out, int metadata) {                                   \
        const unsigned a[4] = {0, 0, 0, 0}, b[4] = {0, 0, 0, 0};                                                       \
        type_c c[4] = {0, 0, 0, 0};                                                                                    \
        instruction(c, a, b, (unsigned)metadata);                                                                      \
        spt_stg(&out[threadIdx.x], (float)c[0] + spt_ldg(&in[threadIdx.x]));                                           \
    }
PLANTED_BAD_METADATA(bad_metadata_s8, spt_mma_sp_s8, int)
PLANTED_BAD_METADATA(bad_metadata_e4m3, spt_mma_sp_e4m3, float)
PLANTED_BAD_METADATA(bad_metadata_tf32, spt_mma_sp_tf32, float)

/* ---- matrices: registers in, results out; the test computes the layouts by the manual's formulas ---- */

#define PLANTED_MMA(kernel, instruction, type_c)                                                                       \
    SPT_KERNEL SPT_BOUNDS(32, 1) kernel(const unsigned *a_in, const unsigned *b_in, type_c *out) {                     \
        unsigned a[4], b[2];                                                                                           \
        type_c c[4];                                                                                                   \
        for (int i = 0; i < 4; i++) {                                                                                  \
            a[i] = spt_ldg(&a_in[4 * threadIdx.x + i]);                                                                \
            b[i % 2] = spt_ldg(&b_in[4 * threadIdx.x + i % 2]);                                                        \
            c[i] = (type_c)1;                                                                                          \
        }                                                                                                              \
        instruction(c, a, b);                                                                                          \
        for (int i = 0; i < 4; i++)                                                                                    \
            spt_stg(&out[4 * threadIdx.x + i], c[i]);                                                                  \
    }
PLANTED_MMA(multiply_f16, spt_mma_f16, float)
PLANTED_MMA(multiply_bf16, spt_mma_bf16, float)
PLANTED_MMA(multiply_tf32, spt_mma_tf32, float)
PLANTED_MMA(multiply_s8, spt_mma_s8, int)

#define PLANTED_MMA_SP(kernel, instruction, type_c)                                                                    \
    SPT_KERNEL SPT_BOUNDS(32, 1)                                                                                       \
    kernel(const unsigned *a_in, const unsigned *b_in, const unsigned *metadata, type_c *out) {                        \
        unsigned a[4], b[4];                                                                                           \
        type_c c[4];                                                                                                   \
        for (int i = 0; i < 4; i++) {                                                                                  \
            a[i] = spt_ldg(&a_in[4 * threadIdx.x + i]);                                                                \
            b[i] = spt_ldg(&b_in[4 * threadIdx.x + i]);                                                                \
            c[i] = (type_c)1;                                                                                          \
        }                                                                                                              \
        instruction(c, a, b, spt_ldg(&metadata[threadIdx.x]));                                                         \
        for (int i = 0; i < 4; i++)                                                                                    \
            spt_stg(&out[4 * threadIdx.x + i], c[i]);                                                                  \
    }
PLANTED_MMA_SP(multiply_sp_f16, spt_mma_sp_f16, float)
PLANTED_MMA_SP(multiply_sp_tf32, spt_mma_sp_tf32, float)
PLANTED_MMA_SP(multiply_sp_s8, spt_mma_sp_s8, int)
PLANTED_MMA_SP(multiply_sp_e4m3, spt_mma_sp_e4m3, float)
PLANTED_MMA_SP(multiply_sp_e5m2, spt_mma_sp_e5m2, float)

SPT_KERNEL SPT_BOUNDS(32, 1) load_matrices(const unsigned *in, unsigned *out) {
    SPT_SHARED(unsigned, tile, 128);
    unsigned d[4];
    for (int i = 0; i < 4; i++)
        spt_sts(&tile[4 * threadIdx.x + i], spt_ldg(&in[4 * threadIdx.x + i]));
    __syncthreads();
    spt_ldmatrix_x4(d, &tile[4 * threadIdx.x]);
    for (int i = 0; i < 4; i++)
        spt_stg(&out[8 * threadIdx.x + i], d[i]);
    spt_ldmatrix_x4_trans(d, &tile[4 * threadIdx.x]);
    for (int i = 0; i < 4; i++)
        spt_stg(&out[8 * threadIdx.x + 4 + i], d[i]);
}

/* All 65536 halves to floats and back. */
SPT_KERNEL SPT_BOUNDS(256, 1) convert_f16(float *wide, unsigned short *narrow) {
    const int i = blockIdx.x * 256 + threadIdx.x;
    const float v = spt_f16_to_f32((unsigned short)i);
    spt_stg(&wide[i], v);
    spt_stg(&narrow[i], spt_f32_to_f16(v));
}

/* Floats to both 8-bit types and back. */
SPT_KERNEL SPT_BOUNDS(256, 1) convert_float8(const float *in, float *wide, unsigned char *narrow) {
    const int i = blockIdx.x * 256 + threadIdx.x;
    const unsigned char e4m3 = spt_f32_to_e4m3(spt_ldg(&in[i])), e5m2 = spt_f32_to_e5m2(spt_ldg(&in[i]));
    spt_stg(&narrow[2 * i], e4m3);
    spt_stg(&narrow[2 * i + 1], e5m2);
    spt_stg(&wide[2 * i], spt_e4m3_to_f32(e4m3));
    spt_stg(&wide[2 * i + 1], spt_e5m2_to_f32(e5m2));
}
