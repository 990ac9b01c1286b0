/* test_number.c - integers, doubles and quoted text, as Go reads and prints them. */
#include "base/arena.h"
#include "base/buffer.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/number.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void prints(double v, char form, const char *expected)
{
    char text[DOUBLE_TEXT_MAX];
    size_t size = double_format(text, v, form);
    assert_string_equal(text, expected);
    assert_int_equal(size, strlen(expected));
}

static void prints_doubles_in_each_form(void **state)
{
    (void)state;
    prints(0, 'f', "0");
    prints(-0.0, 'f', "-0");
    prints(-0.0, 'e', "-0e+00");
    prints(1, 'e', "1e+00");
    prints(1.5, 'f', "1.5");
    prints(-123.456, 'f', "-123.456");
    prints(1e21, 'f', "1000000000000000000000");
    prints(1e-7, 'f', "0.0000001");
    prints(12345678, 'e', "1.2345678e+07");
    prints(1e100, 'e', "1e+100");
    prints(100000, 'g', "100000");
    prints(1000000, 'g', "1e+06");
    prints(1234567, 'g', "1.234567e+06");
    prints(0.0001, 'g', "0.0001");
    prints(0.00001, 'g', "1e-05");
    prints(1e-6, 'j', "0.000001");
    prints(9.9e-7, 'j', "9.9e-07");
    prints(999999999999999900000.0, 'j', "999999999999999900000");
    prints(1e21, 'j', "1e+21");
    prints(0.1 + 0.2, 'j', "0.30000000000000004");
    prints(1700000000.123, 'j', "1700000000.123");
    prints(9007199254740993.0, 'j', "9007199254740992");
    prints(5e-324, 'e', "5e-324");
    prints(1.7976931348623157e308, 'e', "1.7976931348623157e+308");
    for (const char *form = "fegj"; *form; form++) {
        prints((double)NAN, *form, "NaN");
        prints((double)INFINITY, *form, "+Inf");
        prints((double)-INFINITY, *form, "-Inf");
    }
}

static void prints_and_parses_the_shortest_text(void **state)
{
    (void)state;
    FILE *file = fopen("tests/unit/base/doubles.txt", "r");
    assert_non_null(file);
    char line[128];
    int count = 0;
    while (fgets(line, sizeof(line), file)) {
        char *end;
        double v = double_from_bits(strtoull(line, &end, 16));
        char *expected = end + 1;
        expected[strcspn(expected, "\n")] = '\0';
        prints(v, 'e', expected);

        double back;
        char plain[DOUBLE_TEXT_MAX];
        double_format(plain, v, 'f');
        assert_true(slice_parse_double(slice_from_text(expected), false, &back));
        assert_true(double_bits(back) == double_bits(v));
        assert_true(slice_parse_double(slice_from_text(plain), false, &back));
        assert_true(double_bits(back) == double_bits(v));
        count++;
    }
    fclose(file);
    assert_true(count > 1000);
}

static void random_doubles_survive_text(void **state)
{
    (void)state;
    uint64_t random = 42;
    for (int i = 0; i < 200000; i++) {
        random = random * UINT64_C(6364136223846793005) + 1442695040888963407U;
        double v = i % 3 == 0   ? double_from_bits(random)
                   : i % 3 == 1 ? (double)(int64_t)random / 1e6
                                : (double)(random >> 40) / 100;
        if (isnan(v))
            continue;
        char text[DOUBLE_TEXT_MAX];
        double back;
        size_t size = double_format(text, v, 'j');
        assert_true(slice_parse_double(slice_of(text, size), false, &back));
        assert_true(double_bits(back) == double_bits(v));
    }
}

static bool reads(const char *text, bool underscores, double expected)
{
    double v = 77;
    return slice_parse_double(slice_from_text(text), underscores, &v) &&
           double_bits(v) == double_bits(expected);
}

static bool refuses(const char *text, bool underscores)
{
    double v = 77;
    bool parsed = slice_parse_double(slice_from_text(text), underscores, &v);
    return !parsed && double_bits(v) == double_bits(77.0);
}

