/*
 * binary_match.c - arithmetic and comparison between two vectors.
 *
 * Both sides are collected and every column gets the number of its match group
 * once, for all steps.  In each group the "one" side may hold several columns as
 * long as at most one is present at a step; which one it is, is looked up per
 * step.  A result column belongs to a set of result labels, so columns of the one side
 * that follow each other in time end up in the same result.
 */
#include "base/error.h"
#include "query/eval_internal.h"
#include "query/parse_internal.h"

#include <string.h>

enum { NOBODY = 0 }; /* in arrays of column numbers plus one */

struct match {
    struct evaluation *ev;
    const struct node *node;
    const struct binary *binary;
    struct arena *arena;
    size_t steps;
    struct columns many, one;
    const uint32_t *many_group, *one_group;
    uint32_t groups;
    uint32_t *first_of; /* first column of the one side in a group, plus one */
    uint32_t *next_of;  /* the next one in the same group, plus one */
    uint32_t **present; /* several in a group: per step the present column plus one; else NULL */
    uint8_t **taken;    /* per group: steps that have a match */
    struct label_index *index; /* of the results' labels */
    struct columns out;
    uint32_t **owner; /* per result and step: the group that matched there, plus one */
    size_t owner_capacity;
};

static bool no_memory(const struct match *m, struct error *err)
{
    return arena_check(m->arena, "the query", err) &&
           error_set(err, ERR_LIMIT, "the query has too many series");
}

/* ---- labels ------------------------------------------------------------------------------ */

static struct labels match_labels(const struct match *m, struct labels labels)
{
    const struct matching *matching = &m->binary->matching;
    struct labels kept =
        labels_select(m->arena, labels, matching->labels, matching->label_count, matching->on);
    return matching->on ? kept : labels_with(m->arena, kept, LABEL_NAME_METRIC, SLICE(""));
}

static struct labels result_labels(const struct match *m, struct labels many, struct labels one)
{
    const struct binary *b = &m->binary[0];
    const struct matching *matching = &b->matching;
    bool delayed = (m->ev->request->features & QUERY_DELAYED_NAME_REMOVAL) != 0;
    struct labels labels = many;
    if (operator_changes_meaning(b->op) || (b->return_bool && !delayed))
        labels = labels_drop_metadata(m->arena, labels);
    if (matching->cardinality == ONE_TO_ONE)
        labels =
            labels_select(m->arena, labels, matching->labels, matching->label_count, matching->on);
    for (size_t i = 0; i < matching->include_count; i++)
        labels = labels_with(m->arena, labels, matching->include[i],
                             labels_get(one, matching->include[i]));
    return labels;
}

/* ---- the one side --------------------------------------------------------------------------- */

static bool duplicate(const struct match *m, const struct column *a, const struct column *b,
                      struct error *err)
{
    const char *group = labels_text(m->arena, match_labels(m, a->labels));
    const char *first = labels_text(m->arena, a->labels);
    const char *second = labels_text(m->arena, b->labels);
    if (strcmp(first, second) > 0) {
        const char *swap = first;
        first = second;
        second = swap;
    }
    const char *side = m->binary->matching.cardinality == ONE_TO_MANY ? "left" : "right";
    return error_set(err, ERR_EXECUTION,
                     "found duplicate series for the match group %s on the %s hand-side of the "
                     "operation: [%s, %s];many-to-many matching not allowed: matching labels must "
                     "be unique on one side",
                     group, side, first, second);
}

/* Steps at which the many side has anything at all: elsewhere duplicates do not matter. */
static uint8_t *any_present(const struct match *m, const struct columns *columns)
{
    uint8_t *any = arena_calloc(m->arena, m->steps, 1);
    for (size_t i = 0; any && i < columns->count; i++) {
        for (size_t j = 0; j < m->steps; j++)
            any[j] |= columns->items[i].cells[j];
    }
    return any;
}

static bool present_in_group(struct match *m, uint32_t group, const uint8_t *any, struct error *err)
{
    uint32_t *present = arena_calloc(m->arena, m->steps, sizeof(*present));
    if (present == NULL)
        return no_memory(m, err);
    for (uint32_t c = m->first_of[group]; c != NOBODY; c = m->next_of[c - 1]) {
        const struct column *column = &m->one.items[c - 1];
        for (size_t i = 0; i < m->steps; i++) {
            if (column->cells[i] == CELL_NONE)
                continue;
            if (present[i] != NOBODY && any[i])
                return duplicate(m, column, &m->one.items[present[i] - 1], err);
            present[i] = c;
        }
    }
    m->present[group] = present;
    return true;
}

