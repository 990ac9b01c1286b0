/*
 * window_histogram.h - range functions over runs that hold histograms or start timestamps.
 *
 * window_apply() sends a run of plain floats to function->window, and anything else to
 * function->rich; a function without one is about floats only.
 */
#ifndef QUERY_WINDOW_HISTOGRAM_H
#define QUERY_WINDOW_HISTOGRAM_H

#include "query/annotations.h"
#include "query/eval_internal.h"
#include "query/function_tables.h"
#include "query/histogram_work.h"

static inline const struct histogram *run_histogram(const struct window_run *run, size_t at)
{
    return run->histograms ? run->histograms[at] : NULL;
}

/* What a range of samples holds. */
struct window_mix {
    size_t floats, histograms;
};
struct window_mix window_mix(const struct window_run *run, size_t from, size_t to);

/* Did the counter begin anew between two neighbours, by their start timestamps? */
bool window_start_reset(const struct window_run *run, size_t before, size_t now);

/* A result: the histogram is copied where it has to be. NULL leaves the cell empty. */
void window_put_histogram(struct column *out, size_t step, const struct histogram *h, size_t steps,
                          struct arena *arena);

/* `text` with the quoted name of the metric behind it. */
void window_annotate(const struct window_call *call, enum annotation_level level, const char *text);
/* The same without a name. */
void window_note(const struct window_call *call, enum annotation_level level, const char *text);
/* Annotates what work_add() said; false when it refused. */
bool window_said(const struct window_call *call, unsigned said, const char *operation);

extern const char window_mixed_types[], window_mixed_buckets[], window_not_counter[],
    window_not_gauge[];

/* window_extended_histogram.c */
bool window_extended_histogram(struct window_call *call, const struct window_run *run,
                               struct column *out, bool counter, bool per_second, struct error *err)
    MUST_CHECK;
bool window_anchored_pairs(struct window_call *call, const struct window_run *run,
                           struct column *out,
                           bool (*counts)(const struct window_run *run, size_t before, size_t now),
                           struct error *err) MUST_CHECK;
void window_smoothed_histograms(const struct window_call *call, const struct window_run *run,
                                struct column *out);

#endif
