/*
 * parse_expression.c - operators, calls and aggregations for both dialects.
 *
 * Binary operators by precedence climbing.  Unary minus binds as `*` does, so
 * its operand is a power: -1^2 is -(1^2).  Types are checked as soon as a node's
 * children are known, with the texts that Prometheus' users know.
 */
#include "query/parse.h"

#include "base/arena.h"
#include "base/error.h"
#include "base/number.h"
#include "query/dialect.h"
#include "query/function.h"
#include "query/parse_internal.h"
#include "query/query.h"

#include <math.h>
#include <stdio.h>

enum { PRECEDENCE_OR = 1, PRECEDENCE_POWER = 6, TEXT_SHOWN = 200 };

struct operator_word {
    const char *text; /* NULL: by token */
    enum token_kind token;
    enum binary_operator op;
    int precedence;
};

static const struct operator_word operators[] = {
    {"or", TOKEN_IDENTIFIER, OP_OR, 1},
    {"and", TOKEN_IDENTIFIER, OP_AND, 2},
    {"unless", TOKEN_IDENTIFIER, OP_UNLESS, 2},
    {NULL, TOKEN_EQUAL_EQUAL, OP_EQUAL, 3},
    {NULL, TOKEN_NOT_EQUAL, OP_NOT_EQUAL, 3},
    {NULL, TOKEN_LESS, OP_LESS, 3},
    {NULL, TOKEN_LESS_EQUAL, OP_LESS_EQUAL, 3},
    {NULL, TOKEN_GREATER, OP_GREATER, 3},
    {NULL, TOKEN_GREATER_EQUAL, OP_GREATER_EQUAL, 3},
    {NULL, TOKEN_TRIM_UPPER, OP_TRIM_UPPER, 3},
    {NULL, TOKEN_TRIM_LOWER, OP_TRIM_LOWER, 3},
    {NULL, TOKEN_PLUS, OP_ADD, 4},
    {NULL, TOKEN_MINUS, OP_SUBTRACT, 4},
    {NULL, TOKEN_MULTIPLY, OP_MULTIPLY, 5},
    {NULL, TOKEN_DIVIDE, OP_DIVIDE, 5},
    {NULL, TOKEN_MODULO, OP_MODULO, 5},
    {"atan2", TOKEN_IDENTIFIER, OP_ATAN2, 5},
    {NULL, TOKEN_POWER, OP_POWER, 6},
};

bool operator_is_set(enum binary_operator op)
{
    return op <= OP_UNLESS;
}

bool operator_is_comparison(enum binary_operator op)
{
    return op >= OP_EQUAL && op <= OP_GREATER_EQUAL;
}

static const struct operator_word *current_operator(const struct parser *p)
{
    for (size_t i = 0; i < COUNT_OF(operators); i++) {
        const struct operator_word *o = &operators[i];
        if ((p->dialect->operators >> o->op & 1) == 0 || !parser_at(p, o->token))
            continue;
        if (o->text == NULL || parser_at_keyword(p, o->text))
            return o;
    }
    return NULL;
}

/* ---- lists of labels -------------------------------------------------------- */

static bool parse_label_list(struct parser *p, const struct slice **labels, size_t *count,
                             struct error *err)
{
    if (!parser_at(p, TOKEN_LEFT_PAREN)) {
        parser_unexpected(p, "grouping opts", "\"(\"", err);
        return false;
    }
    p->lexer.braces++; /* label names have no colons */
    bool ok = parser_advance(p, err);
    struct slice *list = NULL;
    size_t used = 0, capacity = 0;
    while (ok && !parser_at(p, TOKEN_RIGHT_PAREN)) {
        struct slice name = p->token.text;
        uint32_t at = p->token.start;
        if (parser_at(p, TOKEN_STRING) && p->dialect->quoted_names) {
            ok = parser_string(p, &name, err);
        } else if (parser_at(p, TOKEN_IDENTIFIER)) {
            ok = parser_advance(p, err);
        } else {
            parser_unexpected(p, "grouping opts", "label", err);
            ok = false;
        }
        if (ok && name.size == 0)
            ok = parser_refuse(p, at, err, "invalid label name for grouping: \"\"");
        if (!ok)
            break;
        list = arena_grow(p->arena, list, used, &capacity, used + 1, sizeof(*list));
        if (list == NULL) {
            ok = arena_check(p->arena, "a list of labels", err);
            break;
        }
        list[used++] = name;
        if (parser_at(p, TOKEN_COMMA)) {
            ok = parser_advance(p, err);
            if (ok && parser_at(p, TOKEN_RIGHT_PAREN) && !p->dialect->trailing_commas) {
                parser_unexpected(p, "grouping opts", "label", err);
                ok = false;
            }
        } else if (!parser_at(p, TOKEN_RIGHT_PAREN)) {
            parser_unexpected(p, "grouping opts", "\",\" or \")\"", err);
            ok = false;
        }
    }
    p->lexer.braces--;
    if (!ok || !parser_advance(p, err))
        return false;
    *labels = list;
    *count = used;
    return true;
}

