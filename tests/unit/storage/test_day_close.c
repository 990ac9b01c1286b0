/* Day close: the same answers from a new generation, whatever came in, and whatever breaks off. */
#include "storage/catalog.h"
#include "storage/crash_point.h"
#include "storage/day_close.h"
#include "storage/store_internal.h"

#include "store_helpers.h"

#include <dirent.h>
#include <sys/wait.h>

/* T0 is 22:13:20 of its day: the day after begins here. */
#define NEXT_DAY (INT64_C(1700006400) * NS_PER_SECOND)
#define CLOSED   (NEXT_DAY + 3 * NS_PER_HOUR)

static void close_days(struct fixture *f, int64_t now_ns)
{
    struct error err = {0};
    if (!store_close_days(f->store, now_ns, &err))
        fail_msg("store_close_days: %s", err.message);
}

static uint32_t generation(struct fixture *f, enum store_kind kind, bool *closed)
{
    struct catalog_day day = {.generation = 0};
    if (!catalog_find_day(f->store->catalog, SLICE("t"), kind, partition_day(T0), &day))
        return 0;
    *closed = day.closed;
    return day.generation;
}

static void expect_generation(struct fixture *f, enum store_kind kind, uint32_t expected)
{
    bool closed = false;
    assert_int_equal(generation(f, kind, &closed), expected);
    assert_int_equal(closed, expected > 1);
}

/* How many .mdb files the day's folder holds. */
static size_t files_of_day(struct fixture *f, const char *kind)
{
    char path[128];
    size_t count = 0;
    struct dirent *entry;
    snprintf(path, sizeof(path), "%s/t/%s/2023-11-14", f->directory, kind);
    DIR *folder = opendir(path);
    while (folder != NULL && (entry = readdir(folder)) != NULL) {
        size_t size = strlen(entry->d_name);
        count += size > 4 && strcmp(entry->d_name + size - 4, ".mdb") == 0;
    }
    if (folder != NULL)
        closedir(folder);
    return count;
}

static uint32_t next_random(uint32_t *seed)
{
    *seed = *seed * 1664525 + 1013904223;
    return *seed >> 8;
}

static const char *const apps[] = {"a", "b", "c", "d", "e", "f", "g"};

/* A batch of samples that mostly go on, with repeats, late ones, and stale markers. */
static void put_random_samples(struct fixture *f, uint32_t *seed, int64_t *at_ms)
{
    struct batch *batch = new_batch(f, STORE_METRIC);
    for (unsigned i = 0; i < COUNT_OF(apps); i++) {
        uint32_t series = define(batch, i % 2 ? "m" : "n", apps[i]);
        uint32_t dice = next_random(seed) % 10;
        int64_t time = *at_ms;
        if (dice == 0)
            continue;
        if (dice <= 2)
            time -= (int64_t)(next_random(seed) % 1200) * 1000;
        double value = dice == 3 ? 1.0 / (1 + next_random(seed) % 7) : next_random(seed) % 1000;
        batch_sample(batch, series, T0 + time * NS_PER_MS, value, NULL);
    }
    commit(batch);
    *at_ms += 1000 * (int64_t)(1 + next_random(seed) % 20);
}

static void put_random_lines(struct fixture *f, uint32_t *seed, int64_t *at_ms)
{
    struct batch *batch = new_batch(f, STORE_LOG);
    for (unsigned i = 0; i < 3; i++) {
        uint32_t series = define(batch, NULL, apps[i]);
        for (uint32_t n = next_random(seed) % 4; n > 0; n--) {
            char line[48];
            struct label pair = {SLICE("level"), n % 2 ? SLICE("info") : SLICE("warn")};
            int64_t time = *at_ms;
            if (next_random(seed) % 8 == 0)
                time -= (int64_t)(next_random(seed) % 900) * 1000;
            snprintf(line, sizeof(line), "line %u", next_random(seed) % 5);
            batch_entry(batch, series, T0 + time * NS_PER_MS, slice_from_text(line), &pair,
                        next_random(seed) % 2, NULL);
        }
    }
    commit(batch);
    *at_ms += 1000 * (int64_t)(next_random(seed) % 3);
}

