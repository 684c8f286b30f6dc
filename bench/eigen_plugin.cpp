// SPDX-License-Identifier: Apache-2.0
// Eigen: a row-major sparse matrix times a dense one, as its documentation would have it written. Layout kn is
// row-major to Eigen, nk column-major; with OpenMP Eigen takes as many threads as the process may use.
#include <Eigen/Core>
#include <Eigen/SparseCore>
#include <new>
#include <vector>

#include "bench/plugin.h"

namespace {

using sparse = Eigen::SparseMatrix<float, Eigen::RowMajor, int>;
using row_major = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using column_major = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::ColMajor>;

struct plugin {
    sparse a;
    int n, is_nk;
};

template <typename order> void multiply(const plugin &self, const float *b, int64_t ldb, float *c, int64_t ldc) {
    using stride = Eigen::OuterStride<>;
    const Eigen::Map<const order, 0, stride> from(b, self.a.cols(), self.n, stride(ldb));
    Eigen::Map<order, 0, stride> to(c, self.a.rows(), self.n, stride(ldc));
    to.noalias() = self.a * from;
}

} // namespace

const double spt_plugin_input_error = 0.0;

#define TEXT_OF(x) #x
#define TEXT(x) TEXT_OF(x)

const char *spt_plugin_version() {
    return "Eigen " TEXT(EIGEN_WORLD_VERSION) "." TEXT(EIGEN_MAJOR_VERSION) "." TEXT(EIGEN_MINOR_VERSION);
}

int spt_plugin_takes(const spt_plugin_problem *) {
    return 1;
}

void *spt_plugin_create(const spt_plugin_problem *problem) {
    plugin *self = new (std::nothrow) plugin{{problem->m, problem->k}, problem->n, problem->is_nk};
    if (self == nullptr)
        return nullptr;
    const std::vector<int> begin(problem->row_begin, problem->row_begin + problem->m + 1);
    const std::vector<int> columns(problem->columns, problem->columns + begin.back());
    self->a =
        Eigen::Map<const sparse>(problem->m, problem->k, begin.back(), begin.data(), columns.data(), problem->values);
    return self;
}

int spt_plugin_run(void *handle, const float *b, int64_t ldb, float *c, int64_t ldc) {
    const plugin &self = *static_cast<const plugin *>(handle);
    if (self.is_nk)
        multiply<column_major>(self, b, ldb, c, ldc);
    else
        multiply<row_major>(self, b, ldb, c, ldc);
    return 0;
}

void spt_plugin_destroy(void *handle) {
    delete static_cast<plugin *>(handle);
}