bool parser_grouping(struct parser *p, struct grouping *grouping, struct error *err)
{
    bool without = parser_at_keyword(p, "without");
    if (!without && !parser_at_keyword(p, "by"))
        return true;
    struct grouping found = {.present = true, .without = without};
    if (!parser_advance(p, err) || !parse_label_list(p, &found.labels, &found.count, err))
        return false;
    *grouping = found;
    return true;
}

/* ---- binary operators --------------------------------------------------------- */

static bool parse_fill_value(struct parser *p, double *value, struct error *err)
{
    if (!parser_advance(p, err) || !parser_expect(p, TOKEN_LEFT_PAREN, "fill modifier", err))
        return false;
    bool minus = parser_at(p, TOKEN_MINUS);
    if ((minus || parser_at(p, TOKEN_PLUS)) && !parser_advance(p, err))
        return false;
    struct number number;
    if (!parser_number(p, &number, err))
        return false;
    *value = minus ? -number.value : number.value;
    return parser_expect(p, TOKEN_RIGHT_PAREN, "fill modifier", err);
}

static bool at_fill(const struct parser *p, const char *keyword)
{
    struct token next;
    return parser_at_keyword(p, keyword) && parser_peek(p, &next, NULL) &&
           next.kind == TOKEN_LEFT_PAREN;
}

static bool parse_fill(struct parser *p, struct matching *m, struct error *err)
{
    uint32_t at = p->token.start;
    bool any = true;
    if (at_fill(p, "fill")) {
        if (!parse_fill_value(p, &m->fill_value[0], err))
            return false;
        m->fill[0] = m->fill[1] = true;
        m->fill_value[1] = m->fill_value[0];
    } else if (at_fill(p, "fill_left")) {
        m->fill[0] = true;
        if (!parse_fill_value(p, &m->fill_value[0], err))
            return false;
        m->fill[1] = at_fill(p, "fill_right");
        if (m->fill[1] && !parse_fill_value(p, &m->fill_value[1], err))
            return false;
    } else if (at_fill(p, "fill_right")) {
        m->fill[1] = true;
        if (!parse_fill_value(p, &m->fill_value[1], err))
            return false;
        m->fill[0] = at_fill(p, "fill_left");
        if (m->fill[0] && !parse_fill_value(p, &m->fill_value[0], err))
            return false;
    } else {
        any = false;
    }
    if (any && (p->features & QUERY_BINOP_FILL) == 0)
        return parser_refuse(p, at, err, "binop fill modifiers are experimental and not enabled");
    return true;
}

static bool parse_matching(struct parser *p, struct matching *m, struct error *err)
{
    bool on = parser_at_keyword(p, "on");
    if (on || parser_at_keyword(p, "ignoring")) {
        m->written = true;
        m->on = on;
        if (!parser_advance(p, err) || !parse_label_list(p, &m->labels, &m->label_count, err))
            return false;
        bool left = parser_at_keyword(p, "group_left");
        if (left || parser_at_keyword(p, "group_right")) {
            m->cardinality = left ? MANY_TO_ONE : ONE_TO_MANY;
            if (!parser_advance(p, err))
                return false;
            if (parser_at(p, TOKEN_LEFT_PAREN) &&
                !parse_label_list(p, &m->include, &m->include_count, err))
                return false;
        }
    }
    return parse_fill(p, m, err);
}

