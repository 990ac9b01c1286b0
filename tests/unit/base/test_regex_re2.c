/*
 * Regular expressions against Debian's libre2: the same patterns are accepted,
 * and each of our ways to match (PCRE2, the program, the automaton) finds what
 * RE2 finds, groups included.
 *
 * Pairs come from a hand-written list and from a generator with a fixed seed.
 * RE2 never matches an invalid byte where Go reads U+FFFD; it is asked about
 * the text with U+FFFD written out, and its offsets are mapped back.
 */
#include "base/arena.h"
#include "base/array.h"
#include "base/buffer.h"
#include "base/error.h"
#include "base/regex.h"
#include "base/regex_program.h"
#include "base/regex_unicode.h"
#include "base/utf8.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

void *re2_new(const char *pattern, size_t size, int dot_newline, int ignore_case);
void re2_free(void *re);
int re2_group_count(void *re);
int re2_find(void *re, const char *text, size_t size, size_t from, int anchored, size_t *spans,
             int span_count);

enum { SPANS_MAX = 16, GENERATED_PATTERNS = 6000, SUBJECTS_PER_PATTERN = 4 };

static size_t pairs_compared, patterns_refused, pairs_matching;

static size_t complaints;

/* Say what differs and go on: one run shows all differences. */
static void PRINTF_LIKE(1, 2) complain(const char *format, ...)
{
    enum { SHOWN_MAX = 40 };
    if (complaints++ >= SHOWN_MAX)
        return;
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
}

/* ---- one pattern, one text ---- */

struct both {
    struct regex *ours;
    void *theirs;
    struct arena *arena;
    struct program *program;
    struct automaton *automaton; /* NULL when the program needs to look ahead */
    struct slice pattern;
    bool anchored;
    size_t spans;
};

static const char *show(struct slice s)
{
    static char shown[4][4096];
    static int turn;
    char *out = shown[turn++ % 4];
    size_t used = 0;
    for (size_t i = 0; i < s.size && used + 8 < sizeof(shown[0]); i++) {
        unsigned char c = (unsigned char)s.data[i];
        used += (size_t)snprintf(out + used, 8, c < 32 || c > 126 ? "\\x%02x" : "%c", c);
    }
    out[used] = '\0';
    return out;
}

/* `text` with U+FFFD for each invalid byte; origin[i] is where byte i came from. */
static void make_valid(struct slice text, struct buffer *valid, size_t *origin)
{
    size_t at = 0;
    while (at < text.size) {
        char bytes[UTF8_SIZE_MAX];
        size_t start = at;
        size_t size = utf8_encode(bytes, utf8_next(text, &at, NULL));
        for (size_t i = 0; i < size; i++)
            origin[valid->size + i] = start;
        buffer_append(valid, bytes, size);
    }
    origin[valid->size] = text.size;
}

static void check_spans(const struct both *b, const char *way, struct slice text, int hit,
                        const struct regex_span *spans, int their_hit, const size_t *theirs)
{
    if (hit != their_hit)
        complain("pattern `%s` text `%s` (%s%s): we say %d, RE2 says %d", show(b->pattern),
                 show(text), way, b->anchored ? ", anchored" : "", hit, their_hit);
    for (size_t i = 0; hit == 1 && i < b->spans; i++)
        if (spans[i].start != theirs[2 * i] || spans[i].end != theirs[2 * i + 1])
            complain("pattern `%s` text `%s` (%s) group %zu: we say %zd..%zd, RE2 says %zd..%zd",
                     show(b->pattern), show(text), way, i, (ssize_t)spans[i].start,
                     (ssize_t)spans[i].end, (ssize_t)theirs[2 * i], (ssize_t)theirs[2 * i + 1]);
}

static bool is_ascii(struct slice text)
{
    for (size_t i = 0; i < text.size; i++)
        if ((unsigned char)text.data[i] > 127)
            return false;
    return true;
}

