/*
 * function_info.c - info(): adds the labels of info metrics such as target_info to the
 * series that share their `instance` and `job`.
 *
 * The info series are read with the first argument's own offset and @.  At each step
 * the youngest info series of each name counts.  The second argument, a selector
 * of labels, chooses which info metrics and which of their labels are wanted.
 */
#include "base/error.h"
#include "base/matcher.h"
#include "query/eval_internal.h"
#include "query/function_tables.h"

#include <string.h>

enum { INFO_NAMES_MAX = 32, MATCHERS_MAX = 1000 };

static const struct slice identifying[] = {{"instance", 8}, {"job", 3}};

struct info {
    struct evaluation *ev;
    struct arena *arena;
    const struct grid *grid;
    const struct selector *wanted; /* second argument; NULL: all labels of target_info */
    struct matcher names[MATCHERS_MAX];
    size_t name_count;
    struct matcher added; /* the name matcher that is implied; owned */
    struct columns base, infos;
    uint32_t *first, *next; /* info columns of a group, plus one */
    struct label_index *groups, *results;
    struct columns out;
};

/* ---- which info metrics --------------------------------------------------------------- */

static bool is_name(const struct matcher *m)
{
    return slice_equal(m->name, LABEL_NAME_METRIC);
}

static bool choose_names(struct info *s, struct error *err)
{
    bool positive = false;
    for (size_t i = 0; s->wanted && i < s->wanted->matcher_count; i++) {
        const struct matcher *m = &s->wanted->matchers[i];
        if (!is_name(m) || s->name_count + 1 >= MATCHERS_MAX)
            continue;
        s->names[s->name_count++] = *m;
        positive = positive || m->type == MATCH_EQUAL || m->type == MATCH_REGEX;
    }
    if (positive)
        return true;
    enum matcher_type type = s->name_count > 0 ? MATCH_REGEX : MATCH_EQUAL;
    struct slice value = s->name_count > 0 ? SLICE(".+_info") : SLICE("target_info");
    if (!matcher_init(&s->added, type, LABEL_NAME_METRIC, value, err))
        return false;
    s->names[s->name_count++] = s->added;
    return true;
}

/* Is a base series an info metric itself, which stays as it is? */
static int is_info(const struct info *s, struct labels labels, struct error *err)
{
    struct slice name = labels_get(labels, LABEL_NAME_METRIC);
    if (name.data == NULL)
        name = SLICE("");
    for (size_t i = 0; i < s->name_count; i++) {
        int hit = matcher_test(&s->names[i], name, err);
        if (hit <= 0)
            return hit;
    }
    return 1;
}

/* ---- reading the info series ------------------------------------------------------------ */

/* The offset and @ of the first selector in the expression, or of the subqueries around it. */
static bool find_shift(const struct node *node, struct time_shift *out)
{
    switch (node->kind) {
    case NODE_SELECTOR:
        *out = node->selector.shift;
        return true;
    case NODE_PAREN:
        return find_shift(node->inner, out);
    case NODE_UNARY:
        return find_shift(node->unary.operand, out);
    case NODE_BINARY:
        return find_shift(node->binary.left, out) || find_shift(node->binary.right, out);
    case NODE_AGGREGATION:
        return find_shift(node->aggregation.argument, out);
    case NODE_CALL:
        for (size_t i = 0; i < node->call.count; i++) {
            if (find_shift(node->call.arguments[i], out))
                return true;
        }
        return false;
    case NODE_SUBQUERY:
        if (!find_shift(node->subquery.inner, out))
            return false;
        if (out->at == AT_NONE) {
            out->offset_ns += node->subquery.shift.offset_ns;
            out->at = node->subquery.shift.at;
            out->at_ns = node->subquery.shift.at_ns;
        }
        return true;
    default:
        return false;
    }
}

struct info_sink {
    struct sink sink;
    struct info *info;
};

static bool take_infos(struct sink *self, struct column_batch *batch, struct error *err)
{
    struct info *s = ((struct info_sink *)self)->info;
    for (size_t i = 0; i < batch->count; i++) {
        struct column copy;
        if (!column_copy(&copy, &batch->items[i], s->grid->steps, s->arena) ||
            !columns_push(&s->infos, copy, s->arena))
            return arena_check(s->arena, "the query", err);
    }
    return true;
}

