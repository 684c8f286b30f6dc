/* SPDX-License-Identifier: Apache-2.0 */
/* The winners in memory; see table.h. Records are sorted once, so that each answer is a run of neighbours. */
#include "runtime/table.h"

#include <stdlib.h>
#include <string.h>

#include "core/memory.h"
#include "core/text.h"

spt_hash128 spt_pattern_key(const spt_workload *workload) {
    const spt_problem *problem = &workload->problem;
    uint8_t bytes[16 + 5];
    memcpy(bytes, workload->pattern.fingerprint.bytes, 16);
    bytes[16] = (uint8_t)problem->op;
    bytes[17] = (uint8_t)problem->dtype;
    bytes[18] = (uint8_t)problem->layout;
    bytes[19] = (uint8_t)problem->epilogue;
    bytes[20] = (uint8_t)problem->cache;
    return spt_hash(bytes, sizeof bytes);
}

/* ---- records ---- */

static spt_workload workload_of(const spt_winner *winner, const spt_device *device) {
    return (spt_workload){
        .problem = {.size = sizeof(spt_problem),
                    .op = winner->op,
                    .dtype = winner->dtype,
                    .layout = winner->layout,
                    .epilogue = winner->epilogue,
                    .n = winner->n,
                    .threads = winner->threads,
                    .cache = winner->cache,
                    .device = device->kind == SPT_CPU ? "cpu" : "cuda"},
        .pattern = {.n_rows = winner->m, .n_cols = winner->k, .fingerprint = winner->fingerprint},
    };
}

static const char *add_text(char **end, const char *text) {
    const size_t size = strlen(text) + 1;
    char *copy = memcpy(*end, text, size);
    *end += size;
    return copy;
}

static size_t texts_size(const spt_winner *winner) {
    return strlen(winner->family) + strlen(winner->point) + strlen(winner->compiler) + strlen(winner->library) + 4;
}

static int compare_patterns(const void *a, const void *b) {
    const spt_table_pattern *left = a, *right = b;
    return spt_hash_compare(left->pattern.fingerprint, right->pattern.fingerprint);
}

/* The pattern of a winner; NULL where the database does not describe it, or with another shape. */
static const spt_table_pattern *find_described(const spt_table *table, const spt_winner *winner) {
    const spt_table_pattern wanted = {.pattern.fingerprint = winner->fingerprint};
    const spt_table_pattern *found =
        table->n_patterns > 0
            ? bsearch(&wanted, table->patterns, (size_t)table->n_patterns, sizeof wanted, compare_patterns)
            : NULL;
    const bool is_same = found != NULL && found->pattern.n_rows == winner->m && found->pattern.n_cols == winner->k;
    return is_same ? found : NULL;
}

/* Do its fields give its key on its layer's device? */
static bool has_own_key(const spt_winner *winner, const spt_workload *workload, const spt_device *device) {
    spt_key key;
    return winner->is_key_checked ||
           (spt_key_init(&key, workload, device) == SPT_OK && spt_hash_equal(key.hash, winner->key));
}

static void add_record(spt_table *table, char **pool_end, const spt_winner *winner, int layer,
                       const spt_device *device) {
    const spt_workload workload = workload_of(winner, device);
    const spt_record *last = table->n_records > 0 ? &table->records[table->n_records - 1] : NULL;
    if (!has_own_key(winner, &workload, device))
        return;
    const bool is_next_rank = last != NULL && spt_hash_equal(last->key, winner->key); /* of the same problem */
    table->records[table->n_records++] = (spt_record){
        .key = winner->key,
        .pattern = is_next_rank ? last->pattern : spt_pattern_key(&workload),
        .of = is_next_rank ? last->of : find_described(table, winner),
        .family = add_text(pool_end, winner->family),
        .point = add_text(pool_end, winner->point),
        .compiler = add_text(pool_end, winner->compiler),
        .library = add_text(pool_end, winner->library),
        .time_ns_median = winner->time_ns_median,
        .speedup_over_default = winner->speedup_over_default,
        .speedup_over_dense = winner->speedup_over_dense,
        .n = winner->n,
        .threads = winner->threads,
        .revision = winner->revision,
        .layer = layer,
        .rank = winner->rank,
        .op = winner->op,
        .dtype = winner->dtype,
        .layout = winner->layout,
        .epilogue = winner->epilogue,
        .cache = winner->cache,
    };
}

static int compare_records(const void *a, const void *b) {
    const spt_record *left = a, *right = b;
    int order = spt_hash_compare(left->pattern, right->pattern);
    if (order == 0)
        order = spt_hash_compare(left->key, right->key);
    if (order == 0)
        order = (left->layer > right->layer) - (left->layer < right->layer);
    return order != 0 ? order : (left->rank > right->rank) - (left->rank < right->rank);
}

/* ---- the two indexes: the same code over another hash of the record ---- */

typedef spt_hash128 hash_of_function(const spt_record *record);

