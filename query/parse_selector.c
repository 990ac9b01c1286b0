/*
 * parse_selector.c - metric selectors and what may follow an operand: ranges,
 * subqueries, offset, @, and duration expressions inside of them.
 *
 * A constant duration is stored as nanoseconds in whole milliseconds; an
 * expression with step() or range() stays a little tree of numbers that
 * query_prepare() works out when the grid is known.
 */
#include "query/parse.h"

#include "base/arena.h"
#include "base/error.h"
#include "base/matcher.h"
#include "base/memory.h"
#include "query/dialect.h"
#include "query/function.h"
#include "query/parse_internal.h"
#include "query/query.h"

#include <math.h>

enum { MATCHERS_MAX = 1000, TEXT_SHOWN = 200 };

/* ---- matchers ------------------------------------------------------------------- */

static void free_matcher(void *object)
{
    matcher_done(object);
    free(object);
}

/*
 * Compile one matcher.  Its regex must be freed with the tree, and the array of
 * matchers may move: so the tree owns a copy of the struct, the array shares its regex.
 */
static bool add_matcher(struct parser *p, struct selector *selector, size_t *capacity,
                        enum matcher_type type, struct slice name, struct slice value, uint32_t at,
                        struct error *err)
{
    if (selector->matcher_count == MATCHERS_MAX)
        return parser_refuse(p, at, err, "a selector has more than %d matchers", MATCHERS_MAX);
    struct matcher *owned = xcalloc(1, sizeof(*owned));
    if (!matcher_init(owned, type, name, value, err)) {
        free(owned);
        if (err && err->code == ERR_INVALID)
            err->position = (int32_t)at + 1;
        return false;
    }
    ast_on_free(p->ast, free_matcher, owned);
    size_t used = selector->matcher_count;
    struct matcher *items =
        arena_grow(p->arena, selector->matchers, used, capacity, used + 1, sizeof(*items));
    if (items == NULL)
        return arena_check(p->arena, "the query's matchers", err);
    items[used] = *owned;
    selector->matchers = items;
    selector->matcher_count = used + 1;
    return true;
}

/* A text as a label's name needs a language that has such; a metric's name is one in both. */
static bool at_quoted_name(const struct parser *p, bool *quoted, struct error *err)
{
    struct token next;
    *quoted = parser_at(p, TOKEN_STRING);
    if (!*quoted || p->dialect->quoted_names)
        return true;
    if (!parser_peek(p, &next, err))
        return false;
    *quoted = next.kind == TOKEN_COMMA || next.kind == TOKEN_RIGHT_BRACE;
    return true;
}

/* name op "value", or "metric name". */
static bool parse_matcher(struct parser *p, struct selector *selector, size_t *capacity,
                          struct error *err)
{
    struct slice name = p->token.text, value;
    uint32_t at = p->token.start;
    bool quoted;
    if (!at_quoted_name(p, &quoted, err))
        return false;
    if (quoted) {
        if (!parser_string(p, &name, err))
            return false;
        if (parser_at(p, TOKEN_COMMA) || parser_at(p, TOKEN_RIGHT_BRACE)) {
            selector->quoted_name = true;
            return add_matcher(p, selector, capacity, MATCH_EQUAL, LABEL_NAME_METRIC, name, at,
                               err);
        }
    } else if (!parser_at(p, TOKEN_IDENTIFIER)) {
        parser_unexpected(p, "label matching", "identifier or \"}\"", err);
        return false;
    } else if (!parser_advance(p, err)) {
        return false;
    }
    enum matcher_type type;
    if (!token_matcher_type(p->token.kind, &type)) {
        parser_unexpected(p, "label matching", "label matching operator", err);
        return false;
    }
    if (!parser_advance(p, err))
        return false;
    if (!parser_at(p, TOKEN_STRING)) {
        parser_unexpected(p, "label matching", "string", err);
        return false;
    }
    return parser_string(p, &value, err) &&
           add_matcher(p, selector, capacity, type, name, value, at, err);
}

static bool has_nonempty_matcher(const struct selector *selector)
{
    for (size_t i = 0; i < selector->matcher_count; i++) {
        if (!matcher_matches_empty(&selector->matchers[i]))
            return true;
    }
    return false;
}

