/*
 * parse.c - the shared parser's tools and its entry (see parse.h).
 *
 * The grammar itself is in parse_expression.c (operators, calls, aggregations)
 * and parse_selector.c (selectors, ranges, offset, @).
 */
#include "query/parse.h"

#include "base/arena.h"
#include "base/error.h"
#include "base/number.h"
#include "query/dialect.h"
#include "query/parse_internal.h"
#include "query/query.h"

#include <stdarg.h>
#include <stdio.h>

enum { DEPTH_DEFAULT = 100, HEIGHT_MAX = 1000, TREE_MEMORY_MAX = 64 << 20, SHOWN_MAX = 60 };

bool parser_advance(struct parser *p, struct error *err)
{
    p->end = p->token.end;
    return lexer_next(&p->lexer, &p->token, err);
}

bool parser_peek(const struct parser *p, struct token *token, struct error *err)
{
    struct lexer copy = p->lexer;
    return lexer_next(&copy, token, err);
}

bool parser_at(const struct parser *p, enum token_kind kind)
{
    return p->token.kind == kind;
}

static bool is_keyword(const struct parser *p, struct slice text, const char *keyword)
{
    struct slice wanted = slice_from_text(keyword);
    return p->dialect->keywords_any_case ? slice_equal_ignore_case(text, wanted)
                                         : slice_equal(text, wanted);
}

bool parser_at_keyword(const struct parser *p, const char *keyword)
{
    return p->token.kind == TOKEN_IDENTIFIER && is_keyword(p, p->token.text, keyword);
}

bool parser_accept(struct parser *p, enum token_kind kind, bool *found, struct error *err)
{
    *found = parser_at(p, kind);
    return !*found || parser_advance(p, err);
}

bool parser_accept_keyword(struct parser *p, const char *keyword, bool *found, struct error *err)
{
    *found = parser_at_keyword(p, keyword);
    return !*found || parser_advance(p, err);
}

bool parser_expect(struct parser *p, enum token_kind kind, const char *where, struct error *err)
{
    if (parser_at(p, kind))
        return parser_advance(p, err);
    parser_unexpected(p, where, token_kind_text(kind), err);
    return false;
}

/* How a message shows the token that was found. */
static void describe(const struct parser *p, char out[SHOWN_MAX * 2])
{
    struct slice text = slice_sub(p->token.text, 0, SHOWN_MAX);
    switch (p->token.kind) {
    case TOKEN_END:
        snprintf(out, SHOWN_MAX * 2, "end of input");
        break;
    case TOKEN_IDENTIFIER:
    case TOKEN_NUMBER:
    case TOKEN_DURATION:
    case TOKEN_BYTES:
        snprintf(out, SHOWN_MAX * 2, "%s \"%.*s\"", token_kind_text(p->token.kind),
                 SLICE_ARG(text));
        break;
    case TOKEN_STRING:
        snprintf(out, SHOWN_MAX * 2, "string %.*s", SLICE_ARG(text));
        break;
    default:
        snprintf(out, SHOWN_MAX * 2, "\"%.*s\"", SLICE_ARG(text));
    }
}

void *parser_unexpected(const struct parser *p, const char *where, const char *expected,
                        struct error *err)
{
    char found[SHOWN_MAX * 2];
    describe(p, found);
    error_set_at(err, ERR_INVALID, p->token.start, "unexpected %s%s%s%s%s", found,
                 where ? " in " : "", where ? where : "", expected ? ", expected " : "",
                 expected ? expected : "");
    return NULL;
}