static spt_hash128 key_of(const spt_record *record) {
    return record->key;
}

static spt_hash128 pattern_of(const spt_record *record) {
    return record->pattern;
}

/* The slot that holds `hash`, or the empty one where it belongs. There is always an empty slot. */
static spt_table_slot *find_slot(const spt_table_index *index, spt_hash128 hash) {
    uint64_t start;
    memcpy(&start, hash.bytes, sizeof start);
    const uint64_t mask = (uint64_t)index->n_slots - 1;
    for (uint64_t i = start & mask;; i = (i + 1) & mask) {
        spt_table_slot *slot = &index->slots[i];
        if (slot->span.count == 0 || spt_hash_equal(slot->hash, hash))
            return slot;
    }
}

static spt_status index_init(spt_table_index *out, const spt_table *table, hash_of_function *hash_of) {
    out->n_slots = 2;
    while (out->n_slots < 2 * table->n_records)
        out->n_slots *= 2;
    SPT_TRY(SPT_NEW_ZEROED(out->slots, out->n_slots));
    for (int64_t first = 0, next = 0; first < table->n_records; first = next) {
        const spt_hash128 hash = hash_of(&table->records[first]);
        while (next < table->n_records && spt_hash_equal(hash_of(&table->records[next]), hash))
            next++;
        *find_slot(out, hash) = (spt_table_slot){hash, {&table->records[first], next - first}};
    }
    return SPT_OK;
}

static spt_record_span find(const spt_table_index *index, spt_hash128 hash) {
    return index->slots != NULL ? find_slot(index, hash)->span : (spt_record_span){0};
}

spt_record_span spt_table_find_key(const spt_table *table, spt_hash128 key) {
    return find(&table->by_key, key);
}

spt_record_span spt_table_find_pattern(const spt_table *table, spt_hash128 pattern) {
    return find(&table->by_pattern, pattern);
}

/* ---- the table ---- */

/* All layers' patterns, each once. */
static spt_status collect_patterns(spt_table *table, const spt_device_records *layers, int n_layers) {
    int64_t n_given = 0, n_kept = 0;
    for (int layer = 0; layer < n_layers; layer++)
        n_given += layers[layer].patterns.count;
    SPT_TRY(SPT_NEW(table->patterns, n_given));
    for (int layer = 0; layer < n_layers; layer++)
        for (int64_t i = 0; i < layers[layer].patterns.count; i++)
            table->patterns[table->n_patterns++].pattern = layers[layer].patterns.items[i];
    if (n_given > 1)
        qsort(table->patterns, (size_t)n_given, sizeof *table->patterns, compare_patterns);
    for (int64_t i = 0; i < n_given; i++)
        if (i == 0 || compare_patterns(&table->patterns[n_kept - 1], &table->patterns[i]) != 0)
            table->patterns[n_kept++].pattern = table->patterns[i].pattern;
    table->n_patterns = n_kept;
    for (int64_t i = 0; i < n_kept; i++)
        spt_pattern_axes(table->patterns[i].axes, &table->patterns[i].pattern);
    return SPT_OK;
}

static void add_layer(spt_table *table, char **pool_end, const spt_device_records *records, int layer) {
    spt_device device = {0};
    spt_copy_text(device.key, sizeof device.key, records->device_key);
    for (int64_t i = 0; i < records->winners.count; i++)
        add_record(table, pool_end, &records->winners.items[i], layer, &device);
}

spt_status spt_table_init(spt_table *out, const spt_device_records *layers, int n_layers) {
    spt_status status = SPT_OK;
    int64_t n_winners = 0;
    size_t pool_bytes = 0;
    *out = (spt_table){0};
    for (int layer = 0; layer < n_layers; layer++) {
        n_winners += layers[layer].winners.count;
        for (int64_t i = 0; i < layers[layer].winners.count; i++)
            pool_bytes += texts_size(&layers[layer].winners.items[i]);
    }
    SPT_TRY_TO(done, collect_patterns(out, layers, n_layers));
    SPT_TRY_TO(done, SPT_NEW(out->records, n_winners));
    SPT_TRY_TO(done, SPT_NEW(out->pool, pool_bytes));
    char *pool_end = out->pool;
    for (int layer = 0; layer < n_layers; layer++)
        add_layer(out, &pool_end, &layers[layer], layer);
    if (out->n_records > 1)
        qsort(out->records, (size_t)out->n_records, sizeof *out->records, compare_records);
    SPT_TRY_TO(done, index_init(&out->by_key, out, key_of));
    SPT_TRY_TO(done, index_init(&out->by_pattern, out, pattern_of));
done:
    if (status != SPT_OK)
        spt_table_fini(out);
    return status;
}

void spt_table_fini(spt_table *table) {
    spt_free(table->records);
    spt_free(table->patterns);
    spt_free(table->pool);
    spt_free(table->by_key.slots);
    spt_free(table->by_pattern.slots);
    *table = (spt_table){0};
}