static void reads_doubles_as_go_does(void **state)
{
    (void)state;
    static const char *const bad[] = {"",     "-",  "+",    ".",    "e5",   "1e",    "1e+",  "1 ",
                                      " 1",   "1x", "0x1",  "0xp1", "--1",  "1..2",  "nanx", "-nan",
                                      "+nan", "in", "1e5.", "1_0",  "0x1p", "infin", "1,5",  "1f"};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        if (!refuses(bad[i], false))
            fail_msg("%s was read", bad[i]);
    }
    assert_true(reads("1", false, 1));
    assert_true(reads("+1.", false, 1));
    assert_true(reads("-.5", false, -0.5));
    assert_true(reads("-0", false, -0.0));
    assert_true(reads("1E-2", false, 0.01));
    assert_true(reads("0001e2", false, 100));
    assert_true(reads("0x1p-2", false, 0.25));
    assert_true(reads("-0X1.8P1", false, -3));
    assert_true(reads("0x_1F.8p0", true, 31.5));
    assert_true(reads("iNf", false, (double)INFINITY));
    assert_true(reads("-Infinity", false, (double)-INFINITY));
    assert_true(reads("1e999", false, (double)INFINITY));
    assert_true(reads("-1e99999999999999999999", false, (double)-INFINITY));
    assert_true(reads("1e-999", false, 0));
    assert_true(reads("1_000.5_0e1_0", true, 1000.5e10));
    assert_true(refuses("_1", true) && refuses("1_", true) && refuses("1__0", true) &&
                refuses("1_.5", true) && refuses("1e_5", true));
    double nan;
    assert_true(slice_parse_double(SLICE("NaN"), false, &nan) && isnan(nan));
}

static void rounds_long_texts_exactly(void **state)
{
    (void)state;
    assert_true(reads("9007199254740993", false, 9007199254740992.0)); /* half: to even */
    assert_true(
        reads("9007199254740993.00000000000000000000000000000001", false, 9007199254740994.0));
    char text[2048];
    memset(text, '0', sizeof(text));
    memcpy(text, "9007199254740993.", 17);
    text[1500] = '1'; /* far behind the digits that are kept */
    double v;
    assert_true(slice_parse_double(slice_of(text, 1501), false, &v));
    assert_true(v > 9007199254740992.0);
    memset(text, '1', sizeof(text));
    assert_true(slice_parse_double(slice_of(text, 300), false, &v) && isfinite(v));
    assert_true(slice_parse_double(slice_of(text, 2000), false, &v) && isinf(v));
    memset(text, '0', sizeof(text));
    text[1] = '.';
    memcpy(text + 1000, "5e1000", 6);
    assert_true(slice_parse_double(slice_of(text, 1006), false, &v));
    assert_true(double_bits(v) == double_bits(50.0));
}

static void reads_integers_and_their_limits(void **state)
{
    (void)state;
    uint64_t u = 7;
    int64_t i = 7;
    assert_true(slice_parse_u64(SLICE("18446744073709551615"), &u) && u == UINT64_MAX);
    assert_false(slice_parse_u64(SLICE("18446744073709551616"), &u));
    assert_false(slice_parse_u64(SLICE("-1"), &u));
    assert_false(slice_parse_u64(SLICE(""), &u));
    assert_false(slice_parse_u64(SLICE("1a"), &u));
    assert_true(u == UINT64_MAX);
    assert_true(slice_parse_i64(SLICE("-9223372036854775808"), &i) && i == INT64_MIN);
    assert_true(slice_parse_i64(SLICE("+9223372036854775807"), &i) && i == INT64_MAX);
    assert_false(slice_parse_i64(SLICE("9223372036854775808"), &i));
    assert_false(slice_parse_i64(SLICE("-"), &i));
}

static void appends_integers(void **state)
{
    (void)state;
    struct buffer b;
    buffer_init(&b, 1000);
    static const int64_t numbers[] = {0, 9, 10, 99, 100, 12345, -1, INT64_MAX, INT64_MIN};
    for (size_t i = 0; i < COUNT_OF(numbers); i++) {
        char expected[32];
        int size = snprintf(expected, sizeof(expected), "%lld", (long long)numbers[i]);
        buffer_clear(&b);
        buffer_append_i64(&b, numbers[i]);
        assert_true(slice_equal(buffer_slice(&b), slice_of(expected, (size_t)size)));
    }
    buffer_clear(&b);
    buffer_append_u64(&b, UINT64_MAX);
    assert_true(slice_equal(buffer_slice(&b), SLICE("18446744073709551615")));
    buffer_done(&b);
}

static void quotes(struct slice s, const char *expected)
{
    struct buffer b;
    buffer_init(&b, 1000);
    buffer_append_quoted(&b, s);
    buffer_append_byte(&b, '\0');
    assert_string_equal(b.data, expected);
    buffer_done(&b);
}

