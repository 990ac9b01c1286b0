/* test_trouble.c - full disks, failing syncs, limits. */
#include "store_helpers.h"

#include "base/files.h"

#include <errno.h>
#include <fcntl.h>

static struct {
    long writes, syncs; /* count down to the call that fails; 0: none */
    int error;
    bool for_good;
} fault;

static bool is_due(long *countdown)
{
    if (__atomic_load_n(countdown, __ATOMIC_SEQ_CST) == 0)
        return false;
    long left = __atomic_sub_fetch(countdown, 1, __ATOMIC_SEQ_CST);
    if (left == 0 && fault.for_good)
        __atomic_store_n(countdown, 1, __ATOMIC_SEQ_CST);
    return left == 0;
}

static int faulty_open(const char *path, int flags, mode_t mode)
{
    return open(path, flags, mode);
}

static ssize_t faulty_pwrite(int fd, const void *data, size_t size, off_t offset)
{
    if (is_due(&fault.writes)) {
        errno = fault.error;
        if (size > 40 && pwrite(fd, data, 40, offset) < 0) /* a part may be there */
            return -1;
        errno = fault.error;
        return -1;
    }
    return pwrite(fd, data, size, offset);
}

static bool hang; /* syncs wait while it is set; atomic */

static bool is_log(int fd)
{
    char link[64], path[256] = "";
    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    return readlink(link, path, sizeof(path) - 1) > 0 && strstr(path, "/wal/") != NULL;
}

static int faulty_fdatasync(int fd)
{
    while (__atomic_load_n(&hang, __ATOMIC_SEQ_CST) && is_log(fd))
        usleep(1000);
    if (is_due(&fault.syncs)) {
        errno = fault.error;
        return -1;
    }
    return fdatasync(fd);
}

static const struct file_hooks hooks = {.open = faulty_open,
                                        .pwrite = faulty_pwrite,
                                        .fdatasync = faulty_fdatasync,
                                        .fsync = fsync,
                                        .ftruncate = ftruncate,
                                        .rename = rename,
                                        .unlink = unlink,
                                        .mkdir = mkdir};

/* Reopen in durable mode with the hooks in place. */
static void with_hooks(struct fixture *f)
{
    struct error err = {0};
    memset(&fault, 0, sizeof(fault));
    assert_true(store_close(f->store, &err));
    f->options.ack = STORE_ACK_DURABLE;
    file_hooks = &hooks;
    fixture_open(f);
}

static bool try_sample(struct fixture *f, int64_t time_ns, struct error *err)
{
    struct batch_result result;
    struct batch *batch = batch_new(f->store, SLICE("t"), STORE_METRIC, err);
    if (batch == NULL)
        return false;
    batch_sample(batch, define(batch, "m", "a"), time_ns, 1, NULL);
    return batch_commit_wait(batch, &result, err);
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    store_abandon(f->store); /* its threads read the hooks */
    f->store = NULL;
    file_hooks = NULL;
    return fixture_teardown(state);
}

static void a_full_disk_refuses_and_recovers_without_restart(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    with_hooks(f);
    assert_true(try_sample(f, T0, &err));
    fault.error = ENOSPC;
    fault.writes = 1;
    assert_false(try_sample(f, T0 + NS_PER_SECOND, &err));
    assert_int_equal(err.code, ERR_UNAVAILABLE);
    assert_false(store_writable(f->store, &err));
    expect_dump(f, STORE_METRIC, "{__name__=\"m\", app=\"a\"}: 0=1\n");
    for (int i = 0; i < 300 && !store_writable(f->store, &err); i++)
        usleep(10000);
    assert_true(store_problem(f->store, &err)); /* until a write has succeeded */
    assert_non_null(strstr(err.message, "No space left"));
    assert_true(try_sample(f, T0 + 2 * NS_PER_SECOND, &err));
    assert_false(store_problem(f->store, &err));
    const char *expected = "{__name__=\"m\", app=\"a\"}: 0=1 2000=1\n";
    expect_dump(f, STORE_METRIC, expected);
    fixture_crash(f);
    expect_dump(f, STORE_METRIC, expected);
}

