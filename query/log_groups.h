/*
 * log_groups.h - the series of a range aggregation over log lines, while they are
 * being filled, and turning them into columns.
 *
 * Counting operations add each line to the first step whose window holds it and
 * take it off behind the last one: O(1) per line, O(steps) per series in the end.
 * Operations over unwrapped values keep (time, value) pairs and run the shared
 * window functions over them.
 */
#ifndef QUERY_LOG_GROUPS_H
#define QUERY_LOG_GROUPS_H

#include "base/compiler.h"
#include "query/eval.h"
#include "query/leaf_log.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;
struct label_index;

struct log_sample {
    int64_t time_ns;
    double value;
};

struct log_group {
    double *counts; /* steps + 1: lines entering minus lines leaving */
    double *sums;   /* bytes, where the operation wants them */
    struct log_sample *samples;
    size_t sample_count, sample_capacity;
    bool unsorted; /* samples of several streams were mixed */
};

struct log_groups {
    struct evaluation *ev;
    enum log_operation operation;
    struct grid grid; /* shifted */
    int64_t range_ns;
    struct arena *arena;
    struct label_index *index;
    struct log_group *items; /* parallel to the index */
    size_t count, capacity;
    /* Of the last time: all of (since, until] lie in the same steps. */
    int64_t since_ns, until_ns, from, to;
    bool steps_known;
};

/* The steps whose windows (t - range, t] hold a time: none when `*from` > `*to`. */
void log_groups_steps(struct log_groups *groups, int64_t time_ns, int64_t *from, int64_t *to);

void log_groups_init(struct log_groups *groups, struct evaluation *ev, enum log_operation operation,
                     const struct grid *grid, int64_t range_ns);
/* The same with memory of somebody else. */
void log_groups_init_in(struct log_groups *groups, const struct log_groups *like,
                        struct evaluation *ev, struct arena *arena);
void log_groups_done(struct log_groups *groups);
/* Of one that was made by log_groups_init_in: its arena may be gone already. */
void log_groups_done_in(struct log_groups *groups);

/* Add what `from` has.  Both have the same grid and operation. */
bool log_groups_merge(struct log_groups *groups, const struct log_groups *from, struct error *err)
    MUST_CHECK;

/* Add `count` lines at once to the steps from...to of a counting operation. */
void log_groups_add_many(struct log_groups *groups, size_t group, int64_t from, int64_t to,
                         uint64_t count);

/* The number of the series with these labels, made when it is new. */
bool log_groups_find(struct log_groups *groups, struct labels labels, size_t *group,
                     struct error *err) MUST_CHECK;

/* Add a line of `size` bytes, or its unwrapped value, to a series; it lies in some window. */
bool log_groups_add(struct log_groups *groups, size_t group, int64_t time_ns, size_t size,
                    double value, struct error *err) MUST_CHECK;

/* Push all series in the order of their labels.  `call` and `parameters` are the leaf's. */
bool log_groups_emit(struct log_groups *groups, const struct node *call,
                     const struct node *selector, const double *const *parameters,
                     const struct grid *caller, struct sink *sink, struct error *err) MUST_CHECK;

#endif
