/* Levels of log lines and names of services. */
#include "server/log_level.h"

#include "base/compiler.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void assert_level(const char *line, const char *level)
{
    struct slice found = log_level_of_line(slice_from_text(line));
    if (!slice_equal(found, slice_from_text(level)))
        fail_msg("%s: %.*s, not %s", line, SLICE_ARG(found), level);
}

static void finds_levels_in_json(void **state)
{
    (void)state;
    assert_level("{\"level\":\"WARNING\",\"msg\":\"x\"}", "warn");
    assert_level(" {\"msg\":\"an error\", \"lvl\" : \"dbg\"}\n", "debug");
    assert_level("{\"log\":{\"level\":\"err\"}}", "error");
    assert_level("{\"a\":{\"b\":{\"level\":\"wrn\"}}}", "unknown");
    assert_level("{\"a\":[{\"level\":\"fatal\"},{}],\"n\":-1.5e3,\"t\":null,\"severity\":\"info\"}",
                 "info");
    assert_level("{\"level\":30,\"msg\":\"critical thing\"}", "critical");
    assert_level("{\"a\":\"quote \\\" level\",\"level\":\"trace\"}", "trace");
    assert_level("{\"level\":\"notice\",\"msg\":\"ok\"}", "unknown");
}

static void broken_json_is_read_as_words(void **state)
{
    (void)state;
    assert_level("{error}", "error");
    assert_level("{\"level\"}", "unknown");
    assert_level("{\"level\":}", "unknown");
    assert_level("{\"level\":\"}", "unknown");
    assert_level("{\"\\}", "unknown");
    assert_level("{{{{}", "unknown");
    assert_level("{}", "unknown");
}

static void finds_levels_in_logfmt(void **state)
{
    (void)state;
    assert_level("ts=1 level=info msg=\"an error\"", "info");
    assert_level("msg=\"level=debug\" lvl=warn", "warn");
    assert_level("severity=error level=debug", "debug");
    assert_level("LeVeL=Fatal", "fatal");
    assert_level("a=b error happened", "error");
    assert_level("level=", "unknown");
    assert_level("=", "unknown");
}

static void finds_levels_as_words(void **state)
{
    (void)state;
    assert_level("[ERROR] it broke", "error");
    assert_level("2026-11-23 Warning: low disk", "warn");
    assert_level("terror and information", "unknown");
    assert_level("errors are not one", "unknown");
    assert_level("debug then error", "debug");
    assert_level("", "unknown");
    assert_level("inf", "unknown");
    assert_level("infö info", "info");
}

static void labels_tell_the_level_first(void **state)
{
    (void)state;
    struct label labels[] = {{SLICE("app"), SLICE("x")},
                             {SLICE("severity"), SLICE("Error")},
                             {SLICE("level"), SLICE("notice")}};
    assert_true(slice_equal(log_level_of_labels(labels, 3), SLICE("notice")));
    assert_true(slice_equal(log_level_of_labels(labels, 2), SLICE("error")));
    assert_null(log_level_of_labels(labels, 1).data);
}

static void the_service_is_the_first_label_that_tells_it(void **state)
{
    (void)state;
    struct label labels[] = {
        {SLICE("job"), SLICE("j")}, {SLICE("container"), SLICE("c")}, {SLICE("app"), SLICE("")}};
    assert_true(slice_equal(service_name_of(labels, 3), SLICE("c")));
    assert_true(slice_equal(service_name_of(labels, 1), SLICE("j")));
    assert_true(slice_equal(service_name_of(labels, 0), SLICE("unknown_service")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_levels_in_json),
        cmocka_unit_test(broken_json_is_read_as_words),
        cmocka_unit_test(finds_levels_in_logfmt),
        cmocka_unit_test(finds_levels_as_words),
        cmocka_unit_test(labels_tell_the_level_first),
        cmocka_unit_test(the_service_is_the_first_label_that_tells_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
