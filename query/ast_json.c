/*
 * ast_json.c - a PromQL tree as JSON, in the shape of Prometheus' parse_query.
 *
 * Each node is an object with its keys in the order of the alphabet, as Go writes a
 * map; times are milliseconds.
 */
#include "base/buffer.h"
#include "base/json_writer.h"
#include "base/matcher.h"
#include "base/number.h"
#include "query/dialect.h"
#include "query/eval_internal.h"
#include "query/function.h"
#include "query/print.h"

static void write_node(struct json_writer *w, const struct node *node);

static void key_text(struct json_writer *w, const char *key, struct slice text)
{
    json_write_key(w, slice_from_text(key));
    json_write_string(w, text);
}

static void key_ms(struct json_writer *w, const char *key, int64_t ns)
{
    json_write_key(w, slice_from_text(key));
    json_write_i64(w, ns / NS_IN_MS);
}

static void key_bool(struct json_writer *w, const char *key, bool value)
{
    json_write_key(w, slice_from_text(key));
    json_write_bool(w, value);
}

static void key_node(struct json_writer *w, const char *key, const struct node *node)
{
    json_write_key(w, slice_from_text(key));
    if (node)
        write_node(w, node);
    else
        json_write_null(w);
}

static void key_names(struct json_writer *w, const char *key, const struct slice *names,
                      size_t count)
{
    json_write_key(w, slice_from_text(key));
    json_write_array_begin(w);
    for (size_t i = 0; i < count; i++)
        json_write_string(w, names[i]);
    json_write_array_end(w);
}

static const char *type_name(enum value_type type)
{
    switch (type) {
    case TYPE_SCALAR:
        return "scalar";
    case TYPE_STRING:
        return "string";
    case TYPE_VECTOR:
        return "vector";
    case TYPE_MATRIX:
        return "matrix";
    default:
        return "none";
    }
}

static void write_matchers(struct json_writer *w, const struct selector *s)
{
    json_write_key(w, SLICE("matchers"));
    json_write_array_begin(w);
    for (size_t i = 0; i < s->matcher_count; i++) {
        json_write_object_begin(w);
        key_text(w, "name", s->matchers[i].name);
        key_text(w, "type", slice_from_text(matcher_operator(s->matchers[i].type)));
        key_text(w, "value", s->matchers[i].value);
        json_write_object_end(w);
    }
    json_write_array_end(w);
}

/* startOrEnd and, behind what stands between them in the alphabet, timestamp. */
static void write_start_or_end(struct json_writer *w, const struct time_shift *shift)
{
    json_write_key(w, SLICE("startOrEnd"));
    if (shift->at == AT_START || shift->at == AT_END)
        json_write_string(w, shift->at == AT_START ? SLICE("start") : SLICE("end"));
    else
        json_write_null(w);
}

static void write_timestamp(struct json_writer *w, const struct time_shift *shift)
{
    if (shift->at == AT_TIME) {
        key_ms(w, "timestamp", shift->at_ns);
        return;
    }
    json_write_key(w, SLICE("timestamp"));
    json_write_null(w);
}

static void write_selector(struct json_writer *w, const struct selector *s)
{
    if (s->anchored)
        key_bool(w, "anchored", true);
    write_matchers(w, s);
    key_text(w, "name", s->name);
    key_ms(w, "offset", s->shift.offset_ns);
    if (s->ranged)
        key_ms(w, "range", s->range_ns);
    if (s->smoothed)
        key_bool(w, "smoothed", true);
    write_start_or_end(w, &s->shift);
    write_timestamp(w, &s->shift);
    key_text(w, "type", s->ranged ? SLICE("matrixSelector") : SLICE("vectorSelector"));
}

static void write_subquery(struct json_writer *w, const struct subquery *s)
{
    key_node(w, "expr", s->inner);
    key_ms(w, "offset", s->shift.offset_ns);
    key_ms(w, "range", s->range_ns);
    write_start_or_end(w, &s->shift);
    key_ms(w, "step", s->step_ns);
    write_timestamp(w, &s->shift);
    key_text(w, "type", SLICE("subquery"));
}

