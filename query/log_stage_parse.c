/*
 * log_stage_parse.c - the grammar of pipeline stages.
 *
 * Label filters follow Loki's precedence: `and` binds tighter than `or`, while
 * after a comma, or two filters side by side, the right side takes all that
 * follows.
 */
#include "base/arena.h"
#include "base/error.h"
#include "query/log_parse.h"
#include "query/pipeline.h"

#include "query/dialect.h"

enum { LIST_MAX = 1000 };

bool logql_is_reserved(struct slice word)
{
    static const char *const words[] = {
        "and",         "bool",     "by",     "decolorize", "drop",         "group_left",
        "group_right", "ignoring", "json",   "keep",       "label_format", "line_format",
        "logfmt",      "offset",   "on",     "or",         "pattern",      "regexp",
        "unless",      "unpack",   "unwrap", "without"};
    for (size_t i = 0; i < COUNT_OF(words); i++) {
        if (slice_equal_ignore_case(word, slice_from_text(words[i])))
            return true;
    }
    return false;
}

static bool filter_type(enum token_kind kind, enum line_filter_type *type)
{
    switch (kind) {
    case TOKEN_PIPE_EQUAL:
        *type = LINE_CONTAINS;
        return true;
    case TOKEN_NOT_EQUAL:
        *type = LINE_CONTAINS_NOT;
        return true;
    case TOKEN_PIPE_MATCH:
        *type = LINE_MATCHES;
        return true;
    case TOKEN_NOT_MATCH:
        *type = LINE_MATCHES_NOT;
        return true;
    case TOKEN_PIPE_PATTERN:
        *type = LINE_PATTERN;
        return true;
    case TOKEN_NOT_PATTERN:
        *type = LINE_PATTERN_NOT;
        return true;
    default:
        return false;
    }
}

bool log_stage_starts(const struct parser *p)
{
    enum line_filter_type type;
    return parser_at(p, TOKEN_PIPE) || filter_type(p->token.kind, &type);
}

/* False when the list is full or the tree is over its limit. */
static bool list_room(struct parser *p, void **items, size_t count, size_t *capacity, size_t size,
                      struct error *err)
{
    if (count == LIST_MAX)
        return error_set_at(err, ERR_INVALID, p->token.start,
                            "a stage lists more than %d items, the limit", LIST_MAX);
    void *grown = arena_grow(p->arena, *items, count, capacity, count + 1, size);
    if (grown == NULL)
        return arena_check(p->arena, "the query's tree", err);
    *items = grown;
    return true;
}

static bool expect_string(struct parser *p, const char *expected, struct slice *value,
                          struct error *err)
{
    if (parser_at(p, TOKEN_STRING))
        return parser_string(p, value, err);
    parser_unexpected(p, NULL, expected, err);
    return false;
}

static bool expect_name(struct parser *p, struct slice *name, struct error *err)
{
    if (!parser_at(p, TOKEN_IDENTIFIER) || logql_is_reserved(p->token.text)) {
        parser_unexpected(p, NULL, "IDENTIFIER", err);
        return false;
    }
    *name = p->token.text;
    return parser_advance(p, err);
}

/* ip("..."), the current token is `ip`. */
static bool parse_ip(struct parser *p, struct slice *text, struct error *err)
{
    return parser_advance(p, err) && parser_expect(p, TOKEN_LEFT_PAREN, "ip()", err) &&
           expect_string(p, "STRING", text, err) &&
           parser_expect(p, TOKEN_RIGHT_PAREN, "ip()", err);
}

/* ---- line filters ----------------------------------------------------------- */

static bool parse_line_filter(struct parser *p, struct log_stage *stage, struct error *err)
{
    void *texts = NULL;
    size_t count = 0, capacity = 0;
    bool more = true;
    if (!parser_advance(p, err))
        return false;
    while (more) {
        struct line_filter_text text = {.ip = parser_at_keyword(p, "ip")};
        if (!(text.ip ? parse_ip(p, &text.text, err)
                      : expect_string(p, "STRING or ip", &text.text, err)) ||
            !list_room(p, &texts, count, &capacity, sizeof(text), err))
            return false;
        ((struct line_filter_text *)texts)[count++] = text;
        if (!parser_accept_keyword(p, "or", &more, err))
            return false;
    }
    stage->kind = LOG_LINE_FILTER;
    stage->texts = texts;
    stage->text_count = count;
    return true;
}

/* ---- label filters ------------------------------------------------------------ */

