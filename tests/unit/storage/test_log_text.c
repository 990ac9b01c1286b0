/* test_log_text.c - many slow streams: open text stays under its cap, and all comes back. */
#include "store_helpers.h"

#include "base/ledger.h"
#include "base/number.h"
#include "storage/store_internal.h"

enum { STREAMS = 10000, ROUNDS = 12, CAP = 4 << 20 };

static void round_of_lines(struct fixture *f, int round)
{
    struct error err = {0};
    char key[32], line[256];
    struct batch *batch = new_batch(f, STORE_LOG);
    for (int i = 0; i < STREAMS; i++) {
        int size = snprintf(key, sizeof(key), "stream-%d", i);
        struct slice raw = slice_of(key, (size_t)size);
        struct label labels[] = {{SLICE("app"), raw}};
        int64_t number = batch_find(batch, 1, raw);
        if (number < 0)
            number = batch_define(batch, 1, raw, labels, 1, &err);
        assert_true(number >= 0);
        size = snprintf(line, sizeof(line), "line %d of stream %d with %0120d", round, i, i);
        assert_true(batch_entry(batch, (uint32_t)number, T0 + round * NS_PER_SECOND,
                                slice_of(line, (size_t)size), NULL, 0, &err));
    }
    commit(batch);
}

static void check_stream(struct cursor *cursor, size_t at, struct cursor_reader *reader)
{
    struct error err = {0};
    struct entry_block block;
    int round = 0;
    char line[256];
    struct slice name = cursor_labels(cursor, at).items[0].value;
    uint64_t stream;
    assert_true(slice_parse_u64(slice_skip(name, strlen("stream-")), &stream));
    struct entry_stream *entries = entry_stream_open(reader, at, &err);
    assert_non_null(entries);
    for (;;) {
        assert_true(entry_stream_next(entries, &block, &err));
        if (block.count == 0)
            break;
        for (size_t i = 0; i < block.count; i++, round++) {
            int size = snprintf(line, sizeof(line), "line %d of stream %d with %0120d", round,
                                (int)stream, (int)stream);
            assert_int_equal(block.times_ns[i], T0 + round * NS_PER_SECOND);
            assert_true(slice_equal(block.lines[i], slice_of(line, (size_t)size)));
        }
    }
    assert_int_equal(round, ROUNDS);
    entry_stream_close(entries);
}

static void check_all(struct fixture *f)
{
    struct error err = {0};
    struct cursor_request request = {.tenant = SLICE("t"),
                                     .kind = STORE_LOG,
                                     .start_ns = INT64_MIN,
                                     .end_ns = INT64_MAX,
                                     .projection = CURSOR_TIMES | CURSOR_LINES};
    struct cursor *cursor = cursor_open(f->store, &request, &err);
    assert_non_null(cursor);
    assert_int_equal(cursor_series_count(cursor), STREAMS);
    struct cursor_reader *reader = cursor_reader_new(cursor);
    for (size_t i = 0; i < STREAMS; i += 7)
        check_stream(cursor, i, reader);
    cursor_reader_free(reader);
    cursor_close(cursor);
}

static void ten_thousand_streams_stay_under_the_cap_and_come_back(void **state)
{
    struct fixture *f = *state;
    f->options.log_text_max = CAP;
    f->options.seal_interval_ns = NS_PER_SECOND;
    fixture_restart(f);
    size_t most = 0, batch = 0;
    for (int round = 0; round < ROUNDS; round++) {
        round_of_lines(f, round);
        size_t text = ledger_used(LEDGER_LOG_TEXT);
        batch = round == 0 ? text : batch;
        most = text > most ? text : most;
    }
    /* A batch begins below one and a half of the cap. */
    assert_true(most <= CAP / 2 * 3 + batch * 2);
    assert_true(batch * ROUNDS > CAP * 3); /* else this shows nothing */
    check_all(f);
    fixture_crash(f);
    check_all(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(ten_thousand_streams_stay_under_the_cap_and_come_back,
                                        fixture_setup, fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
