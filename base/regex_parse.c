/*
 * regex_parse.c - RE2's grammar to a tree.
 *
 * One loop over the pattern with a stack of open groups, so that a pattern's
 * nesting does not become ours.  Flags (i, m, s, U) live in the group in which
 * they were set and are folded into the nodes.  What RE2 does not know
 * (lookaround, backreferences, possessive repeats, ...) is refused with the
 * text that Go's regexp/syntax gives, since Prometheus and Loki show it.
 */
#include "base/arena.h"
#include "base/array.h"
#include "base/error.h"
#include "base/regex.h"
#include "base/regex_tree.h"
#include "base/regex_unicode.h"
#include "base/utf8.h"

#include <stdlib.h>

struct parse_flags {
    bool fold, multi_line, dot_newline, lazy;
};

/* A group that is still open; the outermost one stands for the whole pattern. */
struct open_group {
    struct node *alternatives; /* NODE_ALTERNATE, NULL before the first | */
    struct node *concat;       /* NODE_CONCAT being filled */
    struct node *capture;      /* NULL for (?:...) */
    struct parse_flags flags;  /* of the surrounding group, restored at ) */
};

struct parser {
    struct arena *arena;
    struct slice pattern;
    size_t at;
    struct parse_flags flags;
    ARRAY(struct open_group) groups;
    ARRAY(struct slice) names; /* of capture groups, [0] unused */
    struct error *err;
    size_t last_repeat; /* where the item before began, if that was a repeat, else SIZE_MAX */
};

bool regex_syntax_error(struct error *err, const char *what, struct slice part)
{
    enum { SHOWN_MAX = 300 };
    if (part.size > SHOWN_MAX)
        part.size = SHOWN_MAX;
    return error_set(err, ERR_INVALID, "error parsing regexp: %s: `%.*s`", what, SLICE_ARG(part));
}

bool regex_check_utf8(struct slice part, struct error *err)
{
    size_t at = 0;
    uint32_t rune;
    while (at < part.size)
        if (!regex_parse_rune(part, &at, &rune, err))
            return false;
    return true;
}

bool regex_parse_rune(struct slice pattern, size_t *at, uint32_t *rune, struct error *err)
{
    bool valid = true;
    size_t next = *at;
    uint32_t decoded = utf8_next(pattern, &next, &valid);
    if (!valid)
        return regex_syntax_error(err, "invalid UTF-8", slice_skip(pattern, *at));
    *rune = decoded;
    *at = next;
    return true;
}

static bool too_large(struct parser *p)
{
    return error_set(p->err, ERR_LIMIT, "error parsing regexp: expression too large");
}

static struct node *node_new(struct parser *p, enum node_kind kind)
{
    struct node *node = arena_calloc(p->arena, 1, sizeof(*node));
    if (node == NULL) {
        too_large(p);
        return NULL;
    }
    node->kind = kind;
    node->height = 1;
    node->repeats = 1;
    node->nullable = kind != NODE_LITERAL && kind != NODE_CLASS;
    return node;
}

static bool node_grew(struct parser *p, struct node *node, const struct node *child)
{
    if (child->height >= node->height)
        node->height = (uint16_t)(child->height + 1);
    if (child->repeats > node->repeats)
        node->repeats = child->repeats;
    if (node->height > REGEX_DEPTH_MAX)
        return regex_syntax_error(p->err, "expression nests too deeply", p->pattern);
    return true;
}

static bool node_add(struct parser *p, struct node *parent, struct node *child)
{
    if (parent->last)
        parent->last->next = child;
    else
        parent->first = child;
    parent->last = child;
    if (parent->kind == NODE_CONCAT)
        parent->nullable = parent->nullable && child->nullable;
    else if (parent->kind == NODE_ALTERNATE)
        parent->nullable =
            parent->first == child ? child->nullable : parent->nullable || child->nullable;
    else
        parent->nullable = child->nullable;
    return node_grew(p, parent, child);
}

static struct open_group *group_top(struct parser *p)
{
    return &p->groups.items[p->groups.count - 1];
}

static bool push_node(struct parser *p, struct node *node)
{
    return node != NULL && node_add(p, group_top(p)->concat, node);
}

static bool push_kind(struct parser *p, enum node_kind kind, size_t size)
{
    p->at += size;
    return push_node(p, node_new(p, kind));
}

static bool push_literal(struct parser *p, uint32_t rune)
{
    struct node *node = node_new(p, NODE_LITERAL);
    if (node == NULL)
        return false;
    node->rune = rune;
    node->fold = p->flags.fold && unicode_fold_next(rune) != rune;
    return push_node(p, node);
}

