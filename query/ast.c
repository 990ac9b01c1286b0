/*
 * ast.c - the tree's memory and its words (see ast.h).
 *
 * The tree is one arena plus a list of objects that own heap memory.
 */
#include "query/ast.h"

#include "base/arena.h"
#include "base/memory.h"

#include <stdlib.h>

struct cleanup {
    struct cleanup *before;
    void (*done)(void *object);
    void *object;
};

struct ast {
    struct arena *arena;
    struct slice text;
    struct node *root;
    struct cleanup *cleanups; /* newest first */
};

struct ast *ast_new(struct slice text, size_t memory_max)
{
    struct ast *ast = xcalloc(1, sizeof(*ast));
    ast->arena = arena_new_in_budget(memory_max);
    ast->text = arena_copy(ast->arena, text);
    return ast;
}

void ast_free(struct ast *ast)
{
    if (ast == NULL)
        return;
    while (ast->cleanups) {
        struct cleanup *c = ast->cleanups;
        ast->cleanups = c->before;
        c->done(c->object);
        free(c);
    }
    arena_free(ast->arena);
    free(ast);
}

void ast_drop(struct ast **ast)
{
    ast_free(*ast);
}

struct arena *ast_arena(struct ast *ast)
{
    return ast->arena;
}

struct slice ast_text(const struct ast *ast)
{
    return ast->text;
}

struct node *ast_root(const struct ast *ast)
{
    return ast->root;
}

void ast_set_root(struct ast *ast, struct node *root)
{
    ast->root = root;
}

void ast_on_free(struct ast *ast, void (*done)(void *object), void *object)
{
    struct cleanup *c = xmalloc(sizeof(*c)); /* one per regex or pipeline: the text bounds them */
    *c = (struct cleanup){ast->cleanups, done, object};
    ast->cleanups = c;
}

const struct node *node_unwrap(const struct node *node)
{
    while (node->kind == NODE_PAREN)
        node = node->inner;
    return node;
}

const char *operator_text(enum binary_operator op)
{
    static const char *const texts[OP_COUNT] = {
        [OP_OR] = "or",           [OP_AND] = "and",       [OP_UNLESS] = "unless",
        [OP_EQUAL] = "==",        [OP_NOT_EQUAL] = "!=",  [OP_LESS] = "<",
        [OP_LESS_EQUAL] = "<=",   [OP_GREATER] = ">",     [OP_GREATER_EQUAL] = ">=",
        [OP_TRIM_UPPER] = "</",   [OP_TRIM_LOWER] = ">/", [OP_ADD] = "+",
        [OP_SUBTRACT] = "-",      [OP_MULTIPLY] = "*",    [OP_DIVIDE] = "/",
        [OP_MODULO] = "%",        [OP_ATAN2] = "atan2",   [OP_POWER] = "^",
        [OP_DIVIDE_OR_NAN] = "/",
    };
    return texts[op];
}

const char *aggregator_text(enum aggregator op)
{
    static const char *const texts[AGG_KINDS] = {
        [AGG_SUM] = "sum",
        [AGG_AVG] = "avg",
        [AGG_MIN] = "min",
        [AGG_MAX] = "max",
        [AGG_COUNT] = "count",
        [AGG_GROUP] = "group",
        [AGG_STDDEV] = "stddev",
        [AGG_STDVAR] = "stdvar",
        [AGG_TOPK] = "topk",
        [AGG_BOTTOMK] = "bottomk",
        [AGG_QUANTILE] = "quantile",
        [AGG_COUNT_VALUES] = "count_values",
        [AGG_LIMITK] = "limitk",
        [AGG_LIMIT_RATIO] = "limit_ratio",
        [AGG_SORT] = "sort",
        [AGG_SORT_DESC] = "sort_desc",
        [AGG_APPROX_TOPK] = "approx_topk",
    };
    return texts[op];
}

const char *value_type_text(enum value_type type)
{
    static const char *const texts[] = {
        [TYPE_NONE] = "none",           [TYPE_SCALAR] = "scalar",
        [TYPE_STRING] = "string",       [TYPE_VECTOR] = "instant vector",
        [TYPE_MATRIX] = "range vector", [TYPE_LINES] = "log lines",
    };
    return texts[type];
}
