/*
 * regex_parse_class.c - character classes and escapes of RE2's grammar.
 *
 * Three forms give a set of code points: [...] with ranges, POSIX names and
 * escapes inside; \d \s \w and their negations, which are ASCII only; \pN and
 * \p{Greek}.  Under (?i) a set is folded before it is negated.  Every other
 * escape stands for one code point.  Errors are worded as Go words them,
 * because Prometheus and Loki show those texts to their users.
 */
#include "base/arena.h"
#include "base/error.h"
#include "base/regex_tree.h"
#include "base/regex_unicode.h"

struct named_class {
    const char *name;
    uint8_t ranges[10]; /* pairs lo, hi */
    uint8_t count;      /* of bytes in `ranges` */
};

static const struct named_class posix_classes[] = {
    {"alnum", {'0', '9', 'A', 'Z', 'a', 'z'}, 6},
    {"alpha", {'A', 'Z', 'a', 'z'}, 4},
    {"ascii", {0, 127}, 2},
    {"blank", {'\t', '\t', ' ', ' '}, 4},
    {"cntrl", {0, 31, 127, 127}, 4},
    {"digit", {'0', '9'}, 2},
    {"graph", {'!', '~'}, 2},
    {"lower", {'a', 'z'}, 2},
    {"print", {' ', '~'}, 2},
    {"punct", {'!', '/', ':', '@', '[', '`', '{', '~'}, 8},
    {"space", {'\t', '\r', ' ', ' '}, 4},
    {"upper", {'A', 'Z'}, 2},
    {"word", {'0', '9', 'A', 'Z', '_', '_', 'a', 'z'}, 8},
    {"xdigit", {'0', '9', 'A', 'F', 'a', 'f'}, 6},
};

static const struct named_class perl_classes[] = {
    {"d", {'0', '9'}, 2},
    {"s", {'\t', '\n', '\f', '\r', ' ', ' '}, 6},
    {"w", {'0', '9', 'A', 'Z', '_', '_', 'a', 'z'}, 8},
};

static const struct named_class *class_find(const struct named_class *classes, size_t count,
                                            struct slice name)
{
    for (size_t i = 0; i < count; i++)
        if (slice_equal(slice_from_text(classes[i].name), name))
            return &classes[i];
    return NULL;
}

/* What one item of a class adds: collected apart, so that it can be negated. */
static void collect_part(struct rune_collector *c, struct rune_collector *part, bool negated)
{
    if (negated)
        rune_collect_negate(part);
    for (size_t i = 0; i < part->count; i++)
        rune_collect(c, part->items[i].lo, part->items[i].hi);
    c->failed |= part->failed;
}

static void collect_named(struct rune_collector *c, const struct named_class *named, bool negated,
                          bool fold)
{
    struct rune_collector part = {.arena = c->arena};
    for (size_t i = 0; i < named->count; i += 2) {
        if (fold)
            rune_collect_folded(&part, named->ranges[i], named->ranges[i + 1]);
        else
            rune_collect(&part, named->ranges[i], named->ranges[i + 1]);
    }
    collect_part(c, &part, negated);
}

static void visit_plain(void *context, uint32_t lo, uint32_t hi)
{
    rune_collect(context, lo, hi);
}

static void visit_folded(void *context, uint32_t lo, uint32_t hi)
{
    rune_collect_folded(context, lo, hi);
}

/* \pN, \p{Greek}, \P{^Greek}: `*at` is at the backslash. */
static bool parse_property(struct rune_collector *c, struct slice pattern, size_t *at, bool fold,
                           struct error *err)
{
    size_t start = *at, end = start + 2;
    bool negated = pattern.data[start + 1] == 'P';
    struct slice name;
    uint32_t rune = 0;
    if (end < pattern.size && !regex_parse_rune(pattern, &end, &rune, err))
        return false;
    if (rune != '{') {
        name = slice_sub(pattern, start + 2, end - start - 2);
    } else {
        size_t close = slice_find_byte(pattern, '}', end);
        if (close == SLICE_NOT_FOUND) {
            struct slice rest = slice_skip(pattern, start);
            return regex_check_utf8(rest, err) &&
                   regex_syntax_error(err, "invalid character class range", rest);
        }
        name = slice_sub(pattern, end, close - end);
        if (!regex_check_utf8(name, err))
            return false;
        end = close + 1;
    }
    struct slice whole = slice_sub(pattern, start, end - start);
    if (name.size > 0 && name.data[0] == '^') {
        negated = !negated;
        name = slice_skip(name, 1);
    }
    struct rune_collector part = {.arena = c->arena};
    if (!unicode_property(name, fold ? visit_folded : visit_plain, &part))
        return regex_syntax_error(err, "invalid character class range", whole);
    collect_part(c, &part, negated);
    *at = end;
    return true;
}

