/*
 * print.c - the canonical one-line text of a tree (see ast.h).
 *
 * It parses to the same tree.  Modifiers come in one order: range, anchored or
 * smoothed, @, offset; durations in Prometheus' form; matchers sorted by their text.
 */
#include "query/print.h"
#include "base/buffer.h"
#include "base/duration.h"
#include "base/matcher.h"
#include "base/number.h"
#include "query/ast.h"
#include "query/dialect.h"
#include "query/function.h"
#include "query/parse.h"
#include "query/parse_internal.h"

#include <math.h>
#include <stdlib.h>

static void print_duration(struct buffer *out, int64_t ns)
{
    if (ns < 0) {
        buffer_append_byte(out, '-');
        ns = ns == INT64_MIN ? INT64_MAX : -ns;
    }
    buffer_append_duration_prometheus(out, ns);
}

static void print_span(struct buffer *out, int64_t ns, const struct node *expression)
{
    if (expression)
        node_print(expression, out);
    else
        print_duration(out, ns);
}

static void print_shift(struct buffer *out, const struct time_shift *shift)
{
    switch (shift->at) {
    case AT_NONE:
        break;
    case AT_TIME: {
        int64_t ms = shift->at_ns / NS_IN_MS;
        buffer_printf(out, " @ %s%lld.%03lld", ms < 0 ? "-" : "", (long long)llabs(ms / 1000),
                      (long long)llabs(ms % 1000));
        break;
    }
    case AT_START:
        buffer_append_text(out, " @ start()");
        break;
    case AT_END:
        buffer_append_text(out, " @ end()");
        break;
    }
    if (!shift->has_offset || (shift->offset_ns == 0 && shift->offset_expression == NULL))
        return;
    buffer_append_text(out, " offset ");
    print_span(out, shift->offset_ns, shift->offset_expression);
}

static void print_name(struct buffer *out, struct slice name)
{
    if (label_name_is_classic(name))
        buffer_append_slice(out, name);
    else
        buffer_append_quoted(out, name);
}

static void print_names(struct buffer *out, const struct slice *names, size_t count)
{
    buffer_append_byte(out, '(');
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            buffer_append_text(out, ", ");
        print_name(out, names[i]);
    }
    buffer_append_byte(out, ')');
}

/* ---- selectors ------------------------------------------------------------------------ */

/* The text order of name, operator and value, which is how Prometheus sorts them. */
static int compare_matchers(const void *a, const void *b)
{
    const struct matcher *x = *(const struct matcher *const *)a;
    const struct matcher *y = *(const struct matcher *const *)b;
    int order = slice_compare(x->name, y->name);
    if (order == 0)
        order = strcmp(matcher_operator(x->type), matcher_operator(y->type));
    return order ? order : slice_compare(x->value, y->value);
}

static bool is_written_name(const struct selector *s, const struct matcher *m)
{
    return s->name.size > 0 && m->type == MATCH_EQUAL && slice_equal(m->name, LABEL_NAME_METRIC) &&
           slice_equal(m->value, s->name);
}

/* A name alone is a selector only where metrics are at home. */
static void print_matchers(struct buffer *out, const struct selector *s, bool name_suffices)
{
    enum { MANY = 1000 };
    const struct matcher *sorted[MANY];
    size_t count = 0;
    for (size_t i = 0; i < s->matcher_count && count < MANY; i++) {
        if (!is_written_name(s, &s->matchers[i]))
            sorted[count++] = &s->matchers[i];
    }
    if (count == 0 && s->name.size > 0 && name_suffices)
        return;
    if (s->leaf == LEAF_METRIC)
        qsort(sorted, count, sizeof(sorted[0]), compare_matchers);
    buffer_append_byte(out, '{');
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            buffer_append_text(out, s->leaf == LEAF_METRIC ? "," : ", ");
        print_name(out, sorted[i]->name);
        buffer_append_text(out, matcher_operator(sorted[i]->type));
        buffer_append_quoted(out, sorted[i]->value);
    }
    buffer_append_byte(out, '}');
}

static void print_selector(const struct node *node, struct buffer *out)
{
    const struct selector *s = &node->selector;
    buffer_append_slice(out, s->name);
    print_matchers(out, s, node->dialect->leaf == LEAF_METRIC);
    if (s->leaf == LEAF_LOG)
        pipeline_print(s->pipeline, out);
    if (s->ranged) {
        buffer_append_byte(out, '[');
        print_span(out, s->range_ns, s->range_expression);
        buffer_append_byte(out, ']');
    }
    if (s->anchored || s->smoothed)
        buffer_append_text(out, s->anchored ? " anchored" : " smoothed");
    print_shift(out, &s->shift);
}

void print_subquery_span(const struct node *node, struct buffer *out)
{
    const struct subquery *s = &node->subquery;
    buffer_append_byte(out, '[');
    print_span(out, s->range_ns, s->range_expression);
    buffer_append_byte(out, ':');
    if (s->step_ns != 0 || s->step_expression)
        print_span(out, s->step_ns, s->step_expression);
    buffer_append_byte(out, ']');
    print_shift(out, &s->shift);
}

