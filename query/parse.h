/*
 * parse.h - the recursive-descent parser that both dialects share.
 *
 * Expressions (literals, unary and binary operators with their matching,
 * aggregations, calls, parentheses, subqueries, offset and @) are parsed here
 * by precedence climbing; a selector is parsed by dialect->parse_selector.
 * Types are checked as nodes are built, so a tree that was parsed is well typed.
 * Depth and size are limited; the first error ends it.
 *
 * Every function returns NULL or false after filling `err` with ERR_INVALID and
 * the byte offset (err->position); query.c turns it into line and column.
 */
#ifndef QUERY_PARSE_H
#define QUERY_PARSE_H

#include "base/compiler.h"
#include "query/ast.h"
#include "query/lexer.h"

#include <stdbool.h>
#include <stdint.h>

struct dialect;
struct error;
struct function;

struct parser {
    const struct dialect *dialect;
    struct ast *ast;
    struct arena *arena; /* of the tree */
    struct lexer lexer;
    struct token token; /* the current one: not consumed yet */
    uint32_t end;       /* behind the last consumed token */
    unsigned features;  /* enum query_features */
    uint32_t depth, depth_max;
    bool empty_selectors; /* in a selector of labels only, which may match everything */
};

/*
 * Parse a whole text.  `depth_max` 0 is 100.  The tree is the caller's.
 * The message says what was found and what was expected, with dialect's prefix.
 */
struct ast *parse_query(const struct dialect *dialect, struct slice text, unsigned features,
                        uint32_t depth_max, struct error *err) MUST_CHECK;

/* ---- for dialect->parse_selector and the log stages ---------------------- */

/* Consume the current token. */
bool parser_advance(struct parser *p, struct error *err) MUST_CHECK;

/* The token behind the current one, without consuming anything. */
bool parser_peek(const struct parser *p, struct token *token, struct error *err) MUST_CHECK;

/* Is the current token of this kind; is it this keyword (an identifier, case by dialect)? */
bool parser_at(const struct parser *p, enum token_kind kind);
bool parser_at_keyword(const struct parser *p, const char *keyword);

/* Consume one if it is there. */
bool parser_accept(struct parser *p, enum token_kind kind, bool *found, struct error *err)
    MUST_CHECK;
bool parser_accept_keyword(struct parser *p, const char *keyword, bool *found, struct error *err)
    MUST_CHECK;

/* It must be there; `where` ends the message ("in label matching"). */
bool parser_expect(struct parser *p, enum token_kind kind, const char *where, struct error *err)
    MUST_CHECK;

/* "unexpected X in `where`, expected `expected`" at the current token; returns NULL. */
void *parser_unexpected(const struct parser *p, const char *where, const char *expected,
                        struct error *err);
/* A message of one's own at a byte offset; returns NULL, or false. */
bool parser_refuse(const struct parser *p, uint32_t at, struct error *err, const char *format, ...)
    PRINTF_LIKE(4, 5);
void *parser_fail(const struct parser *p, uint32_t at, struct error *err, const char *format, ...)
    PRINTF_LIKE(4, 5);

/* A zeroed node of the tree that starts at `start`; NULL over the limit (err filled). */
struct node *parser_node(struct parser *p, enum node_kind kind, enum value_type type,
                         uint32_t start, struct error *err) MUST_CHECK;

/* Any expression, from the current token on. */
struct node *parser_expression(struct parser *p, struct error *err) MUST_CHECK;

/* Entering one more level of nesting: false over the limit.  Pair with parser_leave. */
bool parser_enter(struct parser *p, struct error *err) MUST_CHECK;
void parser_leave(struct parser *p);

/* The value of the current TOKEN_STRING, which is consumed. */
bool parser_string(struct parser *p, struct slice *value, struct error *err) MUST_CHECK;

/*
 * "{" matchers "}": appended to the selector's; also {"quoted.name"} and bare UTF-8
 * names in quotes.  At least one must not match the empty string, with the
 * dialect's message, unless `any` is set.
 */
bool parser_matchers(struct parser *p, struct selector *selector, bool any, struct error *err)
    MUST_CHECK;

/*
 * What may follow any operand: "[" range "]" or a subquery, offset, @, anchored, smoothed.
 * Returns `node`, or a new NODE_SUBQUERY around it.
 */
struct node *parser_suffixes(struct parser *p, struct node *node, struct error *err) MUST_CHECK;

/* "[" range "]" (a duration, or a number or expression where the dialect has them). */
bool parser_range(struct parser *p, struct selector *selector, struct error *err) MUST_CHECK;

/* offset and @ in any order, as often as the dialect allows; leaves all else alone. */
bool parser_shift(struct parser *p, struct time_shift *shift, struct error *err) MUST_CHECK;

/* by (...) or without (...), if the current token starts one. */
bool parser_grouping(struct parser *p, struct grouping *grouping, struct error *err) MUST_CHECK;

/*
 * A metric selector, whichever the dialect: name and/or braces (parse_selector.c); range, @ and
 * offset follow by parser_suffixes().  A dialect's own parse_selector calls it for foreign leaves.
 */
struct node *parser_metric_selector(struct parser *p, struct error *err) MUST_CHECK;

/*
 * A log selector: braces, pipeline, range, unwrap, offset (the log side).  `selector`
 * is a node whose name and matchers are parsed already; the current token is the one
 * behind "}".
 */
struct node *parser_log_selector(struct parser *p, struct node *selector, struct error *err)
    MUST_CHECK;

/*
 * What may follow a log selector in parentheses: "[" range "]" and offset.  Leaves every
 * other node alone.
 */
struct node *parser_log_suffixes(struct parser *p, struct node *node, struct error *err) MUST_CHECK;

/* Append a pipeline to the canonical text: " | json | a = 1" (the log side). */
struct buffer;
void pipeline_print(const struct pipeline *pipeline, struct buffer *out);

#endif