static bool push_set(struct parser *p, struct rune_set *set)
{
    struct node *node = node_new(p, NODE_CLASS);
    if (node == NULL)
        return false;
    node->set = set;
    return push_node(p, node);
}

static bool push_dot(struct parser *p)
{
    static const struct rune_range any[] = {{0, RUNE_MAX}};
    static const struct rune_range line[] = {{0, '\n' - 1}, {'\n' + 1, RUNE_MAX}};
    p->at++;
    struct rune_set *set =
        p->flags.dot_newline ? rune_set_new(p->arena, any, 1) : rune_set_new(p->arena, line, 2);
    return set ? push_set(p, set) : too_large(p);
}

static bool group_open(struct parser *p, bool capture, struct slice name)
{
    struct open_group group = {.flags = p->flags, .concat = node_new(p, NODE_CONCAT)};
    if (group.concat == NULL)
        return false;
    if (p->groups.count > REGEX_DEPTH_MAX)
        return regex_syntax_error(p->err, "expression nests too deeply", p->pattern);
    if (capture) {
        if (p->names.count > REGEX_GROUPS_MAX)
            return error_set(p->err, ERR_LIMIT, "error parsing regexp: more than %d capture groups",
                             REGEX_GROUPS_MAX);
        group.capture = node_new(p, NODE_CAPTURE);
        if (group.capture == NULL)
            return false;
        group.capture->group = (uint32_t)p->names.count;
        group.capture->name = name;
        array_push(&p->names, name);
    }
    array_push(&p->groups, group);
    return true;
}

/* A concat of one is that one. */
static struct node *concat_value(struct node *concat)
{
    if (concat->first != NULL && concat->first == concat->last)
        return concat->first;
    if (concat->first == NULL)
        concat->kind = NODE_EMPTY;
    return concat;
}

/* What the open group has matched so far, closed. */
static struct node *group_value(struct parser *p)
{
    struct open_group *group = group_top(p);
    struct node *value = concat_value(group->concat);
    if (group->alternatives) {
        if (!node_add(p, group->alternatives, value))
            return NULL;
        value = group->alternatives;
    }
    if (group->capture) {
        if (!node_add(p, group->capture, value))
            return NULL;
        value = group->capture;
    }
    return value;
}

static bool group_close(struct parser *p)
{
    if (p->groups.count == 1)
        return regex_syntax_error(p->err, "unexpected )", p->pattern);
    struct node *value = group_value(p);
    if (value == NULL)
        return false;
    p->flags = group_top(p)->flags;
    p->groups.count--;
    p->at++;
    /* A group is one item of its parent, even where it is a plain concat. */
    value->next = NULL;
    return push_node(p, value);
}

static bool parse_bar(struct parser *p)
{
    struct open_group *group = group_top(p);
    if (group->alternatives == NULL) {
        group->alternatives = node_new(p, NODE_ALTERNATE);
        if (group->alternatives == NULL)
            return false;
    }
    if (!node_add(p, group->alternatives, concat_value(group->concat)))
        return false;
    group->concat = node_new(p, NODE_CONCAT);
    p->at++;
    return group->concat != NULL;
}

/* Put a repeat node around the last item; `start` is where the operator began. */
static bool push_repeat(struct parser *p, int32_t min, int32_t max, bool counted, size_t start,
                        size_t last_repeat)
{
    bool lazy = p->at < p->pattern.size && p->pattern.data[p->at] == '?';
    p->at += lazy;
    struct slice text = slice_sub(p->pattern, start, p->at - start);
    if (last_repeat != SIZE_MAX)
        return regex_syntax_error(p->err, "invalid nested repetition operator",
                                  slice_sub(p->pattern, last_repeat, p->at - last_repeat));
    struct node *concat = group_top(p)->concat;
    struct node *body = concat->last;
    if (body == NULL)
        return regex_syntax_error(p->err, "missing argument to repetition operator", text);
    struct node *repeat = node_new(p, NODE_REPEAT);
    if (repeat == NULL)
        return false;
    struct node *wrapped = arena_alloc(p->arena, sizeof(*wrapped));
    if (wrapped == NULL)
        return too_large(p);
    *wrapped = *body;
    if (!node_add(p, repeat, wrapped))
        return false;
    repeat->min = min;
    repeat->max = max;
    repeat->greedy = lazy == p->flags.lazy;
    repeat->nullable = wrapped->nullable || min == 0;
    if (counted) {
        uint32_t times = (uint32_t)(max == REGEX_UNBOUNDED ? min : max);
        repeat->repeats = times == 0 && max == 0 ? 1 : wrapped->repeats * (times ? times : 1);
        if (repeat->repeats > REGEX_REPEAT_MAX && (min >= 2 || max >= 2))
            return regex_syntax_error(p->err, "invalid repeat count", text);
    }
    *body = *repeat; /* in place: the concat's links stay as they are */
    concat->nullable = true;
    for (struct node *item = concat->first; item; item = item->next)
        concat->nullable = concat->nullable && item->nullable;
    return node_grew(p, concat, body);
}

