/* test_threads.c - writers, sealing and readers at once: batches are seen whole. */
#include "store_helpers.h"

#include "base/matcher.h"

#include <pthread.h>

enum { WRITERS = 3, BATCHES = 200, PARTS = 4, OTHERS = 10000 };

struct shared {
    struct fixture *f;
    int number;
    bool stop;
    uint64_t views;
};

/* As a float, in part 2 as a histogram, in part 3 now and then with a start time. */
static void put_value(struct batch *batch, uint32_t series, int part, int i)
{
    static const struct histogram_span span = {0, 1};
    double value = i;
    struct histogram h = {.count = value, .sum = value, .positive = {&span, 1, &value, 1}};
    int64_t time_ns = T0 + i * NS_PER_SECOND;
    if (part == 2)
        batch_histogram(batch, series, time_ns, 0, &h, NULL);
    else
        batch_sample_start(batch, series, time_ns, part == 3 && i % 3 == 0 ? T0 : 0, value, NULL);
}

/* Each batch puts the same value into PARTS series of its writer. */
static void *write_metrics(void *context)
{
    struct shared *mine = context;
    for (int i = 0; i < BATCHES; i++) {
        struct batch *batch = new_batch(mine->f, STORE_METRIC);
        for (int part = 0; part < PARTS; part++) {
            char name[32];
            snprintf(name, sizeof(name), "w%d-%d", mine->number, part);
            put_value(batch, define(batch, "m", name), part, i);
        }
        commit(batch);
    }
    return NULL;
}

static void *write_logs(void *context)
{
    struct shared *mine = context;
    for (int i = 0; i < BATCHES; i++) {
        char line[32];
        snprintf(line, sizeof(line), "line %d", i);
        put_line(mine->f, "x", T0 + i * NS_PER_MS, line);
    }
    return NULL;
}

/* Each batch brings a generation of PARTS new series. */
static void *write_new_series(void *context)
{
    struct shared *mine = context;
    for (int i = 0; i < BATCHES; i++) {
        struct batch *batch = new_batch(mine->f, STORE_METRIC);
        for (int part = 0; part < PARTS; part++) {
            char name[32];
            snprintf(name, sizeof(name), "new%d-%d", i, part);
            batch_sample(batch, define(batch, "generation", name), T0, i, NULL);
            usleep(100); /* many views begin between two definitions */
        }
        commit(batch);
    }
    return NULL;
}

/* New series are there with their batch, whatever the matchers had to look at before. */
static void check_generations(struct fixture *f)
{
    struct error err = {0};
    struct matcher matchers[2];
    assert_true(
        matcher_init(&matchers[0], MATCH_EQUAL, LABEL_NAME_METRIC, SLICE("generation"), &err));
    assert_true(matcher_init(&matchers[1], MATCH_REGEX, SLICE("app"),
                             SLICE("(n|m)e[a-z]+[0-9]*-.*"), &err));
    struct cursor_request request = {.tenant = SLICE("t"),
                                     .kind = STORE_METRIC,
                                     .matchers = matchers,
                                     .matcher_count = 2,
                                     .start_ns = INT64_MIN,
                                     .end_ns = INT64_MAX};
    struct cursor *cursor = cursor_open(f->store, &request, &err);
    assert_non_null(cursor);
    assert_int_equal(cursor_series_count(cursor) % PARTS, 0);
    cursor_close(cursor);
    for (int i = 0; i < 2; i++)
        matcher_done(&matchers[i]);
}

static void *look_at_generations(void *context)
{
    struct shared *mine = context;
    while (!__atomic_load_n(&mine->stop, __ATOMIC_ACQUIRE)) {
        check_generations(mine->f);
        mine->views++;
    }
    return NULL;
}

static void new_series_come_with_their_whole_batch(void **state)
{
    struct fixture *f = *state;
    struct shared writer = {.f = f};
    struct shared reader = {.f = f};
    pthread_t threads[2];
    struct batch *batch = new_batch(f, STORE_METRIC);
    for (int i = 0; i < OTHERS; i++) { /* so that matchers take their time */
        char name[32];
        snprintf(name, sizeof(name), "neither%d", i);
        batch_sample(batch, define(batch, "other", name), T0, i, NULL);
    }
    commit(batch);
    pthread_create(&threads[0], NULL, look_at_generations, &reader);
    pthread_create(&threads[1], NULL, write_new_series, &writer);
    pthread_join(threads[1], NULL);
    __atomic_store_n(&reader.stop, true, __ATOMIC_RELEASE);
    pthread_join(threads[0], NULL);
    check_generations(f);
}

static void *seal_always(void *context)
{
    struct shared *mine = context;
    while (!__atomic_load_n(&mine->stop, __ATOMIC_ACQUIRE)) {
        seal(mine->f);
        usleep(500);
    }
    return NULL;
}

