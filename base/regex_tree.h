/*
 * regex_tree.h - a parsed regular expression and what is made of it.
 *
 * regex_parse.c turns a pattern into a tree of nodes; regex_emit.c writes the
 * tree as a PCRE2 pattern, regex_program.c as a program for the linear matcher,
 * regex_analyse.c finds literals in it.  Flags such as (?i) are gone by then:
 * each node says exactly what it matches.  Private to base/regex*.c.
 */
#ifndef BASE_REGEX_TREE_H
#define BASE_REGEX_TREE_H

#include "base/compiler.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;
struct buffer;
struct error;

enum {
    REGEX_DEPTH_MAX = 1000,  /* height of the tree, as in Go */
    REGEX_REPEAT_MAX = 1000, /* of one repeat, and of the product of nested ones */
    REGEX_UNBOUNDED = -1,
};

enum node_kind {
    NODE_EMPTY,   /* matches the empty text */
    NODE_LITERAL, /* one code point; `fold`: and those that fold like it */
    NODE_CLASS,   /* one code point of a set; the empty set never matches */
    NODE_TEXT_START,
    NODE_TEXT_END,
    NODE_LINE_START,
    NODE_LINE_END,
    NODE_WORD_BOUNDARY,
    NODE_NOT_WORD_BOUNDARY,
    NODE_CAPTURE,
    NODE_REPEAT,
    NODE_CONCAT,
    NODE_ALTERNATE,
};

struct rune_range {
    uint32_t lo, hi;
};

/* Ranges in ascending order, neither touching nor overlapping. */
struct rune_set {
    struct rune_range *items;
    size_t count;
};

struct node {
    enum node_kind kind;
    bool fold;         /* NODE_LITERAL */
    bool greedy;       /* NODE_REPEAT */
    bool nullable;     /* can match the empty text */
    uint16_t height;   /* 1 for a leaf */
    uint32_t rune;     /* NODE_LITERAL */
    uint32_t group;    /* NODE_CAPTURE: 1.. */
    int32_t min, max;  /* NODE_REPEAT; max may be REGEX_UNBOUNDED */
    uint32_t repeats;  /* product of nested counted repeats */
    struct slice name; /* NODE_CAPTURE, may be empty */
    struct rune_set *set;
    struct node *first; /* child of a capture or repeat, first one of concat and alternate */
    struct node *last;
    struct node *next; /* sibling */
};

struct tree {
    struct arena *arena; /* everything below lies in it */
    struct node *root;
    size_t group_count;
    struct slice *group_names; /* [group_count + 1] */
};

/* `flags` are enum regex_flags.  Errors are worded as Go words them. */
bool regex_parse(struct arena *arena, struct slice pattern, unsigned flags, struct tree *tree,
                 struct error *err) MUST_CHECK;

/* A character class in brackets at `*at`, which moves behind it (regex_parse_class.c). */
struct rune_set *regex_parse_class(struct arena *arena, struct slice pattern, size_t *at, bool fold,
                                   struct error *err) MUST_CHECK;

/* \d, \pN, \p{Greek} ... at `*at`.  *set stays NULL when it is another kind of escape. */
bool regex_parse_class_escape(struct arena *arena, struct slice pattern, size_t *at, bool fold,
                              struct rune_set **set, struct error *err) MUST_CHECK;

/* Any other escape: the one code point that it stands for. */
bool regex_parse_escape(struct slice pattern, size_t *at, uint32_t *rune, struct error *err)
    MUST_CHECK;

/* The code point at `*at`; fails on invalid UTF-8. */
bool regex_parse_rune(struct slice pattern, size_t *at, uint32_t *rune, struct error *err)
    MUST_CHECK;

/* Fails at the first invalid byte of `part`. */
bool regex_check_utf8(struct slice part, struct error *err) MUST_CHECK;

/* Fills `err` in Go's words: error parsing regexp: what: `part`. */
bool regex_syntax_error(struct error *err, const char *what, struct slice part);

/* Sets of code points (regex_set.c).  NULL or false when the arena is full. */
struct rune_set *rune_set_new(struct arena *arena, const struct rune_range *ranges, size_t count);
bool rune_set_has(const struct rune_set *set, uint32_t rune);

/* A set that is being collected in any order. */
struct rune_collector {
    struct arena *arena;
    struct rune_range *items;
    size_t count, capacity;
    bool failed;
};
void rune_collect(struct rune_collector *c, uint32_t lo, uint32_t hi);
void rune_collect_folded(struct rune_collector *c, uint32_t lo, uint32_t hi);
/* Everything but what is in `c` so far. */
void rune_collect_negate(struct rune_collector *c);
struct rune_set *rune_collect_done(struct rune_collector *c);

/* The tree as a PCRE2 pattern; with `captures` false all groups are plain ones. */
void regex_emit(const struct tree *tree, bool anchored, bool captures, struct buffer *out);

/* The classes \d, \s and \w. */
bool rune_is_word(uint32_t rune);

#endif