static void check_text(const struct both *b, struct slice text)
{
    /* RE2 sees a \B between the bytes of one character; Go does not, and neither do we. */
    if (slice_find(b->pattern, SLICE("\\B"), 0) != SLICE_NOT_FOUND && !is_ascii(text))
        return;
    struct buffer valid;
    buffer_init(&valid, 1 << 20);
    size_t *origin = xcalloc(3 * text.size + 1, sizeof(size_t));
    make_valid(text, &valid, origin);
    size_t theirs[2 * SPANS_MAX];
    int their_hit = re2_find(b->theirs, valid.data ? valid.data : "", valid.size, 0, b->anchored,
                             theirs, (int)b->spans);
    for (size_t i = 0; their_hit && i < 2 * b->spans; i++)
        if (theirs[i] != SIZE_MAX)
            theirs[i] = origin[theirs[i]];

    struct error err = {0};
    struct regex_span spans[SPANS_MAX];
    int hit = regex_find(b->ours, text, 0, spans, b->spans, &err);
    check_spans(b, "find", text, hit, spans, their_hit, theirs);
    hit = program_find(b->program, text, 0, spans, b->spans);
    check_spans(b, "program", text, hit, spans, their_hit, theirs);
    if (regex_match(b->ours, text, &err) != their_hit)
        complain("pattern `%s` text `%s` (match%s): RE2 says %d", show(b->pattern), show(text),
                 b->anchored ? ", anchored" : "", their_hit);
    if (b->automaton && text.size > 0 && automaton_match(b->automaton, text) != their_hit)
        complain("pattern `%s` text `%s` (automaton%s): RE2 says %d", show(b->pattern), show(text),
                 b->anchored ? ", anchored" : "", their_hit);
    struct slice required = regex_required(b->ours);
    if (their_hit && slice_find(text, required, 0) == SLICE_NOT_FOUND)
        complain("pattern `%s` text `%s`: matches without `%s`", show(b->pattern), show(text),
                 show(required));
    if (their_hit && !slice_starts_with(text, regex_prefix(b->ours)))
        complain("pattern `%s` text `%s`: wrong prefix", show(b->pattern), show(text));
    if (text.size == 0 && regex_matches_empty(b->ours) != their_hit)
        complain("pattern `%s`: wrong about the empty text", show(b->pattern));
    pairs_compared++;
    pairs_matching += (size_t)their_hit;
    free(origin);
    buffer_done(&valid);
}

/* Compile on both sides; false when both refuse. */
static bool both_new(struct both *b, struct slice pattern, unsigned flags)
{
    struct error err = {0};
    *b = (struct both){.pattern = pattern, .anchored = flags & REGEX_ANCHORED};
    b->ours = regex_new(pattern, flags, &err);
    b->theirs = re2_new(pattern.data ? pattern.data : "", pattern.size,
                        (flags & REGEX_DOT_NEWLINE) != 0, (flags & REGEX_IGNORE_CASE) != 0);
    if ((b->ours == NULL) != (b->theirs == NULL)) {
        complain("pattern `%s`: we %s it, RE2 does not agree (%s)", show(pattern),
                 b->ours ? "accept" : "refuse", err.message);
        regex_free(b->ours);
        re2_free(b->theirs);
        return false;
    }
    if (b->ours == NULL) {
        patterns_refused++;
        return false;
    }
    assert_int_equal(regex_group_count(b->ours), re2_group_count(b->theirs));
    b->spans = regex_group_count(b->ours) + 1;
    if (b->spans > SPANS_MAX)
        b->spans = SPANS_MAX;
    struct tree tree;
    b->arena = arena_new(1 << 26);
    assert_true(regex_parse(b->arena, pattern, flags, &tree, &err));
    b->program = program_new(&tree, b->anchored, &err);
    assert_non_null(b->program);
    if (b->program->kind_count > 0)
        b->automaton = automaton_new(b->program);
    return true;
}

static void both_free(struct both *b)
{
    regex_free(b->ours);
    re2_free(b->theirs);
    automaton_free(b->automaton);
    program_free(b->program);
    arena_free(b->arena);
}

static const unsigned flag_sets[] = {0, REGEX_ANCHORED, REGEX_ANCHORED | REGEX_DOT_NEWLINE,
                                     REGEX_IGNORE_CASE};

/* ---- the hand-written list ---- */

