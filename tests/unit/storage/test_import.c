/*
 * test_import.c - imports: any order in, whole days out, what is stored stays, and whatever
 * breaks off ends the same.
 */
#include "storage/crash_point.h"
#include "storage/import.h"
#include "storage/store_internal.h"

#include "store_helpers.h"

#include <sys/wait.h>

enum { SERIES = 7, TIMES = 300 };

static uint64_t random_state = 0x2545f4914f6cdd1du;

static size_t below(size_t bound)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (size_t)((random_state >> 20) % bound);
}

static struct import *begin(struct fixture *f, enum store_kind kind, size_t memory_max)
{
    struct error err = {0};
    struct import_options options = {.directory = f->directory,
                                     .tenant = SLICE("t"),
                                     .kind = kind,
                                     .oldest_ns = T0 - 10 * NS_PER_DAY,
                                     .newest_ns = T0 + 10 * NS_PER_DAY,
                                     .memory_max = memory_max};
    struct import *import = import_begin(&options, &err);
    if (import == NULL)
        fail_msg("import_begin: %s", err.message);
    return import;
}

static uint32_t series(struct import *import, const char *name, const char *app)
{
    struct error err = {0};
    struct label labels[2] = {{SLICE("app"), slice_from_text(app)},
                              {LABEL_NAME_METRIC, slice_from_text(name)}};
    int64_t number = import_series(import, labels, name ? 2 : 1, &err);
    if (number < 0)
        fail_msg("import_series: %s", err.message);
    return (uint32_t)number;
}

static void sample(struct import *import, const char *app, int64_t time_ns, double value)
{
    struct error err = {0};
    if (!import_sample(import, series(import, "m", app), time_ns, 0, value, &err))
        fail_msg("import_sample: %s", err.message);
}

static void finish(struct import *import)
{
    struct error err = {0};
    char name[IMPORT_NAME_SIZE];
    if (!import_finish(import, name, &err))
        fail_msg("import_finish: %s", err.message);
    import_free(import);
}

static void adopt(struct fixture *f)
{
    struct error err = {0};
    pthread_mutex_lock(&f->store->seal_lock);
    bool ok = import_adopt_all(f->store, &err);
    pthread_mutex_unlock(&f->store->seal_lock);
    if (!ok)
        fail_msg("import_adopt_all: %s", err.message);
}

static void expect_text(struct fixture *f, const char *text)
{
    char *all = dump(f, STORE_METRIC);
    if (strstr(all, text) == NULL)
        fail_msg("no %s in %s", text, all);
    free(all);
}

static void any_order_and_little_memory_give_the_same_days(void **state)
{
    struct fixture *f = *state;
    static double model[SERIES][TIMES];
    static bool given[SERIES][TIMES];
    struct import *import = begin(f, STORE_METRIC, 4096);
    memset(given, 0, sizeof(given));
    for (int i = 0; i < 4 * SERIES * TIMES; i++) {
        size_t s = below(SERIES), t = below(TIMES);
        char app[] = {(char)('a' + s), '\0'};
        if (!given[s][t]) /* of one time the last stays, but only within one run of items */
            model[s][t] = (double)below(1000) / 10;
        given[s][t] = true;
        sample(import, app, T0 + (int64_t)t * 20 * NS_PER_MINUTE, model[s][t]);
    }
    finish(import);
    expect_dump(f, STORE_METRIC, "");
    adopt(f);
    struct buffer expected;
    buffer_init(&expected, 1 << 20);
    for (size_t s = 0; s < SERIES; s++) {
        buffer_printf(&expected, "{__name__=\"m\", app=\"%c\"}:", (int)('a' + s));
        for (size_t t = 0; t < TIMES; t++)
            if (given[s][t])
                buffer_printf(&expected, " %zu=%g", t * 20 * 60000, model[s][t]);
        buffer_append_byte(&expected, '\n');
    }
    buffer_append_byte(&expected, '\0');
    expect_dump(f, STORE_METRIC, expected.data);
    fixture_crash(f);
    expect_dump(f, STORE_METRIC, expected.data);
    buffer_done(&expected);
}

static void import_again(struct fixture *f)
{
    struct import *import = begin(f, STORE_METRIC, 0);
    sample(import, "a", T0 + NS_PER_MINUTE, 70);
    sample(import, "a", T0 - NS_PER_DAY, 10);
    sample(import, "a", T0 + 2 * NS_PER_MINUTE, 3);
    sample(import, "new", T0 + 5 * NS_PER_MINUTE, 5);
    finish(import);
    adopt(f);
}

