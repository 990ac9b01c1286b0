/*
 * eval.c - walking the tree: batches from leaves through functions to sinks.
 *
 * eval_stream() pushes; a function over a vector is a sink that changes each
 * batch on its way and hands it on.  An expression that has the same value at
 * every step is evaluated once and spread over the grid.  The depth of the
 * recursion is the height of the tree, which the parser limits.
 */
#include "query/eval.h"

#include "base/clock.h"
#include "base/error.h"
#include "query/dialect.h"
#include "query/eval_internal.h"
#include "query/explain.h"
#include "query/function.h"
#include "query/histogram_work.h"
#include "query/shared.h"

#include <assert.h>
#include <string.h>

/* ---- limits -------------------------------------------------------------------- */

bool eval_tick(struct evaluation *ev, size_t samples, struct error *err)
{
    if (samples < ev->until_check) {
        ev->until_check -= (uint32_t)samples;
        return true;
    }
    ev->until_check = CHECK_SAMPLES;
    if (ev->request->cancel && __atomic_load_n(ev->request->cancel, __ATOMIC_RELAXED))
        return error_set(err, ERR_CANCELED, "query was canceled in expression evaluation");
    if (ev->stop && __atomic_load_n(ev->stop, __ATOMIC_RELAXED))
        return error_set(err, ERR_CANCELED, "the query has ended");
    if (clock_monotonic_ns() > ev->deadline_ns)
        return error_set(err, ERR_TIMEOUT, "query timed out in expression evaluation");
    return true;
}

bool eval_hold(struct evaluation *ev, int64_t samples, struct error *err)
{
    ev->samples_held += (uint64_t)samples;
    if (samples <= 0)
        return true;
    if (ev->samples_held > ev->stats->peak_samples)
        ev->stats->peak_samples = ev->samples_held;
    if (ev->samples_held > ev->request->limits.samples_max)
        return error_set(err, ERR_LIMIT,
                         "query processing would load too many samples into memory in expression "
                         "evaluation");
    return true;
}

struct arena *eval_arena(struct evaluation *ev)
{
    return arena_new_shared(ev->request->limits.memory_max, ev->memory);
}

/* ---- sinks ----------------------------------------------------------------------- */

struct collect_sink {
    struct sink sink;
    struct evaluation *ev;
    struct columns *out;
    struct arena *arena;
    size_t steps;
};

static int64_t present_cells(const struct column *column, size_t steps)
{
    int64_t present = 0;
    for (size_t i = 0; i < steps; i++)
        present += column->cells[i] != CELL_NONE;
    return present;
}

static bool collect_take(struct sink *self, struct column_batch *batch, struct error *err)
{
    struct collect_sink *c = (struct collect_sink *)self;
    for (size_t i = 0; i < batch->count; i++) {
        int64_t present = present_cells(&batch->items[i], c->steps);
        if (present == 0)
            continue;
        struct column copy;
        if (!column_copy(&copy, &batch->items[i], c->steps, c->arena) ||
            !columns_push(c->out, copy, c->arena))
            return arena_check(c->arena, "the query", err);
        c->out->held += present;
        if (!eval_hold(c->ev, present, err) || !eval_tick(c->ev, c->steps, err))
            return false;
    }
    return true;
}

bool eval_collect(struct evaluation *ev, const struct node *node, const struct grid *grid,
                  struct arena *arena, struct columns *out, struct error *err)
{
    struct collect_sink collect = {{collect_take}, ev, out, arena, grid->steps};
    *out = (struct columns){0};
    return eval_stream(ev, node, grid, &collect.sink, err);
}

/* Spreads a column of one step over the grid. */
struct spread_sink {
    struct sink sink;
    struct sink *next;
    size_t steps;
};

