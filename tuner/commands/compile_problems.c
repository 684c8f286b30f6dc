/* SPDX-License-Identifier: Apache-2.0 */
/* Usual problems are rows of a table; what the command line says replaces that part of every row. */
#include "tuner/commands/compile_problems.h"

#include <inttypes.h>
#include <string.h>

#include "core/text.h"
#include "variants/cuda/kernel.h"

static const char *const usual_patterns[SPT_COMPILE_PATTERNS] = {SPT_COMPILE_PATTERN, "nm:512x512@2:4",
                                                                 "nm:512x512@1:2", "block:512x512@8x1@0.9"};

/* In the order in which they are tried. */
static const struct {
    int pattern; /* of usual_patterns */
    int64_t n;
    spt_epilogue epilogue;
} usual[] = {
    {0, 128, SPT_EPILOGUE_NONE}, /* families for any pattern */
    {1, 128, SPT_EPILOGUE_NONE}, /* 2:4 */
    {2, 128, SPT_EPILOGUE_NONE}, /* 1:2, which is 2:4 of tf32 */
    {3, 128, SPT_EPILOGUE_NONE}, /* vectors of rows, and V:N:M */
    {0, 32, SPT_EPILOGUE_NONE},  /* a narrow B */
    {0, 8, SPT_EPILOGUE_NONE},   /* a very narrow one */
    {0, 128, SPT_BIAS},          /* a vendor's product, which has a kernel of ours for its epilogue only */
    {1, 128, SPT_BIAS},          /* and one of 2:4 */
};
enum { N_USUAL = sizeof usual / sizeof usual[0] };

static const int64_t open_width = 0;

/* ---- loading ---- */

/* Asked for by name, a convolution of a pattern that was given has to be one. */
static spt_status check_conv(const spt_problem_options *options, const spt_layer *layer, const spt_csr *a, bool conv) {
    spt_problem_options asked = *options;
    if (conv) {
        asked.has_op = true;
        asked.op = SPT_CONV2D;
    }
    return strcmp(layer->source, SPT_COMPILE_PATTERN) == 0 ? SPT_OK : spt_options_check_layer(&asked, layer, a);
}

static spt_status load(spt_compile_problems *out, int at, const char *pattern, bool conv) {
    const spt_input_options input = {0};
    spt_layer_list layers = {0};
    spt_matrix *matrix = &out->matrices[at];
    spt_status status;
    SPT_TRY_TO(done, spt_options_pattern(&layers, pattern, &input));
    const spt_layer *layer = &layers.items[0];
    if (layers.count > 1)
        SPT_TRY_TO(done, spt_fail(SPT_EINVAL, "%s: expected one matrix, found %" PRId64, pattern, layers.count));
    SPT_TRY_TO(done, spt_layer_load(matrix, layer, &input));
    if (out->pattern != NULL) {
        SPT_TRY_TO(done, check_conv(out->options, layer, &matrix->view, conv));
        out->layer_n = layer->n;
    }
    spt_problem problem = spt_options_problem(out->options, layer, 1);
    problem.device = "cpu";
    SPT_TRY_TO(done, spt_options_any_workload(&out->workloads[at], &problem, &matrix->view));
done:
    spt_layer_list_fini(&layers);
    return status;
}

spt_status spt_compile_problems_init(spt_compile_problems *out, const spt_problem_options *options, const char *pattern,
                                     bool conv) {
    *out = (spt_compile_problems){.options = options, .pattern = pattern, .n_widths = 1};
    for (int i = 0; i < (pattern == NULL ? SPT_COMPILE_PATTERNS : 1); i++) {
        const spt_status status = load(out, i, pattern == NULL ? usual_patterns[i] : pattern, conv);
        if (status != SPT_OK) {
            spt_compile_problems_fini(out);
            return status;
        }
    }
    out->widths = options->n_widths > 0 ? options->widths : out->layer_n > 0 ? &out->layer_n : &open_width;
    out->n_widths = options->n_widths > 0 ? options->n_widths : 1;
    return SPT_OK;
}

void spt_compile_problems_fini(spt_compile_problems *problems) {
    for (int i = 0; i < SPT_COMPILE_PATTERNS; i++)
        spt_matrix_fini(&problems->matrices[i]);
    *problems = (spt_compile_problems){0};
}

/* ---- choosing ---- */

