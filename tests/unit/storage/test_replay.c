/*
 * test_replay.c - the head is a function of the log.
 *
 * Random batches, crashes, seals and restarts; after each of the latter readers
 * must see exactly what they saw before, and decisions must go on as if nothing
 * had happened.
 */
#include "store_helpers.h"

enum { STEPS = 250, SEEDS = 6 };

static uint64_t random_state;

static uint32_t random_below(uint32_t bound)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (uint32_t)(random_state >> 33) % bound;
}

static const char *const apps[] = {"a", "b", "c", "d", "e"};

/* Mostly ahead, sometimes the same time again, sometimes late, rarely too late. */
static int64_t random_time(int64_t now)
{
    switch (random_below(10)) {
    case 0:
        return now - random_below(1000) * NS_PER_SECOND;
    case 1:
        return now;
    case 2:
        return now - (2000 + random_below(4000)) * NS_PER_SECOND;
    default:
        return now + random_below(4) * NS_PER_SECOND;
    }
}

/* A histogram, or a float with a start time; sometimes the same again. */
static void random_rich(struct batch *batch, uint32_t series, int64_t time_ns)
{
    static const struct histogram_span spans[] = {{-2, 2}, {3, 1}};
    double counts[] = {random_below(3), 1, random_below(2)};
    int64_t start_ns = random_below(2) ? T0 - NS_PER_HOUR : 0;
    struct histogram h = {.schema = (int32_t)random_below(2),
                          .hint = (enum counter_reset_hint)random_below(4),
                          .count = counts[0] + counts[1] + counts[2],
                          .sum = 3,
                          .positive = {spans, 2, counts, 3}};
    if (random_below(3) == 0)
        batch_sample_start(batch, series, time_ns, start_ns, random_below(3), NULL);
    else
        batch_histogram(batch, series, time_ns, start_ns, &h, NULL);
}

static void random_batch(struct fixture *f, int64_t now)
{
    static const char *const lines[] = {"", "x", "yy", "a longer line"};
    enum store_kind kind = random_below(2) ? STORE_METRIC : STORE_LOG;
    struct batch *batch = new_batch(f, kind);
    uint32_t count = 1 + random_below(20);
    bool rich = random_below(3) == 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t series = define(batch, kind == STORE_METRIC ? "m" : NULL, apps[random_below(5)]);
        if (kind == STORE_METRIC && rich && random_below(3) == 0) {
            random_rich(batch, series, random_time(now));
        } else if (kind == STORE_METRIC) {
            batch_sample(batch, series, random_time(now), random_below(3), NULL);
        } else {
            struct label metadata[] = {{SLICE("k"), SLICE("v")}, {SLICE("b"), SLICE("1")}};
            batch_entry(batch, series, random_time(now), slice_from_text(lines[random_below(4)]),
                        metadata, random_below(3), NULL);
        }
    }
    commit(batch);
}

static void disturb(struct fixture *f)
{
    char *metrics = dump(f, STORE_METRIC);
    char *logs = dump(f, STORE_LOG);
    switch (random_below(4)) {
    case 0:
        seal(f);
        break;
    case 1:
        fixture_restart(f);
        break;
    default:
        fixture_crash(f);
    }
    expect_dump(f, STORE_METRIC, metrics);
    expect_dump(f, STORE_LOG, logs);
    free(metrics);
    free(logs);
}

static void readers_see_the_same_after_replay_and_sealing(void **state)
{
    struct fixture *f = *state;
    f->options.wal_segment_size = 8192;
    f->options.past_ns[STORE_LOG] = -1;
    f->options.future_ns = -1;
    fixture_restart(f);
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        random_state = seed * UINT64_C(0x9e3779b97f4a7c15);
        int64_t now =
            T0 + (int64_t)seed * 2 * NS_PER_HOUR; /* seed 1 ends before, 2 after midnight */
        for (int step = 0; step < STEPS; step++) {
            now += random_below(30) * NS_PER_SECOND;
            if (random_below(20) == 0)
                disturb(f);
            else
                random_batch(f, now);
        }
    }
}