/* One of \d \D \s \S \w \W, or false. */
static bool parse_perl_class(struct rune_collector *c, struct slice pattern, size_t *at, bool fold)
{
    if (*at + 1 >= pattern.size || pattern.data[*at] != '\\')
        return false;
    char letter = pattern.data[*at + 1];
    bool negated = letter >= 'A' && letter <= 'Z';
    char lower = (char)(letter | 0x20);
    const struct named_class *named =
        class_find(perl_classes, COUNT_OF(perl_classes), slice_of(&lower, 1));
    if (named == NULL || (letter != lower && !negated))
        return false;
    collect_named(c, named, negated, fold);
    *at += 2;
    return true;
}

static bool at_property(struct slice pattern, size_t at)
{
    return at + 1 < pattern.size && pattern.data[at] == '\\' &&
           (pattern.data[at + 1] == 'p' || pattern.data[at + 1] == 'P');
}

static bool set_done(struct rune_collector *c, struct rune_set **set, struct error *err)
{
    *set = rune_collect_done(c);
    if (*set == NULL)
        return error_set(err, ERR_LIMIT, "error parsing regexp: expression too large");
    return true;
}

bool regex_parse_class_escape(struct arena *arena, struct slice pattern, size_t *at, bool fold,
                              struct rune_set **set, struct error *err)
{
    struct rune_collector c = {.arena = arena};
    *set = NULL;
    if (at_property(pattern, *at)) {
        if (!parse_property(&c, pattern, at, fold, err))
            return false;
    } else if (!parse_perl_class(&c, pattern, at, fold)) {
        return true;
    }
    return set_done(&c, set, err);
}

/* [:name:] inside a class: 1 taken, 0 not there, -1 unknown name. */
static int parse_posix_class(struct rune_collector *c, struct slice pattern, size_t *at, bool fold,
                             struct error *err)
{
    struct slice rest = slice_skip(pattern, *at);
    if (rest.size <= 2 || rest.data[0] != '[' || rest.data[1] != ':')
        return 0;
    size_t end = slice_find(rest, SLICE(":]"), 2);
    if (end == SLICE_NOT_FOUND)
        return 0;
    struct slice name = slice_sub(rest, 2, end - 2);
    bool negated = name.size > 0 && name.data[0] == '^';
    const struct named_class *named =
        class_find(posix_classes, COUNT_OF(posix_classes), slice_skip(name, negated));
    if (named == NULL) {
        regex_syntax_error(err, "invalid character class range", slice_sub(rest, 0, end + 2));
        return -1;
    }
    collect_named(c, named, negated, fold);
    *at += end + 2;
    return 1;
}

static bool parse_class_rune(struct slice pattern, size_t class_start, size_t *at, uint32_t *rune,
                             struct error *err)
{
    if (*at >= pattern.size)
        return regex_syntax_error(err, "missing closing ]", slice_skip(pattern, class_start));
    if (pattern.data[*at] == '\\')
        return regex_parse_escape(pattern, at, rune, err);
    return regex_parse_rune(pattern, at, rune, err);
}

/* A single character or a range such as a-z. */
static bool parse_range(struct rune_collector *c, struct slice pattern, size_t class_start,
                        size_t *at, bool fold, struct error *err)
{
    size_t start = *at;
    uint32_t lo, hi;
    if (!parse_class_rune(pattern, class_start, at, &lo, err))
        return false;
    hi = lo;
    if (*at + 1 < pattern.size && pattern.data[*at] == '-' && pattern.data[*at + 1] != ']') {
        (*at)++;
        if (!parse_class_rune(pattern, class_start, at, &hi, err))
            return false;
        if (hi < lo)
            return regex_syntax_error(err, "invalid character class range",
                                      slice_sub(pattern, start, *at - start));
    }
    if (fold)
        rune_collect_folded(c, lo, hi);
    else
        rune_collect(c, lo, hi);
    return true;
}

