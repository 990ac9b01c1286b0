/* Regular expressions: error texts, whole-text matching, groups, shortcuts, limits, threads. */
#include "base/buffer.h"
#include "base/error.h"
#include "base/memory.h"
#include "base/regex.h"
#include "base/regex_tree.h"
#include "base/regex_unicode.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

enum { WHOLE = REGEX_ANCHORED | REGEX_DOT_NEWLINE };

static struct regex *compile(const char *pattern, unsigned flags)
{
    struct error err = {0};
    struct regex *regex = regex_new(slice_from_text(pattern), flags, &err);
    if (regex == NULL)
        fail_msg("%s: %s", pattern, err.message);
    return regex;
}

static int matches(const char *pattern, unsigned flags, struct slice text)
{
    struct error err = {0};
    struct regex *regex = compile(pattern, flags);
    int hit = regex_match(regex, text, &err);
    regex_free(regex);
    return hit;
}

static void anchored_patterns_match_the_whole_text(void **state)
{
    (void)state;
    assert_int_equal(matches("foo", WHOLE, SLICE("foo")), 1);
    assert_int_equal(matches("foo", WHOLE, SLICE("foobar")), 0);
    assert_int_equal(matches("foo|bar", WHOLE, SLICE("bar")), 1);
    assert_int_equal(matches("foo|bar", WHOLE, SLICE("foob")), 0);
    assert_int_equal(matches("foo.*", WHOLE, SLICE("foo\nbar")), 1);
    assert_int_equal(matches(".*bar", WHOLE, SLICE("foo\nbar")), 1);
    assert_int_equal(matches(".+", WHOLE, SLICE("")), 0);
    assert_int_equal(matches(".+.+", WHOLE, SLICE("ab")), 1);
    assert_int_equal(matches(".+.+", WHOLE, SLICE("a")), 0);
    assert_int_equal(matches("a$", WHOLE, SLICE("a\n")), 0);
    assert_int_equal(matches("(?i)FOO", WHOLE, SLICE("fOo")), 1);
    assert_int_equal(matches("[0-9]+x?", WHOLE, SLICE("123x")), 1);
    assert_int_equal(matches("", WHOLE, slice_of(NULL, 0)), 1);
    assert_int_equal(matches("a?", WHOLE, slice_of(NULL, 0)), 1);
}

static void syntax_errors_are_worded_as_in_go(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"(", "missing closing ): `(`"},
        {"a(b", "missing closing ): `a(b`"},
        {"a)", "unexpected ): `a)`"},
        {"[a", "missing closing ]: `[a`"},
        {"x[", "missing closing ]: `[`"},
        {"[z-a]", "invalid character class range: `z-a`"},
        {"[a-\\d]", "invalid escape sequence: `\\d`"},
        {"[[:foo:]]", "invalid character class range: `[:foo:]`"},
        {"\\pX", "invalid character class range: `\\pX`"},
        {"\\p{Foo}x", "invalid character class range: `\\p{Foo}`"},
        {"\\p{", "invalid character class range: `\\p{`"},
        {"\\", "trailing backslash at end of expression: ``"},
        {"\\q", "invalid escape sequence: `\\q`"},
        {"\\1", "invalid escape sequence: `\\1`"},
        {"\\C", "invalid escape sequence: `\\C`"},
        {"\\K", "invalid escape sequence: `\\K`"},
        {"\\x{110000}", "invalid escape sequence: `\\x{110000`"},
        {"*", "missing argument to repetition operator: `*`"},
        {"a|*?b", "missing argument to repetition operator: `*?`"},
        {"a**", "invalid nested repetition operator: `**`"},
        {"a*+b", "invalid nested repetition operator: `*+`"},
        {"x{2}{3}", "invalid nested repetition operator: `{2}{3}`"},
        {"a{1001}", "invalid repeat count: `{1001}`"},
        {"a*{1001}", "invalid repeat count: `{1001}`"},
        {"a{2,1}", "invalid repeat count: `{2,1}`"},
        {"(x{10}){101}", "invalid repeat count: `{101}`"},
        {"(?=a)", "invalid or unsupported Perl syntax: `(?=`"},
        {"(?!a)", "invalid or unsupported Perl syntax: `(?!`"},
        {"(?>a)", "invalid or unsupported Perl syntax: `(?>`"},
        {"(?i", "invalid or unsupported Perl syntax: `(?i`"},
        {"(?P=n)", "invalid or unsupported Perl syntax: `(?P`"},
        {"(?<=a)", "invalid named capture: `(?<=a)`"},
        {"(?P<n", "invalid named capture: `(?P<n`"},
        {"(?P<n m>a)", "invalid named capture: `(?P<n m>`"},
        {"a\xff"
         "b",
         "invalid UTF-8: `\xff"
         "b`"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct error err = {0};
        assert_null(regex_new(slice_from_text(cases[i][0]), 0, &err));
        assert_int_equal(err.code, ERR_INVALID);
        assert_int_equal(strncmp(err.message, "error parsing regexp: ", 22), 0);
        assert_string_equal(err.message + 22, cases[i][1]);
    }
}