static bool check_matching(struct parser *p, struct node *node, uint32_t op_at, struct error *err)
{
    struct binary *b = &node->binary;
    struct matching *m = &b->matching;
    bool vectors = b->left->type == TYPE_VECTOR && b->right->type == TYPE_VECTOR;
    for (size_t i = 0; m->on && i < m->label_count; i++) {
        for (size_t j = 0; j < m->include_count; j++) {
            if (slice_equal(m->labels[i], m->include[j]))
                return parser_refuse(p, op_at, err,
                                     "label \"%.*s\" must not occur in ON and GROUP clause at once",
                                     SLICE_ARG(slice_sub(m->labels[i], 0, TEXT_SHOWN)));
        }
    }
    if (!vectors && m->label_count > 0)
        return parser_refuse(p, node->start, err,
                             "vector matching only allowed between instant vectors");
    if (!vectors && (m->fill[0] || m->fill[1]))
        return parser_refuse(p, node->start, err,
                             "filling in missing series only allowed between instant vectors");
    if (!operator_is_set(b->op))
        return true;
    if (!vectors)
        return parser_refuse(p, node->start, err,
                             "set operator \"%s\" not allowed in binary scalar expression",
                             operator_text(b->op));
    if (m->cardinality != ONE_TO_ONE && !p->dialect->set_grouping)
        return parser_refuse(p, node->start, err, "no grouping allowed for \"%s\" operation",
                             operator_text(b->op));
    if (m->fill[0] || m->fill[1])
        return parser_refuse(p, node->start, err,
                             "filling in missing series not allowed for set operators");
    if (m->cardinality == ONE_TO_ONE)
        m->cardinality = MANY_TO_MANY;
    return true;
}

static bool check_binary(struct parser *p, struct node *node, uint32_t op_at, struct error *err)
{
    struct binary *b = &node->binary;
    const struct node *sides[] = {b->left, b->right};
    if (b->return_bool && !operator_is_comparison(b->op))
        return parser_refuse(p, op_at, err,
                             "bool modifier can only be used on comparison operators");
    for (int i = 0; i < 2; i++) {
        if (sides[i]->type != TYPE_SCALAR && sides[i]->type != TYPE_VECTOR)
            return parser_refuse(p, sides[i]->start, err,
                                 "binary expression must contain only scalar and instant vector "
                                 "types");
    }
    bool scalars = b->left->type == TYPE_SCALAR && b->right->type == TYPE_SCALAR;
    if (scalars && operator_is_comparison(b->op) && !b->return_bool &&
        p->dialect->comparison_needs_bool)
        return parser_refuse(p, op_at, err, "comparisons between scalars must use BOOL modifier");
    if (!check_matching(p, node, op_at, err))
        return false;
    node->type = scalars ? TYPE_SCALAR : TYPE_VECTOR;
    return parser_raise(p, node, b->left, err) && parser_raise(p, node, b->right, err);
}

/* Two number literals become one, where the dialect folds. */
static struct node *fold(struct node *node)
{
    const struct node *left = node_unwrap(node->binary.left);
    const struct node *right = node_unwrap(node->binary.right);
    enum binary_operator op = node->binary.op;
    if (!node->dialect->fold_literals || left->kind != NODE_NUMBER || right->kind != NODE_NUMBER)
        return node;
    double value = scalar_operation(op, left->number.value, right->number.value);
    node->kind = NODE_NUMBER;
    node->number.value = value;
    node->number.duration = false;
    node->height = 1;
    return node;
}

static struct node *parse_binary(struct parser *p, int least, struct error *err);

static struct node *parse_operation(struct parser *p, struct node *left,
                                    const struct operator_word *o, struct error *err)
{
    uint32_t op_at = p->token.start;
    struct node *node = parser_node(p, NODE_BINARY, TYPE_VECTOR, left->start, err);
    if (node == NULL || !parser_advance(p, err))
        return NULL;
    struct binary *b = &node->binary;
    b->op = o->op;
    if (o->op == OP_DIVIDE && p->dialect->zero_divides_to_nan)
        b->op = OP_DIVIDE_OR_NAN;
    b->left = left;
    if (!parser_accept_keyword(p, "bool", &b->return_bool, err) ||
        !parse_matching(p, &b->matching, err))
        return NULL;
    bool right_associative = o->op == OP_POWER;
    b->right = parse_binary(p, right_associative ? o->precedence : o->precedence + 1, err);
    if (b->right == NULL)
        return NULL;
    node->end = b->right->end;
    return check_binary(p, node, op_at, err) ? fold(node) : NULL;
}

