/*
 * lexer.c - from text to tokens (see lexer.h).
 *
 * Numbers are the only hard part: "5", "5m", "1.5h", "5KB" and "0x1f" begin
 * alike.  The longest run of letters, digits, dots and exponent signs is cut
 * out first and then must be exactly one of the forms that the dialect has.
 */
#include "query/lexer.h"

#include "base/duration.h"
#include "base/error.h"
#include "base/number.h"
#include "base/utf8.h"
#include "query/dialect.h"

#include <math.h>

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

void lexer_init(struct lexer *lexer, const struct dialect *dialect, struct slice text)
{
    *lexer = (struct lexer){.dialect = dialect, .text = text};
}

/* The byte `ahead` places on, or NUL behind the end. */
static char peek(const struct lexer *lexer, size_t ahead)
{
    size_t at = lexer->at + ahead;
    return at < lexer->text.size ? lexer->text.data[at] : '\0';
}

static void skip_blanks_and_comments(struct lexer *lexer)
{
    while (lexer->at < lexer->text.size) {
        char c = lexer->text.data[lexer->at];
        if (c == '#') {
            while (lexer->at < lexer->text.size && lexer->text.data[lexer->at] != '\n' &&
                   lexer->text.data[lexer->at] != '\r')
                lexer->at++;
        } else if (is_space(c)) {
            lexer->at++;
        } else {
            return;
        }
    }
}

static bool emit(struct lexer *lexer, struct token *token, enum token_kind kind, size_t size)
{
    *token = (struct token){
        .kind = kind,
        .text = slice_sub(lexer->text, lexer->at, size),
        .start = (uint32_t)lexer->at,
        .end = (uint32_t)(lexer->at + size),
    };
    lexer->at += size;
    return true;
}

/* ---- numbers, durations, byte sizes --------------------------------------- */

