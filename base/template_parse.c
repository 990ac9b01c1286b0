/*
 * template_parse.c - from text to the tree of a template.
 *
 * One pass with one token of look-ahead inside of actions.  Lists end at {{end}} or
 * {{else}}; definitions are collected on the side.
 */
#include "base/error.h"
#include "base/number.h"
#include "base/template_tree.h"
#include "base/utf8.h"

enum token_kind {
    T_END_OF_ACTION,
    T_FIELD,
    T_DOT,
    T_VARIABLE,
    T_WORD,
    T_TEXT,
    T_CHARACTER,
    T_NUMBER,
    T_SIGN /* ( ) | , = := */
};

struct parser {
    struct slice text;
    size_t at;
    const char *name;
    struct arena *arena;
    struct error *err;
    enum token_kind kind; /* the current token of an action */
    struct slice token;
    bool spaced; /* a blank stood before it */
    unsigned depth, loops;
    struct text_template *t;
    struct slice closed_by; /* the keyword that ended the last list */
};

static bool fail(struct parser *p, const char *what, struct slice shown)
{
    if (p->err == NULL || p->err->code != ERR_NONE)
        return false;
    shown = slice_sub(shown, 0, 100);
    return error_set(p->err, ERR_INVALID, "invalid %s template: template: %s:1: %s%.*s", p->name,
                     p->name, what, SLICE_ARG(shown));
}

static void *take(struct parser *p, size_t size)
{
    void *memory = arena_calloc(p->arena, 1, size);
    if (memory == NULL)
        error_set(p->err, ERR_LIMIT, "the template is too large");
    return memory;
}

/* ---- tokens of an action ------------------------------------------------------- */

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (c >= '0' && c <= '9') ||
           (c & 0x80);
}

static char peek(const struct parser *p, size_t ahead)
{
    return p->at + ahead < p->text.size ? p->text.data[p->at + ahead] : '\0';
}

static bool starts(const struct parser *p, const char *text)
{
    return slice_starts_with(slice_skip(p->text, p->at), slice_from_text(text));
}

static bool emit(struct parser *p, enum token_kind kind, size_t size)
{
    p->kind = kind;
    p->token = slice_sub(p->text, p->at, size);
    p->at += size;
    return true;
}

static bool quoted(struct parser *p)
{
    char quote = peek(p, 0);
    size_t size = 1;
    while (peek(p, size) != quote) {
        if (p->at + size >= p->text.size || (quote != '`' && peek(p, size) == '\n'))
            return fail(p, "unterminated quoted string", (struct slice){NULL, 0});
        size += quote != '`' && peek(p, size) == '\\' ? 2 : 1;
    }
    return emit(p, quote == '\'' ? T_CHARACTER : T_TEXT, size + 1);
}

static bool word(struct parser *p, enum token_kind kind, size_t size)
{
    while (is_word(peek(p, size)))
        size++;
    return emit(p, kind, size);
}

static bool number(struct parser *p)
{
    size_t size = peek(p, 0) == '-' || peek(p, 0) == '+';
    while (is_word(peek(p, size)) || peek(p, size) == '.' ||
           ((peek(p, size) == '-' || peek(p, size) == '+') && (peek(p, size - 1) | 0x20) == 'e'))
        size++;
    return emit(p, T_NUMBER, size);
}

static bool next(struct parser *p)
{
    p->spaced = false;
    while (peek(p, 0) == ' ' || peek(p, 0) == '\t' || peek(p, 0) == '\n' || peek(p, 0) == '\r') {
        if (starts(p, " -}}"))
            break;
        p->at++;
        p->spaced = true;
    }
    if (p->at >= p->text.size)
        return fail(p, "unclosed action", (struct slice){NULL, 0});
    if (starts(p, "}}"))
        return emit(p, T_END_OF_ACTION, 2);
    if (starts(p, " -}}")) {
        emit(p, T_END_OF_ACTION, 4);
        while (strchr(" \t\r\n", peek(p, 0)) && p->at < p->text.size)
            p->at++;
        return true;
    }
    char c = peek(p, 0), after = peek(p, 1);
    bool digit = c >= '0' && c <= '9';
    bool digit_after = after >= '0' && after <= '9';
    if (c == '"' || c == '`' || c == '\'')
        return quoted(p);
    if (digit || ((c == '-' || c == '+' || c == '.') && digit_after))
        return number(p);
    if (c == '.')
        return is_word(after) ? word(p, T_FIELD, 1) : emit(p, T_DOT, 1);
    if (c == '$')
        return word(p, T_VARIABLE, 1);
    if (is_word(c))
        return word(p, T_WORD, 0);
    if (c == ':' && after == '=')
        return emit(p, T_SIGN, 2);
    if (strchr("()|,=", c))
        return emit(p, T_SIGN, 1);
    return fail(p, "unexpected character in command: ", slice_sub(p->text, p->at, 1));
}