static void both_spellings_of_named_groups_are_known(void **state)
{
    (void)state;
    struct error err = {0};
    struct regex *regex = compile("(?P<method>[A-Z]+) (?<path>/\\S*)( x)?", 0);
    assert_int_equal(regex_group_count(regex), 3);
    assert_true(slice_equal(regex_group_name(regex, 1), SLICE("method")));
    assert_true(slice_equal(regex_group_name(regex, 2), SLICE("path")));
    assert_int_equal(regex_group_name(regex, 3).size, 0);
    assert_int_equal(regex_group_name(regex, 9).size, 0);
    struct regex_span spans[5];
    struct slice text = SLICE("-- GET /a/b --");
    assert_int_equal(regex_find(regex, text, 0, spans, 5, &err), 1);
    assert_int_equal(spans[0].start, 3);
    assert_int_equal(spans[0].end, 11);
    assert_int_equal(spans[2].start, 7);
    assert_int_equal(spans[3].start, SIZE_MAX);
    assert_int_equal(spans[4].start, SIZE_MAX);
    regex_free(regex);
}

static void searching_goes_on_behind_the_last_match(void **state)
{
    (void)state;
    static const char *const texts[] = {"ab a\xce\xb1 a", "ab a\xff a"};
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        struct error err = {0};
        struct regex *regex = compile("\\ba.?", 0);
        struct slice text = slice_from_text(texts[i]);
        struct regex_span span;
        size_t from = 0, found = 0;
        while (regex_find(regex, text, from, &span, 1, &err) == 1) {
            from = span.end;
            found++;
        }
        assert_int_equal(found, 3);
        assert_int_equal(regex_find(regex, text, text.size + 1, &span, 1, &err), 0);
        regex_free(regex);
    }
}

static void templates_expand_as_in_go(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"$1-$2", "ab-cd"}, {"${1}x", "abx"},   {"$1x", ""},
        {"$name!", "cd!"},  {"${name}", "cd"},  {"$$1", "$1"},
        {"$", "$"},         {"a$", "a$"},       {"${1", "${1"},
        {"${}", "${}"},     {"$0", "ab:cd"},    {"$3", ""},
        {"$9", ""},         {"$01", ""},        {"plain", "plain"},
        {"$-", "$-"},       {"$1\xc3\xa9", ""}, {"$1\xe2\x82\xac", "ab\xe2\x82\xac"},
    };
    struct error err = {0};
    struct regex *regex = compile("(\\w+):(?P<name>\\w+)(z)?", 0);
    struct slice text = SLICE(" ab:cd ");
    struct regex_span spans[4];
    assert_int_equal(regex_find(regex, text, 0, spans, 4, &err), 1);
    struct buffer out;
    buffer_init(&out, 1000);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        buffer_clear(&out);
        regex_expand(regex, slice_from_text(cases[i][0]), text, spans, 4, &out);
        if (!slice_equal(buffer_slice(&out), slice_from_text(cases[i][1])))
            fail_msg("%s gives %.*s", cases[i][0], SLICE_ARG(buffer_slice(&out)));
    }
    buffer_done(&out);
    regex_free(regex);
}