static void quotes_as_go_does(void **state)
{
    (void)state;
    quotes(SLICE(""), "\"\"");
    quotes(SLICE("a\"b\\c'd"), "\"a\\\"b\\\\c'd\"");
    quotes(SLICE("\a\b\f\n\r\t\v"), "\"\\a\\b\\f\\n\\r\\t\\v\"");
    quotes(SLICE("\x01\x7f"), "\"\\x01\\x7f\"");
    quotes(SLICE("caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80"),
           "\"caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80\"");
    quotes(SLICE("\xff\xc3"), "\"\\xff\\xc3\"");
    quotes(SLICE("\xc2\xa0\xe2\x80\x8b\xef\xbb\xbf"), "\"\\u00a0\\u200b\\ufeff\"");
    quotes(SLICE("\xf3\xa0\x80\x81"), "\"\\U000e0001\"");
    quotes(SLICE("\xef\xbf\xbd"), "\"\xef\xbf\xbd\"");
}

static void unquotes_what_go_unquotes(void **state)
{
    (void)state;
    struct arena *arena = arena_new(4096);
    struct slice v;
    assert_true(slice_unquote(arena, SLICE("\"plain\""), false, &v, NULL));
    assert_true(slice_equal(v, SLICE("plain")));
    assert_true(slice_unquote(arena, SLICE("`raw\\n\"`"), false, &v, NULL));
    assert_true(slice_equal(v, SLICE("raw\\n\"")));
    assert_true(slice_unquote(arena, SLICE("\"\\a\\b\\f\\n\\r\\t\\v\\\\\\\"'\""), false, &v, NULL));
    assert_true(slice_equal(v, SLICE("\a\b\f\n\r\t\v\\\"'")));
    assert_true(slice_unquote(arena, SLICE("\"\\x41\\101\\u00e9\\U0001F600\""), false, &v, NULL));
    assert_true(slice_equal(v, SLICE("AA\xc3\xa9\xf0\x9f\x98\x80")));
    assert_true(slice_unquote(arena, SLICE("'it\\'s \"'"), true, &v, NULL));
    assert_true(slice_equal(v, SLICE("it's \"")));
    assert_true(slice_unquote(arena, SLICE("\"\""), false, &v, NULL));
    assert_int_equal(v.size, 0);
    arena_free(arena);
}

static void refuses_malformed_literals(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "\"",
        "\"a",
        "a\"",
        "'a'",
        "\"a'",
        "\"\\\"",
        "\"\\q\"",
        "\"\\x4\"",
        "\"\\400\"",
        "\"\\u12\"",
        "\"\\ud800\"",
        "\"a\nb\"",
        "\"a\"b\"",
        "\"\\'\"",
        "`a`b`",
        "\"\\U00110000\"",
    };
    struct arena *arena = arena_new(4096);
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct slice v;
        struct error err = {0};
        if (slice_unquote(arena, slice_from_text(bad[i]), false, &v, &err))
            fail_msg("%s was unquoted", bad[i]);
        assert_int_equal(err.code, ERR_INVALID);
    }
    arena_free(arena);
}

static void what_is_quoted_unquotes_to_itself(void **state)
{
    (void)state;
    struct arena *arena = arena_new(1 << 20);
    struct buffer b;
    buffer_init(&b, 1 << 20);
    char all[256];
    for (int i = 0; i < 256; i++)
        all[i] = (char)i;
    buffer_append_quoted(&b, slice_of(all, sizeof(all)));
    struct slice v;
    assert_true(slice_unquote(arena, buffer_slice(&b), false, &v, NULL));
    assert_true(slice_equal(v, slice_of(all, sizeof(all))));
    buffer_done(&b);
    arena_free(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prints_doubles_in_each_form),
        cmocka_unit_test(prints_and_parses_the_shortest_text),
        cmocka_unit_test(random_doubles_survive_text),
        cmocka_unit_test(reads_doubles_as_go_does),
        cmocka_unit_test(rounds_long_texts_exactly),
        cmocka_unit_test(reads_integers_and_their_limits),
        cmocka_unit_test(appends_integers),
        cmocka_unit_test(quotes_as_go_does),
        cmocka_unit_test(unquotes_what_go_unquotes),
        cmocka_unit_test(refuses_malformed_literals),
        cmocka_unit_test(what_is_quoted_unquotes_to_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
