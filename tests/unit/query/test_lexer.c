/* test_lexer.c - from text to tokens. */
#include "query/lexer.h"

#include "base/duration.h"
#include "base/error.h"
#include "query/dialect.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* The dialect that has everything that PromQL has not. */
static const struct dialect wide = {.go_durations = true, .byte_sizes = true, .flags = true};

static struct token first(const struct dialect *dialect, const char *text)
{
    struct lexer lexer;
    struct token token;
    struct error err = {0};
    lexer_init(&lexer, dialect, slice_from_text(text));
    if (!lexer_next(&lexer, &token, &err))
        fail_msg("%s: %s", text, err.message);
    return token;
}

static void refuse(const struct dialect *dialect, const char *text, const char *message)
{
    struct lexer lexer;
    struct token token = {0};
    struct error err = {0};
    lexer_init(&lexer, dialect, slice_from_text(text));
    do {
        if (!lexer_next(&lexer, &token, &err)) {
            assert_non_null(strstr(err.message, message));
            return;
        }
    } while (token.kind != TOKEN_END);
    fail_msg("%s was accepted", text);
}

static void expect_number(const char *text, double expected)
{
    struct token token = first(&dialect_promql, text);
    double value;
    assert_int_equal(token.kind, TOKEN_NUMBER);
    assert_int_equal(token.end, strlen(text));
    assert_true(token_number(&dialect_promql, token, &value));
    assert_true(value == expected);
}

static void reads_all_forms_of_numbers(void **state)
{
    (void)state;
    expect_number("0", 0);
    expect_number("12.5", 12.5);
    expect_number(".5", 0.5);
    expect_number("2.", 2);
    expect_number("1e3", 1000);
    expect_number("1E-3", 0.001);
    expect_number("1.5e+2", 150);
    expect_number("0x1f", 31);
    expect_number("0X_1F", 31);
    expect_number("017", 15);
    expect_number("08", 8);
    expect_number("1_000_000", 1e6);
    refuse(&dialect_promql, "1..2", "bad number");
    refuse(&dialect_promql, "1a", "bad number");
    refuse(&dialect_promql, "0x", "bad number");
    refuse(&dialect_promql, "1__0", "bad number");
    refuse(&dialect_promql, "1e", "bad number");
}

static void expect_duration(const struct dialect *dialect, const char *text, int64_t expected)
{
    struct token token = first(dialect, text);
    int64_t ns;
    assert_int_equal(token.kind, TOKEN_DURATION);
    assert_true(token_duration(dialect, token, &ns));
    assert_int_equal(ns, expected);
}

static void reads_durations_of_both_languages(void **state)
{
    (void)state;
    expect_duration(&dialect_promql, "5m", 5 * NS_PER_MINUTE);
    expect_duration(&dialect_promql, "1h30m", 90 * NS_PER_MINUTE);
    expect_duration(&dialect_promql, "1d2h3m4s5ms",
                    NS_PER_DAY + 2 * NS_PER_HOUR + 3 * NS_PER_MINUTE + 4 * NS_PER_SECOND +
                        5 * NS_PER_MS);
    expect_duration(&wide, "1.5h", 90 * NS_PER_MINUTE);
    expect_duration(&wide, "10us", 10000);
    refuse(&dialect_promql, "1.5h", "bad number");
    refuse(&dialect_promql, "5mm", "bad number");
}

static void reads_byte_sizes_where_the_language_has_them(void **state)
{
    (void)state;
    double bytes;
    struct token token = first(&wide, "5KB");
    assert_int_equal(token.kind, TOKEN_BYTES);
    assert_true(token_bytes(token, &bytes));
    assert_true(bytes == 5000);
    assert_true(token_bytes(first(&wide, "1.5MiB"), &bytes));
    assert_true(bytes == 1.5 * 1024 * 1024);
    assert_true(token_bytes(first(&wide, "7b"), &bytes));
    assert_true(bytes == 7);
    refuse(&dialect_promql, "5KB", "bad number");
}

static void a_colon_is_part_of_a_name_only_outside_of_brackets(void **state)
{
    (void)state;
    struct lexer lexer;
    struct token token;
    struct error err = {0};
    lexer_init(&lexer, &dialect_promql, SLICE("job:rate:5m[5m:1m]"));
    static const enum token_kind kinds[] = {
        TOKEN_IDENTIFIER, TOKEN_LEFT_BRACKET,  TOKEN_DURATION, TOKEN_COLON,
        TOKEN_DURATION,   TOKEN_RIGHT_BRACKET, TOKEN_END};
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        assert_true(lexer_next(&lexer, &token, &err));
        assert_int_equal(token.kind, kinds[i]);
    }
}

static void tells_operators_that_begin_alike(void **state)
{
    (void)state;
    assert_int_equal(first(&dialect_promql, "=~").kind, TOKEN_MATCH);
    assert_int_equal(first(&dialect_promql, "==").kind, TOKEN_EQUAL_EQUAL);
    assert_int_equal(first(&dialect_promql, "|=").kind, TOKEN_PIPE_EQUAL);
    assert_int_equal(first(&dialect_promql, "|>").kind, TOKEN_PIPE_PATTERN);
    assert_int_equal(first(&dialect_promql, "!>").kind, TOKEN_NOT_PATTERN);
    assert_int_equal(first(&dialect_promql, "</").kind, TOKEN_TRIM_UPPER);
    assert_int_equal(first(&dialect_promql, "<=").kind, TOKEN_LESS_EQUAL);
    assert_int_equal(first(&wide, "--strict").kind, TOKEN_FLAG);
    assert_int_equal(first(&dialect_promql, "--a").kind, TOKEN_MINUS);
}

static void refuses_broken_strings_and_strange_characters(void **state)
{
    (void)state;
    refuse(&dialect_promql, "\"abc", "unterminated quoted string");
    refuse(&dialect_promql, "'a\nb'", "unterminated quoted string");
    refuse(&dialect_promql, "`abc", "unterminated raw string");
    refuse(&dialect_promql, "\"\xff\"", "UTF-8");
    refuse(&dialect_promql, "a ; b", "unexpected character: ';'");
    refuse(&wide, "'a'", "unexpected character");
    assert_int_equal(first(&dialect_promql, "'a'").kind, TOKEN_STRING);
}

static void skips_comments_and_blanks(void **state)
{
    (void)state;
    struct token token = first(&dialect_promql, " # one\n\t # two\r\n up");
    assert_int_equal(token.kind, TOKEN_IDENTIFIER);
    assert_int_equal(token.start, 17);
    assert_int_equal(first(&dialect_promql, "# nothing").kind, TOKEN_END);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_all_forms_of_numbers),
        cmocka_unit_test(reads_durations_of_both_languages),
        cmocka_unit_test(reads_byte_sizes_where_the_language_has_them),
        cmocka_unit_test(a_colon_is_part_of_a_name_only_outside_of_brackets),
        cmocka_unit_test(tells_operators_that_begin_alike),
        cmocka_unit_test(refuses_broken_strings_and_strange_characters),
        cmocka_unit_test(skips_comments_and_blanks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
