/* test_wal.c - the log's files: torn tails, damage, versions, missing segments. */
#include "store_helpers.h"

#include "base/files.h"
#include "storage/wal_record.h"

#include <fcntl.h>

enum { BATCHES = 6 };

static void load(const char *path, struct buffer *out)
{
    struct error err = {0};
    buffer_init(out, 64 << 20);
    if (!file_load(path, out, &err))
        fail_msg("%s", err.message);
}

static void save(const char *path, const char *data, size_t size)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, size), (ssize_t)size);
    close(fd);
}

static void segment_path(const struct fixture *f, int number, char path[128])
{
    snprintf(path, 128, "%s/wal/%08d.wal", f->directory, number);
}

/* BATCHES batches of one sample in segment 1; `ends` are the file sizes after each. */
static void write_batches(struct fixture *f, struct buffer *segment, size_t ends[BATCHES + 1])
{
    char path[128];
    struct stat info;
    segment_path(f, 1, path);
    for (int i = 0; i <= BATCHES; i++) {
        if (i > 0)
            put_sample(f, "a", T0 + i * NS_PER_SECOND, i);
        assert_int_equal(stat(path, &info), 0);
        ends[i] = (size_t)info.st_size;
    }
    store_abandon(f->store);
    f->store = NULL;
    load(path, segment);
}

/* Only segment 1 with this content. */
static void replace_log(const struct fixture *f, const char *data, size_t size)
{
    char path[128];
    for (int i = 2; i < 5; i++) {
        segment_path(f, i, path);
        unlink(path);
    }
    segment_path(f, 1, path);
    save(path, data, size);
}

static int count_samples(struct fixture *f)
{
    char *text = dump(f, STORE_METRIC);
    int count = 0;
    for (const char *at = text; (at = strchr(at, ' ')) != NULL; at++)
        count++;
    free(text);
    return count > 0 ? count - 1 : 0; /* the labels have one blank */
}

static void a_tail_torn_at_any_byte_is_cut(void **state)
{
    struct fixture *f = *state;
    struct buffer segment;
    size_t ends[BATCHES + 1];
    write_batches(f, &segment, ends);
    for (size_t size = 0; size <= segment.size; size++) {
        replace_log(f, segment.data, size);
        fixture_open(f);
        int whole = 0;
        while (whole < BATCHES && ends[whole + 1] <= size)
            whole++;
        if (count_samples(f) != whole)
            fail_msg("cut at %zu: %d samples of %d", size, count_samples(f), whole);
        store_abandon(f->store);
        f->store = NULL;
    }
    fixture_open(f);
    buffer_done(&segment);
}

static void garbage_behind_the_last_record_is_cut(void **state)
{
    struct fixture *f = *state;
    struct buffer segment;
    size_t ends[BATCHES + 1];
    write_batches(f, &segment, ends);
    for (int i = 0; i < 3000; i++)
        buffer_append_byte(&segment, (char)(i * 7));
    replace_log(f, segment.data, segment.size);
    fixture_open(f);
    assert_int_equal(count_samples(f), BATCHES);
    struct store_replay report;
    store_replay_report(f->store, &report);
    assert_int_equal(report.torn_bytes, 3000);
    put_sample(f, "a", T0 + NS_PER_MINUTE, 1);
    fixture_crash(f);
    assert_int_equal(count_samples(f), BATCHES + 1);
    buffer_done(&segment);
}

static void expect_refusal(struct fixture *f, enum error_code code, const char *text)
{
    struct error err = {0};
    struct store *store = store_open(&f->options, &err);
    if (store) {
        store_abandon(store);
        fail_msg("the store opened");
    }
    assert_int_equal(err.code, code);
    if (strstr(err.message, text) == NULL)
        fail_msg("%s", err.message);
}

static void damage_before_a_later_group_is_refused_in_durable_mode(void **state)
{
    struct fixture *f = *state;
    struct buffer segment;
    size_t ends[BATCHES + 1];
    store_abandon(f->store);
    char path[128];
    segment_path(f, 1, path);
    unlink(path);
    f->options.ack = STORE_ACK_DURABLE;
    fixture_open(f);
    write_batches(f, &segment, ends);
    for (size_t at = ends[1]; at < ends[2]; at++) {
        segment.data[at] ^= 0x10;
        replace_log(f, segment.data, segment.size);
        expect_refusal(f, ERR_CORRUPT, "damaged at offset");
        segment.data[at] ^= 0x10;
    }
    segment.data[ends[1] + 30] ^= 1;
    replace_log(f, segment.data, segment.size);
    f->options.repair = true;
    fixture_open(f);
    assert_int_equal(count_samples(f), 1);
    buffer_done(&segment);
}