/* clang-format off */
static const char *const patterns[] = {
    "", "a", "abc", "a|b", "a|", "|a", "|", "(a|b)*", "a*", "a+", "a?", "a*?", "a+?", "a??",
    "a{2}", "a{2,}", "a{2,3}", "a{0}", "a{0,1}", "a{,2}", "a{", "a{1", "a{1,", "a{x}", "{", "}",
    ".", ".*", ".+", "(?s).", "(?s).*", "(?s:.)b", "^", "$", "^$", "^a", "a$", "^a$", "(?m)^",
    "(?m)$", "(?m)^a$", "(?m)^b", "(?m)a$", "(?-m)^b", "\\Aa", "a\\z", "\\A\\z", "\\ba", "a\\b",
    "\\b", "\\B", "\\Ba", "\\bk\\b", "[abc]", "[^abc]", "[a-c]+", "[^a-c]+", "[]a]", "[^]a]",
    "[a-]", "[-a]", "[a\\]]", "[\\d]+", "[\\D]+", "[^\\d]+", "[\\s\\S]", "[^\\s\\S]", "[\\w-]+",
    "\\d+", "\\D+", "\\s+", "\\S+", "\\w+", "\\W+", "[[:alpha:]]+", "[[:^alpha:]]+",
    "[^[:alpha:]]+", "[[:digit:][:space:]]+", "[[:word:]]", "[[:punct:]]", "\\pL+", "\\PL+",
    "\\p{Lu}+", "\\p{^Lu}+", "\\P{^Lu}", "\\p{Greek}+", "[\\p{Greek}a]+", "[^\\p{Greek}]+",
    "\\pN", "\\pZ", "\\pC", "\\PC+", "\\p{Any}", "\\p{Latin}+", "\\p{Cyrillic}", "\\p{Han}+",
    "(?i)abc", "(?i)K", "(?i)k+", "(?i)s", "(?i)[k]", "(?i)[^k]", "(?i)[a-z]+", "(?i)\\p{Lu}+",
    "(?i)\\P{Lu}+", "(?i)[[:upper:]]+", "(?i)\xc3\xa9", "(?i)stra\xc3\x9f!", "(?i)\xcf\x83",
    "(?i)\xce\xa3+", "(?i)[\xce\xb1-\xcf\x89]+", "(?i:a)b", "a(?i)b", "(a(?i)b)c", "(?i)a(?-i)b",
    "(?i)(?-i:a)b", "a(?i)b|c", "(?i)a|(?-i)b", "(?U)a*", "(?U)a*?", "(?U)a+b", "(?sU)a.*b",
    "(?is)A.B", "(?im)^A$", "(a)(b)(c)", "((a)b)c", "(a)|(b)", "(a)|b", "(?:a)(b)", "(?P<x>a)",
    "(?P<x>a)(?P<y_1>b)", "(a*)*", "(a*)+", "(a*)?", "(a+)*", "(a|b*)*", "(|a)*", "(|a)+",
    "(a|)+", "(a?)*", "(a?)+b", "(a?\?)*", "(a*?)*", "(a*){2,3}", "(a|b)*?c", "(?:a*)*b",
    "(a+)+$", "(a|a)*b", "(.*)*x", "(.*)(.*)", "(.*?)(.*)", "(.+)(.+)", "(a+)(b*)(.*)", "(^a)*b",
    "(\\ba)*", "(?:^)*a", "(?:$)*", "(a$)*", "(^)*", "(a|ab)(c|bcd)(d*)", "(a+)(ab)?", "(?:)*",
    "(?:)", "()", "()*", "(())", "(()|a)+", "x*", "(x*)y", "a.c", "a.*c", "a\\.c", "\\Qa.c\\E",
    "\\Qa.c", "\\Q\\E", "\\Qab\\E*", "\\Q\\\\E", "\\x61", "\\x{61}", "\\x{3b1}", "\\x{10ffff}",
    "\\101", "\\0", "\\07", "\\n", "\\t", "\\r", "\\a\\f\\v", "\\_", "\\-", "\\/", "\\\"",
    "[\\x61-\\x63]", "[\\n]", "[^\\n]", "[\\101]", "foo|bar|baz", "foo.*", ".*foo", ".*foo.*",
    "foo.+", ".+foo", ".+foo.+", "(foo|bar).*", "foo(bar|baz)?", "(?i)foo.*", "(?i).*foo",
    "(?i).*foo.*", "(?i)foo|bar", "f[ao]o", "^foo", "foo$", "^foo$", "^.*foo", "foo.*$", "^foo.*",
    "^.+$", ".+.+", ".*.*", ".*a.*b.*", "(?s).*foo", "(?s)foo.*", "(?s).+foo.*", "\xef\xbf\xbd",
    "\xef\xbf\xbd+", "a\xef\xbf\xbd", "[^a]", "[\xef\xbf\xbd]", "\xce\xb1", "[\xce\xb1]",
    "[^\xce\xb1]+", "\xf0\x9f\x98\x80+", "a{3}{2}", "a**", "a*+", "a++", "a?*", "*", "+", "?",
    "(*", "a|*", "(|*)", "(", ")", "(a", "a)", "(?", "(?i", "(?z)", "(?i-)", "(?-)", "(?--i)",
    "(?:", "(?P", "(?P<", "(?P<>a)", "(?P<x y>a)", "(?P=x)", "(?=a)", "(?!a)", "(?<=a)", "(?<!a)",
    "(?>a)", "(?#a)", "(?|a)", "a++b", "[", "[a", "[]", "[^", "[^]", "[z-a]", "[a-\\d]",
    "[[:foo:]]", "[[:alpha]", "[[.a.]]", "\\", "a\\", "\\1", "\\8", "\\K", "\\R", "\\X", "\\Z",
    "\\G", "\\h", "\\N", "\\e", "\\cA", "\\y", "\\x", "\\x{", "\\x{}", "\\x{g}", "\\x{110000}",
    "\\xg0", "\\p", "\\p{", "\\p{Foo}", "\\pX", "\\P{}", "a{1001}", "a{1000}", "a{2,1}",
    "(a{10}){100}", "(a{10}){101}", "(a{30}){30,}", "((a{10}){10}){10}", "((a{10}){10}){11}",
    "(a*){1000}", "(?i)(?i)a", "(?i)*", "a(?i)*", "(?:a|b)|c|(?:d|e)", "(a)(?:b)(c)|d", "a\xff",
    "[\xff]", "(?i)\xff", "\\\xff", "[a-\xff]", "\xc3", "(?P<\xff>a)", "\\p{\xff}",
};
/* clang-format on */