static struct node *parse_unary(struct parser *p, struct error *err);

static struct node *parse_binary(struct parser *p, int least, struct error *err)
{
    struct node *left = parse_unary(p, err);
    while (left) {
        const struct operator_word *o = current_operator(p);
        if (o == NULL || o->precedence < least)
            return left;
        left = parse_operation(p, left, o, err);
    }
    return NULL;
}

struct node *parser_expression(struct parser *p, struct error *err)
{
    if (!parser_enter(p, err))
        return NULL;
    struct node *node = parse_binary(p, PRECEDENCE_OR, err);
    parser_leave(p);
    return node;
}

/* ---- unary operators and literals ------------------------------------------------ */

void number_negate(struct number *number)
{
    number->value = -number->value;
    number->duration_ns = number->duration_ns == INT64_MIN ? INT64_MAX : -number->duration_ns;
}

static struct node *make_unary(struct parser *p, bool minus, uint32_t start, struct node *operand,
                               struct error *err)
{
    if (operand->kind == NODE_NUMBER) {
        if (minus)
            number_negate(&operand->number);
        operand->start = start;
        return operand;
    }
    if (!p->dialect->unary_any)
        return parser_fail(p, start, err, "unary %s is allowed before a number only",
                           minus ? "minus" : "plus");
    if (operand->type != TYPE_SCALAR && operand->type != TYPE_VECTOR)
        return parser_fail(p, start, err,
                           "unary expression only allowed on expressions of type scalar or "
                           "instant vector, got \"%s\"",
                           value_type_text(operand->type));
    struct node *node = parser_node(p, NODE_UNARY, operand->type, start, err);
    if (node == NULL || !parser_raise(p, node, operand, err))
        return NULL;
    node->unary.minus = minus;
    node->unary.operand = operand;
    node->end = operand->end;
    return node;
}

static struct node *parse_operand(struct parser *p, struct error *err);
static struct node *parse_number(struct parser *p, struct error *err);

static struct node *parse_unary(struct parser *p, struct error *err)
{
    bool minus = parser_at(p, TOKEN_MINUS);
    if (!minus && !parser_at(p, TOKEN_PLUS)) {
        struct node *node = parse_operand(p, err);
        return node ? parser_suffixes(p, node, err) : NULL;
    }
    uint32_t start = p->token.start;
    if (!parser_enter(p, err))
        return NULL;
    struct node *operand = NULL;
    if (!parser_advance(p, err))
        operand = NULL;
    else if (p->dialect->unary_any)
        operand = parse_binary(p, PRECEDENCE_POWER, err);
    else if (parser_at(p, TOKEN_NUMBER)) /* the sign is the number's: -2^2 is 4 */
        operand = parse_number(p, err);
    else
        parser_unexpected(p, NULL, "NUMBER", err);
    parser_leave(p);
    return operand ? make_unary(p, minus, start, operand, err) : NULL;
}

static bool named_number(const struct parser *p, double *value)
{
    bool infinite = parser_at_keyword(p, "inf");
    if (!infinite && !parser_at_keyword(p, "nan"))
        return false;
    *value = infinite ? (double)INFINITY : (double)NAN;
    return p->dialect->named_numbers;
}

bool parser_at_number(const struct parser *p)
{
    double value;
    return parser_at(p, TOKEN_NUMBER) || named_number(p, &value) ||
           (parser_at(p, TOKEN_DURATION) && p->dialect->durations_are_numbers);
}

bool parser_number(struct parser *p, struct number *number, struct error *err)
{
    struct number n = {0};
    if (parser_at(p, TOKEN_DURATION)) {
        n.duration = true;
        if (!token_duration(p->dialect, p->token, &n.duration_ns))
            return parser_refuse(p, p->token.start, err, "bad duration \"%.*s\"",
                                 SLICE_ARG(slice_sub(p->token.text, 0, TEXT_SHOWN)));
        n.value =
            (double)(n.duration_ns / NS_IN_SECOND) + (double)(n.duration_ns % NS_IN_SECOND) / 1e9;
    } else if (parser_at(p, TOKEN_NUMBER)) {
        if (!token_number(p->dialect, p->token, &n.value))
            return parser_refuse(p, p->token.start, err, "error parsing number: \"%.*s\"",
                                 SLICE_ARG(slice_sub(p->token.text, 0, TEXT_SHOWN)));
    } else if (!named_number(p, &n.value)) {
        parser_unexpected(p, NULL, "number", err);
        return false;
    }
    *number = n;
    return parser_advance(p, err);
}

