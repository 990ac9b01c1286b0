/*
 * batches.h - a leaf's series in batches, on several threads, given out in order.
 *
 * A leaf says how many series it has and how a batch of them is filled.  Helping
 * threads fill batches ahead; the query's own thread hands them to the sink one after
 * the other in the order of series, and fills batches itself while the next one is
 * not ready.  So a sink sees the very same columns in the same order at any number of
 * threads, and nothing but the leaf runs on a helper.
 *
 * Annotations, statistics and errors of a batch are its own until it is handed on:
 * they, too, come in the order of series.
 */
#ifndef QUERY_BATCHES_H
#define QUERY_BATCHES_H

#include "base/compiler.h"
#include "query/eval.h"

struct batch_source {
    size_t steps;     /* of the grid */
    size_t series;    /* in all */
    size_t batch_max; /* series of a batch at most */
    uint64_t work;    /* about how many samples and cells: little work stays on this thread */
    const void *leaf; /* what `open` is given; read by all threads */
    /* What one thread needs to fill batches, one at a time; NULL never. */
    void *(*open)(const void *leaf);
    void (*close)(void *worker);
    /*
     * Fill `batch` (items is NULL, arena empty) with the columns of the series [first, end).
     * `ev` is the batch's own and dies with it.
     */
    bool (*fill)(void *worker, struct evaluation *ev, size_t first, size_t end,
                 struct column_batch *batch, struct error *err);
};

bool batches_stream(struct evaluation *ev, const struct batch_source *source, struct sink *sink,
                    struct error *err) MUST_CHECK;

#endif
