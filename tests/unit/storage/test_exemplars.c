/* test_exemplars.c - the ring of exemplars: rules, limits, replay, segments and selecting. */
#include "store_helpers.h"

#include "base/ledger.h"
#include "storage/exemplars.h"
#include "storage/store_internal.h"

static bool put(struct fixture *f, const char *app, int64_t time_ms, double value,
                const char *trace)
{
    struct error err = {0};
    struct batch *batch = new_batch(f, STORE_METRIC);
    uint32_t series = define(batch, "m", app);
    struct label labels[] = {{SLICE("trace_id"), slice_from_text(trace)}};
    bool ok = batch_exemplar(batch, series, labels, 1, T0 + time_ms * NS_PER_MS, value, &err);
    commit(batch);
    return ok;
}

/* Of series that satisfy app=~`regex`: "app: ms=value(trace) ..." each. */
static void expect(struct fixture *f, const char *regex, int64_t start_ms, int64_t end_ms,
                   const char *wanted)
{
    struct error err = {0};
    struct matcher matcher;
    struct arena *arena = arena_new(8 << 20);
    struct buffer text;
    struct exemplar_series *series;
    size_t count;
    buffer_init(&text, 1 << 20);
    assert_true(matcher_init(&matcher, MATCH_REGEX, SLICE("app"), slice_from_text(regex), &err));
    struct view_selector selector = {&matcher, 1};
    assert_true(store_exemplars(f->store, SLICE("t"), &selector, 1, T0 + start_ms * NS_PER_MS,
                                T0 + end_ms * NS_PER_MS, arena, &series, &count, &err));
    for (size_t i = 0; i < count; i++) {
        buffer_printf(&text, "%.*s:", SLICE_ARG(labels_get(series[i].labels, SLICE("app"))));
        for (size_t k = 0; k < series[i].count; k++) {
            const struct exemplar *e = &series[i].items[k];
            buffer_printf(&text, " %lld=%g(%.*s)", (long long)((e->time_ns - T0) / NS_PER_MS),
                          e->value, SLICE_ARG(labels_get(e->labels, SLICE("trace_id"))));
        }
        buffer_append_byte(&text, '\n');
    }
    buffer_append_byte(&text, '\0');
    assert_string_equal(text.data, wanted);
    buffer_done(&text);
    matcher_done(&matcher);
    arena_free(arena);
}

static void come_back_by_selector_and_time(void **state)
{
    struct fixture *f = *state;
    put(f, "b", 10, 1, "x1");
    put(f, "a", 20, 2, "x2");
    put(f, "a", 30, 3, "x3");
    put(f, "c", 30, 4, "x4");
    expect(f, "a|b", 0, 100, "a: 20=2(x2) 30=3(x3)\nb: 10=1(x1)\n");
    expect(f, ".*", 30, 30, "a: 30=3(x3)\nc: 30=4(x4)\n");
    expect(f, ".*", 31, 100, "");
    expect(f, "none", 0, 100, "");
}

static void repeats_and_older_ones_are_dropped(void **state)
{
    struct fixture *f = *state;
    put(f, "a", 20, 2, "x");
    put(f, "a", 20, 2, "x"); /* again */
    put(f, "a", 19, 9, "y"); /* older */
    put(f, "a", 20, 1, "y"); /* the same time: by value, then labels */
    put(f, "a", 20, 2, "w");
    put(f, "a", 20, 2, "y");
    put(f, "a", 20, 3, "a");
    put(f, "b", 1, 1, "z"); /* another series has a time of its own */
    expect(f, ".*", 0, 100, "a: 20=2(x) 20=2(y) 20=3(a)\nb: 1=1(z)\n");
    struct store_stats stats;
    store_stats_read(f->store, &stats);
    assert_int_equal(stats.exemplars, 4);
    assert_int_equal(stats.exemplars_refused, 3);
}

