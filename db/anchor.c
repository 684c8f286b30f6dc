/* SPDX-License-Identifier: Apache-2.0 */
/* Anchoring sessions to the newest one; see anchor.h. A session is anchored as soon as it shares a variant with those
 * that are: its factor is the median, over what it shares, of how far its ratios are from theirs. */
#include "db/anchor.h"

#include <stdlib.h>

#include "core/memory.h"
#include "core/statistics.h"

/* One variant in one session. */
typedef struct standing {
    int64_t variant;
    int64_t session; /* index among the sessions, newest first */
    double ratio;    /* the median of its costs over the default's */
} standing;

typedef struct anchor_state {
    const spt_run **sessions; /* a run of each, newest first */
    int64_t n_sessions;
    standing *standings; /* those of a variant together */
    int64_t n_standings;
    double *factors; /* per session; 0: not anchored yet */
    double *scratch, *shared;
} anchor_state;

static int newest_first(const void *a, const void *b) {
    return spt_run_newest_first(*(const spt_run *const *)a, *(const spt_run *const *)b);
}

static int64_t session_of(const anchor_state *state, const spt_run *run) {
    int64_t i = 0;
    while (state->sessions[i]->session != run->session)
        i++;
    return i;
}

static void list_sessions(anchor_state *state, const spt_run *runs, int64_t n_runs) {
    for (int64_t i = 0; i < n_runs; i++)
        state->sessions[i] = &runs[i];
    qsort(state->sessions, (size_t)n_runs, sizeof *state->sessions, newest_first);
    for (int64_t i = 0; i < n_runs; i++)
        if (i == 0 || state->sessions[i]->session != state->sessions[state->n_sessions - 1]->session)
            state->sessions[state->n_sessions++] = state->sessions[i];
}

static void list_standings(anchor_state *state, const spt_run *runs, int64_t n_runs) {
    int n = 0;
    for (int64_t i = 0; i < n_runs; i++) {
        state->scratch[n++] = runs[i].cost_ns / runs[i].default_ns;
        if (i + 1 < n_runs && runs[i + 1].variant == runs[i].variant && runs[i + 1].session == runs[i].session)
            continue;
        state->standings[state->n_standings++] = (standing){
            .variant = runs[i].variant, .session = session_of(state, &runs[i]), .ratio = spt_median(state->scratch, n)};
        n = 0;
    }
}

/* What the anchored sessions say about the variant of standings[begin, end); 0: nothing. */
static double anchored_ratio(anchor_state *state, int64_t begin, int64_t end) {
    int n = 0;
    for (int64_t i = begin; i < end; i++) {
        const double factor = state->factors[state->standings[i].session];
        if (factor > 0.0)
            state->scratch[n++] = state->standings[i].ratio / factor;
    }
    return n > 0 ? spt_median(state->scratch, n) : 0.0;
}

/* The factor of a session by what it shares with the anchored ones; 0: it shares nothing. */
static double factor_of(anchor_state *state, int64_t session) {
    int n = 0;
    for (int64_t begin = 0, end; begin < state->n_standings; begin = end) {
        const standing *own = NULL;
        for (end = begin; end < state->n_standings && state->standings[end].variant == state->standings[begin].variant;
             end++)
            own = state->standings[end].session == session ? &state->standings[end] : own;
        const double ratio = own != NULL ? anchored_ratio(state, begin, end) : 0.0;
        if (ratio > 0.0)
            state->shared[n++] = own->ratio / ratio;
    }
    return n > 0 ? spt_median(state->shared, n) : 0.0;
}

static void anchor_all(anchor_state *state) {
    state->factors[0] = 1.0;
    for (int64_t n_anchored = 1; n_anchored < state->n_sessions; n_anchored++) {
        int64_t newest = -1, next = -1;
        double factor = 1.0;
        for (int64_t i = 1; i < state->n_sessions && next < 0; i++) {
            if (state->factors[i] > 0.0)
                continue;
            newest = newest < 0 ? i : newest;
            const double shared = factor_of(state, i);
            if (shared > 0.0) {
                next = i;
                factor = shared;
            }
        }
        state->factors[next >= 0 ? next : newest] = factor;
    }
}

spt_status spt_anchor_sessions(spt_run *runs, int64_t n_runs) {
    anchor_state state = {0};
    spt_status status = SPT_OK;
    if (n_runs == 0)
        return SPT_OK;
    SPT_TRY_TO(done, SPT_NEW(state.sessions, n_runs));
    SPT_TRY_TO(done, SPT_NEW(state.standings, n_runs));
    SPT_TRY_TO(done, SPT_NEW_ZEROED(state.factors, n_runs));
    SPT_TRY_TO(done, SPT_NEW(state.scratch, n_runs));
    SPT_TRY_TO(done, SPT_NEW(state.shared, n_runs));
    list_sessions(&state, runs, n_runs);
    list_standings(&state, runs, n_runs);
    anchor_all(&state);
    for (int64_t i = 0; i < n_runs; i++)
        runs[i].round_ns = runs[i].default_ns * state.factors[session_of(&state, &runs[i])];
done:
    spt_free(state.sessions);
    spt_free(state.standings);
    spt_free(state.factors);
    spt_free(state.scratch);
    spt_free(state.shared);
    return status;
}