static bool spread_take(struct sink *self, struct column_batch *batch, struct error *err)
{
    struct spread_sink *s = (struct spread_sink *)self;
    for (size_t i = 0; i < batch->count; i++) {
        struct column *column = &batch->items[i], wide;
        if (!column_init(&wide, column->labels, s->steps, batch->arena) ||
            (column->histograms && !column_add_histograms(&wide, s->steps, batch->arena)))
            return arena_check(batch->arena, "the query", err);
        wide.drop_name = column->drop_name;
        memset(wide.cells, column->cells[0], s->steps);
        for (size_t j = 0; j < s->steps; j++) {
            wide.values[j] = column->values[0];
            if (column->histograms)
                wide.histograms[j] = column->histograms[0];
        }
        *column = wide;
    }
    return s->next->take(s->next, batch, err);
}

/* ---- calls ------------------------------------------------------------------------ */

bool eval_parameters(struct evaluation *ev, const struct node *call, const struct grid *grid,
                     struct arena *arena, const double *const **out, struct error *err)
{
    double **values = arena_calloc(arena, call->call.count + 1, sizeof(double *));
    if (values == NULL)
        return arena_check(arena, "the query", err);
    for (size_t i = 0; i < call->call.count; i++) {
        if (call->call.arguments[i]->type != TYPE_SCALAR)
            continue;
        values[i] = arena_calloc(arena, grid->steps, sizeof(double));
        if (values[i] == NULL)
            return arena_check(arena, "the query", err);
        if (!eval_scalar(ev, call->call.arguments[i], grid, values[i], err))
            return false;
    }
    *out = (const double *const *)values;
    return true;
}

static const struct leaf_ops *leaf_of(const struct node *selector)
{
    return selector->selector.leaf == LEAF_METRIC ? &leaf_metric : &leaf_log;
}

static bool stream_range(struct evaluation *ev, const struct node *call, const struct grid *grid,
                         const double *const *parameters, struct sink *sink, struct error *err)
{
    for (size_t i = 0; i < call->call.count; i++) {
        const struct node *argument = node_unwrap(call->call.arguments[i]);
        if (argument->type != TYPE_MATRIX)
            continue;
        if (argument->kind == NODE_SUBQUERY)
            return subquery_stream(ev, argument, call, parameters, grid, sink, err);
        return leaf_of(argument)->stream(ev, argument, call, parameters, grid, sink, err);
    }
    return error_set(err, ERR_INTERNAL, "%.*s() has no range argument",
                     SLICE_ARG(call->call.function->name));
}

bool eval_range_call(struct evaluation *ev, const struct node *call, const struct grid *grid,
                     struct sink *sink, struct error *err)
{
    const double *const *parameters;
    struct arena *arena = eval_arena(ev);
    bool ok = eval_parameters(ev, call, grid, arena, &parameters, err) &&
              stream_range(ev, call, grid, parameters, sink, err);
    arena_free(arena);
    return ok;
}

struct map_sink {
    struct sink sink;
    struct sink *next;
    struct evaluation *ev;
    const struct node *call;
    const double *const *parameters;
    const struct grid *grid;
};

static bool map_take(struct sink *self, struct column_batch *batch, struct error *err)
{
    struct map_sink *m = (struct map_sink *)self;
    const struct function *function = m->call->call.function;
    for (size_t i = 0; i < batch->count; i++) {
        struct column *column = &batch->items[i];
        column_drop_histograms(column, m->grid->steps);
        function->map(m->ev, m->call, m->parameters, m->grid, column);
        if (!function->keeps_name && !column_drop_name(m->ev, column, batch->arena))
            return arena_check(batch->arena, "the query", err);
        if (!eval_tick(m->ev, m->grid->steps, err))
            return false;
    }
    return m->next->take(m->next, batch, err);
}

static bool stream_map(struct evaluation *ev, const struct node *call, const struct grid *grid,
                       struct sink *sink, struct error *err)
{
    struct arena *arena = eval_arena(ev);
    struct map_sink map = {{map_take}, sink, ev, call, NULL, grid};
    bool ok = eval_parameters(ev, call, grid, arena, &map.parameters, err);
    for (size_t i = 0; ok && i < call->call.count; i++) {
        if (call->call.arguments[i]->type == TYPE_VECTOR) {
            ok = eval_stream(ev, call->call.arguments[i], grid, &map.sink, err);
            break;
        }
    }
    arena_free(arena);
    return ok;
}

