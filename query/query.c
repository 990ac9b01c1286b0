/*
 * query.c - the facade (see query.h): limits, parsing, running, results.
 *
 * The result's arena holds the series; everything that evaluation needs besides
 * lies in arenas of its own and is gone when query_run() returns.
 */
#include "query/query.h"

#include "base/buffer.h"
#include "base/clock.h"
#include "base/duration.h"
#include "base/error.h"
#include "base/matcher.h"
#include "base/memory.h"
#include "query/annotations.h"
#include "query/dialect.h"
#include "query/eval_internal.h"
#include "query/explain.h"
#include "query/log_query.h"
#include "query/logql_format.h"
#include "query/parse.h"
#include "query/print.h"
#include "query/shared.h"
#include "storage/store.h"

#include <stdlib.h>
#include <string.h>

/* Arenas take memory by the block: small ones cost more than what they hold. */
enum { MEMORY_SLACK = 4 << 20 };

static const struct dialect *dialect_of(enum query_language language)
{
    return language == QUERY_PROMQL ? &dialect_promql : &dialect_logql;
}

static void fill_limits(struct query_limits *l)
{
    if (l->series_max == 0)
        l->series_max = 500000;
    if (l->samples_max == 0)
        l->samples_max = 50000000;
    if (l->points_max == 0)
        l->points_max = 11000;
    if (l->memory_max == 0)
        l->memory_max = (size_t)512 << 20;
    if (l->timeout_ns == 0)
        l->timeout_ns = 2 * NS_PER_MINUTE;
    if (l->text_max == 0)
        l->text_max = 128 << 10;
    if (l->depth_max == 0)
        l->depth_max = 100;
}

static int64_t whole_ms(int64_t ns)
{
    return ns / NS_PER_MS * NS_PER_MS;
}

static struct query_request normal_request(const struct query_request *request)
{
    struct query_request r = *request;
    fill_limits(&r.limits);
    if (r.instant)
        r.start_ns = r.end_ns;
    if (r.lookback_ns <= 0)
        r.lookback_ns = 5 * NS_PER_MINUTE;
    if (r.default_step_ns <= 0)
        r.default_step_ns = NS_PER_MINUTE;
    if (r.language == QUERY_PROMQL) {
        r.start_ns = whole_ms(r.start_ns);
        r.end_ns = whole_ms(r.end_ns);
        r.step_ns = whole_ms(r.step_ns);
        r.lookback_ns = whole_ms(r.lookback_ns);
    }
    return r;
}

static struct ast *parse(enum query_language language, struct slice text, unsigned features,
                         const struct query_limits *limits, struct error *err)
{
    if (text.size > limits->text_max)
        return error_null(err, ERR_LIMIT, "the query has %zu bytes, the limit is %zu", text.size,
                          limits->text_max);
    return parse_query(dialect_of(language), text, features, limits->depth_max, err);
}

static bool make_grid(const struct query_request *r, struct grid *grid, struct error *err)
{
    *grid = (struct grid){r->start_ns, r->step_ns, 1};
    if (r->instant)
        return true;
    if (r->step_ns <= 0)
        return error_set(err, ERR_INVALID,
                         "zero or negative query resolution step widths are not accepted. Try a "
                         "positive integer");
    if (r->end_ns < r->start_ns)
        return error_set(err, ERR_INVALID, "end timestamp must not be before start time");
    uint64_t steps = ((uint64_t)r->end_ns - (uint64_t)r->start_ns) / (uint64_t)r->step_ns;
    if (steps > r->limits.points_max)
        return error_set(err, ERR_INVALID,
                         "exceeded maximum resolution of %llu points per timeseries. Try "
                         "decreasing the query resolution (?step=XX)",
                         (unsigned long long)r->limits.points_max);
    grid->steps = (size_t)steps + 1;
    return true;
}

/* ---- results --------------------------------------------------------------------------- */

static bool no_memory(struct query_result *result, struct error *err)
{
    return arena_check(result->arena, "the result", err);
}

static int compare_series(const void *a, const void *b)
{
    return labels_compare(((const struct query_series *)a)->labels,
                          ((const struct query_series *)b)->labels);
}

