/*
 * logql_format.c - Loki's canonical one-line text, and its layout over several lines.
 *
 * An expression whose line would have more than 100 characters is split: calls and
 * aggregations put each argument on a line of its own, operators stand between
 * their operands, stages of a pipeline stand below one another.  Parentheses of
 * the source vanish; every operation gets its own.
 */
#include "query/logql_format.h"

#include "base/buffer.h"
#include "base/duration.h"
#include "base/matcher.h"
#include "base/number.h"
#include "query/function.h"

enum { LINE_MAX = 100, LINE_BUFFER_MAX = 1 << 20 };

static void print_line(const struct node *node, struct buffer *out);

static void indent(struct buffer *out, int level)
{
    for (int i = 0; i < level; i++)
        buffer_append_text(out, "  ");
}

static void print_list(const struct slice *items, size_t count, const char *separator,
                       struct buffer *out)
{
    buffer_append_byte(out, '(');
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            buffer_append_text(out, separator);
        buffer_append_slice(out, items[i]);
    }
    buffer_append_byte(out, ')');
}

static void print_grouping(const struct grouping *grouping, const char *separator,
                           struct buffer *out)
{
    if (!grouping->present || (grouping->count == 0 && !grouping->without))
        return;
    buffer_append_text(out, grouping->without ? " without " : " by ");
    print_list(grouping->labels, grouping->count, separator, out);
}

/* Of a range aggregation: by () stays, as it means one series. */
static void print_call_grouping(const struct grouping *grouping, const char *separator,
                                struct buffer *out)
{
    if (grouping->present && grouping->count == 0 && !grouping->without)
        buffer_append_text(out, " by ()");
    else
        print_grouping(grouping, separator, out);
}

static void print_matchers(const struct selector *s, struct buffer *out)
{
    buffer_append_byte(out, '{');
    for (size_t i = 0; i < s->matcher_count; i++) {
        if (i > 0)
            buffer_append_text(out, ", ");
        buffer_append_slice(out, s->matchers[i].name);
        buffer_append_text(out, matcher_operator(s->matchers[i].type));
        buffer_append_quoted(out, s->matchers[i].value);
    }
    buffer_append_byte(out, '}');
}

/* Matchers and stages, without range and unwrap. */
static void print_stages(const struct selector *s, struct buffer *out)
{
    print_matchers(s, out);
    for (size_t i = 0; i < s->pipeline->count; i++) {
        buffer_append_byte(out, ' ');
        log_stage_print(&s->pipeline->stages[i], true, out);
    }
}

static void print_selector(const struct node *node, struct buffer *out)
{
    const struct selector *s = &node->selector;
    if (s->leaf != LEAF_LOG) {
        node_print(node, out);
        return;
    }
    print_stages(s, out);
    if (s->pipeline->unwrap)
        log_unwrap_print(s->pipeline->unwrap, " ", true, out);
    if (!s->ranged)
        return;
    buffer_append_byte(out, '[');
    buffer_append_duration_prometheus(out, s->range_ns);
    buffer_append_byte(out, ']');
    if (s->shift.offset_ns != 0) {
        buffer_append_text(out, " offset ");
        buffer_append_duration_go(out, s->shift.offset_ns);
    }
}

/* The operator with its modifiers, as Loki spaces them. */
static void print_operator(const struct binary *b, bool empty_on, struct buffer *out)
{
    const struct matching *m = &b->matching;
    buffer_append_text(out, operator_text(b->op));
    if (b->return_bool)
        buffer_append_text(out, " bool");
    if (!m->written || (m->label_count == 0 && !(m->on && empty_on)))
        return;
    buffer_append_text(out, m->on ? " on " : " ignoring ");
    print_list(m->labels, m->label_count, ",", out);
    buffer_append_byte(out, ' ');
    if (m->cardinality != MANY_TO_ONE && m->cardinality != ONE_TO_MANY)
        return;
    buffer_append_text(out, m->cardinality == MANY_TO_ONE ? "group_left" : "group_right");
    if (m->include_count > 0) {
        buffer_append_byte(out, ' ');
        print_list(m->include, m->include_count, ",", out);
    }
}

static void print_number(const struct node *node, struct buffer *out)
{
    buffer_append_double(out, node->number.value, 'g');
}

static void print_call(const struct node *node, struct buffer *out)
{
    const struct call *call = &node->call;
    buffer_append_slice(out, call->function->name);
    buffer_append_byte(out, '(');
    for (size_t i = 0; i < call->count; i++) {
        if (i > 0)
            buffer_append_byte(out, ',');
        if (slice_equal(call->function->name, SLICE("vector")))
            buffer_printf(out, "%f", node_unwrap(call->arguments[i])->number.value);
        else
            print_line(call->arguments[i], out);
    }
    buffer_append_byte(out, ')');
    print_call_grouping(&call->grouping, ",", out);
}

static void print_aggregation(const struct node *node, struct buffer *out)
{
    const struct aggregation *a = &node->aggregation;
    buffer_append_text(out, aggregator_text(a->op));
    print_grouping(&a->grouping, ",", out);
    buffer_append_byte(out, '(');
    if (a->parameter) {
        print_line(a->parameter, out);
        buffer_append_byte(out, ',');
    }
    print_line(a->argument, out);
    buffer_append_byte(out, ')');
}