static long answered, unavailable;

static void note_answer(void *context, struct batch *batch, const struct batch_result *result)
{
    (void)context, (void)batch;
    if (result->error) {
        assert_int_equal(result->error->code, ERR_UNAVAILABLE);
        __atomic_add_fetch(&unavailable, 1, __ATOMIC_SEQ_CST);
    }
    __atomic_add_fetch(&answered, 1, __ATOMIC_SEQ_CST);
}

static void while_a_sync_hangs_only_so_many_batches_wait(void **state)
{
    enum { BATCHES = 200, SIZE = 20000, WAIT = 1024 * 1024 / (SIZE + 100) };
    struct fixture *f = *state;
    static char line[SIZE];
    f->options.head_memory_max = (size_t)2 * 1024 * 1024;
    f->options.seal_interval_ns = -1;
    with_hooks(f);
    answered = unavailable = 0;
    memset(line, 'x', sizeof(line));
    __atomic_store_n(&hang, true, __ATOMIC_SEQ_CST);
    for (int i = 0; i < BATCHES; i++) {
        struct batch *batch = new_batch(f, STORE_LOG);
        uint32_t series = define(batch, "m", "a");
        assert_true(
            batch_entry(batch, series, T0 + i, slice_of(line, sizeof(line)), NULL, 0, NULL));
        batch_commit(batch, note_answer, NULL);
    }
    /* 1 MiB waits, and one group, which was no larger, is with the log's thread */
    assert_in_range(__atomic_load_n(&unavailable, __ATOMIC_SEQ_CST), BATCHES - 2 * (WAIT + 2),
                    BATCHES - WAIT);
    __atomic_store_n(&hang, false, __ATOMIC_SEQ_CST);
    for (int i = 0; i < 3000 && __atomic_load_n(&answered, __ATOMIC_SEQ_CST) < BATCHES; i++)
        usleep(10000);
    assert_int_equal(answered, BATCHES);
}

static void a_failed_sync_is_final_and_queries_go_on(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    with_hooks(f);
    assert_true(try_sample(f, T0, &err));
    fault.error = EIO;
    fault.syncs = 1;
    assert_false(try_sample(f, T0 + NS_PER_SECOND, &err));
    assert_int_equal(err.code, ERR_UNAVAILABLE);
    usleep(1200000);
    assert_false(try_sample(f, T0 + 2 * NS_PER_SECOND, &err));
    assert_int_equal(err.code, ERR_UNAVAILABLE);
    expect_dump(f, STORE_METRIC, "{__name__=\"m\", app=\"a\"}: 0=1\n");
    assert_false(store_close(f->store, &err));
    f->store = NULL;
    fixture_open(f);
    char *text = dump(f, STORE_METRIC);
    assert_non_null(strstr(text, " 0=1"));
    free(text);
}

/* Each n-th write or sync fails once: what was acknowledged is there after a crash. */
static void every_failing_call_leaves_what_was_acknowledged(void **state)
{
    struct fixture *f = *state;
    static const int errors[] = {ENOSPC, EIO};
    for (int which = 0; which < 4; which++) {
        for (long n = 1; n < 40; n += 3) {
            bool acknowledged[20] = {false};
            struct error err = {0};
            f->options.wal_segment_size = 600;
            f->options.future_ns = -1;
            with_hooks(f);
            fault.error = errors[which % 2];
            *(which < 2 ? &fault.writes : &fault.syncs) = n;
            int64_t start = T0 + (which * 40 + n) * NS_PER_MINUTE;
            for (int i = 0; i < 20; i++)
                acknowledged[i] = try_sample(f, start + i * NS_PER_SECOND, &err);
            memset(&fault, 0, sizeof(fault));
            fixture_crash(f);
            char *text = dump(f, STORE_METRIC);
            for (int i = 0; i < 20; i++) {
                char wanted[32];
                snprintf(wanted, sizeof(wanted),
                         " %lld=", (long long)((start - T0) / NS_PER_MS + i * 1000));
                if (acknowledged[i] && strstr(text, wanted) == NULL)
                    fail_msg("call %ld of kind %d: sample %d is lost", n, which, i);
            }
            free(text);
        }
    }
}

