/*
 * regex_required.c - texts of which every match contains at least one.
 *
 * Of a concatenation the best part counts: the longest run of literals, or an alternation all of
 * whose branches have such a text.  Runs with letters in any case are kept in lower case and hold
 * ASCII only, since what folds beyond it has more forms than bytes can tell; runs in exact case
 * hold anything but U+FFFD, which also matches invalid bytes.
 */
#include "base/arena.h"
#include "base/regex.h"
#include "base/regex_analyse.h"
#include "base/regex_unicode.h"
#include "base/utf8.h"

enum { ALTERNATIVES_MAX = 16, DEPTH_MAX = 40 };

/* A set of alternatives; none: nothing is known. */
struct required {
    struct regex_literal items[ALTERNATIVES_MAX];
    size_t count;
};

static size_t shortest(const struct required *r)
{
    size_t size = r->count > 0 ? SIZE_MAX : 0;
    for (size_t i = 0; i < r->count; i++)
        if (r->items[i].text.size < size)
            size = r->items[i].text.size;
    return size;
}

static void keep_better(struct required *best, const struct required *other)
{
    size_t a = shortest(best), b = shortest(other);
    if (b > a || (b == a && other->count < best->count))
        *best = *other;
}

/* The code point that a node stands for, if it is one; [Ee] is a folded e. */
static bool node_rune(const struct node *node, uint32_t *rune, bool *fold)
{
    if (node->kind == NODE_LITERAL) {
        *rune = node->rune;
        *fold = node->fold;
        return node->rune != UTF8_REPLACEMENT && (node->rune < 0xD800 || node->rune > 0xDFFF);
    }
    if (node->kind != NODE_CLASS || node->set->count != 2)
        return false;
    const struct rune_range *r = node->set->items;
    *rune = r[1].lo;
    *fold = true;
    return r[0].lo == r[0].hi && r[1].lo == r[1].hi && r[0].lo >= 'A' && r[0].lo <= 'Z' &&
           r[1].lo == (r[0].lo | 0x20);
}

struct run {
    char *bytes;
    size_t size;
    bool fold;  /* a letter of it is in any case */
    bool ascii; /* all of it */
};

static void run_end(struct arena *arena, struct run *run, struct required *best)
{
    struct required found = {.count = 1};
    if (run->fold)
        for (size_t i = 0; i < run->size; i++)
            if (run->bytes[i] >= 'A' && run->bytes[i] <= 'Z')
                run->bytes[i] = (char)(run->bytes[i] | 0x20);
    found.items[0] =
        (struct regex_literal){arena_copy(arena, slice_of(run->bytes, run->size)), run->fold};
    if (run->size > 0 && found.items[0].text.data)
        keep_better(best, &found);
    run->size = 0;
    run->fold = false;
    run->ascii = true;
}

static void run_add(struct arena *arena, struct run *run, uint32_t rune, bool fold,
                    struct required *best)
{
    bool ascii = rune < 128;
    if (!ascii && fold) {
        run_end(arena, run, best);
        return;
    }
    if ((run->fold && !ascii) || (fold && !run->ascii))
        run_end(arena, run, best);
    run->size += utf8_encode(run->bytes + run->size, rune);
    run->fold |= fold;
    run->ascii &= ascii;
}

static void find(struct arena *arena, const struct node *node, int depth, struct required *best);

static void find_in_concat(struct arena *arena, const struct node *first, int depth,
                           struct required *best)
{
    size_t count = 0;
    for (const struct node *child = first; child; child = child->next)
        count++;
    struct run run = {.bytes = arena_alloc(arena, count * UTF8_SIZE_MAX + 1), .ascii = true};
    if (run.bytes == NULL)
        return;
    for (const struct node *child = first; child; child = child->next) {
        uint32_t rune;
        bool fold;
        if (node_rune(child, &rune, &fold)) {
            run_add(arena, &run, rune, fold, best);
            continue;
        }
        run_end(arena, &run, best);
        struct required inner = {.count = 0};
        find(arena, child, depth + 1, &inner);
        keep_better(best, &inner);
    }
    run_end(arena, &run, best);
}

static void find_in_alternation(struct arena *arena, const struct node *first, int depth,
                                struct required *best)
{
    struct required all = {.count = 0};
    for (const struct node *child = first; child; child = child->next) {
        struct required one = {.count = 0};
        find(arena, child, depth + 1, &one);
        if (one.count == 0 || all.count + one.count > ALTERNATIVES_MAX)
            return;
        for (size_t i = 0; i < one.count; i++)
            all.items[all.count++] = one.items[i];
    }
    keep_better(best, &all);
}

static void find(struct arena *arena, const struct node *node, int depth, struct required *best)
{
    if (depth > DEPTH_MAX)
        return; /* nothing is known of what lies so deep */
    struct node alone = *node;
    alone.next = NULL;
    switch (node->kind) {
    case NODE_LITERAL:
    case NODE_CLASS:
        if (node->kind == NODE_LITERAL || node->set->count == 2)
            find_in_concat(arena, &alone, depth, best);
        return;
    case NODE_CAPTURE:
        find(arena, node->first, depth + 1, best);
        return;
    case NODE_REPEAT:
        if (node->min > 0)
            find(arena, node->first, depth + 1, best);
        return;
    case NODE_CONCAT:
        find_in_concat(arena, node->first, depth, best);
        return;
    case NODE_ALTERNATE:
        find_in_alternation(arena, node->first, depth, best);
        return;
    default:
        return;
    }
}

void regex_find_alternatives(const struct tree *tree, struct facts *facts)
{
    struct required best = {.count = 0};
    find(tree->arena, tree->root, 0, &best);
    facts->alternatives = arena_calloc(tree->arena, best.count, sizeof(struct regex_literal));
    if (facts->alternatives == NULL || best.count == 0)
        return;
    memcpy(facts->alternatives, best.items, best.count * sizeof(struct regex_literal));
    facts->alternative_count = best.count;
}
