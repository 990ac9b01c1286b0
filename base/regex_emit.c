/*
 * regex_emit.c - a tree as a PCRE2 pattern that means the same.
 *
 * Nothing of the user's text gets through: literals are escaped, classes are
 * written as plain ranges (already folded and negated), dots as \N or .,
 * anchors as \A and \z.  Only literals use PCRE2's caseless mode, because it
 * searches those fast; `(?i)` and `(?-i)` are written where the mode changes,
 * and it is off in front of every class.  The pattern is compiled with UTF,
 * DOTALL, MULTILINE and ALT_CIRCUMFLEX (see regex_pcre.c), on which the forms
 * for dots and line anchors rely.
 */
#include "base/buffer.h"
#include "base/regex_tree.h"
#include "base/regex_unicode.h"

struct emitter {
    struct buffer *out;
    bool captures;
    bool caseless; /* what the last (?i) or (?-i) said */
};

enum { SURROGATE_FIRST = 0xD800, SURROGATE_LAST = 0xDFFF };

static void emit_rune(struct buffer *out, uint32_t rune)
{
    if (rune < 128 && rune_is_word(rune))
        buffer_append_byte(out, (char)rune);
    else if (rune > 32 && rune < 127)
        buffer_printf(out, "\\%c", (char)rune);
    else
        buffer_printf(out, "\\x{%x}", rune);
}

static void emit_mode(struct emitter *e, bool caseless)
{
    if (e->caseless == caseless)
        return;
    buffer_append_text(e->out, caseless ? "(?i)" : "(?-i)");
    e->caseless = caseless;
}

static void emit_literal(struct emitter *e, const struct node *node)
{
    if (node->rune >= SURROGATE_FIRST && node->rune <= SURROGATE_LAST) {
        buffer_append_text(e->out, "(?!)"); /* no text holds a surrogate */
        return;
    }
    if (node->fold || unicode_fold_next(node->rune) != node->rune)
        emit_mode(e, node->fold);
    emit_rune(e->out, node->rune);
}

/* lo..hi without the surrogates; true when anything was written. */
static bool emit_range(struct buffer *out, uint32_t lo, uint32_t hi)
{
    if (lo >= SURROGATE_FIRST && lo <= SURROGATE_LAST)
        lo = SURROGATE_LAST + 1;
    if (hi >= SURROGATE_FIRST && hi <= SURROGATE_LAST)
        hi = SURROGATE_FIRST - 1;
    if (lo > hi)
        return false;
    emit_rune(out, lo);
    if (hi > lo) {
        buffer_append_byte(out, '-');
        emit_rune(out, hi);
    }
    return true;
}

static void emit_set(struct emitter *e, const struct rune_set *set)
{
    size_t count = set->count;
    const struct rune_range *r = set->items;
    bool whole_ends = count > 0 && r[0].lo == 0 && r[count - 1].hi == RUNE_MAX;
    if (whole_ends && count == 1) {
        buffer_append_byte(e->out, '.');
        return;
    }
    if (whole_ends && count == 2 && r[0].hi == '\n' - 1 && r[1].lo == '\n' + 1) {
        buffer_append_text(e->out, "\\N");
        return;
    }
    emit_mode(e, false);
    size_t start = e->out->size;
    bool any = false;
    buffer_append_text(e->out, whole_ends ? "[^" : "[");
    if (whole_ends) {
        for (size_t i = 0; i + 1 < count; i++)
            any |= emit_range(e->out, r[i].hi + 1, r[i + 1].lo - 1);
    } else {
        for (size_t i = 0; i < count; i++)
            any |= emit_range(e->out, r[i].lo, r[i].hi);
    }
    buffer_append_byte(e->out, ']');
    if (!any && !e->out->failed) {
        buffer_truncate(e->out, start);
        buffer_append_text(e->out, whole_ends ? "." : "(?!)");
    }
}

static void emit_node(struct emitter *e, const struct node *node);

/* The mode inside a group ends with it. */
static void emit_group(struct emitter *e, const struct node *node, const char *open)
{
    bool caseless = e->caseless;
    buffer_append_text(e->out, open);
    emit_node(e, node);
    buffer_append_byte(e->out, ')');
    e->caseless = caseless;
}

static void emit_repeat(struct emitter *e, const struct node *node)
{
    const struct node *body = node->first;
    if (body->kind == NODE_CLASS)
        emit_node(e, body);
    else
        emit_group(e, body, "(?:");
    if (node->min == 0 && node->max == 1)
        buffer_append_byte(e->out, '?');
    else if (node->max == REGEX_UNBOUNDED && node->min <= 1)
        buffer_append_byte(e->out, node->min ? '+' : '*');
    else if (node->max == REGEX_UNBOUNDED)
        buffer_printf(e->out, "{%d,}", node->min);
    else
        buffer_printf(e->out, "{%d,%d}", node->min, node->max);
    if (!node->greedy)
        buffer_append_byte(e->out, '?');
}

static void emit_node(struct emitter *e, const struct node *node)
{
    static const char *const anchors[] = {
        [NODE_TEXT_START] = "\\A", [NODE_TEXT_END] = "\\z",      [NODE_LINE_START] = "^",
        [NODE_LINE_END] = "$",     [NODE_WORD_BOUNDARY] = "\\b", [NODE_NOT_WORD_BOUNDARY] = "\\B",
    };
    switch (node->kind) {
    case NODE_EMPTY:
        break;
    case NODE_LITERAL:
        emit_literal(e, node);
        break;
    case NODE_CLASS:
        emit_set(e, node->set);
        break;
    case NODE_CAPTURE:
        emit_group(e, node->first, e->captures ? "(" : "(?:");
        break;
    case NODE_REPEAT:
        emit_repeat(e, node);
        break;
    case NODE_CONCAT:
        for (const struct node *child = node->first; child; child = child->next) {
            if (child->kind == NODE_ALTERNATE)
                emit_group(e, child, "(?:");
            else
                emit_node(e, child);
        }
        break;
    case NODE_ALTERNATE:
        for (const struct node *child = node->first; child; child = child->next) {
            if (child != node->first)
                buffer_append_byte(e->out, '|');
            if (child->kind == NODE_ALTERNATE)
                emit_group(e, child, "(?:");
            else
                emit_node(e, child);
        }
        break;
    default:
        buffer_append_text(e->out, anchors[node->kind]);
    }
}

void regex_emit(const struct tree *tree, bool anchored, bool captures, struct buffer *out)
{
    struct emitter e = {.out = out, .captures = captures};
    if (anchored) {
        buffer_append_text(out, "\\A");
        emit_group(&e, tree->root, "(?:");
        buffer_append_text(out, "\\z");
    } else {
        emit_node(&e, tree->root);
    }
}
