/* test_damage.c - a damaged day costs that day; unfinished commits are taken back. */
#include "tests/unit/storage/store_helpers.h"

#include "base/files.h"
#include "storage/lmdb_env.h"

#include <errno.h>
#include <fcntl.h>

enum { DAY_2 = 86400 };

static void path_of(struct fixture *f, const char *file, char path[256])
{
    snprintf(path, 256, "%s/t/metric/%s", f->directory, file);
}

/* One sample on each of two days, sealed, nothing left in the log. */
static void fill(struct fixture *f)
{
    struct error err = {0};
    f->now_ns = T0 + (DAY_2 + 60) * NS_PER_SECOND;
    put_sample(f, "a", T0, 1);
    put_sample(f, "a", T0 + DAY_2 * NS_PER_SECOND, 2);
    if (!store_close(f->store, &err))
        fail_msg("%s", err.message);
    f->store = NULL;
}

static void load(const char *path, struct buffer *out)
{
    struct error err = {0};
    buffer_init(out, 1 << 24);
    if (!file_load(path, out, &err))
        fail_msg("%s", err.message);
}

static void save(const char *path, const struct buffer *content)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_int_equal(write(fd, content->data, content->size), (ssize_t)content->size);
    close(fd);
}

/* Flip a bit in the first live page of a tree: the symbols' texts stand in one. */
static void damage(const char *path, const char *text)
{
    struct buffer content;
    load(path, &content);
    char *at = memmem(content.data, content.size, text, strlen(text));
    assert_non_null(at);
    for (; at != NULL;
         at = memmem(at + 1, content.size - (size_t)(at + 1 - content.data), text, strlen(text)))
        *at ^= 1;
    save(path, &content);
    buffer_done(&content);
}

/* The samples that a tolerant reader gets, and the only warning. */
static size_t count_samples(struct fixture *f, char warning[300])
{
    struct error err = {0};
    struct store_damage *found = store_damage_new();
    struct cursor_request request = {.tenant = SLICE("t"),
                                     .kind = STORE_METRIC,
                                     .start_ns = INT64_MIN,
                                     .end_ns = INT64_MAX,
                                     .projection = CURSOR_TIMES | CURSOR_VALUES,
                                     .damage = found};
    struct cursor *cursor = cursor_open(f->store, &request, &err);
    if (cursor == NULL)
        fail_msg("%s", err.message);
    size_t count = 0;
    struct cursor_reader *reader = cursor_reader_new(cursor);
    for (size_t i = 0; i < cursor_series_count(cursor); i++) {
        struct sample_column column;
        assert_true(cursor_read_samples(reader, i, &column, &err));
        count += column.count;
    }
    cursor_reader_free(reader);
    cursor_close(cursor);
    assert_true(store_damage_count(found) <= 1);
    snprintf(warning, 300, "%s", store_damage_count(found) ? store_damage_text(found, 0) : "");
    store_damage_free(found);
    return count;
}

static void a_damaged_page_costs_its_day_and_is_named(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    char path[256], warning[300];
    fill(f);
    path_of(f, "2023-11-14/1.mdb", path);
    damage(path, "__name__");
    fixture_open(f);
    assert_int_equal(count_samples(f, warning), 1);
    assert_non_null(strstr(warning, path));
    assert_non_null(strstr(warning, "page "));
    assert_non_null(strstr(warning, "offset "));
    /* Whoever does not say that it can go without gets an error. */
    struct cursor_request request = {.tenant = SLICE("t"), .start_ns = 0, .end_ns = INT64_MAX};
    assert_null(cursor_open(f->store, &request, &err));
    assert_int_equal(err.code, ERR_CORRUPT);
    /* The other day is sealed all the same; what belongs to the damaged one stays readable. */
    put_sample(f, "b", T0 + 1 * NS_PER_SECOND, 3);
    put_sample(f, "b", T0 + (DAY_2 + 1) * NS_PER_SECOND, 4);
    assert_false(store_seal(f->store, &err));
    assert_int_equal(err.code, ERR_CORRUPT);
    assert_int_equal(count_samples(f, warning), 3);
    fixture_crash(f);
    assert_int_equal(count_samples(f, warning), 3);
}