/* A decimal number at `*at`, at most REGEX_REPEAT_MAX + 1; -1 when there is none. */
static int32_t parse_count(struct slice pattern, size_t *at)
{
    size_t i = *at;
    int32_t value = 0;
    while (i < pattern.size && pattern.data[i] >= '0' && pattern.data[i] <= '9') {
        value = value * 10 + (pattern.data[i] - '0');
        if (value > REGEX_REPEAT_MAX)
            value = REGEX_REPEAT_MAX + 1;
        i++;
    }
    if (i == *at || (i - *at > 1 && pattern.data[*at] == '0'))
        return -1;
    *at = i;
    return value;
}

/* {2} {2,} {2,5}; anything else is a literal brace. */
static bool parse_counted(struct parser *p, size_t last_repeat)
{
    size_t start = p->at, i = start + 1;
    struct slice s = p->pattern;
    int32_t min = parse_count(s, &i), max = min;
    bool good = min >= 0;
    if (good && i < s.size && s.data[i] == ',') {
        i++;
        max = REGEX_UNBOUNDED;
        if (i < s.size && s.data[i] != '}') {
            max = parse_count(s, &i);
            good = max >= 0;
        }
    }
    if (!good || i >= s.size || s.data[i] != '}') {
        p->at++;
        return push_literal(p, '{');
    }
    p->at = i + 1;
    if (min > REGEX_REPEAT_MAX || max > REGEX_REPEAT_MAX || (max >= 0 && min > max))
        return regex_syntax_error(p->err, "invalid repeat count",
                                  slice_sub(s, start, p->at - start));
    p->last_repeat = start;
    return push_repeat(p, min, max, true, start, last_repeat);
}

static bool parse_operator(struct parser *p, size_t last_repeat)
{
    size_t start = p->at;
    char c = p->pattern.data[p->at++];
    p->last_repeat = start;
    return push_repeat(p, c == '+' ? 1 : 0, c == '?' ? 1 : REGEX_UNBOUNDED, false, start,
                       last_repeat);
}

/* (?P<name> or (?<name> at `p->at`; `name_at` is behind the <. */
static bool parse_named_group(struct parser *p, size_t name_at)
{
    struct slice s = p->pattern;
    size_t end = slice_find_byte(s, '>', name_at);
    if (end == SLICE_NOT_FOUND) {
        struct slice rest = slice_skip(s, p->at);
        return regex_check_utf8(rest, p->err) &&
               regex_syntax_error(p->err, "invalid named capture", rest);
    }
    struct slice name = slice_sub(s, name_at, end - name_at);
    if (!regex_check_utf8(name, p->err))
        return false;
    bool good = name.size > 0;
    for (size_t i = 0; i < name.size; i++)
        good = good && rune_is_word((unsigned char)name.data[i]);
    if (!good)
        return regex_syntax_error(p->err, "invalid named capture",
                                  slice_sub(s, p->at, end + 1 - p->at));
    p->at = end + 1;
    return group_open(p, true, name);
}

/* (?flags) and (?flags:...; `p->at` is at the parenthesis. */
static bool parse_flags(struct parser *p)
{
    struct slice s = p->pattern;
    size_t start = p->at, i = start + 2;
    struct parse_flags flags = p->flags;
    bool negative = false, seen = false;
    while (i < s.size) {
        uint32_t c;
        if (!regex_parse_rune(s, &i, &c, p->err))
            return false;
        if (c == 'i' || c == 'm' || c == 's' || c == 'U') {
            bool *flag = c == 'i'   ? &flags.fold
                         : c == 'm' ? &flags.multi_line
                         : c == 's' ? &flags.dot_newline
                                    : &flags.lazy;
            *flag = !negative;
            seen = true;
        } else if (c == '-' && !negative) {
            negative = true;
            seen = false;
        } else if ((c == ':' || c == ')') && (seen || !negative)) {
            p->at = i;
            if (c == ':' && !group_open(p, false, SLICE("")))
                return false;
            p->flags = flags;
            return true;
        } else {
            break;
        }
    }
    return regex_syntax_error(p->err, "invalid or unsupported Perl syntax",
                              slice_sub(s, start, i - start));
}

