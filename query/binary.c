/*
 * binary.c - operators on numbers, and between a vector and a scalar.
 *
 * Between two vectors: binary_match.c and binary_set.c.
 */
#include "base/error.h"
#include "query/eval_internal.h"
#include "query/parse_internal.h"

#include <math.h>

double scalar_operation(enum binary_operator op, double left, double right)
{
    switch (op) {
    case OP_EQUAL:
        return left == right;
    case OP_NOT_EQUAL:
        return left != right;
    case OP_LESS:
        return left < right;
    case OP_LESS_EQUAL:
        return left <= right;
    case OP_GREATER:
        return left > right;
    case OP_GREATER_EQUAL:
        return left >= right;
    case OP_ADD:
        return left + right;
    case OP_SUBTRACT:
        return left - right;
    case OP_MULTIPLY:
        return left * right;
    case OP_DIVIDE:
        return left / right;
    case OP_DIVIDE_OR_NAN:
        return right == 0 ? (double)NAN : left / right;
    case OP_MODULO:
        return fmod(left, right);
    case OP_ATAN2:
        return atan2(left, right);
    case OP_POWER:
        return pow(left, right);
    default:
        return (double)NAN;
    }
}

double float_operation(enum binary_operator op, double left, double right, bool *keep)
{
    double result = scalar_operation(op, left, right);
    *keep = true;
    if (!operator_is_comparison(op))
        return result;
    *keep = result != 0;
    return left;
}

bool operator_changes_meaning(enum binary_operator op)
{
    return op >= OP_ADD;
}

struct scalar_sink {
    struct sink sink;
    struct sink *next;
    struct evaluation *ev;
    const struct node *node;
    const struct binary *binary;
    const double *scalar;
    bool scalar_left;
    bool drops_name;
    size_t steps;
};

static bool trims(enum binary_operator op)
{
    return op == OP_TRIM_UPPER || op == OP_TRIM_LOWER;
}

/* A cell with a histogram, or an operator for histograms. */
static void operate_histogram(const struct scalar_sink *s, struct column *column, size_t step,
                              struct arena *arena)
{
    bool keep, is_histogram = column->cells[step] == CELL_HISTOGRAM;
    struct operand scalar = {s->scalar[step], NULL}, out;
    struct operand value = {column->values[step], is_histogram ? column->histograms[step] : NULL};
    column->cells[step] = CELL_NONE;
    if (!histogram_operation(s->ev, s->node, s->scalar_left ? scalar : value,
                             s->scalar_left ? value : scalar, arena, &out, &keep))
        return;
    column->cells[step] = CELL_HISTOGRAM;
    column->histograms[step] = out.histogram;
}

static void operate(const struct scalar_sink *s, struct column *column, struct arena *arena)
{
    enum binary_operator op = s->binary->op;
    bool comparison = operator_is_comparison(op);
    for (size_t i = 0; i < s->steps; i++) {
        if (column->cells[i] == CELL_NONE)
            continue;
        if (column->cells[i] == CELL_HISTOGRAM || trims(op)) {
            operate_histogram(s, column, i, arena);
            continue;
        }
        double value = column->values[i];
        double left = s->scalar_left ? s->scalar[i] : value;
        double right = s->scalar_left ? value : s->scalar[i];
        double result = scalar_operation(op, left, right);
        if (!comparison || s->binary->return_bool)
            column->values[i] = result;
        else if (result == 0)
            column->cells[i] = CELL_NONE;
    }
}

static bool scalar_take(struct sink *self, struct column_batch *batch, struct error *err)
{
    struct scalar_sink *s = (struct scalar_sink *)self;
    for (size_t i = 0; i < batch->count; i++) {
        operate(s, &batch->items[i], batch->arena);
        if (!arena_check(batch->arena, "the query", err))
            return false;
        if (s->drops_name && !column_drop_name(s->ev, &batch->items[i], batch->arena))
            return arena_check(batch->arena, "the query", err);
        if (!eval_tick(s->ev, s->steps, err))
            return false;
    }
    return s->next->take(s->next, batch, err);
}

static bool with_scalar(struct evaluation *ev, const struct node *node, const struct grid *grid,
                        struct sink *sink, struct error *err)
{
    const struct binary *b = &node->binary;
    struct arena *arena = eval_arena(ev);
    double *scalar = arena_calloc(arena, grid->steps, sizeof(*scalar));
    bool scalar_left = b->left->type == TYPE_SCALAR;
    const struct node *vector = scalar_left ? b->right : b->left;
    struct scalar_sink s = {
        .sink = {scalar_take},
        .next = sink,
        .ev = ev,
        .node = node,
        .binary = b,
        .scalar = scalar,
        .scalar_left = scalar_left,
        .drops_name = operator_changes_meaning(b->op) || b->return_bool,
        .steps = grid->steps,
    };
    bool ok = arena_check(arena, "the query", err) &&
              eval_scalar(ev, scalar_left ? b->left : b->right, grid, scalar, err);
    if (ok && s.drops_name)
        ok = eval_map_united(ev, vector, grid, &s.sink, &s.next, err);
    else if (ok)
        ok = eval_stream(ev, vector, grid, &s.sink, err);
    arena_free(arena);
    return ok;
}

bool binary_stream(struct evaluation *ev, const struct node *node, const struct grid *grid,
                   struct sink *sink, struct error *err)
{
    const struct binary *b = &node->binary;
    if (b->left->type == TYPE_SCALAR || b->right->type == TYPE_SCALAR)
        return with_scalar(ev, node, grid, sink, err);
    if (operator_is_set(b->op))
        return set_stream(ev, node, grid, sink, err);
    return match_stream(ev, node, grid, sink, err);
}
