/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel for any leading dimension; see emit_ptx_rows.h. Of a convolution the geometry is baked and the columns are
 * cut into taps and channels by division. */
#include "variants/codegen/emit_ptx_rows.h"

#include <inttypes.h>

void spt_ptx_put_item(ptx_text *out) {
    spt_ptx_put(out, ".reg .b64 %%item, %%step;\n.reg .b32 %%z;\nmov.u32 %%z, %%ctaid.z;\n"
                     "mad.wide.u32 %%item, %%z, 1, 0;\n");
}

void spt_ptx_put_step(ptx_text *out, const char *reg, const char *operand) {
    spt_ptx_put(out, "ld.param.u64 %%step, [p_step_%s];\nmad.lo.u64 %%%s, %%item, %%step, %%%s;\n", operand, reg, reg);
}

static void put_start(ptx_text *out) {
    spt_ptx_put(out,
                ".visible .entry " SPT_PTX_ROWS " (.param .u64 p_b, .param .u64 p_c, .param .u64 p_bias, "
                ".param .u64 p_values, .param .u64 p_offsets, .param .u64 p_columns, .param .u32 p_n, "
                ".param .u32 p_ldb, .param .u32 p_ldc, .param .u32 p_m, .param .u64 p_residual, .param .u32 "
                "p_ldr" SPT_PTX_STEPS ")\n.maxntid %d, 1, 1\n{\n",
                SPT_PTX_ROWS_THREADS);
    spt_ptx_put(out, ".reg .b64 %%b, %%c, %%bias, %%values, %%offsets, %%columns, %%x, %%rn;\n"
                     ".reg .b32 %%n, %%ldb, %%ldc, %%m, %%t, %%col, %%row, %%at, %%end, %%k;\n"
                     ".reg .f32 %%s, %%v, %%w;\n.reg .pred %%p;\n"
                     "ld.param.u64 %%b, [p_b];\nld.param.u64 %%c, [p_c];\nld.param.u64 %%bias, [p_bias];\n"
                     "ld.param.u64 %%values, [p_values];\nld.param.u64 %%offsets, [p_offsets];\n");
    spt_ptx_put(out,
                "ld.param.u64 %%columns, [p_columns];\nld.param.u32 %%n, [p_n];\nld.param.u32 %%ldb, [p_ldb];\n"
                "ld.param.u32 %%ldc, [p_ldc];\nld.param.u32 %%m, [p_m];\nmov.u32 %%t, %%tid.x;\n"
                "mov.u32 %%col, %%ctaid.x;\nmad.lo.u32 %%col, %%col, %d, %%t;\nsetp.ge.u32 %%p, %%col, %%n;\n"
                "@%%p bra DONE;\nmad.wide.u32 %%rn, %%col, 4, 0;\nmov.u32 %%row, %%ctaid.y;\n",
                SPT_PTX_ROWS_THREADS);
}

/* The middle of the column's window, less one row and one column: numbers wrap around below zero. */
static void put_window(ptx_text *out, const spt_ptx_conv *conv) {
    const int64_t out_width = spt_ptx_conv_out(conv->width, conv->stride);
    spt_ptx_put(out,
                ".reg .b32 %%oy, %%ox, %%y, %%xx;\n.reg .b64 %%ra;\n.reg .pred %%q;\n"
                "div.u32 %%oy, %%col, %" PRId64 ";\nmad.lo.u32 %%ox, %%oy, %" PRIu32 ", %%col;\n"
                "mad.lo.u32 %%oy, %%oy, %d, %" PRIu32 ";\nmad.lo.u32 %%ox, %%ox, %d, %" PRIu32 ";\n",
                out_width, (uint32_t)-out_width, conv->stride, (uint32_t)-1, conv->stride, (uint32_t)-1);
}

