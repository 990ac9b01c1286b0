/*
 * log_parse.h - between the two files of LogQL's parser.
 */
#ifndef QUERY_LOG_PARSE_H
#define QUERY_LOG_PARSE_H

#include "base/array.h"
#include "query/log_stage.h"
#include "query/parse.h"

struct log_stages ARRAY_BODY(struct log_stage);

/* Is the word one that LogQL never takes for a label's name? */
bool logql_is_reserved(struct slice word);

/* Does a stage start at the current token: a line filter or "|"? */
bool log_stage_starts(const struct parser *p);

/*
 * Parse one stage into `*stage`, or set `*unwrap` (in the parser's arena) when it is
 * an unwrap with the label filters behind it.
 */
bool log_stage_parse(struct parser *p, struct log_stage *stage, struct log_unwrap **unwrap,
                     struct error *err) MUST_CHECK;

#endif
