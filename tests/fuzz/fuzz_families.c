/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz target: bytes -> a problem, a small pattern and a family's point -> prepare, new values, execute whole and in
 * parts, against the double reference. Outputs lie between guard zones, which must stay as they are; inputs touch a
 * page that nobody may read, before or behind them, because no sanitizer watches generated code.
 *
 *   byte 0 family | 1 ISA | 2 layout, epilogue, gap | 3 m | 4 k | 5 n | 6, 7 point | the rest: a bit per element of A
 */
#include <math.h>

#include "core/random.h"
#include "tests/fuzz/fuzz.h"
#include "tuner/measure/verify.h"
#include "variants/family.h"
#include "variants/operation.h"

/* The leak checker dies in the thread-local storage of the BLAS libraries that families open; every allocation of ours
 * is counted instead. */
__attribute__((visibility("default"), used)) const char *__asan_default_options(void);
const char *__asan_default_options(void) {
    return "detect_leaks=0";
}

enum { HEADER = 8, M_MAX = 70, K_MAX = 300, N_MAX = 70, PAGE = 4096 };

typedef struct fuzz_case {
    const spt_family *family;
    spt_device device;
    spt_problem problem;
    int64_t m, k, gap;
    uint32_t point;
} fuzz_case;

static bool read_case(fuzz_case *out, const uint8_t *data, size_t size) {
    static spt_device device;
    if (size < HEADER)
        return false;
    if (device.key[0] == '\0')
        FUZZ_EXPECT(spt_device_detect(&device) == SPT_OK);
    out->device = device;
    const int isa = data[1] % ((int)out->device.isa + 1);
    out->device.isa = (spt_isa)isa;
    int index = data[0] % spt_family_count();
    while (spt_family_at(index)->device != SPT_CPU)
        index = index + 1 < spt_family_count() ? index + 1 : 0;
    out->family = spt_family_at(index);
    out->m = data[3] % M_MAX + 1;
    out->k = (data[4] < 128 ? data[4] : data[4] * 3) % K_MAX + 1;
    out->gap = data[2] >> 6;
    out->point = (uint32_t)data[6] << 8 | data[7];
    out->problem = (spt_problem){.size = sizeof out->problem,
                                 .op = out->family->op,
                                 .layout = (data[2] & 1) != 0 ? SPT_NK : SPT_KN,
                                 .epilogue = spt_op_has_epilogue(out->family->op) ? (spt_epilogue)(data[2] / 2 % 3)
                                                                                  : SPT_EPILOGUE_NONE,
                                 .n = data[5] % N_MAX + 1,
                                 .threads = 1 + (data[2] >> 3 & 1),
                                 .device = "cpu"};
    if (out->family->op == SPT_CONV2D) { /* n places are the image's affair */
        out->k = (out->k + 8) / 9 * 9;
        out->problem.layout = SPT_KN;
        out->problem.height = data[5] % 13 + 1;
        out->problem.width = data[6] % 11 + 1;
        out->problem.stride = 1 + (data[2] >> 4 & 1);
        out->problem.n = 0;
    }
    return true;
}

/* A bit per element; when the bytes end they begin again. */
static void build_matrix(spt_matrix *out, const fuzz_case *c, const uint8_t *bits, size_t n_bytes) {
    float *dense = spt_alloc_zeroed((size_t)(c->m * c->k), sizeof *dense);
    FUZZ_EXPECT(dense != NULL);
    for (int64_t i = 0; n_bytes > 0 && i < c->m * c->k; i++) {
        if (bits[(size_t)i / 8 % n_bytes] >> (i % 8) & 1)
            dense[i] = (float)(i % 5) - 2.5f;
    }
    FUZZ_EXPECT(spt_matrix_from_dense(out, dense, c->m, c->k) == SPT_OK);
    spt_free(dense);
}

/* The first valid point at or behind a place in the family's space, which the bytes choose. */
static bool find_point(spt_point *out, const fuzz_case *c, const spt_workload *workload) {
    spt_family_space space;
    spt_family_space_init(&space, c->family, workload, &c->device);
    int64_t ordinal = (int64_t)((double)spt_space_size(&space.space) * c->point / 65536.0);
    if (spt_space_next(&space.space, &ordinal, out))
        return true;
    ordinal = 0;
    return spt_space_next(&space.space, &ordinal, out);
}

/* Memory between two pages that cannot be touched; the data lies at one end of it. */
typedef struct fenced {
    char *map;
    size_t map_bytes;
    float *data;
} fenced;

