/* Hang-ups and slow clients, on socket pairs. */
#include "server/http_watch.h"

#include "base/clock.h"
#include "base/duration.h"
#include "base/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

struct fixture {
    struct watch *watch;
    int ours, theirs; /* the two ends of a connection */
    int seat;
};

static const struct watch_limits limits = {
    .head_ms = 100, .idle_ms = 60000, .grace_ms = 100, .body_bytes_per_s = 1000};

static int set_up(void **state)
{
    static struct fixture f;
    struct error err = {0};
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    f.ours = ends[0];
    f.theirs = ends[1];
    f.watch = watch_start(2, &limits, &err);
    assert_non_null(f.watch);
    f.seat = watch_enter(f.watch, f.ours);
    assert_true(f.seat >= 0);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    watch_leave(f->watch, f->seat);
    watch_stop(f->watch);
    close(f->ours);
    if (f->theirs >= 0)
        close(f->theirs);
    return 0;
}

static bool becomes_true(const bool *flag, int64_t within_ms)
{
    int64_t until_ns = clock_monotonic_ns() + within_ms * NS_PER_MS;
    while (!__atomic_load_n(flag, __ATOMIC_ACQUIRE) && clock_monotonic_ns() < until_ns)
        usleep(1000);
    return __atomic_load_n(flag, __ATOMIC_ACQUIRE);
}

/* Has the watch shut the connection down? */
static bool is_cut(const struct fixture *f)
{
    char byte;
    return recv(f->theirs, &byte, 1, MSG_DONTWAIT) == 0;
}

static void a_hangup_sets_the_flag(void **state)
{
    struct fixture *f = *state;
    bool cancel = false;
    watch_hangup(f->watch, f->seat, &cancel);
    assert_false(becomes_true(&cancel, 50));
    close(f->theirs);
    f->theirs = -1;
    assert_true(becomes_true(&cancel, 2000));
    assert_int_equal(watch_hangup_count(f->watch), 1);
    watch_release(f->watch, f->seat);
}

static void data_is_no_hangup(void **state)
{
    struct fixture *f = *state;
    bool cancel = false;
    watch_hangup(f->watch, f->seat, &cancel);
    assert_int_equal(write(f->theirs, "next", 4), 4);
    assert_false(becomes_true(&cancel, 100));
    watch_release(f->watch, f->seat);
}

static void nothing_is_set_after_release(void **state)
{
    struct fixture *f = *state;
    bool cancel = false;
    watch_hangup(f->watch, f->seat, &cancel);
    watch_release(f->watch, f->seat);
    close(f->theirs);
    f->theirs = -1;
    assert_false(becomes_true(&cancel, 100));
}

static void seats_are_limited_and_come_back(void **state)
{
    struct fixture *f = *state;
    int second = watch_enter(f->watch, f->theirs);
    assert_true(second >= 0 && second != f->seat);
    assert_int_equal(watch_enter(f->watch, f->theirs), -1);
    watch_leave(f->watch, -1);
    watch_leave(f->watch, second);
    second = watch_enter(f->watch, f->theirs);
    assert_true(second >= 0);
    watch_leave(f->watch, second);
}

static void slow_clients_are_cut_and_others_are_not(void **state)
{
    struct fixture *f = *state;
    watch_set_phase(f->watch, f->seat, WATCH_WORKING);
    usleep(1300 * 1000);
    assert_false(is_cut(f));
    watch_set_phase(f->watch, f->seat, WATCH_BODY);
    watch_body_bytes(f->watch, f->seat, 100000);
    usleep(1300 * 1000);
    assert_false(is_cut(f));
    watch_set_phase(f->watch, f->seat, WATCH_HEAD);
    usleep(1500 * 1000);
    assert_true(is_cut(f));
    assert_true(watch_cut_count(f->watch) >= 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_hangup_sets_the_flag, set_up, tear_down),
        cmocka_unit_test_setup_teardown(data_is_no_hangup, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nothing_is_set_after_release, set_up, tear_down),
        cmocka_unit_test_setup_teardown(seats_are_limited_and_come_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(slow_clients_are_cut_and_others_are_not, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