static bool points_of(struct query_series *series, const struct column *column,
                      const struct grid *grid, struct query_result *result, struct error *err)
{
    size_t count = 0;
    for (size_t i = 0; i < grid->steps; i++)
        count += column->cells[i] != CELL_NONE;
    series->points = arena_calloc(result->arena, count, sizeof(*series->points));
    if (series->points == NULL)
        return no_memory(result, err);
    series->count = 0;
    for (size_t i = 0; i < grid->steps; i++) {
        if (column->cells[i] == CELL_NONE)
            continue;
        struct query_point *point = &series->points[series->count++];
        point->time_ns = grid_time(grid, i);
        point->value = column->values[i];
        if (column->cells[i] == CELL_HISTOGRAM)
            point->histogram = column->histograms[i];
    }
    return true;
}

/* Columns become series; names that were to go go now. */
static bool take_columns(struct evaluation *ev, struct columns *columns,
                         struct query_result *result, struct error *err)
{
    size_t limit = ev->request->limits.result_series_max;
    for (size_t i = 0; i < columns->count; i++) {
        if (columns->items[i].drop_name)
            columns->items[i].labels =
                labels_drop_metadata(result->arena, columns->items[i].labels);
    }
    if (!columns_unite(ev, columns, ev->grid.steps, result->arena, err))
        return false;
    if (limit > 0 && columns->count > limit)
        return error_set(err, ERR_LIMIT, "the query gives %zu series, the limit is %zu",
                         columns->count, limit);
    result->series = arena_calloc(result->arena, columns->count, sizeof(*result->series));
    if (result->series == NULL)
        return no_memory(result, err);
    for (size_t i = 0; i < columns->count; i++) {
        struct query_series *series = &result->series[result->series_count++];
        series->labels = columns->items[i].labels;
        if (!points_of(series, &columns->items[i], &ev->grid, result, err))
            return false;
    }
    return true;
}

static bool run_vector(struct evaluation *ev, const struct node *root, struct query_result *result,
                       struct error *err)
{
    struct columns columns;
    struct arena *arena = result->arena;
    if (!eval_collect(ev, root, &ev->grid, arena, &columns, err) ||
        !take_columns(ev, &columns, result, err))
        return false;
    result->type = ev->request->instant ? RESULT_VECTOR : RESULT_MATRIX;
    if (!ev->request->instant || (ev->dialect->sort_vectors && !query_is_ordered(root)))
        qsort(result->series, result->series_count, sizeof(*result->series), compare_series);
    return true;
}

static bool run_scalar(struct evaluation *ev, const struct node *root, struct query_result *result,
                       struct error *err)
{
    struct column column;
    if (!column_init(&column, (struct labels){NULL, 0}, ev->grid.steps, result->arena))
        return no_memory(result, err);
    if (!eval_scalar(ev, root, &ev->grid, column.values, err))
        return false;
    memset(column.cells, CELL_FLOAT, ev->grid.steps);
    if (ev->request->instant) {
        result->type = RESULT_SCALAR;
        result->scalar =
            (struct query_point){.time_ns = ev->grid.start_ns, .value = column.values[0]};
        return true;
    }
    struct columns columns = {0};
    result->type = RESULT_MATRIX;
    return columns_push(&columns, column, result->arena) ? take_columns(ev, &columns, result, err)
                                                         : no_memory(result, err);
}

static bool run_string(struct evaluation *ev, const struct node *root, struct query_result *result,
                       struct error *err)
{
    if (!ev->request->instant)
        return error_set(err, ERR_INVALID,
                         "invalid expression type \"string\" for range query, must be Scalar or "
                         "instant Vector");
    result->type = RESULT_STRING;
    result->scalar.time_ns = ev->grid.start_ns;
    result->string = arena_copy(result->arena, node_unwrap(root)->string);
    return no_memory(result, err);
}

static bool run_matrix(struct evaluation *ev, const struct node *root, struct query_result *result,
                       struct error *err)
{
    if (!ev->request->instant)
        return error_set(err, ERR_INVALID,
                         "invalid expression type \"range vector\" for range query, must be Scalar "
                         "or instant Vector");
    result->type = RESULT_MATRIX;
    if (!range_vector(ev, node_unwrap(root), result, err))
        return false;
    if (result->series_count > 1)
        qsort(result->series, result->series_count, sizeof(*result->series), compare_series);
    return true;
}