static void fenced_init(fenced *out, int64_t count, bool is_at_end, spt_random *random) {
    const size_t bytes = (size_t)count * sizeof(float), room = (bytes + PAGE - 1) / PAGE * PAGE;
    out->map_bytes = room + 2 * PAGE;
    out->map = mmap(NULL, out->map_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    FUZZ_EXPECT(out->map != MAP_FAILED);
    FUZZ_EXPECT(room == 0 || mprotect(out->map + PAGE, room, PROT_READ | PROT_WRITE) == 0);
    out->data = (float *)(void *)(out->map + PAGE + (is_at_end ? room - bytes : 0));
    spt_random_fill_f32(random, out->data, count);
}

static void fenced_fini(fenced *memory) {
    if (memory->map != NULL)
        munmap(memory->map, memory->map_bytes);
}

typedef struct fuzz_operands {
    fenced inputs[SPT_OPERANDS_MAX], bias;
    spt_guarded output;
    int64_t rows, cols, ld;
    const char *role;
    spt_args args;
} fuzz_operands;

static void make_operands(fuzz_operands *out, const fuzz_case *c, const spt_workload *workload) {
    const spt_operation *operation = spt_operation_get(c->family->op);
    spt_random random;
    spt_random_init(&random, c->point);
    *out = (fuzz_operands){.args = {.size = sizeof out->args, .n = workload->problem.n}};
    for (int i = 0; i < operation->n_operands; i++) {
        const spt_operand_row *operand = &operation->operands[i];
        int64_t rows, cols;
        spt_operand_shape(&rows, &cols, operand, workload);
        const int64_t ld = operand->cols == SPT_EXTENT_ONE ? cols : cols + c->gap;
        if (operand->is_output) {
            out->rows = rows, out->cols = cols, out->ld = ld, out->role = operand->role;
            FUZZ_EXPECT(spt_guarded_init(&out->output, (size_t)(rows * ld) * sizeof(float)) == SPT_OK);
            spt_operand_bind(&out->args, operand, out->output.data, ld, 0);
        } else {
            /* the last row ends where its columns end: what would follow is not the kernel's */
            fenced_init(&out->inputs[i], rows > 0 ? (rows - 1) * ld + cols : 0, (c->point & 1) == 0, &random);
            spt_operand_bind(&out->args, operand, out->inputs[i].data, ld, 0);
        }
    }
    fenced_init(&out->bias, c->m, (c->point & 1) == 0, &random);
    if (spt_epilogue_get(workload->problem.epilogue)->has_bias)
        out->args.bias = out->bias.data;
}

static void check_output(const fuzz_operands *o, const double *value, const double *tolerance) {
    float *packed = spt_alloc((size_t)(o->rows * o->cols), sizeof *packed);
    spt_measurement measurement = {0};
    FUZZ_EXPECT(packed != NULL);
    for (int64_t row = 0; row < o->rows; row++)
        memcpy(packed + row * o->cols, (const float *)o->output.data + row * o->ld, (size_t)o->cols * sizeof *packed);
    if (!spt_verify_f32(&measurement, packed, value, tolerance, o->rows, o->cols, o->role))
        fprintf(stderr, "%s\n", measurement.reason);
    FUZZ_EXPECT(measurement.reason[0] == '\0');
    FUZZ_EXPECT(spt_guarded_is_intact(&o->output));
    spt_free(packed);
}

/* The plan is made with other values than those that it is run with. */
static void run_case(const fuzz_case *c, const spt_workload *workload, const spt_point *point, spt_matrix *matrix) {
    const spt_csr *a = &matrix->view;
    fuzz_operands operands;
    spt_prepared prepared;
    double *value, *tolerance;
    make_operands(&operands, c, workload);
    const int64_t n_outputs = operands.rows * operands.cols;
    FUZZ_EXPECT(SPT_NEW(value, n_outputs) == SPT_OK);
    FUZZ_EXPECT(SPT_NEW(tolerance, n_outputs) == SPT_OK);
    FUZZ_EXPECT(spt_prepared_init(&prepared, c->family, point, workload, &c->device, a) == SPT_OK);
    for (int64_t nz = 0; nz < spt_csr_nnz(a); nz++)
        matrix->values[nz] = 1.5f - matrix->values[nz];
    FUZZ_EXPECT(spt_prepared_set_values(&prepared, matrix->values) == SPT_OK);
    spt_operation_get(c->family->op)->reference(value, tolerance, workload, a, &operands.args);
    spt_guarded_poison(&operands.output);
    FUZZ_EXPECT(spt_prepared_run(&prepared, &operands.args) == SPT_OK);
    check_output(&operands, value, tolerance);
    spt_guarded_poison(&operands.output);
    for (int part = 0; part < 3; part++)
        FUZZ_EXPECT(spt_prepared_run_part(&prepared, &operands.args, part, 3) == SPT_OK);
    check_output(&operands, value, tolerance);
    spt_prepared_fini(&prepared);
    spt_guarded_fini(&operands.output);
    for (int i = 0; i < SPT_OPERANDS_MAX; i++)
        fenced_fini(&operands.inputs[i]);
    fenced_fini(&operands.bias);
    spt_free(value);
    spt_free(tolerance);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_case c;
    spt_matrix matrix;
    spt_workload workload;
    spt_point point = {0};
    if (!read_case(&c, data, size))
        return 0;
    build_matrix(&matrix, &c, data + HEADER, size - HEADER);
    FUZZ_EXPECT(spt_workload_init(&workload, &c.problem, &matrix.view) == SPT_OK);
    if (spt_family_check(c.family, &workload, &c.device) == SPT_OK && find_point(&point, &c, &workload))
        run_case(&c, &workload, &point, &matrix);
    spt_matrix_fini(&matrix);
    FUZZ_EXPECT(spt_memory_live() == 0);
    return 0;
}
