/*
 * log_query.h - queries whose result is log lines.
 */
#ifndef QUERY_LOG_QUERY_H
#define QUERY_LOG_QUERY_H

#include "base/compiler.h"
#include "query/ast.h"
#include "query/query.h"

#include <stdbool.h>

struct error;
struct evaluation;

/*
 * Run the log selector `root` (TYPE_LINES) over [start_ns, end_ns) of the request and
 * put the streams into `result`, whose memory is ev->arena.  An instant query fails
 * with Loki's text.
 */
bool log_query_run(struct evaluation *ev, const struct node *root, struct query_result *result,
                   struct error *err) MUST_CHECK;

/*
 * Compile every pipeline of a tree once, so that what cannot be built fails the query
 * even when no line is there.
 */
bool log_pipelines_check(const struct node *root, struct error *err) MUST_CHECK;

#endif