static size_t digits(struct slice s, size_t at, bool hex, bool underscores)
{
    size_t start = at;
    while (at < s.size) {
        char c = s.data[at];
        bool digit = is_digit(c) || (hex && ((c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F')));
        bool joint = underscores && c == '_' && at + 1 < s.size && s.data[at + 1] != '_' &&
                     (at > start || hex);
        if (!digit && !joint)
            break;
        at++;
    }
    return at;
}

static bool is_number(const struct dialect *dialect, struct slice s)
{
    bool joined = dialect->number_forms;
    if (s.size > 2 && s.data[0] == '0' && (s.data[1] == 'x' || s.data[1] == 'X')) {
        double value; /* 0x1p3 is a number in both languages */
        return dialect->number_forms ? digits(s, 2, true, joined) == s.size
                                     : slice_parse_double(s, false, &value);
    }
    size_t at = digits(s, 0, false, joined);
    size_t whole = at;
    if (at < s.size && s.data[at] == '.') {
        size_t fraction = digits(s, at + 1, false, joined);
        if (whole == 0 && fraction == at + 1)
            return false;
        at = fraction;
    }
    if (at < s.size && (s.data[at] == 'e' || s.data[at] == 'E')) {
        at++;
        if (at < s.size && (s.data[at] == '+' || s.data[at] == '-'))
            at++;
        size_t exponent = digits(s, at, false, joined);
        if (exponent == at)
            return false;
        at = exponent;
    }
    return at == s.size && s.size > 0;
}

static bool is_prometheus_duration(struct slice s)
{
    int64_t ns;
    return duration_parse_prometheus(s, &ns);
}

/* Multiplier of a unit such as "KB" or "mib" in any case; 0 when it is none. */
static double byte_unit(struct slice unit)
{
    static const char letters[] = "kmgtpe";
    if (unit.size == 0)
        return 0;
    char last = unit.data[unit.size - 1];
    if (last != 'b' && last != 'B')
        return 0;
    if (unit.size == 1)
        return 1;
    const char *found = strchr(letters, unit.data[0] | 0x20);
    if (found == NULL || unit.data[0] == '\0')
        return 0;
    bool binary = unit.size == 3 && (unit.data[1] | 0x20) == 'i';
    if (unit.size != 2 && !binary)
        return 0;
    return pow(binary ? 1024 : 1000, (double)(found - letters + 1));
}

static bool split_bytes(struct slice s, struct slice *number, double *unit)
{
    size_t at = s.size;
    while (at > 0 && is_letter(s.data[at - 1]))
        at--;
    *number = slice_sub(s, 0, at);
    *unit = byte_unit(slice_skip(s, at));
    return at > 0 && *unit > 0;
}

static bool is_byte_size(const struct dialect *dialect, struct slice s)
{
    struct slice number;
    double unit;
    return split_bytes(s, &number, &unit) && is_number(dialect, number);
}

/* Bytes that a number or one of its kin may go on with. */
static size_t number_run(const struct lexer *lexer)
{
    size_t size = 0;
    bool hex = peek(lexer, 0) == '0' && (peek(lexer, 1) | 0x20) == 'x';
    for (;;) {
        char c = peek(lexer, size);
        if (is_letter(c) || is_digit(c) || c == '.') {
            size++;
        } else if ((c == '+' || c == '-') && !hex && size > 0 &&
                   (peek(lexer, size - 1) | 0x20) == 'e' && is_digit(peek(lexer, size + 1))) {
            size++; /* the sign of an exponent */
        } else if ((unsigned char)c == 0xc2 && (unsigned char)peek(lexer, size + 1) == 0xb5) {
            size += 2; /* µs */
        } else {
            return size;
        }
    }
}

static bool lex_number(struct lexer *lexer, struct token *token, struct error *err)
{
    const struct dialect *dialect = lexer->dialect;
    size_t size = number_run(lexer);
    struct slice run = slice_sub(lexer->text, lexer->at, size);
    int64_t ns;
    if (is_number(dialect, run))
        return emit(lexer, token, TOKEN_NUMBER, size);
    if (is_prometheus_duration(run) || (dialect->go_durations && duration_parse_go(run, &ns)))
        return emit(lexer, token, TOKEN_DURATION, size);
    if (dialect->byte_sizes && is_byte_size(dialect, run))
        return emit(lexer, token, TOKEN_BYTES, size);
    return error_set_at(err, ERR_INVALID, lexer->at, "bad number or duration syntax: \"%.*s\"",
                        (int)(size < 100 ? size : 100), run.data);
}

/* ---- strings and names ------------------------------------------------------- */

static bool lex_string(struct lexer *lexer, struct token *token, struct error *err)
{
    char quote = peek(lexer, 0);
    size_t size = 1;
    for (;; size++) {
        if (lexer->at + size >= lexer->text.size)
            return error_set_at(err, ERR_INVALID, lexer->at,
                                quote == '`' ? "unterminated raw string"
                                             : "unterminated quoted string");
        char c = peek(lexer, size);
        if (c == quote)
            break;
        if (quote == '`')
            continue;
        if (c == '\n')
            return error_set_at(err, ERR_INVALID, lexer->at, "unterminated quoted string");
        if (c == '\\')
            size++;
    }
    size++;
    if (!utf8_is_valid(slice_sub(lexer->text, lexer->at, size)))
        return error_set_at(err, ERR_INVALID, lexer->at, "invalid UTF-8 in a string");
    return emit(lexer, token, TOKEN_STRING, size);
}

static bool lex_name(struct lexer *lexer, struct token *token)
{
    bool colons = lexer->braces == 0 && lexer->brackets == 0;
    size_t size = 0;
    while (is_letter(peek(lexer, size)) || is_digit(peek(lexer, size)) ||
           (colons && peek(lexer, size) == ':'))
        size++;
    return emit(lexer, token, TOKEN_IDENTIFIER, size);
}

/* --strict: the token is the name, the text of it goes without the dashes. */
static bool lex_flag(struct lexer *lexer, struct token *token)
{
    size_t size = 2;
    while (is_letter(peek(lexer, size)) || is_digit(peek(lexer, size)) || peek(lexer, size) == '-')
        size++;
    emit(lexer, token, TOKEN_FLAG, size);
    token->text = slice_skip(token->text, 2);
    return true;
}

/* ---- signs --------------------------------------------------------------------- */

struct sign {
    char text[3];
    enum token_kind kind;
};

/* Longer ones first. */
static const struct sign signs[] = {
    {"==", TOKEN_EQUAL_EQUAL}, {"=~", TOKEN_MATCH},
    {"!=", TOKEN_NOT_EQUAL},   {"!~", TOKEN_NOT_MATCH},
    {"!>", TOKEN_NOT_PATTERN}, {"|=", TOKEN_PIPE_EQUAL},
    {"|~", TOKEN_PIPE_MATCH},  {"|>", TOKEN_PIPE_PATTERN},
    {"<=", TOKEN_LESS_EQUAL},  {">=", TOKEN_GREATER_EQUAL},
    {"</", TOKEN_TRIM_UPPER},  {">/", TOKEN_TRIM_LOWER},
    {"=", TOKEN_EQUAL},        {"|", TOKEN_PIPE},
    {"<", TOKEN_LESS},         {">", TOKEN_GREATER},
    {"(", TOKEN_LEFT_PAREN},   {")", TOKEN_RIGHT_PAREN},
    {"{", TOKEN_LEFT_BRACE},   {"}", TOKEN_RIGHT_BRACE},
    {"[", TOKEN_LEFT_BRACKET}, {"]", TOKEN_RIGHT_BRACKET},
    {",", TOKEN_COMMA},        {":", TOKEN_COLON},
    {".", TOKEN_DOT},          {"@", TOKEN_AT},
    {"+", TOKEN_PLUS},         {"-", TOKEN_MINUS},
    {"*", TOKEN_MULTIPLY},     {"/", TOKEN_DIVIDE},
    {"%", TOKEN_MODULO},       {"^", TOKEN_POWER},
};

static void track_brackets(struct lexer *lexer, enum token_kind kind)
{
    lexer->braces += (kind == TOKEN_LEFT_BRACE) - (kind == TOKEN_RIGHT_BRACE && lexer->braces > 0);
    lexer->brackets +=
        (kind == TOKEN_LEFT_BRACKET) - (kind == TOKEN_RIGHT_BRACKET && lexer->brackets > 0);
}

static bool lex_sign(struct lexer *lexer, struct token *token, struct error *err)
{
    for (size_t i = 0; i < COUNT_OF(signs); i++) {
        size_t size = strlen(signs[i].text);
        if (peek(lexer, 0) != signs[i].text[0] || (size == 2 && peek(lexer, 1) != signs[i].text[1]))
            continue;
        emit(lexer, token, signs[i].kind, size);
        track_brackets(lexer, signs[i].kind);
        return true;
    }
    size_t at = lexer->at;
    utf8_next(lexer->text, &at, NULL);
    return error_set_at(err, ERR_INVALID, lexer->at, "unexpected character: '%.*s'",
                        (int)(at - lexer->at), lexer->text.data + lexer->at);
}

bool lexer_next(struct lexer *lexer, struct token *token, struct error *err)
{
    const struct dialect *dialect = lexer->dialect;
    skip_blanks_and_comments(lexer);
    if (lexer->at >= lexer->text.size)
        return emit(lexer, token, TOKEN_END, 0);
    char c = peek(lexer, 0);
    if (is_digit(c) || (c == '.' && is_digit(peek(lexer, 1))))
        return lex_number(lexer, token, err);
    if (c == '"' || c == '`' || (c == '\'' && dialect->single_quotes))
        return lex_string(lexer, token, err);
    if (is_letter(c) || (c == ':' && lexer->braces == 0 && lexer->brackets == 0))
        return lex_name(lexer, token);
    if (dialect->flags && c == '-' && peek(lexer, 1) == '-' && is_letter(peek(lexer, 2)))
        return lex_flag(lexer, token);
    return lex_sign(lexer, token, err);
}

/* ---- values ---------------------------------------------------------------------- */

const char *token_kind_text(enum token_kind kind)
{
    static const char *const words[] = {"end of input", "identifier", "number", "duration",
                                        "byte size",    "string",     "flag"};
    if (kind < COUNT_OF(words))
        return words[kind];
    switch (kind) {
#define SIGN(kind, text)                                                                           \
    case kind:                                                                                     \
        return "\"" text "\""
        SIGN(TOKEN_LEFT_PAREN, "(");
        SIGN(TOKEN_RIGHT_PAREN, ")");
        SIGN(TOKEN_LEFT_BRACE, "{");
        SIGN(TOKEN_RIGHT_BRACE, "}");
        SIGN(TOKEN_LEFT_BRACKET, "[");
        SIGN(TOKEN_RIGHT_BRACKET, "]");
        SIGN(TOKEN_COMMA, ",");
        SIGN(TOKEN_COLON, ":");
        SIGN(TOKEN_EQUAL, "=");
#undef SIGN
    default:
        return "operator";
    }
}

/* A leading zero makes an integer octal, as long as all its digits are. */
static bool octal_number(struct slice s, double *value)
{
    uint64_t n = 0;
    if (s.size < 2 || s.data[0] != '0')
        return false;
    for (size_t i = 1; i < s.size; i++) {
        if (s.data[i] == '_')
            continue;
        if (s.data[i] < '0' || s.data[i] > '7' || n > (UINT64_MAX >> 4))
            return false;
        n = n * 8 + (uint64_t)(s.data[i] - '0');
    }
    *value = (double)n;
    return true;
}

static bool hex_number(struct slice s, double *value)
{
    uint64_t n = 0;
    if (s.size < 3 || s.data[0] != '0' || (s.data[1] | 0x20) != 'x')
        return false;
    for (size_t i = 2; i < s.size; i++) {
        char c = s.data[i];
        if (c == '_')
            continue;
        if (n > (UINT64_MAX >> 5))
            return false;
        n = n * 16 + (uint64_t)(is_digit(c) ? c - '0' : (c | 0x20) - 'a' + 10);
    }
    *value = (double)n;
    return true;
}

bool token_matcher_type(enum token_kind kind, enum matcher_type *type)
{
    switch (kind) {
    case TOKEN_EQUAL:
        *type = MATCH_EQUAL;
        return true;
    case TOKEN_NOT_EQUAL:
        *type = MATCH_NOT_EQUAL;
        return true;
    case TOKEN_MATCH:
        *type = MATCH_REGEX;
        return true;
    case TOKEN_NOT_MATCH:
        *type = MATCH_NOT_REGEX;
        return true;
    default:
        return false;
    }
}

bool token_number(const struct dialect *dialect, struct token token, double *value)
{
    if (dialect->number_forms && (hex_number(token.text, value) || octal_number(token.text, value)))
        return true;
    double number;
    if (!slice_parse_double(token.text, dialect->number_forms, &number))
        return false;
    if (isinf(number) && dialect->named_numbers) /* infinity is written by its name */
        return false;
    *value = number;
    return true;
}

bool token_duration(const struct dialect *dialect, struct token token, int64_t *ns)
{
    return duration_parse_prometheus(token.text, ns) ||
           (dialect->go_durations && duration_parse_go(token.text, ns));
}

bool token_bytes(struct token token, double *bytes)
{
    struct slice number;
    double unit, value;
    if (!split_bytes(token.text, &number, &unit) || !slice_parse_double(number, false, &value))
        return false;
    *bytes = value * unit;
    return true;
}