static bool stream_call_once(struct evaluation *ev, const struct node *call,
                             const struct grid *grid, struct sink *sink, struct error *err)
{
    const struct function *function = call->call.function;
    if (function->missing)
        return error_set(err, ERR_UNSUPPORTED, "function %.*s() is not supported yet",
                         SLICE_ARG(function->name));
    switch (function->kind) {
    case FUNCTION_RANGE:
    case FUNCTION_LOG:
        return eval_range_call(ev, call, grid, sink, err);
    case FUNCTION_MAP:
        return stream_map(ev, call, grid, sink, err);
    case FUNCTION_SPECIAL:
        return function->special(ev, call, grid, sink, NULL, err);
    }
    return error_set(err, ERR_INTERNAL, "unknown kind of function");
}

/* ---- names that fall together ----------------------------------------------------------- */

bool node_mixes_names(const struct node *node)
{
    switch (node->kind) {
    case NODE_PAREN:
        return node_mixes_names(node->inner);
    case NODE_UNARY:
        return node_mixes_names(node->unary.operand);
    case NODE_SUBQUERY:
        return node_mixes_names(node->subquery.inner);
    case NODE_SELECTOR:
        return node->selector.leaf == LEAF_METRIC && node->selector.name.size == 0;
    case NODE_BINARY:
        return node->binary.op <= OP_GREATER_EQUAL;
    default:
        return true;
    }
}

/* Do names that are dropped from `node`'s columns possibly fall together right now? */
static bool names_may_clash(const struct evaluation *ev, const struct node *node)
{
    return (ev->request->features & QUERY_DELAYED_NAME_REMOVAL) == 0 && node_mixes_names(node);
}

typedef bool streaming(struct evaluation *ev, const struct node *node, const struct node *call,
                       const struct grid *grid, struct sink *sink, struct error *err);

/* Stream into `map`, collect behind it, unite, hand on. */
static bool stream_united(struct evaluation *ev, const struct node *node, const struct node *call,
                          const struct grid *grid, struct sink *map, struct sink **next,
                          streaming *stream, struct error *err)
{
    struct arena *arena = eval_arena(ev);
    struct columns all = {0};
    struct collect_sink collect = {{collect_take}, ev, &all, arena, grid->steps};
    struct sink *last = next ? *next : map;
    if (next)
        *next = &collect.sink;
    bool ok = stream(ev, node, call, grid, next ? map : &collect.sink, err) &&
              columns_unite(ev, &all, grid->steps, arena, err) && columns_emit(ev, &all, last, err);
    columns_release(ev, &all);
    arena_free(arena);
    return ok;
}

static bool plain_stream(struct evaluation *ev, const struct node *node, const struct node *call,
                         const struct grid *grid, struct sink *sink, struct error *err)
{
    (void)call;
    return eval_stream(ev, node, grid, sink, err);
}

bool eval_map_united(struct evaluation *ev, const struct node *node, const struct grid *grid,
                     struct sink *map, struct sink **next, struct error *err)
{
    if (!names_may_clash(ev, node))
        return eval_stream(ev, node, grid, map, err);
    return stream_united(ev, node, NULL, grid, map, next, plain_stream, err);
}

static bool leaf_stream(struct evaluation *ev, const struct node *node, const struct node *call,
                        const struct grid *grid, struct sink *sink, struct error *err)
{
    return leaf_of(node)->stream(ev, node, call, NULL, grid, sink, err);
}

bool eval_leaf_united(struct evaluation *ev, const struct node *selector, const struct node *call,
                      const struct grid *grid, struct sink *map, struct sink **next,
                      struct error *err)
{
    if (!names_may_clash(ev, selector))
        return leaf_stream(ev, selector, call, grid, map, err);
    return stream_united(ev, selector, call, grid, map, next, leaf_stream, err);
}

static bool call_once(struct evaluation *ev, const struct node *node, const struct node *call,
                      const struct grid *grid, struct sink *sink, struct error *err)
{
    (void)call;
    return stream_call_once(ev, node, grid, sink, err);
}