/* How many samples each part has, in a view of the cursor's own or a given one. */
static void count_parts(struct fixture *f, const struct store_view *view,
                        const struct matcher *matchers, size_t matcher_count,
                        size_t counts[WRITERS][PARTS])
{
    struct error err = {0};
    struct cursor_request request = {.tenant = SLICE("t"),
                                     .kind = STORE_METRIC,
                                     .matchers = matchers,
                                     .matcher_count = matcher_count,
                                     .start_ns = INT64_MIN,
                                     .end_ns = INT64_MAX,
                                     .view = view};
    struct cursor *cursor = cursor_open(f->store, &request, &err);
    assert_non_null(cursor);
    struct cursor_reader *reader = cursor_reader_new(cursor);
    for (size_t i = 0; i < cursor_series_count(cursor); i++) {
        struct sample_column column;
        struct slice app = labels_get(cursor_labels(cursor, i), SLICE("app"));
        if (!cursor_read_samples(reader, i, &column, &err))
            fail_msg("%s", err.message);
        for (size_t k = 0; k < column.count; k++) {
            if (column.values[k] != (double)k)
                fail_msg("%.*s has %g as sample %zu", SLICE_ARG(app), column.values[k], k);
        }
        counts[app.data[1] - '0'][app.data[3] - '0'] = column.count;
    }
    cursor_reader_free(reader);
    cursor_close(cursor);
}

/* In one view all parts of a writer have the same samples. */
static void check_view(struct fixture *f)
{
    size_t counts[WRITERS][PARTS] = {0};
    count_parts(f, NULL, NULL, 0, counts);
    for (int w = 0; w < WRITERS; w++) {
        for (int part = 1; part < PARTS; part++)
            assert_int_equal(counts[w][part], counts[w][0]);
    }
}

/* Cursors that are opened one after the other with a view see the same batches. */
static void check_shared_view(struct fixture *f)
{
    struct error err = {0};
    struct matcher apart[PARTS];
    struct view_selector selectors[PARTS];
    size_t counts[WRITERS][PARTS] = {0};
    for (int part = 0; part < PARTS; part++) {
        static const char *const patterns[PARTS] = {"w.-0", "w.-1", "w.-2", "w.-3"};
        assert_true(matcher_init(&apart[part], MATCH_REGEX, SLICE("app"),
                                 slice_from_text(patterns[part]), &err));
        selectors[part] = (struct view_selector){&apart[part], 1};
    }
    struct store_view *view =
        store_view_open(f->store, SLICE("t"), STORE_METRIC, selectors, PARTS, 0, NULL, &err);
    assert_non_null(view);
    for (int part = 0; part < PARTS; part++) {
        usleep(300); /* the writers and the sealer go on */
        count_parts(f, view, &apart[part], 1, counts);
        matcher_done(&apart[part]);
    }
    store_view_close(view);
    for (int w = 0; w < WRITERS; w++) {
        for (int part = 1; part < PARTS; part++)
            assert_int_equal(counts[w][part], counts[w][0]);
    }
}

static void *read_always(void *context)
{
    struct shared *mine = context;
    while (!__atomic_load_n(&mine->stop, __ATOMIC_ACQUIRE)) {
        struct store_stats stats;
        check_view(mine->f);
        check_shared_view(mine->f);
        store_stats_read(mine->f->store, &stats);
        free(dump(mine->f, STORE_LOG));
        mine->views++;
    }
    return NULL;
}

static void readers_see_whole_batches_while_sealing_runs(void **state)
{
    struct fixture *f = *state;
    struct shared writers[WRITERS + 1];
    struct shared others[2] = {{.f = f}, {.f = f}};
    pthread_t threads[WRITERS + 1];
    pthread_t sealer, reader;
    f->options.wal_segment_size = 16384;
    fixture_restart(f);
    for (int i = 0; i <= WRITERS; i++) {
        writers[i] = (struct shared){.f = f, .number = i};
        pthread_create(&threads[i], NULL, i < WRITERS ? write_metrics : write_logs, &writers[i]);
    }
    pthread_create(&sealer, NULL, seal_always, &others[0]);
    pthread_create(&reader, NULL, read_always, &others[1]);
    for (int i = 0; i <= WRITERS; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < 2; i++)
        __atomic_store_n(&others[i].stop, true, __ATOMIC_RELEASE);
    pthread_join(sealer, NULL);
    pthread_join(reader, NULL);
    assert_true(others[1].views > 0);
    check_view(f);
    struct store_stats stats;
    store_stats_read(f->store, &stats);
    assert_int_equal(stats.samples_appended, WRITERS * BATCHES * PARTS);
    assert_int_equal(stats.entries_appended, BATCHES);
    fixture_crash(f);
    check_view(f);
}

/* In durable mode batches that come while a sync runs share the next one. */
static void batches_share_syncs(void **state)
{
    struct fixture *f = *state;
    struct shared writers[WRITERS];
    pthread_t threads[WRITERS];
    struct error err = {0};
    assert_true(store_close(f->store, &err));
    f->options.ack = STORE_ACK_DURABLE;
    fixture_open(f);
    for (int i = 0; i < WRITERS; i++) {
        writers[i] = (struct shared){.f = f, .number = i};
        pthread_create(&threads[i], NULL, write_metrics, &writers[i]);
    }
    for (int i = 0; i < WRITERS; i++)
        pthread_join(threads[i], NULL);
    struct store_stats stats;
    store_stats_read(f->store, &stats);
    assert_true(stats.wal_syncs > 0 && stats.wal_syncs <= WRITERS * BATCHES + 1);
    check_view(f);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(readers_see_whole_batches_while_sealing_runs),
        TEST(new_series_come_with_their_whole_batch),
        TEST(batches_share_syncs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
