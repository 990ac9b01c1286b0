/*
 * shared.c - see shared.h.
 *
 * Texts are compared pairwise, so only so many nodes of a query are looked at.  Below a node
 * that is equal to another one nothing more is looked for, so what is remembered is as
 * large a subexpression as possible, and its operands are not.
 */
#include "query/shared.h"

#include "base/array.h"
#include "base/buffer.h"
#include "base/memory.h"
#include "query/annotations.h"
#include "query/eval_internal.h"

enum { NODES_MAX = 64, TEXT_MAX = 16 << 10 };

struct shared_node {
    const struct node *node;
    size_t same_as; /* the first node with this text, or itself */
};

/* The columns of a text on a grid. */
struct remembered {
    size_t text; /* number of the first node with it */
    struct grid grid;
    bool reset_hints;
    struct arena *arena;
    struct columns columns;
};

struct shared {
    ARRAY(struct shared_node) nodes;
    ARRAY(struct slice) texts; /* of the nodes, on the heap */
    ARRAY(struct remembered) remembered;
    size_t repeats;
    bool logs; /* there is a selector over logs, whose answers depend on what is around it */
};

/* ---- finding ---------------------------------------------------------------------------- */

static void look_at(struct shared *s, const struct node *node);

static void look_below(struct shared *s, const struct node *node)
{
    switch (node->kind) {
    case NODE_PAREN:
        look_at(s, node->inner);
        break;
    case NODE_UNARY:
        look_at(s, node->unary.operand);
        break;
    case NODE_SUBQUERY:
        look_at(s, node->subquery.inner);
        break;
    case NODE_BINARY:
        look_at(s, node->binary.left);
        look_at(s, node->binary.right);
        break;
    case NODE_AGGREGATION:
        look_at(s, node->aggregation.argument);
        break;
    case NODE_CALL:
        for (size_t i = 0; i < node->call.count; i++)
            look_at(s, node->call.arguments[i]);
        break;
    default:
        break;
    }
}

static bool may_be_shared(const struct node *node)
{
    return node->type == TYPE_VECTOR &&
           (node->kind == NODE_SELECTOR || node->kind == NODE_CALL ||
            node->kind == NODE_AGGREGATION || node->kind == NODE_BINARY);
}

static void look_at(struct shared *s, const struct node *node)
{
    s->logs = s->logs || (node->kind == NODE_SELECTOR && node->selector.leaf == LEAF_LOG);
    if (may_be_shared(node) && s->nodes.count < NODES_MAX) {
        struct buffer text;
        buffer_init(&text, TEXT_MAX);
        node_print(node, &text);
        if (text.failed) {
            buffer_done(&text);
            look_below(s, node);
            return;
        }
        size_t at = 0;
        while (at < s->texts.count && !slice_equal(s->texts.items[at], buffer_slice(&text)))
            at++;
        struct shared_node found = {node, at};
        struct slice copy = slice_of(xmemdup(text.data, text.size), text.size);
        buffer_done(&text);
        bool repeat = at < s->texts.count;
        array_push(&s->nodes, found);
        array_push(&s->texts, copy);
        s->repeats += repeat;
        if (repeat)
            return;
    }
    look_below(s, node);
}

struct shared *shared_new(const struct node *root)
{
    struct shared *s = xcalloc(1, sizeof(*s));
    look_at(s, root);
    if (s->repeats > 0 && !s->logs)
        return s;
    shared_free(s);
    return NULL;
}

static void forget(struct remembered *r)
{
    arena_free(r->arena);
    r->arena = NULL;
}

void shared_free(struct shared *s)
{
    if (s == NULL)
        return;
    for (size_t i = 0; i < s->texts.count; i++)
        free((char *)(uintptr_t)s->texts.items[i].data);
    for (size_t i = 0; i < s->remembered.count; i++)
        forget(&s->remembered.items[i]);
    array_done(&s->nodes);
    array_done(&s->texts);
    array_done(&s->remembered);
    free(s);
}

