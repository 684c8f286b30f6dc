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
#include "tuner/commands/compile_wanted.h"
#include "tuner/measure/sampler.h"
#include "tuner/options.h"
#include "tuner/progress.h"
#include "tuner/report.h"
#include "variants/cuda/binary.h"

static const char usage[] =
    "usage: sparsetune compile [FAMILY...] --arch sm_90[,sm_80] [--all | --cover | --sample N] [options]\n\n"
    "Compiles the CUDA kernels of the families (all of them without a name) and says what came of it; no GPU is\n"
    "needed. Without --all or --sample only the default points, in every element type that a family has, for the "
    "first\n"
    "of some usual problems that gives the family a point: zeros anywhere, 2:4, 1:2, vectors; n of 128, 32, 8; a "
    "bias.\n"
    "--pattern, --n and --epilogue fix theirs; families that are left out are named. Binaries stay in the cache "
    "folder\n"
    "(SPARSETUNE_CACHE, else sparsetune in the user's cache folder).\n\n"
    "options:\n"
    "  --arch LIST         architectures, such as sm_80,sm_90, or all that are known: all\n"
    "  --all               every valid point (of families that bake the pattern only where they are named)\n"
    "  --cover             every point that any problem makes valid, once: with an element type, layout and epilogue\n"
    "                      that it is dealt (not of families that bake the pattern)\n"
    "  --sample N          the default and what N draws give; points that are drawn twice or share a text count once\n"
    "  --seed S            of the sample (0)\n"
    "  --pattern PATTERN   what points must be valid for (of 512x512, the first that serves)\n"
    "  --time T            start nothing after so long (90s, 15m, 2h; without a unit in seconds); what is cached is "
    "not compiled again\n"
    "  --jobs J            worker processes (one per core)\n\n" SPT_PROBLEM_OPTIONS_USAGE
    "\nexit codes: 0 all compiled, 1 some did not, 2 usage, 3 failure\n";

typedef struct compile_run {
    spt_problem_options options;
    const char *arch_list, *pattern, *part;
    bool all, cover;
    double time_s; /* 0: no limit */
    double end_s;
    int64_t n_sample, n_jobs;
    uint64_t seed;
    spt_compile_wanted wanted;
    spt_compile_problems problems;
    spt_workload workload; /* the problem at hand, its device and its pattern */
    spt_device device;
    const spt_csr *a;
    int64_t part_at, n_parts; /* this process's share */
    int64_t n_left;           /* points that there was no time for */
    spt_hash128 *seen;        /* points that were done */
    int64_t n_seen, seen_capacity;
    spt_compile_tally *tally;
} compile_run;

/* ---- one point ---- */

static const char *status_text(spt_status status) {
    return status == SPT_OK ? "ok" : spt_last_error();
}

static bool is_seen(const compile_run *self, spt_hash128 key) {
    for (int64_t i = 0; i < self->n_seen; i++)
        if (spt_hash_equal(self->seen[i], key))
            return true;
    return false;
}