static bool at_sign(const struct parser *p, const char *sign)
{
    return p->kind == T_SIGN && slice_equal(p->token, slice_from_text(sign));
}

static bool at_word(const struct parser *p, const char *text)
{
    return p->kind == T_WORD && slice_equal(p->token, slice_from_text(text));
}

/* ---- operands and pipes ----------------------------------------------------------- */

static struct template_pipe *parse_pipe(struct parser *p);

static bool parse_number(struct parser *p, struct template_value *value)
{
    struct slice s = p->token;
    char copy[64];
    char *end = NULL;
    if (s.size >= sizeof(copy))
        return fail(p, "bad number syntax: ", s);
    memcpy(copy, s.data, s.size);
    copy[s.size] = '\0';
    value->type = TV_INT;
    value->integer = strtoll(copy, &end, 0);
    if (*end == '\0')
        return true;
    if (!slice_parse_double(s, true, &value->number))
        return fail(p, "bad number syntax: ", s);
    value->type = TV_FLOAT;
    bool plain = slice_find_byte(s, '.', 0) == SLICE_NOT_FOUND;
    if (plain && value->number > -9e15 && value->number < 9e15) { /* 1e3 may be an integer */
        value->type = TV_INT;
        value->integer = (int64_t)value->number;
    }
    return true;
}

static bool parse_quoted(struct parser *p, struct template_value *value)
{
    struct slice text;
    bool character = p->kind == T_CHARACTER;
    if (!slice_unquote(p->arena, p->token, true, &text, NULL))
        return fail(p, "malformed string constant: ", p->token);
    size_t at = 0;
    *value = character ? (struct template_value){.type = TV_INT} : template_text(text);
    if (character && text.size > 0)
        value->integer = utf8_next(text, &at, NULL);
    return true;
}

static bool parse_word(struct parser *p, struct template_operand *operand)
{
    operand->kind = OPERAND_CONSTANT;
    if (at_word(p, "true") || at_word(p, "false")) {
        operand->constant.type = TV_BOOL;
        operand->constant.integer = at_word(p, "true");
        return true;
    }
    if (at_word(p, "nil"))
        return true;
    operand->kind = OPERAND_FUNCTION;
    operand->function = template_function_find(p->token);
    if (operand->function)
        return true;
    struct slice shown = slice_sub(p->token, 0, 100);
    error_set(p->err, ERR_INVALID,
              "invalid %s template: template: %s:1: function \"%.*s\" not defined", p->name,
              p->name, SLICE_ARG(shown));
    return false;
}

static bool add_field(struct parser *p, struct template_operand *operand)
{
    size_t capacity = operand->field_count;
    struct slice *fields = arena_grow(p->arena, operand->fields, operand->field_count, &capacity,
                                      operand->field_count + 1, sizeof(*fields));
    if (fields == NULL)
        return error_set(p->err, ERR_LIMIT, "the template is too large");
    fields[operand->field_count++] = slice_skip(p->token, 1);
    operand->fields = fields;
    return true;
}

/* The current token and the fields that touch it; afterwards the token behind it is current. */
static bool parse_operand(struct parser *p, struct template_operand *operand)
{
    *operand = (struct template_operand){.kind = OPERAND_CONSTANT};
    bool ok = true;
    if (p->kind == T_DOT)
        operand->kind = OPERAND_DOT;
    else if (p->kind == T_FIELD)
        operand->kind = OPERAND_FIELD;
    else if (p->kind == T_VARIABLE)
        operand->kind = OPERAND_VARIABLE;
    else if (p->kind == T_WORD)
        ok = parse_word(p, operand);
    else if (p->kind == T_NUMBER)
        ok = parse_number(p, &operand->constant);
    else if (p->kind == T_TEXT || p->kind == T_CHARACTER)
        ok = parse_quoted(p, &operand->constant);
    else if (at_sign(p, "(")) {
        operand->kind = OPERAND_PIPE;
        ok = next(p) && (operand->pipe = parse_pipe(p)) != NULL;
        ok = ok && (at_sign(p, ")") || fail(p, "unclosed left paren", (struct slice){NULL, 0}));
    } else {
        return fail(p, "unexpected ", p->token);
    }
    operand->name = p->token;
    if (ok && operand->kind == OPERAND_FIELD)
        ok = add_field(p, operand);
    ok = ok && next(p);
    while (ok && p->kind == T_FIELD && !p->spaced)
        ok = add_field(p, operand) && next(p);
    return ok;
}

static bool at_command_end(const struct parser *p)
{
    return p->kind == T_END_OF_ACTION || at_sign(p, "|") || at_sign(p, ")");
}

