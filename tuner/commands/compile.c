/* SPDX-License-Identifier: Apache-2.0 */
/* `sparsetune compile`: compile the CUDA kernels of families for an architecture, without a GPU; registers, spills and
 * sizes. Binaries stay in the cache, so this also prepares a machine for tuning. With more than one job the work is
 * done by copies of this program, each with its share of the points; their lines come back through pipes. */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>

#include "core/memory.h"
#include "core/random.h"
#include "core/statistics.h"
#include "core/text.h"
#include "tuner/command.h"
#include "tuner/commands/compile_cover.h"
#include "tuner/commands/compile_jobs.h"
#include "tuner/measure/sampler.h"
#include "tuner/options.h"
#include "tuner/progress.h"
#include "tuner/report.h"
#include "variants/cuda/binary.h"

#define DEFAULT_PATTERN "uniform:512x512@0.9" /* of convolutions 57 channels, the last one of which is cut */
#define DEFAULT_WIDTH 128

static const char usage[] =
    "usage: sparsetune compile [FAMILY...] --arch sm_90[,sm_80] [--all | --cover | --sample N] [options]\n\n"
    "Compiles the CUDA kernels of the families (all of them without a name) and says what came of it; no GPU is\n"
    "needed. Without --all or --sample only the default points, in every element type that a family has. Binaries\n"
    "stay in the cache folder (SPARSETUNE_CACHE, else sparsetune in the user's cache folder).\n\n"
    "options:\n"
    "  --arch LIST         architectures, such as sm_80,sm_90, or all that are known: all\n"
    "  --all               every valid point (of families that bake the pattern only where they are named)\n"
    "  --cover             every point that any problem makes valid, once: with an element type, layout and epilogue\n"
    "                      that it is dealt (not of families that bake the pattern)\n"
    "  --sample N          the default and N further valid points, drawn from the seed\n"
    "  --seed S            of the sample (0)\n"
    "  --pattern PATTERN   what points must be valid for (uniform:512x512@0.9)\n"
    "  --time T            start nothing after so long (90s, 15m); what is cached is not compiled again\n"
    "  --jobs J            worker processes (one per core)\n\n" SPT_PROBLEM_OPTIONS_USAGE
    "\nexit codes: 0 all compiled, 1 some did not, 2 usage, 3 failure\n";

typedef struct compile_run {
    spt_problem_options problem;
    const char *arch, *pattern, *part;
    bool all, cover;
    double time_s; /* 0: no limit */
    double end_s;
    int64_t n_sample, n_jobs;
    uint64_t seed;
    char **names;
    int n_names;
    spt_problem asked;
    spt_workload workload; /* its problem is what each family makes of the one that was asked */
    spt_device device;
    const spt_csr *a;
    int64_t part_at, n_parts; /* this process's share */
    int64_t n_left;           /* points that there was no time for */
    bool is_counting;         /* compile nothing, count the default points that are valid */
    int64_t n_valid;
    spt_compile_tally *tally;
} compile_run;

/* ---- one point ---- */

static const char *status_text(spt_status status) {
    return status == SPT_OK ? "ok" : spt_last_error();
}

/* Points with the same text and options are the same process's, so that nothing is compiled twice at once. */
static bool is_mine(const compile_run *self, const spt_cuda_source *source) {
    const spt_hash128 key = spt_cuda_cache_key(source, self->device.isa_set, "");
    return key.bytes[0] % self->n_parts == self->part_at;
}

/* Is there no time left? Then the point is counted. */
static bool is_late(compile_run *self) {
    const bool is_late = self->end_s > 0.0 && spt_clock_now_ns(NULL) * 1e-9 > self->end_s;
    self->n_left += is_late;
    return is_late;
}

/* What a call of the problem's own shape needs; where every_kernel, also the rest, whose time does not count. */
static spt_status compile_modules(spt_cuda_binary *out, const compile_run *self, const spt_cuda_source *source,
                                  const spt_family *family, const spt_point *point, bool every_kernel) {
    spt_cuda_binary rest = {0};
    const uint32_t wanted = spt_cuda_modules_wanted(source, family, &self->workload, &self->device, point);
    SPT_TRY(spt_cuda_binary_make(out, source, wanted, self->device.isa_set));
    if (!every_kernel)
        return SPT_OK;
    SPT_TRY(spt_cuda_binary_make(&rest, source, ~wanted, self->device.isa_set));
    out->is_kept = out->is_kept && rest.is_kept;
    out->bytes += rest.bytes;
    out->spill_bytes += rest.spill_bytes;
    out->registers = rest.registers > out->registers ? rest.registers : out->registers;
    return SPT_OK;
}

