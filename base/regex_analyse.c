/*
 * regex_analyse.c - literals, prefixes and loops of a pattern.
 *
 * Everything found here is exact or safe: `literals` and `pieces` describe the
 * pattern completely; `prefix` and `required` are things that every match has.
 * A literal with U+FFFD in it is none, because that also matches invalid
 * bytes; letters under (?i) are none either, but for whole pieces.
 */
#include "base/regex_analyse.h"

#include "base/arena.h"
#include "base/array.h"
#include "base/error.h"
#include "base/regex_unicode.h"
#include "base/utf8.h"

#include <stdlib.h>

enum {
    LONG_REPEAT = 16, /* a counted repeat that can vary this much counts as a loop */
    LITERAL_BYTES_MAX = 1 << 20,
    CLASS_RUNES_MAX = 16,
};

struct texts ARRAY_BODY(struct slice);

static bool rune_is_literal(uint32_t rune)
{
    return rune != UTF8_REPLACEMENT && (rune < 0xD800 || rune > 0xDFFF);
}

/* A set that matches any byte sequence, or all but a newline. */
static bool set_is_any(const struct rune_set *set, bool *newline)
{
    const struct rune_range *r = set->items;
    *newline = set->count == 1;
    if (set->count == 1)
        return r[0].lo == 0 && r[0].hi == RUNE_MAX;
    return set->count == 2 && r[0].lo == 0 && r[0].hi == '\n' - 1 && r[1].lo == '\n' + 1 &&
           r[1].hi == RUNE_MAX;
}

/* .* or .+; false when the node is something else. */
static bool node_gap(const struct node *node, enum gap *gap)
{
    bool newline;
    if (node->kind != NODE_REPEAT || node->max != REGEX_UNBOUNDED || node->min > 1 ||
        node->first->kind != NODE_CLASS || !set_is_any(node->first->set, &newline))
        return false;
    if (node->min == 0)
        *gap = newline ? GAP_ANY : GAP_ANY_LINE;
    else
        *gap = newline ? GAP_SOME : GAP_SOME_LINE;
    return true;
}

/* ---- the exact texts of a pattern ---- */

static bool expand(struct arena *arena, const struct node *node, struct texts *out);

static bool texts_add_rune(struct arena *arena, struct texts *out, uint32_t rune)
{
    char bytes[UTF8_SIZE_MAX];
    if (!rune_is_literal(rune))
        return false;
    struct slice text = arena_copy(arena, slice_of(bytes, utf8_encode(bytes, rune)));
    array_push(out, text);
    return text.data != NULL;
}

static bool expand_class(struct arena *arena, const struct rune_set *set, struct texts *out)
{
    size_t total = 0;
    for (size_t i = 0; i < set->count && total <= CLASS_RUNES_MAX; i++)
        total += set->items[i].hi - set->items[i].lo + 1;
    if (total == 0 || total > CLASS_RUNES_MAX)
        return false;
    for (size_t i = 0; i < set->count; i++)
        for (uint32_t r = set->items[i].lo; r <= set->items[i].hi; r++)
            if (!texts_add_rune(arena, out, r))
                return false;
    return true;
}

static struct slice join(struct arena *arena, struct slice a, struct slice b)
{
    char *bytes = arena_alloc(arena, a.size + b.size + 1);
    if (bytes == NULL)
        return slice_of(NULL, 0);
    if (a.size > 0)
        memcpy(bytes, a.data, a.size);
    if (b.size > 0)
        memcpy(bytes + a.size, b.data, b.size);
    return slice_of(bytes, a.size + b.size);
}

/* A run of plain literals is one text: encode it at once. */
static const struct node *take_run(struct arena *arena, const struct node *child,
                                   struct slice *text)
{
    size_t count = 0;
    const struct node *end = child;
    while (end && end->kind == NODE_LITERAL && !end->fold && rune_is_literal(end->rune)) {
        end = end->next;
        count++;
    }
    char *bytes = count > 0 ? arena_alloc(arena, count * UTF8_SIZE_MAX) : NULL;
    *text = slice_of(bytes, 0);
    for (; bytes && child != end; child = child->next)
        text->size += utf8_encode(bytes + text->size, child->rune);
    return end;
}