/* clang-format off */
static const char *const texts[] = {
    "", "a", "b", "c", "ab", "abc", "aa", "aaa", "aaaa", "ba", "bab", "abcd", "abab", "xaby",
    "a\n", "\na", "a\nb", "\n", "\n\n", "a\nb\n", "b\na\nb", "foo", "bar", "foobar", "xfoo",
    "foox", "xfooy", "foo\n", "\nfoo", "x\nfoo\ny", "FOO", "fOo", "xFoO\n", "K", "k",
    "\xe2\x84\xaa", "s", "S", "\xc5\xbf", "\xc3\xa9", "\xc3\x89", "stra\xc3\x9f!",
    "STRA\xe1\xba\x9e!", "\xcf\x83", "\xcf\x82", "\xce\xa3", "\xce\xb1\xce\xb2", "\xce\x91",
    "\xf0\x9f\x98\x80", "\xff", "a\xff", "\xffz", "\xff\xfe", "\xc3", "\xe2\x82", "\xed\xa0\x80",
    "\xf4\x90\x80\x80", "\xef\xbf\xbd", "a\xef\xbf\xbd", "a.c", "axc", "a-b", "a]b", "a\\b", "1",
    "12", "a1", " ", "\t ", "_", "-", "{", "a{", "a{,2}", "a{x}", "\x07\x0c\x0b", "\x01", "\x7f",
    "k s", "ak", "k.", "\xe2\x84\xaa!", "\xc2\xa0", "\xe6\xbc\xa2\xe5\xad\x97", "\xd0\x96", "Ab",
    "aB", "AB", "A\nB", "xyz", "aaab", "aab", "abbb", "acd", "abcdd", "aaaaaaaaaaaaaaaaaaaaaaaa!",
};
/* clang-format on */

static void hand_written_patterns_match_as_in_re2(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(patterns); i++) {
        for (size_t f = 0; f < COUNT_OF(flag_sets); f++) {
            struct both b;
            if (!both_new(&b, slice_from_text(patterns[i]), flag_sets[f]))
                continue;
            for (size_t t = 0; t < COUNT_OF(texts); t++)
                check_text(&b, slice_from_text(texts[t]));
            both_free(&b);
        }
    }
    print_message("%zu pairs, %zu match, %zu patterns refused by both\n", pairs_compared,
                  pairs_matching, patterns_refused);
    assert_int_equal(complaints, 0);
    assert_true(pairs_compared > 5000);
}

