/*
 * regex_program.c - compiling a tree to a program.
 *
 * Code is written back to front: compiling a node takes the address to go on
 * at and gives the address to enter at, so nothing needs patching but loops.
 * Counted repeats are unrolled.  A loop over a body that can be empty becomes
 * (x+)?, which gives the same preferences as Go and RE2.
 */
#include "base/regex_program.h"

#include "base/array.h"
#include "base/error.h"
#include "base/memory.h"
#include "base/regex_unicode.h"

#include <stdlib.h>

struct compiler {
    ARRAY(struct instruction) code;
    ARRAY(const struct rune_set *) sets;
    bool failed; /* too large */
};

static uint32_t add(struct compiler *c, enum program_op op, uint32_t next, uint32_t arg)
{
    if (c->code.count >= PROGRAM_SIZE_MAX) {
        c->failed = true;
        return 0;
    }
    struct instruction i = {op, next, arg};
    array_push(&c->code, i);
    return (uint32_t)(c->code.count - 1);
}

static uint32_t compile(struct compiler *c, const struct node *node, uint32_t next);

static uint32_t add_set(struct compiler *c, const struct rune_set *set, uint32_t next)
{
    uint32_t index = 0;
    if (set->count == 0)
        return add(c, OP_FAIL, 0, 0);
    /* Unrolled repeats use the same set over and over. */
    if (c->sets.count > 0 && c->sets.items[c->sets.count - 1] == set)
        index = (uint32_t)c->sets.count - 1;
    else {
        index = (uint32_t)c->sets.count;
        array_push(&c->sets, set);
    }
    return add(c, OP_SET, next, index);
}

static uint32_t compile_literal(struct compiler *c, const struct node *node, uint32_t next)
{
    if (!node->fold)
        return add(c, OP_RUNE, next, node->rune);
    /* One instruction per member of the ring of code points that fold alike. */
    uint32_t at = add(c, OP_RUNE, next, node->rune);
    for (uint32_t r = unicode_fold_next(node->rune); r != node->rune; r = unicode_fold_next(r))
        at = add(c, OP_SPLIT, add(c, OP_RUNE, next, r), at);
    return at;
}

static uint32_t add_choice(struct compiler *c, bool greedy, uint32_t body, uint32_t next)
{
    return greedy ? add(c, OP_SPLIT, body, next) : add(c, OP_SPLIT, next, body);
}

/* x+ (or, with `skip`, x*): a loop around one copy of the body. */
static uint32_t compile_loop(struct compiler *c, const struct node *node, uint32_t next, bool skip)
{
    uint32_t loop = add(c, OP_SPLIT, next, next);
    uint32_t body = compile(c, node->first, loop);
    if (c->failed)
        return 0;
    if (node->greedy)
        c->code.items[loop].next = body;
    else
        c->code.items[loop].arg = body;
    if (!skip)
        return body;
    return node->first->nullable ? add_choice(c, node->greedy, body, next) : loop;
}

static uint32_t compile_repeat(struct compiler *c, const struct node *node, uint32_t next)
{
    uint32_t at = next;
    int32_t copies = node->min;
    if (node->max == REGEX_UNBOUNDED) {
        at = compile_loop(c, node, next, node->min == 0);
        copies = node->min > 0 ? node->min - 1 : 0;
    } else {
        for (int32_t i = node->min; i < node->max && !c->failed; i++)
            at = add_choice(c, node->greedy, compile(c, node->first, at), next);
    }
    for (int32_t i = 0; i < copies && !c->failed; i++)
        at = compile(c, node->first, at);
    return at;
}

/* Children from the last to the first. */
static uint32_t compile_concat(struct compiler *c, const struct node *node, uint32_t next)
{
    ARRAY(const struct node *) children = {0};
    for (const struct node *child = node->first; child; child = child->next)
        array_push(&children, child);
    uint32_t at = next;
    for (size_t i = children.count; i > 0 && !c->failed; i--)
        at = compile(c, children.items[i - 1], at);
    array_done(&children);
    return at;
}

static uint32_t compile_alternate(struct compiler *c, const struct node *node, uint32_t next)
{
    ARRAY(uint32_t) starts = {0};
    for (const struct node *child = node->first; child && !c->failed; child = child->next) {
        uint32_t start = compile(c, child, next);
        array_push(&starts, start);
    }
    uint32_t at = 0;
    for (size_t i = starts.count; i > 0; i--)
        at = i == starts.count ? starts.items[i - 1] : add(c, OP_SPLIT, starts.items[i - 1], at);
    array_done(&starts);
    return at;
}

