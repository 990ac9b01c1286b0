/*
 * function_special.c - functions that evaluate their arguments themselves: absence,
 * scalars from and to vectors, time.
 */
#include "base/error.h"
#include "base/matcher.h"
#include "query/eval_internal.h"
#include "query/function_tables.h"

#include <math.h>
#include <string.h>

/* ---- absent ------------------------------------------------------------------------ */

struct presence_sink {
    struct sink sink;
    uint8_t *seen;
    size_t steps;
};

static bool presence_take(struct sink *self, struct column_batch *batch, struct error *err)
{
    (void)err;
    struct presence_sink *p = (struct presence_sink *)self;
    for (size_t i = 0; i < batch->count; i++) {
        for (size_t j = 0; j < p->steps; j++)
            p->seen[j] |= batch->items[i].cells[j];
    }
    return true;
}

/*
 * The labels that an absent series would have: those that one `=` matcher fixes, as long as
 * no other matcher is about the same label.
 */
static struct labels absent_labels(const struct node *argument, struct arena *arena)
{
    struct labels labels = {NULL, 0};
    argument = node_unwrap(argument);
    if (argument->kind != NODE_SELECTOR)
        return labels;
    const struct selector *s = &argument->selector;
    for (size_t i = 0; i < s->matcher_count; i++) {
        const struct matcher *m = &s->matchers[i];
        bool fixed = m->type == MATCH_EQUAL && !slice_equal(m->name, LABEL_NAME_METRIC);
        for (size_t j = 0; j < s->matcher_count; j++)
            fixed = fixed && (j == i || !slice_equal(s->matchers[j].name, m->name));
        if (fixed)
            labels = labels_with(arena, labels, m->name, m->value);
    }
    return labels;
}

static bool absent_finish(struct presence_sink *p, const struct node *argument, struct arena *arena,
                          struct sink *sink, struct error *err)
{
    struct column column;
    if (!column_init(&column, absent_labels(argument, arena), p->steps, arena))
        return arena_check(arena, "the query", err);
    for (size_t i = 0; i < p->steps; i++) {
        column.cells[i] = p->seen[i] ? CELL_NONE : CELL_FLOAT;
        column.values[i] = 1;
    }
    struct column_batch batch = {.items = &column, .count = 1, .arena = arena};
    return column_is_empty(&column, p->steps) || sink->take(sink, &batch, err);
}

SPECIAL(special_absent)
{
    (void)scalar;
    struct arena *arena = eval_arena(ev);
    struct presence_sink p = {{presence_take}, arena_calloc(arena, grid->steps, 1), grid->steps};
    bool ok = arena_check(arena, "the query", err) &&
              eval_stream(ev, call->call.arguments[0], grid, &p.sink, err) &&
              absent_finish(&p, call->call.arguments[0], arena, sink, err);
    arena_free(arena);
    return ok;
}

SPECIAL(special_absent_over_time)
{
    (void)scalar;
    struct arena *arena = eval_arena(ev);
    struct presence_sink p = {{presence_take}, arena_calloc(arena, grid->steps, 1), grid->steps};
    bool ok = arena_check(arena, "the query", err) &&
              eval_range_call(ev, call, grid, &p.sink, err) &&
              absent_finish(&p, call->call.arguments[0], arena, sink, err);
    arena_free(arena);
    return ok;
}

/* ---- scalar and vector ------------------------------------------------------------------ */

struct single_sink {
    struct sink sink;
    uint32_t *found; /* floats at each step */
    double *values;
    size_t steps;
};

static bool single_take(struct sink *self, struct column_batch *batch, struct error *err)
{
    (void)err;
    struct single_sink *s = (struct single_sink *)self;
    for (size_t i = 0; i < batch->count; i++) {
        const struct column *column = &batch->items[i];
        for (size_t j = 0; j < s->steps; j++) {
            if (column->cells[j] != CELL_FLOAT)
                continue;
            s->values[j] = column->values[j];
            s->found[j] += s->found[j] < 2;
        }
    }
    return true;
}

SPECIAL(special_scalar)
{
    (void)sink;
    struct arena *arena = eval_arena(ev);
    uint32_t *found = arena_calloc(arena, grid->steps, sizeof(*found));
    struct single_sink s = {{single_take}, found, scalar, grid->steps};
    bool ok = arena_check(arena, "the query", err) &&
              eval_stream(ev, call->call.arguments[0], grid, &s.sink, err);
    for (size_t i = 0; ok && i < grid->steps; i++) {
        if (found[i] != 1)
            scalar[i] = (double)NAN;
    }
    arena_free(arena);
    return ok;
}

SPECIAL(special_vector)
{
    (void)scalar;
    struct arena *arena = eval_arena(ev);
    struct column column;
    bool ok = column_init(&column, (struct labels){NULL, 0}, grid->steps, arena) ||
              arena_check(arena, "the query", err);
    ok = ok && eval_scalar(ev, call->call.arguments[0], grid, column.values, err);
    if (ok) {
        memset(column.cells, CELL_FLOAT, grid->steps);
        struct column_batch batch = {.items = &column, .count = 1, .arena = arena};
        ok = sink->take(sink, &batch, err);
    }
    arena_free(arena);
    return ok;
}