static bool compare_type_of(enum token_kind kind, enum compare_type *type)
{
    switch (kind) {
    case TOKEN_EQUAL:
    case TOKEN_EQUAL_EQUAL:
        *type = COMPARE_EQUAL;
        return true;
    case TOKEN_NOT_EQUAL:
        *type = COMPARE_NOT_EQUAL;
        return true;
    case TOKEN_GREATER:
        *type = COMPARE_GREATER;
        return true;
    case TOKEN_GREATER_EQUAL:
        *type = COMPARE_GREATER_EQUAL;
        return true;
    case TOKEN_LESS:
        *type = COMPARE_LESS;
        return true;
    case TOKEN_LESS_EQUAL:
        *type = COMPARE_LESS_EQUAL;
        return true;
    default:
        return false;
    }
}

/* The literal that a label is compared with: a number, a duration or a size. */
static bool parse_quantity(struct parser *p, struct label_condition *c, struct error *err)
{
    bool minus = parser_at(p, TOKEN_MINUS);
    if ((minus || parser_at(p, TOKEN_PLUS)) && !parser_advance(p, err))
        return false;
    double bytes;
    bool ok = false;
    if (parser_at(p, TOKEN_NUMBER)) {
        c->kind = CONDITION_NUMBER;
        ok = token_number(p->dialect, p->token, &c->number);
        c->number = minus ? -c->number : c->number;
    } else if (parser_at(p, TOKEN_DURATION)) {
        c->kind = CONDITION_DURATION;
        ok = token_duration(p->dialect, p->token, &c->duration_ns);
        c->duration_ns = minus ? -c->duration_ns : c->duration_ns;
    } else if (parser_at(p, TOKEN_BYTES) && !minus) {
        c->kind = CONDITION_BYTES;
        ok = token_bytes(p->token, &bytes) && bytes < 18446744073709551616.0;
        c->bytes = ok ? (uint64_t)bytes : 0;
    }
    if (!ok) {
        parser_unexpected(p, NULL, "STRING, NUMBER, DURATION or BYTES", err);
        return false;
    }
    return parser_advance(p, err);
}

static bool parse_comparison(struct parser *p, struct label_condition *c, struct error *err)
{
    if (!expect_name(p, &c->name, err))
        return false;
    enum token_kind operator_kind = p->token.kind;
    bool compares = compare_type_of(operator_kind, &c->compare);
    bool matches = token_matcher_type(operator_kind, &c->matcher);
    if (!compares && !matches) {
        parser_unexpected(p, NULL, NULL, err);
        return false;
    }
    if (!parser_advance(p, err))
        return false;
    if (matches && parser_at(p, TOKEN_STRING)) {
        c->kind = CONDITION_STRING;
        return parser_string(p, &c->text, err);
    }
    if (matches && compares && parser_at_keyword(p, "ip")) {
        c->kind = CONDITION_IP;
        return parse_ip(p, &c->text, err);
    }
    if (!compares) {
        parser_unexpected(p, NULL, "STRING", err);
        return false;
    }
    return parse_quantity(p, c, err);
}

static const struct label_condition *parse_condition(struct parser *p, int least,
                                                     struct error *err);

static const struct label_condition *parse_primary(struct parser *p, struct error *err)
{
    if (parser_at(p, TOKEN_LEFT_PAREN)) {
        if (!parser_advance(p, err))
            return NULL;
        const struct label_condition *inner = parse_condition(p, 0, err);
        if (inner && !parser_at(p, TOKEN_RIGHT_PAREN))
            return parser_unexpected(p, NULL, NULL, err);
        return inner && parser_advance(p, err) ? inner : NULL;
    }
    struct label_condition *c = arena_calloc(p->arena, 1, sizeof(*c));
    if (c == NULL)
        return error_null(err, ERR_LIMIT, "the query's tree is too large");
    return parse_comparison(p, c, err) ? c : NULL;
}

static const struct label_condition *join(struct parser *p, enum label_condition_kind kind,
                                          const struct label_condition *left,
                                          const struct label_condition *right, struct error *err)
{
    struct label_condition *c = arena_calloc(p->arena, 1, sizeof(*c));
    if (c == NULL)
        return error_null(err, ERR_LIMIT, "the query's tree is too large");
    if (left == NULL || right == NULL)
        return NULL;
    c->kind = kind;
    c->left = left;
    c->right = right;
    return c;
}

static bool condition_starts(const struct parser *p)
{
    return parser_at(p, TOKEN_LEFT_PAREN) ||
           (parser_at(p, TOKEN_IDENTIFIER) && !logql_is_reserved(p->token.text));
}