/* Is its default point valid, and has that a kernel? */
static bool has_point(const spt_family *family, const spt_workload *workload, const spt_device *device) {
    spt_point point = {0};
    spt_cuda_source source = {0};
    if ((family->dtypes & SPT_DTYPE_BIT(workload->problem.dtype)) == 0 ||
        (spt_epilogue_get(workload->problem.epilogue)->has_residual && !family->takes_residual))
        return false;
    family->default_point(workload, device, &point);
    if (!family->is_valid(workload, device, &point))
        return false;
    if (family->cuda->is_baked)
        return true;
    const bool has_kernel =
        family->cuda->describe(&source, workload, device, &point, NULL) == SPT_OK && source.n_kernels > 0;
    spt_cuda_source_fini(&source);
    return has_kernel;
}

/* The row where the command line leaves it open; `n` 0: so is the width. */
static int find_row(spt_workload *out, const spt_compile_problems *self, const spt_family *family, spt_dtype dtype,
                    const spt_device *device, int64_t n) {
    for (int i = 0; i < N_USUAL; i++) {
        const int pattern = self->pattern != NULL ? 0 : usual[i].pattern;
        spt_problem asked = self->workloads[pattern].problem;
        asked.n = n > 0 ? n : usual[i].n;
        if (!self->options->has_epilogue && asked.epilogue == SPT_EPILOGUE_NONE)
            asked.epilogue = usual[i].epilogue;
        *out = self->workloads[pattern];
        spt_options_for_op(&out->problem, &asked, family->op);
        out->problem.dtype = dtype;
        if (has_point(family, out, device))
            return pattern;
    }
    return -1;
}

bool spt_compile_problem(spt_workload *out, const spt_csr **a, const spt_compile_problems *problems,
                         const spt_family *family, spt_dtype dtype, const spt_device *device, int width) {
    const int pattern = find_row(out, problems, family, dtype, device, problems->widths[width]);
    *a = pattern >= 0 ? &problems->matrices[pattern].view : NULL;
    return pattern >= 0;
}

/* ---- reasons ---- */

static bool has_any_point(const spt_compile_problems *self, const spt_family *family, uint32_t dtypes,
                          const spt_device *device) {
    spt_workload workload;
    for (int dtype = SPT_F32; dtype < SPT_DTYPE_COUNT; dtype++)
        for (int i = 0; i < self->n_widths; i++)
            if ((dtypes & SPT_DTYPE_BIT(dtype)) != 0 &&
                find_row(&workload, self, family, (spt_dtype)dtype, device, self->widths[i]) >= 0)
                return true;
    return false;
}

/* The first architecture that serves what this one does not; NULL: none. */
static const char *first_arch(const spt_compile_problems *self, const spt_family *family, uint32_t dtypes) {
    const char *name;
    spt_device device;
    for (int i = 0; (name = spt_device_arch(i)) != NULL; i++)
        if (spt_device_pretend(&device, name) == SPT_OK && has_any_point(self, family, dtypes, &device))
            return name;
    return NULL;
}

static void add_dtypes(spt_text *text, uint32_t dtypes) {
    const char *before = "";
    for (int dtype = SPT_F32; dtype < SPT_DTYPE_COUNT; dtype++)
        if ((dtypes & SPT_DTYPE_BIT(dtype)) != 0) {
            spt_text_add(text, "%s%s", before, spt_dtype_name((spt_dtype)dtype));
            before = ", ";
        }
}

/* What the command line has fixed. */
static void add_asked(spt_text *text, const spt_compile_problems *self) {
    const spt_epilogue epilogue = self->workloads[0].problem.epilogue;
    spt_text_add(text, " for %s", self->pattern != NULL ? self->pattern : "any usual pattern");
    for (int i = 0; i < self->n_widths && self->widths[i] > 0; i++)
        spt_text_add(text, "%s%" PRId64, i == 0 ? " with n " : ", ", self->widths[i]);
    if (epilogue != SPT_EPILOGUE_NONE)
        spt_text_add(text, " and %s", spt_epilogue_name(epilogue));
}

void spt_compile_why_not(char *out, size_t capacity, const spt_compile_problems *problems, const spt_family *family,
                         uint32_t dtypes, const spt_device *device) {
    spt_text text;
    spt_text_init(&text, out, capacity);
    spt_text_add(&text, "%s ", family->name);
    if ((family->dtypes & dtypes) == 0) {
        spt_text_add(&text, "has no ");
        add_dtypes(&text, dtypes);
        return;
    }
    const char *arch = first_arch(problems, family, dtypes);
    spt_text_add(&text, "has no point with a kernel");
    if (arch == NULL)
        add_asked(&text, problems);
    spt_text_add(&text, " in ");
    add_dtypes(&text, dtypes);
    spt_text_add(&text, " on %s", device->isa_set);
    if (arch != NULL)
        spt_text_add(&text, ", but on %s", arch);
}
