/*
 * regex_analyse.h - what can be told of a pattern without running it.
 *
 * Many patterns are really literals: lists of values, or a literal with
 * anything around it.  Those are answered by comparing bytes.  Private to
 * base/regex*.c; everything lies in the tree's arena.
 */
#ifndef BASE_REGEX_ANALYSE_H
#define BASE_REGEX_ANALYSE_H

#include "base/regex.h"
#include "base/regex_tree.h"

enum {
    LITERALS_PRODUCT_MAX = 256, /* texts that a(b|c)[de] may expand to */
    PIECES_MAX = 64,
    PIECE_FOLDED_MAX = 256, /* bytes of a literal that is compared in any case */
};

/* What may stand beside a literal. */
enum gap {
    GAP_NONE,     /* the text ends here */
    GAP_ANY,      /* .* over any bytes */
    GAP_SOME,     /* .+ over any bytes */
    GAP_ANY_LINE, /* .* without a newline */
    GAP_SOME_LINE,
};

/* One alternative: gap, literal, gap. */
struct piece {
    enum gap before, after;
    struct slice literal;
    bool fold; /* letters in any case */
};

struct facts {
    struct slice *literals; /* sorted, each once; the whole pattern is one of them */
    size_t literal_count;
    struct piece *pieces; /* the whole pattern is one of them; NULL when it is not that simple */
    size_t piece_count;
    struct slice prefix;
    struct slice required;
    struct regex_literal *alternatives; /* of which every match has at least one */
    size_t alternative_count;
    bool matches_empty;
    bool empty_loops; /* repeats something that can match the empty text */
    bool loops;       /* has an unbounded or long repeat */
};

/* False with ERR_LIMIT when the arena is full. */
bool regex_analyse(const struct tree *tree, bool anchored, struct facts *facts, struct error *err)
    MUST_CHECK;

/* Fill `alternatives` (regex_required.c). */
void regex_find_alternatives(const struct tree *tree, struct facts *facts);

/* Does the text fit one of the pieces? */
bool pieces_match(const struct piece *pieces, size_t count, struct slice text);

/* Where `literal` (valid UTF-8) first stands in `text` in any case, or SLICE_NOT_FOUND. */
size_t text_find_folded(struct slice text, struct slice literal, size_t *end);

#endif
