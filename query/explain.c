/*
 * explain.c - see explain.h.
 *
 * A node pushes its columns into a sink, so the time of what takes them lies inside its own
 * call: it is measured, too, and taken off.  What is left is the node with all below it.
 */
#include "query/explain.h"

#include "base/budget.h"
#include "base/buffer.h"
#include "base/json_writer.h"
#include "query/eval_internal.h"
#include "query/function.h"

enum { TEXT_SHOWN = 1000 };

struct explained *explain_node(struct explain *explain, const struct node *node)
{
    for (size_t i = 0; i < explain->nodes.count; i++) {
        if (explain->nodes.items[i].node == node)
            return &explain->nodes.items[i];
    }
    struct explained fresh = {.node = node};
    array_push(&explain->nodes, fresh);
    return &explain->nodes.items[explain->nodes.count - 1];
}

struct measure_sink {
    struct sink sink;
    struct sink *next;
    struct evaluation *ev;
    size_t steps;
    uint64_t series, points;
    int64_t next_ns;
    size_t memory;
};

static bool measure_take(struct sink *self, struct column_batch *batch, struct error *err)
{
    struct measure_sink *m = (struct measure_sink *)self;
    for (size_t i = 0; i < batch->count; i++) {
        size_t points = 0;
        for (size_t k = 0; k < m->steps; k++)
            points += batch->items[i].cells[k] != CELL_NONE;
        m->series += points > 0;
        m->points += points;
    }
    size_t memory = budget_used(m->ev->memory);
    m->memory = memory > m->memory ? memory : m->memory;
    int64_t began = clock_monotonic_ns();
    bool ok = m->next->take(m->next, batch, err);
    m->next_ns += clock_monotonic_ns() - began;
    return ok;
}

bool explain_stream(struct evaluation *ev, const struct node *node, const struct grid *grid,
                    struct sink *sink, explain_streaming *stream, struct error *err)
{
    struct measure_sink m = {.sink = {measure_take}, .next = sink, .ev = ev, .steps = grid->steps};
    int64_t began = clock_monotonic_ns();
    bool ok = stream(ev, node, grid, &m.sink, err);
    struct explained *e = explain_node(ev->explain, node);
    e->ns += clock_monotonic_ns() - began - m.next_ns;
    e->runs++;
    e->series += m.series;
    e->points += m.points;
    e->memory = m.memory > e->memory ? m.memory : e->memory;
    return ok;
}

/* ---- JSON ----------------------------------------------------------------------------------- */

static const char *kind_name(const struct node *node)
{
    switch (node->kind) {
    case NODE_NUMBER:
        return "number";
    case NODE_STRING:
        return "string";
    case NODE_SELECTOR:
        return node->selector.ranged ? "matrixSelector" : "vectorSelector";
    case NODE_SUBQUERY:
        return "subquery";
    case NODE_UNARY:
        return "unary";
    case NODE_BINARY:
        return "binary";
    case NODE_AGGREGATION:
        return "aggregation";
    case NODE_CALL:
        return "call";
    case NODE_PAREN:
        return "paren";
    }
    return "";
}

static void key_u64(struct json_writer *w, const char *key, uint64_t value)
{
    json_write_key(w, slice_from_text(key));
    json_write_u64(w, value);
}

static void write_text(struct json_writer *w, const struct node *node)
{
    AUTO(buffer_done) struct buffer text;
    buffer_init(&text, 1 << 20);
    node_print(node, &text);
    json_write_key(w, SLICE("text"));
    json_write_string(w, slice_sub(buffer_slice(&text), 0, TEXT_SHOWN));
}

static void write_node(const struct explain *explain, const struct node *node,
                       struct json_writer *w);

static void write_child(const struct explain *explain, const struct node *child,
                        struct json_writer *w)
{
    if (child && child->kind != NODE_NUMBER && child->kind != NODE_STRING)
        write_node(explain, child, w);
}

static void write_children(const struct explain *explain, const struct node *node,
                           struct json_writer *w)
{
    json_write_key(w, SLICE("children"));
    json_write_array_begin(w);
    switch (node->kind) {
    case NODE_SUBQUERY:
        write_child(explain, node->subquery.inner, w);
        break;
    case NODE_UNARY:
        write_child(explain, node->unary.operand, w);
        break;
    case NODE_BINARY:
        write_child(explain, node->binary.left, w);
        write_child(explain, node->binary.right, w);
        break;
    case NODE_AGGREGATION:
        write_child(explain, node->aggregation.parameter, w);
        write_child(explain, node->aggregation.argument, w);
        break;
    case NODE_CALL:
        for (size_t i = 0; i < node->call.count; i++)
            write_child(explain, node->call.arguments[i], w);
        break;
    case NODE_PAREN:
        write_child(explain, node->inner, w);
        break;
    default:
        break;
    }
    json_write_array_end(w);
}

static void write_measured(const struct explained *e, const struct node *node,
                           struct json_writer *w)
{
    if (node->kind == NODE_SELECTOR) {
        key_u64(w, "selectedSeries", e->selected);
        key_u64(w, "samples", e->samples);
    }
    if (e->runs == 0)
        return;
    key_u64(w, "series", e->series);
    key_u64(w, "points", e->points);
    json_write_key(w, SLICE("seconds"));
    json_write_double(w, (double)e->ns / 1e9, 'j', false);
    key_u64(w, "memoryBytes", e->memory);
}

static void write_node(const struct explain *explain, const struct node *node,
                       struct json_writer *w)
{
    json_write_object_begin(w);
    json_write_key(w, SLICE("node"));
    json_write_string(w, slice_from_text(kind_name(node)));
    write_text(w, node);
    json_write_key(w, SLICE("once")); /* evaluated at one step for all */
    json_write_bool(w, node->invariant);
    for (size_t i = 0; i < explain->nodes.count; i++) {
        if (explain->nodes.items[i].node == node)
            write_measured(&explain->nodes.items[i], node, w);
    }
    write_children(explain, node, w);
    json_write_object_end(w);
}

void explain_json(const struct explain *explain, const struct node *root, struct buffer *out)
{
    struct json_writer w;
    json_writer_init(&w, out);
    write_node(explain, root, &w);
}
