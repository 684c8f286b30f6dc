/* SPDX-License-Identifier: Apache-2.0 */
/* Neighbours. Distance: Euclidean over the axes of patterns, log n and log threads. A neighbour's winner is carried
 * over by the model: it is expected to miss its bound here by the factor by which it missed it there, so expected(v,
 * here) = time(v, there) * bound(v, here) / bound(v, there), and of the few nearest problems' winners the lowest
 * expectation counts, each made worse in proportion to its distance. The default is carried over in the same way; a
 * winner that is not expected to beat it here is not used. */
#include "runtime/neighbour.h"

#include <inttypes.h>
#include <math.h>

/* Chosen by leaving each of 61 patterns out; results hardly change around them. */
#define N_NEAREST 4
#define DISTANCE_MAX 3.0
#define LOG_COST_PER_DISTANCE 0.4
#define OTHER_EPILOGUE 0.01 /* squared distance: it hardly matters to which kernel wins */

typedef struct neighbour {
    const spt_record *first; /* best record of its key */
    double distance;
} neighbour;

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

/* The bound of the untuned answer; infinite where there is none. */
static double default_bound_ns(const spt_workload *workload, const spt_device *device) {
    const spt_family *family;
    spt_point point;
    return spt_default_variant(&family, &point, workload, device) == SPT_OK ? family->bound_ns(workload, device, &point)
                                                                            : INFINITY;
}

/* What the untuned answer is expected to take here, by what it took there; infinite where that is not known. */
static double expected_default_ns(const spt_record *record, double bound_here_ns, double bound_there_ns) {
    if (record->speedup_over_default <= 0.0 || isinf(bound_here_ns) || isinf(bound_there_ns))
        return INFINITY;
    return record->time_ns_median * record->speedup_over_default * bound_here_ns / bound_there_ns;
}

/* The best record of the neighbour's problem that holds here, and what it promises. */
static bool carry_over(spt_answer *out, double *default_ns, spt_lookup *lookup, const neighbour *from,
                       const spt_table *table, double default_bound_here_ns) {
    const spt_record *end = table->records + table->n_records, *record = from->first;
    spt_selection selection = {0};
    while (!spt_record_take(&selection, lookup, record)) {
        record++;
        if (record == end || spt_record_is_first(record, table->records))
            return false;
    }
    const spt_device *device = &lookup->context->device;
    const spt_workload there = workload_there(record, lookup->workload);
    const double bound_here = selection.family->bound_ns(lookup->workload, device, &selection.point);
    const double bound_there = selection.family->bound_ns(&there, device, &selection.point);
    *out = (spt_answer){record, from->distance, record->time_ns_median * bound_here / bound_there};
    *default_ns = expected_default_ns(record, default_bound_here_ns, default_bound_ns(&there, device));
    return isfinite(out->time_ns_expected) && out->time_ns_expected > 0.0;
}

void spt_neighbour_find(spt_answer *answer, spt_lookup *lookup, const spt_table *table) {
    neighbour nearest[N_NEAREST];
    double best_cost = INFINITY, best_default_ns = INFINITY;
    *answer = (spt_answer){0};
    const int count = find_nearest(nearest, table, lookup->workload);
    const double default_bound_here_ns =
        count > 0 ? default_bound_ns(lookup->workload, &lookup->context->device) : INFINITY;
    for (int i = 0; i < count; i++) {
        spt_answer candidate;
        double default_ns;
        if (!carry_over(&candidate, &default_ns, lookup, &nearest[i], table, default_bound_here_ns))
            continue;
        const double cost = log(candidate.time_ns_expected) + LOG_COST_PER_DISTANCE * candidate.distance;
        if (cost >= best_cost)
            continue;
        best_cost = cost;
        best_default_ns = default_ns;
        *answer = candidate;
    }
    if (answer->record == NULL || answer->time_ns_expected <= best_default_ns)
        return;
    spt_lookup_note(lookup, "the winner of the nearest tuned pattern is expected to be %.0f %% slower than the default",
                    100.0 * (answer->time_ns_expected / best_default_ns - 1.0));
    *answer = (spt_answer){0};
}