static void limits_are_kept(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    f->options.series_max = 2;
    f->options.tenants_max = 2;
    f->options.label_limits[STORE_METRIC].count_max = 3;
    fixture_restart(f);
    struct batch *batch = new_batch(f, STORE_METRIC);
    define(batch, "m", "a");
    define(batch, "m", "b");
    struct label labels[4] = {{SLICE("app"), SLICE("c")}};
    assert_int_equal(batch_define(batch, 1, SLICE("k"), labels, 1, &err), -1);
    assert_int_equal(err.code, ERR_RATE);
    for (int i = 0; i < 4; i++)
        labels[i] = (struct label){slice_of(&"abcd"[i], 1), SLICE("v")};
    assert_int_equal(batch_define(batch, 1, SLICE("k"), labels, 4, &err), -1);
    assert_int_equal(err.code, ERR_INVALID);
    labels[0] = (struct label){SLICE("a"), SLICE("")};
    assert_int_equal(batch_define(batch, 1, SLICE("k"), labels, 1, &err), -1);
    assert_int_equal(err.code, ERR_INVALID);
    batch_sample(batch, 0, T0, 1, NULL);
    commit(batch);
    batch_free(batch_new(f->store, SLICE("t2"), STORE_LOG, &err));
    assert_null(batch_new(f->store, SLICE("t3"), STORE_LOG, &err));
    assert_int_equal(err.code, ERR_RATE);
}

static void a_head_over_its_memory_refuses_until_it_is_sealed(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    char line[5000];
    memset(line, 'x', sizeof(line) - 1);
    line[sizeof(line) - 1] = '\0';
    f->options.head_memory_max = 100000;
    fixture_restart(f);
    int stored = 0;
    while (store_writable(f->store, &err) && stored < 100)
        put_line(f, "x", T0 + stored++ * NS_PER_SECOND, line);
    assert_true(stored > 5 && stored < 100);
    assert_null(batch_new(f->store, SLICE("t"), STORE_LOG, &err));
    assert_int_equal(err.code, ERR_UNAVAILABLE);
    seal(f);
    assert_true(store_writable(f->store, &err));
    put_line(f, "x", T0 + NS_PER_HOUR / 2, "on");
}

static void old_days_are_deleted(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    put_sample(f, "a", T0, 1);
    put_line(f, "x", T0, "l");
    f->options.retention_ns = 2 * NS_PER_DAY;
    fixture_restart(f);
    f->now_ns = T0 + 2 * NS_PER_DAY;
    assert_true(store_retention(f->store, &err));
    expect_dump(f, STORE_LOG, "{app=\"x\"}: 0=l\n");
    f->now_ns = T0 + 4 * NS_PER_DAY;
    assert_true(store_retention(f->store, &err));
    expect_dump(f, STORE_METRIC, "");
    expect_dump(f, STORE_LOG, "");
    struct store_stats stats;
    store_stats_read(f->store, &stats);
    assert_int_equal(stats.partitions_deleted, 2);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_full_disk_refuses_and_recovers_without_restart),
        TEST(while_a_sync_hangs_only_so_many_batches_wait),
        TEST(a_failed_sync_is_final_and_queries_go_on),
        TEST(every_failing_call_leaves_what_was_acknowledged),
        TEST(limits_are_kept),
        TEST(a_head_over_its_memory_refuses_until_it_is_sealed),
        TEST(old_days_are_deleted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