/* `least`: 0 takes `or` and `and`, 1 `and` only, 2 neither. */
static const struct label_condition *parse_operators(struct parser *p, int least, struct error *err)
{
    const struct label_condition *left = parse_primary(p, err);
    for (size_t joined = 0; left; joined++) {
        if (joined == LIST_MAX)
            return parser_fail(p, p->token.start, err,
                               "a label filter joins more than %d conditions", LIST_MAX);
        bool is_or = parser_at_keyword(p, "or");
        bool is_and = parser_at_keyword(p, "and");
        if (parser_at(p, TOKEN_COMMA) || condition_starts(p)) {
            if (parser_at(p, TOKEN_COMMA) && !parser_advance(p, err))
                return NULL;
            return join(p, CONDITION_AND, left, parse_condition(p, 0, err), err);
        }
        if (!is_or && !is_and)
            return left;
        if ((is_or ? 0 : 1) < least)
            return left;
        if (!parser_advance(p, err))
            return NULL;
        left = join(p, is_or ? CONDITION_OR : CONDITION_AND, left,
                    parse_condition(p, is_or ? 1 : 2, err), err);
    }
    return NULL;
}

static const struct label_condition *parse_condition(struct parser *p, int least, struct error *err)
{
    if (!parser_enter(p, err))
        return NULL;
    const struct label_condition *c = parse_operators(p, least, err);
    parser_leave(p);
    return c;
}

static bool parse_label_filter(struct parser *p, struct log_stage *stage, struct error *err)
{
    stage->kind = LOG_LABEL_FILTER;
    stage->condition = parse_condition(p, 0, err);
    return stage->condition != NULL;
}

/* ---- lists of assignments and labels ------------------------------------------- */

/* name="text" | name (json, logfmt); name="text" | name=other (label_format). */
static bool parse_assignment(struct parser *p, bool format, struct stage_assignment *item,
                             struct error *err)
{
    *item = (struct stage_assignment){0};
    if (!expect_name(p, &item->name, err))
        return false;
    if (!parser_at(p, TOKEN_EQUAL)) {
        if (format) {
            parser_unexpected(p, NULL, "=", err);
            return false;
        }
        item->value = item->name;
        return true;
    }
    if (!parser_advance(p, err))
        return false;
    item->rename = format && !parser_at(p, TOKEN_STRING);
    if (item->rename)
        return expect_name(p, &item->value, err);
    return expect_string(p, "STRING", &item->value, err);
}

static bool parse_assignments(struct parser *p, bool format, struct log_stage *stage,
                              struct error *err)
{
    void *items = NULL;
    size_t count = 0, capacity = 0;
    bool more = true;
    while (more) {
        struct stage_assignment item;
        if (!parse_assignment(p, format, &item, err) ||
            !list_room(p, &items, count, &capacity, sizeof(item), err))
            return false;
        ((struct stage_assignment *)items)[count++] = item;
        if (!parser_accept(p, TOKEN_COMMA, &more, err))
            return false;
    }
    stage->assignments = items;
    stage->assignment_count = count;
    return true;
}

static bool parse_labels(struct parser *p, struct log_stage *stage, struct error *err)
{
    void *items = NULL;
    size_t count = 0, capacity = 0;
    bool more = true;
    while (more) {
        struct stage_label item = {0};
        if (!expect_name(p, &item.name, err))
            return false;
        item.has_matcher = token_matcher_type(p->token.kind, &item.matcher);
        if (item.has_matcher &&
            (!parser_advance(p, err) || !expect_string(p, "STRING", &item.value, err)))
            return false;
        if (!list_room(p, &items, count, &capacity, sizeof(item), err))
            return false;
        ((struct stage_label *)items)[count++] = item;
        if (!parser_accept(p, TOKEN_COMMA, &more, err))
            return false;
    }
    stage->labels = items;
    stage->label_count = count;
    return true;
}

/* ---- stages behind "|" ------------------------------------------------------------ */

static bool at_name(const struct parser *p)
{
    return parser_at(p, TOKEN_IDENTIFIER) && !logql_is_reserved(p->token.text);
}

static bool parse_logfmt(struct parser *p, struct log_stage *stage, struct error *err)
{
    while (parser_at(p, TOKEN_FLAG)) {
        if (slice_equal(p->token.text, SLICE("strict"))) {
            stage->strict = true;
        } else if (slice_equal(p->token.text, SLICE("keep-empty"))) {
            stage->keep_empty = true;
        } else {
            parser_unexpected(p, NULL, "--strict or --keep-empty", err);
            return false;
        }
        if (!parser_advance(p, err))
            return false;
    }
    return !at_name(p) || parse_assignments(p, false, stage, err);
}

static bool parse_named_stage(struct parser *p, enum log_stage_kind kind, struct log_stage *stage,
                              struct error *err)
{
    stage->kind = kind;
    if (!parser_advance(p, err))
        return false;
    switch (kind) {
    case LOG_JSON:
        return !at_name(p) || parse_assignments(p, false, stage, err);
    case LOG_LOGFMT:
        return parse_logfmt(p, stage, err);
    case LOG_REGEXP:
    case LOG_PATTERN:
    case LOG_LINE_FORMAT:
        return expect_string(p, "STRING", &stage->text, err);
    case LOG_LABEL_FORMAT:
        return parse_assignments(p, true, stage, err);
    case LOG_DROP:
    case LOG_KEEP:
        return parse_labels(p, stage, err);
    default:
        return true; /* unpack, decolorize */
    }
}

