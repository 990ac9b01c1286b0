/*
 * ast.h - the typed tree of a query, one for PromQL and LogQL.
 *
 * A parser makes it in one arena, checks all types while it does so, and then
 * nothing changes it but query_prepare() (plan.c), which resolves duration
 * expressions and marks what does not depend on the step.  Everything a tree
 * points to dies with its struct ast; parts that own heap memory (compiled
 * regexes, pipelines) register with ast_on_free().
 *
 * A range function over a selector is a NODE_CALL whose argument is a
 * NODE_SELECTOR with `ranged` set; the evaluator hands both to the selector's
 * leaf, which fuses them.
 */
#ifndef QUERY_AST_H
#define QUERY_AST_H

#include "base/compiler.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;
struct buffer;
struct dialect;
struct function;
struct matcher;
struct pipeline; /* stages of a log query: opaque, owned by the log side */

enum value_type {
    TYPE_NONE,
    TYPE_SCALAR,
    TYPE_STRING,
    TYPE_VECTOR,
    TYPE_MATRIX,
    TYPE_LINES /* a log selector without a range: its result is streams */
};

enum node_kind {
    NODE_NUMBER,
    NODE_STRING,
    NODE_SELECTOR,
    NODE_SUBQUERY,
    NODE_UNARY,
    NODE_BINARY,
    NODE_AGGREGATION,
    NODE_CALL,
    NODE_PAREN
};

enum binary_operator {
    OP_OR,
    OP_AND,
    OP_UNLESS,
    OP_EQUAL,
    OP_NOT_EQUAL,
    OP_LESS,
    OP_LESS_EQUAL,
    OP_GREATER,
    OP_GREATER_EQUAL,
    OP_TRIM_UPPER,
    OP_TRIM_LOWER,
    OP_ADD,
    OP_SUBTRACT,
    OP_MULTIPLY,
    OP_DIVIDE,
    OP_MODULO,
    OP_ATAN2,
    OP_POWER,
    OP_DIVIDE_OR_NAN, /* as OP_DIVIDE, but NaN where the divisor is 0 (dialect.h) */
    OP_COUNT
};

enum aggregator {
    AGG_SUM,
    AGG_AVG,
    AGG_MIN,
    AGG_MAX,
    AGG_COUNT,
    AGG_GROUP,
    AGG_STDDEV,
    AGG_STDVAR,
    AGG_TOPK,
    AGG_BOTTOMK,
    AGG_QUANTILE,
    AGG_COUNT_VALUES,
    AGG_LIMITK,
    AGG_LIMIT_RATIO,
    AGG_SORT,      /* LogQL's sort() and sort_desc() are aggregations there */
    AGG_SORT_DESC, /* ... but the PromQL functions here */
    AGG_APPROX_TOPK,
    AGG_KINDS
};

/* by (...) or without (...) */
struct grouping {
    bool present; /* written at all */
    bool without;
    const struct slice *labels; /* as written */
    size_t count;
};

enum at_kind { AT_NONE, AT_TIME, AT_START, AT_END };

/* offset and @ of a selector or subquery. */
struct time_shift {
    bool has_offset;
    int64_t offset_ns; /* the window moves back by it */
    enum at_kind at;
    int64_t at_ns;
    const struct node *offset_expression; /* NULL: offset_ns was written */
};

enum leaf_kind { LEAF_METRIC, LEAF_LOG };

struct selector {
    enum leaf_kind leaf;
    struct slice name;        /* the metric name written before the braces, or empty */
    bool quoted_name;         /* {"name"} was written */
    struct matcher *matchers; /* all of them, the name's included */
    size_t matcher_count;
    bool ranged;
    int64_t range_ns;
    const struct node *range_expression; /* NULL: range_ns was written */
    bool anchored, smoothed;
    struct time_shift shift;
    struct pipeline *pipeline; /* LEAF_LOG: never NULL there; may be empty */
};

struct subquery {
    struct node *inner;
    int64_t range_ns, step_ns; /* step 0: the default step */
    const struct node *range_expression, *step_expression;
    struct time_shift shift;
};

enum cardinality { ONE_TO_ONE, MANY_TO_ONE, ONE_TO_MANY, MANY_TO_MANY };

struct matching {
    enum cardinality cardinality; /* group_left: MANY_TO_ONE; set operators: MANY_TO_MANY */
    bool on;                      /* on (...); else ignoring (...), also when nothing is written */
    bool written;
    const struct slice *labels;
    size_t label_count;
    const struct slice *include; /* of group_left (...) */
    size_t include_count;
    bool fill[2]; /* left, right: fill_left(), fill_right() */
    double fill_value[2];
};

struct binary {
    enum binary_operator op;
    bool return_bool;
    struct node *left, *right;
    struct matching matching;
};

struct aggregation {
    enum aggregator op;
    struct node *argument;
    struct node *parameter; /* NULL: none */
    struct grouping grouping;
};

enum { CALL_ARGUMENTS_MAX = 64 };

struct call {
    const struct function *function;
    struct node **arguments;
    size_t count;
    struct grouping grouping; /* LogQL range aggregations */
    /*
     * The grouping of a sum() right around a log range aggregation that counts: the
     * leaf may give the sums of those groups instead of single series.
     */
    const struct grouping *reduce;
};

struct number {
    double value;
    bool duration; /* written as a duration, whose exact length is: */
    int64_t duration_ns;
};

struct node {
    enum node_kind kind;
    enum value_type type;
    uint32_t start, end; /* byte offsets in the text */
    uint32_t height;     /* levels below and including this one */
    bool invariant;      /* has the same value at every step: evaluated once (plan.c) */
    const struct dialect *dialect;
    union {
        struct number number;
        struct slice string;
        struct selector selector;
        struct subquery subquery;
        struct {
            bool minus;
            struct node *operand;
        } unary;
        struct binary binary;
        struct aggregation aggregation;
        struct call call;
        struct node *inner; /* NODE_PAREN */
    };
};

struct ast; /* opaque: fields in ast.c */

/* An empty tree that keeps a copy of `text`; memory above `memory_max` fails its arena. */
struct ast *ast_new(struct slice text, size_t memory_max);
void ast_free(struct ast *ast); /* NULL is fine */
void ast_drop(struct ast **ast);

struct arena *ast_arena(struct ast *ast);
struct slice ast_text(const struct ast *ast);
struct node *ast_root(const struct ast *ast);
void ast_set_root(struct ast *ast, struct node *root);

/* Call `done(object)` when the tree is freed. */
void ast_on_free(struct ast *ast, void (*done)(void *object), void *object);

/* `node` without the parentheses around it. */
const struct node *node_unwrap(const struct node *node);

const char *operator_text(enum binary_operator op);
const char *aggregator_text(enum aggregator op);
/* "scalar", "string", "instant vector", "range vector" */
const char *value_type_text(enum value_type type);

/*
 * Append the canonical one-line form, which parses to the same tree (print.c).
 * Pipelines are printed by the log side's pipeline_print().
 */
void node_print(const struct node *node, struct buffer *out);

#endif
