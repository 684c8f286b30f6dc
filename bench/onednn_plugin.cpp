// SPDX-License-Identifier: Apache-2.0
// oneDNN's dense product in a narrower element type, as advice beside a race in f32: bf16, or int8 with -DSPT_INT8. The
// sums come back in f32. A is converted and packed once; B is converted when its address is first seen, because a
// network in this type has it so already. Layouts: kn is A B, nk is B A^T. Written for oneDNN 2 and 3.
#include <cmath>
#include <cstring>
#include <dnnl.hpp>
#include <new>
#include <vector>

#include "bench/plugin.h"

namespace {

using dnnl::memory;

#ifdef SPT_INT8
using element = int8_t;
constexpr memory::data_type type = memory::data_type::s8;
constexpr const char *type_name = "int8";
#else
using element = uint16_t;
constexpr memory::data_type type = memory::data_type::bf16;
constexpr const char *type_name = "bf16";
#endif

float largest(const float *values, int64_t rows, int64_t cols, int64_t ld) {
    float found = 0.0f;
    for (int64_t row = 0; row < rows; row++) {
        for (int64_t col = 0; col < cols; col++)
            found = std::fmax(found, std::fabs(values[row * ld + col]));
    }
    return found;
}

#ifdef SPT_INT8
float scale_of(float maximum) {
    return maximum > 0.0f ? maximum / 127.0f : 1.0f;
}
element convert(float value, float scale) {
    return static_cast<element>(std::lrint(value / scale));
}
#else
float scale_of(float) {
    return 1.0f;
}
element convert(float value, float) { // to the nearest, ties to even
    uint32_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    return static_cast<element>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}
#endif

// A matrix of the element type, row-major without gaps, and what one step of it is worth.
struct narrow {
    std::vector<element> elements;
    float scale;
    narrow(const float *values, int64_t rows, int64_t cols, int64_t ld)
        : elements(static_cast<size_t>(rows * cols)), scale(scale_of(largest(values, rows, cols, ld))) {
        for (int64_t row = 0; row < rows; row++) {
            for (int64_t col = 0; col < cols; col++)
                elements[static_cast<size_t>(row * cols + col)] = convert(values[row * ld + col], scale);
        }
    }
};

dnnl::matmul::primitive_desc describe(const dnnl::engine &engine, const memory::desc &left, const memory::desc &right,
                                      const memory::desc &product, float scale) {
    dnnl::post_ops scaling;
    dnnl::primitive_attr attributes;
#if DNNL_VERSION_MAJOR >= 3
    scaling.append_eltwise(dnnl::algorithm::eltwise_linear, scale, 0.0f);
    attributes.set_post_ops(scaling);
    return dnnl::matmul::primitive_desc(engine, left, right, product, attributes);
#else
    scaling.append_eltwise(1.0f, dnnl::algorithm::eltwise_linear, scale, 0.0f);
    attributes.set_post_ops(scaling);
    return dnnl::matmul::primitive_desc(dnnl::matmul::desc(left, right, product), attributes, engine);
#endif
}

struct plugin {
    dnnl::engine engine{dnnl::engine::kind::cpu, 0};
    dnnl::stream stream{engine};
    int64_t m, k, n;
    bool is_nk;
    narrow a; // k x m in layout nk
    // Made when an operand is first seen: int8's scale of B is part of the primitive.
    const float *seen = nullptr;
    int64_t ldc = 0;
    std::vector<element> b;
    dnnl::matmul product;
    memory a_memory, b_memory, c_memory;

    plugin(const spt_plugin_problem &problem, const std::vector<float> &dense)
        : m(problem.m), k(problem.k), n(problem.n), is_nk(problem.is_nk != 0),
          a(dense.data(), is_nk ? k : m, is_nk ? m : k, is_nk ? m : k) {}

    void see(const float *operand, int64_t ldb, float *c, int64_t c_stride) {
        narrow converted(operand, is_nk ? n : k, is_nk ? k : n, ldb);
        b = std::move(converted.elements);
        const auto plain = memory::format_tag::ab, any = memory::format_tag::any;
        const memory::dims a_dims = is_nk ? memory::dims{k, m} : memory::dims{m, k};
        const memory::dims b_dims = is_nk ? memory::dims{n, k} : memory::dims{k, n};
        const memory::dims c_dims = is_nk ? memory::dims{n, m} : memory::dims{m, n};
        const memory::desc a_any(a_dims, type, any), a_plain(a_dims, type, plain), b_plain(b_dims, type, plain);
        const memory::desc c_desc(c_dims, memory::data_type::f32, memory::dims{c_stride, 1});
        const auto described = is_nk ? describe(engine, b_plain, a_any, c_desc, a.scale * converted.scale)
                                     : describe(engine, a_any, b_plain, c_desc, a.scale * converted.scale);
        const memory::desc a_packed = is_nk ? described.weights_desc() : described.src_desc();
        memory a_given(a_plain, engine, a.elements.data());
        a_memory = memory(a_packed, engine);
        dnnl::reorder(a_given, a_memory).execute(stream, a_given, a_memory);
        b_memory = memory(b_plain, engine, b.data());
        c_memory = memory(c_desc, engine, c);
        product = dnnl::matmul(described);
        seen = operand;
        ldc = c_stride;
    }

    void run(const float *operand, int64_t ldb, float *c, int64_t c_stride) {
        if (operand != seen || c_stride != ldc)
            see(operand, ldb, c, c_stride);
        c_memory.set_data_handle(c);
        product.execute(stream, {{DNNL_ARG_SRC, is_nk ? b_memory : a_memory},
                                 {DNNL_ARG_WEIGHTS, is_nk ? a_memory : b_memory},
                                 {DNNL_ARG_DST, c_memory}});
        stream.wait();
    }
};

} // namespace

#ifdef SPT_INT8
const double spt_plugin_input_error = 1.0 / 254.0;
#else
const double spt_plugin_input_error = 1.0 / 512.0;
#endif

const char *spt_plugin_version() {
    static char text[64];
    const dnnl_version_t *version = dnnl_version();
    snprintf(text, sizeof text, "oneDNN %d.%d.%d in %s", version->major, version->minor, version->patch, type_name);
    return text;
}

int spt_plugin_takes(const spt_plugin_problem *) {
    return 1;
}

void *spt_plugin_create(const spt_plugin_problem *problem) {
    const size_t m = static_cast<size_t>(problem->m), k = static_cast<size_t>(problem->k);
    try {
        std::vector<float> dense(m * k);
        for (size_t row = 0; row < m; row++) {
            for (uint32_t nz = problem->row_begin[row]; nz < problem->row_begin[row + 1]; nz++)
                dense[problem->is_nk ? problem->columns[nz] * m + row : row * k + problem->columns[nz]] =
                    problem->values[nz];
        }
        return new plugin(*problem, dense);
    } catch (const std::exception &) {
        return nullptr;
    }
}

int spt_plugin_run(void *handle, const float *b, int64_t ldb, float *c, int64_t ldc) {
    try {
        static_cast<plugin *>(handle)->run(b, ldb, c, ldc);
        return 0;
    } catch (const dnnl::error &refusal) {
        return refusal.status != 0 ? refusal.status : -1;
    } catch (const std::exception &) {
        return -1;
    }
}

void spt_plugin_destroy(void *handle) {
    delete static_cast<plugin *>(handle);
}
