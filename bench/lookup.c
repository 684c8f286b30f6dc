/* SPDX-License-Identifier: Apache-2.0 */
/* What a lookup costs, beside the latency of memory in the same run: one table of a million records, keys computed
 * before. Also the speed of a fingerprint beside its hash alone, and with --open how long spt_open takes on a database.
 * usage: lookup [--records N] [--open DB] */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <x86intrin.h>

#include "core/memory.h"
#include "core/random.h"
#include "core/statistics.h"
#include "runtime/table.h"
#include "sparsetune.h"

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

/* GB/s, the median of some runs over data that lies in memory, not in cache. */
static double gbs_of(const spt_csr *a, size_t bytes, int is_fingerprint) {
    double times[9], scratch[9];
    spt_summary summary;
    volatile uint8_t sink = 0;
    for (int i = 0; i < 9; i++) {
        const double start = now_ns();
        sink ^= is_fingerprint != 0 ? spt_pattern_fingerprint(a).bytes[0] : spt_hash(a->columns, bytes).bytes[0];
        times[i] = now_ns() - start;
    }
    spt_summarize(&summary, times, scratch, 9);
    return (double)bytes / summary.median;
}

static spt_status time_fingerprints(void) {
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
    const double hash = gbs_of(&a, bytes, 0), fingerprint = gbs_of(&a, bytes, 1);
    printf("fingerprint of %.0f MB: %.1f GB/s, XXH3-128 alone %.1f GB/s: %.0f %%\n", (double)bytes / 1e6, fingerprint,
           hash, 100.0 * fingerprint / hash);
done:
    spt_free(offsets);
    spt_free(columns);
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
    }
    if (argc % 2 == 0 || n_records < WORKING_SET) {
        fprintf(stderr, "usage: lookup [--records N] [--open DB]\n");
        return 2;
    }
    const spt_status status = database != NULL ? time_open(database) : time_lookups(n_records);
    if (status != SPT_OK || (database == NULL && time_fingerprints() != SPT_OK)) {
        fprintf(stderr, "%s\n", spt_last_error());
        return 3;
    }
    return 0;
}