/* %w = what column %k of A is multiplied with. */
static void put_load(ptx_text *out, const spt_ptx_conv *conv) {
    if (conv->channels == 0) {
        spt_ptx_put(out, "mad.wide.u32 %%x, %%k, %%ldb, 0;\nmad.lo.u64 %%x, %%x, 4, %%rn;\nadd.u64 %%x, %%x, %%b;\n"
                         "ld.global.nc.f32 %%w, [%%x];\n");
        return;
    }
    spt_ptx_put(out,
                "div.u32 %%t, %%k, %" PRId64 ";\nmad.lo.u32 %%k, %%t, %" PRIu32 ", %%k;\ndiv.u32 %%y, %%t, 3;\n"
                "mad.lo.u32 %%xx, %%y, %" PRIu32 ", %%t;\nadd.u32 %%y, %%y, %%oy;\nadd.u32 %%xx, %%xx, %%ox;\n"
                "setp.lt.u32 %%p, %%y, %" PRId64 ";\nsetp.lt.u32 %%q, %%xx, %" PRId64 ";\nand.pred %%p, %%p, %%q;\n",
                conv->channels, (uint32_t)-conv->channels, (uint32_t)-3, conv->height, conv->width);
    spt_ptx_put(out,
                "mad.lo.u32 %%y, %%y, %" PRId64 ", %%xx;\nmad.wide.u32 %%ra, %%y, 4, %%b;\n"
                "mad.wide.u32 %%x, %%k, %%ldb, 0;\nmad.lo.u64 %%x, %%x, 4, %%ra;\nmov.f32 %%w, 0f00000000;\n"
                "@%%p ld.global.nc.f32 %%w, [%%x];\n",
                conv->width);
}

void spt_ptx_put_rows(ptx_text *out, const spt_ptx_target *target) {
    put_start(out);
    spt_ptx_put_item(out);
    spt_ptx_put_step(out, "b", "b");
    spt_ptx_put_step(out, "c", "c");
    if (target->has_residual)
        spt_ptx_put(out, ".reg .b64 %%rr;\n.reg .b32 %%ldr;\nld.param.u64 %%rr, [p_residual];\n"
                         "ld.param.u32 %%ldr, [p_ldr];\n");
    if (target->has_residual)
        spt_ptx_put_step(out, "rr", "residual");
    if (target->conv.channels > 0)
        put_window(out, &target->conv);
    spt_ptx_put(out, "ROW:\nmad.wide.u32 %%x, %%row, 4, %%offsets;\nld.global.nc.u32 %%at, [%%x];\n"
                     "ld.global.nc.u32 %%end, [%%x+4];\nmov.f32 %%s, 0f00000000;\n");
    if (target->has_bias)
        spt_ptx_put(out, "mad.wide.u32 %%x, %%row, 4, %%bias;\nld.global.nc.f32 %%s, [%%x];\n");
    spt_ptx_put(out,
                "NONZERO:\nsetp.ge.u32 %%p, %%at, %%end;\n@%%p bra STORE;\nmad.wide.u32 %%x, %%at, 4, %%columns;\n"
                "ld.global.nc.u32 %%k, [%%x];\nmad.wide.u32 %%x, %%at, 4, %%values;\nld.global.nc.f32 %%v, [%%x];\n");
    put_load(out, &target->conv);
    spt_ptx_put(out, "fma.rn.f32 %%s, %%w, %%v, %%s;\nadd.u32 %%at, %%at, 1;\nbra NONZERO;\nSTORE:\n");
    if (target->has_residual)
        spt_ptx_put(out, "mad.wide.u32 %%x, %%row, %%ldr, 0;\nmad.lo.u64 %%x, %%x, 4, %%rn;\n"
                         "add.u64 %%x, %%x, %%rr;\nld.global.nc.f32 %%v, [%%x];\nadd.f32 %%s, %%s, %%v;\n");
    spt_ptx_put(out,
                "%smad.wide.u32 %%x, %%row, %%ldc, 0;\nmad.lo.u64 %%x, %%x, 4, %%rn;\nadd.u64 %%x, %%x, %%c;\n"
                "st.global.f32 [%%x], %%s;\nmov.u32 %%t, %%nctaid.y;\nadd.u32 %%row, %%row, %%t;\n"
                "setp.lt.u32 %%p, %%row, %%m;\n@%%p bra ROW;\nDONE:\nexit;\n}\n",
                target->has_relu ? "max.f32 %s, %s, 0f00000000;\n" : "");
}
