/*
 * window_memo.h - where windows lie in a series' samples, remembered for the next series.
 *
 * Series of one target are scraped together: their times are the same, so for every
 * step the same samples lie in the window.  A memo keeps the times of the last series
 * and what follows from them; equal times (compared, never assumed) cost one memcmp
 * instead of a walk over samples and steps.  One memo belongs to one thread and to one
 * range function over one selector.
 */
#ifndef QUERY_WINDOW_MEMO_H
#define QUERY_WINDOW_MEMO_H

#include "query/eval.h"

/* Extrapolation to a window's borders, as far as times decide it (window_rate.c). */
struct window_spans {
    double sampled, to_start, to_end; /* seconds, those at the borders as they count */
    double factor;                    /* with both of them */
};

struct window_memo {
    struct arena *arena; /* of all below; NULL: nothing is remembered yet */
    size_t count;
    int64_t *times_ns;
    /* Per step the window is [from, to) of the samples; both only move forward. */
    uint32_t *from, *to;
    struct window_spans *spans; /* per step; NULL until window_rate.c asks */
    uint8_t *pairs;             /* with `spans`: CELL_FLOAT where a window has two samples */
};

/* The memo for the run; NULL over the query's memory. */
struct window_memo *window_memo_for(struct window_call *call, const struct window_run *run);

/* For whoever has a window_call: the memo is made at first use. */
void window_memo_done(struct window_memo *memo);

#endif