/* The info series, with the times of their samples as values. */
static bool read_infos(struct info *s, const struct node *argument, struct error *err)
{
    static const struct function own_times = {.name = {"timestamp", 9}, .keeps_name = true};
    struct matcher matchers[MATCHERS_MAX];
    size_t count = 0;
    for (size_t i = 0; s->wanted && i < s->wanted->matcher_count && count < MATCHERS_MAX; i++) {
        if (!is_name(&s->wanted->matchers[i]))
            matchers[count++] = s->wanted->matchers[i];
    }
    for (size_t i = 0; i < s->name_count && count < MATCHERS_MAX; i++)
        matchers[count++] = s->names[i];
    struct node selector = {.kind = NODE_SELECTOR, .type = TYPE_VECTOR};
    selector.selector =
        (struct selector){.leaf = LEAF_METRIC, .matchers = matchers, .matcher_count = count};
    find_shift(argument, &selector.selector.shift);
    struct node call = {.kind = NODE_CALL, .type = TYPE_VECTOR};
    call.call.function = &own_times;
    struct info_sink sink = {{take_infos}, s};
    return leaf_metric.stream(s->ev, &selector, &call, NULL, s->grid, &sink.sink, err);
}

/* ---- matching -------------------------------------------------------------------------------- */

static uint32_t group_of(struct info *s, struct labels labels, bool *added)
{
    struct labels key = labels_select(s->arena, labels, identifying, COUNT_OF(identifying), true);
    return label_index_put(s->groups, key, added);
}

/* Every base series gets a group first; info series of other groups match nobody. */
static bool group_infos(struct info *s, uint32_t *base_group, struct error *err)
{
    bool added;
    for (size_t i = 0; i < s->base.count; i++)
        base_group[i] = group_of(s, s->base.items[i].labels, &added);
    uint32_t groups = label_index_count(s->groups);
    s->first = arena_calloc(s->arena, groups, sizeof(*s->first));
    s->next = arena_calloc(s->arena, s->infos.count, sizeof(*s->next));
    if (!arena_check(s->arena, "the query", err))
        return false;
    for (size_t i = s->infos.count; i-- > 0;) {
        uint32_t group = group_of(s, s->infos.items[i].labels, &added);
        if (group >= groups)
            continue;
        s->next[i] = s->first[group];
        s->first[group] = (uint32_t)i + 1;
    }
    return arena_check(s->arena, "the query", err);
}

/* The info columns that count at one step: the youngest of each name. */
struct matched {
    uint32_t items[INFO_NAMES_MAX];
    size_t count;
};

static bool duplicate(const struct info *s, const struct column *a, const struct column *b,
                      size_t step, struct error *err)
{
    return error_set(err, ERR_EXECUTION,
                     "found duplicate series for info metric: existing %s @ %.0f, new %s @ %.0f",
                     labels_text(s->arena, a->labels), a->values[step] * 1000,
                     labels_text(s->arena, b->labels), b->values[step] * 1000);
}

static bool match_step(const struct info *s, uint32_t group, size_t step, struct matched *out,
                       struct error *err)
{
    out->count = 0;
    for (uint32_t c = s->first[group]; c != 0; c = s->next[c - 1]) {
        const struct column *column = &s->infos.items[c - 1];
        if (column->cells[step] != CELL_FLOAT)
            continue;
        struct slice name = labels_get(column->labels, LABEL_NAME_METRIC);
        size_t at = 0;
        while (at < out->count &&
               !slice_equal(name,
                            labels_get(s->infos.items[out->items[at]].labels, LABEL_NAME_METRIC)))
            at++;
        if (at == out->count) {
            if (out->count == INFO_NAMES_MAX)
                return error_set(err, ERR_LIMIT, "info() matches more than %d info metrics",
                                 INFO_NAMES_MAX);
            out->items[out->count++] = c - 1;
            continue;
        }
        const struct column *known = &s->infos.items[out->items[at]];
        if (known->values[step] == column->values[step])
            return duplicate(s, known, column, step, err);
        if (known->values[step] < column->values[step])
            out->items[at] = c - 1;
    }
    return true;
}

static bool is_wanted(const struct info *s, struct slice name)
{
    bool any = false;
    for (size_t i = 0; s->wanted && i < s->wanted->matcher_count; i++) {
        if (is_name(&s->wanted->matchers[i]))
            continue;
        any = true;
        if (slice_equal(s->wanted->matchers[i].name, name))
            return true;
    }
    return !any;
}

/* Without an info series only those stay whose label matchers accept the empty text. */
static bool needs_info(const struct info *s)
{
    for (size_t i = 0; s->wanted && i < s->wanted->matcher_count; i++) {
        if (!is_name(&s->wanted->matchers[i]) && !matcher_matches_empty(&s->wanted->matchers[i]))
            return true;
    }
    return false;
}

static bool add_labels(const struct info *s, struct labels base, struct labels info,
                       struct labels *extra, struct error *err)
{
    for (size_t i = 0; i < info.count; i++) {
        const struct label *l = &info.items[i];
        if (slice_equal(l->name, LABEL_NAME_METRIC) || !is_wanted(s, l->name))
            continue;
        struct slice known = labels_get(*extra, l->name);
        if (known.size > 0 && !slice_equal(known, l->value))
            return error_set(err, ERR_EXECUTION, "conflicting label: %.*s",
                             SLICE_ARG(slice_sub(l->name, 0, 200)));
        if (!labels_has(base, l->name))
            *extra = labels_with(s->arena, *extra, l->name, l->value);
    }
    return true;
}

