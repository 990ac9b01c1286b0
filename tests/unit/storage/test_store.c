/* test_store.c - the storage facade: write, read, seal, close, crash, open again. */
#include "store_helpers.h"

static void what_was_written_is_read_back(void **state)
{
    struct fixture *f = *state;
    put_sample(f, "a", T0, 1);
    put_sample(f, "a", T0 + NS_PER_SECOND, 2);
    put_sample(f, "b", T0, 3);
    put_line(f, "x", T0, "one");
    put_line(f, "x", T0 + 5 * NS_PER_MS, "two");
    expect_dump(f, STORE_METRIC,
                "{__name__=\"m\", app=\"a\"}: 0=1 1000=2\n{__name__=\"m\", app=\"b\"}: 0=3\n");
    expect_dump(f, STORE_LOG, "{app=\"x\"}: 0=one 5=two\n");
}

static void a_crash_loses_nothing(void **state)
{
    struct fixture *f = *state;
    put_sample(f, "a", T0, 1);
    put_line(f, "x", T0, "one");
    fixture_crash(f);
    put_sample(f, "a", T0 + NS_PER_SECOND, 2);
    fixture_crash(f);
    put_line(f, "x", T0 + NS_PER_MS, "two");
    expect_dump(f, STORE_METRIC, "{__name__=\"m\", app=\"a\"}: 0=1 1000=2\n");
    expect_dump(f, STORE_LOG, "{app=\"x\"}: 0=one 1=two\n");
    struct store_replay report;
    store_replay_report(f->store, &report);
    assert_int_equal(report.samples, 2);
    assert_int_equal(report.entries, 1);
}

static void sealing_changes_nothing_for_readers(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 100; i++) {
        put_sample(f, "a", T0 + i * 15 * NS_PER_SECOND, i);
        put_line(f, "x", T0 + i * NS_PER_SECOND, "line");
    }
    char *metrics = dump(f, STORE_METRIC);
    char *logs = dump(f, STORE_LOG);
    seal(f);
    expect_dump(f, STORE_METRIC, metrics);
    expect_dump(f, STORE_LOG, logs);
    fixture_crash(f);
    expect_dump(f, STORE_METRIC, metrics);
    expect_dump(f, STORE_LOG, logs);
    struct store_replay report;
    store_replay_report(f->store, &report);
    assert_int_equal(report.samples, 100);
    assert_int_equal(report.skipped, 200);
    fixture_restart(f);
    expect_dump(f, STORE_METRIC, metrics);
    expect_dump(f, STORE_LOG, logs);
    store_replay_report(f->store, &report);
    assert_int_equal(report.samples, 0);
    free(metrics);
    free(logs);
}

static void a_batch_is_sealed_in_part_and_the_rest_replayed(void **state)
{
    struct fixture *f = *state;
    put_sample(f, "a", T0, 1);
    seal(f);
    put_sample(f, "a", T0 + NS_PER_SECOND, 2);
    put_sample(f, "a", T0 - NS_PER_SECOND, 9);
    fixture_crash(f);
    expect_dump(f, STORE_METRIC, "{__name__=\"m\", app=\"a\"}: -1000=9 0=1 1000=2\n");
    seal(f);
    fixture_crash(f);
    expect_dump(f, STORE_METRIC, "{__name__=\"m\", app=\"a\"}: -1000=9 0=1 1000=2\n");
}

static void entries_cross_midnight(void **state)
{
    struct fixture *f = *state;
    int64_t midnight = (T0 / NS_PER_DAY + 1) * NS_PER_DAY;
    f->now_ns = midnight + NS_PER_HOUR;
    for (int i = -2; i < 3; i++) {
        put_sample(f, "a", midnight + i * NS_PER_SECOND, i);
        put_line(f, "x", midnight + i * NS_PER_SECOND, "l");
    }
    char *metrics = dump(f, STORE_METRIC);
    char *logs = dump(f, STORE_LOG);
    fixture_restart(f);
    expect_dump(f, STORE_METRIC, metrics);
    expect_dump(f, STORE_LOG, logs);
    struct store_stats stats;
    store_stats_read(f->store, &stats);
    assert_int_equal(stats.partitions, 4);
    free(metrics);
    free(logs);
}

