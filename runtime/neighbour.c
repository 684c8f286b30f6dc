/* SPDX-License-Identifier: Apache-2.0 */
/* Neighbours. Distance: Euclidean over the axes of patterns, log n and log threads. A neighbour's winner is carried
 * over by the model: it is expected to miss its bound here by the factor by which it missed it there, so expected(v,
 * here) = time(v, there) * bound(v, here) / bound(v, there); of the two nearest the lowest expectation counts, each
 * made worse in proportion to its distance. It must beat the untuned answer, whose family says by itself how far it
 * misses its bounds: at the same neighbour where that is the untuned answer there too, else at its best among the
 * nearest. */
#include "runtime/neighbour.h"

#include <inttypes.h>
#include <math.h>

/* Chosen by leaving each of 61 patterns out; results hardly change around them. */
enum { N_NEAREST = 6, N_CANDIDATES = 2 };
#define DISTANCE_MAX 3.0
#define LOG_COST_PER_DISTANCE 0.5
#define OTHER_EPILOGUE 0.01 /* squared distance: it hardly matters to which kernel wins */

typedef struct neighbour {
    const spt_record *first; /* best record of its key */
    double distance;
} neighbour;

/* A neighbour whose record holds here, and what the model says of it. */
typedef struct carried {
    spt_answer answer;
    const spt_family *family;
    double bound_there_ns;
    const spt_family *default_family; /* of the untuned answer there; NULL: none */
    double default_bound_there_ns;
} carried;

static bool is_comparable(const spt_record *record, const spt_problem *problem) {
    const double ratio = (double)record->n / (double)problem->n;
    return record->of != NULL && record->op == problem->op && record->dtype == problem->dtype &&
           record->layout == problem->layout && record->cache == problem->cache && ratio <= SPT_NEAR_SIZE_MAX &&
           ratio >= 1.0 / SPT_NEAR_SIZE_MAX;
}

static double square(double x) {
    return x * x;
}

static void insert(neighbour *nearest, int *count, neighbour candidate) {
    int place = *count < N_NEAREST ? (*count)++ : N_NEAREST;
    if (place == N_NEAREST && candidate.distance >= nearest[--place].distance)
        return;
    for (; place > 0 && nearest[place - 1].distance > candidate.distance; place--)
        nearest[place] = nearest[place - 1];
    nearest[place] = candidate;
}

/* Records of a pattern lie together, so its distance is computed once for all its sizes. */
static int find_nearest(neighbour *nearest, const spt_table *table, const spt_workload *workload) {
    const spt_problem *problem = &workload->problem;
    double own[SPT_PATTERN_AXES], pattern_square = 0.0;
    const spt_table_pattern *last = NULL;
    int count = 0;
    spt_pattern_axes(own, &workload->pattern);
    for (int64_t i = 0; i < table->n_records; i++) {
        const spt_record *record = &table->records[i];
        if (!spt_record_is_first(record, table->records) || !is_comparable(record, problem))
            continue;
        if (record->of != last)
            pattern_square = spt_pattern_axes_square(own, record->of->axes);
        last = record->of;
        const double distance = sqrt(pattern_square + square(log((double)record->n / (double)problem->n)) +
                                     square(log((double)record->threads / (double)problem->threads)) +
                                     OTHER_EPILOGUE * (record->epilogue != problem->epilogue));
        if (distance <= DISTANCE_MAX)
            insert(nearest, &count, (neighbour){record, distance});
    }
    return count;
}

/* The neighbour's own problem, for the model. */
static spt_workload workload_there(const spt_record *record, const spt_workload *here) {
    spt_workload there = {.problem = here->problem, .pattern = record->of->pattern};
    there.problem.n = record->n;
    there.problem.threads = record->threads;
    there.problem.epilogue = record->epilogue;
    return there;
}