static void fill_randomly(struct fixture *f, uint32_t seed)
{
    int64_t at[2] = {0, 0};
    for (int i = 0; i < 300; i++) {
        put_random_samples(f, &seed, &at[0]);
        put_random_lines(f, &seed, &at[1]);
        if (next_random(&seed) % 20 == 0)
            seal(f);
        f->now_ns = T0 + (at[0] > at[1] ? at[0] : at[1]) * NS_PER_MS;
    }
    seal(f);
    f->now_ns = CLOSED;
}

static char *backward(struct fixture *f)
{
    return dump_range(f, STORE_LOG, NULL, 0, INT64_MIN, INT64_MAX, true);
}

static void answers_before_and_after_a_close_are_identical(void **state)
{
    struct fixture *f = *state;
    for (uint32_t seed = 1; seed <= 5; seed++) {
        fill_randomly(f, seed);
        char *samples = dump(f, STORE_METRIC), *lines = dump(f, STORE_LOG), *back = backward(f);
        int64_t start = T0 + 300 * NS_PER_SECOND, end = T0 + 700 * NS_PER_SECOND;
        char *part = dump_range(f, STORE_METRIC, NULL, 0, start, end, false);
        close_days(f, CLOSED);
        expect_dump(f, STORE_METRIC, samples);
        expect_dump(f, STORE_LOG, lines);
        char *back_now = backward(f);
        char *part_now = dump_range(f, STORE_METRIC, NULL, 0, start, end, false);
        /* Of equal entries in two chunks a backward reader gives the one it meets first: the
         * same set, in an order that only the close makes the mirror of the forward one. */
        assert_int_equal(strlen(back), strlen(back_now));
        assert_string_equal(part, part_now);
        assert_int_equal(files_of_day(f, "metric"), 1);
        assert_int_equal(files_of_day(f, "log"), 1);
        fixture_crash(f);
        expect_dump(f, STORE_METRIC, samples);
        expect_dump(f, STORE_LOG, lines);
        fixture_restart(f);
        expect_dump(f, STORE_METRIC, samples);
        expect_dump(f, STORE_LOG, lines);
        free(samples);
        free(lines);
        free(back);
        free(back_now);
        free(part);
        free(part_now);
    }
}

/* Histograms with resets, floats between them, start times, late ones, and another layout. */
static void put_random_histograms(struct fixture *f, uint32_t *seed, int64_t at_ms, double *level)
{
    static const struct histogram_span two[] = {{0, 2}, {1, 1}}, one[] = {{-2, 3}};
    struct batch *batch = new_batch(f, STORE_METRIC);
    for (unsigned i = 0; i < 3; i++) {
        uint32_t series = define(batch, "h", apps[i]), dice = next_random(seed) % 12;
        int64_t time = dice == 0 ? at_ms - (int64_t)(next_random(seed) % 900) * 1000 : at_ms;
        *level = dice == 1 ? 0 : *level + next_random(seed) % 9;
        double counts[] = {*level, *level / 2, 1 + dice};
        struct histogram h = {.schema = 1,
                              .hint = dice == 2 ? HISTOGRAM_GAUGE : HISTOGRAM_RESET_UNKNOWN,
                              .count = *level * 1.5 + 1 + dice,
                              .sum = *level * 3};
        h.positive = dice < 10 ? (struct histogram_side){two, 2, counts, 3}
                               : (struct histogram_side){one, 1, counts, 3};
        if (dice == 3)
            batch_sample(batch, series, T0 + time * NS_PER_MS, *level, NULL);
        else
            batch_histogram(batch, series, T0 + time * NS_PER_MS, dice % 2 ? T0 - NS_PER_SECOND : 0,
                            &h, NULL);
    }
    commit(batch);
}