static void duplicates_and_late_entries_are_decided(void **state)
{
    struct fixture *f = *state;
    put_sample(f, "a", T0, 1);
    struct batch_result result = put_sample(f, "a", T0, 1);
    assert_int_equal(result.stored, 1);
    assert_int_equal(result.refused[REFUSED_DUPLICATE], 0);
    result = put_sample(f, "a", T0, 2);
    assert_int_equal(result.stored, 0);
    assert_int_equal(result.refused[REFUSED_DUPLICATE], 1);
    result = put_sample(f, "a", T0 - 29 * NS_PER_MINUTE, 5);
    assert_int_equal(result.stored, 1);
    result = put_sample(f, "a", T0 - 31 * NS_PER_MINUTE, 5);
    assert_int_equal(result.refused[REFUSED_OUT_OF_ORDER], 1);
    assert_int_equal(result.first[0].bound_ns, T0 - 30 * NS_PER_MINUTE);
    put_line(f, "x", T0, "same");
    put_line(f, "x", T0, "same");
    put_line(f, "x", T0, "other");
    put_line(f, "x", T0 - NS_PER_MINUTE, "late");
    put_line(f, "x", T0 - NS_PER_MINUTE, "late");
    const char *metrics = "{__name__=\"m\", app=\"a\"}: -1740000=5 0=1\n";
    const char *logs = "{app=\"x\"}: -60000=late 0=same 0=other\n";
    expect_dump(f, STORE_METRIC, metrics);
    expect_dump(f, STORE_LOG, logs);
    fixture_crash(f);
    expect_dump(f, STORE_METRIC, metrics);
    expect_dump(f, STORE_LOG, logs);
    seal(f);
    put_line(f, "x", T0, "same");
    expect_dump(f, STORE_LOG, logs);
    fixture_crash(f);
    expect_dump(f, STORE_METRIC, metrics);
    expect_dump(f, STORE_LOG, logs);
}

/* Found by the model test: the third sample was taken for a repeat of the first. */
static void the_last_of_late_samples_at_one_time_stays(void **state)
{
    struct fixture *f = *state;
    put_sample(f, "a", T0, 1);
    put_sample(f, "a", T0 + NS_PER_SECOND, 5);
    put_sample(f, "a", T0, 2);
    expect_dump(f, STORE_METRIC, "{__name__=\"m\", app=\"a\"}: 0=2 1000=5\n");
    put_sample(f, "a", T0, 1);
    const char *expected = "{__name__=\"m\", app=\"a\"}: 0=1 1000=5\n";
    expect_dump(f, STORE_METRIC, expected);
    fixture_crash(f);
    expect_dump(f, STORE_METRIC, expected);
    seal(f);
    expect_dump(f, STORE_METRIC, expected);
}

static void times_out_of_bounds_are_refused_before_the_log(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    struct batch *batch = new_batch(f, STORE_LOG);
    uint32_t series = define(batch, NULL, "x");
    assert_false(
        batch_entry(batch, series, f->now_ns + 11 * NS_PER_MINUTE, SLICE("l"), NULL, 0, &err));
    assert_int_equal(err.code, ERR_INVALID);
    assert_false(batch_entry(batch, series, f->now_ns - 8 * NS_PER_DAY, SLICE("l"), NULL, 0, &err));
    assert_true(batch_entry(batch, series, f->now_ns, SLICE("l"), NULL, 0, &err));
    struct batch_result result = commit(batch);
    assert_int_equal(result.stored, 1);
    assert_int_equal(result.refused[REFUSED_TOO_NEW], 1);
    assert_int_equal(result.refused[REFUSED_TOO_OLD], 1);
}

static void a_producers_repeat_stores_nothing(void **state)
{
    struct fixture *f = *state;
    for (int round = 0; round < 4; round++) {
        struct batch *batch = new_batch(f, STORE_METRIC);
        batch_sample(batch, define(batch, "m", "a"), T0 + round * NS_PER_SECOND, 1, NULL);
        batch_set_producer(batch, SLICE("agent"), 7, 1);
        struct batch_result result = commit(batch);
        assert_int_equal(result.repeated, round > 0);
        if (round == 1)
            fixture_crash(f);
        if (round == 2)
            fixture_restart(f);
    }
    expect_dump(f, STORE_METRIC, "{__name__=\"m\", app=\"a\"}: 0=1\n");
}

static void metadata_survives(void **state)
{
    struct fixture *f = *state;
    for (int round = 0; round < 3; round++) {
        if (round == 0) {
            struct batch *batch = new_batch(f, STORE_METRIC);
            batch_metadata(batch, SLICE("up"), SLICE("gauge"), SLICE("is it"), SLICE(""));
            batch_metadata(batch, SLICE("b"), SLICE("counter"), SLICE("h"), SLICE("s"));
            commit(batch);
        }
        struct error err = {0};
        struct arena *arena = arena_new(1 << 20);
        struct metric_metadata *items;
        size_t count;
        assert_true(store_metadata(f->store, SLICE("t"), (struct slice){NULL, 0}, arena, &items,
                                   &count, &err));
        assert_int_equal(count, 2);
        assert_true(slice_equal(items[0].family, SLICE("b")));
        assert_true(slice_equal(items[1].help, SLICE("is it")));
        arena_free(arena);
        if (round == 0)
            fixture_crash(f);
        else
            fixture_restart(f);
    }
}