/* The untuned answer's family and bound; NULL and infinite where there is none. */
static const spt_family *untuned(double *bound_ns, const spt_workload *workload, const spt_device *device) {
    const spt_family *family = NULL;
    spt_point point;
    *bound_ns = INFINITY;
    if (spt_default_variant(&family, &point, workload, device) != SPT_OK)
        return NULL;
    *bound_ns = family->bound_ns(workload, device, &point);
    return family;
}

/* The best record of the neighbour's problem that holds here, and what it promises. */
static bool carry_over(carried *out, spt_lookup *lookup, const neighbour *from, const spt_table *table) {
    const spt_record *end = table->records + table->n_records, *record = from->first;
    const spt_device *device = &lookup->context->device;
    spt_selection selection = {0};
    while (!spt_record_take(&selection, lookup, record)) {
        record++;
        if (record == end || spt_record_is_first(record, table->records))
            return false;
    }
    const spt_workload there = workload_there(record, lookup->workload);
    const double bound_here_ns = selection.family->bound_ns(lookup->workload, device, &selection.point);
    out->family = selection.family;
    out->bound_there_ns = selection.family->bound_ns(&there, device, &selection.point);
    out->answer = (spt_answer){record, from->distance, record->time_ns_median * bound_here_ns / out->bound_there_ns};
    out->default_family = untuned(&out->default_bound_there_ns, &there, device);
    return isfinite(out->answer.time_ns_expected) && out->answer.time_ns_expected > 0.0;
}

/* By how much the family's untuned answer missed its bound there, or at least a tuned one of it; infinite where nothing
 * is known. */
static double excess_there(const carried *from, const spt_family *family) {
    const spt_record *record = from->answer.record;
    if (from->default_family == family && record->speedup_over_default > 0.0)
        return record->time_ns_median * record->speedup_over_default / from->default_bound_there_ns;
    return from->family == family ? record->time_ns_median / from->bound_there_ns : INFINITY;
}

/* What the untuned answer is expected to take here; infinite where nothing says so. */
static double expected_default_ns(const carried *all, int count, const carried *best, const spt_workload *workload,
                                  const spt_device *device) {
    double bound_ns, excess = INFINITY;
    const spt_family *family = untuned(&bound_ns, workload, device);
    if (best->default_family == family && best->answer.record->speedup_over_default > 0.0)
        return bound_ns * excess_there(best, family);
    for (int i = 0; i < count; i++)
        excess = fmin(excess, excess_there(&all[i], family));
    return bound_ns * excess;
}

/* The most promising of the nearest that hold; NULL: none. */
static const carried *most_promising(const carried *all, int count) {
    const carried *best = NULL;
    double best_cost = INFINITY;
    for (int i = 0; i < count && i < N_CANDIDATES; i++) {
        const double cost = log(all[i].answer.time_ns_expected) + LOG_COST_PER_DISTANCE * all[i].answer.distance;
        if (cost >= best_cost)
            continue;
        best_cost = cost;
        best = &all[i];
    }
    return best;
}

void spt_neighbour_find(spt_answer *answer, spt_lookup *lookup, const spt_table *table) {
    neighbour nearest[N_NEAREST];
    carried all[N_NEAREST];
    int count = 0;
    const int n_nearest = find_nearest(nearest, table, lookup->workload);
    for (int i = 0; i < n_nearest; i++)
        count += carry_over(&all[count], lookup, &nearest[i], table);
    const carried *best = most_promising(all, count);
    *answer = (spt_answer){0};
    if (best == NULL)
        return;
    const double default_ns = expected_default_ns(all, count, best, lookup->workload, &lookup->context->device);
    if (isinf(default_ns) && best->answer.record->speedup_over_default > 0.0)
        spt_lookup_note(lookup, "nothing near says how the default fares here, so the nearest winner is not trusted");
    else if (best->answer.time_ns_expected > default_ns)
        spt_lookup_note(lookup,
                        "the winner of the nearest tuned pattern is expected to be %.0f %% slower than the default",
                        100.0 * (best->answer.time_ns_expected / default_ns - 1.0));
    else
        *answer = best->answer;
}
