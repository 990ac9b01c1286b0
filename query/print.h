/*
 * print.h - parts of the canonical text of a tree, and trees in other forms.
 */
#ifndef QUERY_PRINT_H
#define QUERY_PRINT_H

struct buffer;
struct node;

/* print.c: what stands before the parenthesis, "sum by (a) ". */
void print_aggregator(const struct node *node, struct buffer *out);
/* "+", with bool and matching behind it. */
void print_operator(const struct node *node, struct buffer *out);
/* What stands behind the inner expression, "[5m:1m] offset 1m". */
void print_subquery_span(const struct node *node, struct buffer *out);

/* promql_format.c: over several lines where one would be longer than 100 characters. */
void promql_format(const struct node *root, struct buffer *out);

/* ast_json.c: the tree as Prometheus' parse_query gives it. */
void ast_json(const struct node *root, struct buffer *out);

#endif