/* ---- generated pairs ---- */

static uint64_t seed = 20250101;

static uint32_t dice(uint32_t sides)
{
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(seed >> 33) % sides;
}

/* clang-format off */
static const char *const atoms[] = {
    "a", "b", "c", "ab", "k", "S", ".", "\\n", "\\d", "\\w", "\\s", "\\W", "[ab]", "[^a]",
    "[a-c]", "[^\\n]", "\\b", "\\B", "^", "$", "\\pL", "\\PL", "[[:upper:]]", "\xc3\xa9",
    "\xce\xb1", "\\x{212a}", "\xef\xbf\xbd", "\\A", "\\z", "\\Qa+\\E", "[\xce\xb1-\xcf\x89]", "1",
    "-",
};
/* clang-format on */
static const char *const operators[] = {"*",     "+",    "?",      "*?",  "+?",   "??", "{2}",
                                        "{0,2}", "{1,}", "{2,3}?", "{0}", "{,3}", "**"};
static const char *const openers[] = {
    "(", "(", "(?:", "(?i:", "(?s:", "(?m:", "(?U:", "(?-i:", "(?i-s:", "(?P<n>"};

static void generate(struct buffer *out, int depth)
{
    uint32_t parts = 1 + dice(3);
    for (uint32_t i = 0; i < parts; i++) {
        if (i > 0 && dice(4) == 0)
            buffer_append_byte(out, '|');
        if (depth > 0 && dice(3) == 0) {
            /* Two groups of one name are an error in RE2 only. */
            const char *opener = openers[dice(COUNT_OF(openers))];
            if (slice_starts_with(slice_from_text(opener), SLICE("(?P")) &&
                slice_find(buffer_slice(out), SLICE("(?P"), 0) != SLICE_NOT_FOUND)
                opener = "(";
            buffer_append_text(out, opener);
            if (dice(8) != 0)
                generate(out, depth - 1);
            buffer_append_byte(out, ')');
        } else {
            buffer_append_text(out, atoms[dice(COUNT_OF(atoms))]);
        }
        if (dice(3) == 0)
            buffer_append_text(out, operators[dice(COUNT_OF(operators) - (dice(20) != 0))]);
    }
    if (dice(40) == 0)
        buffer_append_text(out, "|");
}

static void generate_text(struct buffer *out)
{
    static const char *const pieces[] = {
        "a",
        "b",
        "c",
        "k",
        "K",
        "s",
        "S",
        "A",
        "\n",
        "1",
        "-",
        " ",
        "\xc3\xa9",
        "\xc3\x89",
        "\xce\xb1",
        "\xce\x91",
        "\xe2\x84\xaa",
        "\xc5\xbf",
        "\xff",
        "\xe2\x84",
        "\xef\xbf\xbd",
        "a+",
        "\xf0\x9f\x98\x80",
        "ab",
    };
    uint32_t count = dice(9);
    for (uint32_t i = 0; i < count; i++)
        buffer_append_text(out, pieces[dice(dice(2) ? 3 : COUNT_OF(pieces))]);
}

static void generated_patterns_match_as_in_re2(void **state)
{
    (void)state;
    struct buffer pattern, text;
    buffer_init(&pattern, 1 << 16);
    buffer_init(&text, 1 << 16);
    pairs_compared = pairs_matching = patterns_refused = 0;
    for (int i = 0; i < GENERATED_PATTERNS; i++) {
        buffer_clear(&pattern);
        generate(&pattern, 3);
        struct both b;
        if (!both_new(&b, buffer_slice(&pattern), flag_sets[dice(COUNT_OF(flag_sets))]))
            continue;
        for (int k = 0; k < SUBJECTS_PER_PATTERN; k++) {
            buffer_clear(&text);
            generate_text(&text);
            check_text(&b, buffer_slice(&text));
        }
        both_free(&b);
    }
    print_message("%zu pairs, %zu match, %zu patterns refused by both\n", pairs_compared,
                  pairs_matching, patterns_refused);
    assert_int_equal(complaints, 0);
    assert_true(pairs_compared > 10000);
    buffer_done(&pattern);
    buffer_done(&text);
}