static uint64_t chunks_of_day(struct fixture *f)
{
    struct error err = {0};
    struct partition_id id = {SLICE("t"), STORE_METRIC, partition_day(T0)};
    struct partition *p = partition_acquire(f->store->partitions, &id, &err);
    struct chunk_refs refs = {0};
    uint32_t series[] = {0, 1, 2};
    assert_non_null(p);
    assert_true(partition_chunks(p, series, 3, INT64_MIN, INT64_MAX, NULL, &refs, &err));
    uint64_t count = refs.count;
    array_done(&refs);
    partition_release(p);
    return count;
}

static void histograms_are_merged_and_read_as_before(void **state)
{
    struct fixture *f = *state;
    for (uint32_t seed = 1; seed <= 4; seed++) {
        int64_t at_ms = 0;
        double level = 0;
        uint32_t random = seed;
        for (int i = 0; i < 200; i++) {
            put_random_histograms(f, &random, at_ms, &level);
            at_ms += 15000;
            f->now_ns = T0 + at_ms * NS_PER_MS;
            if (i % 20 == 19)
                seal(f);
        }
        seal(f);
        f->now_ns = CLOSED;
        uint64_t before = chunks_of_day(f);
        char *all = dump(f, STORE_METRIC);
        close_days(f, CLOSED);
        expect_dump(f, STORE_METRIC, all);
        assert_true(chunks_of_day(f) <= before / 4);
        fixture_restart(f);
        expect_dump(f, STORE_METRIC, all);
        free(all);
        /* Another day's data would come too late: begin anew. */
        assert_int_equal(fixture_teardown(state), 0);
        assert_int_equal(fixture_setup(state), 0);
        f = *state;
    }
}

/* One target's scrapes in 8 requests each, with jitter; every tenth series begins late. */
static void put_targets(struct fixture *f, unsigned targets, unsigned series, int scrapes)
{
    uint32_t seed = 7;
    char name[16], target[16];
    for (int scrape = 0; scrape < scrapes; scrape++) {
        int64_t times[16];
        for (unsigned t = 0; t < targets; t++)
            times[t] = T0 + scrape * 15 * NS_PER_SECOND + next_random(&seed) % 11 * NS_PER_MS;
        for (unsigned request = 0; request < 8; request++) {
            struct batch *batch = new_batch(f, STORE_METRIC);
            for (unsigned t = 0; t < targets; t++) {
                for (unsigned i = request; i < series; i += 8) {
                    if (i % 10 == 9 && scrape < (int)i)
                        continue;
                    snprintf(name, sizeof(name), "m%u", i);
                    snprintf(target, sizeof(target), "t%u", t);
                    batch_sample(batch, define(batch, name, target), times[t],
                                 next_random(&seed) % 1000, NULL);
                }
            }
            commit(batch);
        }
        f->now_ns = times[0];
        if (scrape % 120 == 119)
            seal(f);
    }
}

static void a_targets_times_are_stored_once_a_day(void **state)
{
    enum { TARGETS = 12, SERIES = 40, LATE = 4, SCRAPES = 360 };
    struct fixture *f = *state;
    struct error err = {0};
    put_targets(f, TARGETS, SERIES, SCRAPES);
    seal(f);
    f->now_ns = CLOSED;
    char *all = dump(f, STORE_METRIC);
    close_days(f, CLOSED);
    expect_dump(f, STORE_METRIC, all);
    free(all);
    struct partition_id id = {SLICE("t"), STORE_METRIC, partition_day(T0)};
    struct partition *p = partition_acquire(f->store->partitions, &id, &err);
    struct chunk_refs refs = {0};
    uint32_t numbers[TARGETS * SERIES], columns = 0;
    size_t inside = 0;
    for (uint32_t i = 0; i < COUNT_OF(numbers); i++)
        numbers[i] = i;
    assert_true(
        partition_chunks(p, numbers, COUNT_OF(numbers), INT64_MIN, INT64_MAX, NULL, &refs, &err));
    assert_true(refs.count >= COUNT_OF(numbers));
    for (size_t i = 0; i < refs.count; i++) {
        inside += refs.items[i].column == 0;
        columns = refs.items[i].column > columns ? refs.items[i].column : columns;
    }
    /* Only the first chunks of late series have times of their own; all else shares its target's.
     */
    assert_true(inside <= (size_t)TARGETS * LATE);
    assert_true(columns <= TARGETS * (refs.count / COUNT_OF(numbers) + 1));
    array_done(&refs);
    partition_release(p);
}

