/* test_log.c - what a log line looks like and when there is none. */
#include "base/compiler.h"
#include "base/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <unistd.h>

#include <cmocka.h>

static int lines[2]; /* a pipe */

static int set_up(void **state)
{
    (void)state;
    assert_int_equal(pipe(lines), 0);
    log_set_output(lines[1]);
    log_set_level(LEVEL_INFO);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    log_set_output(STDERR_FILENO);
    close(lines[0]);
    close(lines[1]);
    return 0;
}

/* What was written, without the time in front of the first line. */
static void read_lines(char *out, size_t size)
{
    close(lines[1]);
    size_t used = 0;
    ssize_t got;
    while ((got = read(lines[0], out + used, size - used - 1)) > 0)
        used += (size_t)got;
    out[used] = '\0';
    assert_int_equal(pipe(lines), 0);
    log_set_output(lines[1]);
}

static void a_line_is_logfmt(void **state)
{
    (void)state;
    char text[1024];
    log_info("listening", LOG_TEXT("address", "127.0.0.1:9090"), LOG_INT("port", -7),
             LOG_DOUBLE("seconds", 0.25), LOG_SLICE("empty", SLICE("")),
             LOG_TEXT("text", "two words \"quoted\" = \n"), LOG_SLICE("bytes", SLICE("\xff")));
    read_lines(text, sizeof(text));
    assert_memory_equal(text, "ts=20", 5);
    assert_int_equal(text[26], 'Z');
    assert_string_equal(text + 27, " level=info msg=listening address=127.0.0.1:9090 port=-7"
                                   " seconds=0.25 empty=\"\""
                                   " text=\"two words \\\"quoted\\\" = \\n\" bytes=\"\\xff\"\n");
}

static void lines_below_the_level_are_not_written(void **state)
{
    (void)state;
    char text[1024];
    log_debug("hidden");
    log_set_level(LEVEL_ERROR);
    log_warn("hidden");
    log_error("it broke");
    read_lines(text, sizeof(text));
    assert_string_equal(text + 27, " level=error msg=\"it broke\"\n");
}

static void a_call_site_is_limited_but_no_other(void **state)
{
    (void)state;
    char text[16384];
    for (int i = 0; i < 1000; i++)
        log_info("noisy", LOG_INT("i", i));
    log_info("other");
    read_lines(text, sizeof(text));
    assert_non_null(strstr(text, "i=19\n"));
    assert_null(strstr(text, "i=20\n"));
    assert_non_null(strstr(text, "msg=other\n"));
}

static void the_next_line_tells_what_was_left_out(void **state)
{
    (void)state;
    char text[1024];
    struct log_site site = {0};
    atomic_store(&site.left_out, 980);
    log_write(&site, LEVEL_INFO, "noisy", NULL, 0);
    read_lines(text, sizeof(text));
    assert_string_equal(text + 27, " level=info msg=noisy left_out=980\n");
}

static void huge_values_are_cut(void **state)
{
    (void)state;
    char huge[5000];
    char text[16384];
    memset(huge, 'x', sizeof(huge));
    struct slice s = slice_of(huge, sizeof(huge));
    log_info("large", LOG_SLICE("a", s), LOG_SLICE("b", s), LOG_SLICE("c", s), LOG_SLICE("d", s),
             LOG_SLICE("e", s));
    read_lines(text, sizeof(text));
    size_t size = strlen(text);
    assert_true(size <= LOG_LINE_MAX);
    assert_string_equal(text + size - 10, " cut=true\n");
}

static void levels_have_names(void **state)
{
    (void)state;
    enum log_level level;
    assert_true(log_level_parse(SLICE("warn"), &level));
    assert_int_equal(level, LEVEL_WARN);
    assert_false(log_level_parse(SLICE("loud"), &level));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_line_is_logfmt, set_up, tear_down),
        cmocka_unit_test_setup_teardown(lines_below_the_level_are_not_written, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_call_site_is_limited_but_no_other, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_next_line_tells_what_was_left_out, set_up, tear_down),
        cmocka_unit_test_setup_teardown(huge_values_are_cut, set_up, tear_down),
        cmocka_unit_test(levels_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