static bool parse_command(struct parser *p, struct template_command *command)
{
    struct template_operand operands[TEMPLATE_ARGUMENTS_MAX];
    size_t count = 0;
    while (!at_command_end(p)) {
        if (count == TEMPLATE_ARGUMENTS_MAX)
            return fail(p, "too many arguments", (struct slice){NULL, 0});
        if (!parse_operand(p, &operands[count++]))
            return false;
    }
    if (count == 0)
        return fail(p, "missing value for command", (struct slice){NULL, 0});
    command->operands = take(p, count * sizeof(*operands));
    command->count = count;
    if (command->operands)
        memcpy(command->operands, operands, count * sizeof(*operands));
    return command->operands != NULL;
}

/* $x := , $x = , $i, $x := before a pipe. */
static bool parse_variables(struct parser *p, struct template_pipe *pipe)
{
    struct parser before = *p;
    while (p->kind == T_VARIABLE && pipe->variable_count < 2) {
        pipe->variables[pipe->variable_count++] = p->token;
        if (!next(p))
            return false;
        if (at_sign(p, ":=") || at_sign(p, "=")) {
            pipe->assigns = at_sign(p, "=");
            return next(p);
        }
        if (!at_sign(p, ",") || !next(p))
            break;
    }
    *p = before; /* an ordinary operand */
    pipe->variable_count = 0;
    return p->err->code == ERR_NONE;
}

static struct template_pipe *parse_pipe(struct parser *p)
{
    struct template_command commands[TEMPLATE_ARGUMENTS_MAX];
    struct template_pipe *pipe = take(p, sizeof(*pipe));
    if (pipe == NULL || p->depth >= TEMPLATE_DEPTH_MAX) {
        fail(p, "too deeply nested", (struct slice){NULL, 0});
        return NULL;
    }
    p->depth++;
    bool ok = parse_variables(p, pipe);
    for (bool more = ok; ok && more;) {
        ok = pipe->count < TEMPLATE_ARGUMENTS_MAX && parse_command(p, &commands[pipe->count++]);
        more = ok && at_sign(p, "|");
        ok = ok && (!more || next(p));
    }
    p->depth--;
    if (!ok) {
        fail(p, "too many commands", (struct slice){NULL, 0});
        return NULL;
    }
    pipe->commands = take(p, pipe->count * sizeof(*commands));
    if (pipe->commands == NULL)
        return NULL;
    memcpy(pipe->commands, commands, pipe->count * sizeof(*commands));
    return pipe;
}

static struct template_pipe *whole_pipe(struct parser *p)
{
    struct template_pipe *pipe = parse_pipe(p);
    if (pipe && p->kind != T_END_OF_ACTION) {
        fail(p, "unexpected ", p->token);
        return NULL;
    }
    return pipe;
}

/* ---- nodes --------------------------------------------------------------------------- */

static bool parse_list(struct parser *p, const struct template_node **list);

static bool end_action(struct parser *p)
{
    return next(p) && (p->kind == T_END_OF_ACTION || fail(p, "unexpected ", p->token));
}

static bool parse_branches(struct parser *p, struct template_node *node);

/* {{else}} or {{else if ...}} was read up to `else`. */
static bool parse_else(struct parser *p, struct template_node *node)
{
    if (p->kind == T_END_OF_ACTION)
        return parse_list(p, &node->otherwise) &&
               (slice_equal(p->closed_by, SLICE("end")) ||
                fail(p, "unexpected {{else}}", (struct slice){NULL, 0}));
    struct template_node *inner = take(p, sizeof(*inner));
    if (inner == NULL)
        return false;
    inner->kind = at_word(p, "with") ? TN_WITH : TN_IF;
    if (!at_word(p, "if") && !at_word(p, "with"))
        return fail(p, "unexpected ", p->token);
    node->otherwise = inner;
    return next(p) && parse_branches(p, inner);
}

/* The pipe, the body, and what follows {{else}}; the keyword was read. */
static bool parse_branches(struct parser *p, struct template_node *node)
{
    node->pipe = whole_pipe(p);
    if (node->pipe == NULL || !parse_list(p, &node->body))
        return false;
    if (slice_equal(p->closed_by, SLICE("end")))
        return true;
    return parse_else(p, node);
}

/* "name" of define, template and block. */
static bool parse_name(struct parser *p, struct slice *name)
{
    if (p->kind != T_TEXT || !slice_unquote(p->arena, p->token, false, name, NULL))
        return fail(p, "unexpected ", p->token);
    return next(p);
}

static bool parse_definition(struct parser *p, struct slice name)
{
    struct template_definition *definition = take(p, sizeof(*definition));
    if (definition == NULL || !parse_list(p, &definition->body))
        return false;
    definition->name = name;
    definition->next = p->t->definitions;
    p->t->definitions = definition;
    return true;
}

