/* SPDX-License-Identifier: Apache-2.0 */
/* NEON of aarch64: 4 lanes, masks as ranges. See simd.h. */
#include <arm_neon.h>

#define SPT_LANES 4
#define SPT_REGISTERS 32
typedef float32x4_t spt_vec;
typedef struct spt_mask {
    int begin, end;
} spt_mask;

SPT_INLINE spt_vec vec_zero(void) {
    return vdupq_n_f32(0.0f);
}
SPT_INLINE spt_vec vec_set1(float x) {
    return vdupq_n_f32(x);
}
SPT_INLINE spt_vec vec_load(const float *p) {
    return vld1q_f32(p);
}
SPT_INLINE void vec_store(float *p, spt_vec v) {
    vst1q_f32(p, v);
}

SPT_INLINE void vec_stream(float *p, spt_vec v) {
    vec_store(p, v);
}

SPT_INLINE void vec_stream_end(void) {}
SPT_INLINE spt_mask vec_first(int count) {
    return (spt_mask){0, count};
}
SPT_INLINE spt_mask vec_lanes(int begin, int end) {
    return (spt_mask){begin, end};
}
SPT_INLINE spt_vec vec_load_masked(spt_mask mask, const float *p) {
    float lanes[SPT_LANES] = {0.0f};
    for (int i = mask.begin; i < mask.end; i++)
        lanes[i] = p[i];
    return vld1q_f32(lanes);
}
SPT_INLINE void vec_store_masked(spt_mask mask, float *p, spt_vec v) {
    float lanes[SPT_LANES];
    vst1q_f32(lanes, v);
    for (int i = mask.begin; i < mask.end; i++)
        p[i] = lanes[i];
}
SPT_INLINE spt_vec vec_fma(spt_vec a, spt_vec b, spt_vec c) {
    return vfmaq_f32(c, a, b);
}
SPT_INLINE spt_vec vec_add(spt_vec a, spt_vec b) {
    return vaddq_f32(a, b);
}
SPT_INLINE spt_vec vec_max(spt_vec a, spt_vec b) {
    return vmaxq_f32(a, b);
}
SPT_INLINE spt_vec vec_slide(spt_vec low, spt_vec high, int count) {
    const uint8x16_t bytes = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    const uint8x16x2_t both = {{vreinterpretq_u8_f32(low), vreinterpretq_u8_f32(high)}};
    return vreinterpretq_f32_u8(vqtbl2q_u8(both, vaddq_u8(bytes, vdupq_n_u8((uint8_t)(4 * count)))));
}
SPT_INLINE float vec_sum(spt_vec v) {
    return vaddvq_f32(v);
}

SPT_INLINE void vec_store_sums4(float *p, int count, const spt_vec *rows) {
    vec_store_masked(vec_first(count), p, vpaddq_f32(vpaddq_f32(rows[0], rows[1]), vpaddq_f32(rows[2], rows[3])));
}

SPT_INLINE void vec_store_sums(float *p, const spt_vec *rows, const int count) {
    vec_store_sums4(p, count, rows);
}

SPT_INLINE spt_vec vec_gather(const float *x, const uint16_t *columns) {
    const float lanes[SPT_LANES] = {x[columns[0]], x[columns[1]], x[columns[2]], x[columns[3]]};
    return vec_load(lanes);
}
#define SPT_HAS_LOOKUP 0
#define SPT_HAS_TRANSPOSE_LINES 0
SPT_INLINE void vec_transpose(float *dst, int64_t ld_dst, const float *src, int64_t ld_src, int rows, int cols) {
    for (int c = 0; c < cols; c++) {
        for (int r = 0; r < rows; r++)
            dst[c * ld_dst + r] = src[r * ld_src + c];
    }
}