static bool start_counting(struct evaluation *ev, struct query_result *result, struct error *err)
{
    if (!ev->request->count_steps)
        return true;
    result->stats.steps = ev->grid.steps;
    result->stats.step_samples = ev->step_samples =
        arena_calloc(result->arena, ev->grid.steps, sizeof(uint64_t));
    return arena_check(result->arena, "the statistics", err);
}

static bool run_root(struct evaluation *ev, struct ast *ast, struct query_result *result,
                     struct error *err)
{
    const struct node *root = ast_root(ast);
    if (!log_pipelines_check(root, err))
        return false;
    if (root->type == TYPE_LINES)
        return log_query_run(ev, node_unwrap(root), result, err);
    if (!make_grid(ev->request, &ev->grid, err) || !start_counting(ev, result, err) ||
        !query_prepare(ast, ev, err))
        return false;
    switch (root->type) {
    case TYPE_VECTOR:
        return run_vector(ev, root, result, err);
    case TYPE_SCALAR:
        return run_scalar(ev, root, result, err);
    case TYPE_STRING:
        return run_string(ev, root, result, err);
    case TYPE_MATRIX:
        return run_matrix(ev, root, result, err);
    default:
        return error_set(err, ERR_INTERNAL, "the query has no type");
    }
}

/* What was left out because it is damaged on disk is the first of the warnings. */
static void note_damage(struct annotations *annotations, struct store_damage *damage)
{
    size_t count = store_damage_count(damage);
    size_t *have = &annotations->count[ANNOTATION_WARNING];
    struct slice *items = annotations->items[ANNOTATION_WARNING];
    if (count > ANNOTATIONS_MAX - *have)
        count = ANNOTATIONS_MAX - *have;
    for (size_t i = 0; i < count; i++) {
        struct slice text = arena_printf(annotations->arena, "damaged data was left out: %s",
                                         store_damage_text(damage, i));
        if (text.data != NULL)
            items[(*have)++] = text;
    }
}

static void take_annotations(struct query_result *result, struct annotations *annotations)
{
    struct slice **out[] = {&result->warnings, &result->infos};
    size_t *count[] = {&result->warning_count, &result->info_count};
    for (int level = 0; level < ANNOTATION_LEVELS; level++) {
        size_t n = annotations->count[level];
        *out[level] = arena_calloc(result->arena, n, sizeof(struct slice));
        if (*out[level] == NULL)
            continue;
        *count[level] = n;
        for (size_t i = 0; i < n; i++)
            (*out[level])[i] = annotation_text(annotations, (enum annotation_level)level, i);
    }
}

struct query_result *query_result_new(enum query_result_type type, size_t memory_max)
{
    struct query_limits limits = {.memory_max = memory_max};
    fill_limits(&limits);
    struct query_result *result = xcalloc(1, sizeof(*result));
    result->type = type;
    budget_init(&result->memory, limits.memory_max + MEMORY_SLACK);
    result->arena = arena_new_shared(limits.memory_max, &result->memory);
    return result;
}

static void sum_steps(struct query_stats *stats)
{
    for (size_t i = 0; i < stats->steps; i++)
        stats->queryable += stats->step_samples[i];
}

/* `explain` is NULL but for query_explain(). */
static struct query_result *run(struct store *store, const struct query_request *r, struct ast *ast,
                                struct explain *explain, struct error *err)
{
    struct query_result *result = query_result_new(RESULT_VECTOR, r->limits.memory_max);
    struct annotations *annotations = xcalloc(1, sizeof(*annotations));
    annotations->arena = result->arena;
    annotations->text = ast_text(ast);
    struct evaluation ev = {
        .store = store,
        .request = r,
        .dialect = dialect_of(r->language),
        .text = ast_text(ast),
        .arena = result->arena,
        .annotations = annotations,
        .damage = store_damage_new(),
        .stats = &result->stats,
        .memory = &result->memory,
        .explain = explain,
        .deadline_ns = ns_add(clock_monotonic_ns(), r->limits.timeout_ns),
    };
    if (r->language == QUERY_PROMQL)
        ev.shared = shared_new(ast_root(ast));
    bool ok = run_root(&ev, ast, result, err);
    shared_free(ev.shared);
    if (ok) {
        note_damage(annotations, ev.damage);
        take_annotations(result, annotations);
    }
    ok = ok && arena_check(result->arena, "the result", err);
    free(annotations);
    store_view_close(ev.view);
    store_damage_free(ev.damage);
    if (!ok) {
        query_result_free(result);
        return NULL;
    }
    sum_steps(&result->stats);
    result->varies = ev.varies;
    return result;
}