static void a_repair_sets_damaged_days_aside(void **state)
{
    struct fixture *f = *state;
    char path[256], aside[300], warning[300];
    fill(f);
    path_of(f, "2023-11-14/1.mdb", path);
    damage(path, "__name__");
    f->options.repair = true;
    fixture_open(f);
    assert_int_equal(count_samples(f, warning), 1);
    assert_string_equal(warning, "");
    snprintf(aside, sizeof(aside), "%s.damaged", path);
    assert_int_equal(access(aside, R_OK), 0);
    fixture_restart(f);
    assert_int_equal(count_samples(f, warning), 1);
    assert_int_equal(access(aside, R_OK), 0); /* still there */
}

static void a_file_cut_short_anywhere_is_refused(void **state)
{
    struct fixture *f = *state;
    char path[256], warning[300];
    struct buffer content;
    fill(f);
    path_of(f, "2023-11-14/1.mdb", path);
    load(path, &content);
    size_t whole = content.size;
    for (content.size = 0; content.size < whole; content.size += 1000) {
        save(path, &content);
        fixture_open(f);
        size_t count = count_samples(f, warning); /* the last pages may be free ones */
        assert_true(count == 2 || (count == 1 && strstr(warning, path) != NULL));
        store_abandon(f->store);
    }
    save(path, &content);
    fixture_open(f);
    buffer_done(&content);
}

static void a_commit_without_its_sums_did_not_happen(void **state)
{
    struct fixture *f = *state;
    char path[256], sums[300], warning[300];
    struct buffer before, file;
    fill(f);
    path_of(f, "2023-11-14/1.mdb", path);
    snprintf(sums, sizeof(sums), "%s-sums", path);
    load(sums, &before);
    fixture_open(f);
    put_sample(f, "b", T0 + 1 * NS_PER_SECOND, 3);
    seal(f);
    assert_int_equal(count_samples(f, warning), 3);
    store_abandon(f->store);
    load(path, &file);
    save(sums, &before); /* as if the crash came between the two */
    fixture_open(f);
    assert_int_equal(count_samples(f, warning), 3); /* the log has it still */
    assert_string_equal(warning, "");
    struct buffer undone;
    load(path, &undone); /* the newer meta page is gone */
    assert_int_not_equal(memcmp(undone.data, file.data, 2 * PAGE_SIZE_MIN), 0);
    buffer_done(&undone);
    put_sample(f, "b", T0 + 2 * NS_PER_SECOND, 3);
    seal(f);
    fixture_crash(f);
    assert_int_equal(count_samples(f, warning), 4);
    assert_string_equal(warning, "");
    buffer_done(&before);
    buffer_done(&file);
}

static int sums_fail;

static int fail_sums(const char *call)
{
    return strcmp(call, "sums") == 0 && sums_fail-- > 0 ? ENOSPC : 0;
}

static void a_commit_whose_sums_fail_is_taken_back_at_once(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    char warning[300];
    put_sample(f, "a", T0, 1);
    seal(f);
    put_sample(f, "b", T0 + NS_PER_SECOND, 2);
    sums_fail = 2;
    lmdb_fault = fail_sums;
    for (int i = 0; i < 2; i++) {
        assert_false(store_seal(f->store, &err));
        assert_int_equal(err.code, ERR_UNAVAILABLE);
        assert_int_equal(count_samples(f, warning), 2);
    }
    seal(f);
    lmdb_fault = NULL;
    assert_int_equal(count_samples(f, warning), 2);
    fixture_crash(f);
    assert_int_equal(count_samples(f, warning), 2);
    assert_string_equal(warning, "");
}

static void a_file_without_sums_gets_them(void **state)
{
    struct fixture *f = *state;
    char path[256], sums[300], warning[300];
    fill(f);
    path_of(f, "2023-11-14/1.mdb", path);
    snprintf(sums, sizeof(sums), "%s-sums", path);
    assert_int_equal(unlink(sums), 0);
    fixture_open(f);
    assert_int_equal(count_samples(f, warning), 2);
    assert_string_equal(warning, "");
    assert_int_equal(access(sums, R_OK), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)
        WITH_FIXTURE(a_damaged_page_costs_its_day_and_is_named),
        WITH_FIXTURE(a_repair_sets_damaged_days_aside),
        WITH_FIXTURE(a_file_cut_short_anywhere_is_refused),
        WITH_FIXTURE(a_commit_without_its_sums_did_not_happen),
        WITH_FIXTURE(a_commit_whose_sums_fail_is_taken_back_at_once),
        WITH_FIXTURE(a_file_without_sums_gets_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
