/* test_rate_limit.c - buckets of tokens per tenant. */
#include "server/rate_limit.h"

#include "base/duration.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define A SLICE("a")
#define B SLICE("b")

static void a_burst_is_taken_at_once_and_then_the_rate(void **state)
{
    (void)state;
    struct rate_limit *limit = rate_limit_new(100, 1000);
    assert_true(rate_limit_take(limit, A, 600, 0));
    assert_true(rate_limit_take(limit, A, 400, 0));
    assert_false(rate_limit_take(limit, A, 1, 0));
    assert_false(rate_limit_take(limit, A, 101, NS_PER_SECOND));
    assert_true(rate_limit_take(limit, A, 100, NS_PER_SECOND));
    assert_false(rate_limit_take(limit, A, 1, NS_PER_SECOND));
    assert_true(rate_limit_take(limit, A, 1000, 100 * NS_PER_SECOND));
    assert_false(rate_limit_take(limit, A, 1, 100 * NS_PER_SECOND));
    rate_limit_free(limit);
}

static void what_is_refused_takes_nothing(void **state)
{
    (void)state;
    struct rate_limit *limit = rate_limit_new(100, 1000);
    for (int i = 0; i < 100; i++)
        assert_false(rate_limit_take(limit, A, 1001, 0));
    assert_true(rate_limit_take(limit, A, 1000, 0));
    rate_limit_free(limit);
}

static void each_tenant_has_its_own(void **state)
{
    (void)state;
    struct rate_limit *limit = rate_limit_new(1, 10);
    assert_true(rate_limit_take(limit, A, 10, 5));
    assert_false(rate_limit_take(limit, A, 1, 5));
    assert_true(rate_limit_take(limit, B, 10, 5));
    rate_limit_free(limit);
}

static void sizes_beyond_all_reason_are_refused(void **state)
{
    (void)state;
    struct rate_limit *limit = rate_limit_new(1, UINT64_MAX);
    assert_true(rate_limit_take(limit, A, 1000, 0));
    for (int i = 0; i < 100; i++)
        rate_limit_take(limit, A, UINT64_MAX, i);
    assert_true(rate_limit_take(limit, B, 1, INT64_C(1) << 61));
    rate_limit_free(limit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_burst_is_taken_at_once_and_then_the_rate),
        cmocka_unit_test(what_is_refused_takes_nothing),
        cmocka_unit_test(each_tenant_has_its_own),
        cmocka_unit_test(sizes_beyond_all_reason_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
