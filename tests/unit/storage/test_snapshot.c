/* test_snapshot.c - copies of stores hold what the store held, and open. */
#include "tests/unit/storage/store_helpers.h"

#include "storage/snapshot.h"

static void fill(struct fixture *f, int from, int to)
{
    for (int i = from; i < to; i++) {
        char app[16], line[64];
        snprintf(app, sizeof(app), "a%d", i % 7);
        snprintf(line, sizeof(line), "line %d", i);
        put_sample(f, app, T0 + i * NS_PER_SECOND, i);
        put_line(f, app, T0 + i * NS_PER_SECOND, line);
    }
}

/* What the store in `directory` holds, metrics first. */
static void expect_copy(struct fixture *f, const char *directory, const char *metrics,
                        const char *logs)
{
    struct fixture copy = *f;
    copy.options.directory = directory;
    copy.options.clock = &f->clock;
    fixture_open(&copy);
    expect_dump(&copy, STORE_METRIC, metrics);
    expect_dump(&copy, STORE_LOG, logs);
    fixture_restart(&copy);
    expect_dump(&copy, STORE_METRIC, metrics);
    expect_dump(&copy, STORE_LOG, logs);
    struct error err = {0};
    assert_true(store_close(copy.store, &err));
}

static void a_snapshot_has_what_is_sealed_and_what_is_not(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    char name[SNAPSHOT_NAME_SIZE], path[256];
    fill(f, 0, 100);
    seal(f);
    fill(f, 100, 200);
    char *metrics = dump(f, STORE_METRIC), *logs = dump(f, STORE_LOG);
    if (!store_snapshot(f->store, name, &err))
        fail_msg("%s", err.message);
    fill(f, 200, 210); /* not in the copy */
    snprintf(path, sizeof(path), "%s/snapshots/%s", f->directory, name);
    expect_copy(f, path, metrics, logs);
    free(metrics);
    free(logs);
}

static void a_snapshot_of_an_empty_store_opens(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    char name[SNAPSHOT_NAME_SIZE], path[256];
    assert_true(store_snapshot(f->store, name, &err));
    snprintf(path, sizeof(path), "%s/snapshots/%s", f->directory, name);
    expect_copy(f, path, "", "");
}

static void a_snapshot_of_a_snapshot_is_the_same(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    char name[SNAPSHOT_NAME_SIZE], path[200], again[256];
    fill(f, 0, 50);
    seal(f);
    fill(f, 50, 60);
    char *metrics = dump(f, STORE_METRIC), *logs = dump(f, STORE_LOG);
    assert_true(store_snapshot(f->store, name, &err));
    snprintf(path, sizeof(path), "%s/snapshots/%s", f->directory, name);
    snprintf(again, sizeof(again), "%s-again", path);
    if (!store_backup(path, again, &err))
        fail_msg("%s", err.message);
    expect_copy(f, again, metrics, logs);
    free(metrics);
    free(logs);
}

static void a_backup_needs_a_free_place_and_a_free_store(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    char path[256];
    snprintf(path, sizeof(path), "%s/copy", f->directory);
    assert_false(store_backup(f->directory, path, &err));
    assert_int_equal(err.code, ERR_BUSY);
    assert_true(store_close(f->store, &err));
    f->store = NULL;
    assert_false(store_backup("/nonexistent", path, &err));
    assert_int_equal(err.code, ERR_NOT_FOUND);
    assert_false(store_backup(f->directory, f->directory, &err));
    assert_int_equal(err.code, ERR_INVALID);
    assert_true(store_backup(f->directory, path, &err));
    assert_false(store_backup(f->directory, path, &err));
    assert_int_equal(err.code, ERR_INVALID);
    fixture_open(f);
}

static void a_snapshot_has_closed_days_and_what_came_late(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    char name[SNAPSHOT_NAME_SIZE], path[256];
    fill(f, 0, 100);
    if (!store_close_days(f->store, T0 + 3 * NS_PER_DAY, &err))
        fail_msg("%s", err.message);
    fill(f, 100, 150);
    seal(f);
    fill(f, 150, 160);
    char *metrics = dump(f, STORE_METRIC), *logs = dump(f, STORE_LOG);
    assert_true(store_snapshot(f->store, name, &err));
    snprintf(path, sizeof(path), "%s/snapshots/%s", f->directory, name);
    expect_copy(f, path, metrics, logs);
    free(metrics);
    free(logs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_snapshot_has_what_is_sealed_and_what_is_not,
                                        fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(a_snapshot_of_an_empty_store_opens, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(a_snapshot_of_a_snapshot_is_the_same, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(a_snapshot_has_closed_days_and_what_came_late,
                                        fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(a_backup_needs_a_free_place_and_a_free_store, fixture_setup,
                                        fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
