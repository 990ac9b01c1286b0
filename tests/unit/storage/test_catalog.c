/* The catalog: tenants, days, metadata, producers and the clock, kept through restarts and faults.
 */
#include "base/arena.h"
#include "base/error.h"
#include "base/memory.h"
#include "storage/catalog.h"
#include "storage/lmdb_env.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <unistd.h>

#include <cmocka.h>

struct fixture {
    char directory[64];
    struct catalog *catalog;
    struct arena *arena;
};

static void must(bool ok, const struct error *err)
{
    if (!ok)
        fail_msg("%s", err->message);
}

static void reopen(struct fixture *f)
{
    struct error err = {0};
    catalog_close(f->catalog);
    f->catalog = catalog_open(f->directory, &err);
    must(f->catalog != NULL, &err);
}

static int set_up(void **state)
{
    struct fixture *f = xcalloc(1, sizeof(*f));
    snprintf(f->directory, sizeof(f->directory), "/tmp/etinde-catalog-XXXXXX");
    if (mkdtemp(f->directory) == NULL)
        return -1;
    f->arena = arena_new(64 << 20);
    reopen(f);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    char path[128];
    catalog_close(f->catalog);
    snprintf(path, sizeof(path), "%s/meta.mdb", f->directory);
    unlink(path);
    snprintf(path, sizeof(path), "%s/meta.mdb-lock", f->directory);
    unlink(path);
    rmdir(f->directory);
    arena_free(f->arena);
    free(f);
    return 0;
}

static void tenants_are_kept_sorted_and_limited(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    must(catalog_add_tenant(f->catalog, SLICE("team-b"), 2, &err), &err);
    must(catalog_add_tenant(f->catalog, SLICE("a"), 2, &err), &err);
    must(catalog_add_tenant(f->catalog, SLICE("a"), 2, &err), &err);
    assert_false(catalog_add_tenant(f->catalog, SLICE("c"), 2, &err));
    assert_int_equal(err.code, ERR_RATE);
    assert_false(catalog_add_tenant(f->catalog, SLICE("a/b"), 0, &err));
    assert_int_equal(err.code, ERR_INVALID);
    assert_false(catalog_add_tenant(f->catalog, SLICE(""), 0, &err));
    for (int round = 0; round < 2; round++) {
        struct slice *tenants;
        size_t count;
        must(catalog_tenants(f->catalog, f->arena, &tenants, &count, &err), &err);
        assert_int_equal(count, 2);
        assert_true(slice_equal(tenants[0], SLICE("a")));
        assert_true(slice_equal(tenants[1], SLICE("team-b")));
        assert_true(catalog_has_tenant(f->catalog, SLICE("a")));
        assert_false(catalog_has_tenant(f->catalog, SLICE("c")));
        reopen(f);
    }
}

static void days_are_listed_by_range_and_survive(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    for (int32_t day = -3; day < 10; day++) {
        struct catalog_day d = {SLICE("t"), STORE_METRIC, day, (uint32_t)(day + 10), false, 0, 0,
                                0};
        must(catalog_set_day(f->catalog, &d, &err), &err);
    }
    struct catalog_day log = {SLICE("t"), STORE_LOG, 4, 1, false, 0, 0, 0},
                       gone = {SLICE("t"), STORE_METRIC, 5, 0, false, 0, 0, 0};
    must(catalog_set_day(f->catalog, &log, &err), &err);
    must(catalog_set_day(f->catalog, &gone, &err), &err);
    for (int round = 0; round < 2; round++) {
        struct catalog_day *days;
        size_t count;
        must(catalog_days(f->catalog, SLICE("t"), STORE_METRIC, -2, 6, f->arena, &days, &count,
                          &err),
             &err);
        assert_int_equal(count, 8);
        assert_int_equal(days[0].day, -2);
        assert_int_equal(days[0].generation, 8);
        assert_int_equal(days[7].day, 6);
        assert_int_equal(catalog_generation(f->catalog, SLICE("t"), STORE_METRIC, 5), 0);
        assert_int_equal(catalog_generation(f->catalog, SLICE("t"), STORE_LOG, 4), 1);
        assert_int_equal(catalog_generation(f->catalog, SLICE("u"), STORE_LOG, 4), 0);
        must(catalog_all_days(f->catalog, f->arena, &days, &count, &err), &err);
        assert_int_equal(count, 13);
        reopen(f);
    }
    assert_true(catalog_has_tenant(f->catalog, SLICE("t")));
}

static void metadata_is_replaced_and_listed_by_family(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    struct metric_metadata items[] = {
        {SLICE("up"), SLICE("gauge"), SLICE("Is it up?"), SLICE("")},
        {SLICE("http_total"), SLICE("counter"), SLICE("Requests."), SLICE("requests")},
        {SLICE(""), SLICE("counter"), SLICE("left out"), SLICE("")},
    };
    must(catalog_put_metadata(f->catalog, SLICE("t"), items, 3, &err), &err);
    items[0].help = SLICE("Is it still up?");
    must(catalog_put_metadata(f->catalog, SLICE("t"), items, 1, &err), &err);
    must(catalog_put_metadata(f->catalog, SLICE("tt"), items, 1, &err), &err);
    reopen(f);
    struct metric_metadata *got;
    size_t count;
    must(catalog_metadata(f->catalog, SLICE("t"), (struct slice){0}, f->arena, &got, &count, &err),
         &err);
    assert_int_equal(count, 2);
    assert_true(slice_equal(got[0].family, SLICE("http_total")));
    assert_true(slice_equal(got[0].unit, SLICE("requests")));
    assert_true(slice_equal(got[1].help, SLICE("Is it still up?")));
    must(catalog_metadata(f->catalog, SLICE("t"), SLICE("up"), f->arena, &got, &count, &err), &err);
    assert_int_equal(count, 1);
    assert_true(slice_equal(got[0].type, SLICE("gauge")));
    must(catalog_metadata(f->catalog, SLICE("t"), SLICE("u"), f->arena, &got, &count, &err), &err);
    assert_int_equal(count, 0);
}