static bool parse_template(struct parser *p, struct template_node *node, bool block)
{
    node->kind = TN_TEMPLATE;
    if (!parse_name(p, &node->text))
        return false;
    if (p->kind != T_END_OF_ACTION && (node->pipe = whole_pipe(p)) == NULL)
        return false;
    return !block || parse_definition(p, node->text);
}

/* One action, its first token is current.  `*gone`: it makes no node; `*closed`: it ends the list.
 */
static bool parse_action(struct parser *p, struct template_node *node, bool *gone, bool *closed)
{
    struct slice name;
    if (at_word(p, "end") || at_word(p, "else")) {
        *closed = true;
        p->closed_by = p->token;
        if (p->depth <= 1)
            return fail(p, at_word(p, "end") ? "unexpected {{end}}" : "unexpected {{else}}",
                        (struct slice){NULL, 0});
        if (at_word(p, "end"))
            return end_action(p);
        return next(p);
    }
    if (at_word(p, "if") || at_word(p, "with") || at_word(p, "range")) {
        node->kind = at_word(p, "if") ? TN_IF : at_word(p, "with") ? TN_WITH : TN_RANGE;
        bool loop = node->kind == TN_RANGE;
        p->loops += loop;
        bool ok = next(p) && parse_branches(p, node);
        p->loops -= loop;
        return ok;
    }
    if (at_word(p, "define")) {
        *gone = true;
        return next(p) && parse_name(p, &name) && parse_definition(p, name);
    }
    if (at_word(p, "template") || at_word(p, "block")) {
        bool block = at_word(p, "block");
        return next(p) && parse_template(p, node, block);
    }
    if ((at_word(p, "break") || at_word(p, "continue")) && p->loops > 0) {
        node->kind = at_word(p, "break") ? TN_BREAK : TN_CONTINUE;
        return end_action(p);
    }
    node->kind = TN_ACTION;
    node->pipe = whole_pipe(p);
    return node->pipe != NULL;
}

static bool parse_comment(struct parser *p)
{
    size_t end = slice_find(p->text, SLICE("*/"), p->at + 2);
    if (end == SLICE_NOT_FOUND)
        return fail(p, "unclosed comment", (struct slice){NULL, 0});
    p->at = end + 2;
    return end_action(p);
}

/* Text up to the next action; false at the end of the template. */
static bool take_text(struct parser *p, struct slice *text, bool *action)
{
    size_t open = slice_find(p->text, SLICE("{{"), p->at);
    size_t end = open == SLICE_NOT_FOUND ? p->text.size : open;
    *text = slice_sub(p->text, p->at, end - p->at);
    *action = open != SLICE_NOT_FOUND;
    p->at = *action ? open + 2 : end;
    if (*action && peek(p, 0) == '-' && (peek(p, 1) == ' ' || peek(p, 1) == '\n')) {
        p->at++;
        while (text->size > 0 && strchr(" \t\r\n", text->data[text->size - 1]))
            text->size--;
    }
    return *action || text->size > 0;
}

static bool parse_list(struct parser *p, const struct template_node **list)
{
    const struct template_node **tail = list;
    bool closed = false, action;
    struct slice text;
    if (p->depth >= TEMPLATE_DEPTH_MAX)
        return fail(p, "too deeply nested", (struct slice){NULL, 0});
    p->depth++;
    while (!closed && take_text(p, &text, &action)) {
        struct template_node *node = take(p, 2 * sizeof(*node));
        if (node == NULL)
            return false;
        if (text.size > 0) {
            node->text = text;
            *tail = node;
            tail = &node->next;
            node++;
        }
        bool gone = false;
        if (!action)
            break;
        if (starts(p, "/*") ? !(gone = parse_comment(p))
                            : !(next(p) && parse_action(p, node, &gone, &closed)))
            return false;
        if (!gone && !closed) {
            *tail = node;
            tail = &node->next;
        }
    }
    p->depth--;
    return closed || p->depth == 0 || fail(p, "unexpected EOF", (struct slice){NULL, 0});
}

const struct text_template *template_new(struct slice text, const char *name, struct arena *arena,
                                         struct error *err)
{
    struct error local = {0};
    struct text_template *t = arena_calloc(arena, 1, sizeof(*t));
    struct parser p = {.text = text, .name = name, .arena = arena, .err = &local, .t = t};
    if (t == NULL)
        return error_null(err, ERR_LIMIT, "the template is too large");
    t->name = name;
    if (parse_list(&p, &t->body) && local.code == ERR_NONE)
        return t;
    if (err)
        *err = local;
    return NULL;
}

bool template_is_plain(const struct text_template *t, struct slice *text)
{
    if (t->body && (t->body->kind != TN_TEXT || t->body->next))
        return false;
    *text = t->body ? t->body->text : (struct slice){NULL, 0};
    return true;
}