/* ---- operators -------------------------------------------------------------------------- */

static void print_fill(struct buffer *out, const char *word, double value)
{
    buffer_printf(out, " %s (", word);
    buffer_append_double(out, value, 'g');
    buffer_append_byte(out, ')');
}

static void print_matching(const struct matching *m, struct buffer *out)
{
    bool grouped = m->cardinality == MANY_TO_ONE || m->cardinality == ONE_TO_MANY;
    if (m->label_count > 0 || m->on || grouped) {
        buffer_append_text(out, m->on ? " on " : " ignoring ");
        print_names(out, m->labels, m->label_count);
    }
    if (grouped) {
        buffer_append_text(out, m->cardinality == MANY_TO_ONE ? " group_left " : " group_right ");
        print_names(out, m->include, m->include_count);
    }
    if (m->fill[0] && m->fill[1] && m->fill_value[0] == m->fill_value[1]) {
        print_fill(out, "fill", m->fill_value[0]);
        return;
    }
    if (m->fill[0])
        print_fill(out, "fill_left", m->fill_value[0]);
    if (m->fill[1])
        print_fill(out, "fill_right", m->fill_value[1]);
}

void print_operator(const struct node *node, struct buffer *out)
{
    const struct binary *b = &node->binary;
    buffer_append_text(out, operator_text(b->op));
    if (b->return_bool)
        buffer_append_text(out, " bool");
    print_matching(&b->matching, out);
}

static void print_binary(const struct node *node, struct buffer *out)
{
    const struct binary *b = &node->binary;
    if (b->op == OP_POWER && node->dialect->named_numbers && b->left->kind == NODE_NUMBER &&
        isinf(b->left->number.value))
        buffer_append_text(out, "Inf"); /* a sign would take in the whole power */
    else
        node_print(b->left, out);
    buffer_append_byte(out, ' ');
    print_operator(node, out);
    buffer_append_byte(out, ' ');
    node_print(b->right, out);
}

static void print_grouping(const struct grouping *g, struct buffer *out, bool before)
{
    if (!g->without && g->count == 0)
        return;
    buffer_append_text(out, g->without ? " without " : " by ");
    print_names(out, g->labels, g->count);
    if (before)
        buffer_append_byte(out, ' ');
}

void print_aggregator(const struct node *node, struct buffer *out)
{
    buffer_append_text(out, aggregator_text(node->aggregation.op));
    print_grouping(&node->aggregation.grouping, out, true);
}

static void print_aggregation(const struct node *node, struct buffer *out)
{
    const struct aggregation *a = &node->aggregation;
    print_aggregator(node, out);
    buffer_append_byte(out, '(');
    if (a->parameter) {
        node_print(a->parameter, out);
        buffer_append_text(out, ", ");
    }
    node_print(a->argument, out);
    buffer_append_byte(out, ')');
}

static void print_call(const struct node *node, struct buffer *out)
{
    const struct call *c = &node->call;
    buffer_append_slice(out, c->function->name);
    buffer_append_byte(out, '(');
    for (size_t i = 0; i < c->count; i++) {
        if (i > 0)
            buffer_append_text(out, ", ");
        node_print(c->arguments[i], out);
    }
    buffer_append_byte(out, ')');
    print_grouping(&c->grouping, out, false);
}

static void print_number(const struct node *node, struct buffer *out)
{
    double value = node->number.value;
    bool nameless = !node->dialect->named_numbers; /* NaN and Inf have no names there */
    if (nameless && isnan(value))
        buffer_append_text(out, "(0 / 0)");
    else if (nameless && isinf(value))
        buffer_append_text(out, value > 0 ? "1e999" : "-1e999");
    else if (node->number.duration)
        print_duration(out, node->number.duration_ns);
    else if (isinf(value))
        buffer_append_text(out, value > 0 ? "+Inf" : "-Inf");
    else if (isnan(value))
        buffer_append_text(out, "NaN");
    else
        buffer_append_double(out, value, 'f');
}

void node_print(const struct node *node, struct buffer *out)
{
    switch (node->kind) {
    case NODE_NUMBER:
        print_number(node, out);
        break;
    case NODE_STRING:
        buffer_append_quoted(out, node->string);
        break;
    case NODE_SELECTOR:
        print_selector(node, out);
        break;
    case NODE_SUBQUERY:
        node_print(node->subquery.inner, out);
        print_subquery_span(node, out);
        break;
    case NODE_UNARY:
        buffer_append_byte(out, node->unary.minus ? '-' : '+');
        node_print(node->unary.operand, out);
        break;
    case NODE_BINARY:
        print_binary(node, out);
        break;
    case NODE_AGGREGATION:
        print_aggregation(node, out);
        break;
    case NODE_CALL:
        print_call(node, out);
        break;
    case NODE_PAREN:
        if (node->inner->kind == NODE_NUMBER && isnan(node->inner->number.value) &&
            !node->dialect->named_numbers) { /* has its parentheses already */
            print_number(node->inner, out);
            break;
        }
        buffer_append_byte(out, '(');
        node_print(node->inner, out);
        buffer_append_byte(out, ')');
        break;
    }
}