bool parser_matchers(struct parser *p, struct selector *selector, bool any, struct error *err)
{
    uint32_t start = p->token.start;
    size_t capacity = selector->matcher_count;
    if (!parser_expect(p, TOKEN_LEFT_BRACE, "selector", err))
        return false;
    while (!parser_at(p, TOKEN_RIGHT_BRACE)) {
        if (!parse_matcher(p, selector, &capacity, err))
            return false;
        if (parser_at(p, TOKEN_RIGHT_BRACE))
            break;
        if (!parser_at(p, TOKEN_COMMA)) {
            parser_unexpected(p, "label matching", "\",\" or \"}\"", err);
            return false;
        }
        if (!parser_advance(p, err))
            return false;
    }
    if (!parser_advance(p, err))
        return false;
    if (any || p->empty_selectors || selector->name.size > 0 || has_nonempty_matcher(selector))
        return true;
    return parser_refuse(p, start, err, "%s", p->dialect->empty_selector_text);
}

/* ---- durations --------------------------------------------------------------------- */

static struct node *duration_operation(struct parser *p, int least, struct error *err);

static struct node *duration_call(struct parser *p, struct error *err)
{
    static const char *const names[] = {"step", "range", "min_of", "max_of"};
    size_t which = 0;
    while (which < COUNT_OF(names) && !parser_at_keyword(p, names[which]))
        which++;
    if (which == COUNT_OF(names))
        return parser_unexpected(p, "duration", "number, duration, step(), or range()", err);
    struct node *node = parser_node(p, NODE_CALL, TYPE_SCALAR, p->token.start, err);
    if (node == NULL || !parser_advance(p, err) ||
        !parser_expect(p, TOKEN_LEFT_PAREN, "duration", err))
        return NULL;
    node->call.function = function_find(p->dialect->functions, p->dialect->function_count,
                                        slice_from_text(names[which]));
    if (node->call.function == NULL)
        return parser_fail(p, node->start, err, "%s() is not known here", names[which]);
    if (which >= 2) {
        node->call.arguments = arena_calloc(p->arena, 2, sizeof(struct node *));
        if (node->call.arguments == NULL)
            return error_null(err, ERR_LIMIT, "the query's tree is too large");
        node->call.count = 2;
        for (size_t i = 0; i < 2; i++) {
            node->call.arguments[i] = duration_operation(p, 0, err);
            if (node->call.arguments[i] == NULL ||
                !parser_raise(p, node, node->call.arguments[i], err))
                return NULL;
            if (i == 0 && !parser_expect(p, TOKEN_COMMA, "duration", err))
                return NULL;
        }
    }
    if (!parser_expect(p, TOKEN_RIGHT_PAREN, "duration", err))
        return NULL;
    node->end = p->end;
    return node;
}

static struct node *duration_paren(struct parser *p, struct error *err)
{
    struct node *node = parser_node(p, NODE_PAREN, TYPE_SCALAR, p->token.start, err);
    if (node == NULL || !parser_advance(p, err))
        return NULL;
    node->inner = duration_operation(p, 0, err);
    if (node->inner == NULL || !parser_expect(p, TOKEN_RIGHT_PAREN, "duration", err))
        return NULL;
    node->end = p->end;
    return parser_raise(p, node, node->inner, err) ? node : NULL;
}

/* A number, a call, something in parentheses; with signs before it. */
static struct node *duration_operand(struct parser *p, bool single, struct error *err)
{
    uint32_t start = p->token.start;
    bool minus = parser_at(p, TOKEN_MINUS);
    if (minus || parser_at(p, TOKEN_PLUS)) {
        if (!parser_enter(p, err) || !parser_advance(p, err))
            return NULL;
        struct node *operand =
            single ? duration_operand(p, single, err) : duration_operation(p, 3, err);
        parser_leave(p);
        if (operand == NULL)
            return NULL;
        if (operand->kind == NODE_NUMBER || !minus) {
            if (minus)
                number_negate(&operand->number);
            return operand;
        }
        struct node *node = parser_node(p, NODE_UNARY, TYPE_SCALAR, start, err);
        if (node == NULL || !parser_raise(p, node, operand, err))
            return NULL;
        node->unary.minus = true;
        node->unary.operand = operand;
        return node;
    }
    if (parser_at(p, TOKEN_LEFT_PAREN)) {
        if (!parser_enter(p, err))
            return NULL;
        struct node *node = duration_paren(p, err);
        parser_leave(p);
        return node;
    }
    if (!parser_at(p, TOKEN_NUMBER) && !parser_at(p, TOKEN_DURATION))
        return duration_call(p, err);
    struct node *node = parser_node(p, NODE_NUMBER, TYPE_SCALAR, start, err);
    if (node == NULL || !parser_number(p, &node->number, err))
        return NULL;
    if (!(fabs(node->number.value) < 9223372036.0))
        return parser_fail(p, start, err, "duration out of range");
    return node;
}

