/*
 * logql_parse.c - the LogQL dialect: selectors with their pipelines and ranges, and
 * the rules that hold beyond the grammar.
 *
 * Expressions are parsed by the shared parser.  A selector is a log leaf; one
 * with a metric name is a leaf of the other language and goes to the shared
 * metric selector.  A range may stand before or after the pipeline, or behind a
 * selector in parentheses.
 */
#include "base/arena.h"
#include "base/duration.h"
#include "base/error.h"
#include "base/matcher.h"
#include "base/regex.h"
#include "query/dialect.h"
#include "query/function.h"
#include "query/leaf_log.h"
#include "query/log_parse.h"
#include "query/logql.h"
#include "query/pipeline.h"

enum { STAGES_MAX = 500 };

/* ---- range and offset ------------------------------------------------------- */

static bool parse_log_range(struct parser *p, struct selector *s, struct error *err)
{
    if (!parser_advance(p, err))
        return false;
    if (!parser_at(p, TOKEN_DURATION) || !duration_parse_prometheus(p->token.text, &s->range_ns)) {
        parser_unexpected(p, "range", "a duration", err);
        return false;
    }
    s->ranged = true;
    return parser_advance(p, err) && parser_expect(p, TOKEN_RIGHT_BRACKET, "range", err);
}

static bool parse_log_offset(struct parser *p, struct selector *s, struct error *err)
{
    if (!parser_advance(p, err))
        return false;
    bool minus = parser_at(p, TOKEN_MINUS);
    if (minus && !parser_advance(p, err))
        return false;
    if (!parser_at(p, TOKEN_DURATION) ||
        !token_duration(p->dialect, p->token, &s->shift.offset_ns)) {
        parser_unexpected(p, "offset", "a duration", err);
        return false;
    }
    if (minus)
        s->shift.offset_ns = -s->shift.offset_ns;
    s->shift.has_offset = true;
    return parser_advance(p, err);
}

/* ---- selectors ---------------------------------------------------------------- */

static bool attach_pipeline(struct parser *p, struct selector *s, const struct log_stages *stages,
                            const struct log_unwrap *unwrap, struct error *err)
{
    struct log_stage *copy = arena_calloc(p->arena, stages->count + 1, sizeof(*copy));
    struct pipeline *pipeline = arena_calloc(p->arena, 1, sizeof(*pipeline));
    if (copy == NULL || pipeline == NULL)
        return arena_check(p->arena, "the query's tree", err);
    for (size_t i = 0; i < stages->count; i++)
        copy[i] = stages->items[i];
    *pipeline = (struct pipeline){copy, stages->count, unwrap};
    s->pipeline = pipeline;
    return true;
}

/* The pipeline stands before the range or behind it, not on both sides. */
static bool parse_stages(struct parser *p, struct selector *s, struct log_stages *stages,
                         struct log_unwrap **unwrap, struct error *err)
{
    bool closed = false;
    for (;;) {
        if (parser_at(p, TOKEN_LEFT_BRACKET) && !s->ranged) {
            closed = stages->count > 0;
            if (!parse_log_range(p, s, err))
                return false;
        } else if (parser_at_keyword(p, "offset") && s->ranged && !s->shift.has_offset) {
            if (!parse_log_offset(p, s, err))
                return false;
        } else if (log_stage_starts(p) && *unwrap == NULL && !closed) {
            struct log_stage stage;
            if (stages->count == STAGES_MAX)
                return error_set_at(err, ERR_INVALID, p->token.start,
                                    "a pipeline has more than %d stages, the limit", STAGES_MAX);
            if (!log_stage_parse(p, &stage, unwrap, err))
                return false;
            if (*unwrap == NULL)
                array_push(stages, stage);
        } else {
            return true;
        }
    }
}

struct node *parser_log_selector(struct parser *p, struct node *node, struct error *err)
{
    struct selector *s = &node->selector;
    struct log_stages stages = {0};
    struct log_unwrap *unwrap = NULL;
    s->leaf = LEAF_LOG;
    bool ok =
        parse_stages(p, s, &stages, &unwrap, err) && attach_pipeline(p, s, &stages, unwrap, err);
    array_done(&stages);
    if (!ok)
        return NULL;
    node->type = s->ranged ? TYPE_MATRIX : TYPE_LINES;
    node->end = p->end;
    return node;
}

struct node *parser_log_suffixes(struct parser *p, struct node *node, struct error *err)
{
    struct node *inner = node;
    while (inner->kind == NODE_PAREN)
        inner = inner->inner;
    if (inner->kind != NODE_SELECTOR || inner->selector.leaf != LEAF_LOG)
        return node;
    if (parser_at(p, TOKEN_LEFT_BRACKET) && !inner->selector.ranged &&
        !parse_log_range(p, &inner->selector, err))
        return NULL;
    if (parser_at_keyword(p, "offset") && inner->selector.ranged &&
        !inner->selector.shift.has_offset && !parse_log_offset(p, &inner->selector, err))
        return NULL;
    if (inner->selector.ranged) {
        for (struct node *n = node; n != inner; n = n->inner)
            n->type = TYPE_MATRIX;
        inner->type = TYPE_MATRIX;
    }
    return node;
}