static bool expand_concat(struct arena *arena, const struct node *node, struct texts *out)
{
    struct texts sofar = {0}, part = {0}, product = {0};
    array_push(&sofar, SLICE(""));
    bool good = true;
    size_t bytes = 0;
    for (const struct node *child = node->first; child && good;) {
        struct slice run;
        part.count = product.count = 0;
        const struct node *next = take_run(arena, child, &run);
        if (run.size > 0) {
            array_push(&part, run);
            child = next;
        } else {
            good = expand(arena, child, &part);
            child = child->next;
        }
        good = good && sofar.count * part.count <= LITERALS_PRODUCT_MAX;
        for (size_t i = 0; i < sofar.count && good; i++) {
            for (size_t k = 0; k < part.count && good; k++) {
                struct slice text = join(arena, sofar.items[i], part.items[k]);
                bytes += text.size;
                good = text.data != NULL && bytes <= LITERAL_BYTES_MAX;
                array_push(&product, text);
            }
        }
        struct texts spare = sofar;
        sofar = product;
        product = spare;
    }
    for (size_t i = 0; i < sofar.count && good; i++)
        array_push(out, sofar.items[i]);
    array_done(&sofar);
    array_done(&part);
    array_done(&product);
    return good;
}

/* Append every text that the node matches; false when they are too many or not literal. */
static bool expand(struct arena *arena, const struct node *node, struct texts *out)
{
    switch (node->kind) {
    case NODE_EMPTY:
        array_push(out, SLICE(""));
        return true;
    case NODE_LITERAL:
        return !node->fold && texts_add_rune(arena, out, node->rune);
    case NODE_CLASS:
        return expand_class(arena, node->set, out);
    case NODE_CAPTURE:
        return expand(arena, node->first, out);
    case NODE_REPEAT:
        if (node->max != 1 || node->min != 0)
            return false;
        array_push(out, SLICE(""));
        return expand(arena, node->first, out);
    case NODE_CONCAT:
        return expand_concat(arena, node, out);
    case NODE_ALTERNATE:
        for (const struct node *child = node->first; child; child = child->next)
            if (!expand(arena, child, out))
                return false;
        return true;
    default:
        return false;
    }
}

static int text_compare(const void *a, const void *b)
{
    return slice_compare(*(const struct slice *)a, *(const struct slice *)b);
}

static void find_literals(const struct tree *tree, struct facts *facts)
{
    struct texts texts = {0};
    if (expand(tree->arena, tree->root, &texts) && texts.count > 0) {
        qsort(texts.items, texts.count, sizeof(struct slice), text_compare);
        size_t kept = 1;
        for (size_t i = 1; i < texts.count; i++)
            if (!slice_equal(texts.items[i], texts.items[kept - 1]))
                texts.items[kept++] = texts.items[i];
        facts->literals = arena_calloc(tree->arena, kept, sizeof(struct slice));
        if (facts->literals) {
            memcpy(facts->literals, texts.items, kept * sizeof(struct slice));
            facts->literal_count = kept;
        }
    }
    array_done(&texts);
}

/* ---- literals with anything around them ---- */

/* The children of a concat from `*child` on that are literals of one kind. */
static bool piece_literal(struct arena *arena, const struct node **child, struct piece *piece)
{
    const struct node *start = *child;
    size_t count = 0;
    bool folds = false, cased = false;
    for (; *child && (*child)->kind == NODE_LITERAL; *child = (*child)->next, count++) {
        uint32_t rune = (*child)->rune;
        if (!rune_is_literal(rune))
            return false;
        folds |= (*child)->fold;
        cased |= !(*child)->fold && unicode_fold_next(rune) != rune;
    }
    if (folds && cased)
        return false;
    char *bytes = arena_alloc(arena, count * UTF8_SIZE_MAX + 1);
    if (bytes == NULL)
        return false;
    piece->literal = slice_of(bytes, 0);
    for (; start != *child; start = start->next)
        piece->literal.size += utf8_encode(bytes + piece->literal.size, start->rune);
    piece->fold = folds;
    return true;
}

/*
 * In an unanchored pattern both ends are gaps that match everything.  Leading
 * and trailing .* change nothing there.
 */
static bool find_piece(struct arena *arena, const struct node *node, bool anchored,
                       struct piece *piece)
{
    struct node alone = *node;
    alone.next = NULL;
    while (alone.kind == NODE_CAPTURE) {
        alone = *alone.first;
        alone.next = NULL;
    }
    const struct node *child = alone.kind == NODE_CONCAT ? alone.first : &alone;
    enum gap gap;
    *piece = (struct piece){.before = GAP_NONE, .after = GAP_NONE};
    bool starts_text = anchored, ends_text = anchored;
    if (child && child->kind == NODE_TEXT_START) {
        starts_text = true;
        child = child->next;
    }
    if (child && node_gap(child, &gap)) {
        piece->before = gap;
        child = child->next;
    }
    if (!piece_literal(arena, &child, piece))
        return false;
    if (child && node_gap(child, &gap)) {
        piece->after = gap;
        child = child->next;
    }
    if (child && child->kind == NODE_TEXT_END) {
        ends_text = true;
        child = child->next;
    }
    if (child != NULL)
        return false;
    if (!starts_text) {
        if (piece->before != GAP_NONE && piece->before != GAP_ANY && piece->before != GAP_ANY_LINE)
            return false;
        piece->before = GAP_ANY;
    }
    if (!ends_text) {
        if (piece->after != GAP_NONE && piece->after != GAP_ANY && piece->after != GAP_ANY_LINE)
            return false;
        piece->after = GAP_ANY;
    }
    /* Two gaps side by side share the text in ways that are not worth working out. */
    if (piece->literal.size == 0 && piece->before != GAP_NONE && piece->after != GAP_NONE)
        return piece->before == GAP_ANY && piece->after == GAP_ANY;
    return !piece->fold || piece->literal.size <= PIECE_FOLDED_MAX;
}