/* Two stores get the same batches; one of them crashes all the time. */
static void decisions_do_not_depend_on_crashes(void **state)
{
    struct fixture *f = *state;
    struct fixture *other;
    fixture_setup((void **)&other);
    for (int i = 0; i < 300; i++) {
        random_state = (uint64_t)i * 77 + 5;
        random_below(2);
        int64_t time = T0 + random_below(600) * 10 * NS_PER_SECOND;
        double value = random_below(2);
        struct batch_result a = put_sample(f, "a", time, value);
        struct batch_result b = put_sample(other, "a", time, value);
        assert_int_equal(a.stored, b.stored);
        assert_memory_equal(a.refused, b.refused, sizeof(a.refused));
        if (i % 7 == 0)
            fixture_crash(f);
        if (i % 31 == 0)
            seal(f);
    }
    char *expected = dump(other, STORE_METRIC);
    expect_dump(f, STORE_METRIC, expected);
    free(expected);
    fixture_teardown((void **)&other);
}

static void values_keep_their_bits(void **state)
{
    struct fixture *f = *state;
    static const uint64_t bits[] = {0x7ff0000000000002,
                                    0x8000000000000000,
                                    0x7ff0000000000000,
                                    0xfff0000000000000,
                                    1,
                                    0x7ff8000000000001,
                                    0x3ff0000000000000,
                                    0x7fefffffffffffff,
                                    0};
    for (size_t i = 0; i < COUNT_OF(bits); i++) {
        double value;
        memcpy(&value, &bits[i], sizeof(value));
        put_sample(f, "a", T0 + (int64_t)i * NS_PER_SECOND, value);
    }
    for (int round = 0; round < 3; round++) {
        struct error err = {0};
        struct cursor_request request = {
            .tenant = SLICE("t"), .kind = STORE_METRIC, .start_ns = T0, .end_ns = T0 + NS_PER_HOUR};
        struct cursor *cursor = cursor_open(f->store, &request, &err);
        struct cursor_reader *reader = cursor_reader_new(cursor);
        struct sample_column column;
        assert_true(cursor_read_samples(reader, 0, &column, &err));
        assert_int_equal(column.count, COUNT_OF(bits));
        assert_memory_equal(column.values, bits, sizeof(bits));
        cursor_reader_free(reader);
        cursor_close(cursor);
        if (round == 0)
            fixture_crash(f);
        else
            fixture_restart(f);
    }
}

/* ---- many small tenants --------------------------------------------------- */

static void closing_leaves_small_tenants_to_the_log_when_there_are_many(void **state)
{
    struct fixture *f = *state;
    enum { TENANTS_MANY = 300 };
    f->options.close_seal_ns = 1; /* over before the first */
    fixture_restart(f);
    struct error err = {0};
    char name[32];
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < TENANTS_MANY; i++) {
            snprintf(name, sizeof(name), "tenant-%d", i);
            struct batch *batch = batch_new(f->store, slice_from_text(name), STORE_METRIC, &err);
            assert_non_null(batch);
            int64_t series = define(batch, "m", "a");
            assert_true(batch_sample(batch, (uint32_t)series, T0 + round * NS_PER_SECOND,
                                     i * 10 + round, &err));
            assert_true(batch_commit_wait(batch, NULL, &err));
        }
        fixture_restart(f);
        struct store_replay report;
        store_replay_report(f->store, &report);
        assert_int_equal(report.samples, (round + 1) * TENANTS_MANY);
    }
    f->options.close_seal_ns = 0;
    fixture_restart(f); /* what was opened with the short budget keeps it */
    fixture_restart(f);
    struct store_replay report;
    store_replay_report(f->store, &report);
    assert_int_equal(report.samples, 0);
    for (int i = 0; i < TENANTS_MANY; i += 37) {
        snprintf(name, sizeof(name), "tenant-%d", i);
        struct cursor_request request = {.tenant = slice_from_text(name),
                                         .kind = STORE_METRIC,
                                         .start_ns = INT64_MIN,
                                         .end_ns = INT64_MAX,
                                         .projection = CURSOR_TIMES | CURSOR_VALUES};
        struct cursor *cursor = cursor_open(f->store, &request, &err);
        assert_non_null(cursor);
        struct cursor_reader *reader = cursor_reader_new(cursor);
        struct sample_column column;
        assert_int_equal(cursor_series_count(cursor), 1);
        assert_true(cursor_read_samples(reader, 0, &column, &err));
        assert_int_equal(column.count, 3);
        for (size_t k = 0; k < 3; k++)
            assert_true(column.values[k] == (double)(i * 10) + (double)k);
        cursor_reader_free(reader);
        cursor_close(cursor);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(readers_see_the_same_after_replay_and_sealing),
        TEST(decisions_do_not_depend_on_crashes),
        TEST(values_keep_their_bits),
        TEST(closing_leaves_small_tenants_to_the_log_when_there_are_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