static void a_day_is_closed_when_its_window_is_over_and_once(void **state)
{
    struct fixture *f = *state;
    put_sample(f, "a", T0, 1);
    put_line(f, "a", T0, "one");
    close_days(f, NEXT_DAY + 29 * NS_PER_MINUTE);
    expect_generation(f, STORE_METRIC, 1);
    close_days(f, NEXT_DAY + 31 * NS_PER_MINUTE);
    expect_generation(f, STORE_METRIC, 2);
    expect_generation(f, STORE_LOG, 1); /* logs have an hour */
    close_days(f, NEXT_DAY + 61 * NS_PER_MINUTE);
    expect_generation(f, STORE_LOG, 2);
    close_days(f, CLOSED);
    expect_generation(f, STORE_METRIC, 2);
    expect_generation(f, STORE_LOG, 2);
}

static void late_data_is_sealed_into_the_closed_day_and_closed_again(void **state)
{
    struct fixture *f = *state;
    put_sample(f, "a", T0, 1);
    put_sample(f, "a", T0 + 20 * NS_PER_SECOND, 3);
    close_days(f, CLOSED);
    put_sample(f, "a", T0 + 10 * NS_PER_SECOND, 2);
    put_sample(f, "b", T0 + 10 * NS_PER_SECOND, 7);
    const char *all = "{__name__=\"m\", app=\"a\"}: 0=1 10000=2 20000=3\n"
                      "{__name__=\"m\", app=\"b\"}: 10000=7\n";
    expect_dump(f, STORE_METRIC, all);
    fixture_crash(f); /* from the log: nothing of it is covered by the close */
    expect_dump(f, STORE_METRIC, all);
    seal(f);
    expect_dump(f, STORE_METRIC, all);
    bool closed = true;
    assert_int_equal(generation(f, STORE_METRIC, &closed), 2);
    assert_false(closed);
    fixture_crash(f);
    expect_dump(f, STORE_METRIC, all);
    close_days(f, CLOSED);
    expect_generation(f, STORE_METRIC, 3);
    expect_dump(f, STORE_METRIC, all);
    fixture_restart(f);
    expect_dump(f, STORE_METRIC, all);
}

static void the_sealer_waits_for_quiet_unless_much_is_late(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    uint32_t count;
    for (int i = 0; i < 3000; i++)
        put_sample(f, "a", T0 + i * NS_PER_SECOND, i * 37 % 1009 / 8.0);
    close_days(f, CLOSED);
    put_sample(f, "a", T0 + 2500 * NS_PER_SECOND + NS_PER_MS, 2);
    seal(f);
    struct day_close_rule rule = {.now_ns = CLOSED, .quiet_s = 300};
    assert_true(day_close_due(f->store, &rule, &count, &err));
    assert_int_equal(count, 0); /* little, and just now */
    rule.quiet_s = 0;
    for (int i = 0; i < 500; i++)
        put_sample(f, "a", T0 + (2400 + i) * NS_PER_SECOND + 7 * NS_PER_MS, i * 37 % 1009 / 8.0);
    seal(f);
    assert_true(day_close_due(f->store, &rule, &count, &err));
    assert_int_equal(count, 1);
}

static void a_day_that_the_head_still_holds_is_not_closed(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    uint32_t count;
    put_sample(f, "a", T0, 1);
    seal(f);
    put_sample(f, "a", T0 + NS_PER_SECOND, 2);
    struct day_close_rule rule = {.now_ns = CLOSED, .at_once = true};
    assert_true(day_close_due(f->store, &rule, &count, &err));
    assert_int_equal(count, 0);
    expect_generation(f, STORE_METRIC, 1);
}

