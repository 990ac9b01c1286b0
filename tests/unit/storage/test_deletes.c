/* Deletes: at once out of every answer, for good through every step of a store's life. */
#include "storage/catalog.h"
#include "storage/crash_point.h"
#include "storage/store_internal.h"
#include "storage/tombstones.h"

#include "store_helpers.h"

#include <pthread.h>
#include <sys/wait.h>

#define MINUTE   NS_PER_MINUTE
#define NEXT_DAY (INT64_C(1700006400) * NS_PER_SECOND)
#define CLOSED   (NEXT_DAY + 3 * NS_PER_HOUR)

/* Delete what has this app between the two times. */
static bool try_delete(struct fixture *f, enum store_kind kind, const char *app, int64_t start_ns,
                       int64_t end_ns, struct error *err)
{
    struct matcher matcher;
    assert_true(matcher_init(&matcher, MATCH_EQUAL, SLICE("app"), slice_from_text(app), err));
    struct view_selector selector = {&matcher, 1};
    struct store_delete request = {.tenant = SLICE("t"),
                                   .kind = kind,
                                   .start_ns = start_ns,
                                   .end_ns = end_ns,
                                   .selectors = &selector,
                                   .selector_count = 1};
    bool ok = store_delete(f->store, &request, NULL, err);
    matcher_done(&matcher);
    return ok;
}

static void delete_app(struct fixture *f, enum store_kind kind, const char *app, int64_t start_ns,
                       int64_t end_ns)
{
    struct error err = {0};
    if (!try_delete(f, kind, app, start_ns, end_ns, &err))
        fail_msg("store_delete: %s", err.message);
}

static void clean(struct fixture *f)
{
    struct error err = {0};
    if (!store_clean_tombstones(f->store, &err))
        fail_msg("store_clean_tombstones: %s", err.message);
}

static void close_days(struct fixture *f)
{
    struct error err = {0};
    f->now_ns = CLOSED;
    if (!store_close_days(f->store, CLOSED, &err))
        fail_msg("store_close_days: %s", err.message);
}

static uint64_t waiting(struct fixture *f)
{
    struct store_stats stats;
    store_stats_read(f->store, &stats);
    return stats.tombstones;
}

static void fill(struct fixture *f, enum store_kind kind)
{
    for (int i = 0; i < 6; i++) {
        for (const char *app = "ab"; *app; app++) {
            char name[2] = {*app, '\0'}, line[16];
            snprintf(line, sizeof(line), "%c%d", *app, i);
            if (kind == STORE_METRIC)
                put_sample(f, name, T0 + i * MINUTE, i);
            else
                put_line(f, name, T0 + i * MINUTE, line);
        }
    }
}

static char *all_of(struct fixture *f, enum store_kind kind)
{
    return dump_range(f, kind, NULL, 0, INT64_MIN, INT64_MAX, false);
}

static void expect_same(struct fixture *f, enum store_kind kind, const char *expected)
{
    char *now = all_of(f, kind);
    assert_string_equal(now, expected);
    free(now);
}

static void a_delete_shows_at_once_and_through_every_step(void **state)
{
    for (int kind = 0; kind < STORE_KINDS; kind++) {
        assert_int_equal(fixture_setup(state), 0);
        struct fixture *f = *state;
        fill(f, (enum store_kind)kind);
        char *before = all_of(f, (enum store_kind)kind);
        delete_app(f, (enum store_kind)kind, "a", T0 + MINUTE, T0 + 3 * MINUTE);
        char *deleted = all_of(f, (enum store_kind)kind);
        assert_string_not_equal(before, deleted);
        assert_true(strlen(deleted) < strlen(before));
        fixture_crash(f);
        expect_same(f, (enum store_kind)kind, deleted);
        seal(f);
        expect_same(f, (enum store_kind)kind, deleted);
        fixture_restart(f);
        expect_same(f, (enum store_kind)kind, deleted);
        assert_int_equal(waiting(f), 1);
        close_days(f);
        expect_same(f, (enum store_kind)kind, deleted);
        clean(f);
        assert_int_equal(waiting(f), 0);
        fixture_crash(f);
        expect_same(f, (enum store_kind)kind, deleted);
        free(before);
        free(deleted);
        fixture_teardown(state);
    }
    fixture_setup(state);
}