/* ---- Unicode ---- */

struct edges ARRAY_BODY(uint32_t);

static void collect_edges(void *context, uint32_t lo, uint32_t hi)
{
    struct edges *edges = context;
    if (lo > 0)
        array_push(edges, lo - 1);
    array_push(edges, lo);
    array_push(edges, hi);
    array_push(edges, hi + 1);
}

static int their_match(void *re, uint32_t rune)
{
    char bytes[UTF8_SIZE_MAX];
    size_t spans[2];
    return re2_find(re, bytes, utf8_encode(bytes, rune), 0, 1, spans, 1);
}

static bool is_character(uint32_t rune)
{
    return rune <= RUNE_MAX && (rune < 0xD800 || rune > 0xDFFF);
}

struct assigned {
    uint32_t rune;
    bool found;
};

static void visit_assigned(void *context, uint32_t lo, uint32_t hi)
{
    struct assigned *a = context;
    a->found |= a->rune >= lo && a->rune <= hi;
}

/* RE2's Unicode may be newer: what our version does not know yet is not compared. */
static bool is_assigned(uint32_t rune)
{
    struct assigned a = {rune, false};
    for (size_t i = 0; i < unicode_table_count; i++)
        if (strlen(unicode_tables[i].name) == 2)
            unicode_property(slice_from_text(unicode_tables[i].name), visit_assigned, &a);
    return a.found;
}

static void check_property(const char *name)
{
    char pattern[100];
    struct edges edges = {0};
    struct error err = {0};
    int size = snprintf(pattern, sizeof(pattern), "\\p{%s}", name);
    void *theirs = re2_new(pattern, (size_t)size, 0, 0);
    if (theirs == NULL) {
        complain("RE2 does not know %s", pattern);
        return;
    }
    struct regex *ours = regex_new(slice_of(pattern, (size_t)size), REGEX_ANCHORED, &err);
    assert_non_null(ours);
    assert_true(unicode_property(slice_from_text(name), collect_edges, &edges));
    for (size_t i = 0; i < edges.count; i++) {
        char bytes[UTF8_SIZE_MAX];
        if (!is_character(edges.items[i]))
            continue;
        struct slice text = slice_of(bytes, utf8_encode(bytes, edges.items[i]));
        if (regex_match(ours, text, &err) != their_match(theirs, edges.items[i]) &&
            is_assigned(edges.items[i]))
            complain("%s and U+%04X: RE2 disagrees", pattern, edges.items[i]);
    }
    array_done(&edges);
    regex_free(ours);
    re2_free(theirs);
}

static void categories_and_scripts_are_those_of_re2(void **state)
{
    (void)state;
    complaints = 0;
    for (size_t i = 0; i < unicode_table_count; i++)
        check_property(unicode_tables[i].name);
    static const char *const groups[] = {"L", "M", "N", "P", "S", "Z", "C", "Any"};
    for (size_t i = 0; i < COUNT_OF(groups); i++)
        check_property(groups[i]);
    assert_int_equal(complaints, 0);
}

static void case_folding_is_that_of_re2(void **state)
{
    (void)state;
    size_t folding = 0;
    complaints = 0;
    for (uint32_t rune = 0; rune <= RUNE_MAX; rune++) {
        uint32_t next = unicode_fold_next(rune);
        if (next == rune)
            continue;
        char pattern[20];
        int size = snprintf(pattern, sizeof(pattern), "\\x{%x}", rune);
        void *theirs = re2_new(pattern, (size_t)size, 0, 1);
        assert_non_null(theirs);
        for (int step = 0; step < 4; step++, next = unicode_fold_next(next))
            if (!their_match(theirs, next))
                complain("U+%04X and U+%04X fold alike only for us", rune, next);
        re2_free(theirs);
        folding++;
    }
    print_message("%zu code points fold\n", folding);
    assert_int_equal(complaints, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hand_written_patterns_match_as_in_re2),
        cmocka_unit_test(generated_patterns_match_as_in_re2),
        cmocka_unit_test(categories_and_scripts_are_those_of_re2),
        cmocka_unit_test(case_folding_is_that_of_re2),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
