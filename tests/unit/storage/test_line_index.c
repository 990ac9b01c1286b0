/*
 * test_line_index.c - the filter over lines loses no match, and the search over blocks finds what
 * line by line is found.
 *
 *     test-storage-line_index [NEEDLES]     100000 in the long form
 */
#include "base/arena.h"
#include "base/buffer.h"
#include "base/error.h"
#include "base/memory.h"
#include "base/predicate.h"
#include "base/regex.h"
#include "base/text_search.h"
#include "storage/line_grams.h"
#include "storage/line_index.h"
#include "storage/line_scan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

enum { LINES = 400, LINE_MAX = 600, TEMPLATES = 8, NEEDLE_MAX = 60 };

static unsigned long needles = 12000;
static uint64_t seed = 20261123;

static uint32_t below(uint32_t limit)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((seed >> 33) * limit >> 31);
}

/* ---- blocks ------------------------------------------------------------------------ */

struct block {
    char text[LINES * LINE_MAX * 4];
    struct slice lines[LINES];
    uint32_t offsets[LINES + 1];
    size_t size;
    struct buffer filter;
};

static size_t put_word(char *out)
{
    static const char *const words[] = {"connection pool",
                                        "Request Handled",
                                        "tasks ",
                                        "\xE2\x84\xAA"
                                        "elvin",
                                        "me\xC5\xBF"
                                        "sage",
                                        "timeout",
                                        "K8s kube",
                                        "Stra\xC3\x9F"
                                        "e",
                                        "\xD0\xBE\xD1\x88\xD0\xB8\xD0\xB1\xD0\xBA\xD0\xB0",
                                        "status=",
                                        "\xFF\xFE",
                                        "\xE2\x84",
                                        "\x84\xAA",
                                        "path=/api/",
                                        "skskskKS",
                                        "deadbeef-",
                                        "ABCDEF",
                                        "\x1b[31m",
                                        "a\nb",
                                        "msg=\"it is\""};
    const char *word = words[below(COUNT_OF(words))];
    size_t size = strlen(word);
    memcpy(out, word, size);
    return size;
}

static size_t make_template(char *out)
{
    size_t size = 0, parts = below(6);
    for (size_t i = 0; i < parts; i++) {
        uint32_t kind = below(10);
        size_t run = kind == 0 ? 32 + below(8) : below(12);
        if (kind < 6)
            size += put_word(out + size);
        else
            for (size_t k = 0; k < run; k++)
                out[size++] = kind == 9   ? (char)below(256)
                              : kind == 8 ? (char)('a' + below(26))
                                          : "0123456789abcdefABCDEF-"[below(23)];
        if (kind == 0)
            for (size_t k = 0; k < 32; k++)
                out[size++] = "0123456789abcdef"[below(16)];
        if (below(2))
            out[size++] = ' ';
    }
    return size;
}

/* Lines repeat a few templates, as logs do, and a few of them have an id of their own. */
static void block_make(struct block *b)
{
    char templates[TEMPLATES][LINE_MAX];
    size_t sizes[TEMPLATES];
    for (size_t i = 0; i < TEMPLATES; i++)
        sizes[i] = make_template(templates[i]);
    b->size = 0;
    for (size_t i = 0; i < LINES; i++) {
        size_t size = 0;
        for (size_t k = below(5); k > 0; k--) {
            size_t t = below(TEMPLATES);
            memcpy(b->text + b->size + size, templates[t], sizes[t]);
            size += sizes[t];
        }
        for (size_t k = below(40) == 0 ? 32 : 0; k > 0; k--)
            b->text[b->size + size++] = "0123456789abcdef"[below(16)];
        b->lines[i] = slice_of(b->text + b->size, size);
        b->offsets[i] = (uint32_t)b->size;
        b->size += size;
    }
    b->offsets[LINES] = (uint32_t)b->size;
    buffer_clear(&b->filter);
    line_index_build(b->lines, LINES, &b->filter);
}

