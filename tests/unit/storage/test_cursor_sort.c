/* test_cursor_sort.c - series come in the order of their labels, from head and partitions. */
#include "base/duration.h"
#include "base/error.h"
#include "base/matcher.h"
#include "storage/store.h"

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define TENANT SLICE("test")
#define BEGIN  (1700000000 * NS_PER_SECOND)

enum { SERIES = 3000 };

static char directory[] = "/tmp/test-cursor-sort-XXXXXX";
static uint64_t random_state = 88172645463325252u;

static uint64_t random_below(uint64_t bound)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (random_state >> 11) % bound;
}

static int remove_entry(const char *path, const struct stat *info, int kind, struct FTW *walk)
{
    (void)info, (void)kind, (void)walk;
    return remove(path);
}

static struct store *open_store(void)
{
    struct error err = {0};
    struct store_options options = {.directory = directory,
                                    .ack = STORE_ACK_PROCESS,
                                    .retention_ns = -1,
                                    .out_of_order_ns = {-1, -1},
                                    .future_ns = -1,
                                    .past_ns = {-1, -1},
                                    .seal_interval_ns = -1};
    struct store *store = store_open(&options, &err);
    assert_non_null(store);
    return store;
}

/* Many labels of few values, some missing, so that rows share long beginnings. */
static void write_series(struct store *store, uint64_t from, uint64_t to, int64_t time_ns)
{
    struct error err = {0};
    struct batch *batch = batch_new(store, TENANT, STORE_METRIC, &err);
    assert_non_null(batch);
    for (uint64_t n = from; n < to; n++) {
        static const char names[] = "abcdefghijklm";
        char values[13][32];
        struct label labels[14] = {{LABEL_NAME_METRIC, SLICE("m")}};
        size_t count = 1;
        random_state = (n + 1) * UINT64_C(2654435761); /* the same labels for the same number */
        for (size_t i = 0; i < 13; i++) {
            if (random_below(3) == 0)
                continue;
            snprintf(values[i], sizeof(values[i]), "%u",
                     (unsigned)random_below(i == 12 ? 100000 : 2));
            labels[count++] = (struct label){slice_of(names + i, 1), slice_from_text(values[i])};
        }
        snprintf(values[0], sizeof(values[0]), "%u", (unsigned)n);
        int64_t series = batch_define(batch, 0, slice_of(NULL, 0), labels, count, &err);
        assert_true(series >= 0);
        assert_true(batch_sample(batch, (uint32_t)series, time_ns, 1, &err));
    }
    struct batch_result result = {0};
    assert_true(batch_commit_wait(batch, &result, &err));
}

static size_t check_order(struct store *store)
{
    struct error err = {0};
    struct matcher matcher;
    assert_true(matcher_init(&matcher, MATCH_EQUAL, LABEL_NAME_METRIC, SLICE("m"), &err));
    struct cursor_request request = {.tenant = TENANT,
                                     .kind = STORE_METRIC,
                                     .matchers = &matcher,
                                     .matcher_count = 1,
                                     .start_ns = BEGIN - NS_PER_HOUR,
                                     .end_ns = BEGIN + NS_PER_HOUR,
                                     .projection = CURSOR_TIMES | CURSOR_VALUES};
    struct cursor *cursor = cursor_open(store, &request, &err);
    assert_non_null(cursor);
    size_t count = cursor_series_count(cursor);
    for (size_t i = 1; i < count; i++)
        assert_true(labels_compare(cursor_labels(cursor, i - 1), cursor_labels(cursor, i)) < 0);
    struct cursor_reader *reader = cursor_reader_new(cursor);
    for (size_t i = 0; i < count; i++) {
        struct sample_column samples;
        assert_true(cursor_read_samples(reader, i, &samples, &err));
        assert_true(samples.count > 0);
    }
    cursor_reader_free(reader);
    cursor_close(cursor);
    matcher_done(&matcher);
    return count;
}

static void series_come_in_the_order_of_labels(void **state)
{
    (void)state;
    struct error err = {0};
    struct store *store = open_store();
    write_series(store, 0, 100, BEGIN);
    size_t few = check_order(store); /* sorted as texts */
    assert_true(few > 50);
    write_series(store, 100, SERIES, BEGIN);
    size_t all = check_order(store);
    assert_true(all > SERIES * 9 / 10);
    assert_true(store_close(store, &err));

    /* All in a partition; then some in the head alone, some in both. */
    store = open_store();
    assert_int_equal(check_order(store), all);
    write_series(store, SERIES / 2, SERIES * 2, BEGIN + NS_PER_MINUTE);
    assert_true(check_order(store) > all + SERIES / 2);
    assert_true(store_close(store, &err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(series_come_in_the_order_of_labels)};
    if (mkdtemp(directory) == NULL)
        return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    nftw(directory, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    return failed;
}
