/* SPDX-License-Identifier: Apache-2.0 */
/* Any machine: 4 lanes of the compiler's vector extension, masks as ranges. See simd.h. */
#include <string.h>

#define SPT_LANES 4
#define SPT_REGISTERS 16
typedef float spt_vec __attribute__((vector_size(16)));
typedef struct spt_mask {
    int begin, end;
} spt_mask;

SPT_INLINE spt_vec vec_set1(float x) {
    return (spt_vec){x, x, x, x};
}
SPT_INLINE spt_vec vec_zero(void) {
    return vec_set1(0.0f);
}
SPT_INLINE spt_vec vec_load(const float *p) {
    spt_vec v;
    memcpy(&v, p, sizeof v);
    return v;
}
SPT_INLINE void vec_store(float *p, spt_vec v) {
    memcpy(p, &v, sizeof v);
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
    return vec_load(lanes);
}
SPT_INLINE void vec_store_masked(spt_mask mask, float *p, spt_vec v) {
    for (int i = mask.begin; i < mask.end; i++)
        p[i] = v[i];
}
SPT_INLINE spt_vec vec_fma(spt_vec a, spt_vec b, spt_vec c) {
    return a * b + c;
}
SPT_INLINE spt_vec vec_add(spt_vec a, spt_vec b) {
    return a + b;
}
SPT_INLINE spt_vec vec_max(spt_vec a, spt_vec b) {
    spt_vec v;
    for (int i = 0; i < SPT_LANES; i++)
        v[i] = a[i] > b[i] ? a[i] : b[i];
    return v;
}
SPT_INLINE spt_vec vec_slide(spt_vec low, spt_vec high, int count) {
    float lanes[2 * SPT_LANES];
    vec_store(lanes, low);
    vec_store(lanes + SPT_LANES, high);
    return vec_load(lanes + count);
}
SPT_INLINE float vec_sum(spt_vec v) {
    return (v[0] + v[1]) + (v[2] + v[3]);
}

SPT_INLINE void vec_store_sums4(float *p, int count, const spt_vec *rows) {
    for (int i = 0; i < count; i++)
        p[i] = vec_sum(rows[i]);
}

SPT_INLINE void vec_store_sums(float *p, const spt_vec *rows, const int count) {
    vec_store_sums4(p, count, rows);
}

SPT_INLINE spt_vec vec_gather(const float *x, const uint16_t *columns) {
    return (spt_vec){x[columns[0]], x[columns[1]], x[columns[2]], x[columns[3]]};
}
#define SPT_HAS_LOOKUP 0
#define SPT_HAS_TRANSPOSE_LINES 0
SPT_INLINE void vec_transpose(float *dst, int64_t ld_dst, const float *src, int64_t ld_src, int rows, int cols) {
    for (int c = 0; c < cols; c++) {
        for (int r = 0; r < rows; r++)
            dst[c * ld_dst + r] = src[r * ld_src + c];
    }
}