void *parser_fail(const struct parser *p, uint32_t at, struct error *err, const char *format, ...)
{
    (void)p;
    char text[ERROR_MESSAGE_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    error_set_at(err, ERR_INVALID, at, "%s", text);
    return NULL;
}

bool parser_refuse(const struct parser *p, uint32_t at, struct error *err, const char *format, ...)
{
    (void)p;
    char text[ERROR_MESSAGE_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    return error_set_at(err, ERR_INVALID, at, "%s", text);
}

struct node *parser_node(struct parser *p, enum node_kind kind, enum value_type type,
                         uint32_t start, struct error *err)
{
    struct node *node = arena_calloc(p->arena, 1, sizeof(*node));
    if (node == NULL)
        return error_null(err, ERR_LIMIT, "the query's tree needs more than %d bytes, the limit",
                          TREE_MEMORY_MAX);
    node->kind = kind;
    node->type = type;
    node->start = start;
    node->end = p->end;
    node->height = 1;
    node->dialect = p->dialect;
    return node;
}

bool parser_raise(struct parser *p, struct node *node, const struct node *below, struct error *err)
{
    if (below->height >= node->height)
        node->height = below->height + 1;
    if (node->height > HEIGHT_MAX)
        return parser_refuse(p, node->start, err, "the expression nests more than %d levels",
                             HEIGHT_MAX);
    return true;
}

bool parser_enter(struct parser *p, struct error *err)
{
    if (p->depth >= p->depth_max)
        return parser_refuse(p, p->token.start, err, "expressions nest deeper than %u, the limit",
                             p->depth_max);
    p->depth++;
    return true;
}

void parser_leave(struct parser *p)
{
    p->depth--;
}

bool parser_string(struct parser *p, struct slice *value, struct error *err)
{
    struct token token = p->token;
    struct slice text;
    if (!slice_unquote(p->arena, token.text, p->dialect->single_quotes, &text, err)) {
        if (err && err->code == ERR_INVALID)
            err->position = (int32_t)token.start + 1;
        return false;
    }
    if (!parser_advance(p, err))
        return false;
    *value = text;
    return true;
}

static struct node *parse_whole(struct parser *p, struct error *err)
{
    if (!parser_advance(p, err))
        return NULL;
    if (parser_at(p, TOKEN_END))
        return parser_fail(p, p->token.start, err, "no expression found in input");
    struct node *root = parser_expression(p, err);
    if (root == NULL)
        return NULL;
    if (!parser_at(p, TOKEN_END))
        return parser_unexpected(p, NULL, NULL, err);
    if (root->type == TYPE_LINES && !p->dialect->selector_alone_is_lines)
        return parser_fail(p, root->start, err,
                           "a log selector needs a range function around it, such as "
                           "count_over_time({...}[5m])");
    if (root->type == TYPE_STRING && !p->dialect->strings_alone)
        return parser_fail(p, root->start, err, "a text alone is not a query");
    if (p->dialect->check && !p->dialect->check(p, root, err))
        return NULL;
    return root;
}

/* The dialect's words with line and column before a parse error's message. */
static void add_position(const struct dialect *dialect, struct slice text, struct error *err)
{
    if (err == NULL || err->code != ERR_INVALID || err->position == 0)
        return;
    int line, column;
    query_position(text, (size_t)err->position - 1, &line, &column);
    dialect->parse_error_prefix(err, line, column);
}

struct ast *parse_query(const struct dialect *dialect, struct slice text, unsigned features,
                        uint32_t depth_max, struct error *err)
{
    if (text.size > INT32_MAX / 2)
        return error_null(err, ERR_LIMIT, "the query is too long");
    AUTO(ast_drop) struct ast *ast = ast_new(text, TREE_MEMORY_MAX);
    struct parser p = {
        .dialect = dialect,
        .ast = ast,
        .arena = ast_arena(ast),
        .features = features,
        .depth_max = depth_max ? depth_max : DEPTH_DEFAULT,
    };
    lexer_init(&p.lexer, dialect, ast_text(ast));
    struct node *root = parse_whole(&p, err);
    if (root == NULL) {
        add_position(dialect, text, err);
        return NULL;
    }
    if (!arena_check(p.arena, "the query's tree", err))
        return NULL;
    ast_set_root(ast, root);
    return TAKE(ast);
}

void query_position(struct slice text, size_t offset, int *line, int *column)
{
    size_t start = 0;
    *line = 1;
    for (size_t i = 0; i < offset && i < text.size; i++) {
        if (text.data[i] == '\n') {
            (*line)++;
            start = i + 1;
        }
    }
    *column = (int)(offset - start) + 1;
}
