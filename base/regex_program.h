/*
 * regex_program.h - a regular expression as a program for the linear matcher.
 *
 * The program is an NFA over code points: its threads advance together, one
 * code point at a time, so the cost is bounded by text size times program
 * size whatever the pattern.  Invalid bytes read as U+FFFD.  Private to
 * base/regex*.c.  A program is immutable; any number of threads may run it.
 */
#ifndef BASE_REGEX_PROGRAM_H
#define BASE_REGEX_PROGRAM_H

#include "base/regex.h"
#include "base/regex_tree.h"

enum {
    PROGRAM_SIZE_MAX = 200 * 1000, /* instructions; `(?:[a-z]{100}){10}` has 1,000 */
    PROGRAM_CODES_MAX = 250,       /* kinds of code points that the automaton tells apart */
};

enum program_op {
    OP_MATCH,
    OP_FAIL,
    OP_SET,    /* consume a code point of set `arg` */
    OP_RUNE,   /* consume the code point `arg` */
    OP_SPLIT,  /* go to `next`, else to `arg` */
    OP_SAVE,   /* note the position in slot `arg` */
    OP_ASSERT, /* `arg` is an enum node_kind */
};

struct instruction {
    uint32_t op; /* enum program_op */
    uint32_t next;
    uint32_t arg;
};

struct program {
    struct instruction *code;
    uint32_t size;
    uint32_t start;
    const struct rune_set **sets; /* in the tree's arena */
    uint32_t set_count;
    uint32_t slot_count; /* 2 * (groups + 1) */
    bool starts_anchored;
    /*
     * For the automaton: a code point's kind.  Kinds are the pieces between the
     * sorted `bounds`; kind_count is 0 when there are too many, or when the
     * program looks at word boundaries or line ends, which the automaton cannot.
     */
    uint32_t *bounds;
    uint32_t kind_count;
    uint8_t ascii_kinds[128];
};

/* NULL with ERR_LIMIT when the program would be too large.  The tree must outlive it. */
struct program *program_new(const struct tree *tree, bool anchored, struct error *err) MUST_CHECK;
void program_free(struct program *program);

uint32_t program_kind(const struct program *program, uint32_t rune);

/* Threads over a program with captures; exact and linear, but not fast.  1 or 0. */
int program_find(const struct program *program, struct slice text, size_t from,
                 struct regex_span *spans, size_t span_max);

/*
 * Does the text match anywhere?  A lazily built deterministic automaton with a
 * bounded cache; needs kind_count > 0.  One automaton serves one thread at a time.
 */
struct automaton;
struct automaton *automaton_new(const struct program *program);
void automaton_free(struct automaton *automaton);
/* 1, 0, or -1 when the cache would be rebuilt too often: use program_find then. */
int automaton_match(struct automaton *automaton, struct slice text);

#endif
