/*
 * plan.c - what must be known before a tree runs: duration expressions become
 * numbers, nodes that do not depend on the step are marked, and the moment at which
 * several selectors look is taken.
 *
 * A selector or subquery is invariant when it has @; a function when all its
 * arguments are and it does not look at the evaluation time itself.  timestamp()
 * over a selector with @ is invariant, too: it gives the sample's own time.
 */
#include "base/array.h"
#include "base/error.h"
#include "query/eval_internal.h"
#include "query/function.h"
#include "query/parse_internal.h"
#include "storage/store.h"

#include <math.h>

struct plan {
    struct evaluation *ev;
    double step_seconds, range_seconds;
    enum leaf_kind leaf; /* of the first selector; a view is of one kind */
    ARRAY(struct view_selector) selectors;
};

static double plan_number(const struct plan *plan, const struct node *node)
{
    switch (node->kind) {
    case NODE_NUMBER:
        return node->number.value;
    case NODE_PAREN:
        return plan_number(plan, node->inner);
    case NODE_UNARY:
        return -plan_number(plan, node->unary.operand);
    case NODE_BINARY:
        return scalar_operation(node->binary.op, plan_number(plan, node->binary.left),
                                plan_number(plan, node->binary.right));
    case NODE_CALL:
        if (slice_equal(node->call.function->name, SLICE("step")))
            return plan->step_seconds;
        if (slice_equal(node->call.function->name, SLICE("range")))
            return plan->range_seconds;
        if (node->call.count == 2) {
            double a = plan_number(plan, node->call.arguments[0]);
            double b = plan_number(plan, node->call.arguments[1]);
            return slice_equal(node->call.function->name, SLICE("max_of")) ? fmax(a, b)
                                                                           : fmin(a, b);
        }
        return (double)NAN;
    default:
        return (double)NAN;
    }
}

static bool plan_duration(const struct plan *plan, const struct node *expression, bool positive,
                          int64_t *ns, struct error *err)
{
    if (expression == NULL)
        return true;
    double seconds = plan_number(plan, expression);
    if (isnan(seconds) || fabs(seconds) > 9223372036.0)
        return error_set_at(err, ERR_EXECUTION, expression->start, "duration is out of range");
    if (positive && !(seconds > 0))
        return error_set_at(err, ERR_EXECUTION, expression->start,
                            "duration must be greater than 0");
    *ns = (int64_t)(seconds * 1000) * NS_IN_MS;
    return true;
}

static bool plan_shift(const struct plan *plan, struct time_shift *shift, struct error *err)
{
    return plan_duration(plan, shift->offset_expression, false, &shift->offset_ns, err);
}

static bool plan_node(struct plan *plan, struct node *node, struct error *err);

static bool is_timestamp(const struct node *node)
{
    const struct node *argument =
        node->call.count == 1 ? node_unwrap(node->call.arguments[0]) : NULL;
    return argument && argument->kind == NODE_SELECTOR && argument->type == TYPE_VECTOR &&
           slice_equal(node->call.function->name, SLICE("timestamp"));
}

static bool plan_call(struct plan *plan, struct node *node, struct error *err)
{
    bool invariant = true;
    for (size_t i = 0; i < node->call.count; i++) {
        if (!plan_node(plan, node->call.arguments[i], err))
            return false;
        invariant = invariant && node->call.arguments[i]->invariant;
    }
    node->invariant = invariant && (!node->call.function->varies || is_timestamp(node));
    return true;
}

static void note_selector(struct plan *plan, const struct selector *selector)
{
    if (plan->selectors.count == 0)
        plan->leaf = selector->leaf;
    struct view_selector want = {selector->matchers, selector->matcher_count};
    if (plan->leaf == selector->leaf)
        array_push(&plan->selectors, want);
}

static bool plan_node(struct plan *plan, struct node *node, struct error *err)
{
    switch (node->kind) {
    case NODE_NUMBER:
    case NODE_STRING:
        node->invariant = true;
        return true;
    case NODE_PAREN:
        if (!plan_node(plan, node->inner, err))
            return false;
        node->invariant = node->inner->invariant;
        return true;
    case NODE_UNARY:
        if (!plan_node(plan, node->unary.operand, err))
            return false;
        node->invariant = node->unary.operand->invariant;
        return true;
    case NODE_SELECTOR:
        node->invariant = node->selector.shift.at != AT_NONE;
        note_selector(plan, &node->selector);
        return plan_shift(plan, &node->selector.shift, err) &&
               plan_duration(plan, node->selector.range_expression, true, &node->selector.range_ns,
                             err);
    case NODE_SUBQUERY:
        node->invariant = node->subquery.shift.at != AT_NONE;
        return plan_node(plan, node->subquery.inner, err) &&
               plan_shift(plan, &node->subquery.shift, err) &&
               plan_duration(plan, node->subquery.range_expression, true, &node->subquery.range_ns,
                             err) &&
               plan_duration(plan, node->subquery.step_expression, true, &node->subquery.step_ns,
                             err);
    case NODE_BINARY:
        if (!plan_node(plan, node->binary.left, err) || !plan_node(plan, node->binary.right, err))
            return false;
        node->invariant = node->binary.left->invariant && node->binary.right->invariant;
        return true;
    case NODE_AGGREGATION:
        if (!plan_node(plan, node->aggregation.argument, err) ||
            (node->aggregation.parameter && !plan_node(plan, node->aggregation.parameter, err)))
            return false;
        node->invariant = node->aggregation.argument->invariant &&
                          (!node->aggregation.parameter || node->aggregation.parameter->invariant);
        return true;
    case NODE_CALL:
        return plan_call(plan, node, err);
    }
    return error_set(err, ERR_INTERNAL, "unknown node");
}

/* Several selectors look at the same moment, or max(x) - min(x) could be less than 0. */
static bool open_view(const struct plan *plan, struct error *err)
{
    struct evaluation *ev = plan->ev;
    const struct query_request *r = ev->request;
    if (plan->selectors.count < 2)
        return true;
    ev->view = store_view_open(
        ev->store, r->tenant, plan->leaf == LEAF_LOG ? STORE_LOG : STORE_METRIC,
        plan->selectors.items, plan->selectors.count, r->limits.memory_max, r->cancel, err);
    return ev->view != NULL;
}

bool query_prepare(struct ast *ast, struct evaluation *ev, struct error *err)
{
    const struct query_request *r = ev->request;
    struct plan plan = {
        .ev = ev,
        .step_seconds = r->instant ? 0 : (double)r->step_ns / 1e9,
        .range_seconds = (double)(r->end_ns / NS_IN_MS - r->start_ns / NS_IN_MS) / 1000.0,
    };
    bool ok = plan_node(&plan, ast_root(ast), err) && open_view(&plan, err);
    array_done(&plan.selectors);
    return ok;
}