static void a_known_series_is_found_by_its_raw_labels(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    struct batch *batch = new_batch(f, STORE_METRIC);
    assert_int_equal(batch_find(batch, 1, SLICE("raw")), -1);
    struct label labels[] = {{SLICE("b"), SLICE("2")}, {SLICE("a"), SLICE("1")}};
    assert_int_equal(batch_define(batch, 1, SLICE("raw"), labels, 2, &err), 0);
    assert_int_equal(batch_find(batch, 1, SLICE("raw")), 1);
    assert_int_equal(batch_find(batch, 2, SLICE("raw")), -1);
    struct labels canonical = batch_labels(batch, 1);
    assert_int_equal(canonical.count, 2);
    assert_true(slice_equal(canonical.items[0].name, SLICE("a")));
    batch_free(batch);
}

static void matchers_select_in_head_and_partition(void **state)
{
    struct fixture *f = *state;
    static const char *const apps[] = {"a", "ab", "b", "c"};
    for (int i = 0; i < 4; i++)
        put_sample(f, apps[i], T0, i);
    static const struct {
        enum matcher_type type;
        const char *name, *value, *expected;
    } cases[] = {
        {MATCH_EQUAL, "app", "a", "a "},
        {MATCH_NOT_EQUAL, "app", "a", "ab b c "},
        {MATCH_REGEX, "app", "a.*", "a ab "},
        {MATCH_NOT_REGEX, "app", "a.*", "b c "},
        {MATCH_REGEX, "app", "a|c|zz", "a c "},
        {MATCH_NOT_REGEX, "app", "a|c", "ab b "},
        {MATCH_EQUAL, "none", "", "a ab b c "},
        {MATCH_NOT_EQUAL, "none", "", ""},
        {MATCH_REGEX, "none", "x?", "a ab b c "},
        {MATCH_REGEX, "app", "b|", "b "},
        {MATCH_EQUAL, "app", "", ""},
        {MATCH_NOT_EQUAL, "app", "", "a ab b c "},
    };
    for (int sealed = 0; sealed < 2; sealed++) {
        for (size_t i = 0; i < COUNT_OF(cases); i++) {
            struct error err = {0};
            struct matcher m;
            assert_true(matcher_init(&m, cases[i].type, slice_from_text(cases[i].name),
                                     slice_from_text(cases[i].value), &err));
            struct cursor_request request = {.tenant = SLICE("t"),
                                             .kind = STORE_METRIC,
                                             .matchers = &m,
                                             .matcher_count = 1,
                                             .start_ns = INT64_MIN,
                                             .end_ns = INT64_MAX};
            struct cursor *cursor = cursor_open(f->store, &request, &err);
            assert_non_null(cursor);
            char text[64] = "";
            size_t size = 0;
            for (size_t k = 0; k < cursor_series_count(cursor); k++) {
                struct slice app = labels_get(cursor_labels(cursor, k), SLICE("app"));
                size += (size_t)snprintf(text + size, sizeof(text) - size, "%.*s ", SLICE_ARG(app));
            }
            assert_string_equal(text, cases[i].expected);
            cursor_close(cursor);
            matcher_done(&m);
        }
        if (sealed == 0)
            fixture_restart(f);
    }
}

static void names_come_from_head_and_partition(void **state)
{
    struct fixture *f = *state;
    put_sample(f, "old", T0, 1);
    seal(f);
    put_sample(f, "new", T0, 1);
    struct error err = {0};
    struct arena *arena = arena_new(1 << 20);
    struct names_request request = {.tenant = SLICE("t"),
                                    .kind = STORE_METRIC,
                                    .start_ns = T0 - NS_PER_HOUR,
                                    .end_ns = T0 + NS_PER_HOUR};
    struct slice *names;
    size_t count;
    bool truncated;
    assert_true(store_names(f->store, &request, arena, &names, &count, &truncated, &err));
    assert_int_equal(count, 2);
    assert_true(slice_equal(names[0], SLICE("__name__")));
    request.label = SLICE("app");
    assert_true(store_names(f->store, &request, arena, &names, &count, &truncated, &err));
    assert_int_equal(count, 2);
    assert_true(slice_equal(names[0], SLICE("new")));
    assert_false(truncated);
    request.limit = 1;
    assert_true(store_names(f->store, &request, arena, &names, &count, &truncated, &err));
    assert_int_equal(count, 1);
    assert_true(truncated);
    arena_free(arena);
}