static struct column *result_for(struct info *s, struct labels labels, bool drop_name,
                                 struct error *err)
{
    bool added;
    uint32_t at = label_index_put(s->results, labels, &added);
    struct column column;
    if (at == UINT32_MAX || (added && (!column_init(&column, label_index_get(s->results, at),
                                                    s->grid->steps, s->arena) ||
                                       !columns_push(&s->out, column, s->arena)))) {
        bool full = arena_check(s->arena, "the query", err);
        (void)full;
        return NULL;
    }
    if (added)
        s->out.items[at].drop_name = drop_name;
    return &s->out.items[at];
}

static struct column *result_of(struct info *s, const struct column *base,
                                const struct matched *matched, struct error *err)
{
    struct labels extra = {NULL, 0}, labels = base->labels;
    for (size_t i = 0; i < matched->count; i++) {
        if (!add_labels(s, base->labels, s->infos.items[matched->items[i]].labels, &extra, err))
            return NULL;
    }
    for (size_t i = 0; i < extra.count; i++)
        labels = labels_with(s->arena, labels, extra.items[i].name, extra.items[i].value);
    return result_for(s, labels, base->drop_name, err);
}

static bool put(struct info *s, struct column *out, const struct column *base, size_t step,
                struct error *err)
{
    if (out->cells[step] != CELL_NONE)
        return error_set(err, ERR_EXECUTION,
                         "vector cannot contain metrics with the same labelset");
    out->cells[step] = base->cells[step];
    out->values[step] = base->values[step];
    if (base->cells[step] != CELL_HISTOGRAM)
        return true;
    if (!column_add_histograms(out, s->grid->steps, s->arena))
        return arena_check(s->arena, "the query", err);
    out->histograms[step] = base->histograms[step];
    return true;
}

static bool same_match(const struct matched *a, const struct matched *b)
{
    return a->count == b->count &&
           (a->count == 0 || memcmp(a->items, b->items, a->count * sizeof(a->items[0])) == 0);
}

/* One base series: its steps go to the result that their info series make. */
static bool enrich(struct info *s, const struct column *base, uint32_t group, struct error *err)
{
    int info = is_info(s, base->labels, err);
    if (info < 0)
        return false;
    bool strict = !info && needs_info(s);
    struct matched now = {.count = 0}, last = {.count = 0};
    struct column *out = NULL;
    for (size_t i = 0; i < s->grid->steps; i++) {
        if (base->cells[i] == CELL_NONE)
            continue;
        if (!info && !match_step(s, group, i, &now, err))
            return false;
        if (strict && now.count == 0)
            continue;
        if (out == NULL || !same_match(&now, &last)) {
            out = result_of(s, base, &now, err);
            last = now;
        }
        if (out == NULL || !put(s, out, base, i, err))
            return false;
    }
    return eval_tick(s->ev, s->grid->steps, err);
}

static bool enrich_all(struct info *s, const struct node *argument, struct error *err)
{
    if (!choose_names(s, err) || !eval_collect(s->ev, argument, s->grid, s->arena, &s->base, err) ||
        !read_infos(s, argument, err))
        return false;
    uint32_t *base_group = arena_calloc(s->arena, s->base.count, sizeof(*base_group));
    if (base_group == NULL)
        return arena_check(s->arena, "the query", err);
    if (!group_infos(s, base_group, err))
        return false;
    for (size_t i = 0; i < s->base.count; i++) {
        if (!enrich(s, &s->base.items[i], base_group[i], err))
            return false;
    }
    return true;
}

SPECIAL(special_info)
{
    (void)scalar;
    struct arena *arena = eval_arena(ev);
    struct info *s = arena_calloc(arena, 1, sizeof(*s));
    if (s == NULL) {
        arena_free(arena);
        return error_set(err, ERR_LIMIT, "the query needs more memory than its limit");
    }
    s->ev = ev;
    s->arena = arena;
    s->grid = grid;
    s->wanted = call->call.count > 1 ? &node_unwrap(call->call.arguments[1])->selector : NULL;
    s->groups = label_index_new(arena);
    s->results = label_index_new(arena);
    bool ok = enrich_all(s, call->call.arguments[0], err) && columns_emit(ev, &s->out, sink, err);
    columns_release(ev, &s->base);
    matcher_done(&s->added);
    label_index_free(s->groups);
    label_index_free(s->results);
    arena_free(arena);
    return ok;
}
