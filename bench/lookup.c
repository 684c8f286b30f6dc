/* SPDX-License-Identifier: Apache-2.0 */
/* What a lookup costs, beside the latency of memory in the same run: one table of a million records, keys computed
 * before. Also the speed of a fingerprint beside its hash alone, and with --open how long spt_open takes on a
 * database; --make makes one of 50 devices with 2,000 records each.
 * usage: lookup [--records N] | --make DB | --open DB */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <x86intrin.h>

#include "core/memory.h"
#include "core/random.h"
#include "core/statistics.h"
#include "core/text.h"
#include "db/db.h"
#include "runtime/table.h"
#include "sparsetune.h"
#include "variants/family.h"

enum { N_SAMPLES = 200000, WORKING_SET = 1000, LINE = 64 };

typedef struct percentiles {
    double p50, p99;
} percentiles;

static double now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static inline uint64_t ticks(void) {
    unsigned ignored;
    _mm_lfence();
    const uint64_t now = __rdtscp(&ignored);
    _mm_lfence();
    return now;
}

static double ns_per_tick(void) {
    const double start = now_ns();
    const uint64_t first = ticks();
    while (now_ns() - start < 5e7) {
    }
    return (now_ns() - start) / (double)(ticks() - first);
}

static int by_value(const void *a, const void *b) {
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* The cost of the two clock readings, which every sample has, is taken off. */
static percentiles summarize(uint32_t *samples, double tick_ns, double overhead) {
    qsort(samples, N_SAMPLES, sizeof *samples, by_value);
    percentiles out = {(samples[N_SAMPLES / 2] - overhead) * tick_ns,
                       (samples[N_SAMPLES / 100 * 99] - overhead) * tick_ns};
    return out;
}

static void print(const char *what, percentiles p) {
    printf("%-58s p50 %7.1f ns  p99 %7.1f ns\n", what, p.p50, p.p99);
}

static uint64_t next(spt_random *random) {
    return (uint64_t)(spt_random_unit(random) * 9007199254740992.0);
}

/* Records with the keys that their fields give, as a database would hold them. */
static void fill(spt_winner_list *list, spt_hash128 *keys, int64_t count, const spt_device *device) {
    spt_workload workload = {.problem = {.size = sizeof workload.problem, .threads = 1, .device = "cpu"},
                             .pattern = {.n_rows = 512, .n_cols = 512, .nnz = 26000}};
    for (int64_t i = 0; i < count; i++) {
        spt_key key;
        memcpy(workload.pattern.fingerprint.bytes, &i, sizeof i);
        workload.pattern.fingerprint = spt_hash(workload.pattern.fingerprint.bytes, 16);
        workload.problem.n = 1 + i % 4096;
        if (spt_key_init(&key, &workload, device) != SPT_OK)
            return;
        keys[i] = key.hash;
        spt_winner *winner = &list->items[list->count++];
        *winner = (spt_winner){.key = key.hash,
                               .m = 512,
                               .k = 512,
                               .n = workload.problem.n,
                               .nnz = 26000,
                               .threads = 1,
                               .fingerprint = workload.pattern.fingerprint,
                               .time_ns_median = 1000.0};
        memcpy(winner->family, "spmm_csr_panel", 15);
    }
}

static int64_t lookups(uint32_t *samples, const spt_table *table, const spt_hash128 *keys, int64_t n_keys) {
    spt_random random;
    int64_t found = 0;
    spt_random_init(&random, 5);
    for (int i = -N_SAMPLES / 10; i < N_SAMPLES; i++) {
        const spt_hash128 key = keys[next(&random) % (uint64_t)n_keys]; /* in cache before the clock is read */
        const uint64_t start = ticks();
        const spt_record_span span = spt_table_find_key(table, key);
        __asm__ volatile("" ::"r"(span.items), "r"(span.count) : "memory");
        const uint64_t took = ticks() - start;
        found += span.count;
        if (i >= 0)
            samples[i] = (uint32_t)took;
    }
    return found;
}

/* One load of a line anywhere in as much memory as the index has. */
static void loads(uint32_t *samples, const char *memory, int64_t bytes) {
    spt_random random;
    spt_random_init(&random, 6);
    for (int i = 0; i < N_SAMPLES; i++) {
        const char *at = memory + next(&random) % (uint64_t)(bytes / LINE) * LINE;
        const uint64_t start = ticks();
        const char value = *(const volatile char *)at;
        __asm__ volatile("" ::"r"(value) : "memory");
        samples[i] = (uint32_t)(ticks() - start);
    }
}

static double clock_overhead(uint32_t *samples) {
    for (int i = 0; i < N_SAMPLES; i++) {
        const uint64_t start = ticks();
        samples[i] = (uint32_t)(ticks() - start);
    }
    qsort(samples, N_SAMPLES, sizeof *samples, by_value);
    return samples[N_SAMPLES / 2];
}

static spt_status time_lookups(int64_t n_records) {
    spt_device device;
    spt_device_records records = {0};
    spt_table table = {0};
    spt_hash128 *keys = NULL, *others = NULL;
    uint32_t *samples = NULL;
    char *memory = NULL;
    spt_status status = SPT_OK;
    SPT_TRY_TO(done, spt_device_detect(&device));
    memcpy(records.device_key, device.key, sizeof records.device_key);
    SPT_TRY_TO(done, SPT_NEW(records.winners.items, n_records));
    SPT_TRY_TO(done, SPT_NEW(keys, n_records));
    SPT_TRY_TO(done, SPT_NEW(others, WORKING_SET));
    SPT_TRY_TO(done, SPT_NEW(samples, N_SAMPLES));
    fill(&records.winners, keys, n_records, &device);
    SPT_TRY_TO(done, spt_table_init(&table, &records, 1));
    const int64_t bytes = table.by_key.n_slots * (int64_t)sizeof *table.by_key.slots;
    SPT_TRY_TO(done, SPT_NEW(memory, bytes));
    memset(memory, 1, (size_t)bytes);
    const double tick_ns = ns_per_tick(), overhead = clock_overhead(samples);
    for (int i = 0; i < WORKING_SET; i++) {
        memcpy(others[i].bytes, &i, sizeof i);
        others[i] = spt_hash(others[i].bytes, 16);
    }
    printf("%" PRId64 " records, index of %.0f MB, a record of %zu bytes, clock overhead %.1f ns taken off\n",
           table.n_records, (double)bytes / 1e6, sizeof(spt_record), overhead * tick_ns);
    if (lookups(samples, &table, keys, WORKING_SET) != N_SAMPLES + N_SAMPLES / 10)
        printf("WRONG: a key was not found\n");
    print("lookup, working set of 1,000 keys", summarize(samples, tick_ns, overhead));
    lookups(samples, &table, others, WORKING_SET);
    print("lookup of 1,000 keys that are not there", summarize(samples, tick_ns, overhead));
    loads(samples, memory, bytes);
    const percentiles latency = summarize(samples, tick_ns, overhead);
    print("one load from as much memory", latency);
    lookups(samples, &table, keys, n_records);
    const percentiles random = summarize(samples, tick_ns, overhead);
    print("lookup, uniformly random keys", random);
    printf("of the load's: p50 %.2fx, p99 %.2fx\n", random.p50 / latency.p50, random.p99 / latency.p99);
done:
    spt_table_fini(&table);
    spt_device_records_fini(&records);
    spt_free(keys);
    spt_free(others);
    spt_free(samples);
    spt_free(memory);
    return status;
}

static double time_hash(const spt_csr *a, size_t bytes, int is_fingerprint) {
    const double start = now_ns();
    const spt_hash128 hash = is_fingerprint != 0 ? spt_pattern_fingerprint(a) : spt_hash(a->columns, bytes);
    __asm__ volatile("" ::"r"(hash.bytes[0]) : "memory");
    return now_ns() - start;
}

static spt_status time_fingerprints(void) {
    enum { ROUNDS = 15 };
    double times[2][ROUNDS], scratch[ROUNDS];
    spt_summary summary[2];
    const int64_t m = 4096, row = 16384, nnz = m * row;
    int64_t *offsets = NULL;
    int32_t *columns = NULL;
    spt_status status = SPT_OK;
    SPT_TRY_TO(done, SPT_NEW(offsets, m + 1));
    SPT_TRY_TO(done, SPT_NEW(columns, nnz));
    for (int64_t i = 0; i <= m; i++)
        offsets[i] = i * row;
    for (int64_t i = 0; i < nnz; i++)
        columns[i] = (int32_t)(2 * (i % row));
    const spt_csr a = {.size = sizeof a, .n_rows = m, .n_cols = 2 * row, .row_offsets = offsets, .columns = columns};
    const size_t bytes = (size_t)nnz * sizeof *columns;
    for (int round = -1; round < ROUNDS; round++) /* interleaved; the first one warms up */
        for (int i = 0; i < 2; i++)
            times[i][round < 0 ? 0 : round] = time_hash(&a, bytes, i);
    spt_summarize(&summary[0], times[0], scratch, ROUNDS);
    spt_summarize(&summary[1], times[1], scratch, ROUNDS);
    const double hash = (double)bytes / summary[0].median, fingerprint = (double)bytes / summary[1].median;
    printf("fingerprint of %.0f MB: %.1f GB/s, XXH3-128 alone %.1f GB/s: %.0f %%\n", (double)bytes / 1e6, fingerprint,
           hash, 100.0 * fingerprint / hash);
done:
    spt_free(offsets);
    spt_free(columns);
    return status;
}

/* ---- a database of 50 devices with 2,000 records each, this device's among them ---- */

enum { N_DEVICES = 50, N_PATTERNS = 100, N_WIDTHS = 4, N_RANKS = 5 };

static spt_status add_problem(spt_db *db, const spt_session *session, const spt_workload *workload,
                              const spt_device *device) {
    static const char *const points[N_RANKS] = {"t=8,kb=all,pack=none,ahead=none", "t=4,kb=all,pack=none,ahead=none",
                                                "t=2,kb=all,pack=none,ahead=none", "t=1,kb=all,pack=none,ahead=none",
                                                "t=6,kb=all,pack=none,ahead=none"};
    const spt_family *family = spt_family_find("spmm_csr_panel");
    spt_trial trials[N_RANKS] = {0};
    spt_key key;
    SPT_TRY(spt_key_init(&key, workload, device));
    for (int i = 0; i < N_RANKS; i++) {
        spt_copy_text(trials[i].variant.family, sizeof trials[i].variant.family, family->name);
        spt_copy_text(trials[i].variant.point, sizeof trials[i].variant.point, points[i]);
        trials[i].variant.revision = family->revision;
        trials[i].phase = SPT_PHASE_SEARCH;
        trials[i].measurement = (spt_measurement){
            .n_samples = 11, .time_ns_median = 1000.0 + i, .ci_ns_low = 990.0 + i, .ci_ns_high = 1010.0 + i};
    }
    const spt_subject subject = {&key, workload, device};
    return spt_db_trials_add(db, session, &subject, trials, N_RANKS);
}

static spt_status fill_database(spt_db *db, const spt_device *own) {
    spt_session session = {
        .budget = N_RANKS, .tool_version = SPT_VERSION_TEXT, .strategy = "random", .policy = "bench"};
    spt_random random;
    spt_random_init(&random, 3);
    spt_uuid_new(session.uuid);
    spt_db_host_id(session.host);
    spt_copy_text(session.compiler, sizeof session.compiler, __VERSION__);
    SPT_TRY(spt_db_session_add(db, &session));
    for (int which = 0; which < N_DEVICES; which++) {
        spt_device device = *own;
        device.model += which;
        if (which > 0)
            snprintf(device.key, sizeof device.key, "cpu|%s|%d|%d|%s|%d|%d", device.vendor, device.family, device.model,
                     device.isa_set, (int)device.l1d_bytes, (int)device.l2_bytes);
        for (int i = 0; i < N_PATTERNS * N_WIDTHS; i++) {
            const int pattern = i / N_WIDTHS;
            spt_workload workload = {
                .problem = {.size = sizeof workload.problem, .n = 64 << i % N_WIDTHS, .threads = 1, .device = "cpu"},
                .pattern = {.n_rows = 256 + pattern, .n_cols = 512, .nnz = 13000}};
            workload.pattern.fingerprint = spt_hash(&pattern, sizeof pattern);
            workload.pattern.features =
                (spt_features){.density = 0.1, .row_mean = 51.2 + pattern / 3.0, .row_cv = spt_random_unit(&random)};
            SPT_TRY(add_problem(db, &session, &workload, &device));
        }
    }
    return spt_db_winners_rebuild(db, NULL);
}

static spt_status make_database(const char *path) {
    spt_device device;
    spt_db *db;
    SPT_TRY(spt_device_detect(&device));
    SPT_TRY(spt_db_open(&db, path, SPT_DB_WRITE));
    const spt_status status = fill_database(db, &device);
    spt_db_close(db);
    return status;
}

static spt_status time_open(const char *path) {
    const char *const databases[] = {path, NULL};
    const spt_options options = {.size = sizeof options, .databases = databases};
    double times[21], scratch[21];
    spt_summary summary;
    for (int i = 0; i < 21; i++) {
        spt_context *context;
        const double start = now_ns();
        SPT_TRY(spt_open(&context, &options));
        times[i] = now_ns() - start;
        spt_close(context);
    }
    spt_summarize(&summary, times, scratch, 21);
    printf("spt_open of %s: %.2f ms, the first %.2f ms\n", path, summary.median / 1e6, times[0] / 1e6);
    return SPT_OK;
}

int main(int argc, char **argv) {
    int64_t n_records = 1000000;
    const char *database = NULL;
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--records") == 0)
            n_records = strtoll(argv[i + 1], NULL, 10);
        if (strcmp(argv[i], "--open") == 0)
            database = argv[i + 1];
        if (strcmp(argv[i], "--make") == 0)
            return make_database(argv[i + 1]) == SPT_OK ? 0 : (fprintf(stderr, "%s\n", spt_last_error()), 3);
    }
    if (argc % 2 == 0 || n_records < WORKING_SET) {
        fprintf(stderr, "usage: lookup [--records N] | --make DB | --open DB\n");
        return 2;
    }
    const spt_status status = database != NULL ? time_open(database) : time_lookups(n_records);
    if (status != SPT_OK || (database == NULL && time_fingerprints() != SPT_OK)) {
        fprintf(stderr, "%s\n", spt_last_error());
        return 3;
    }
    return 0;
}