static void what_is_sent_again_is_kept(void **state)
{
    struct fixture *f = *state;
    fill(f, STORE_METRIC);
    fill(f, STORE_LOG);
    char *samples = all_of(f, STORE_METRIC), *lines = all_of(f, STORE_LOG);
    for (int round = 0; round < 2; round++) {
        delete_app(f, STORE_METRIC, "a", INT64_MIN, INT64_MAX);
        delete_app(f, STORE_LOG, "a", INT64_MIN, INT64_MAX);
        for (int i = 0; i < 6; i++) {
            char line[16];
            snprintf(line, sizeof(line), "a%d", i);
            assert_int_equal(put_sample(f, "a", T0 + i * MINUTE, i).stored, 1);
            assert_int_equal(put_line(f, "a", T0 + i * MINUTE, line).stored, 1);
        }
        expect_same(f, STORE_METRIC, samples);
        expect_same(f, STORE_LOG, lines);
        if (round == 0)
            seal(f);
    }
    fixture_crash(f);
    expect_same(f, STORE_METRIC, samples);
    expect_same(f, STORE_LOG, lines);
    close_days(f);
    clean(f);
    expect_same(f, STORE_METRIC, samples);
    expect_same(f, STORE_LOG, lines);
    free(samples);
    free(lines);
}

static void the_newest_sample_may_come_again_with_another_value(void **state)
{
    struct fixture *f = *state;
    put_sample(f, "a", T0, 1);
    put_sample(f, "a", T0 + MINUTE, 2);
    delete_app(f, STORE_METRIC, "a", T0 + MINUTE, T0 + MINUTE);
    struct batch_result result = put_sample(f, "a", T0 + MINUTE, 7);
    assert_int_equal(result.stored, 1);
    char *now = all_of(f, STORE_METRIC);
    fixture_crash(f);
    expect_same(f, STORE_METRIC, now);
    assert_non_null(strstr(now, "7"));
    free(now);
}

static size_t count_values(struct fixture *f, enum store_kind kind)
{
    struct names_request request = {.tenant = SLICE("t"),
                                    .kind = kind,
                                    .start_ns = INT64_MIN,
                                    .end_ns = INT64_MAX,
                                    .label = SLICE("app")};
    struct slice *names;
    size_t count;
    bool truncated;
    struct error err = {0};
    struct arena *arena = arena_new(1 << 20);
    if (!store_names(f->store, &request, arena, &names, &count, &truncated, &err))
        fail_msg("store_names: %s", err.message);
    arena_free(arena);
    return count;
}

static void series_vanish_with_their_last_entry(void **state)
{
    struct fixture *f = *state;
    fill(f, STORE_METRIC);
    assert_int_equal(count_values(f, STORE_METRIC), 2);
    delete_app(f, STORE_METRIC, "a", T0, T0 + 5 * MINUTE);
    assert_int_equal(count_values(f, STORE_METRIC), 1);
    seal(f);
    assert_int_equal(count_values(f, STORE_METRIC), 1);
    close_days(f);
    clean(f);
    assert_int_equal(waiting(f), 0);
    assert_int_equal(count_values(f, STORE_METRIC), 1);
    delete_app(f, STORE_METRIC, "b", INT64_MIN, INT64_MAX);
    assert_int_equal(count_values(f, STORE_METRIC), 0);
    clean(f);
    struct store_stats stats;
    store_stats_read(f->store, &stats);
    assert_int_equal(stats.partitions, 0);
    fixture_crash(f);
    assert_int_equal(count_values(f, STORE_METRIC), 0);
}

static void single_entries_go_by_content(void **state)
{
    struct fixture *f = *state;
    struct label app = {SLICE("app"), SLICE("a")};
    put_line(f, "a", T0, "one");
    put_line(f, "a", T0, "two");
    put_line(f, "a", T0 + 1, "one");
    struct delete_entry entry = {T0, store_entry_hash(SLICE("one"), (struct labels){NULL, 0})};
    struct delete_series series = {{&app, 1}, &entry, 1};
    struct store_delete request = {.tenant = SLICE("t"),
                                   .kind = STORE_LOG,
                                   .start_ns = T0,
                                   .end_ns = T0 + 1,
                                   .series = &series,
                                   .series_count = 1};
    struct error err = {0};
    uint64_t lsn = 0;
    assert_true(store_delete(f->store, &request, &lsn, &err));
    assert_true(lsn > 0);
    char *left = all_of(f, STORE_LOG);
    assert_null(strstr(left, "one") == strstr(left, "two") ? left : NULL);
    fixture_crash(f);
    expect_same(f, STORE_LOG, left);
    close_days(f);
    expect_same(f, STORE_LOG, left);
    clean(f);
    assert_int_equal(waiting(f), 0);
    expect_same(f, STORE_LOG, left);
    put_line(f, "a", T0, "one");
    char *again = all_of(f, STORE_LOG);
    assert_string_not_equal(left, again);
    free(left);
    free(again);
}