/* Was the point done before, for another width or drawn twice, and with as many kernels? If not, it is now. */
static spt_status see(bool *is_done, compile_run *self, const spt_cuda_source *source, const spt_family *family,
                      const char *point, bool every_kernel) {
    const spt_hash128 text = spt_cuda_cache_key(source, self->device.isa_set, "");
    spt_hash128 keys[2]; /* with the kernels that are wanted, with every kernel */
    void *seen = self->seen;
    for (int every = 0; every < 2; every++)
        keys[every] = spt_hash_parts((const spt_hash_part[]){{text.bytes, sizeof text.bytes},
                                                             {family->name, strlen(family->name) + 1},
                                                             {point, strlen(point) + 1},
                                                             {every ? "every" : "wanted", every ? 5 : 6}},
                                     4);
    *is_done = is_seen(self, keys[1]) || (!every_kernel && is_seen(self, keys[0]));
    if (*is_done)
        return SPT_OK;
    SPT_TRY(spt_grow(&seen, &self->seen_capacity, self->n_seen, sizeof *self->seen));
    self->seen = seen;
    self->seen[self->n_seen++] = keys[every_kernel];
    return SPT_OK;
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
    out->bytes += rest.bytes;
    out->spill_bytes += rest.spill_bytes;
    out->registers = rest.registers > out->registers ? rest.registers : out->registers;
    return SPT_OK;
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
    bool is_passed = status == SPT_OK && (source.n_kernels == 0 || !is_mine(self, &source));
    if (status == SPT_OK && !is_passed && !self->cover)
        status = see(&is_passed, self, &source, family, text, every_kernel);
    if (status == SPT_OK && (is_passed || is_late(self))) {
        spt_cuda_source_fini(&source);
        return SPT_OK;
    }
    if (status == SPT_OK)
        status = compile_modules(&binary, self, &source, family, point, every_kernel);
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
    status = spt_compile_line_print(&line, self->tally, self->options.json || self->part != NULL);
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
    SPT_TRY(compile_point(self, family, &default_point, true, true));
    if (family->cuda->is_baked && !self->wanted.are_named) /* seconds each, and of use for this pattern alone */
        return SPT_OK;
    if (self->n_sample > 0)
        return compile_sample(self, family, &space.space);
    for (int64_t at = 0; self->all && spt_space_next(&space.space, &at, &point); at++)
        if (!spt_point_equal(&point, &default_point))
            SPT_TRY(compile_point(self, family, &point, false, false));
    return SPT_OK;
}

static spt_status compile_family(compile_run *self, const spt_family *family) {
    for (int dtype = SPT_F32; dtype < SPT_DTYPE_COUNT; dtype++)
        for (int i = 0; spt_compile_wants(&self->wanted, family, dtype) && i < self->problems.n_widths; i++)
            if (spt_compile_problem(&self->workload, &self->a, &self->problems, family, (spt_dtype)dtype, &self->device,
                                    i))
                SPT_TRY(compile_points(self, family));
    return SPT_OK;
}

/* Kernels for operands that are not aligned: of every fourth point. */
static spt_status compile_cover(compile_run *self) {
    spt_cover_item *items = NULL;
    int64_t n_items = 0, n_points = 0;
    SPT_TRY(spt_cover_list(&items, &n_items, &n_points, &self->device, self->wanted.families, self->wanted.n_families));
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
    for (int i = 0; i < self->wanted.n_families; i++)
        SPT_TRY(compile_family(self, self->wanted.families[i]));
    return SPT_OK;
}

static spt_status compile_archs(compile_run *self) {
    for (int i = 0; i < self->wanted.n_archs; i++)
        SPT_TRY(compile_arch(self, self->wanted.archs[i]));
    return SPT_OK;
}

/* ---- what cannot be: said before anything is compiled ---- */

static spt_status check_points(const compile_run *self) {
    const spt_compile_wanted *wanted = &self->wanted;
    if (!self->cover)
        return spt_compile_wanted_check(wanted, &self->problems, self->part == NULL);
    for (int i = 0; i < wanted->n_families; i++)
        if (!wanted->families[i]->cuda->is_baked)
            return SPT_OK;
    return spt_fail(SPT_EINVAL, "expected a family for --cover, found %s, which bakes the pattern",
                    wanted->families[0]->name);
}

/* ---- the command ---- */

