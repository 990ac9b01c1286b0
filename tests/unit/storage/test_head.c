/* test_head.c - series that leave the head and come back, and what the head counts. */
#include "store_helpers.h"

#include "base/ledger.h"
#include "storage/store_internal.h"

static struct head *head_of(struct fixture *f)
{
    struct head *head = store_head(f->store, SLICE("t"), STORE_METRIC);
    assert_non_null(head);
    return head;
}

static void an_idle_series_leaves_and_comes_back(void **state)
{
    struct fixture *f = *state;
    put_sample(f, "a", T0, 1);
    put_sample(f, "b", T0, 2);
    assert_int_equal(head_remove_idle(head_of(f), UINT32_MAX), 0); /* both hold samples */
    seal(f);
    put_sample(f, "b", T0 + NS_PER_SECOND, 3);
    assert_int_equal(head_remove_idle(head_of(f), 1), 0); /* asked for later than that */
    assert_int_equal(head_remove_idle(head_of(f), UINT32_MAX), 1);
    struct store_stats stats;
    store_stats_read(f->store, &stats);
    assert_int_equal(stats.series[STORE_METRIC], 1);
    assert_int_equal(stats.series_removed[STORE_METRIC], 1);
    const char *expected = "{__name__=\"m\", app=\"a\"}: 0=1\n"
                           "{__name__=\"m\", app=\"b\"}: 0=2 1000=3\n";
    expect_dump(f, STORE_METRIC, expected);
    fixture_crash(f);
    expect_dump(f, STORE_METRIC, expected);
}

/* It starts anew: what is older than its sealed samples is in order now, in replay, too. */
static void a_series_that_came_back_is_decided_the_same_in_replay(void **state)
{
    struct fixture *f = *state;
    f->options.out_of_order_ns[STORE_METRIC] = NS_PER_MINUTE;
    fixture_restart(f);
    put_sample(f, "a", T0, 1);
    assert_int_equal(put_sample(f, "a", T0 - NS_PER_HOUR, 1).stored, 0);
    seal(f);
    assert_int_equal(head_remove_idle(head_of(f), UINT32_MAX), 1);
    assert_int_equal(put_sample(f, "a", T0 - NS_PER_HOUR, 2).stored, 1);
    assert_int_equal(put_sample(f, "a", T0 - NS_PER_HOUR + NS_PER_SECOND, 3).stored, 1);
    const char *expected = "{__name__=\"m\", app=\"a\"}: -3600000=2 -3599000=3 0=1\n";
    expect_dump(f, STORE_METRIC, expected);
    fixture_crash(f);
    expect_dump(f, STORE_METRIC, expected);
    seal(f);
    fixture_crash(f);
    expect_dump(f, STORE_METRIC, expected);
}

static void a_forgotten_series_is_not_found_by_its_raw_labels(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    struct label labels[] = {{SLICE("app"), SLICE("a")}};
    struct batch *batch = new_batch(f, STORE_METRIC);
    assert_int_equal(batch_define(batch, 1, SLICE("raw"), labels, 1, &err), 0);
    uint32_t started = store_oldest_batch_s(f->store);
    assert_int_equal(head_remove_idle(head_of(f), started), 0); /* the batch holds it */
    batch_free(batch);
    assert_int_equal(store_oldest_batch_s(f->store), UINT32_MAX);
    assert_int_equal(head_remove_idle(head_of(f), UINT32_MAX), 1);
    batch = new_batch(f, STORE_METRIC);
    assert_int_equal(batch_find(batch, 1, SLICE("raw")), -1);
    batch_free(batch);
}

static void chunk_memory_is_counted_to_the_byte(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 300; i++) {
        put_sample(f, i % 3 ? "a" : "b", T0 + i * 30 * NS_PER_SECOND, i * 1.1);
        put_sample(f, "a", T0 + (i - 20) * 30 * NS_PER_SECOND + NS_PER_SECOND, i);
        put_line(f, "x", T0 + i * NS_PER_SECOND, "some line of text");
    }
    struct store_stats stats;
    store_stats_read(f->store, &stats);
    assert_true(stats.head_memory_bytes > 0 && stats.head_chunks > 4);
    seal(f);
    store_stats_read(f->store, &stats);
    assert_int_equal(stats.head_memory_bytes, 0);
    assert_int_equal(stats.head_chunks, 0);
    assert_int_equal(store_counter(&f->store->head_memory), 0);
}

static void a_series_of_a_refused_batch_does_not_show(void **state)
{
    struct fixture *f = *state;
    struct batch *batch = new_batch(f, STORE_METRIC);
    define(batch, "m", "ghost");
    batch_free(batch);
    put_sample(f, "a", T0, 1);
    expect_dump(f, STORE_METRIC, "{__name__=\"m\", app=\"a\"}: 0=1\n");
    struct error err = {0};
    struct arena *arena = arena_new(1 << 20);
    struct names_request request = {.tenant = SLICE("t"),
                                    .kind = STORE_METRIC,
                                    .start_ns = INT64_MIN,
                                    .end_ns = INT64_MAX,
                                    .label = SLICE("app")};
    struct slice *names;
    size_t count;
    bool truncated;
    assert_true(store_names(f->store, &request, arena, &names, &count, &truncated, &err));
    assert_int_equal(count, 1);
    arena_free(arena);
}