static struct node *parse_number(struct parser *p, struct error *err)
{
    struct node *node = parser_node(p, NODE_NUMBER, TYPE_SCALAR, p->token.start, err);
    if (node == NULL || !parser_number(p, &node->number, err))
        return NULL;
    node->end = p->end;
    return node;
}

static struct node *parse_text(struct parser *p, struct error *err)
{
    struct node *node = parser_node(p, NODE_STRING, TYPE_STRING, p->token.start, err);
    if (node == NULL || !parser_string(p, &node->string, err))
        return NULL;
    node->end = p->end;
    return node;
}

static struct node *parse_paren(struct parser *p, struct error *err)
{
    uint32_t start = p->token.start;
    if (!parser_advance(p, err))
        return NULL;
    struct node *inner = parser_expression(p, err);
    if (inner == NULL)
        return NULL;
    if (!parser_at(p, TOKEN_RIGHT_PAREN))
        return parser_unexpected(p, "parenthesized expression", "\")\"", err);
    if (!parser_advance(p, err))
        return NULL;
    struct node *node = parser_node(p, NODE_PAREN, inner->type, start, err);
    if (node == NULL || !parser_raise(p, node, inner, err))
        return NULL;
    node->inner = inner;
    return node;
}

/* ---- calls and aggregations --------------------------------------------------------- */

/* Arguments in parentheses; the current token is "(". */
static bool parse_arguments(struct parser *p, bool label_selector, struct node **arguments,
                            size_t *count, struct error *err)
{
    if (!parser_advance(p, err))
        return false;
    size_t used = 0;
    while (!parser_at(p, TOKEN_RIGHT_PAREN)) {
        if (used == CALL_ARGUMENTS_MAX)
            return parser_refuse(p, p->token.start, err, "a call has more than %d arguments",
                                 CALL_ARGUMENTS_MAX);
        p->empty_selectors = label_selector && used == 1;
        arguments[used] = parser_expression(p, err);
        p->empty_selectors = false;
        if (arguments[used++] == NULL)
            return false;
        if (parser_at(p, TOKEN_RIGHT_PAREN))
            break;
        uint32_t comma = p->token.start;
        if (!parser_at(p, TOKEN_COMMA)) {
            parser_unexpected(p, NULL, "\",\" or \")\"", err);
            return false;
        }
        if (!parser_advance(p, err))
            return false;
        if (parser_at(p, TOKEN_RIGHT_PAREN))
            return parser_refuse(p, comma, err,
                                 "trailing commas not allowed in function call args");
    }
    *count = used;
    return parser_advance(p, err);
}

static bool check_type(struct parser *p, const struct node *node, enum value_type wanted,
                       const char *where, struct error *err)
{
    if (node->type == wanted)
        return true;
    parser_fail(p, node->start, err, "expected type %s in %s, got %s", value_type_text(wanted),
                where, value_type_text(node->type));
    return false;
}

static bool aggregator_takes_parameter(enum aggregator op)
{
    return op == AGG_TOPK || op == AGG_BOTTOMK || op == AGG_QUANTILE || op == AGG_COUNT_VALUES ||
           op == AGG_LIMITK || op == AGG_LIMIT_RATIO || op == AGG_APPROX_TOPK;
}