static int duration_precedence(const struct parser *p, enum binary_operator *op)
{
    switch (p->token.kind) {
    case TOKEN_PLUS:
        *op = OP_ADD;
        return 1;
    case TOKEN_MINUS:
        *op = OP_SUBTRACT;
        return 1;
    case TOKEN_MULTIPLY:
        *op = OP_MULTIPLY;
        return 2;
    case TOKEN_DIVIDE:
        *op = OP_DIVIDE;
        return 2;
    case TOKEN_MODULO:
        *op = OP_MODULO;
        return 2;
    case TOKEN_POWER:
        *op = OP_POWER;
        return 3;
    default:
        return -1;
    }
}

static struct node *duration_operation(struct parser *p, int least, struct error *err)
{
    if (!parser_enter(p, err))
        return NULL;
    struct node *left = duration_operand(p, false, err);
    enum binary_operator op;
    int precedence;
    while (left && (precedence = duration_precedence(p, &op)) >= 0 && precedence >= least) {
        uint32_t at = p->token.start;
        struct node *node = parser_node(p, NODE_BINARY, TYPE_SCALAR, left->start, err);
        if (node == NULL || !parser_advance(p, err))
            return NULL;
        struct node *right =
            duration_operation(p, op == OP_POWER ? precedence : precedence + 1, err);
        if (right == NULL)
            return NULL;
        if ((op == OP_DIVIDE || op == OP_MODULO) && right->kind == NODE_NUMBER &&
            right->number.value == 0)
            return parser_fail(p, at, err, op == OP_DIVIDE ? "division by zero" : "modulo by zero");
        node->binary.op = op;
        node->binary.left = left;
        node->binary.right = right;
        node->end = right->end;
        if (!parser_raise(p, node, left, err) || !parser_raise(p, node, right, err))
            return NULL;
        left = node;
    }
    parser_leave(p);
    return left;
}

bool parser_duration(struct parser *p, bool single, int64_t *ns, const struct node **expression,
                     struct error *err)
{
    uint32_t at = p->token.start;
    struct node *node = single ? duration_operand(p, true, err) : duration_operation(p, 0, err);
    if (node == NULL)
        return false;
    if (node->kind != NODE_NUMBER) {
        if ((p->features & QUERY_DURATION_EXPRESSIONS) == 0)
            return parser_refuse(p, at, err, "experimental duration expression is not enabled");
        *expression = node;
        *ns = 0;
        return true;
    }
    if (!single && !(node->number.value > 0))
        return parser_refuse(p, at, err, "duration must be greater than 0");
    *expression = NULL;
    *ns = node->number.duration ? node->number.duration_ns / NS_IN_MS * NS_IN_MS
                                : duration_from_seconds(node->number.value);
    return true;
}

int64_t duration_from_seconds(double seconds)
{
    double ns = round(seconds * 1e9);
    if (!(ns < 9223372036854774784.0))
        return INT64_MAX / NS_IN_MS * NS_IN_MS;
    if (ns < -9223372036854774784.0)
        return INT64_MIN / NS_IN_MS * NS_IN_MS;
    return (int64_t)ns / NS_IN_MS * NS_IN_MS;
}

/* ---- offset and @ -------------------------------------------------------------------- */

static bool parse_offset(struct parser *p, struct time_shift *shift, struct error *err)
{
    uint32_t at = p->token.start;
    if (shift->has_offset)
        return parser_refuse(p, at, err, "offset may not be set multiple times");
    p->lexer.brackets++; /* step() and range() are words of durations here */
    bool ok = parser_advance(p, err) &&
              parser_duration(p, true, &shift->offset_ns, &shift->offset_expression, err);
    p->lexer.brackets--;
    shift->has_offset = true;
    return ok;
}

