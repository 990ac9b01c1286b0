/*
 * binary_set.c - and, or, unless.
 *
 * Each match group keeps a row of presence marks, one per step; the columns of one
 * side are then masked with the rows of the other.
 */
#include "base/error.h"
#include "query/eval_internal.h"

struct presence {
    uint8_t *rows; /* groups x steps */
    size_t steps;
};

static bool presence_make(struct presence *p, const struct columns *side, const uint32_t *group,
                          uint32_t groups, size_t steps, struct arena *arena)
{
    size_t cells;
    if (__builtin_mul_overflow((size_t)groups, steps, &cells))
        return false;
    p->steps = steps;
    p->rows = arena_calloc(arena, cells, 1);
    for (size_t i = 0; p->rows && i < side->count; i++) {
        uint8_t *row = p->rows + (size_t)group[i] * steps;
        for (size_t j = 0; j < steps; j++)
            row[j] |= side->items[i].cells[j];
    }
    return p->rows != NULL;
}

/* Drop cells where the row is marked (`unless`) or where it is not. */
static void mask(struct columns *side, const uint32_t *group, const struct presence *p,
                 bool drop_marked)
{
    for (size_t i = 0; i < side->count; i++) {
        const uint8_t *row = p->rows + (size_t)group[i] * p->steps;
        uint8_t *cells = side->items[i].cells;
        for (size_t j = 0; j < p->steps; j++) {
            if ((row[j] != CELL_NONE) == drop_marked)
                cells[j] = CELL_NONE;
        }
    }
}

static bool combine(struct evaluation *ev, const struct node *node, size_t steps,
                    struct columns *left, struct columns *right, struct arena *arena,
                    struct error *err)
{
    struct match_keys keys;
    struct presence marks;
    bool is_or = node->binary.op == OP_OR;
    if (!match_keys_make(&node->binary.matching, left, right, arena, &keys, err))
        return false;
    const struct columns *other = is_or ? left : right;
    if (!presence_make(&marks, other, is_or ? keys.left : keys.right, keys.groups, steps, arena))
        return arena_check(arena, "the query", err);
    if (!is_or) {
        mask(left, keys.left, &marks, node->binary.op == OP_UNLESS);
        return true;
    }
    mask(right, keys.right, &marks, true);
    for (size_t i = 0; i < right->count; i++) {
        if (!column_is_empty(&right->items[i], steps) &&
            !columns_push(left, right->items[i], arena))
            return arena_check(arena, "the query", err);
    }
    bool early = (ev->request->features & QUERY_DELAYED_NAME_REMOVAL) == 0;
    return (steps == 1 && !early) || columns_unite(ev, left, steps, arena, err);
}

bool set_stream(struct evaluation *ev, const struct node *node, const struct grid *grid,
                struct sink *sink, struct error *err)
{
    struct arena *arena = eval_arena(ev);
    struct columns left = {0}, right = {0};
    bool ok = eval_collect(ev, node->binary.left, grid, arena, &left, err) &&
              eval_collect(ev, node->binary.right, grid, arena, &right, err) &&
              combine(ev, node, grid->steps, &left, &right, arena, err) &&
              columns_emit(ev, &left, sink, err);
    columns_release(ev, &left);
    columns_release(ev, &right);
    arena_free(arena);
    return ok;
}