static bool check_aggregation(struct parser *p, struct node *node, struct node **arguments,
                              size_t count, struct error *err)
{
    struct aggregation *a = &node->aggregation;
    size_t wanted = aggregator_takes_parameter(a->op) ? 2 : 1;
    if ((a->op == AGG_LIMITK || a->op == AGG_LIMIT_RATIO) &&
        (p->features & QUERY_EXPERIMENTAL_FUNCTIONS) == 0)
        return parser_refuse(p, node->start, err,
                             "%s() is experimental and must be enabled with "
                             "--enable-feature=promql-experimental-functions",
                             aggregator_text(a->op));
    if (count == 0)
        return parser_refuse(p, node->start, err, "no arguments for aggregate expression provided");
    if (count != wanted)
        return parser_refuse(p, node->start, err,
                             "wrong number of arguments for aggregate expression provided, "
                             "expected %zu, got %zu",
                             wanted, count);
    a->argument = arguments[wanted - 1];
    if (!check_type(p, a->argument, TYPE_VECTOR, "aggregation expression", err))
        return false;
    if (wanted == 2) {
        a->parameter = arguments[0];
        enum value_type type = a->op == AGG_COUNT_VALUES ? TYPE_STRING : TYPE_SCALAR;
        if (!check_type(p, a->parameter, type, "aggregation parameter", err) ||
            !parser_raise(p, node, a->parameter, err))
            return false;
    }
    return parser_raise(p, node, a->argument, err);
}

static struct node *parse_aggregation(struct parser *p, enum aggregator op, struct error *err)
{
    struct node *arguments[CALL_ARGUMENTS_MAX];
    size_t count;
    struct node *node = parser_node(p, NODE_AGGREGATION, TYPE_VECTOR, p->token.start, err);
    if (node == NULL || !parser_advance(p, err))
        return NULL;
    struct aggregation *a = &node->aggregation;
    a->op = op;
    if (!parser_grouping(p, &a->grouping, err))
        return NULL;
    if (!parser_at(p, TOKEN_LEFT_PAREN))
        return parser_unexpected(p, "aggregation", "\"(\"", err);
    if (!parse_arguments(p, false, arguments, &count, err))
        return NULL;
    node->end = p->end;
    if (!a->grouping.present) {
        if (!parser_grouping(p, &a->grouping, err))
            return NULL;
        node->end = p->end;
    }
    return check_aggregation(p, node, arguments, count, err) ? node : NULL;
}

/* The kind of leaf that a call's range argument reads; LEAF_METRIC for subqueries. */
static enum leaf_kind range_leaf(struct node *const *arguments, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct node *argument = node_unwrap(arguments[i]);
        if (argument->kind == NODE_SELECTOR && argument->type == TYPE_MATRIX)
            return argument->selector.leaf;
    }
    return LEAF_METRIC;
}

static const struct function *find_function(const struct parser *p, struct slice name,
                                            struct node *const *arguments, size_t count)
{
    const struct function *f =
        function_find(p->dialect->functions, p->dialect->function_count, name);
    if (f)
        return f;
    if (range_leaf(arguments, count) == LEAF_LOG)
        return function_find(log_range_functions, log_range_function_count, name);
    return function_find(metric_range_functions, metric_range_function_count, name);
}

static bool check_count(struct parser *p, const struct node *node, struct slice name,
                        struct error *err)
{
    const struct function *f = node->call.function;
    size_t count = node->call.count, least = f->parameter_count;
    if (f->variadic == 0 && count != least)
        return parser_refuse(p, node->start, err,
                             "expected %zu argument(s) in call to \"%.*s\", got %zu", least,
                             SLICE_ARG(name), count);
    if (f->variadic == 0)
        return true;
    least--;
    if (count < least)
        return parser_refuse(p, node->start, err,
                             "expected at least %zu argument(s) in call to \"%.*s\", got %zu",
                             least, SLICE_ARG(name), count);
    if (f->variadic > 0 && count > least + (size_t)f->variadic)
        return parser_refuse(p, node->start, err,
                             "expected at most %zu argument(s) in call to \"%.*s\", got %zu",
                             least + (size_t)f->variadic, SLICE_ARG(name), count);
    return true;
}

static bool check_label_selector(struct parser *p, const struct node *argument, struct error *err)
{
    if (argument->kind != NODE_SELECTOR || argument->type != TYPE_VECTOR)
        return parser_refuse(p, argument->start, err, "expected label selectors only");
    if (argument->selector.name.size > 0)
        return parser_refuse(p, argument->start, err,
                             "expected label selectors only, got vector selector instead");
    return true;
}