static struct query_result *parse_and_run(struct store *store, const struct query_request *request,
                                          struct explain *explain, struct buffer *out,
                                          struct error *err)
{
    int64_t started = clock_monotonic_ns();
    struct query_request r = normal_request(request);
    AUTO(ast_drop) struct ast *ast = parse(r.language, r.text, r.features, &r.limits, err);
    if (ast == NULL)
        return NULL;
    int64_t parsed = clock_monotonic_ns();
    struct query_result *result = run(store, &r, ast, explain, err);
    if (result == NULL)
        return NULL;
    result->stats.parse_ns = parsed - started;
    result->stats.evaluate_ns = clock_monotonic_ns() - parsed;
    if (explain)
        explain_json(explain, ast_root(ast), out);
    return result;
}

struct query_result *query_run(struct store *store, const struct query_request *request,
                               struct error *err)
{
    return parse_and_run(store, request, NULL, NULL, err);
}

bool query_explain(struct store *store, const struct query_request *request, struct buffer *out,
                   struct query_stats *stats, struct error *err)
{
    struct explain explain = {0};
    struct query_result *result = parse_and_run(store, request, &explain, out, err);
    array_done(&explain.nodes);
    if (result == NULL)
        return false;
    *stats = result->stats;
    stats->step_samples = NULL;
    query_result_free(result);
    return buffer_check(out, "the plan", err);
}

void query_result_free(struct query_result *result)
{
    if (result == NULL)
        return;
    arena_free(result->arena);
    free(result);
}

/* ---- without running ------------------------------------------------------------------------- */

bool query_check(enum query_language language, struct slice text, unsigned features, bool *is_log,
                 struct error *err)
{
    struct query_limits limits = {0};
    fill_limits(&limits);
    AUTO(ast_drop) struct ast *ast = parse(language, text, features, &limits, err);
    if (ast == NULL)
        return false;
    if (!log_pipelines_check(ast_root(ast), err))
        return false;
    if (is_log)
        *is_log = ast_root(ast)->type == TYPE_LINES;
    return true;
}

bool query_print(enum query_language language, struct slice text, unsigned features,
                 struct buffer *out, struct error *err)
{
    struct query_limits limits = {0};
    fill_limits(&limits);
    AUTO(ast_drop) struct ast *ast = parse(language, text, features, &limits, err);
    if (ast == NULL)
        return false;
    node_print(ast_root(ast), out);
    return buffer_check(out, "the query's text", err);
}

bool query_format(enum query_language language, struct slice text, unsigned features,
                  struct buffer *out, struct error *err)
{
    struct query_limits limits = {0};
    fill_limits(&limits);
    AUTO(ast_drop) struct ast *ast = parse(language, text, features, &limits, err);
    if (ast == NULL)
        return false;
    if (language == QUERY_LOGQL)
        logql_format(ast_root(ast), out);
    else
        promql_format(ast_root(ast), out);
    return buffer_check(out, "the query's text", err);
}

bool query_tree(struct slice text, unsigned features, struct buffer *out, struct error *err)
{
    struct query_limits limits = {0};
    fill_limits(&limits);
    AUTO(ast_drop) struct ast *ast = parse(QUERY_PROMQL, text, features, &limits, err);
    if (ast == NULL)
        return false;
    ast_json(ast_root(ast), out);
    return buffer_check(out, "the query's tree", err);
}

