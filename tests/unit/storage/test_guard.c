/* test_guard.c - what a store refuses to start on, or to do: file systems, versions, clocks. */
#include "tests/unit/storage/store_helpers.h"

#include "storage/lmdb_env.h"
#include "storage/partition_internal.h"

#include <sys/syscall.h>
#include <sys/vfs.h>

static long fake_type; /* 0: the true one */

/* In place of the system's, for this program. */
int statfs(const char *path, struct statfs *info)
{
    int outcome = (int)syscall(SYS_statfs, path, info);
    if (fake_type != 0)
        info->f_type = fake_type;
    return outcome;
}

static void remote_file_systems_are_refused_by_name(void **state)
{
    struct fixture *f = *state;
    static const struct {
        long type;
        const char *name;
    } remote[] = {{0x6969, "NFS"}, {0xFE534D42, "SMB2"}, {0xFF534D42, "CIFS"}, {0x01021997, "9p"}};
    store_abandon(f->store);
    for (size_t i = 0; i < COUNT_OF(remote); i++) {
        struct error err = {0};
        fake_type = remote[i].type;
        f->store = store_open(&f->options, &err);
        assert_null(f->store);
        assert_int_equal(err.code, ERR_UNSUPPORTED);
        assert_non_null(strstr(err.message, remote[i].name));
    }
    f->options.allow_remote_fs = true;
    fixture_open(f);
    fake_type = 0;
}

static void a_partition_of_a_newer_version_is_refused_not_damaged(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    char path[256], sums[300];
    put_sample(f, "a", T0, 1);
    assert_true(store_close(f->store, &err));
    f->store = NULL;
    snprintf(path, sizeof(path), "%s/t/metric/2023-11-14/1.mdb", f->directory);
    snprintf(sums, sizeof(sums), "%s-sums", path);
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi dbi;
    MDB_val key = lmdb_val(SLICE("state")), value;
    char row[STATE_SIZE];
    assert_int_equal(mdb_env_create(&env), 0);
    mdb_env_set_maxdbs(env, 8);
    assert_int_equal(mdb_env_open(env, path, MDB_NOSUBDIR, 0600), 0);
    assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
    assert_int_equal(mdb_dbi_open(txn, "meta", 0, &dbi), 0);
    assert_int_equal(mdb_get(txn, dbi, &key, &value), 0);
    assert_int_equal(value.mv_size, sizeof(row));
    memcpy(row, value.mv_data, sizeof(row));
    row[0] = 99;
    value = (MDB_val){sizeof(row), row};
    assert_int_equal(mdb_put(txn, dbi, &key, &value, 0), 0);
    assert_int_equal(mdb_txn_commit(txn), 0);
    mdb_env_close(env);
    assert_int_equal(unlink(sums), 0); /* they do not know of this commit */
    f->options.repair = true;          /* must not set it aside */
    fixture_open(f);
    struct store_damage *damage = store_damage_new();
    struct cursor_request request = {
        .tenant = SLICE("t"), .start_ns = 0, .end_ns = INT64_MAX, .damage = damage};
    assert_null(cursor_open(f->store, &request, &err));
    assert_int_equal(err.code, ERR_UNSUPPORTED);
    assert_non_null(strstr(err.message, "newer version"));
    store_damage_free(damage);
}

/* The sealer looks at retention when it starts. */
static uint64_t days_after_a_start(struct fixture *f)
{
    struct store_stats stats;
    struct error err = {0};
    f->options.retention_ns = NS_PER_DAY;
    f->options.seal_interval_ns = 10 * NS_PER_MS;
    fixture_open(f);
    usleep(300000);
    store_stats_read(f->store, &stats);
    assert_true(store_close(f->store, &err));
    f->store = NULL;
    return stats.partitions;
}

static void after_a_clock_step_of_over_a_day_nothing_is_deleted_at_first(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    put_sample(f, "a", T0, 1);
    assert_true(store_close(f->store, &err));
    f->store = NULL;
    assert_int_equal(days_after_a_start(f), 1); /* this clock is noted */
    f->now_ns = T0 + 3650 * NS_PER_DAY;
    assert_int_equal(days_after_a_start(f), 1);
    f->now_ns = T0 - NS_PER_DAY; /* and back, which is a step as well */
    assert_int_equal(days_after_a_start(f), 1);
    f->now_ns = T0 + 3 * NS_PER_DAY;
    assert_int_equal(days_after_a_start(f), 1);
    fixture_open(f); /* until somebody says that it is right */
    assert_true(store_confirm_clock(f->store, &err));
    assert_true(store_close(f->store, &err));
    assert_int_equal(days_after_a_start(f), 0);
    fixture_open(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)
        WITH_FIXTURE(remote_file_systems_are_refused_by_name),
        WITH_FIXTURE(a_partition_of_a_newer_version_is_refused_not_damaged),
        WITH_FIXTURE(after_a_clock_step_of_over_a_day_nothing_is_deleted_at_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