static bool has_metric_name(const struct selector *s)
{
    for (size_t i = 0; i < s->matcher_count; i++) {
        if (slice_equal(s->matchers[i].name, LABEL_NAME_METRIC))
            return true;
    }
    return false;
}

static struct node *parse_selector(struct parser *p, struct error *err)
{
    if (!parser_at(p, TOKEN_LEFT_BRACE))
        return parser_metric_selector(p, err);
    struct node *node = parser_node(p, NODE_SELECTOR, TYPE_LINES, p->token.start, err);
    if (node == NULL || !parser_matchers(p, &node->selector, false, err))
        return NULL;
    struct selector *s = &node->selector;
    for (size_t i = 0; i < s->matcher_count; i++) {
        if (logql_is_reserved(s->matchers[i].name))
            return parser_fail(p, node->start, err, "unexpected %.*s, expecting IDENTIFIER or }",
                               SLICE_ARG(s->matchers[i].name));
    }
    if (!has_metric_name(s))
        return parser_log_selector(p, node, err);
    s->leaf = LEAF_METRIC;
    node->type = TYPE_VECTOR;
    node->end = p->end;
    return node;
}

/* ---- rules beyond the grammar ---------------------------------------------------- */

static bool refuse(struct error *err, const char *what, const char *name)
{
    return error_set(err, ERR_INVALID, "parse error : %s%s", what, name);
}

static bool check_range_aggregation(const struct node *node, struct error *err)
{
    const struct function *f = node->call.function;
    for (size_t i = 0; i < node->call.count; i++) {
        const struct node *argument = node_unwrap(node->call.arguments[i]);
        if (argument->kind != NODE_SELECTOR || argument->selector.leaf != LEAF_LOG)
            continue;
        bool unwraps = argument->selector.pipeline->unwrap != NULL;
        if (unwraps && !log_operation_takes_unwrap(f->log_operation))
            return error_set(err, ERR_INVALID, "parse error : invalid aggregation %.*s with unwrap",
                             SLICE_ARG(f->name));
        if (!unwraps && log_operation_needs_unwrap(f->log_operation))
            return error_set(err, ERR_INVALID,
                             "parse error : invalid aggregation %.*s without unwrap",
                             SLICE_ARG(f->name));
    }
    return true;
}

/* A number as it was written: no sign, no operators. */
static bool is_plain_number(const struct parser *p, const struct node *node)
{
    char first = node->start < ast_text(p->ast).size ? ast_text(p->ast).data[node->start] : '\0';
    return node->kind == NODE_NUMBER && ((first >= '0' && first <= '9') || first == '.');
}

static bool check_label_replace(const struct node *node, struct error *err)
{
    const struct node *pattern = node->call.arguments[4];
    struct regex *regex = regex_new(pattern->string, REGEX_ANCHORED, err);
    if (regex == NULL)
        return error_prefix(err, "parse error : invalid regex in label_replace");
    regex_free(regex);
    return true;
}

static bool check_call(const struct parser *p, const struct node *node, struct error *err)
{
    const struct function *f = node->call.function;
    if (f->kind == FUNCTION_LOG && !check_range_aggregation(node, err))
        return false;
    for (size_t i = 0; i < node->call.count; i++) {
        const struct node *argument = node->call.arguments[i];
        if (argument->type == TYPE_SCALAR && !is_plain_number(p, argument))
            return error_set_at(err, ERR_INVALID, argument->start,
                                "unexpected expression in %.*s(), expecting NUMBER",
                                SLICE_ARG(f->name));
    }
    return !slice_equal(f->name, SLICE("label_replace")) || check_label_replace(node, err);
}

static bool check_aggregation(const struct parser *p, const struct node *node, struct error *err)
{
    const struct aggregation *a = &node->aggregation;
    const char *name = aggregator_text(a->op);
    if ((a->op == AGG_SORT || a->op == AGG_SORT_DESC) && a->grouping.present)
        return refuse(err, "sort and sort_desc doesn't allow grouping by ", "");
    if (a->op == AGG_APPROX_TOPK && a->grouping.present)
        return refuse(err, "grouping not allowed for approx_topk aggregation", "");
    if (a->parameter == NULL)
        return true;
    if (!is_plain_number(p, a->parameter))
        return error_set_at(err, ERR_INVALID, a->parameter->start,
                            "unexpected expression in %s(), expecting NUMBER", name);
    double k = a->parameter->number.value;
    if (!(k >= 1) || k > INT32_MAX || k != (double)(int32_t)k)
        return refuse(err, "invalid parameter (must be greater than 0) ", name);
    return true;
}

