/*
 * test_opening.c - between store_open_begin() and the end of replay.
 *
 * Batches wait; when the log is replayed they are decided as if they had come
 * behind it, because they did.
 */
#include "store_helpers.h"

#include <fcntl.h>
#include <pthread.h>

struct waiter {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    unsigned answered;
    struct batch_result last;
    struct error err;
};

static void waiter_init(struct waiter *w)
{
    *w = (struct waiter){0};
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->wake, NULL);
}

static void note_answer(void *context, struct batch *batch, const struct batch_result *result)
{
    struct waiter *w = context;
    (void)batch;
    pthread_mutex_lock(&w->lock);
    w->last = *result;
    if (result->error)
        w->err = *result->error;
    w->answered++;
    pthread_cond_signal(&w->wake);
    pthread_mutex_unlock(&w->lock);
}

static void await_answers(struct waiter *w, unsigned count)
{
    pthread_mutex_lock(&w->lock);
    while (w->answered < count)
        pthread_cond_wait(&w->wake, &w->lock);
    pthread_mutex_unlock(&w->lock);
}

static void reopen_half(struct fixture *f)
{
    struct error err = {0};
    store_abandon(f->store);
    f->store = store_open_begin(&f->options, &err);
    if (f->store == NULL)
        fail_msg("store_open_begin: %s", err.message);
}

static void send_sample(struct fixture *f, struct waiter *w, const char *app, int64_t time_ns,
                        double value)
{
    struct batch *batch = new_batch(f, STORE_METRIC);
    assert_true(batch_sample(batch, define(batch, "m", app), time_ns, value, NULL));
    batch_commit(batch, note_answer, w);
}

static void batches_wait_and_come_behind_what_is_replayed(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    struct waiter w;
    waiter_init(&w);
    put_sample(f, "a", T0, 1);
    put_sample(f, "b", T0 + NS_PER_SECOND, 2);
    reopen_half(f);
    assert_false(store_is_ready(f->store));
    assert_false(store_writable(f->store, &err));
    assert_non_null(strstr(err.message, "replayed"));
    send_sample(f, &w, "new", T0, 7);
    send_sample(f, &w, "b", T0 + 2 * NS_PER_SECOND, 3);
    send_sample(f, &w, "a", T0, 9); /* the replayed one has another value */
    struct store_stats stats;
    store_stats_read(f->store, &stats);
    assert_int_equal(w.answered, 0);
    assert_true(store_open_finish(f->store, &err));
    await_answers(&w, 3);
    assert_true(store_is_ready(f->store));
    assert_true(store_writable(f->store, &err));
    assert_int_equal(w.last.refused[REFUSED_DUPLICATE], 1);
    static const char *const expected = "{__name__=\"m\", app=\"a\"}: 0=1\n"
                                        "{__name__=\"m\", app=\"b\"}: 1000=2 2000=3\n"
                                        "{__name__=\"m\", app=\"new\"}: 0=7\n";
    expect_dump(f, STORE_METRIC, expected);
    fixture_crash(f);
    expect_dump(f, STORE_METRIC, expected);
}

/* One byte in the middle of the first segment; a second one follows it. */
static void damage_the_log(struct fixture *f)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/wal/00000001.wal", f->directory);
    int fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, "\xff\xff\xff", 3, 200), 3);
    close(fd);
}

static void batches_are_refused_when_replay_fails(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    struct waiter w;
    waiter_init(&w);
    put_sample(f, "a", T0, 1);
    put_sample(f, "a", T0 + NS_PER_SECOND, 1);
    fixture_crash(f);
    put_sample(f, "a", T0 + 2 * NS_PER_SECOND, 1);
    store_abandon(f->store);
    damage_the_log(f);
    f->store = store_open_begin(&f->options, &err);
    assert_non_null(f->store);
    send_sample(f, &w, "a", T0 + 3 * NS_PER_SECOND, 7);
    assert_false(store_open_finish(f->store, &err));
    assert_int_equal(err.code, ERR_CORRUPT);
    await_answers(&w, 1);
    assert_int_equal(w.err.code, ERR_UNAVAILABLE);
    assert_null(batch_new(f->store, SLICE("t"), STORE_METRIC, &err));
    assert_true(store_close(f->store, &err)); /* writes nothing */
    f->options.repair = true;
    fixture_open(f);
    f->options.repair = false;
}

static void a_start_that_is_canceled_leaves_the_log_as_it_is(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    put_sample(f, "a", T0, 1);
    put_sample(f, "a", T0 + NS_PER_SECOND, 2);
    reopen_half(f);
    store_open_cancel(f->store);
    assert_false(store_open_finish(f->store, &err));
    assert_int_equal(err.code, ERR_CANCELED);
    assert_true(store_close(f->store, &err));
    fixture_open(f);
    expect_dump(f, STORE_METRIC, "{__name__=\"m\", app=\"a\"}: 0=1 1000=2\n");
    struct store_replay r;
    store_replay_report(f->store, &r);
    assert_int_equal(r.samples, 2);
    assert_true(r.bytes > 0 && r.bytes <= r.bytes_all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(batches_wait_and_come_behind_what_is_replayed,
                                        fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(batches_are_refused_when_replay_fails, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(a_start_that_is_canceled_leaves_the_log_as_it_is,
                                        fixture_setup, fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
