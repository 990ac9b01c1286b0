/*
 * logql_format.h - LogQL text as Loki's format_query writes it.
 */
#ifndef QUERY_LOGQL_FORMAT_H
#define QUERY_LOGQL_FORMAT_H

#include "query/ast.h"
#include "query/log_stage.h"

struct buffer;

/* Over several lines where one would be longer than 100 characters. */
void logql_format(const struct node *root, struct buffer *out);

/*
 * One stage, with its sign.  `rounded` prints sizes in bytes as Loki does ("2.6kB"); else
 * exactly.  A run of line filters is one stage there.
 */
void log_stage_print(const struct log_stage *stage, bool rounded, struct buffer *out);

/* " | unwrap x" and the filters behind it, each after `separator`. */
void log_unwrap_print(const struct log_unwrap *unwrap, const char *separator, bool rounded,
                      struct buffer *out);

#endif