/* ---- memory ------------------------------------------------------------- */

static size_t index_bytes(struct fixture *f)
{
    struct head *head = head_of(f);
    pthread_mutex_lock(&head->lock);
    size_t bytes = head_index_memory(head);
    pthread_mutex_unlock(&head->lock);
    return bytes;
}

/* A wave of series with labels of their own, sealed, then idle. */
static void wave(struct fixture *f, int number, int count)
{
    char text[64];
    for (int i = 0; i < count; i++) {
        snprintf(text, sizeof(text), "pod-of-some-length-%d-%d", number, i);
        put_sample(f, text, T0 + number * NS_PER_SECOND, i);
    }
    seal(f);
    head_remove_idle(head_of(f), UINT32_MAX);
}

static void waves_of_new_series_leave_the_index_flat(void **state)
{
    struct fixture *f = *state;
    enum { COUNT = 3000 };
    wave(f, 0, COUNT);
    size_t after_one = index_bytes(f);
    for (int i = 1; i < 8; i++)
        wave(f, i, COUNT);
    struct head *head = head_of(f);
    assert_true(index_bytes(f) <= after_one + after_one / 10);
    assert_int_equal(head->series_count, 0);
    assert_int_equal(head->postings.symbols.table.count, 0);
    assert_int_equal(head->postings.pair_table.count, 0);
    assert_int_equal(head->postings.name_table.count, 0);
    assert_int_equal(head->postings.all.count, 0);
    assert_true(head->postings.pairs.count <= 2 * COUNT + 2);
    put_sample(f, "late", T0 + 100 * NS_PER_SECOND, 1);
    struct store_stats stats;
    store_stats_read(f->store, &stats);
    assert_int_equal(stats.series[STORE_METRIC], 1);
    assert_int_equal(stats.oldest_ns, T0 + 100 * NS_PER_SECOND);
}

static void a_reader_keeps_the_texts_that_it_has_seen(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    put_sample(f, "first", T0, 1);
    struct cursor_request request = {.tenant = SLICE("t"),
                                     .kind = STORE_METRIC,
                                     .start_ns = INT64_MIN,
                                     .end_ns = INT64_MAX,
                                     .projection = CURSOR_TIMES | CURSOR_VALUES};
    struct cursor *cursor = cursor_open(f->store, &request, &err);
    assert_non_null(cursor);
    seal(f);
    for (int i = 0; i < 4; i++) { /* would use the numbers again */
        assert_true(head_remove_idle(head_of(f), UINT32_MAX) < 2);
        char text[32];
        snprintf(text, sizeof(text), "next-%d", i);
        put_sample(f, text, T0 + i * NS_PER_SECOND, i);
        seal(f);
    }
    assert_int_equal(cursor_series_count(cursor), 1);
    assert_true(slice_equal(cursor_labels(cursor, 0).items[1].value, SLICE("first")));
    assert_int_equal(head_of(f)->postings.spare_pairs.count, 0);
    cursor_close(cursor);
    head_remove_idle(head_of(f), UINT32_MAX);
    assert_int_equal(head_of(f)->postings.symbols.table.count, 0);
    expect_dump(f, STORE_METRIC,
                "{__name__=\"m\", app=\"first\"}: 0=1\n"
                "{__name__=\"m\", app=\"next-0\"}: 0=0\n"
                "{__name__=\"m\", app=\"next-1\"}: 1000=1\n"
                "{__name__=\"m\", app=\"next-2\"}: 2000=2\n"
                "{__name__=\"m\", app=\"next-3\"}: 3000=3\n");
}

static void what_a_store_holds_leaves_the_ledger_with_it(void **state)
{
    struct fixture *f = *state;
    put_sample(f, "a", T0, 1);
    put_line(f, "x", T0, "some line of text");
    assert_true(ledger_used(LEDGER_HEAD) > 0 && ledger_used(LEDGER_LOG_TEXT) > 0);
    assert_true(ledger_used(LEDGER_INDEX) > 0 && ledger_used(LEDGER_BATCHES) > 0);
    seal(f);
    assert_int_equal(ledger_used(LEDGER_HEAD), 0);
    assert_int_equal(ledger_used(LEDGER_LOG_TEXT), 0);
    fixture_restart(f);
    store_abandon(f->store);
    f->store = NULL;
    for (int part = 0; part < LEDGER_PARTS; part++)
        assert_int_equal(ledger_used((enum ledger_part)part), 0);
    fixture_restart(f);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(an_idle_series_leaves_and_comes_back),
        TEST(a_series_that_came_back_is_decided_the_same_in_replay),
        TEST(a_forgotten_series_is_not_found_by_its_raw_labels),
        TEST(chunk_memory_is_counted_to_the_byte),
        TEST(waves_of_new_series_leave_the_index_flat),
        TEST(a_reader_keeps_the_texts_that_it_has_seen),
        TEST(what_a_store_holds_leaves_the_ledger_with_it),
        TEST(a_series_of_a_refused_batch_does_not_show),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
