/* SPDX-License-Identifier: Apache-2.0 */
#include "tuner/commands/bench_rivals.h"

#include <string.h>

#include "tuner/options.h"

const spt_bench_rival spt_bench_rivals[] = {
    {"dense_openblas", "spmm_dense_blas", "lib=openblas"},
    {"dense_mkl", "spmm_dense_blas", "lib=mkl"},
    {"dense_blis", "spmm_dense_blas", "lib=blis"},
    {"dense_onednn", "spmm_dense_onednn", "-"},
    {"mkl_sparse", "rival_mkl_sparse", "-"},
    {"libxsmm", "rival_plugin", "lib=libxsmm"},
    {"eigen", "rival_plugin", "lib=eigen"},
    {"csr", "spmm_csr_rows", "-"},
    {"dense_openblas", "sddmm_dense_blas", "lib=openblas"},
    {"dense_mkl", "sddmm_dense_blas", "lib=mkl"},
    {"csr", "sddmm_csr_rows", "-"},
    {"advice_onednn_bf16", "rival_plugin", "lib=onednn_bf16"},
    {"advice_onednn_int8", "rival_plugin", "lib=onednn_int8"},
    {"dense_cublas", "spmm_dense_cublas", "rank=0"},
    {"cusparse_default", "spmm_cusparse", "alg=default,preprocess=yes"},
    {"cusparse_csr1", "spmm_cusparse", "alg=csr1,preprocess=yes"},
    {"cusparse_csr2", "spmm_cusparse", "alg=csr2,preprocess=yes"},
    {"cusparse_csr3", "spmm_cusparse", "alg=csr3,preprocess=yes"},
    {"cusparse_coo1", "spmm_cusparse", "alg=coo1,preprocess=yes"},
    {"cusparse_coo2", "spmm_cusparse", "alg=coo2,preprocess=yes"},
    {"cusparse_coo3", "spmm_cusparse", "alg=coo3,preprocess=yes"},
    {"cusparse_coo4", "spmm_cusparse", "alg=coo4,preprocess=yes"},
    {"cusparselt", "spmm_cusparselt", "alg=0,split=1,mode=one_kernel"},
    {"cusparse_default", "sddmm_cusparse", "-"},
    {"dense_cudnn_implicit_gemm", "conv2d_dense_cudnn", "alg=implicit_gemm"},
    {"dense_cudnn_precomp_gemm", "conv2d_dense_cudnn", "alg=precomp_gemm"},
    {"dense_cudnn_gemm", "conv2d_dense_cudnn", "alg=gemm"},
    {"dense_cudnn_fft", "conv2d_dense_cudnn", "alg=fft"},
    {"dense_cudnn_fft_tiling", "conv2d_dense_cudnn", "alg=fft_tiling"},
    {"dense_cudnn_winograd", "conv2d_dense_cudnn", "alg=winograd"},
    {"dense_cudnn_winograd_nonfused", "conv2d_dense_cudnn", "alg=winograd_nonfused"},
    {"dense_openblas", "conv2d_dense_blas", "lib=openblas"},
    {"dense_mkl", "conv2d_dense_blas", "lib=mkl"},
    {"csr", "conv2d_csr_rows", "-"},
    {"advice_cublas_tf32", "rival_cublas_tf32", "-"},
};
const int spt_bench_n_rivals = sizeof spt_bench_rivals / sizeof spt_bench_rivals[0];
_Static_assert(sizeof spt_bench_rivals / sizeof spt_bench_rivals[0] <= SPT_BENCH_RIVALS_MAX, "raise the limit");

bool spt_bench_is_advice(const char *contender) {
    return strncmp(contender, "advice_", strlen("advice_")) == 0;
}

/* Does an item of a list mean this contender: its name, or a part of it between underscores (dense, mkl)? */
static bool is_meant(const char *item, size_t length, const char *name) {
    if (strlen(name) == length && strncmp(item, name, length) == 0)
        return true;
    for (const char *part = name; *part != '\0'; part += strcspn(part, "_"), part += *part == '_') {
        if (length > 0 && strcspn(part, "_") == length && strncmp(item, part, length) == 0)
            return true;
    }
    return false;
}

bool spt_bench_wants(const char *list, const char *contender) {
    for (const char *item = list; item != NULL && *item != '\0'; item += strcspn(item, ","), item += *item == ',') {
        if (is_meant(item, strcspn(item, ","), contender))
            return true;
    }
    return list == NULL;
}

spt_status spt_bench_check_wanted(const char *list) {
    for (const char *item = list; item != NULL && *item != '\0'; item += strcspn(item, ","), item += *item == ',') {
        const size_t length = strcspn(item, ",");
        bool is_known = false;
        for (int i = 0; i < spt_bench_n_rivals; i++)
            is_known |= is_meant(item, length, spt_bench_rivals[i].contender);
        if (!is_known)
            return spt_usage_fail("--against: expected names of rivals, found '%.*s'", (int)length, item);
    }
    return SPT_OK;
}

static const char *version_of(const spt_family *family, const spt_bench_rival *rival) {
    spt_point point;
    if (spt_point_parse(&point, family->axes, family->n_axes, rival->point) != SPT_OK)
        return "";
    return spt_family_library(family, &point);
}

const char *spt_bench_rival_absence(const spt_bench_rival *rival, const spt_workload *workload,
                                    const spt_device *device) {
    const spt_family *family = spt_family_find(rival->family);
    spt_point point;
    if (spt_family_check(family, workload, device) == SPT_OK &&
        spt_point_parse(&point, family->axes, family->n_axes, rival->point) == SPT_OK &&
        family->is_valid(workload, device, &point))
        return NULL;
    return family->library_version == NULL || version_of(family, rival)[0] != '\0' ? "not offered for this problem"
                                                                                   : "not found";
}

void spt_bench_list_libraries(spt_text *out, const char *wanted, const spt_workload *workload,
                              const spt_device *device) {
    for (int i = 0; i < spt_bench_n_rivals; i++) {
        const spt_bench_rival *rival = &spt_bench_rivals[i];
        const spt_family *family = spt_family_find(rival->family);
        if (family->op != workload->problem.op || family->device != device->kind || family->library_version == NULL ||
            !spt_bench_wants(wanted, rival->contender))
            continue;
        const char *version = version_of(family, rival), *absence = spt_bench_rival_absence(rival, workload, device);
        if (version[0] == '\0')
            version = absence != NULL ? absence : "tells no version";
        spt_text_add(out, "- %s: %s\n", rival->contender, version);
    }
}