/* What was compiled is not in the cache: an error where there is one. */
static spt_status check_cache(void) {
    char folder[4096];
    spt_cuda_cache_folder(folder, sizeof folder);
    return folder[0] == '\0' ? SPT_OK : spt_fail(SPT_EIO, "%s: the cache took no binary", folder);
}

static spt_status compile_point(compile_run *self, const spt_family *family, const spt_point *point, bool is_default,
                                bool every_kernel) {
    char text[SPT_POINT_TEXT_MAX];
    spt_cuda_source source = {0};
    spt_cuda_binary binary = {0};
    SPT_TRY(spt_point_text(text, family->axes, family->n_axes, point));
    spt_status status =
        family->cuda->describe(&source, &self->workload, &self->device, point, family->cuda->is_baked ? self->a : NULL);
    /* points without kernels: of a vendor's library without an epilogue */
    if (status == SPT_OK && (source.n_kernels == 0 || !is_mine(self, &source) || is_late(self))) {
        spt_cuda_source_fini(&source);
        return SPT_OK;
    }
    if (status == SPT_OK)
        status = compile_modules(&binary, self, &source, family, point, every_kernel);
    if (status == SPT_OK && !binary.is_kept)
        status = check_cache();
    if (status == SPT_ENOMEM) {
        spt_cuda_source_fini(&source);
        return status;
    }
    const spt_compile_line line = {.family = family->name,
                                   .point = text,
                                   .arch = self->device.isa_set,
                                   .dtype = spt_dtype_name(self->workload.problem.dtype),
                                   .status = status_text(status),
                                   .registers = binary.registers,
                                   .spill_bytes = binary.spill_bytes,
                                   .binary_bytes = (int64_t)binary.bytes,
                                   .compile_ms = binary.compile_ms,
                                   .wall_ms = binary.wall_ms,
                                   .is_default = is_default,
                                   .is_cached = binary.is_cached};
    status = spt_compile_line_print(&line, self->tally, self->problem.json || self->part != NULL);
    spt_cuda_source_fini(&source);
    return status;
}

/* ---- which points ---- */

static spt_status compile_sample(compile_run *self, const spt_family *family, const spt_space *space) {
    const int64_t size = spt_space_size(space);
    spt_random random;
    spt_random_init(&random, self->seed);
    for (int64_t i = 0; i < self->n_sample; i++) { /* the next valid one from a random place; may come twice */
        int64_t ordinal = (int64_t)spt_random_below(&random, (uint64_t)size);
        spt_point point;
        if (!spt_space_next(space, &ordinal, &point)) {
            ordinal = 0;
            if (!spt_space_next(space, &ordinal, &point))
                return SPT_OK;
        }
        SPT_TRY(compile_point(self, family, &point, false, false));
    }
    return SPT_OK;
}

static spt_status compile_points(compile_run *self, const spt_family *family) {
    spt_family_space space;
    spt_point default_point = {0}, point;
    spt_family_space_init(&space, family, &self->workload, &self->device);
    family->default_point(&self->workload, &self->device, &default_point);
    if (!family->is_valid(&self->workload, &self->device, &default_point))
        return SPT_OK;
    if (self->is_counting) {
        self->n_valid++;
        return SPT_OK;
    }
    SPT_TRY(compile_point(self, family, &default_point, true, true));
    if (family->cuda->is_baked && self->n_names == 0) /* seconds each, and of use for this pattern alone */
        return SPT_OK;
    if (self->n_sample > 0)
        return compile_sample(self, family, &space.space);
    for (int64_t at = 0; self->all && spt_space_next(&space.space, &at, &point); at++)
        if (!spt_point_equal(&point, &default_point))
            SPT_TRY(compile_point(self, family, &point, false, false));
    return SPT_OK;
}

static bool is_wanted(const compile_run *self, const spt_family *family) {
    if (family->cuda == NULL || family->cuda->describe == NULL)
        return false;
    for (int i = 0; i < self->n_names; i++)
        if (strcmp(self->names[i], family->name) == 0)
            return true;
    return self->n_names == 0 && (!self->problem.has_op || family->op == self->problem.op);
}

static spt_status compile_family(compile_run *self, const spt_family *family) {
    for (int dtype = SPT_F32; dtype < SPT_DTYPE_COUNT; dtype++) {
        if ((family->dtypes & SPT_DTYPE_BIT(dtype)) == 0 ||
            (self->problem.has_dtype && (int)self->problem.dtype != dtype))
            continue;
        spt_options_for_op(&self->workload.problem, &self->asked, family->op);
        self->workload.problem.dtype = (spt_dtype)dtype;
        SPT_TRY(compile_points(self, family));
    }
    return SPT_OK;
}