/* ---- needles ------------------------------------------------------------------------- */

/* `text` as a pattern that means just it; U+FFFD does not occur. */
static size_t quote(char *out, const char *text, size_t size, bool any_case)
{
    size_t n = 0;
    for (size_t i = 0; i < size; i++) {
        char c = text[i];
        bool letter = (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
        if (any_case && letter && below(3) == 0)
            c = (char)(c ^ 0x20);
        if ((unsigned char)c < 0x80 && !letter && !(c >= '0' && c <= '9') && c != '\n' &&
            c != '\x1b' && c >= ' ')
            out[n++] = '\\';
        out[n++] = c;
    }
    return n;
}

struct asked {
    struct line_text texts[4];
    struct line_condition conditions[3];
    struct predicate predicate;
    struct regex *regexes[4];
    size_t text_count, regex_count;
    char pattern[4 * NEEDLE_MAX * 4 + 100];
    char bytes[4][NEEDLE_MAX];
};

/* A piece of some line, of every length; now and then one that is nowhere. */
static struct slice pick(const struct block *b, char *copy)
{
    const struct slice *line = &b->lines[below(LINES)];
    size_t size = 1 + below(NEEDLE_MAX - 1);
    if (size > line->size)
        size = line->size;
    size_t at = line->size > size ? below((uint32_t)(line->size - size + 1)) : 0;
    if (size > 0)
        memcpy(copy, line->data + at, size);
    if (size > 3 && below(4) == 0)
        copy[below((uint32_t)size)] = "zQ~"[below(3)];
    return slice_of(copy, size);
}

static bool add_regex(struct asked *q, struct slice *parts, size_t count)
{
    struct error err = {0};
    bool any_case = below(2);
    size_t n = 0;
    if (any_case) {
        memcpy(q->pattern, "(?i)", 4);
        n = 4;
    }
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            q->pattern[n++] = '|';
        n += quote(q->pattern + n, parts[i].data, parts[i].size, any_case);
        if (below(3) == 0 && parts[i].size > 0) {
            memcpy(q->pattern + n, "[a-z ]*", 7);
            n += 7;
        }
    }
    struct regex *regex = regex_new(slice_of(q->pattern, n), 0, &err);
    if (regex == NULL)
        return false; /* a part of a code point: no pattern */
    q->regexes[q->regex_count++] = regex;
    q->texts[q->text_count++] = (struct line_text){{NULL, 0}, regex};
    return true;
}

static void ask_make(struct asked *q, const struct block *b)
{
    *q = (struct asked){0};
    size_t conditions = 1 + (below(4) == 0);
    for (size_t c = 0; c < conditions; c++) {
        struct slice parts[2];
        size_t first = q->text_count, count = 1 + (below(3) == 0);
        for (size_t i = 0; i < count; i++)
            parts[i] = pick(b, q->bytes[c * 2 + i]);
        if (below(2) || !add_regex(q, parts, count))
            for (size_t i = 0; i < count; i++)
                q->texts[q->text_count++] = (struct line_text){parts[i], NULL};
        q->conditions[c] =
            (struct line_condition){c > 0 && below(2), q->texts + first, q->text_count - first};
    }
    q->predicate = (struct predicate){q->conditions, conditions};
}

static bool holds(const struct asked *q, struct slice line)
{
    struct error err = {0};
    for (size_t c = 0; c < q->predicate.count; c++) {
        const struct line_condition *condition = &q->conditions[c];
        bool any = false;
        for (size_t i = 0; i < condition->count; i++) {
            const struct line_text *text = &condition->texts[i];
            any |= text->regex ? regex_match(text->regex, line, &err) == 1
                               : slice_find(line, text->literal, 0) != SLICE_NOT_FOUND;
        }
        if (any == condition->negated)
            return false;
    }
    return true;
}

static uint64_t skipped, asked_count;