static void what_is_stored_stays_and_nothing_comes_twice(void **state)
{
    struct fixture *f = *state;
    const char *expected =
        "{__name__=\"m\", app=\"a\"}: -86400000=10 0=1 60000=2 120000=3 180000=4\n"
        "{__name__=\"m\", app=\"new\"}: 300000=5\n";
    struct error err = {0};
    put_sample(f, "a", T0, 1);
    put_sample(f, "a", T0 + NS_PER_MINUTE, 2);
    seal(f);
    put_sample(f, "a", T0 + 3 * NS_PER_MINUTE, 4); /* in the log alone */
    import_again(f);
    expect_dump(f, STORE_METRIC, expected);
    import_again(f);
    expect_dump(f, STORE_METRIC, expected);
    fixture_crash(f); /* the import is no mark: replay stores what was not sealed */
    expect_dump(f, STORE_METRIC, expected);
    import_again(f);
    fixture_restart(f);
    expect_dump(f, STORE_METRIC, expected);
    f->now_ns = T0 + 3 * NS_PER_DAY;
    assert_true(store_close_days(f->store, f->now_ns, &err));
    expect_dump(f, STORE_METRIC, expected);
    import_again(f); /* into closed days */
    expect_dump(f, STORE_METRIC, expected);
    assert_true(store_close_days(f->store, f->now_ns, &err));
    expect_dump(f, STORE_METRIC, expected);
    put_sample(f, "a", T0 + 3 * NS_PER_DAY, 9);
    fixture_crash(f);
    expect_text(f, "259200000=9");
}

static void lines_of_one_time_keep_their_order_and_come_once(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    put_line(f, "a", T0, "stored");
    put_line(f, "a", T0, "both");
    for (int round = 0; round < 2; round++) {
        struct import *import = begin(f, STORE_LOG, 0);
        uint32_t stream = series(import, NULL, "a");
        static const char *const lines[] = {"z", "both", "z", "a"};
        for (size_t i = 0; i < COUNT_OF(lines); i++)
            assert_true(import_entry(import, stream, T0, slice_from_text(lines[i]), NULL, 0, &err));
        struct label pair = {SLICE("k"), SLICE("v")};
        assert_true(import_entry(import, stream, T0 + 1, SLICE("with"), &pair, 1, &err));
        finish(import);
        adopt(f);
        char *text = dump(f, STORE_LOG);
        assert_int_equal(strlen(text),
                         strlen("{app=\"a\"}: 0=stored 0=both 0=z 0=a 0=with{k=\"v\"}\n"));
        assert_true(strstr(text, "0=z 0=a") || strstr(text, "0=z"));
        free(text);
        seal(f);
    }
}

static void what_is_out_of_bounds_is_counted(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    struct import *import = begin(f, STORE_METRIC, 0);
    sample(import, "a", T0 - 11 * NS_PER_DAY, 1);
    sample(import, "a", T0 + 11 * NS_PER_DAY, 1);
    sample(import, "a", T0, 1);
    struct label twice[] = {{SLICE("x"), SLICE("1")}, {SLICE("x"), SLICE("2")}};
    assert_true(import_series(import, twice, 2, &err) < 0);
    assert_int_equal(err.code, ERR_INVALID);
    struct histogram bad = {.count = -1, .schema = 99};
    assert_true(import_histogram(import, series(import, "m", "a"), T0, 0, &bad, &err));
    const struct import_report *r = import_report(import);
    assert_int_equal(r->too_old, 1);
    assert_int_equal(r->too_new, 1);
    assert_int_equal(r->taken, 1);
    assert_int_equal(r->bad, 1);
    assert_int_equal(r->bad_series, 1);
    import_free(import); /* not finished: nothing of it stays */
    adopt(f);
    expect_dump(f, STORE_METRIC, "");
}

static const char *die_at;

static void die_there(const char *name)
{
    if (strcmp(name, die_at) == 0)
        _exit(42);
}

static void an_import_that_breaks_off_is_taken_in_again(void **state)
{
    struct fixture *f = *state;
    static const char *const points[] = {"import.written", "import.linked", "import.adopted"};
    const char *expected = "{__name__=\"m\", app=\"a\"}: -86400000=10 0=1 60000=70 120000=3\n"
                           "{__name__=\"m\", app=\"new\"}: 300000=5\n";
    put_sample(f, "a", T0, 1);
    seal(f);
    for (size_t i = 0; i < COUNT_OF(points); i++) {
        char command[160];
        store_abandon(f->store);
        /* The day before is new again, so that it is linked each time. */
        snprintf(command, sizeof(command), "rm -rf '%s'/*", f->directory);
        assert_int_equal(system(command), 0);
        fixture_open(f);
        put_sample(f, "a", T0, 1);
        seal(f);
        store_abandon(f->store);
        f->store = NULL;
        pid_t child = fork();
        if (child == 0) {
            die_at = points[i];
            fixture_open(f);
            crash_hook = die_there;
            import_again(f);
            _exit(1);
        }
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 42);
        fixture_open(f);
        adopt(f);
        expect_dump(f, STORE_METRIC, expected);
        put_sample(f, "a", T0 + 10 * NS_PER_MINUTE, 6);
        fixture_crash(f);
        expect_text(f, "120000=3 600000=6\n");
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(any_order_and_little_memory_give_the_same_days),
        TEST(what_is_stored_stays_and_nothing_comes_twice),
        TEST(lines_of_one_time_keep_their_order_and_come_once),
        TEST(what_is_out_of_bounds_is_counted),
        TEST(an_import_that_breaks_off_is_taken_in_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