static bool stage_kind_of(const struct parser *p, enum log_stage_kind *kind)
{
    static const struct {
        const char *word;
        enum log_stage_kind kind;
    } words[] = {
        {"json", LOG_JSON},
        {"logfmt", LOG_LOGFMT},
        {"regexp", LOG_REGEXP},
        {"pattern", LOG_PATTERN},
        {"unpack", LOG_UNPACK},
        {"line_format", LOG_LINE_FORMAT},
        {"label_format", LOG_LABEL_FORMAT},
        {"decolorize", LOG_DECOLORIZE},
        {"drop", LOG_DROP},
        {"keep", LOG_KEEP},
    };
    for (size_t i = 0; i < COUNT_OF(words); i++) {
        if (parser_at_keyword(p, words[i].word)) {
            *kind = words[i].kind;
            return true;
        }
    }
    return false;
}

/* ---- unwrap -------------------------------------------------------------------------- */

static bool parse_conversion(struct parser *p, struct log_unwrap *unwrap, struct error *err)
{
    struct token next;
    if (!parser_peek(p, &next, err))
        return false;
    unwrap->conversion = UNWRAP_NUMBER;
    if (!parser_at(p, TOKEN_IDENTIFIER) || next.kind != TOKEN_LEFT_PAREN)
        return expect_name(p, &unwrap->label, err);
    if (parser_at_keyword(p, "bytes")) {
        unwrap->conversion = UNWRAP_BYTES;
    } else if (parser_at_keyword(p, "duration")) {
        unwrap->conversion = UNWRAP_DURATION;
    } else if (parser_at_keyword(p, "duration_seconds")) {
        unwrap->conversion = UNWRAP_DURATION_SECONDS;
    } else {
        parser_unexpected(p, "unwrap", "bytes(), duration() or duration_seconds()", err);
        return false;
    }
    return parser_advance(p, err) && parser_advance(p, err) &&
           expect_name(p, &unwrap->label, err) &&
           parser_expect(p, TOKEN_RIGHT_PAREN, "unwrap", err);
}

/* Label filters behind unwrap: "|" and a condition, again and again. */
static bool parse_unwrap(struct parser *p, struct log_unwrap **out, struct error *err)
{
    struct log_unwrap *unwrap = arena_calloc(p->arena, 1, sizeof(*unwrap));
    if (unwrap == NULL)
        return arena_check(p->arena, "the query's tree", err);
    if (!parser_advance(p, err) || !parse_conversion(p, unwrap, err))
        return false;
    void *filters = NULL;
    size_t capacity = 0;
    while (parser_at(p, TOKEN_PIPE)) {
        uint32_t start = p->token.start;
        struct log_stage stage = {0};
        if (!parser_advance(p, err) || !parse_label_filter(p, &stage, err))
            return false;
        stage.source = slice_sub(ast_text(p->ast), start, p->end - start);
        if (!list_room(p, &filters, unwrap->filter_count, &capacity, sizeof(stage), err))
            return false;
        ((struct log_stage *)filters)[unwrap->filter_count++] = stage;
    }
    unwrap->filters = filters;
    *out = unwrap;
    return true;
}

/* What regexp and pattern extract must be known when the query is parsed. */
static bool check_extractor(const struct log_stage *stage, struct error *err)
{
    if (stage->kind != LOG_REGEXP && stage->kind != LOG_PATTERN)
        return true;
    struct pipeline alone = {stage, 1, NULL};
    struct log_program *program = log_program_new(&alone, NULL, err);
    log_program_free(program);
    return program != NULL;
}

bool log_stage_parse(struct parser *p, struct log_stage *stage, struct log_unwrap **unwrap,
                     struct error *err)
{
    uint32_t start = p->token.start;
    enum log_stage_kind kind;
    bool ok;
    *stage = (struct log_stage){0};
    if (filter_type(p->token.kind, &stage->filter)) {
        ok = parse_line_filter(p, stage, err);
    } else if (!parser_advance(p, err)) {
        return false;
    } else if (parser_at_keyword(p, "unwrap")) {
        return parse_unwrap(p, unwrap, err);
    } else if (stage_kind_of(p, &kind)) {
        ok = parse_named_stage(p, kind, stage, err);
    } else if (at_name(p) || parser_at(p, TOKEN_LEFT_PAREN)) {
        ok = parse_label_filter(p, stage, err);
    } else {
        parser_unexpected(p, NULL, NULL, err);
        return false;
    }
    stage->source = slice_sub(ast_text(p->ast), start, p->end - start);
    return ok && check_extractor(stage, err);
}
