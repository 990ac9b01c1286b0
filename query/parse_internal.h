/*
 * parse_internal.h - what parse.c, parse_expression.c and parse_selector.c share
 * and no dialect needs.
 */
#ifndef QUERY_PARSE_INTERNAL_H
#define QUERY_PARSE_INTERNAL_H

#include "query/parse.h"

#define NS_IN_SECOND INT64_C(1000000000)
#ifndef NS_IN_MS
#define NS_IN_MS INT64_C(1000000)
#endif

/* Saturated, cut to whole milliseconds. */
int64_t duration_from_seconds(double seconds);

bool operator_is_set(enum binary_operator op);
bool operator_is_comparison(enum binary_operator op);

/* `left op right` on two numbers; comparisons give 0 or 1 (binary.c). */
double scalar_operation(enum binary_operator op, double left, double right);

/* `node` stands above `below`: its height grows, up to a limit. */
bool parser_raise(struct parser *p, struct node *node, const struct node *below, struct error *err)
    MUST_CHECK;

/* Does a number literal start here (durations and Inf, too, where the dialect has them)? */
bool parser_at_number(const struct parser *p);

void number_negate(struct number *number);

/* Consume one: seconds for a duration. */
bool parser_number(struct parser *p, struct number *number, struct error *err) MUST_CHECK;

/*
 * A duration between brackets or behind `offset`: a constant goes to `*ns`, an expression
 * to `*expression`.  `single` takes one operand only, as behind `offset`.
 */
bool parser_duration(struct parser *p, bool single, int64_t *ns, const struct node **expression,
                     struct error *err) MUST_CHECK;

#endif