static void backward_streams_reverse_the_order(void **state)
{
    struct fixture *f = *state;
    put_line(f, "x", T0, "1");
    put_line(f, "x", T0, "2");
    seal(f);
    put_line(f, "x", T0 + NS_PER_MS, "3");
    put_line(f, "x", T0 + NS_PER_MS, "4");
    char *text = dump_range(f, STORE_LOG, NULL, 0, T0, T0 + NS_PER_SECOND, true);
    assert_string_equal(text, "{app=\"x\"}: 1=4 1=3 0=2 0=1\n");
    free(text);
}

static void a_second_store_is_refused(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    assert_null(store_open(&f->options, &err));
    assert_int_equal(err.code, ERR_BUSY);
    assert_non_null(strstr(err.message, "in use by process"));
}

static void tenants_do_not_see_each_other(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    put_sample(f, "a", T0, 1);
    struct cursor_request request = {
        .tenant = SLICE("other"), .kind = STORE_METRIC, .start_ns = INT64_MIN, .end_ns = INT64_MAX};
    struct cursor *cursor = cursor_open(f->store, &request, &err);
    assert_non_null(cursor);
    assert_int_equal(cursor_series_count(cursor), 0);
    cursor_close(cursor);
    assert_null(batch_new(f->store, SLICE("a/b"), STORE_METRIC, &err));
    assert_int_equal(err.code, ERR_INVALID);
}

/* The last sample until `end_ns`, of series `app`, read with and without CURSOR_LAST. */
static void check_last(struct fixture *f, int64_t end_ns, double expected)
{
    struct error err = {0};
    for (unsigned more = 0; more <= CURSOR_LAST; more += CURSOR_LAST) {
        struct sample_column column;
        struct cursor_request request = {.tenant = SLICE("t"),
                                         .kind = STORE_METRIC,
                                         .start_ns = T0 - NS_PER_HOUR,
                                         .end_ns = end_ns,
                                         .projection = CURSOR_TIMES | CURSOR_VALUES | more};
        struct cursor *cursor = cursor_open(f->store, &request, &err);
        assert_non_null(cursor);
        struct cursor_reader *reader = cursor_reader_new(cursor);
        assert_int_equal(cursor_series_count(cursor), 1);
        assert_true(cursor_read_samples(reader, 0, &column, &err));
        assert_true(column.count > 0);
        assert_true(column.values[column.count - 1] == expected);
        cursor_reader_free(reader);
        cursor_close(cursor);
    }
}

static void the_last_sample_is_the_same_however_it_is_read(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 10; i++)
        put_sample(f, "a", T0 + i * NS_PER_SECOND, i);
    check_last(f, T0 + NS_PER_HOUR, 9);
    check_last(f, T0 + 9 * NS_PER_SECOND, 9);
    check_last(f, T0 + 8 * NS_PER_SECOND, 8);
    put_sample(f, "a", T0 + 8500 * NS_PER_MS, 85); /* late */
    check_last(f, T0 + 9 * NS_PER_SECOND, 9);
    check_last(f, T0 + 8900 * NS_PER_MS, 85);
    seal(f);
    check_last(f, T0 + NS_PER_HOUR, 9);
    put_sample(f, "a", T0 + 20 * NS_PER_SECOND, 20);
    check_last(f, T0 + NS_PER_HOUR, 20);
    check_last(f, T0 + 19 * NS_PER_SECOND, 9);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(what_was_written_is_read_back),
        TEST(a_crash_loses_nothing),
        TEST(sealing_changes_nothing_for_readers),
        TEST(a_batch_is_sealed_in_part_and_the_rest_replayed),
        TEST(entries_cross_midnight),
        TEST(duplicates_and_late_entries_are_decided),
        TEST(the_last_of_late_samples_at_one_time_stays),
        TEST(times_out_of_bounds_are_refused_before_the_log),
        TEST(a_producers_repeat_stores_nothing),
        TEST(metadata_survives),
        TEST(a_known_series_is_found_by_its_raw_labels),
        TEST(matchers_select_in_head_and_partition),
        TEST(names_come_from_head_and_partition),
        TEST(backward_streams_reverse_the_order),
        TEST(a_second_store_is_refused),
        TEST(tenants_do_not_see_each_other),
        TEST(the_last_sample_is_the_same_however_it_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