static void alternations_of_literals_are_listed(void **state)
{
    (void)state;
    const struct slice *values;
    size_t count;
    struct regex *regex = compile("b|a(x|y)?|[cd]e|b", WHOLE);
    assert_true(regex_literals(regex, &values, &count));
    static const char *const wanted[] = {"a", "ax", "ay", "b", "ce", "de"};
    assert_int_equal(count, COUNT_OF(wanted));
    for (size_t i = 0; i < count; i++)
        assert_true(slice_equal(values[i], slice_from_text(wanted[i])));
    regex_free(regex);
    static const char *const others[] = {"a.*", "(?i)a", "a+",          "[a-z]",
                                         "^a",  "a\\b",  "\xef\xbf\xbd"};
    for (size_t i = 0; i < COUNT_OF(others); i++) {
        regex = compile(others[i], WHOLE);
        assert_false(regex_literals(regex, &values, &count));
        regex_free(regex);
    }
    regex = compile("a|b", 0); /* a search: not the whole text */
    assert_false(regex_literals(regex, &values, &count));
    regex_free(regex);
}

static void prefixes_and_required_literals_are_found(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *prefix, *required;
        bool empty;
    } cases[] = {
        {"foo.*", "foo", "foo", false},
        {".*foo.+barbar", "", "barbar", false},
        {"(foo)(bar)?", "foo", "foo", false},
        {"^foo[ab]", "foo", "foo", false},
        {"(?i)foo", "", "", false},
        {"a|b", "", "", false},
        {"(abc)+d", "abc", "abc", false},
        {"(abc)*", "", "", true},
        {".*", "", "", true},
        {"x?", "", "", true},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct regex *regex = compile(cases[i].pattern, WHOLE);
        assert_true(slice_equal(regex_prefix(regex), slice_from_text(cases[i].prefix)));
        assert_true(slice_equal(regex_required(regex), slice_from_text(cases[i].required)));
        assert_int_equal(regex_matches_empty(regex), cases[i].empty);
        regex_free(regex);
    }
    struct regex *regex = compile("foo", 0); /* a search has no prefix */
    assert_int_equal(regex_prefix(regex).size, 0);
    regex_free(regex);
}

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void bad_patterns_on_long_texts_answer_in_time(void **state)
{
    (void)state;
    enum { SIZE = 64 * 1024, TIMES_SLOWER = 10 };
    static const char *const cases[] = {
        "(a+)+$",         "(a|a)*b",           "(.*)*x",   "(a*)*b",    "(a|aa)+$",   "(a?){50}x",
        "a*a*a*a*a*b",    "(.*a){20}b",        "(x+x+)+y", "((a*)*)*b", "(a+)+\\b!x", "(?m)(a+)+$x",
        "(?i)(a|A|aa)*b", "[a-z]+[a-z]+[0-9]",
    };
    double limit = 10;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    limit *= TIMES_SLOWER;
#elif !defined(NDEBUG) && !defined(__OPTIMIZE__)
    limit *= TIMES_SLOWER;
#endif
    char *text = xmalloc(SIZE);
    memset(text, 'a', SIZE);
    text[SIZE - 1] = '!';
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct error err = {0};
        struct regex *regex = compile(cases[i], 0);
        double start = now_ms();
        assert_int_equal(regex_match(regex, slice_of(text, SIZE), &err), 0);
        double match = now_ms() - start;
        start = now_ms();
        assert_int_equal(regex_match(regex, slice_of(text + SIZE - 500, 500), &err), 0);
        double brief = now_ms() - start;
        print_message("%-20s %6.2f ms on 64 KiB, %6.2f ms on 500 bytes\n", cases[i], match, brief);
        if (match > limit)
            fail_msg("%s took %.1f ms of CPU", cases[i], match);
        regex_free(regex);
    }
    free(text);
}

