/*
 * lexer.h - cuts a query text into tokens, for both dialects.
 *
 * The parser pulls one token at a time; a struct lexer is a small value, so
 * looking ahead is copying it.  What differs between the languages (single
 * quotes, hex numbers, Go durations, byte sizes, `--flags`) is read from the
 * dialect.  Keywords and function names are plain TOKEN_IDENTIFIERs: the
 * parser decides by their text, because nearly all of them are legal label
 * names as well.  Inside [...] a ':' is a token of its own, inside {...} a name
 * has no ':', elsewhere a name may hold colons.
 *
 * Not safe for sharing between threads; needs no memory.
 */
#ifndef QUERY_LEXER_H
#define QUERY_LEXER_H

#include "base/compiler.h"
#include "base/matcher.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct dialect;
struct error;

enum token_kind {
    TOKEN_END,
    TOKEN_IDENTIFIER, /* also every keyword; may hold ':' outside of braces and brackets */
    TOKEN_NUMBER,     /* 1, .5, 0x1f, 1e3, Inf and NaN come as identifiers */
    TOKEN_DURATION,   /* 5m, 1h30m; 1.5h where the dialect has Go durations */
    TOKEN_BYTES,      /* 5KB, 1.5MiB where the dialect has byte sizes */
    TOKEN_STRING,     /* quotes included: see token_string() */
    TOKEN_FLAG,       /* --strict where the dialect has flags; text without the dashes */

    TOKEN_LEFT_PAREN,
    TOKEN_RIGHT_PAREN,
    TOKEN_LEFT_BRACE,
    TOKEN_RIGHT_BRACE,
    TOKEN_LEFT_BRACKET,
    TOKEN_RIGHT_BRACKET,
    TOKEN_COMMA,
    TOKEN_COLON,
    TOKEN_DOT,
    TOKEN_AT,

    TOKEN_PLUS,
    TOKEN_MINUS,
    TOKEN_MULTIPLY,
    TOKEN_DIVIDE,
    TOKEN_MODULO,
    TOKEN_POWER,
    TOKEN_EQUAL_EQUAL,
    TOKEN_LESS,
    TOKEN_LESS_EQUAL,
    TOKEN_GREATER,
    TOKEN_GREATER_EQUAL,
    TOKEN_TRIM_UPPER, /* </ */
    TOKEN_TRIM_LOWER, /* >/ */

    TOKEN_EQUAL,     /* =  */
    TOKEN_NOT_EQUAL, /* != : a matcher, a comparison, a line filter */
    TOKEN_MATCH,     /* =~ */
    TOKEN_NOT_MATCH, /* !~ : a matcher, a line filter */

    TOKEN_PIPE,         /* |  */
    TOKEN_PIPE_EQUAL,   /* |= */
    TOKEN_PIPE_MATCH,   /* |~ */
    TOKEN_PIPE_PATTERN, /* |> */
    TOKEN_NOT_PATTERN,  /* !> */
};

struct token {
    enum token_kind kind;
    struct slice text;   /* as written */
    uint32_t start, end; /* byte offsets in the query; end is behind the last byte */
};

struct lexer {
    const struct dialect *dialect;
    struct slice text;
    size_t at;
    int braces, brackets; /* open now */
};

/* `text` must be shorter than 2 GiB and outlive the tokens. */
void lexer_init(struct lexer *lexer, const struct dialect *dialect, struct slice text);

/*
 * The next token, TOKEN_END (empty) at the end for ever.  Fails with
 * ERR_INVALID and the position: unterminated strings, characters that no
 * token starts with, malformed numbers.
 */
bool lexer_next(struct lexer *lexer, struct token *token, struct error *err) MUST_CHECK;

/* How a message calls this kind: `")"`, "identifier", "end of input". */
const char *token_kind_text(enum token_kind kind);

/* The matcher that =, !=, =~ or !~ stands for; false for any other kind. */
bool token_matcher_type(enum token_kind kind, enum matcher_type *type);

/*
 * The value of a TOKEN_NUMBER; false when it is malformed, or beyond the range of a double
 * where infinity has a name.
 */
bool token_number(const struct dialect *dialect, struct token token, double *value);

/* The value of a TOKEN_DURATION in ns, saturated. */
bool token_duration(const struct dialect *dialect, struct token token, int64_t *ns);

/* The value of a TOKEN_BYTES. */
bool token_bytes(struct token token, double *bytes);

#endif
