/*
 * shared.h - equal subexpressions of one query are evaluated once.
 *
 * Two nodes with the same canonical text give the same columns on the same grid.  The
 * first one that runs is remembered, the others are answered from memory, which counts
 * as the query's.  What is remembered is thrown away, and evaluated again where it is
 * needed, when it has annotations (they tell their place in the text), or when it does
 * not fit into the memory.
 */
#ifndef QUERY_SHARED_H
#define QUERY_SHARED_H

#include "query/eval.h"

struct shared; /* opaque: shared.c */

/* The subexpressions that occur more than once; NULL: there is none. */
struct shared *shared_new(const struct node *root);
void shared_free(struct shared *shared); /* NULL is fine */

/* eval_stream() of a node that may be shared; `stream` is what evaluates it. */
typedef bool shared_streaming(struct evaluation *ev, const struct node *node,
                              const struct grid *grid, struct sink *sink, struct error *err);
bool shared_stream(struct evaluation *ev, const struct node *node, const struct grid *grid,
                   struct sink *sink, shared_streaming *stream, struct error *err) MUST_CHECK;

#endif