static void check(const struct asked *q, const struct block *b)
{
    struct error err = {0};
    struct line_index_query query;
    uint64_t kept[LINES / 64 + 1];
    bool any = false;
    line_index_query_make(&q->predicate, &query);
    struct line_scan *scan = line_scan_new(&q->predicate);
    assert_true(line_scan_block(scan, slice_of(b->text, b->size), b->offsets, LINES, kept, &err));
    for (size_t i = 0; i < LINES; i++) {
        bool wanted = holds(q, b->lines[i]);
        any |= wanted;
        assert_int_equal(kept[i / 64] >> i % 64 & 1, wanted);
        assert_int_equal(line_scan_line(scan, b->lines[i], &err), wanted);
    }
    bool may = line_index_may_hold(buffer_slice(&b->filter), &query);
    assert_true(may || !any);
    skipped += !may;
    asked_count++;
    line_scan_free(scan);
    line_index_query_done(&query);
}

static void no_needle_is_lost(void **state)
{
    (void)state;
    struct block *b = xcalloc(1, sizeof(*b));
    struct asked *q = xcalloc(1, sizeof(*q));
    buffer_init(&b->filter, 1 << 20);
    for (unsigned long i = 0; i < needles; i++) {
        if (i % 400 == 0)
            block_make(b);
        ask_make(q, b);
        check(q, b);
        for (size_t k = 0; k < q->regex_count; k++)
            regex_free(q->regexes[k]);
    }
    assert_true(needles < 1000 || skipped * 20 > asked_count);
    print_message("%ju of %ju questions skipped the block\n", (uintmax_t)skipped,
                  (uintmax_t)asked_count);
    buffer_done(&b->filter);
    free(b);
    free(q);
}

/* ---- the filter ------------------------------------------------------------------------ */

static bool filter_holds(struct slice filter, const char *literal)
{
    struct line_text text = {slice_from_text(literal), NULL};
    struct line_condition condition = {false, &text, 1};
    struct predicate predicate = {&condition, 1};
    struct line_index_query query;
    line_index_query_make(&predicate, &query);
    bool may = line_index_may_hold(filter, &query);
    line_index_query_done(&query);
    return may;
}

static struct slice plain_lines(struct slice *lines, char *text, size_t count)
{
    size_t size = 0;
    for (size_t i = 0; i < count; i++) {
        int n = snprintf(
            text + size, 200, "level=info msg=\"request handled\" trace=%016jx%016jx took=%zums",
            (uintmax_t)(i * 0x9e3779b97f4a7c15u), (uintmax_t)(i * 0xbf58476d1ce4e5b9u), i);
        lines[i] = slice_of(text + size, (size_t)n);
        size += (size_t)n;
    }
    return slice_of(text, size);
}

static void it_proves_that_texts_are_absent(void **state)
{
    (void)state;
    struct buffer filter;
    struct slice lines[200];
    char *text = xmalloc(200 * 200);
    struct slice all = plain_lines(lines, text, 200);
    buffer_init(&filter, 1 << 20);
    line_index_build(lines, 200, &filter);
    assert_true(filter.size > 0 && filter.size < all.size / 20);
    struct slice bytes = buffer_slice(&filter);
    assert_true(filter_holds(bytes, "request handled"));
    assert_true(filter_holds(bytes, "EST HAND")); /* folded: any case may hold */
    assert_false(filter_holds(bytes, "connection refused"));
    assert_false(filter_holds(bytes, "zq-never-there-91"));
    assert_false(filter_holds(bytes, "ffffffffffffffff0000000000000000"));
    assert_true(filter_holds(bytes, "needle")); /* six bytes: too short to tell */
    assert_false(filter_holds(bytes, "needle-"));
    assert_true(filter_holds(bytes, "12345678")); /* digits alone tell nothing */
    struct slice id = slice_sub(lines[7], slice_find(lines[7], SLICE("trace="), 0) + 6, 32);
    char name[33] = {0};
    memcpy(name, id.data, 32);
    assert_true(filter_holds(bytes, name));
    buffer_done(&filter);
    free(text);
}