static uint32_t compile(struct compiler *c, const struct node *node, uint32_t next)
{
    if (c->failed)
        return 0;
    switch (node->kind) {
    case NODE_EMPTY:
        return next;
    case NODE_LITERAL:
        return compile_literal(c, node, next);
    case NODE_CLASS:
        return add_set(c, node->set, next);
    case NODE_CAPTURE: {
        uint32_t end = add(c, OP_SAVE, next, 2 * node->group + 1);
        return add(c, OP_SAVE, compile(c, node->first, end), 2 * node->group);
    }
    case NODE_REPEAT:
        return compile_repeat(c, node, next);
    case NODE_CONCAT:
        return compile_concat(c, node, next);
    case NODE_ALTERNATE:
        return compile_alternate(c, node, next);
    default:
        return add(c, OP_ASSERT, next, (uint32_t)node->kind);
    }
}

/* Does every match begin at the start of the text? */
static bool node_starts_anchored(const struct node *node)
{
    switch (node->kind) {
    case NODE_TEXT_START:
        return true;
    case NODE_CAPTURE:
    case NODE_CONCAT:
        return node_starts_anchored(node->first);
    case NODE_REPEAT:
        return node->min > 0 && node_starts_anchored(node->first);
    case NODE_ALTERNATE:
        for (const struct node *child = node->first; child; child = child->next)
            if (!node_starts_anchored(child))
                return false;
        return true;
    default:
        return false;
    }
}

static int bound_compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static bool program_asserts(const struct program *p, uint32_t kind)
{
    for (uint32_t i = 0; i < p->size; i++)
        if (p->code[i].op == OP_ASSERT && p->code[i].arg == kind)
            return true;
    return false;
}

/* The automaton knows what lies before a place, but not what comes after it. */
static bool program_looks_ahead(const struct program *p)
{
    return program_asserts(p, NODE_LINE_END) || program_asserts(p, NODE_WORD_BOUNDARY) ||
           program_asserts(p, NODE_NOT_WORD_BOUNDARY) ||
           (program_asserts(p, NODE_TEXT_END) && program_asserts(p, NODE_LINE_START));
}

/* Cut the code points into pieces that every instruction treats alike. */
static void program_find_kinds(struct program *p)
{
    ARRAY(uint32_t) bounds = {0};
    array_push(&bounds, 0);
    for (uint32_t i = 0; i < p->size; i++) {
        if (p->code[i].op == OP_RUNE) {
            array_push(&bounds, p->code[i].arg);
            array_push(&bounds, p->code[i].arg + 1);
        }
    }
    if (program_asserts(p, NODE_LINE_START)) {
        array_push(&bounds, '\n');
        array_push(&bounds, '\n' + 1);
    }
    for (uint32_t i = 0; i < p->set_count; i++) {
        for (size_t k = 0; k < p->sets[i]->count; k++) {
            array_push(&bounds, p->sets[i]->items[k].lo);
            array_push(&bounds, p->sets[i]->items[k].hi + 1);
        }
    }
    qsort(bounds.items, bounds.count, sizeof(uint32_t), bound_compare);
    uint32_t count = 0;
    for (size_t i = 0; i < bounds.count; i++)
        if (count == 0 || bounds.items[i] != bounds.items[count - 1])
            bounds.items[count++] = bounds.items[i];
    if (count > PROGRAM_CODES_MAX) {
        array_done(&bounds);
        return;
    }
    p->bounds = bounds.items;
    p->kind_count = count;
    for (uint32_t c = 0; c < 128; c++)
        p->ascii_kinds[c] = (uint8_t)program_kind(p, c);
}

uint32_t program_kind(const struct program *p, uint32_t rune)
{
    uint32_t low = 0, high = p->kind_count;
    while (high - low > 1) {
        uint32_t middle = (low + high) / 2;
        if (p->bounds[middle] <= rune)
            low = middle;
        else
            high = middle;
    }
    return low;
}

struct program *program_new(const struct tree *tree, bool anchored, struct error *err)
{
    struct compiler c = {0};
    uint32_t at = add(&c, OP_MATCH, 0, 0);
    at = add(&c, OP_SAVE, at, 1);
    if (anchored)
        at = add(&c, OP_ASSERT, at, NODE_TEXT_END);
    at = compile(&c, tree->root, at);
    at = add(&c, OP_SAVE, at, 0);
    if (anchored)
        at = add(&c, OP_ASSERT, at, NODE_TEXT_START);
    if (c.failed) {
        array_done(&c.code);
        array_done(&c.sets);
        return error_null(err, ERR_LIMIT, "regular expression has more than %d steps",
                          PROGRAM_SIZE_MAX);
    }
    struct program *p = xcalloc(1, sizeof(*p));
    p->code = c.code.items;
    p->size = (uint32_t)c.code.count;
    p->start = at;
    p->sets = c.sets.items;
    p->set_count = (uint32_t)c.sets.count;
    p->slot_count = 2 * ((uint32_t)tree->group_count + 1);
    p->starts_anchored = anchored || node_starts_anchored(tree->root);
    if (!program_looks_ahead(p))
        program_find_kinds(p);
    return p;
}

void program_free(struct program *program)
{
    if (program == NULL)
        return;
    free(program->code);
    free(program->sets);
    free(program->bounds);
    free(program);
}
