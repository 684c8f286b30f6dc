/* SPDX-License-Identifier: Apache-2.0 */
/* C[row, j] = activation(C[row, j] + bias[row] + residual[row, j]); plain loops that the compiler vectorises. */
#include "variants/epilogue.h"

static float finish(float v, spt_activation activation) {
    return activation == SPT_RELU && v < 0.0f ? 0.0f : v;
}

static void add(float *restrict c, const float *restrict residual, int64_t count) {
    for (int64_t i = 0; i < count; i++)
        c[i] += residual[i];
}

void spt_epilogue_apply_f32(const spt_prepared *prepared, const spt_call *call) {
    const spt_epilogue_row *epilogue = spt_epilogue_get(prepared->workload.problem.epilogue);
    if (!epilogue->has_bias && epilogue->activation == SPT_IDENTITY)
        return;
    const int64_t m = prepared->workload.pattern.n_rows;
    const float *bias = call->bias;
    if (prepared->workload.problem.layout == SPT_KN) {
        for (int64_t row = 0; row < m; row++) {
            float *c = (float *)call->c + row * call->ldc;
            const float shift = epilogue->has_bias ? bias[row] : 0.0f;
            if (call->residual != NULL)
                add(c, (const float *)call->residual + row * call->ldr, call->n);
            for (int64_t j = 0; j < call->n; j++)
                c[j] = finish(c[j] + shift, epilogue->activation);
        }
    } else {
        for (int64_t j = 0; j < call->n; j++) {
            float *c = (float *)call->c + j * call->ldc;
            if (call->residual != NULL)
                add(c, (const float *)call->residual + j * call->ldr, m);
            for (int64_t row = 0; row < m; row++)
                c[row] = finish(c[row] + (epilogue->has_bias ? bias[row] : 0.0f), epilogue->activation);
        }
    }
}