/* sum by (x) (count_over_time({..}[5m])): the leaf need not tell the summed series apart. */
static void reduce_early(struct node *node)
{
    static const struct grouping nothing = {.present = true};
    struct aggregation *a = &node->aggregation;
    struct node *inner = a->argument;
    while (inner->kind == NODE_PAREN)
        inner = inner->inner;
    if (a->op != AGG_SUM || inner->kind != NODE_CALL || inner->call.grouping.present ||
        inner->call.function->kind != FUNCTION_LOG)
        return;
    switch (inner->call.function->log_operation) {
    case LOG_COUNT_OVER_TIME:
    case LOG_RATE:
    case LOG_BYTES_OVER_TIME:
    case LOG_BYTES_RATE:
    case LOG_SUM_OVER_TIME:
        inner->call.reduce = a->grouping.present ? &a->grouping : &nothing;
        return;
    default:
        return;
    }
}

/* The parser limits how deep a tree is. */
static bool check_node(const struct parser *p, struct node *node, struct error *err)
{
    switch (node->kind) {
    case NODE_CALL:
        for (size_t i = 0; i < node->call.count; i++) {
            if (!check_node(p, node->call.arguments[i], err))
                return false;
        }
        return check_call(p, node, err);
    case NODE_AGGREGATION:
        reduce_early(node);
        return check_node(p, node->aggregation.argument, err) && check_aggregation(p, node, err);
    case NODE_BINARY:
        return check_node(p, node->binary.left, err) && check_node(p, node->binary.right, err);
    case NODE_PAREN:
        return check_node(p, node->inner, err);
    case NODE_UNARY:
        return check_node(p, node->unary.operand, err);
    case NODE_SUBQUERY:
        return check_node(p, node->subquery.inner, err);
    default:
        return true;
    }
}

/* Loki refuses a word alone; as part of an expression, or with braces, it is a metric's name. */
static bool is_word(const struct node *node)
{
    return node->kind == NODE_SELECTOR && node->selector.leaf == LEAF_METRIC &&
           node->end - node->start == node->selector.name.size;
}

static bool check_tree(struct parser *p, struct node *root, struct error *err)
{
    const struct node *top = node_unwrap(root);
    if (is_word(top))
        return error_set_at(err, ERR_INVALID, top->start, "unexpected IDENTIFIER");
    if (root->type == TYPE_LINES && top->selector.pipeline->unwrap)
        return error_set_at(err, ERR_INVALID, root->start, "unexpected unwrap");
    if (root->type == TYPE_MATRIX)
        return error_set_at(err, ERR_INVALID, root->start, "unexpected RANGE");
    return check_node(p, root, err);
}

static void parse_error_prefix(struct error *err, int line, int column)
{
    error_prefix(err, "parse error at line %d, col %d: syntax error", line, column);
}

/* ---- the dialect -------------------------------------------------------------------- */

#define BIT(n) (UINT32_C(1) << (n))

const struct dialect dialect_logql = {
    .name = "LogQL",
    .go_durations = true,
    .byte_sizes = true,
    .flags = true,
    .keywords_any_case = true,
    .range_after_log = true,
    .selector_alone_is_lines = true,
    .set_grouping = true,
    .fold_literals = true,
    .aggregators = BIT(AGG_SUM) | BIT(AGG_AVG) | BIT(AGG_MIN) | BIT(AGG_MAX) | BIT(AGG_COUNT) |
                   BIT(AGG_STDDEV) | BIT(AGG_STDVAR) | BIT(AGG_TOPK) | BIT(AGG_BOTTOMK) |
                   BIT(AGG_SORT) | BIT(AGG_SORT_DESC) | BIT(AGG_APPROX_TOPK),
    .operators = BIT(OP_OR) | BIT(OP_AND) | BIT(OP_UNLESS) | BIT(OP_EQUAL) | BIT(OP_NOT_EQUAL) |
                 BIT(OP_LESS) | BIT(OP_LESS_EQUAL) | BIT(OP_GREATER) | BIT(OP_GREATER_EQUAL) |
                 BIT(OP_ADD) | BIT(OP_SUBTRACT) | BIT(OP_MULTIPLY) | BIT(OP_DIVIDE) |
                 BIT(OP_MODULO) | BIT(OP_POWER),
    .functions = logql_functions,
    .function_count = LOGQL_FUNCTION_COUNT,
    .leaf = LEAF_LOG,
    .parse_selector = parse_selector,
    .parse_error_prefix = parse_error_prefix,
    .check = check_tree,
    .empty_selector_text =
        "queries require at least one regexp or equality matcher that does not have an "
        "empty-compatible value. For instance, app=~\".*\" does not meet this requirement, but "
        "app=~\".+\" will",
    .zero_divides_to_nan = true,
    .empty_labels_count = true,
    .error_label_fails = true,
    .sort_vectors = true,
    .scalar_result = true,
    .scalar_as_matrix = true,
};
