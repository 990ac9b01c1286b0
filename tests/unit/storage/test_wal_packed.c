/* Large batches of text stand compressed in the log, and come back from there as they were. */
#include "store_helpers.h"

enum { LINES = 400, LINE_SIZE = 100 };

/* Line `number`: words, or bytes without any order. */
static struct slice make_line(char line[LINE_SIZE], unsigned number, bool noise)
{
    static uint64_t random = 88172645463325252;
    memset(line, 'a' + (char)(number % 3), LINE_SIZE);
    for (size_t i = 0; noise && i < LINE_SIZE; i++) {
        random = random * UINT64_C(6364136223846793005) + 1442695040888963407;
        line[i] = (char)(random >> 40);
    }
    return slice_of(line, LINE_SIZE);
}

static uint64_t put_lines(struct fixture *f, const char *app, unsigned count, bool noise)
{
    struct store_stats before, after;
    store_stats_read(f->store, &before);
    struct batch *batch = new_batch(f, STORE_LOG);
    uint32_t series = define(batch, NULL, app);
    for (unsigned i = 0; i < count; i++) {
        char line[LINE_SIZE];
        struct label metadata = {SLICE("trace"), SLICE("1")};
        assert_true(batch_entry(batch, series, T0 + (int64_t)i * NS_PER_MS,
                                make_line(line, i, noise), &metadata, i % 2, NULL));
    }
    assert_int_equal(commit(batch).stored, count);
    store_stats_read(f->store, &after);
    return after.wal_bytes_written - before.wal_bytes_written;
}

static void text_takes_few_bytes_and_survives(void **state)
{
    struct fixture *f = *state;
    assert_true(put_lines(f, "a", LINES, false) < LINES * LINE_SIZE / 10);
    assert_true(put_lines(f, "noise", LINES, true) >= LINES * LINE_SIZE);
    assert_true(put_lines(f, "small", 10, false) >= 10 * LINE_SIZE);
    char *before = dump(f, STORE_LOG);
    fixture_crash(f);
    expect_dump(f, STORE_LOG, before);
    seal(f);
    expect_dump(f, STORE_LOG, before);
    fixture_crash(f);
    expect_dump(f, STORE_LOG, before);
    free(before);
}

static void it_can_be_left_plain(void **state)
{
    struct fixture *f = *state;
    f->options.wal_plain = true;
    fixture_restart(f);
    assert_true(put_lines(f, "a", LINES, false) >= LINES * LINE_SIZE);
    char *before = dump(f, STORE_LOG);
    f->options.wal_plain = false;
    fixture_crash(f);
    expect_dump(f, STORE_LOG, before);
    free(before);
}

static void a_batch_that_was_sent_again_is_known_from_a_packed_record(void **state)
{
    struct fixture *f = *state;
    for (int round = 0; round < 2; round++) {
        struct batch *batch = new_batch(f, STORE_LOG);
        uint32_t series = define(batch, NULL, "a");
        batch_set_producer(batch, SLICE("p"), 1, 7);
        for (unsigned i = 0; i < LINES; i++) {
            char line[LINE_SIZE];
            batch_entry(batch, series, T0 + i, make_line(line, i, false), NULL, 0, NULL);
        }
        assert_int_equal(commit(batch).repeated, round == 1);
        fixture_crash(f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(text_takes_few_bytes_and_survives, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(it_can_be_left_plain, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(a_batch_that_was_sent_again_is_known_from_a_packed_record,
                                        fixture_setup, fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