static spt_status check_arguments(compile_run *self) {
    const spt_problem_options *options = &self->options;
    if (self->arch_list == NULL)
        return spt_usage_fail("expected --arch, such as sm_90, found none");
    if (self->all + self->cover + (self->n_sample > 0) > 1)
        return spt_usage_fail("expected one of --all, --cover and --sample, found more");
    if (strcmp(options->device, "cpu") != 0)
        return spt_usage_fail("expected --arch alone, found --device %s: kernels are compiled without a device",
                              options->device);
    if (self->cover && (self->pattern != NULL || options->n_widths > 0 || options->has_dtype || options->has_layout ||
                        options->has_epilogue))
        return spt_usage_fail("expected --cover without --pattern, --n, --image, --dtype, --layout and --epilogue, "
                              "which it deals itself");
    if (self->part != NULL &&
        sscanf(self->part, "%" SCNd64 "/%" SCNd64, (int64_t *)&self->part_at, (int64_t *)&self->n_parts) != 2)
        return spt_usage_fail("expected --part I/N, found '%s'", self->part);
    return SPT_OK;
}

static spt_status compile_all(compile_run *self, int argc, char **argv) {
    if (spt_cuda_compiler(SPT_CUDA_C)[0] == '\0') {
        spt_cuda_binary none;
        return spt_nvrtc_compile(&none, &(spt_cuda_source){0}, "");
    }
    SPT_TRY(check_points(self));
    SPT_TRY(spt_cuda_cache_check());
    if (self->part != NULL || self->n_jobs == 1)
        return compile_archs(self);
    return spt_compile_jobs_run(self->tally, argc, argv, (int)self->n_jobs, self->options.json);
}

static spt_status run(int argc, char **argv, int *exit_code) {
    compile_run self = {.n_jobs = spt_hardware_threads(), .n_parts = 1};
    int n_names = 0;
    spt_compile_tally tally = {0};
    char **arguments = NULL; /* parsing moves words: jobs are given them as they came */
    const spt_option rows[] = {
        {"--arch", SPT_OPTION_TEXT, &self.arch_list},   {"--all", SPT_OPTION_FLAG, &self.all},
        {"--sample", SPT_OPTION_COUNT, &self.n_sample}, {"--seed", SPT_OPTION_SEED, &self.seed},
        {"--pattern", SPT_OPTION_TEXT, &self.pattern},  {"--jobs", SPT_OPTION_COUNT, &self.n_jobs},
        {"--part", SPT_OPTION_TEXT, &self.part},        {"--cover", SPT_OPTION_FLAG, &self.cover},
        {"--time", SPT_OPTION_DURATION, &self.time_s},
    };
    spt_status status;
    SPT_TRY(SPT_NEW(arguments, argc));
    memcpy(arguments, argv, (size_t)argc * sizeof *argv);
    SPT_TRY_TO(done, spt_options_parse(&n_names, argc, argv, rows, (int)(sizeof rows / sizeof rows[0]), &self.options));
    self.tally = &tally;
    if (self.part != NULL)
        prctl(PR_SET_PDEATHSIG, SIGTERM); /* a job ends with the program that wants it */
    SPT_TRY_TO(done, check_arguments(&self));
    SPT_TRY_TO(done, spt_compile_wanted_init(&self.wanted, &self.options, self.arch_list, argv + 1, n_names));
    SPT_TRY_TO(done, spt_compile_problems_init(&self.problems, &self.options, self.pattern, self.wanted.is_conv_named));
    self.end_s = self.time_s > 0.0 ? spt_clock_now_ns(NULL) * 1e-9 + self.time_s : 0.0;
    SPT_TRY_TO(done, compile_all(&self, argc, arguments));
    if (self.part == NULL)
        SPT_TRY_TO(done, spt_compile_tally_say(&tally));
    if (self.n_left > 0)
        spt_say("%" PRId64 " points are left: there was no time for them", self.n_left);
    if (tally.n_failed > 0 || self.n_left > 0 || tally.is_partial)
        *exit_code = SPT_EXIT_NEGATIVE;
done:
    spt_compile_tally_fini(&tally);
    spt_compile_problems_fini(&self.problems);
    spt_free(self.seen);
    spt_free(arguments);
    return status;
}

const spt_command spt_command_compile = {
    .name = "compile",
    .summary = "compile CUDA kernels for an architecture, without a GPU",
    .usage = usage,
    .run = run,
};