static void find_pieces(const struct tree *tree, bool anchored, struct facts *facts)
{
    const struct node *root = tree->root;
    while (root->kind == NODE_CAPTURE)
        root = root->first;
    size_t count = 1;
    if (root->kind == NODE_ALTERNATE) {
        count = 0;
        for (const struct node *child = root->first; child; child = child->next)
            count++;
    }
    struct piece *pieces =
        count <= PIECES_MAX ? arena_calloc(tree->arena, count, sizeof(struct piece)) : NULL;
    if (pieces == NULL)
        return;
    const struct node *child = root->kind == NODE_ALTERNATE ? root->first : root;
    for (size_t i = 0; i < count; i++, child = child->next)
        if (!find_piece(tree->arena, child, anchored, &pieces[i]))
            return;
    facts->pieces = pieces;
    facts->piece_count = count;
}

/* ---- what every match has ---- */

static const struct node *only_content(const struct node *node)
{
    while (node->kind == NODE_CAPTURE || (node->kind == NODE_REPEAT && node->min > 0))
        node = node->first;
    return node;
}

/* The longest run of plain literals that no match can do without. */
static void find_required(struct arena *arena, const struct node *node, struct slice *best)
{
    node = only_content(node);
    if (node->kind != NODE_CONCAT && node->kind != NODE_LITERAL)
        return;
    struct node alone = *node;
    alone.next = NULL;
    const struct node *child = node->kind == NODE_CONCAT ? node->first : &alone;
    while (child) {
        struct slice run;
        const struct node *next = take_run(arena, child, &run);
        if (run.size > best->size)
            *best = run;
        if (next == child) {
            if (child->kind != NODE_LITERAL)
                find_required(arena, child, best);
            next = child->next;
        }
        child = next;
    }
}

static struct slice find_prefix(struct arena *arena, const struct node *node)
{
    struct slice run = SLICE("");
    while (node->kind == NODE_CAPTURE || node->kind == NODE_CONCAT ||
           (node->kind == NODE_REPEAT && node->min > 0)) {
        node = node->first;
        while (node->kind == NODE_TEXT_START && node->next)
            node = node->next;
        if (node->kind == NODE_LITERAL)
            break;
    }
    if (node->kind == NODE_LITERAL)
        take_run(arena, node, &run);
    return run;
}

/* Does the node match in the empty text? */
static bool matches_nothing(const struct node *node)
{
    switch (node->kind) {
    case NODE_LITERAL:
    case NODE_CLASS:
    case NODE_WORD_BOUNDARY:
        return false;
    case NODE_CAPTURE:
        return matches_nothing(node->first);
    case NODE_REPEAT:
        return node->min == 0 || matches_nothing(node->first);
    case NODE_CONCAT:
        for (const struct node *child = node->first; child; child = child->next)
            if (!matches_nothing(child))
                return false;
        return true;
    case NODE_ALTERNATE:
        for (const struct node *child = node->first; child; child = child->next)
            if (matches_nothing(child))
                return true;
        return false;
    default:
        return true;
    }
}

static void find_loops(const struct node *node, struct facts *facts)
{
    if (node->kind == NODE_REPEAT) {
        if (node->max == REGEX_UNBOUNDED || node->max - node->min >= LONG_REPEAT)
            facts->loops = true;
        if (node->max != 1 && node->first->nullable)
            facts->empty_loops = true;
    }
    for (const struct node *child = node->first; child; child = child->next)
        find_loops(child, facts);
}

bool regex_analyse(const struct tree *tree, bool anchored, struct facts *facts, struct error *err)
{
    *facts = (struct facts){0};
    facts->matches_empty = matches_nothing(tree->root);
    if (anchored)
        find_literals(tree, facts);
    if (facts->literals == NULL)
        find_pieces(tree, anchored, facts);
    find_required(tree->arena, tree->root, &facts->required);
    if (!anchored)
        regex_find_alternatives(tree, facts);
    if (anchored)
        facts->prefix = find_prefix(tree->arena, tree->root);
    find_loops(tree->root, facts);
    return arena_check(tree->arena, "regular expression", err);
}