/* Has the node an equal?  `*text`: the number of the first one. */
static bool has_equal(const struct shared *s, const struct node *node, size_t *text)
{
    size_t at = 0, equals = 0;
    while (at < s->nodes.count && s->nodes.items[at].node != node)
        at++;
    if (at == s->nodes.count)
        return false;
    *text = s->nodes.items[at].same_as;
    for (size_t i = 0; i < s->nodes.count; i++)
        equals += s->nodes.items[i].same_as == *text;
    return equals > 1;
}

/* ---- running ------------------------------------------------------------------------------ */

/* Copies what passes, as long as it fits. */
struct tee_sink {
    struct sink sink;
    struct sink *next;
    size_t steps;
    struct arena *arena; /* NULL: it did not fit */
    struct columns columns;
};

static bool tee_take(struct sink *self, struct column_batch *batch, struct error *err)
{
    struct tee_sink *t = (struct tee_sink *)self;
    for (size_t i = 0; t->arena && i < batch->count; i++) {
        struct column copy;
        if (column_is_empty(&batch->items[i], t->steps) && batch->items[i].cells[0] == CELL_NONE)
            continue;
        if (!column_copy(&copy, &batch->items[i], t->steps, t->arena) ||
            !columns_push(&t->columns, copy, t->arena)) {
            arena_free(t->arena);
            t->arena = NULL;
        }
    }
    return t->next->take(t->next, batch, err);
}

static size_t annotation_count(const struct evaluation *ev)
{
    size_t count = 0;
    for (int level = 0; level < ANNOTATION_LEVELS; level++)
        count += ev->annotations->count[level];
    return count;
}

static bool run_first(struct evaluation *ev, size_t text, const struct node *node,
                      const struct grid *grid, struct sink *sink, shared_streaming *stream,
                      struct error *err)
{
    size_t before = annotation_count(ev);
    struct tee_sink tee = {.sink = {tee_take},
                           .next = sink,
                           .steps = grid->steps,
                           .arena =
                               arena_new_shared(ev->request->limits.memory_max / 4, ev->memory)};
    bool ok = stream(ev, node, grid, &tee.sink, err);
    if (!ok || tee.arena == NULL || annotation_count(ev) != before) {
        arena_free(tee.arena);
        return ok;
    }
    struct remembered r = {text, *grid, ev->reset_hints, tee.arena, tee.columns};
    array_push(&ev->shared->remembered, r);
    return true;
}

/* Sinks change what they take: they get copies. */
static bool give_again(struct evaluation *ev, const struct remembered *r, struct sink *sink,
                       struct error *err)
{
    struct arena *arena = eval_arena(ev);
    bool ok = true;
    size_t by_cells = BATCH_CELLS / r->grid.steps;
    size_t batch_max = by_cells < 1 ? 1 : by_cells < BATCH_SERIES ? by_cells : BATCH_SERIES;
    for (size_t at = 0; ok && at < r->columns.count; at += batch_max) {
        size_t left = r->columns.count - at;
        struct column_batch batch = {.count = left < batch_max ? left : batch_max, .arena = arena};
        batch.items = arena_calloc(arena, batch.count, sizeof(*batch.items));
        for (size_t i = 0; batch.items && i < batch.count; i++)
            ok =
                ok && column_copy(&batch.items[i], &r->columns.items[at + i], r->grid.steps, arena);
        ok = arena_check(arena, "the query", err) &&
             eval_tick(ev, batch.count * r->grid.steps, err) && sink->take(sink, &batch, err);
        arena_reset(arena);
    }
    arena_free(arena);
    return ok;
}

bool shared_stream(struct evaluation *ev, const struct node *node, const struct grid *grid,
                   struct sink *sink, shared_streaming *stream, struct error *err)
{
    size_t text;
    if (!has_equal(ev->shared, node, &text) || ev->step_samples)
        return stream(ev, node, grid, sink, err);
    for (size_t i = 0; i < ev->shared->remembered.count; i++) {
        const struct remembered *r = &ev->shared->remembered.items[i];
        if (r->text == text && r->grid.start_ns == grid->start_ns &&
            r->grid.step_ns == grid->step_ns && r->grid.steps == grid->steps &&
            r->reset_hints == ev->reset_hints) {
            struct remembered copy = *r; /* the array may move while sinks run */
            return give_again(ev, &copy, sink, err);
        }
    }
    return run_first(ev, text, node, grid, sink, stream, err);
}