/* The parser limits how high a tree is. */
static void print_line(const struct node *node, struct buffer *out)
{
    node = node_unwrap(node);
    switch (node->kind) {
    case NODE_NUMBER:
        print_number(node, out);
        return;
    case NODE_STRING:
        buffer_append_quoted(out, node->string);
        return;
    case NODE_SELECTOR:
        print_selector(node, out);
        return;
    case NODE_BINARY:
        buffer_append_byte(out, '(');
        print_line(node->binary.left, out);
        buffer_append_byte(out, ' ');
        print_operator(&node->binary, true, out);
        buffer_append_byte(out, ' ');
        print_line(node->binary.right, out);
        buffer_append_byte(out, ')');
        return;
    case NODE_AGGREGATION:
        print_aggregation(node, out);
        return;
    case NODE_CALL:
        print_call(node, out);
        return;
    default:
        node_print(node, out);
    }
}

/* ---- several lines --------------------------------------------------------------- */

static bool fits(const struct node *node, struct buffer *out, int level)
{
    struct buffer line;
    buffer_init(&line, LINE_BUFFER_MAX);
    print_line(node, &line);
    bool fit = !line.failed && line.size <= LINE_MAX;
    if (fit) {
        indent(out, level);
        buffer_append_slice(out, buffer_slice(&line));
    }
    buffer_done(&line);
    return fit;
}

static void pretty(const struct node *node, int level, struct buffer *out);

static bool is_line_filter(const struct log_stage *stage)
{
    return stage->kind == LOG_LINE_FILTER;
}

/* Matchers and stages: on one line when they fit, else each run below the matchers. */
static void pretty_stages(const struct selector *s, int level, struct buffer *out)
{
    struct buffer line;
    buffer_init(&line, LINE_BUFFER_MAX);
    print_stages(s, &line);
    bool fit = !line.failed && line.size <= LINE_MAX;
    indent(out, level);
    if (fit)
        buffer_append_slice(out, buffer_slice(&line));
    buffer_done(&line);
    if (fit)
        return;
    print_matchers(s, out);
    const struct log_stage *stages = s->pipeline->stages;
    for (size_t i = 0; i < s->pipeline->count; i++) {
        if (i > 0 && is_line_filter(&stages[i]) && is_line_filter(&stages[i - 1])) {
            buffer_append_byte(out, ' ');
        } else {
            buffer_append_byte(out, '\n');
            indent(out, level + 1);
        }
        log_stage_print(&stages[i], true, out);
    }
}

static void pretty_selector(const struct node *node, int level, struct buffer *out)
{
    const struct selector *s = &node->selector;
    char separator[64] = "\n";
    if (s->leaf != LEAF_LOG) {
        indent(out, level);
        node_print(node, out);
        return;
    }
    pretty_stages(s, level, out);
    for (int i = 0; i <= level && i < 30; i++)
        memcpy(separator + 1 + 2 * i, "  ", 3);
    if (s->pipeline->unwrap)
        log_unwrap_print(s->pipeline->unwrap, separator, true, out);
    if (!s->ranged)
        return;
    buffer_append_text(out, " [");
    buffer_append_duration_prometheus(out, s->range_ns);
    buffer_append_byte(out, ']');
    if (s->shift.offset_ns == 0)
        return;
    buffer_append_text(out, " offset ");
    if (s->shift.offset_ns < 0)
        buffer_append_byte(out, '-');
    buffer_append_duration_prometheus(out, s->shift.offset_ns < 0 ? -s->shift.offset_ns
                                                                  : s->shift.offset_ns);
}

static void pretty_argument(const struct node *node, int level, bool last, struct buffer *out)
{
    pretty(node, level + 1, out);
    buffer_append_text(out, last ? "\n" : ",\n");
}

static void pretty_call(const struct node *node, int level, struct buffer *out)
{
    const struct call *call = &node->call;
    indent(out, level);
    buffer_append_slice(out, call->function->name);
    buffer_append_text(out, "(\n");
    for (size_t i = 0; i < call->count; i++)
        pretty_argument(call->arguments[i], level, i + 1 == call->count, out);
    indent(out, level);
    buffer_append_byte(out, ')');
    print_call_grouping(&call->grouping, ", ", out);
}

static void pretty_aggregation(const struct node *node, int level, struct buffer *out)
{
    const struct aggregation *a = &node->aggregation;
    indent(out, level);
    buffer_append_text(out, aggregator_text(a->op));
    if (a->grouping.without && a->grouping.count == 0)
        buffer_append_text(out, " without");
    else
        print_grouping(&a->grouping, ", ", out);
    buffer_append_text(out, "(\n");
    if (a->parameter)
        pretty_argument(a->parameter, level, false, out);
    pretty_argument(a->argument, level, true, out);
    indent(out, level);
    buffer_append_byte(out, ')');
}

static void pretty(const struct node *node, int level, struct buffer *out)
{
    node = node_unwrap(node);
    bool range = node->kind == NODE_SELECTOR && node->selector.ranged;
    if (!range && fits(node, out, level))
        return;
    switch (node->kind) {
    case NODE_SELECTOR:
        pretty_selector(node, level, out);
        return;
    case NODE_BINARY:
        pretty(node->binary.left, level + 1, out);
        buffer_append_byte(out, '\n');
        indent(out, level);
        print_operator(&node->binary, false, out);
        buffer_append_byte(out, '\n');
        pretty(node->binary.right, level + 1, out);
        return;
    case NODE_AGGREGATION:
        pretty_aggregation(node, level, out);
        return;
    case NODE_CALL:
        pretty_call(node, level, out);
        return;
    default:
        indent(out, level);
        print_line(node, out);
    }
}

void logql_format(const struct node *root, struct buffer *out)
{
    pretty(root, 0, out);
}