static void bad_deletes_are_refused(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    put_sample(f, "a", T0, 1);
    struct store_delete request = {.tenant = SLICE("t"), .start_ns = 0, .end_ns = 1};
    assert_false(store_delete(f->store, &request, NULL, &err));
    assert_int_equal(err.code, ERR_INVALID);
    struct view_selector empty = {NULL, 0};
    request.selectors = &empty;
    request.selector_count = 1;
    assert_false(store_delete(f->store, &request, NULL, &err));
    assert_int_equal(err.code, ERR_INVALID);
    assert_false(try_delete(f, STORE_METRIC, "a", 1, 0, &err));
    assert_int_equal(err.code, ERR_INVALID);
    request.tenant = SLICE("unknown");
    assert_true(store_delete(f->store, &request, NULL, &err));
    assert_int_equal(waiting(f), 0);
}

static void a_view_from_before_keeps_what_it_saw(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    fill(f, STORE_METRIC);
    struct view_selector selector = {NULL, 0};
    struct store_view *view =
        store_view_open(f->store, SLICE("t"), STORE_METRIC, &selector, 1, 0, NULL, &err);
    assert_non_null(view);
    delete_app(f, STORE_METRIC, "a", INT64_MIN, INT64_MAX);
    struct cursor_request request = {.tenant = SLICE("t"),
                                     .start_ns = INT64_MIN,
                                     .end_ns = INT64_MAX,
                                     .projection = CURSOR_TIMES | CURSOR_VALUES,
                                     .view = view};
    struct cursor *cursor = cursor_open(f->store, &request, &err);
    assert_non_null(cursor);
    assert_int_equal(cursor_series_count(cursor), 2);
    cursor_close(cursor);
    store_view_close(view);
    request.view = NULL;
    cursor = cursor_open(f->store, &request, &err);
    assert_int_equal(cursor_series_count(cursor), 1);
    cursor_close(cursor);
}

/* ---- threads -------------------------------------------------------------- */

struct traffic {
    struct fixture *f;
    int64_t written; /* atomic: acknowledged samples of `a` */
    bool stopping;   /* atomic */
};

static void *write_on(void *context)
{
    struct traffic *t = context;
    while (!__atomic_load_n(&t->stopping, __ATOMIC_ACQUIRE)) {
        int64_t next = __atomic_load_n(&t->written, __ATOMIC_ACQUIRE) + 1;
        struct batch *batch = new_batch(t->f, STORE_METRIC);
        uint32_t a = define(batch, "m", "a"), b = define(batch, "m", "b");
        batch_sample(batch, a, T0 + next * NS_PER_MS, 1, NULL);
        batch_sample(batch, b, T0 + next * NS_PER_MS, 1, NULL);
        commit(batch);
        __atomic_store_n(&t->written, next, __ATOMIC_RELEASE);
    }
    return NULL;
}

static void *seal_on(void *context)
{
    struct traffic *t = context;
    while (!__atomic_load_n(&t->stopping, __ATOMIC_ACQUIRE)) {
        seal(t->f);
        clean(t->f);
        usleep(2000);
    }
    return NULL;
}

/* Of `a` nothing that was acknowledged before the delete began, of `b` all. */
static void check_after_delete(struct fixture *f, int64_t before)
{
    struct error err = {0};
    struct cursor_request request = {.tenant = SLICE("t"),
                                     .start_ns = INT64_MIN,
                                     .end_ns = INT64_MAX,
                                     .projection = CURSOR_TIMES | CURSOR_VALUES};
    struct cursor *cursor = cursor_open(f->store, &request, &err);
    assert_non_null(cursor);
    struct cursor_reader *reader = cursor_reader_new(cursor);
    for (size_t i = 0; i < cursor_series_count(cursor); i++) {
        struct sample_column column;
        struct slice app = labels_get(cursor_labels(cursor, i), SLICE("app"));
        assert_true(cursor_read_samples(reader, i, &column, &err));
        if (slice_equal(app, SLICE("b")))
            assert_true(column.count >= (size_t)before);
        else
            assert_true(column.count == 0 || column.times_ns[0] > T0 + before * NS_PER_MS);
    }
    cursor_reader_free(reader);
    cursor_close(cursor);
}