static bool stream_call(struct evaluation *ev, const struct node *call, const struct grid *grid,
                        struct sink *sink, struct error *err)
{
    const struct function *function = call->call.function;
    bool drops = !function->keeps_name && function->kind != FUNCTION_SPECIAL;
    bool clash = false;
    for (size_t i = 0; drops && i < call->call.count; i++) {
        enum value_type type = call->call.arguments[i]->type;
        clash = clash || ((type == TYPE_VECTOR || type == TYPE_MATRIX) &&
                          names_may_clash(ev, call->call.arguments[i]));
    }
    if (!clash)
        return stream_call_once(ev, call, grid, sink, err);
    return stream_united(ev, call, NULL, grid, sink, NULL, call_once, err);
}

/* ---- unary minus -------------------------------------------------------------------------- */

struct negate_sink {
    struct sink sink;
    struct sink *next;
    struct evaluation *ev;
    size_t steps;
};

static bool negate_take(struct sink *self, struct column_batch *batch, struct error *err)
{
    struct negate_sink *n = (struct negate_sink *)self;
    for (size_t i = 0; i < batch->count; i++) {
        struct column *column = &batch->items[i];
        for (size_t j = 0; j < n->steps; j++)
            column->values[j] = -column->values[j];
        for (size_t j = 0; column->histograms && j < n->steps; j++) {
            if (column->cells[j] == CELL_HISTOGRAM)
                column->histograms[j] =
                    histogram_scale(column->histograms[j], -1, false, false, batch->arena);
        }
        if (arena_exhausted(batch->arena) || !column_drop_name(n->ev, column, batch->arena))
            return arena_check(batch->arena, "the query", err);
    }
    return n->next->take(n->next, batch, err);
}

static bool stream_unary(struct evaluation *ev, const struct node *node, const struct grid *grid,
                         struct sink *sink, struct error *err)
{
    if (!node->unary.minus)
        return eval_stream(ev, node->unary.operand, grid, sink, err);
    struct negate_sink negate = {{negate_take}, sink, ev, grid->steps};
    return eval_map_united(ev, node->unary.operand, grid, &negate.sink, &negate.next, err);
}

/* ---- the walk -------------------------------------------------------------------------------- */

static bool stream_node(struct evaluation *ev, const struct node *node, const struct grid *grid,
                        struct sink *sink, struct error *err)
{
    switch (node->kind) {
    case NODE_PAREN:
        return eval_stream(ev, node->inner, grid, sink, err);
    case NODE_SELECTOR:
        return leaf_of(node)->stream(ev, node, NULL, NULL, grid, sink, err);
    case NODE_UNARY:
        return stream_unary(ev, node, grid, sink, err);
    case NODE_BINARY:
        return binary_stream(ev, node, grid, sink, err);
    case NODE_AGGREGATION:
        return aggregate_stream(ev, node, grid, sink, err);
    case NODE_CALL:
        return stream_call(ev, node, grid, sink, err);
    default:
        return error_set(err, ERR_INTERNAL, "a vector was expected");
    }
}

/* Evaluated once, and the same at every step. */
static bool stream_invariant(struct evaluation *ev, const struct node *node,
                             const struct grid *grid, struct sink *sink, struct error *err)
{
    struct grid first = {grid->start_ns, grid->step_ns, 1};
    struct spread_sink spread = {{spread_take}, sink, grid->steps};
    uint64_t *counts = ev->step_samples, once = 0;
    ev->step_samples = counts ? &once : NULL;
    bool ok = stream_node(ev, node, &first, &spread.sink, err);
    ev->step_samples = counts;
    for (size_t i = 0; counts && i < grid->steps; i++)
        counts[i] += once;
    return ok;
}

static bool stream_plain(struct evaluation *ev, const struct node *node, const struct grid *grid,
                         struct sink *sink, struct error *err)
{
    if (!node->invariant || grid->steps == 1)
        return stream_node(ev, node, grid, sink, err);
    return stream_invariant(ev, node, grid, sink, err);
}

static bool stream_any(struct evaluation *ev, const struct node *node, const struct grid *grid,
                       struct sink *sink, struct error *err)
{
    if (ev->shared)
        return shared_stream(ev, node, grid, sink, stream_plain, err);
    return stream_plain(ev, node, grid, sink, err);
}