static bool parse_at(struct parser *p, struct time_shift *shift, struct error *err)
{
    uint32_t at = p->token.start;
    if (shift->at != AT_NONE)
        return parser_refuse(p, at, err, "@ <timestamp> may not be set multiple times");
    if (!parser_advance(p, err))
        return false;
    bool start = parser_at_keyword(p, "start");
    if (start || parser_at_keyword(p, "end")) {
        shift->at = start ? AT_START : AT_END;
        return parser_advance(p, err) && parser_expect(p, TOKEN_LEFT_PAREN, "@", err) &&
               parser_expect(p, TOKEN_RIGHT_PAREN, "@", err);
    }
    bool minus = parser_at(p, TOKEN_MINUS);
    if ((minus || parser_at(p, TOKEN_PLUS)) && !parser_advance(p, err))
        return false;
    if (!parser_at_number(p)) {
        parser_unexpected(p, "@", "timestamp", err);
        return false;
    }
    struct number number;
    if (!parser_number(p, &number, err))
        return false;
    double seconds = minus ? -number.value : number.value;
    if (!(fabs(seconds) < 9223372036854775807.0))
        return parser_refuse(p, at, err, "timestamp out of bounds for @ modifier: %f", seconds);
    double ms = round(seconds * 1000);
    shift->at = AT_TIME;
    if (ms >= (double)(INT64_MAX / NS_IN_MS))
        shift->at_ns = INT64_MAX / NS_IN_MS * NS_IN_MS;
    else if (ms <= (double)(INT64_MIN / NS_IN_MS))
        shift->at_ns = INT64_MIN / NS_IN_MS * NS_IN_MS;
    else
        shift->at_ns = (int64_t)ms * NS_IN_MS;
    return true;
}

/* Does an `offset` or an `@` that this dialect knows follow? */
static bool at_shift(const struct parser *p)
{
    return parser_at_keyword(p, "offset") || (parser_at(p, TOKEN_AT) && p->dialect->at_modifier);
}

bool parser_shift(struct parser *p, struct time_shift *shift, struct error *err)
{
    while (at_shift(p)) {
        bool ok = parser_at(p, TOKEN_AT) ? parse_at(p, shift, err) : parse_offset(p, shift, err);
        if (!ok)
            return false;
    }
    return true;
}

/* ---- ranges, subqueries and other suffixes --------------------------------------------- */

bool parser_range(struct parser *p, struct selector *selector, struct error *err)
{
    selector->ranged = true;
    return parser_expect(p, TOKEN_LEFT_BRACKET, "range", err) &&
           parser_duration(p, false, &selector->range_ns, &selector->range_expression, err) &&
           parser_expect(p, TOKEN_RIGHT_BRACKET, "range", err);
}

static struct node *make_range(struct parser *p, struct node *node, uint32_t at, int64_t range_ns,
                               const struct node *expression, struct error *err)
{
    struct selector *s = &node->selector;
    if (node->kind != NODE_SELECTOR || s->leaf != LEAF_METRIC || s->ranged)
        return parser_fail(p, at, err, "ranges only allowed for vector selectors");
    if (s->shift.has_offset)
        return parser_fail(p, at, err, "no offset modifiers allowed before range");
    if (s->shift.at != AT_NONE)
        return parser_fail(p, at, err, "no @ modifiers allowed before range");
    s->ranged = true;
    s->range_ns = range_ns;
    s->range_expression = expression;
    node->type = TYPE_MATRIX;
    node->end = p->end;
    return node;
}

static struct node *parse_brackets(struct parser *p, struct node *node, struct error *err)
{
    uint32_t at = p->token.start;
    int64_t range_ns, step_ns = 0;
    const struct node *range_expression, *step_expression = NULL;
    if (!parser_advance(p, err))
        return NULL;
    if (!parser_duration(p, false, &range_ns, &range_expression, err))
        return NULL;
    bool subquery = parser_at(p, TOKEN_COLON) && p->dialect->subqueries;
    if (subquery) {
        if (!parser_advance(p, err))
            return NULL;
        if (!parser_at(p, TOKEN_RIGHT_BRACKET) &&
            !parser_duration(p, false, &step_ns, &step_expression, err))
            return NULL;
    }
    if (!parser_at(p, TOKEN_RIGHT_BRACKET))
        return parser_unexpected(p, subquery ? "subquery selector" : "subquery or range",
                                 subquery ? "\"]\"" : "\":\" or \"]\"", err);
    if (!parser_advance(p, err))
        return NULL;
    if (!subquery)
        return make_range(p, node, at, range_ns, range_expression, err);
    if (node->type != TYPE_VECTOR)
        return parser_fail(p, node->start, err,
                           "subquery is only allowed on instant vector, got %s instead",
                           value_type_text(node->type));
    struct node *outer = parser_node(p, NODE_SUBQUERY, TYPE_MATRIX, node->start, err);
    if (outer == NULL || !parser_raise(p, outer, node, err))
        return NULL;
    outer->subquery = (struct subquery){.inner = node,
                                        .range_ns = range_ns,
                                        .step_ns = step_ns,
                                        .range_expression = range_expression,
                                        .step_expression = step_expression};
    return outer;
}