static bool copy_matchers(const struct selector *s, struct matcher **matchers, size_t *count,
                          struct arena *arena, struct error *err)
{
    struct matcher *items = arena_calloc(arena, s->matcher_count, sizeof(*items));
    if (items == NULL)
        return arena_check(arena, "the matchers", err);
    for (size_t i = 0; i < s->matcher_count; i++) {
        struct slice name = arena_copy(arena, s->matchers[i].name);
        struct slice value = arena_copy(arena, s->matchers[i].value);
        if (!arena_check(arena, "the matchers", err) ||
            !matcher_init(&items[i], s->matchers[i].type, name, value, err)) {
            query_selector_free(items, i);
            return false;
        }
    }
    *matchers = items;
    *count = s->matcher_count;
    return true;
}

bool query_parse_selector(enum query_language language, struct slice text,
                          struct matcher **matchers, size_t *count, struct arena *arena,
                          struct error *err)
{
    struct query_limits limits = {0};
    fill_limits(&limits);
    AUTO(ast_drop) struct ast *ast = parse(language, text, 0, &limits, err);
    if (ast == NULL)
        return false;
    const struct node *root = ast_root(ast);
    if (root->kind != NODE_SELECTOR || root->selector.ranged || root->selector.shift.has_offset ||
        root->selector.shift.at != AT_NONE)
        return error_set(err, ERR_INVALID, "\"%.*s\" is not a plain selector",
                         SLICE_ARG(slice_sub(text, 0, 200)));
    return copy_matchers(&root->selector, matchers, count, arena, err);
}

void query_selector_free(struct matcher *matchers, size_t count)
{
    for (size_t i = 0; i < count; i++)
        matcher_done(&matchers[i]);
}

/* ---- the selectors of a text ------------------------------------------------------------------
 */

struct collecting {
    struct arena *arena;
    struct query_selector *items;
    size_t count, capacity;
};

static bool collect(struct collecting *c, const struct node *node, struct error *err);

static bool collect_selector(struct collecting *c, const struct selector *selector,
                             struct error *err)
{
    if (selector->leaf != LEAF_METRIC)
        return true;
    struct query_selector *grown =
        arena_grow(c->arena, c->items, c->count, &c->capacity, c->count + 1, sizeof(*grown));
    if (grown == NULL)
        return arena_check(c->arena, "the selectors", err);
    c->items = grown;
    if (!copy_matchers(selector, &grown[c->count].matchers, &grown[c->count].count, c->arena, err))
        return false;
    c->count++;
    return true;
}

static bool collect_call(struct collecting *c, const struct call *call, struct error *err)
{
    for (size_t i = 0; i < call->count; i++) {
        if (!collect(c, call->arguments[i], err))
            return false;
    }
    return true;
}

/* As deep as the parser lets a tree be. */
static bool collect(struct collecting *c, const struct node *node, struct error *err)
{
    if (node == NULL)
        return true;
    switch (node->kind) {
    case NODE_NUMBER:
    case NODE_STRING:
        return true;
    case NODE_PAREN:
        return collect(c, node->inner, err);
    case NODE_UNARY:
        return collect(c, node->unary.operand, err);
    case NODE_SELECTOR:
        return collect_selector(c, &node->selector, err);
    case NODE_SUBQUERY:
        return collect(c, node->subquery.inner, err);
    case NODE_BINARY:
        return collect(c, node->binary.left, err) && collect(c, node->binary.right, err);
    case NODE_AGGREGATION:
        return collect(c, node->aggregation.argument, err) &&
               collect(c, node->aggregation.parameter, err);
    case NODE_CALL:
        return collect_call(c, &node->call, err);
    }
    return error_set(err, ERR_INTERNAL, "unknown node");
}

bool query_selectors(struct slice text, unsigned features, struct arena *arena,
                     struct query_selector **selectors, size_t *count, struct error *err)
{
    struct query_limits limits = {0};
    fill_limits(&limits);
    AUTO(ast_drop) struct ast *ast = parse(QUERY_PROMQL, text, features, &limits, err);
    if (ast == NULL)
        return false;
    struct collecting c = {.arena = arena};
    if (!collect(&c, ast_root(ast), err)) {
        for (size_t i = 0; i < c.count; i++)
            query_selector_free(c.items[i].matchers, c.items[i].count);
        return false;
    }
    *selectors = c.items;
    *count = c.count;
    return true;
}