static bool check_call(struct parser *p, struct node *node, struct slice name, struct error *err)
{
    const struct function *f = node->call.function;
    if (f == NULL)
        return parser_refuse(p, node->start, err, "unknown function with name \"%.*s\"",
                             SLICE_ARG(slice_sub(name, 0, TEXT_SHOWN)));
    if (f->experimental && (p->features & QUERY_EXPERIMENTAL_FUNCTIONS) == 0)
        return parser_refuse(p, node->start, err, "function \"%.*s\" is not enabled",
                             SLICE_ARG(name));
    if (!check_count(p, node, name, err))
        return false;
    if (f->label_selector && node->call.count > 1 &&
        !check_label_selector(p, node->call.arguments[1], err))
        return false;
    char where[TEXT_SHOWN];
    snprintf(where, sizeof(where), "call to function \"%.*s\"", SLICE_ARG(f->name));
    for (size_t i = 0; i < node->call.count; i++) {
        size_t parameter = i < f->parameter_count ? i : f->parameter_count - 1u;
        if (!check_type(p, node->call.arguments[i], f->parameters[parameter], where, err) ||
            !parser_raise(p, node, node->call.arguments[i], err))
            return false;
    }
    return true;
}

/* LogQL's range aggregations may be grouped: max_over_time({..} | unwrap x [5m]) by (y). */
static bool parse_call_grouping(struct parser *p, struct node *node, struct error *err)
{
    uint32_t at = p->token.start;
    if (node->call.function->kind != FUNCTION_LOG)
        return true;
    if (!parser_grouping(p, &node->call.grouping, err))
        return false;
    node->end = p->end;
    if (node->call.grouping.present && !node->call.function->grouping)
        return parser_refuse(p, at, err, "grouping not allowed for %.*s aggregation",
                             SLICE_ARG(node->call.function->name));
    return true;
}

static struct node *parse_call(struct parser *p, struct error *err)
{
    struct node *arguments[CALL_ARGUMENTS_MAX];
    size_t count;
    struct slice name = p->token.text;
    struct node *node = parser_node(p, NODE_CALL, TYPE_VECTOR, p->token.start, err);
    const struct function *f =
        function_find(p->dialect->functions, p->dialect->function_count, name);
    if (node == NULL || !parser_advance(p, err) ||
        !parse_arguments(p, f && f->label_selector, arguments, &count, err))
        return NULL;
    node->end = p->end;
    struct node **copy = arena_calloc(p->arena, count, sizeof(struct node *));
    if (copy == NULL)
        return error_null(err, ERR_LIMIT, "the query's tree is too large");
    for (size_t i = 0; i < count; i++)
        copy[i] = arguments[i];
    node->call.arguments = copy;
    node->call.count = count;
    node->call.function = find_function(p, name, arguments, count);
    if (!check_call(p, node, name, err))
        return NULL;
    node->type = node->call.function->result;
    return parse_call_grouping(p, node, err) ? node : NULL;
}

static bool find_aggregator(const struct parser *p, enum aggregator *op)
{
    for (int i = 0; i < AGG_KINDS; i++) {
        if ((p->dialect->aggregators >> i & 1) &&
            parser_at_keyword(p, aggregator_text((enum aggregator)i))) {
            *op = (enum aggregator)i;
            return true;
        }
    }
    return false;
}

static struct node *parse_operand(struct parser *p, struct error *err)
{
    if (parser_at_number(p))
        return parse_number(p, err);
    if (parser_at(p, TOKEN_STRING))
        return parse_text(p, err);
    if (parser_at(p, TOKEN_LEFT_PAREN))
        return parse_paren(p, err);
    if (parser_at(p, TOKEN_LEFT_BRACE))
        return p->dialect->parse_selector(p, err);
    if (!parser_at(p, TOKEN_IDENTIFIER))
        return parser_unexpected(p, NULL, "an expression", err);

    struct token next;
    if (!parser_peek(p, &next, err))
        return NULL;
    enum aggregator op;
    bool grouping =
        next.kind == TOKEN_IDENTIFIER && (slice_equal_ignore_case(next.text, SLICE("by")) ||
                                          slice_equal_ignore_case(next.text, SLICE("without")));
    if ((grouping || next.kind == TOKEN_LEFT_PAREN) && find_aggregator(p, &op))
        return parse_aggregation(p, op, err);
    if (next.kind == TOKEN_LEFT_PAREN)
        return parse_call(p, err);
    return p->dialect->parse_selector(p, err);
}