/* ---- time ---------------------------------------------------------------------------------- */

static void fill(const struct grid *grid, double *scalar, double value)
{
    for (size_t i = 0; i < grid->steps; i++)
        scalar[i] = value;
}

SPECIAL(special_time)
{
    (void)ev, (void)call, (void)sink, (void)err;
    for (size_t i = 0; i < grid->steps; i++)
        scalar[i] = seconds_of(grid_time(grid, i));
    return true;
}

SPECIAL(special_pi)
{
    (void)ev, (void)call, (void)sink, (void)err;
    fill(grid, scalar, M_PI);
    return true;
}

SPECIAL(special_start)
{
    (void)call, (void)sink, (void)err;
    fill(grid, scalar, seconds_of(ev->request->start_ns));
    return true;
}

SPECIAL(special_end)
{
    (void)call, (void)sink, (void)err;
    fill(grid, scalar, seconds_of(ev->request->end_ns));
    return true;
}

SPECIAL(special_step)
{
    (void)call, (void)sink, (void)err;
    bool range = ev->request->start_ns != ev->request->end_ns;
    fill(grid, scalar, range ? (double)ev->request->step_ns / 1e9 : 0);
    return true;
}

SPECIAL(special_range)
{
    (void)call, (void)sink, (void)err;
    fill(grid, scalar, seconds_of(ev->request->end_ns - ev->request->start_ns));
    return true;
}

struct timestamp_sink {
    struct sink sink;
    struct sink *next;
    struct evaluation *ev;
    const struct grid *grid;
};

static bool timestamp_take(struct sink *self, struct column_batch *batch, struct error *err)
{
    struct timestamp_sink *t = (struct timestamp_sink *)self;
    for (size_t i = 0; i < batch->count; i++) {
        struct column *column = &batch->items[i];
        for (size_t j = 0; j < t->grid->steps; j++) {
            if (column->cells[j] != CELL_NONE)
                column->cells[j] = CELL_FLOAT;
            column->values[j] = seconds_of(grid_time(t->grid, j));
        }
        if (!column_drop_name(t->ev, column, batch->arena))
            return arena_check(batch->arena, "the query", err);
    }
    return t->next->take(t->next, batch, err);
}

/* Hands on what the leaf gives: the samples' own times. */
static bool pass_take(struct sink *self, struct column_batch *batch, struct error *err)
{
    struct timestamp_sink *t = (struct timestamp_sink *)self;
    return t->next->take(t->next, batch, err);
}

/* Over a selector the samples' own times, over anything else the evaluation times. */
SPECIAL(special_timestamp)
{
    (void)scalar;
    const struct node *argument = node_unwrap(call->call.arguments[0]);
    struct timestamp_sink t = {{timestamp_take}, sink, ev, grid};
    if (argument->kind != NODE_SELECTOR || argument->selector.leaf != LEAF_METRIC)
        return eval_map_united(ev, argument, grid, &t.sink, &t.next, err);
    t.sink.take = pass_take;
    return eval_leaf_united(ev, argument, call, grid, &t.sink, &t.next, err);
}

static bool nothing_take(struct sink *self, struct column_batch *batch, struct error *err)
{
    (void)self, (void)batch, (void)err;
    return true;
}

/* When counters began; known of a selector's samples only, and with the feature switched on. */
SPECIAL(special_start_timestamp)
{
    (void)scalar;
    const struct node *argument = node_unwrap(call->call.arguments[0]);
    struct timestamp_sink t = {{nothing_take}, sink, ev, grid};
    if (argument->kind != NODE_SELECTOR || argument->selector.leaf != LEAF_METRIC ||
        (ev->request->features & QUERY_START_TIMESTAMPS) == 0)
        return eval_stream(ev, argument, grid, &t.sink, err);
    t.sink.take = pass_take;
    return eval_leaf_united(ev, argument, call, grid, &t.sink, &t.next, err);
}

/* ---- two scalars ------------------------------------------------------------------------------
 */

static bool choose(struct evaluation *ev, const struct node *call, const struct grid *grid,
                   double *scalar, bool greater, struct error *err)
{
    struct arena *arena = eval_arena(ev);
    double *other = arena_calloc(arena, grid->steps, sizeof(*other));
    bool ok = arena_check(arena, "the query", err) &&
              eval_scalar(ev, call->call.arguments[0], grid, scalar, err) &&
              eval_scalar(ev, call->call.arguments[1], grid, other, err);
    for (size_t i = 0; ok && i < grid->steps; i++) {
        double a = scalar[i], b = other[i];
        if (isnan(a) || isnan(b))
            scalar[i] = (double)NAN;
        else
            scalar[i] = (greater ? a > b : a < b) ? a : b;
    }
    arena_free(arena);
    return ok;
}

SPECIAL(special_max_of)
{
    (void)sink;
    return choose(ev, call, grid, scalar, true, err);
}

SPECIAL(special_min_of)
{
    (void)sink;
    return choose(ev, call, grid, scalar, false, err);
}
