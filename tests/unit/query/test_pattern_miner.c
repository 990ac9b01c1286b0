/* test_pattern_miner.c - patterns of log lines. */
#include "query/pattern_miner.h"

#include "base/buffer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static const char *text_of(const struct pattern_miner *miner, size_t number)
{
    static char text[PATTERN_LINE_MAX * 2];
    struct buffer out;
    buffer_init(&out, sizeof(text) - 1);
    pattern_append_text(miner, number, &out);
    memcpy(text, out.data, out.size);
    text[out.size] = '\0';
    buffer_done(&out);
    return text;
}

static void add(struct pattern_miner *miner, int64_t time_ns, const char *line)
{
    pattern_miner_add(miner, time_ns, SLICE("info"), slice_from_text(line));
}

static void words_that_differ_become_variable(void **state)
{
    (void)state;
    struct pattern_miner *miner = pattern_miner_new(0, 10, 3);
    add(miner, 0, "user=ann took 5ms for /a/b \"GET\"");
    add(miner, 9, "user=bob took 7ms for /c \"GET\"");
    add(miner, 10, "user=bob took 9ms for /c \"GET\"");
    add(miner, 29, "connection refused");
    assert_int_equal(pattern_miner_finish(miner), 2);
    assert_string_equal(text_of(miner, 0), "user=<_> took <_> for <_> \"GET\"");
    assert_int_equal(pattern_count(miner, 0), 3);
    assert_int_equal(pattern_samples(miner, 0)[0], 2);
    assert_int_equal(pattern_samples(miner, 0)[1], 1);
    assert_string_equal(text_of(miner, 1), "connection refused");
    assert_int_equal(pattern_samples(miner, 1)[2], 1);
    pattern_miner_free(miner);
}

static void levels_and_unlike_lines_stay_apart(void **state)
{
    (void)state;
    struct pattern_miner *miner = pattern_miner_new(0, 10, 1);
    pattern_miner_add(miner, 0, SLICE("info"), SLICE("opened the file"));
    pattern_miner_add(miner, 0, SLICE("warn"), SLICE("opened the file"));
    pattern_miner_add(miner, 0, SLICE("info"), SLICE("no more memory"));
    assert_int_equal(pattern_miner_finish(miner), 3);
    pattern_miner_free(miner);
}

static void what_does_not_fit_is_left_out(void **state)
{
    (void)state;
    static char line[PATTERN_LINE_MAX + 1];
    memset(line, 'x', sizeof(line));
    struct pattern_miner *miner = pattern_miner_new(100, 10, 2);
    add(miner, 99, "too early");
    add(miner, 120, "too late");
    add(miner, INT64_MIN, "overflow");
    add(miner, INT64_MAX, "far away");
    add(miner, 100, "");
    pattern_miner_add(miner, 100, SLICE(""), slice_of(line, sizeof(line)));
    assert_int_equal(pattern_miner_finish(miner), 0);
    pattern_miner_add(miner, 100, SLICE(""), slice_of(line, PATTERN_LINE_MAX));
    assert_int_equal(pattern_miner_finish(miner), 1);
    pattern_miner_free(miner);
}

static void the_number_of_patterns_is_limited_and_the_frequent_stay(void **state)
{
    (void)state;
    struct pattern_miner *miner = pattern_miner_new(0, 10, 1);
    add(miner, 0, "frequent one");
    add(miner, 0, "frequent one");
    for (int i = 0; i < PATTERNS_MAX * 3; i++) {
        char line[64];
        snprintf(line, sizeof(line), "a%d b%d c%d", i, i, i);
        add(miner, 0, line);
    }
    assert_int_equal(pattern_miner_finish(miner), PATTERNS_MAX);
    assert_string_equal(text_of(miner, 0), "frequent one");
    pattern_miner_free(miner);
}

static void many_words_end_in_one_variable(void **state)
{
    (void)state;
    char line[PATTERN_LINE_MAX] = "";
    for (size_t i = 0; i < PATTERN_WORDS_MAX + 50; i++)
        memcpy(line + i * 2, "w ", 2);
    struct pattern_miner *miner = pattern_miner_new(0, 10, 1);
    add(miner, 0, line);
    add(miner, 0, line);
    assert_int_equal(pattern_miner_finish(miner), 1);
    const char *text = text_of(miner, 0);
    assert_string_equal(text + strlen(text) - 5, "w <_>");
    pattern_miner_free(miner);
}

static void any_bytes_are_words(void **state)
{
    (void)state;
    struct pattern_miner *miner = pattern_miner_new(0, 10, 1);
    pattern_miner_add(miner, 0, SLICE(""), slice_of("a\0b \xff\xfe", 6));
    pattern_miner_add(miner, 0, SLICE(""), slice_of("\0", 1));
    pattern_miner_add(miner, 0, SLICE(""), SLICE(" = "));
    assert_int_equal(pattern_miner_finish(miner), 3);
    pattern_miner_free(miner);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_that_differ_become_variable),
        cmocka_unit_test(levels_and_unlike_lines_stay_apart),
        cmocka_unit_test(what_does_not_fit_is_left_out),
        cmocka_unit_test(the_number_of_patterns_is_limited_and_the_frequent_stay),
        cmocka_unit_test(many_words_end_in_one_variable),
        cmocka_unit_test(any_bytes_are_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
