/*
 * promql_format.c - PromQL laid out over several lines, as Prometheus' format_query.
 *
 * An expression whose one-line text has at most 100 characters stays on its line.
 * A longer one puts the arguments of calls and aggregations, and the operands of
 * operators, on lines of their own, two spaces further in.
 */
#include "base/buffer.h"
#include "query/ast.h"
#include "query/function.h"
#include "query/print.h"

enum { LINE_MAX = 100, LINE_BUFFER_MAX = 1 << 20 };

static void indent(struct buffer *out, unsigned level)
{
    for (unsigned i = 0; i < level; i++)
        buffer_append_text(out, "  ");
}

static bool is_long(const struct node *node)
{
    AUTO(buffer_done) struct buffer line;
    buffer_init(&line, LINE_BUFFER_MAX);
    node_print(node, &line);
    return line.failed || line.size > LINE_MAX;
}

static void format_node(const struct node *node, unsigned level, bool at_start, struct buffer *out);

static void format_call(const struct node *node, unsigned level, struct buffer *out)
{
    buffer_append_slice(out, node->call.function->name);
    buffer_append_text(out, "(\n");
    for (size_t i = 0; i < node->call.count; i++) {
        if (i > 0)
            buffer_append_text(out, ",\n");
        format_node(node->call.arguments[i], level + 1, true, out);
    }
    buffer_append_byte(out, '\n');
    indent(out, level);
    buffer_append_byte(out, ')');
}

static void format_aggregation(const struct node *node, unsigned level, struct buffer *out)
{
    print_aggregator(node, out);
    buffer_append_text(out, "(\n");
    if (node->aggregation.parameter) {
        format_node(node->aggregation.parameter, level + 1, true, out);
        buffer_append_text(out, ",\n");
    }
    format_node(node->aggregation.argument, level + 1, true, out);
    buffer_append_byte(out, '\n');
    indent(out, level);
    buffer_append_byte(out, ')');
}

/* The operands stand one level further in, the operator at this one. */
static void format_binary(const struct node *node, unsigned level, bool at_start,
                          struct buffer *out)
{
    format_node(node->binary.left, level + 1, at_start, out);
    buffer_append_byte(out, '\n');
    indent(out, level);
    print_operator(node, out);
    buffer_append_byte(out, '\n');
    format_node(node->binary.right, level + 1, true, out);
}

/* `at_start`: the line is empty so far, so it is indented. */
static void format_node(const struct node *node, unsigned level, bool at_start, struct buffer *out)
{
    bool splits = node->kind == NODE_CALL || node->kind == NODE_AGGREGATION ||
                  node->kind == NODE_BINARY || node->kind == NODE_PAREN ||
                  node->kind == NODE_UNARY || node->kind == NODE_SUBQUERY;
    bool binary = node->kind == NODE_BINARY || node->kind == NODE_SUBQUERY;
    bool is_split = splits && is_long(node);
    if (at_start && !(is_split && binary))
        indent(out, level);
    if (!is_split) {
        node_print(node, out);
        return;
    }
    switch (node->kind) {
    case NODE_CALL:
        format_call(node, level, out);
        break;
    case NODE_AGGREGATION:
        format_aggregation(node, level, out);
        break;
    case NODE_BINARY:
        format_binary(node, level, at_start, out);
        break;
    case NODE_SUBQUERY:
        format_node(node->subquery.inner, level, at_start, out);
        print_subquery_span(node, out);
        break;
    case NODE_UNARY:
        buffer_append_byte(out, node->unary.minus ? '-' : '+');
        format_node(node->unary.operand, level, false, out);
        break;
    default: /* NODE_PAREN */
        buffer_append_text(out, "(\n");
        format_node(node->inner, level + 1, true, out);
        buffer_append_byte(out, '\n');
        indent(out, level);
        buffer_append_byte(out, ')');
    }
}

void promql_format(const struct node *root, struct buffer *out)
{
    format_node(root, 0, true, out);
}