static void limits_are_errors(void **state)
{
    (void)state;
    struct error err = {0};
    char *long_pattern = xmalloc(REGEX_PATTERN_SIZE_MAX + 1);
    memset(long_pattern, 'a', REGEX_PATTERN_SIZE_MAX + 1);
    assert_null(regex_new(slice_of(long_pattern, REGEX_PATTERN_SIZE_MAX + 1), 0, &err));
    assert_int_equal(err.code, ERR_LIMIT);
    assert_non_null(strstr(err.message, "limit is 65536"));
    struct regex *regex = regex_new(slice_of(long_pattern, REGEX_PATTERN_SIZE_MAX), WHOLE, &err);
    assert_int_equal(regex_match(regex, slice_of(long_pattern, REGEX_PATTERN_SIZE_MAX), &err), 1);
    regex_free(regex);

    memset(long_pattern, '(', 2000);
    memset(long_pattern + 2000, ')', 2000);
    assert_null(regex_new(slice_of(long_pattern, 4000), 0, &err));
    for (int i = 0; i <= REGEX_GROUPS_MAX; i++)
        memcpy(long_pattern + 3 * i, "(a)", 3);
    assert_null(regex_new(slice_of(long_pattern, 3 * REGEX_GROUPS_MAX + 3), 0, &err));
    assert_non_null(strstr(err.message, "more than 200 capture groups"));
    for (int i = 0; i < 400; i++) {
        memcpy(long_pattern + 3 * i, "(?:", 3);
        long_pattern[1200 + i] = ')';
    }
    regex = regex_new(slice_of(long_pattern, 1600), 0, &err); /* deeper than PCRE2 goes */
    assert_non_null(regex);
    assert_int_equal(regex_match(regex, SLICE("x"), &err), 1);
    regex_free(regex);
    for (int i = 0; i < 20000; i++)
        memcpy(long_pattern + 3 * i, "\\pL", 3);
    assert_null(regex_new(slice_of(long_pattern, 60000), 0, &err));
    assert_int_equal(err.code, ERR_LIMIT);
    free(long_pattern);
}

static void large_repeats_work_although_pcre_refuses_them(void **state)
{
    (void)state;
    struct error err = {0};
    struct regex *regex = compile("(?:[a-c][d-f][g-i]x[j-l][m-o][p-r]y){1000}", 0);
    char *text = xmalloc(8000);
    for (int i = 0; i < 1000; i++)
        memcpy(text + 8 * i, "adgxjmpy", 8);
    assert_int_equal(regex_match(regex, slice_of(text, 8000), &err), 1);
    assert_int_equal(regex_match(regex, slice_of(text, 7999), &err), 0);
    free(text);
    regex_free(regex);
}

static void *match_often(void *argument)
{
    struct regex **regexes = argument;
    for (int i = 0; i < 400; i++) {
        struct error err = {0};
        struct regex_span spans[2];
        if (regex_match(regexes[i % 3], SLICE("xxabcabcz"), &err) != 1 ||
            regex_find(regexes[i % 3], SLICE("xxabcabcz"), 0, spans, 2, &err) != 1 ||
            spans[0].start != 2 ||
            regex_match(regexes[i % 3],
                        SLICE("\xff"
                              "abcz"),
                        &err) != 1)
            return argument;
    }
    return NULL;
}

static void a_regex_serves_many_threads(void **state)
{
    (void)state;
    enum { THREADS = 8 };
    struct regex *regexes[3] = {compile("(abc)+[z]", 0), compile("(a[bx]c|q)+z", 0),
                                compile("(abc|)*z", 0)};
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, match_often, regexes), 0);
    for (int i = 0; i < THREADS; i++) {
        void *failed;
        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
    for (int i = 0; i < 3; i++)
        regex_free(regexes[i]);
}

static void every_code_point_folds_in_a_ring(void **state)
{
    (void)state;
    for (uint32_t rune = 0; rune <= RUNE_MAX; rune++) {
        uint32_t r = unicode_fold_next(rune);
        int steps = 1;
        for (; r != rune && steps <= 4; r = unicode_fold_next(r))
            steps++;
        if (steps > 4)
            fail_msg("U+%04X is not in a ring of at most four", rune);
    }
    assert_int_equal(unicode_fold_next('k'), 0x212A);
    assert_int_equal(unicode_fold_next('K'), 'k');
    assert_int_equal(unicode_fold_next('S'), 's');
    assert_int_equal(unicode_fold_next('1'), '1');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(anchored_patterns_match_the_whole_text),
        cmocka_unit_test(syntax_errors_are_worded_as_in_go),
        cmocka_unit_test(both_spellings_of_named_groups_are_known),
        cmocka_unit_test(searching_goes_on_behind_the_last_match),
        cmocka_unit_test(templates_expand_as_in_go),
        cmocka_unit_test(alternations_of_literals_are_listed),
        cmocka_unit_test(prefixes_and_required_literals_are_found),
        cmocka_unit_test(bad_patterns_on_long_texts_answer_in_time),
        cmocka_unit_test(limits_are_errors),
        cmocka_unit_test(large_repeats_work_although_pcre_refuses_them),
        cmocka_unit_test(a_regex_serves_many_threads),
        cmocka_unit_test(every_code_point_folds_in_a_ring),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