static void damage_makes_it_hold_everything(void **state)
{
    (void)state;
    struct buffer filter;
    struct slice lines[200];
    char *text = xmalloc(200 * 200);
    plain_lines(lines, text, 200);
    buffer_init(&filter, 1 << 20);
    line_index_build(lines, 200, &filter);
    for (size_t at = 0; at < filter.size; at++) {
        for (int bit = 0; bit < 8; bit++) {
            filter.data[at] = (char)(filter.data[at] ^ 1 << bit);
            assert_true(filter_holds(buffer_slice(&filter), "request handled"));
            assert_true(filter_holds(buffer_slice(&filter), "level=info msg="));
            filter.data[at] = (char)(filter.data[at] ^ 1 << bit);
        }
    }
    assert_true(filter_holds(slice_sub(buffer_slice(&filter), 0, filter.size - 1), "absent text"));
    assert_true(filter_holds(SLICE(""), "absent text"));
    buffer_done(&filter);
    free(text);
}

static void little_and_random_text_gets_none(void **state)
{
    (void)state;
    struct buffer filter;
    char *text = xmalloc(100000);
    buffer_init(&filter, 1 << 20);
    struct slice line = SLICE("a short line");
    line_index_build(&line, 1, &filter);
    assert_int_equal(filter.size, 0);
    for (size_t i = 0; i < 100000; i++)
        text[i] = (char)('g' + below(18) - (below(2) ? 0 : 32));
    line = slice_of(text, 100000);
    line_index_build(&line, 1, &filter);
    assert_int_equal(filter.size, 0);
    buffer_done(&filter);
    free(text);
}

static void both_ways_make_the_same_filter(void **state)
{
    (void)state;
    struct block *b = xcalloc(1, sizeof(*b));
    struct buffer other;
    buffer_init(&b->filter, 1 << 20);
    buffer_init(&other, 1 << 20);
    for (int round = 0; round < 60; round++) {
        block_make(b);
        line_grams_plain(true);
        buffer_clear(&other);
        line_index_build(b->lines, LINES, &other);
        line_grams_plain(false);
        assert_true(slice_equal(buffer_slice(&other), buffer_slice(&b->filter)));
    }
    buffer_done(&b->filter);
    buffer_done(&other);
    free(b);
}

static void both_searches_find_the_same(void **state)
{
    (void)state;
    struct block *b = xcalloc(1, sizeof(*b));
    buffer_init(&b->filter, 1 << 20);
    block_make(b);
    struct slice text = slice_of(b->text, b->size);
    for (int round = 0; round < 3000; round++) {
        char copy[NEEDLE_MAX];
        struct slice word = pick(b, copy);
        bool fold = below(2);
        for (size_t i = 0; fold && i < word.size; i++)
            copy[i] = (char)(copy[i] >= 'A' && copy[i] <= 'Z' ? copy[i] | 0x20 : copy[i] & 0x7f);
        for (size_t i = 0; fold && i < word.size; i++)
            copy[i] = (char)(copy[i] >= 'A' && copy[i] <= 'Z' ? copy[i] | 0x20 : copy[i]);
        struct needle needle = needle_of(word, fold);
        for (size_t at = below(200);;) {
            size_t hit = needle_find(&needle, text, at);
            assert_int_equal(hit, needle_find_plain(&needle, text, at));
            if (!fold)
                assert_int_equal(hit, slice_find(text, word, at));
            if (hit == SLICE_NOT_FOUND || below(5) == 0)
                break;
            at = hit + 1;
        }
    }
    buffer_done(&b->filter);
    free(b);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_needle_is_lost),
        cmocka_unit_test(it_proves_that_texts_are_absent),
        cmocka_unit_test(damage_makes_it_hold_everything),
        cmocka_unit_test(little_and_random_text_gets_none),
        cmocka_unit_test(both_ways_make_the_same_filter),
        cmocka_unit_test(both_searches_find_the_same),
    };
    if (argc > 1)
        needles = strtoul(argv[1], NULL, 10);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