/* Kernels for operands that are not aligned: of every fourth point. */
static spt_status compile_cover(compile_run *self) {
    spt_cover_item *items = NULL;
    int64_t n_items = 0, n_points = 0;
    SPT_TRY(spt_cover_list(&items, &n_items, &n_points, &self->device, self->names, self->n_names));
    spt_status status = SPT_OK;
    if (self->part_at == 0)
        spt_say("%s: %" PRId64 " valid points, %" PRId64 " different texts", self->device.isa_set, n_points, n_items);
    for (int64_t i = 0; i < n_items && status == SPT_OK; i++) {
        self->workload = items[i].workload;
        status = compile_point(self, items[i].family, &items[i].point, false, items[i].key.bytes[15] % 4 == 0);
    }
    spt_free(items);
    return status;
}

static spt_status compile_arch(compile_run *self, const char *arch) {
    SPT_TRY(spt_device_pretend(&self->device, arch));
    if (self->cover)
        return compile_cover(self);
    for (int i = 0; i < spt_family_count(); i++)
        if (is_wanted(self, spt_family_at(i)))
            SPT_TRY(compile_family(self, spt_family_at(i)));
    return SPT_OK;
}

static spt_status compile_archs(compile_run *self) {
    const char *name;
    for (int i = 0; strcmp(self->arch, "all") == 0 && (name = spt_device_arch(i)) != NULL; i++)
        SPT_TRY(compile_arch(self, name));
    for (const char *at = self->arch; strcmp(self->arch, "all") != 0 && *at != '\0';) {
        char arch[32];
        const size_t length = strcspn(at, ",");
        spt_copy_text(arch, length < sizeof arch ? length + 1 : sizeof arch, at);
        SPT_TRY(compile_arch(self, arch));
        at += length + (at[length] == ',');
    }
    return SPT_OK;
}

/* ---- what cannot be: said before anything is compiled ---- */

static bool is_conv_named(const compile_run *self) {
    for (int i = 0; i < self->n_names; i++)
        if (spt_family_find(self->names[i])->op == SPT_CONV2D)
            return true;
    return false;
}

/* Does a family that is wanted have any point for this problem? */
static spt_status check_points(compile_run *self) {
    const bool has_cover = self->cover;
    for (int i = 0; has_cover && i < spt_family_count(); i++)
        self->n_valid += is_wanted(self, spt_family_at(i)) && !spt_family_at(i)->cuda->is_baked;
    self->is_counting = !has_cover;
    if (!has_cover)
        SPT_TRY(compile_archs(self));
    self->is_counting = false;
    if (self->n_valid > 0)
        return SPT_OK;
    return spt_fail(SPT_EINVAL, "expected a valid point of %s%s for %s%s%s on %s, found none",
                    self->n_names > 0 ? self->names[0] : "any family", self->n_names > 1 ? " or the others" : "",
                    has_cover ? "--cover" : self->pattern, self->problem.has_dtype ? " in " : "",
                    self->problem.has_dtype ? spt_dtype_name(self->problem.dtype) : "", self->arch);
}

/* Asked for by name, a convolution of a pattern that was given has to be one. */
static spt_status check_pattern(const compile_run *self, const spt_layer *layer) {
    spt_problem_options options = self->problem;
    if (strcmp(self->pattern, DEFAULT_PATTERN) == 0)
        return SPT_OK;
    if (is_conv_named(self)) {
        options.has_op = true;
        options.op = SPT_CONV2D;
    }
    return spt_options_check_layer(&options, layer, self->a);
}

/* ---- the command ---- */

static spt_status check_arguments(const compile_run *self) {
    spt_device device;
    if (self->arch == NULL)
        return spt_usage_fail("expected --arch, such as sm_90, found none");
    if (self->all + self->cover + (self->n_sample > 0) > 1)
        return spt_usage_fail("expected one of --all, --cover and --sample, found more");
    for (const char *at = self->arch; strcmp(self->arch, "all") != 0 && *at != '\0';) {
        char arch[32];
        const size_t length = strcspn(at, ",");
        spt_copy_text(arch, length < sizeof arch ? length + 1 : sizeof arch, at);
        if (spt_device_pretend(&device, arch) != SPT_OK)
            return spt_usage_fail("%s", spt_last_error());
        at += length + (at[length] == ',');
    }
    for (int i = 0; i < self->n_names; i++) {
        const spt_family *family = spt_family_find(self->names[i]);
        if (family == NULL)
            return spt_usage_fail("unknown family '%s'; `sparsetune space` lists them", self->names[i]);
        if (family->cuda == NULL || family->cuda->describe == NULL)
            return spt_usage_fail("%s has no CUDA kernel to compile", family->name);
    }
    if (self->part != NULL &&
        sscanf(self->part, "%" SCNd64 "/%" SCNd64, (int64_t *)&self->part_at, (int64_t *)&self->n_parts) != 2)
        return spt_usage_fail("expected --part I/N, found '%s'", self->part);
    return SPT_OK;
}