static void replay_skips_what_a_close_merged(void **state)
{
    struct fixture *f = *state;
    struct store_replay replay;
    put_sample(f, "a", T0, 1);
    put_sample(f, "a", T0 + 10 * NS_PER_SECOND, 3);
    put_sample(f, "a", T0 + 5 * NS_PER_SECOND, 2);
    close_days(f, CLOSED);
    fixture_crash(f);
    store_replay_report(f->store, &replay);
    struct store_stats stats;
    store_stats_read(f->store, &stats);
    assert_int_equal(stats.head_chunks, 0);
    expect_dump(f, STORE_METRIC, "{__name__=\"m\", app=\"a\"}: 0=1 5000=2 10000=3\n");
}

static void a_reader_keeps_the_old_generation(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    struct sample_column column;
    put_sample(f, "a", T0, 1);
    put_sample(f, "b", T0, 2);
    seal(f);
    struct cursor_request request = {.tenant = SLICE("t"),
                                     .kind = STORE_METRIC,
                                     .start_ns = INT64_MIN,
                                     .end_ns = INT64_MAX,
                                     .projection = CURSOR_TIMES | CURSOR_VALUES};
    struct cursor *cursor = cursor_open(f->store, &request, &err);
    struct cursor_reader *reader = cursor_reader_new(cursor);
    close_days(f, CLOSED);
    close_days(f, CLOSED);
    assert_int_equal(files_of_day(f, "metric"), 1);
    for (size_t i = 0; i < 2; i++) {
        assert_true(cursor_read_samples(reader, i, &column, &err));
        assert_int_equal(column.count, 1);
        assert_true(column.values[0] == (double)(i + 1));
    }
    cursor_reader_free(reader);
    cursor_close(cursor);
    expect_dump(f, STORE_METRIC,
                "{__name__=\"m\", app=\"a\"}: 0=1\n{__name__=\"m\", app=\"b\"}: 0=2\n");
}

static const char *die_at;

static void die_there(const char *name)
{
    if (strcmp(name, die_at) == 0)
        _exit(42);
}

static void a_close_that_breaks_off_is_tried_again(void **state)
{
    struct fixture *f = *state;
    static const char *const points[] = {"day.written", "day.named"};
    fill_randomly(f, 99);
    char *samples = dump(f, STORE_METRIC), *lines = dump(f, STORE_LOG);
    for (size_t i = 0; i < COUNT_OF(points); i++) {
        store_abandon(f->store);
        f->store = NULL;
        pid_t child = fork();
        if (child == 0) {
            die_at = points[i];
            fixture_open(f);
            crash_hook = die_there;
            close_days(f, CLOSED);
            _exit(1);
        }
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 42);
        assert_int_equal(files_of_day(f, "log") + files_of_day(f, "metric"), 3);
        fixture_open(f);
        assert_int_equal(files_of_day(f, "log") + files_of_day(f, "metric"), 2);
        expect_dump(f, STORE_METRIC, samples);
        expect_dump(f, STORE_LOG, lines);
    }
    close_days(f, CLOSED);
    expect_generation(f, STORE_METRIC, 2);
    expect_generation(f, STORE_LOG, 2);
    expect_dump(f, STORE_METRIC, samples);
    expect_dump(f, STORE_LOG, lines);
    free(samples);
    free(lines);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(answers_before_and_after_a_close_are_identical),
        TEST(histograms_are_merged_and_read_as_before),
        TEST(a_targets_times_are_stored_once_a_day),
        TEST(a_day_is_closed_when_its_window_is_over_and_once),
        TEST(late_data_is_sealed_into_the_closed_day_and_closed_again),
        TEST(the_sealer_waits_for_quiet_unless_much_is_late),
        TEST(a_day_that_the_head_still_holds_is_not_closed),
        TEST(replay_skips_what_a_close_merged),
        TEST(a_reader_keeps_the_old_generation),
        TEST(a_close_that_breaks_off_is_tried_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