static bool parse_group(struct parser *p)
{
    struct slice rest = slice_skip(p->pattern, p->at);
    if (rest.size < 2 || rest.data[1] != '?') {
        p->at++;
        return group_open(p, true, SLICE(""));
    }
    if (rest.size > 4 && rest.data[2] == 'P' && rest.data[3] == '<')
        return parse_named_group(p, p->at + 4);
    if (rest.size > 3 && rest.data[2] == '<')
        return parse_named_group(p, p->at + 3);
    return parse_flags(p);
}

/* \Q...\E: everything between is literal. */
static bool parse_quoted(struct parser *p)
{
    struct slice s = p->pattern;
    size_t end = slice_find(s, SLICE("\\E"), p->at + 2);
    struct slice text = slice_sub(s, 0, end == SLICE_NOT_FOUND ? s.size : end);
    p->at += 2;
    while (p->at < text.size) {
        uint32_t rune;
        if (!regex_parse_rune(text, &p->at, &rune, p->err) || !push_literal(p, rune))
            return false;
    }
    if (end != SLICE_NOT_FOUND)
        p->at += 2;
    return true;
}

static bool parse_backslash(struct parser *p)
{
    switch (p->at + 1 < p->pattern.size ? p->pattern.data[p->at + 1] : '\0') {
    case 'A':
        return push_kind(p, NODE_TEXT_START, 2);
    case 'z':
        return push_kind(p, NODE_TEXT_END, 2);
    case 'b':
        return push_kind(p, NODE_WORD_BOUNDARY, 2);
    case 'B':
        return push_kind(p, NODE_NOT_WORD_BOUNDARY, 2);
    case 'C':
        return regex_syntax_error(p->err, "invalid escape sequence",
                                  slice_sub(p->pattern, p->at, 2));
    case 'Q':
        return parse_quoted(p);
    default:
        break;
    }
    struct rune_set *set;
    if (!regex_parse_class_escape(p->arena, p->pattern, &p->at, p->flags.fold, &set, p->err))
        return false;
    if (set)
        return push_set(p, set);
    uint32_t rune;
    return regex_parse_escape(p->pattern, &p->at, &rune, p->err) && push_literal(p, rune);
}

static bool parse_class(struct parser *p)
{
    struct rune_set *set = regex_parse_class(p->arena, p->pattern, &p->at, p->flags.fold, p->err);
    return set && push_set(p, set);
}

static bool parse_item(struct parser *p, size_t last_repeat)
{
    uint32_t rune;
    switch (p->pattern.data[p->at]) {
    case '(':
        return parse_group(p);
    case ')':
        return group_close(p);
    case '|':
        return parse_bar(p);
    case '^':
        return push_kind(p, p->flags.multi_line ? NODE_LINE_START : NODE_TEXT_START, 1);
    case '$':
        return push_kind(p, p->flags.multi_line ? NODE_LINE_END : NODE_TEXT_END, 1);
    case '.':
        return push_dot(p);
    case '[':
        return parse_class(p);
    case '*':
    case '+':
    case '?':
        return parse_operator(p, last_repeat);
    case '{':
        return parse_counted(p, last_repeat);
    case '\\':
        return parse_backslash(p);
    default:
        return regex_parse_rune(p->pattern, &p->at, &rune, p->err) && push_literal(p, rune);
    }
}

static bool parse_all(struct parser *p, struct tree *tree)
{
    array_push(&p->names, SLICE(""));
    if (!group_open(p, false, SLICE("")))
        return false;
    while (p->at < p->pattern.size) {
        size_t last_repeat = p->last_repeat;
        p->last_repeat = SIZE_MAX;
        if (!parse_item(p, last_repeat))
            return false;
    }
    if (p->groups.count > 1)
        return regex_syntax_error(p->err, "missing closing )", p->pattern);
    tree->root = group_value(p);
    if (tree->root == NULL)
        return false;
    tree->group_count = p->names.count - 1;
    tree->group_names = arena_calloc(p->arena, p->names.count, sizeof(struct slice));
    if (tree->group_names == NULL)
        return too_large(p);
    memcpy(tree->group_names, p->names.items, p->names.count * sizeof(struct slice));
    tree->arena = p->arena;
    return true;
}

bool regex_parse(struct arena *arena, struct slice pattern, unsigned flags, struct tree *tree,
                 struct error *err)
{
    struct parser p = {.arena = arena, .pattern = pattern, .err = err, .last_repeat = SIZE_MAX};
    p.flags.fold = flags & REGEX_IGNORE_CASE;
    p.flags.dot_newline = flags & REGEX_DOT_NEWLINE;
    bool good = parse_all(&p, tree);
    array_done(&p.groups);
    array_done(&p.names);
    return good;
}