static void the_ring_keeps_the_newest(void **state)
{
    struct fixture *f = *state;
    f->options.exemplars_max = 5;
    fixture_restart(f);
    char trace[16];
    for (int i = 0; i < 23; i++) {
        snprintf(trace, sizeof(trace), "t%d", i);
        put(f, i % 3 ? "a" : "b", i, i, trace);
    }
    const char *wanted = "a: 19=19(t19) 20=20(t20) 22=22(t22)\nb: 18=18(t18) 21=21(t21)\n";
    expect(f, ".*", 0, 100, wanted);
    fixture_crash(f);
    expect(f, ".*", 0, 100, wanted);
    put(f, "only", 50, 1, "x");
    for (int i = 0; i < 5; i++) { /* the other series leave with their last one */
        snprintf(trace, sizeof(trace), "u%d", i);
        put(f, "only", 60 + i, i, trace);
    }
    expect(f, ".*", 0, 100, "only: 60=0(u0) 61=1(u1) 62=2(u2) 63=3(u3) 64=4(u4)\n");
}

static void stay_after_crash_stop_and_new_segments(void **state)
{
    struct fixture *f = *state;
    put(f, "a", 20, 2, "x2");
    put(f, "a", 30, 3, "x3");
    const char *wanted = "a: 20=2(x2) 30=3(x3)\n";
    fixture_crash(f);
    expect(f, ".*", 0, 100, wanted);
    fixture_restart(f); /* a clean stop leaves one segment, which carries them */
    expect(f, ".*", 0, 100, wanted);
    f->options.wal_segment_size = 64 * 1024;
    fixture_restart(f);
    for (int i = 0; i < 3000; i++)
        put_sample(f, "filler", T0 + i * NS_PER_SECOND, i);
    seal(f);
    put(f, "a", 40, 4, "x4");
    fixture_crash(f);
    expect(f, ".*", 0, 100, "a: 20=2(x2) 30=3(x3) 40=4(x4)\n");
}

static void labels_have_a_limit_of_characters_not_bytes(void **state)
{
    struct fixture *f = *state;
    char text[300];
    memset(text, 'x', sizeof(text));
    text[120] = '\0'; /* with trace_id: 128 */
    assert_true(put(f, "a", 1, 1, text));
    text[120] = 'x';
    text[121] = '\0';
    assert_false(put(f, "a", 2, 1, text));
    for (int i = 0; i < 120; i++)
        memcpy(text + (size_t)i * 2, "\xc3\xa4", 2);
    text[240] = '\0';
    assert_true(put(f, "a", 3, 1, text));
    assert_false(put(f, "a", 4, 1, "\xff"));
    struct store_stats stats;
    store_stats_read(f->store, &stats);
    assert_int_equal(stats.exemplars, 2);
}

static void can_be_switched_off_and_leave_the_ledger(void **state)
{
    struct fixture *f = *state;
    put(f, "a", 1, 1, "x");
    assert_true(ledger_used(LEDGER_TABLES) > 0);
    f->options.exemplars_max = -1;
    fixture_restart(f);
    assert_int_equal(ledger_used(LEDGER_TABLES), 0);
    assert_true(put(f, "a", 2, 1, "y"));
    expect(f, ".*", 0, 100, "");
}

static void malformed_records_are_told(void **state)
{
    (void)state;
    struct buffer out;
    buffer_init(&out, 1 << 16);
    buffer_append(&out, "\1t\1", 3); /* tenant "t", one item */
    struct label pair[] = {{SLICE("a"), SLICE("b")}};
    struct exemplar e = {{pair, 1}, T0, 1};
    exemplar_write(&out, (struct labels){pair, 1}, &e);
    assert_true(exemplars_check(buffer_slice(&out)));
    for (size_t cut = 0; cut < out.size; cut++)
        assert_false(exemplars_check(slice_of(out.data, cut)));
    buffer_append_byte(&out, 'x');
    assert_false(exemplars_check(buffer_slice(&out)));
    buffer_done(&out);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(come_back_by_selector_and_time),
        TEST(repeats_and_older_ones_are_dropped),
        TEST(the_ring_keeps_the_newest),
        TEST(stay_after_crash_stop_and_new_segments),
        TEST(labels_have_a_limit_of_characters_not_bytes),
        TEST(can_be_switched_off_and_leave_the_ledger),
        TEST(malformed_records_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
