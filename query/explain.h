/*
 * explain.h - what each node of a tree took while it ran.
 *
 * eval_stream() and eval_scalar() measure when the evaluation has a struct explain.
 * Only the query's own thread touches it.
 */
#ifndef QUERY_EXPLAIN_H
#define QUERY_EXPLAIN_H

#include "base/array.h"
#include "base/clock.h"
#include "query/eval.h"

struct buffer;

struct explained {
    const struct node *node;
    uint64_t runs;              /* evaluations; a subquery's inner side has one, too */
    uint64_t series, points;    /* given on: columns and cells with a value */
    uint64_t selected, samples; /* selectors: series found, samples read */
    int64_t ns;                 /* with what is below it, without what takes its columns */
    size_t memory;              /* of the whole query, the most while this node gave columns on */
};

struct explain {
    ARRAY(struct explained) nodes;
};

/* The record of a node, made at first sight; valid until the next call. */
struct explained *explain_node(struct explain *explain, const struct node *node);

/* eval_stream() with measuring around `stream`. */
typedef bool explain_streaming(struct evaluation *ev, const struct node *node,
                               const struct grid *grid, struct sink *sink, struct error *err);
bool explain_stream(struct evaluation *ev, const struct node *node, const struct grid *grid,
                    struct sink *sink, explain_streaming *stream, struct error *err) MUST_CHECK;

/* The tree as JSON, with what was measured. */
void explain_json(const struct explain *explain, const struct node *root, struct buffer *out);

#endif