static bool index_one_side(struct match *m, struct error *err)
{
    m->first_of = arena_calloc(m->arena, m->groups, sizeof(*m->first_of));
    m->next_of = arena_calloc(m->arena, m->one.count, sizeof(*m->next_of));
    m->present = arena_calloc(m->arena, m->groups, sizeof(*m->present));
    m->taken = arena_calloc(m->arena, m->groups, sizeof(*m->taken));
    uint8_t *any = any_present(m, &m->many);
    if (!m->first_of || !m->next_of || !m->present || !m->taken || !any)
        return no_memory(m, err);
    for (size_t i = m->one.count; i-- > 0;) {
        uint32_t group = m->one_group[i];
        m->next_of[i] = m->first_of[group];
        m->first_of[group] = (uint32_t)i + 1;
    }
    for (uint32_t group = 0; group < m->groups; group++) {
        uint32_t first = m->first_of[group];
        if (first != NOBODY && m->next_of[first - 1] != NOBODY &&
            !present_in_group(m, group, any, err))
            return false;
    }
    return true;
}

/* ---- pairs --------------------------------------------------------------------------------------
 */

/* The result column for a pair; its owner row comes with it. */
static struct column *result_column(struct match *m, struct labels many, struct labels one,
                                    uint32_t **owner, struct error *err)
{
    bool added;
    uint32_t at = label_index_put(m->index, result_labels(m, many, one), &added);
    if (at == UINT32_MAX) {
        no_memory(m, err);
        return NULL;
    }
    if (added) {
        struct column column;
        uint32_t **owners = arena_grow(m->arena, m->owner, m->out.count, &m->owner_capacity,
                                       m->out.count + 1, sizeof(*owners));
        if (owners == NULL ||
            !column_init(&column, label_index_get(m->index, at), m->steps, m->arena)) {
            no_memory(m, err);
            return NULL;
        }
        m->owner = owners;
        owners[at] = arena_calloc(m->arena, m->steps, sizeof(**owners));
        column.drop_name = m->binary->return_bool;
        if (owners[at] == NULL || !columns_push(&m->out, column, m->arena)) {
            no_memory(m, err);
            return NULL;
        }
    }
    *owner = m->owner[at];
    return &m->out.items[at];
}

static struct operand operand_at(const struct column *column, size_t step)
{
    bool is_histogram = column->cells[step] == CELL_HISTOGRAM;
    return (struct operand){column->values[step], is_histogram ? column->histograms[step] : NULL};
}

static bool match_cell(const struct match *m, struct operand many, struct operand one, size_t step,
                       uint32_t group, struct column *out, uint32_t *owner, struct error *err)
{
    const struct binary *b = m->binary;
    bool swapped = b->matching.cardinality == ONE_TO_MANY, keep;
    struct operand result = {0, NULL};
    if (!histogram_operation(m->ev, m->node, swapped ? one : many, swapped ? many : one, m->arena,
                             &result, &keep))
        return !arena_exhausted(m->arena) || no_memory(m, err);
    if (b->return_bool) {
        result = (struct operand){keep, NULL};
        keep = true;
    }
    if (b->matching.cardinality == ONE_TO_ONE && m->taken[group][step])
        return error_set(err, ERR_EXECUTION,
                         "multiple matches for labels: many-to-one matching must be explicit "
                         "(group_left/group_right)");
    if (b->matching.cardinality != ONE_TO_ONE && owner[step] == group + 1)
        return error_set(err, ERR_EXECUTION,
                         "multiple matches for labels: grouping labels must ensure unique matches");
    m->taken[group][step] = 1;
    owner[step] = group + 1;
    if (!keep)
        return true;
    if (out->cells[step] != CELL_NONE)
        return error_set(err, ERR_EXECUTION,
                         "vector cannot contain metrics with the same labelset");
    out->cells[step] = result.histogram ? CELL_HISTOGRAM : CELL_FLOAT;
    out->values[step] = result.value;
    if (result.histogram == NULL)
        return true;
    if (!column_add_histograms(out, m->steps, m->arena))
        return no_memory(m, err);
    out->histograms[step] = result.histogram;
    return true;
}

static bool make_taken(struct match *m, uint32_t group, struct error *err)
{
    if (m->taken[group] == NULL)
        m->taken[group] = arena_calloc(m->arena, m->steps, 1);
    return m->taken[group] != NULL || no_memory(m, err);
}

