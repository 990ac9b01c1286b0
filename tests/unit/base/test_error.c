/* test_error.c - error values, and the clocks. */
#include "base/clock.h"
#include "base/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void filling_returns_failure(void **state)
{
    (void)state;
    struct error err = {0};
    assert_false(error_set(&err, ERR_LIMIT, "it has %d bytes, the limit is %d", 5, 4));
    assert_int_equal(err.code, ERR_LIMIT);
    assert_int_equal(err.position, 0);
    assert_string_equal(err.message, "it has 5 bytes, the limit is 4");
    assert_null(error_null(&err, ERR_IO, "x"));
    assert_int_equal(err.code, ERR_IO);
    assert_false(error_set_at(&err, ERR_INVALID, 7, "here"));
    assert_int_equal(err.position, 8);
    assert_false(error_set(NULL, ERR_IO, "nobody cares"));
}

static void prefixes_stand_in_front(void **state)
{
    (void)state;
    struct error err = {0};
    error_set_at(&err, ERR_CORRUPT, 3, "bad checksum");
    assert_false(error_prefix(&err, "segment %d", 9));
    assert_false(error_prefix(&err, "replay"));
    assert_string_equal(err.message, "replay: segment 9: bad checksum");
    assert_int_equal(err.code, ERR_CORRUPT);
    assert_int_equal(err.position, 4);
    error_clear(&err);
    assert_int_equal(err.code, ERR_NONE);
    assert_string_equal(err.message, "");
    assert_false(error_prefix(NULL, "x"));
}

static void a_message_that_is_too_long_is_cut(void **state)
{
    (void)state;
    struct error err = {0};
    char text[1000];
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    error_set(&err, ERR_INTERNAL, "%s", text);
    assert_int_equal(strlen(err.message), ERROR_MESSAGE_MAX - 1);
    error_prefix(&err, "front");
    assert_memory_equal(err.message, "front: xxx", 10);
    assert_int_equal(strlen(err.message), ERROR_MESSAGE_MAX - 1);
}

static void every_code_has_its_name(void **state)
{
    (void)state;
    assert_string_equal(error_name(ERR_NONE), "none");
    assert_string_equal(error_name(ERR_TOO_LARGE), "too_large");
    assert_string_equal(error_name(ERR_INTERNAL), "internal");
    assert_string_equal(error_name((enum error_code)999), "unknown");
}

static int64_t fixed_now(void *context)
{
    return *(int64_t *)context;
}

static void a_clock_can_be_replaced(void **state)
{
    (void)state;
    int64_t now = 12345;
    struct clock clock = {fixed_now, &now};
    assert_int_equal(clock_now_ns(&clock), 12345);
    assert_true(clock_now_ns(NULL) > INT64_C(1600000000) * 1000000000);
    int64_t before = clock_monotonic_ns();
    assert_true(clock_monotonic_ns() >= before);
    assert_true(clock_cpu_ns() > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(filling_returns_failure),
        cmocka_unit_test(prefixes_stand_in_front),
        cmocka_unit_test(a_message_that_is_too_long_is_cut),
        cmocka_unit_test(every_code_has_its_name),
        cmocka_unit_test(a_clock_can_be_replaced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