static void damage_in_the_last_group_is_a_torn_tail(void **state)
{
    struct fixture *f = *state;
    struct buffer segment;
    size_t ends[BATCHES + 1];
    write_batches(f, &segment, ends);
    segment.data[ends[BATCHES] - 3] ^= 1;
    replace_log(f, segment.data, segment.size);
    fixture_open(f);
    assert_int_equal(count_samples(f), BATCHES - 1);
    buffer_done(&segment);
}

static void damage_in_an_older_segment_is_refused(void **state)
{
    struct fixture *f = *state;
    struct buffer segment;
    char path[128];
    put_sample(f, "a", T0, 1);
    fixture_crash(f);
    put_sample(f, "a", T0 + NS_PER_SECOND, 1);
    store_abandon(f->store);
    f->store = NULL;
    segment_path(f, 1, path);
    load(path, &segment);
    segment.data[segment.size - 1] ^= 1;
    save(path, segment.data, segment.size);
    expect_refusal(f, ERR_CORRUPT, "00000001.wal is damaged at offset");
    segment.data[segment.size - 1] ^= 1;
    segment.data[3] ^= 1;
    save(path, segment.data, segment.size);
    expect_refusal(f, ERR_CORRUPT, "no valid header");
    segment.data[3] ^= 1;
    save(path, segment.data, segment.size);
    fixture_open(f);
    assert_int_equal(count_samples(f), 2);
    buffer_done(&segment);
}

static void a_missing_segment_is_refused(void **state)
{
    struct fixture *f = *state;
    char path[128];
    for (int i = 0; i < 3; i++) {
        put_sample(f, "a", T0 + i * NS_PER_SECOND, 1);
        if (i < 2)
            fixture_crash(f);
    }
    store_abandon(f->store);
    f->store = NULL;
    segment_path(f, 2, path);
    assert_int_equal(unlink(path), 0);
    expect_refusal(f, ERR_CORRUPT, "segment 2 is missing");
    f->options.repair = true;
    fixture_open(f);
    assert_int_equal(count_samples(f), 2);
}

static void a_newer_version_is_refused(void **state)
{
    struct fixture *f = *state;
    struct buffer segment;
    size_t ends[BATCHES + 1];
    write_batches(f, &segment, ends);
    struct wal_segment_header header;
    assert_true(wal_header_read((const uint8_t *)segment.data, &header));
    header.version = WAL_VERSION + 1;
    wal_header_write(&header, (uint8_t *)segment.data);
    replace_log(f, segment.data, segment.size);
    expect_refusal(f, ERR_UNSUPPORTED, "log format 5");
    header.version = 1;
    wal_header_write(&header, (uint8_t *)segment.data);
    replace_log(f, segment.data, segment.size);
    fixture_open(f);
    buffer_done(&segment);
}

static void segments_roll_and_go_when_sealed(void **state)
{
    struct fixture *f = *state;
    f->options.wal_segment_size = 4096;
    fixture_restart(f);
    for (int i = 0; i < 500; i++)
        put_sample(f, i % 2 ? "a" : "b", T0 + i * NS_PER_SECOND, i);
    char *before = dump(f, STORE_METRIC);
    struct store_stats stats;
    store_stats_read(f->store, &stats);
    assert_true(stats.wal_segments > 5);
    fixture_crash(f);
    expect_dump(f, STORE_METRIC, before);
    seal(f);
    store_stats_read(f->store, &stats);
    assert_int_equal(stats.wal_segments, 1);
    fixture_restart(f);
    expect_dump(f, STORE_METRIC, before);
    store_stats_read(f->store, &stats);
    assert_int_equal(stats.wal_segments, 2);
    free(before);
}

static void record_numbers_go_on_without_any_segment(void **state)
{
    struct fixture *f = *state;
    put_sample(f, "a", T0, 1);
    struct batch_result first = put_sample(f, "a", T0 + NS_PER_SECOND, 1);
    seal(f);
    store_abandon(f->store);
    f->store = NULL;
    char path[128];
    segment_path(f, 1, path);
    assert_int_equal(unlink(path), 0);
    fixture_open(f);
    struct batch_result second = put_sample(f, "a", T0 + 2 * NS_PER_SECOND, 1);
    assert_true(second.lsn > first.lsn);
    fixture_crash(f);
    assert_int_equal(count_samples(f), 3);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_tail_torn_at_any_byte_is_cut),
        TEST(garbage_behind_the_last_record_is_cut),
        TEST(damage_before_a_later_group_is_refused_in_durable_mode),
        TEST(damage_in_the_last_group_is_a_torn_tail),
        TEST(damage_in_an_older_segment_is_refused),
        TEST(a_missing_segment_is_refused),
        TEST(a_newer_version_is_refused),
        TEST(segments_roll_and_go_when_sealed),
        TEST(record_numbers_go_on_without_any_segment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