bool eval_stream(struct evaluation *ev, const struct node *node, const struct grid *grid,
                 struct sink *sink, struct error *err)
{
    assert(node->type == TYPE_VECTOR);
    if (!eval_tick(ev, CHECK_SAMPLES, err))
        return false;
    if (ev->explain)
        return explain_stream(ev, node, grid, sink, stream_any, err);
    return stream_any(ev, node, grid, sink, err);
}

/* ---- scalars ------------------------------------------------------------------------------------
 */

static bool scalar_node(struct evaluation *ev, const struct node *node, const struct grid *grid,
                        double *out, struct error *err);

static bool scalar_binary(struct evaluation *ev, const struct node *node, const struct grid *grid,
                          double *out, struct error *err)
{
    struct arena *arena = eval_arena(ev);
    double *right = arena_calloc(arena, grid->steps, sizeof(*right));
    bool ok = right != NULL || arena_check(arena, "the query", err);
    ok = ok && eval_scalar(ev, node->binary.left, grid, out, err) &&
         eval_scalar(ev, node->binary.right, grid, right, err);
    for (size_t i = 0; ok && i < grid->steps; i++)
        out[i] = scalar_operation(node->binary.op, out[i], right[i]);
    arena_free(arena);
    return ok;
}

static bool scalar_node(struct evaluation *ev, const struct node *node, const struct grid *grid,
                        double *out, struct error *err)
{
    switch (node->kind) {
    case NODE_PAREN:
        return eval_scalar(ev, node->inner, grid, out, err);
    case NODE_NUMBER:
        for (size_t i = 0; i < grid->steps; i++)
            out[i] = node->number.value;
        return true;
    case NODE_UNARY:
        if (!eval_scalar(ev, node->unary.operand, grid, out, err))
            return false;
        for (size_t i = 0; node->unary.minus && i < grid->steps; i++)
            out[i] = -out[i];
        return true;
    case NODE_BINARY:
        return scalar_binary(ev, node, grid, out, err);
    case NODE_CALL:
        if (node->call.function->missing)
            return error_set(err, ERR_UNSUPPORTED, "function %.*s() is not supported yet",
                             SLICE_ARG(node->call.function->name));
        return node->call.function->special(ev, node, grid, NULL, out, err);
    default:
        return error_set(err, ERR_INTERNAL, "a scalar was expected");
    }
}

bool eval_scalar(struct evaluation *ev, const struct node *node, const struct grid *grid,
                 double *out, struct error *err)
{
    assert(node->type == TYPE_SCALAR);
    if (!node->invariant || grid->steps == 1)
        return scalar_node(ev, node, grid, out, err);
    struct grid first = {grid->start_ns, grid->step_ns, 1};
    uint64_t *counts = ev->step_samples, once = 0;
    ev->step_samples = counts ? &once : NULL;
    bool ok = scalar_node(ev, node, &first, out, err);
    ev->step_samples = counts;
    if (!ok)
        return false;
    for (size_t i = 0; counts && i < grid->steps; i++)
        counts[i] += once;
    for (size_t i = 1; i < grid->steps; i++)
        out[i] = out[0];
    return true;
}

/* ---- time
 * ------------------------------------------------------------------------------------------ */

static int64_t subtract(int64_t a, int64_t b)
{
    int64_t result;
    if (__builtin_sub_overflow(a, b, &result))
        return b > 0 ? INT64_MIN : INT64_MAX;
    return result;
}

struct grid grid_shift(const struct evaluation *ev, const struct grid *grid,
                       const struct time_shift *shift)
{
    struct grid out = *grid;
    switch (shift->at) {
    case AT_NONE:
        break;
    case AT_TIME:
        out.start_ns = shift->at_ns;
        out.step_ns = 0;
        break;
    case AT_START:
        out.start_ns = ev->request->start_ns;
        out.step_ns = 0;
        break;
    case AT_END:
        out.start_ns = ev->request->end_ns;
        out.step_ns = 0;
        break;
    }
    out.start_ns = subtract(out.start_ns, shift->offset_ns);
    return out;
}