static void write_aggregation(struct json_writer *w, const struct aggregation *a)
{
    key_node(w, "expr", a->argument);
    key_names(w, "grouping", a->grouping.labels, a->grouping.count);
    key_text(w, "op", slice_from_text(aggregator_text(a->op)));
    key_node(w, "param", a->parameter);
    key_text(w, "type", SLICE("aggregation"));
    key_bool(w, "without", a->grouping.without);
}

static void write_matching(struct json_writer *w, const struct binary *b)
{
    static const char *const cards[] = {
        [ONE_TO_ONE] = "one-to-one",
        [MANY_TO_ONE] = "many-to-one",
        [ONE_TO_MANY] = "one-to-many",
        [MANY_TO_MANY] = "many-to-many",
    };
    const struct matching *m = &b->matching;
    json_write_key(w, SLICE("matching"));
    if (b->left->type != TYPE_VECTOR || b->right->type != TYPE_VECTOR) {
        json_write_null(w);
        return;
    }
    json_write_object_begin(w);
    key_text(w, "card", slice_from_text(cards[m->cardinality]));
    key_names(w, "include", m->include, m->include_count);
    key_names(w, "labels", m->labels, m->label_count);
    key_bool(w, "on", m->on);
    json_write_object_end(w);
}

static void write_binary(struct json_writer *w, const struct binary *b)
{
    key_bool(w, "bool", b->return_bool);
    key_node(w, "lhs", b->left);
    write_matching(w, b);
    key_text(w, "op", slice_from_text(operator_text(b->op)));
    key_node(w, "rhs", b->right);
    key_text(w, "type", SLICE("binaryExpr"));
}

static void write_call(struct json_writer *w, const struct call *c)
{
    const struct function *f = c->function;
    json_write_key(w, SLICE("args"));
    json_write_array_begin(w);
    for (size_t i = 0; i < c->count; i++)
        write_node(w, c->arguments[i]);
    json_write_array_end(w);
    json_write_key(w, SLICE("func"));
    json_write_object_begin(w);
    json_write_key(w, SLICE("argTypes"));
    json_write_array_begin(w);
    for (size_t i = 0; i < f->parameter_count; i++)
        json_write_string(w, slice_from_text(type_name(f->parameters[i])));
    json_write_array_end(w);
    key_text(w, "name", f->name);
    key_text(w, "returnType", slice_from_text(type_name(f->result)));
    json_write_key(w, SLICE("variadic"));
    json_write_i64(w, f->variadic);
    json_write_object_end(w);
    key_text(w, "type", SLICE("call"));
}

static void write_number(struct json_writer *w, double value)
{
    char text[DOUBLE_TEXT_MAX];
    key_text(w, "type", SLICE("numberLiteral"));
    key_text(w, "val", slice_of(text, double_format(text, value, 'f')));
}

static void write_node(struct json_writer *w, const struct node *node)
{
    json_write_object_begin(w);
    switch (node->kind) {
    case NODE_NUMBER:
        write_number(w, node->number.value);
        break;
    case NODE_STRING:
        key_text(w, "type", SLICE("stringLiteral"));
        key_text(w, "val", node->string);
        break;
    case NODE_SELECTOR:
        write_selector(w, &node->selector);
        break;
    case NODE_SUBQUERY:
        write_subquery(w, &node->subquery);
        break;
    case NODE_UNARY:
        key_node(w, "expr", node->unary.operand);
        key_text(w, "op", node->unary.minus ? SLICE("-") : SLICE("+"));
        key_text(w, "type", SLICE("unaryExpr"));
        break;
    case NODE_BINARY:
        write_binary(w, &node->binary);
        break;
    case NODE_AGGREGATION:
        write_aggregation(w, &node->aggregation);
        break;
    case NODE_CALL:
        write_call(w, &node->call);
        break;
    case NODE_PAREN:
        key_node(w, "expr", node->inner);
        key_text(w, "type", SLICE("parenExpr"));
        break;
    }
    json_write_object_end(w);
}

void ast_json(const struct node *root, struct buffer *out)
{
    struct json_writer w;
    json_writer_init(&w, out);
    write_node(&w, root);
}
