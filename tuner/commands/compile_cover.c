/* SPDX-License-Identifier: Apache-2.0 */
/* Every point times every element type, layout and epilogue would be a hundred thousand compilations that differ
 * little; dealt, each point is compiled once and each combination with hundreds of points. */
#include "tuner/commands/compile_cover.h"

#include <stdlib.h>
#include <string.h>

#include "core/hash.h"
#include "core/memory.h"
#include "variants/cuda/binary.h"
#include "variants/epilogue.h"

enum { ROWS = 8192, N_DTYPES = 4, N_LAYOUTS = 2, WORKLOADS_MAX = 128 };

typedef struct cover {
    const spt_device *device;
    spt_workload workloads[WORKLOADS_MAX];
    int n_workloads;
    spt_cover_item *items;
    int64_t n_items, n_points, capacity;
} cover;

/* 8192 x 8192, one in ten, in vectors of four rows and two of four: no family refuses it. */
static spt_workload make_workload(spt_op op, int dtype, int layout, int epilogue, int64_t n) {
    spt_workload out = {.problem = {.size = sizeof(spt_problem),
                                    .op = op,
                                    .dtype = (spt_dtype)dtype,
                                    .layout = (spt_layout)layout,
                                    .epilogue = (spt_epilogue)epilogue,
                                    .n = n,
                                    .threads = 1,
                                    .device = "cuda:0"},
                        .pattern = {.n_rows = ROWS, .n_cols = ROWS, .nnz = ROWS * ROWS / 10}};
    out.pattern.features = (spt_features){.density = 0.1,
                                          .row_mean = ROWS / 10.0,
                                          .row_cv = 0.13,
                                          .row_max = ROWS / 8.0,
                                          .keep_2of4 = 1.0,
                                          .fill_4x1 = 1.0};
    return out;
}

static void make_workloads(cover *self, const spt_family *family) {
    static const int64_t widths[] = {8, 64, 1024};
    const int n_epilogues = family->op == SPT_SPMM ? 3 : 1;
    self->n_workloads = 0;
    for (int dtype = 0; dtype < N_DTYPES; dtype++)
        for (int layout = 0; layout < N_LAYOUTS; layout++)
            for (int epilogue = 0; epilogue < n_epilogues; epilogue++)
                for (size_t i = 0; i < sizeof widths / sizeof widths[0]; i++)
                    if ((family->dtypes & SPT_DTYPE_BIT(dtype)) != 0)
                        self->workloads[self->n_workloads++] =
                            make_workload(family->op, dtype, layout, epilogue, widths[i]);
}

static spt_status add(cover *self, const spt_cover_item *item) {
    void *items = self->items;
    SPT_TRY(spt_grow(&items, &self->capacity, self->n_items, sizeof *item));
    self->items = items;
    self->items[self->n_items++] = *item;
    return SPT_OK;
}

/* What a text's own options are, without those that every kernel gets: points that share them are dealt alike. */
static spt_status own_options(spt_hash128 *out, const cover *self, const spt_family *family,
                              const spt_workload *workload, const spt_point *point) {
    spt_hash_part parts[SPT_CUDA_DEFINES_MAX];
    spt_cuda_source source;
    int n_parts = 0;
    SPT_TRY(family->cuda->describe(&source, workload, self->device, point, NULL));
    for (int i = source.n_shared_defines; i < source.n_defines; i++)
        parts[n_parts++] = (spt_hash_part){source.defines[i], strlen(source.defines[i]) + 1};
    *out = spt_hash_parts(parts, n_parts);
    spt_cuda_source_fini(&source);
    return SPT_OK;
}

/* Deal the point one of the problems that allow it. */
static spt_status add_point(cover *self, const spt_family *family, const spt_point *point) {
    int allowed[WORKLOADS_MAX], n_allowed = 0;
    spt_cover_item item = {.family = family, .point = *point};
    spt_cuda_source source;
    spt_hash128 dealt;
    for (int i = 0; i < self->n_workloads; i++)
        if (family->is_valid(&self->workloads[i], self->device, point))
            allowed[n_allowed++] = i;
    if (n_allowed == 0)
        return SPT_OK;
    SPT_TRY(own_options(&dealt, self, family, &self->workloads[allowed[0]], point));
    item.workload = self->workloads[allowed[(dealt.bytes[0] + 256 * dealt.bytes[1]) % n_allowed]];
    SPT_TRY(family->cuda->describe(&source, &item.workload, self->device, point, NULL));
    item.key = spt_cuda_cache_key(&source, self->device->isa_set, "");
    const bool has_kernels = source.n_kernels > 0;
    spt_cuda_source_fini(&source);
    self->n_points += has_kernels;
    return has_kernels ? add(self, &item) : SPT_OK;
}

static spt_status add_family(cover *self, const spt_family *family) {
    const spt_space space = {.axes = family->axes, .n_axes = family->n_axes};
    const int64_t size = spt_space_size(&space);
    make_workloads(self, family);
    for (int64_t ordinal = 0; ordinal < size; ordinal++) {
        spt_point point;
        spt_space_point(&space, ordinal, &point);
        SPT_TRY(add_point(self, family, &point));
    }
    return SPT_OK;
}

static int compare_keys(const void *a, const void *b) {
    return memcmp(&((const spt_cover_item *)a)->key, &((const spt_cover_item *)b)->key, sizeof(spt_hash128));
}

spt_status spt_cover_list(spt_cover_item **items, int64_t *n_items, int64_t *n_points, const spt_device *device,
                          const spt_family *const *families, int n_families) {
    cover self = {.device = device};
    spt_status status = SPT_OK;
    for (int i = 0; i < n_families && status == SPT_OK; i++)
        if (!families[i]->cuda->is_baked)
            status = add_family(&self, families[i]);
    if (status != SPT_OK) {
        spt_free(self.items);
        return status;
    }
    if (self.n_items > 0)
        qsort(self.items, (size_t)self.n_items, sizeof *self.items, compare_keys);
    int64_t n_distinct = 0;
    for (int64_t i = 0; i < self.n_items; i++)
        if (i == 0 || compare_keys(&self.items[i], &self.items[n_distinct - 1]) != 0)
            self.items[n_distinct++] = self.items[i];
    *items = self.items;
    *n_items = n_distinct;
    *n_points = self.n_points;
    return SPT_OK;
}
