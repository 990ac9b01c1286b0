/* Retention by total size: the oldest days of all tenants and kinds go, today's never. */
#include "store_helpers.h"

static uint64_t partitions(struct fixture *f, uint64_t *bytes)
{
    struct store_stats stats;
    store_stats_read(f->store, &stats);
    *bytes = stats.partition_bytes;
    return stats.partitions;
}

/* A day's sample and line, sealed, `age` days before `now_ns`. */
static void put_day(struct fixture *f, int64_t age)
{
    int64_t time = T0 - age * NS_PER_DAY;
    f->now_ns = time + NS_PER_SECOND;
    put_sample(f, "a", time, (double)age);
    put_line(f, "a", time, "line");
    seal(f);
}

static void retain(struct fixture *f)
{
    struct error err = {0};
    if (!store_retention(f->store, &err))
        fail_msg("store_retention: %s", err.message);
}

static void reopen_with_limit(struct fixture *f, uint64_t size)
{
    struct error err = {0};
    assert_true(store_close(f->store, &err));
    f->options.retention_size = size;
    fixture_open(f);
}

static void over_the_total_size_the_oldest_days_go(void **state)
{
    struct fixture *f = *state;
    uint64_t all, bytes;
    for (int64_t age = 4; age >= 0; age--)
        put_day(f, age);
    assert_int_equal(partitions(f, &all), 10);
    reopen_with_limit(f, all);
    retain(f);
    assert_int_equal(partitions(f, &bytes), 10); /* not over it */
    reopen_with_limit(f, all - 1);
    retain(f);
    assert_int_equal(partitions(f, &bytes), 9);
    reopen_with_limit(f, all / 2);
    retain(f);
    assert_true(partitions(f, &bytes) <= 5);
    assert_true(bytes <= all / 2);
}

static void today_and_the_newest_day_stay(void **state)
{
    struct fixture *f = *state;
    uint64_t bytes;
    for (int64_t age = 2; age >= 0; age--)
        put_day(f, age);
    reopen_with_limit(f, 1);
    f->now_ns = T0 - 2 * NS_PER_DAY; /* a clock that is behind deletes less */
    retain(f);
    assert_int_equal(partitions(f, &bytes), 6);
    f->now_ns = T0 + 100 * NS_PER_DAY; /* one that is ahead not everything */
    retain(f);
    assert_int_equal(partitions(f, &bytes), 2);
    expect_dump(f, STORE_METRIC, "{__name__=\"m\", app=\"a\"}: 0=0\n");
    expect_dump(f, STORE_LOG, "{app=\"a\"}: 0=line\n");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(over_the_total_size_the_oldest_days_go),
        TEST(today_and_the_newest_day_stay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
