/*
 * promql.c - the PromQL dialect: what the shared parser and evaluator read.
 *
 * A nameless selector that is followed by a line filter or a stage is a log
 * leaf (docs/query.md has the table); `!=` and `!~` stay comparison and error.
 */
#include "base/error.h"
#include "base/matcher.h"
#include "query/dialect.h"
#include "query/function.h"
#include "query/function_tables.h"
#include "query/parse.h"

#include <stdio.h>

static bool starts_pipeline(const struct parser *p)
{
    switch (p->token.kind) {
    case TOKEN_PIPE:
    case TOKEN_PIPE_EQUAL:
    case TOKEN_PIPE_MATCH:
    case TOKEN_PIPE_PATTERN:
    case TOKEN_NOT_PATTERN:
        return true;
    default:
        return false;
    }
}

static bool names_a_metric(const struct selector *selector)
{
    for (size_t i = 0; i < selector->matcher_count; i++) {
        if (slice_equal(selector->matchers[i].name, LABEL_NAME_METRIC))
            return true;
    }
    return false;
}

static struct node *parse_selector(struct parser *p, struct error *err)
{
    struct node *node = parser_metric_selector(p, err);
    if (node == NULL || !starts_pipeline(p) || names_a_metric(&node->selector))
        return node;
    return parser_log_selector(p, node, err);
}

static void parse_error_prefix(struct error *err, int line, int column)
{
    error_prefix(err, "%d:%d: parse error", line, column);
}

const struct dialect dialect_promql = {
    .name = "PromQL",
    .single_quotes = true,
    .trailing_commas = true,
    .number_forms = true,
    .keywords_any_case = true,
    .named_numbers = true,
    .quoted_names = true,
    .durations_are_numbers = true,
    .unary_any = true,
    .subqueries = true,
    .at_modifier = true,
    .strings_alone = true,
    .comparison_needs_bool = true,
    .aggregators = (1u << AGG_SUM) | (1u << AGG_AVG) | (1u << AGG_MIN) | (1u << AGG_MAX) |
                   (1u << AGG_COUNT) | (1u << AGG_GROUP) | (1u << AGG_STDDEV) | (1u << AGG_STDVAR) |
                   (1u << AGG_TOPK) | (1u << AGG_BOTTOMK) | (1u << AGG_QUANTILE) |
                   (1u << AGG_COUNT_VALUES) | (1u << AGG_LIMITK) | (1u << AGG_LIMIT_RATIO),
    .operators = (1u << OP_COUNT) - 1,
    .functions = promql_functions,
    .function_count = PROMQL_FUNCTION_COUNT,
    .leaf = LEAF_METRIC,
    .parse_selector = parse_selector,
    .parse_error_prefix = parse_error_prefix,
    .empty_selector_text = "vector selector must contain at least one non-empty matcher",
    .lookback = true,
    .stale_markers = true,
    .metadata_labels = true,
    .scalar_result = true,
    .quantile_annotations = true,
};
