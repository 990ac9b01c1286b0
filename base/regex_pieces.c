/*
 * regex_pieces.c - matching patterns that are a literal with anything around it.
 *
 * These are most of the patterns that people write.  A case-insensitive
 * literal is searched by its first byte in both cases, or code point by code
 * point when that has forms outside ASCII (k and the Kelvin sign, s and the
 * long s); what follows is compared by folding.
 */
#include "base/regex_analyse.h"
#include "base/regex_unicode.h"
#include "base/utf8.h"

static bool runes_fold_alike(uint32_t a, uint32_t b)
{
    if (a == b)
        return true;
    for (uint32_t r = unicode_fold_next(a); r != a; r = unicode_fold_next(r))
        if (r == b)
            return true;
    return false;
}

/* Does `text` have `literal`, in any case, at `at`?  Its end goes to `*end`. */
static bool folded_at(struct slice text, size_t at, struct slice literal, size_t *end)
{
    size_t i = 0;
    while (i < literal.size) {
        if (at >= text.size)
            return false;
        unsigned char a = (unsigned char)literal.data[i], b = (unsigned char)text.data[at];
        if (a < 128 && b < 128) {
            bool letter = (a | 0x20) >= 'a' && (a | 0x20) <= 'z';
            if (a != b && (!letter || (a ^ b) != 0x20))
                return false;
            i++;
            at++;
            continue;
        }
        uint32_t wanted = utf8_next(literal, &i, NULL);
        if (!runes_fold_alike(wanted, utf8_next(text, &at, NULL)))
            return false;
    }
    *end = at;
    return true;
}

/* The next places of a letter in both cases; each is looked for again only when passed. */
struct candidates {
    unsigned char letter[2];
    size_t at[2];
};

static size_t next_candidate(struct candidates *c, struct slice text, size_t from)
{
    for (int i = 0; i < 2; i++)
        if (c->at[i] != SLICE_NOT_FOUND && c->at[i] <= from)
            c->at[i] = slice_find_byte(text, (char)c->letter[i], from);
    return c->at[0] < c->at[1] ? c->at[0] : c->at[1];
}

size_t text_find_folded(struct slice text, struct slice literal, size_t *end)
{
    if (literal.size == 0) {
        *end = 0;
        return 0;
    }
    unsigned char lower = (unsigned char)literal.data[0] | 0x20;
    bool plain = lower >= 'a' && lower <= 'z' && lower != 'k' && lower != 's';
    struct candidates candidates = {{lower, lower ^ 0x20}, {0, 0}};
    size_t at = 0;
    while (at < text.size) {
        if (plain) {
            at = next_candidate(&candidates, text, at);
            if (at == SLICE_NOT_FOUND)
                return at;
        }
        if (folded_at(text, at, literal, end))
            return at;
        utf8_next(text, &at, NULL);
    }
    return SLICE_NOT_FOUND;
}

/* May `part` stand in the gap? */
static bool gap_fits(enum gap gap, struct slice part)
{
    switch (gap) {
    case GAP_NONE:
        return part.size == 0;
    case GAP_ANY:
        return true;
    case GAP_SOME:
        return part.size > 0;
    case GAP_ANY_LINE:
        return memchr(part.data ? part.data : "", '\n', part.size) == NULL;
    case GAP_SOME_LINE:
        return part.size > 0 && memchr(part.data, '\n', part.size) == NULL;
    }
    return false;
}

static bool gap_is_line(enum gap gap)
{
    return gap == GAP_ANY_LINE || gap == GAP_SOME_LINE;
}

static bool parts_fit(const struct piece *piece, struct slice text, size_t start, size_t end)
{
    return gap_fits(piece->before, slice_sub(text, 0, start)) &&
           gap_fits(piece->after, slice_skip(text, end));
}

/* The first place at or after `from` where the literal stands. */
static size_t literal_find(const struct piece *piece, struct slice text, size_t from, size_t *end)
{
    struct slice rest = slice_skip(text, from);
    size_t at = piece->fold ? text_find_folded(rest, piece->literal, end)
                            : slice_find(rest, piece->literal, 0);
    if (at == SLICE_NOT_FOUND)
        return at;
    *end = piece->fold ? from + *end : from + at + piece->literal.size;
    return from + at;
}

/* The literal stands at the start or the end of the text, or there is none. */
static bool piece_match_edge(const struct piece *piece, struct slice text)
{
    size_t end = 0;
    if (piece->before == GAP_NONE) {
        bool there = piece->fold ? folded_at(text, 0, piece->literal, &end)
                                 : slice_starts_with(text, piece->literal);
        end = piece->fold ? end : piece->literal.size;
        return there && parts_fit(piece, text, 0, end);
    }
    if (piece->literal.size == 0)
        return parts_fit(piece, text, 0, 0) || parts_fit(piece, text, text.size, text.size);
    return slice_ends_with(text, piece->literal) &&
           parts_fit(piece, text, text.size - piece->literal.size, text.size);
}

static bool piece_match(const struct piece *piece, struct slice text)
{
    bool edge = piece->before == GAP_NONE || piece->literal.size == 0 ||
                (piece->after == GAP_NONE && !piece->fold);
    if (edge)
        return piece_match_edge(piece, text);
    size_t from = 0, end = 0;
    if (gap_is_line(piece->after)) {
        /* What follows the literal has no newline: begin at the last line. */
        const char *newline = memrchr(text.data, '\n', text.size);
        size_t line = newline ? (size_t)(newline - text.data) + 1 : 0;
        size_t most = piece->fold ? 3 * piece->literal.size : piece->literal.size;
        from = line > most ? line - most : 0;
    }
    while (from <= text.size) {
        size_t at = literal_find(piece, text, from, &end);
        if (at == SLICE_NOT_FOUND)
            return false;
        if (parts_fit(piece, text, at, end))
            return true;
        if (gap_is_line(piece->before) && memchr(text.data, '\n', at) != NULL)
            return false;
        from = at + 1;
    }
    return false;
}

bool pieces_match(const struct piece *pieces, size_t count, struct slice text)
{
    for (size_t i = 0; i < count; i++)
        if (piece_match(&pieces[i], text))
            return true;
    return false;
}