static void deletes_are_in_force_beside_writers_and_the_sealer(void **state)
{
    struct traffic t = {.f = *state};
    pthread_t writer, sealer;
    assert_int_equal(pthread_create(&writer, NULL, write_on, &t), 0);
    assert_int_equal(pthread_create(&sealer, NULL, seal_on, &t), 0);
    for (int i = 0; i < 100; i++) {
        int64_t before = __atomic_load_n(&t.written, __ATOMIC_ACQUIRE);
        delete_app(t.f, STORE_METRIC, "a", INT64_MIN, INT64_MAX);
        check_after_delete(t.f, before);
    }
    __atomic_store_n(&t.stopping, true, __ATOMIC_RELEASE);
    pthread_join(writer, NULL);
    pthread_join(sealer, NULL);
    char *all = all_of(t.f, STORE_METRIC);
    fixture_crash(t.f);
    expect_same(t.f, STORE_METRIC, all);
    free(all);
}

/* ---- crashes -------------------------------------------------------------- */

static const char *const crash_points[] = {"delete.taken",     "wal.written",    "wal.synced",
                                           "wal.acknowledged", "delete.saved",   "day.written",
                                           "day.named",        "delete.dropped", "wal.removed_one",
                                           "day.gone",         "seal.committed"};

static void live_on(struct fixture *f, bool whole)
{
    delete_app(f, STORE_METRIC, "a", T0, T0 + 2 * MINUTE);
    delete_app(f, STORE_METRIC, "b", INT64_MIN, whole ? INT64_MAX : T0 + MINUTE);
    if (whole)
        delete_app(f, STORE_METRIC, "a", INT64_MIN, INT64_MAX);
    seal(f);
    close_days(f);
    clean(f);
    struct error err = {0};
    _exit(store_close(f->store, &err) ? 0 : 1);
}

static const char *die_at;

static void die_there(const char *name)
{
    if (strcmp(name, die_at) == 0)
        _exit(9);
}

/* The state after a crash is that of one of the deletes' steps, and going on ends in the same. */
static void crashes_neither_lose_a_delete_nor_bring_entries_back(void **state)
{
    fixture_teardown(state);
    for (unsigned i = 0; i < 2 * COUNT_OF(crash_points); i++) {
        bool whole = i % 2;
        fixture_setup(state);
        struct fixture *f = *state;
        fill(f, STORE_METRIC);
        fixture_restart(f);
        char *before = all_of(f, STORE_METRIC);
        store_abandon(f->store);
        pid_t child = fork();
        if (child == 0) {
            fixture_open(f);
            die_at = crash_points[i / 2];
            crash_hook = die_there;
            live_on(f, whole);
        }
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        fixture_open(f);
        char *after = all_of(f, STORE_METRIC);
        assert_true(strlen(after) <= strlen(before));
        fixture_crash(f);
        expect_same(f, STORE_METRIC, after);
        delete_app(f, STORE_METRIC, "a", T0, whole ? INT64_MAX : T0 + 2 * MINUTE);
        delete_app(f, STORE_METRIC, "b", INT64_MIN, whole ? INT64_MAX : T0 + MINUTE);
        char *deleted = all_of(f, STORE_METRIC);
        assert_int_equal(strlen(deleted) == 0, whole);
        close_days(f);
        clean(f);
        assert_int_equal(waiting(f), 0);
        expect_same(f, STORE_METRIC, deleted);
        fixture_crash(f);
        expect_same(f, STORE_METRIC, deleted);
        free(before);
        free(after);
        free(deleted);
        fixture_teardown(state);
    }
    fixture_setup(state);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_delete_shows_at_once_and_through_every_step),
        CASE(what_is_sent_again_is_kept),
        CASE(the_newest_sample_may_come_again_with_another_value),
        CASE(series_vanish_with_their_last_entry),
        CASE(single_entries_go_by_content),
        CASE(bad_deletes_are_refused),
        CASE(a_view_from_before_keeps_what_it_saw),
        CASE(deletes_are_in_force_beside_writers_and_the_sealer),
        CASE(crashes_neither_lose_a_delete_nor_bring_entries_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