static spt_status compile_all(compile_run *self, const spt_layer *layer, int argc, char **argv) {
    if (spt_cuda_compiler(SPT_CUDA_C)[0] == '\0') {
        spt_cuda_binary none;
        return spt_nvrtc_compile(&none, &(spt_cuda_source){0}, "");
    }
    const int64_t n = self->problem.n_widths > 0 ? self->problem.widths[0] : layer->n > 0 ? layer->n : DEFAULT_WIDTH;
    spt_problem problem = spt_options_problem(&self->problem, layer, n);
    problem.device = "cpu";
    SPT_TRY(spt_options_any_workload(&self->workload, &problem, self->a));
    self->asked = self->workload.problem;
    SPT_TRY(check_points(self));
    SPT_TRY(spt_cuda_cache_check());
    if (self->part != NULL || self->n_jobs == 1)
        return compile_archs(self);
    return spt_compile_jobs_run(self->tally, argc, argv, (int)self->n_jobs, self->problem.json);
}

static spt_status run(int argc, char **argv, int *exit_code) {
    compile_run self = {.pattern = DEFAULT_PATTERN, .n_jobs = spt_hardware_threads(), .n_parts = 1};
    const spt_input_options input = {0};
    spt_layer_list layers = {0};
    spt_matrix matrix = {0};
    spt_compile_tally tally = {0};
    char **arguments = NULL; /* parsing moves words: jobs are given them as they came */
    const spt_option rows[] = {
        {"--arch", SPT_OPTION_TEXT, &self.arch},        {"--all", SPT_OPTION_FLAG, &self.all},
        {"--sample", SPT_OPTION_COUNT, &self.n_sample}, {"--seed", SPT_OPTION_SEED, &self.seed},
        {"--pattern", SPT_OPTION_TEXT, &self.pattern},  {"--jobs", SPT_OPTION_COUNT, &self.n_jobs},
        {"--part", SPT_OPTION_TEXT, &self.part},        {"--cover", SPT_OPTION_FLAG, &self.cover},
        {"--time", SPT_OPTION_DURATION, &self.time_s},
    };
    spt_status status;
    SPT_TRY(SPT_NEW(arguments, argc));
    memcpy(arguments, argv, (size_t)argc * sizeof *argv);
    SPT_TRY_TO(done,
               spt_options_parse(&self.n_names, argc, argv, rows, (int)(sizeof rows / sizeof rows[0]), &self.problem));
    self.names = argv + 1;
    self.tally = &tally;
    if (self.part != NULL)
        prctl(PR_SET_PDEATHSIG, SIGTERM); /* a job ends with the program that wants it */
    SPT_TRY_TO(done, check_arguments(&self));
    SPT_TRY_TO(done, spt_options_pattern(&layers, self.pattern, &input));
    SPT_TRY_TO(done, spt_layer_load(&matrix, &layers.items[0], &input));
    self.a = &matrix.view;
    SPT_TRY_TO(done, check_pattern(&self, &layers.items[0]));
    self.end_s = self.time_s > 0.0 ? spt_clock_now_ns(NULL) * 1e-9 + self.time_s : 0.0;
    SPT_TRY_TO(done, compile_all(&self, &layers.items[0], argc, arguments));
    if (self.part == NULL)
        SPT_TRY_TO(done, spt_compile_tally_say(&tally));
    if (self.n_left > 0)
        spt_say("%" PRId64 " points are left: there was no time for them", self.n_left);
    if (tally.n_failed > 0 || self.n_left > 0 || tally.is_partial)
        *exit_code = SPT_EXIT_NEGATIVE;
done:
    spt_compile_tally_fini(&tally);
    spt_matrix_fini(&matrix);
    spt_layer_list_fini(&layers);
    spt_free(arguments);
    return status;
}

const spt_command spt_command_compile = {
    .name = "compile",
    .summary = "compile CUDA kernels for an architecture, without a GPU",
    .usage = usage,
    .run = run,
};