static void producers_are_kept_until_they_expire(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    uint64_t sequences[CATALOG_SEQUENCES_MAX];
    for (size_t i = 0; i < COUNT_OF(sequences); i++)
        sequences[i] = i * i * UINT64_C(0x123456789);
    struct catalog_producer producers[] = {
        {SLICE("t"), STORE_METRIC, SLICE("agent-1"), 7, 1000, sequences, COUNT_OF(sequences)},
        {SLICE("t"), STORE_LOG, SLICE("agent-1"), 8, 2000, sequences, 3},
    };
    must(catalog_put_producers(f->catalog, producers, 2, &err), &err);
    reopen(f);
    struct catalog_producer *got;
    size_t count;
    must(catalog_producers(f->catalog, 0, f->arena, &got, &count, &err), &err);
    assert_int_equal(count, 2);
    assert_int_equal(got[0].kind, STORE_METRIC);
    assert_int_equal(got[0].epoch, 7);
    assert_int_equal(got[0].count, COUNT_OF(sequences));
    assert_memory_equal(got[0].sequences, sequences, sizeof(sequences));
    assert_true(slice_equal(got[1].producer, SLICE("agent-1")));
    must(catalog_producers(f->catalog, 1500, f->arena, &got, &count, &err), &err);
    assert_int_equal(count, 1);
    assert_int_equal(got[0].epoch, 8);
    must(catalog_producers(f->catalog, 0, f->arena, &got, &count, &err), &err);
    assert_int_equal(count, 1);
}

static void the_clock_is_remembered(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    assert_int_equal(catalog_clock(f->catalog), 0);
    must(catalog_set_clock(f->catalog, 123456789, &err), &err);
    reopen(f);
    assert_int_equal(catalog_clock(f->catalog), 123456789);
}

static void a_newer_format_is_refused_with_a_clear_text(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    char path[128];
    snprintf(path, sizeof(path), "%s/meta.mdb", f->directory);
    catalog_close(f->catalog);
    f->catalog = NULL;
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi dbi;
    uint64_t version = (uint64_t)(CATALOG_FORMAT_MAJOR + 1) << 32;
    MDB_val key = lmdb_val(SLICE("format")), value = {8, &version};
    assert_int_equal(mdb_env_create(&env), 0);
    mdb_env_set_maxdbs(env, 8);
    assert_int_equal(mdb_env_open(env, path, MDB_NOSUBDIR, 0600), 0);
    assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
    assert_int_equal(mdb_dbi_open(txn, "meta", 0, &dbi), 0);
    assert_int_equal(mdb_put(txn, dbi, &key, &value, 0), 0);
    assert_int_equal(mdb_txn_commit(txn), 0);
    mdb_env_close(env);
    char sums[160];
    snprintf(sums, sizeof(sums), "%s-sums", path);
    assert_int_equal(unlink(sums), 0); /* or the commit counts as one that never was finished */
    assert_null(catalog_open(f->directory, &err));
    assert_int_equal(err.code, ERR_UNSUPPORTED);
    assert_non_null(strstr(err.message, "newer version"));
}

static int fault_at;

static int fault_hook(const char *call)
{
    (void)call;
    return --fault_at == 0 ? EIO : 0;
}

static void a_failed_change_changes_nothing(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    for (int n = 1; n <= 4; n++) { /* begin, put, commit, its sums */
        fault_at = n;
        lmdb_fault = fault_hook;
        struct catalog_day d = {SLICE("t"), STORE_METRIC, 5, 1, false, 0, 0, 0};
        assert_false(catalog_set_day(f->catalog, &d, &err));
        assert_int_equal(err.code, ERR_IO);
        lmdb_fault = NULL;
        assert_int_equal(catalog_generation(f->catalog, SLICE("t"), STORE_METRIC, 5), 0);
        assert_false(catalog_has_tenant(f->catalog, SLICE("t")));
        reopen(f);
        assert_int_equal(catalog_generation(f->catalog, SLICE("t"), STORE_METRIC, 5), 0);
    }
}

int main(void)
{
#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        WITH_FIXTURE(tenants_are_kept_sorted_and_limited),
        WITH_FIXTURE(days_are_listed_by_range_and_survive),
        WITH_FIXTURE(metadata_is_replaced_and_listed_by_family),
        WITH_FIXTURE(producers_are_kept_until_they_expire),
        WITH_FIXTURE(the_clock_is_remembered),
        WITH_FIXTURE(a_newer_format_is_refused_with_a_clear_text),
        WITH_FIXTURE(a_failed_change_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