static bool parse_extension(struct parser *p, struct node *node, struct error *err)
{
    bool anchored = parser_at_keyword(p, "anchored");
    const char *word = anchored ? "anchored" : "smoothed";
    if ((p->features & QUERY_EXTENDED_RANGE_SELECTORS) == 0)
        return parser_refuse(p, node->start, err, "%s modifier is experimental and not enabled",
                             word);
    if (node->kind == NODE_SUBQUERY)
        return parser_refuse(p, node->start, err, "%s modifier is not supported for subqueries",
                             word);
    if (node->kind != NODE_SELECTOR || node->selector.leaf != LEAF_METRIC)
        return parser_refuse(p, node->start, err, "%s modifier not implemented", word);
    *(anchored ? &node->selector.anchored : &node->selector.smoothed) = true;
    if (node->selector.anchored && node->selector.smoothed)
        return parser_refuse(p, node->start, err,
                             "anchored and smoothed modifiers cannot be used together");
    return parser_advance(p, err);
}

static bool parse_node_shift(struct parser *p, struct node *node, struct error *err)
{
    struct time_shift *shift = NULL;
    if (node->kind == NODE_SELECTOR && node->selector.leaf == LEAF_METRIC)
        shift = &node->selector.shift;
    else if (node->kind == NODE_SUBQUERY)
        shift = &node->subquery.shift;
    if (shift == NULL)
        return parser_refuse(p, node->start, err,
                             "%s modifier must be preceded by an instant vector selector or range "
                             "vector selector or a subquery",
                             parser_at(p, TOKEN_AT) ? "@" : "offset");
    return parser_shift(p, shift, err);
}

struct node *parser_suffixes(struct parser *p, struct node *node, struct error *err)
{
    if (node_unwrap(node)->kind == NODE_SELECTOR && node_unwrap(node)->selector.leaf == LEAF_LOG)
        return parser_log_suffixes(p, node, err);
    /* Only metric selectors have suffixes where the language has no subqueries. */
    if (!p->dialect->subqueries &&
        (node->kind != NODE_SELECTOR || node->selector.leaf != LEAF_METRIC))
        return node;
    while (node) {
        if (parser_at(p, TOKEN_LEFT_BRACKET)) {
            node = parse_brackets(p, node, err);
        } else if (at_shift(p)) {
            if (!parse_node_shift(p, node, err))
                return NULL;
        } else if (parser_at_keyword(p, "anchored") || parser_at_keyword(p, "smoothed")) {
            if (!parse_extension(p, node, err))
                return NULL;
        } else {
            return node;
        }
        if (node)
            node->end = p->end;
    }
    return NULL;
}

/* ---- metric selectors ----------------------------------------------------------------------- */

static bool is_reserved(const struct parser *p)
{
    static const char *const words[] = {"bool",       "on",          "ignoring",
                                        "group_left", "group_right", "atan2"};
    for (size_t i = 0; i < COUNT_OF(words); i++) {
        if (parser_at_keyword(p, words[i]))
            return true;
    }
    return false;
}

struct node *parser_metric_selector(struct parser *p, struct error *err)
{
    struct node *node = parser_node(p, NODE_SELECTOR, TYPE_VECTOR, p->token.start, err);
    if (node == NULL)
        return NULL;
    struct selector *s = &node->selector;
    s->leaf = LEAF_METRIC;
    if (parser_at(p, TOKEN_IDENTIFIER)) {
        if (is_reserved(p))
            return parser_unexpected(p, NULL, "an expression", err);
        s->name = p->token.text;
        if (!parser_advance(p, err))
            return NULL;
    }
    if (parser_at(p, TOKEN_LEFT_BRACE) && !parser_matchers(p, s, false, err))
        return NULL;
    if (s->name.size > 0) {
        for (size_t i = 0; i < s->matcher_count; i++) {
            if (slice_equal(s->matchers[i].name, LABEL_NAME_METRIC))
                return parser_fail(p, node->start, err,
                                   "metric name must not be set twice: \"%.*s\" or \"%.*s\"",
                                   SLICE_ARG(slice_sub(s->name, 0, TEXT_SHOWN)),
                                   SLICE_ARG(slice_sub(s->matchers[i].value, 0, TEXT_SHOWN)));
        }
        size_t capacity = s->matcher_count;
        if (!add_matcher(p, s, &capacity, MATCH_EQUAL, LABEL_NAME_METRIC, s->name, node->start,
                         err))
            return NULL;
    }
    node->end = p->end;
    return node;
}