struct rune_set *regex_parse_class(struct arena *arena, struct slice pattern, size_t *at, bool fold,
                                   struct error *err)
{
    struct rune_collector c = {.arena = arena};
    size_t start = *at;
    size_t i = start + 1;
    bool negated = i < pattern.size && pattern.data[i] == '^';
    i += negated;
    bool first = true; /* a ] may stand here as itself */
    while (i >= pattern.size || pattern.data[i] != ']' || first) {
        first = false;
        int posix = parse_posix_class(&c, pattern, &i, fold, err);
        if (posix < 0)
            return NULL;
        if (posix > 0)
            continue;
        if (at_property(pattern, i)) {
            if (!parse_property(&c, pattern, &i, fold, err))
                return NULL;
        } else if (!parse_perl_class(&c, pattern, &i, fold)) {
            if (!parse_range(&c, pattern, start, &i, fold, err))
                return NULL;
        }
    }
    if (negated)
        rune_collect_negate(&c);
    struct rune_set *set;
    if (!set_done(&c, &set, err))
        return NULL;
    *at = i + 1;
    return set;
}

static int hex_value(uint32_t rune)
{
    if (rune >= '0' && rune <= '9')
        return (int)rune - '0';
    if (rune >= 'a' && rune <= 'f')
        return (int)rune - 'a' + 10;
    if (rune >= 'A' && rune <= 'F')
        return (int)rune - 'A' + 10;
    return -1;
}

/* The rest of \x41 or \x{41}: 1 good, 0 bad escape, -1 bad UTF-8. */
static int parse_hex(struct slice pattern, size_t *at, uint32_t *rune, struct error *err)
{
    uint32_t c = 0, value = 0;
    if (*at >= pattern.size)
        return 0;
    if (!regex_parse_rune(pattern, at, &c, err))
        return -1;
    if (c != '{') {
        uint32_t low = 0;
        if (*at < pattern.size && !regex_parse_rune(pattern, at, &low, err))
            return -1;
        if (hex_value(c) < 0 || hex_value(low) < 0)
            return 0;
        *rune = (uint32_t)(hex_value(c) * 16 + hex_value(low));
        return 1;
    }
    size_t digits = 0;
    for (;; digits++) {
        if (*at >= pattern.size)
            return 0;
        if (!regex_parse_rune(pattern, at, &c, err))
            return -1;
        if (c == '}')
            break;
        if (hex_value(c) < 0)
            return 0;
        value = value * 16 + (uint32_t)hex_value(c);
        if (value > RUNE_MAX)
            return 0;
    }
    *rune = value;
    return digits > 0;
}

static uint32_t parse_octal(struct slice pattern, size_t *at, uint32_t first)
{
    uint32_t value = first - '0';
    for (int i = 1; i < 3 && *at < pattern.size; i++) {
        char c = pattern.data[*at];
        if (c < '0' || c > '7')
            break;
        value = value * 8 + (uint32_t)(c - '0');
        (*at)++;
    }
    return value;
}

bool regex_parse_escape(struct slice pattern, size_t *at, uint32_t *rune, struct error *err)
{
    static const char letters[] = "afnrtv", controls[] = "\a\f\n\r\t\v";
    size_t start = *at, i = start + 1;
    if (i >= pattern.size)
        return regex_syntax_error(err, "trailing backslash at end of expression", SLICE(""));
    uint32_t c;
    if (!regex_parse_rune(pattern, &i, &c, err))
        return false;
    const char *letter = c > 0 && c < 128 ? strchr(letters, (int)c) : NULL;
    bool octal_follows = i < pattern.size && pattern.data[i] >= '0' && pattern.data[i] <= '7';
    int good = 0;
    if (letter != NULL) {
        *rune = (uint32_t)(unsigned char)controls[letter - letters];
        good = 1;
    } else if (c == '0' || (c >= '1' && c <= '7' && octal_follows)) {
        *rune = parse_octal(pattern, &i, c);
        good = 1;
    } else if (c == 'x') {
        good = parse_hex(pattern, &i, rune, err);
    } else if (c < 128 && (c == '_' || !rune_is_word(c))) {
        *rune = c;
        good = 1;
    }
    if (good < 0)
        return false;
    if (good == 0)
        return regex_syntax_error(err, "invalid escape sequence",
                                  slice_sub(pattern, start, i - start));
    *at = i;
    return true;
}