/* One column of the many side against one of the one side, where both are present. */
static bool match_pair(struct match *m, const struct column *many, uint32_t one_number,
                       uint32_t group, struct error *err)
{
    const struct column *one = &m->one.items[one_number - 1];
    const uint32_t *present = m->present[group];
    struct column *out = NULL;
    uint32_t *owner = NULL;
    for (size_t i = 0; i < m->steps; i++) {
        if (many->cells[i] == CELL_NONE || one->cells[i] == CELL_NONE ||
            (present && present[i] != one_number))
            continue;
        if (out == NULL && (out = result_column(m, many->labels, one->labels, &owner, err)) == NULL)
            return false;
        if (!match_cell(m, operand_at(many, i), operand_at(one, i), i, group, out, owner, err))
            return false;
    }
    return true;
}

/* ---- filling in what is missing -------------------------------------------------------------- */

static bool one_is_present(const struct match *m, uint32_t group, size_t step)
{
    uint32_t first = m->first_of[group];
    if (first == NOBODY)
        return false;
    return m->present[group] ? m->present[group][step] != NOBODY
                             : m->one.items[first - 1].cells[step] != CELL_NONE;
}

/* A column of the many side at steps without a partner: the fill value stands for it. */
static bool fill_one_side(struct match *m, const struct column *many, uint32_t group,
                          struct error *err)
{
    struct column *out = NULL;
    uint32_t *owner = NULL;
    for (size_t i = 0; i < m->steps; i++) {
        if (many->cells[i] == CELL_NONE || one_is_present(m, group, i))
            continue;
        if (out == NULL && (out = result_column(m, many->labels, match_labels(m, many->labels),
                                                &owner, err)) == NULL)
            return false;
        if (!match_cell(m, operand_at(many, i),
                        (struct operand){m->binary->matching.fill_value[1], NULL}, i, group, out,
                        owner, err))
            return false;
    }
    return true;
}

/* A column of the one side at steps where nothing of its group matched. */
static bool fill_many_side(struct match *m, const struct column *one, uint32_t group,
                           struct error *err)
{
    struct column *out = NULL;
    uint32_t *owner = NULL;
    if (!make_taken(m, group, err))
        return false;
    for (size_t i = 0; i < m->steps; i++) {
        if (one->cells[i] == CELL_NONE || m->taken[group][i])
            continue;
        if (out == NULL && (out = result_column(m, match_labels(m, one->labels), one->labels,
                                                &owner, err)) == NULL)
            return false;
        if (!match_cell(m, (struct operand){m->binary->matching.fill_value[0], NULL},
                        operand_at(one, i), i, group, out, owner, err))
            return false;
    }
    return true;
}

static bool match_all(struct match *m, struct error *err)
{
    const struct matching *matching = &m->binary->matching;
    for (size_t i = 0; i < m->many.count; i++) {
        uint32_t group = m->many_group[i];
        if (m->first_of[group] == NOBODY && !matching->fill[1])
            continue;
        if (!make_taken(m, group, err))
            return false;
        for (uint32_t c = m->first_of[group]; c != NOBODY; c = m->next_of[c - 1]) {
            if (!match_pair(m, &m->many.items[i], c, group, err))
                return false;
        }
        if (matching->fill[1] && !fill_one_side(m, &m->many.items[i], group, err))
            return false;
        if (!eval_tick(m->ev, m->steps, err))
            return false;
    }
    for (size_t i = 0; matching->fill[0] && i < m->one.count; i++) {
        if (!fill_many_side(m, &m->one.items[i], m->one_group[i], err))
            return false;
    }
    return true;
}

static bool match_collected(struct match *m, struct columns *left, struct columns *right,
                            struct error *err)
{
    struct match_keys keys;
    if (!match_keys_make(&m->binary->matching, left, right, m->arena, &keys, err))
        return false;
    bool swapped = m->binary->matching.cardinality == ONE_TO_MANY;
    m->many = swapped ? *right : *left;
    m->one = swapped ? *left : *right;
    m->many_group = swapped ? keys.right : keys.left;
    m->one_group = swapped ? keys.left : keys.right;
    m->groups = keys.groups;
    return index_one_side(m, err) && match_all(m, err);
}

bool match_stream(struct evaluation *ev, const struct node *node, const struct grid *grid,
                  struct sink *sink, struct error *err)
{
    const struct binary *b = &node->binary;
    struct arena *arena = eval_arena(ev);
    struct match m = {.ev = ev,
                      .node = node,
                      .binary = b,
                      .arena = arena,
                      .steps = grid->steps,
                      .index = label_index_new(arena)};
    struct columns left = {0}, right = {0};
    bool ok = eval_collect(ev, b->left, grid, arena, &left, err) &&
              eval_collect(ev, b->right, grid, arena, &right, err) &&
              match_collected(&m, &left, &right, err) && columns_emit(ev, &m.out, sink, err);
    columns_release(ev, &left);
    columns_release(ev, &right);
    label_index_free(m.index);
    arena_free(arena);
    return ok;
}
