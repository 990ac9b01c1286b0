/* test_verify.c - damage anywhere in a stopped store is found and named. */
#include "tests/unit/storage/store_helpers.h"

#include "base/files.h"
#include "storage/verify.h"

#include <fcntl.h>
#include <glob.h>

struct findings {
    struct buffer text; /* the problems, a line each */
    struct verify_report report;
};

static void note_finding(void *context, bool damage, const char *text)
{
    struct findings *found = context;
    if (damage)
        buffer_printf(&found->text, "%s\n", text);
}

static void verify(struct fixture *f, struct findings *found)
{
    struct error err = {0};
    buffer_init(&found->text, 1 << 20);
    if (!store_verify(f->directory, note_finding, found, &found->report, &err))
        fail_msg("store_verify: %s", err.message);
    buffer_append_byte(&found->text, '\0');
}

static void fill(struct fixture *f)
{
    for (int i = 0; i < 300; i++) {
        char app[16], line[64];
        snprintf(app, sizeof(app), "a%d", i % 20);
        snprintf(line, sizeof(line), "line %d with text", i);
        put_sample(f, app, T0 + i * NS_PER_SECOND, i * 1.5);
        put_line(f, app, T0 + i * NS_PER_SECOND, line);
    }
}

static void stop(struct fixture *f)
{
    struct error err = {0};
    if (!store_close(f->store, &err))
        fail_msg("store_close: %s", err.message);
    f->store = NULL;
}

/* The path of the only file that fits. */
static void path_of(struct fixture *f, const char *pattern, char path[256])
{
    glob_t found;
    char whole[256];
    snprintf(whole, sizeof(whole), "%s/%s", f->directory, pattern);
    assert_int_equal(glob(whole, 0, NULL, &found), 0);
    snprintf(path, 256, "%s", found.gl_pathv[0]);
    globfree(&found);
}

static uint64_t size_of(const char *path)
{
    struct stat info;
    assert_int_equal(stat(path, &info), 0);
    return (uint64_t)info.st_size;
}

static void flip(const char *path, uint64_t offset)
{
    uint8_t byte;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &byte, 1, (off_t)offset), 1);
    byte ^= 0x10;
    assert_int_equal(pwrite(fd, &byte, 1, (off_t)offset), 1);
    close(fd);
}

static void a_sound_store_has_no_findings(void **state)
{
    struct fixture *f = *state;
    struct findings found;
    fill(f);
    stop(f);
    verify(f, &found);
    assert_string_equal(found.text.data, "");
    assert_int_equal(found.report.problems, 0);
    assert_int_equal(found.report.samples, 300);
    assert_int_equal(found.report.entries, 300);
    assert_int_equal(found.report.series, 40);
    assert_int_equal(found.report.partitions, 2);
    assert_true(found.report.segments > 0);
    buffer_done(&found.text);
    fixture_open(f);
}

static void a_closed_day_with_late_data_has_no_findings(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    struct findings found;
    fill(f);
    if (!store_close_days(f->store, T0 + 3 * NS_PER_DAY, &err))
        fail_msg("%s", err.message);
    put_sample(f, "a0", T0 + 400 * NS_PER_SECOND, 1);
    stop(f);
    verify(f, &found);
    assert_string_equal(found.text.data, "");
    assert_int_equal(found.report.samples, 301);
    buffer_done(&found.text);
    fixture_open(f);
}

static void a_running_store_is_refused(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    struct verify_report report;
    assert_false(store_verify(f->directory, note_finding, NULL, &report, &err));
    assert_int_equal(err.code, ERR_BUSY);
}

static void a_directory_without_a_store_is_refused(void **state)
{
    (void)state;
    struct error err = {0};
    struct verify_report report;
    assert_false(store_verify("/nonexistent", note_finding, NULL, &report, &err));
    assert_int_equal(err.code, ERR_NOT_FOUND);
}

static void a_damaged_log_record_is_named_with_its_offset(void **state)
{
    struct fixture *f = *state;
    struct findings found;
    char path[256];
    fill(f);
    store_abandon(f->store);
    f->store = NULL;
    path_of(f, "wal/*.wal", path);
    flip(path, size_of(path) / 2);
    verify(f, &found);
    assert_int_equal(found.report.problems, 1);
    assert_non_null(strstr(found.text.data, path));
    assert_non_null(strstr(found.text.data, ": offset "));
    buffer_done(&found.text);
    flip(path, size_of(path) / 2);
    fixture_open(f);
}

static void a_torn_end_of_the_log_is_only_a_note(void **state)
{
    struct fixture *f = *state;
    struct findings found;
    char path[256];
    fill(f);
    store_abandon(f->store);
    f->store = NULL;
    path_of(f, "wal/*.wal", path);
    assert_int_equal(truncate(path, (off_t)size_of(path) - 3), 0);
    verify(f, &found);
    assert_int_equal(found.report.problems, 0);
    assert_int_equal(found.report.notes, 1);
    buffer_done(&found.text);
    fixture_open(f);
}

/* In the directory and the chunks of a group. */
static void every_flipped_byte_of_stored_text_is_found(void **state)
{
    struct fixture *f = *state;
    struct buffer content;
    char path[256];
    fill(f);
    stop(f);
    path_of(f, "t/metric/*/1.mdb", path);
    struct error err = {0};
    buffer_init(&content, 1 << 28);
    assert_true(file_load(path, &content, &err));
    /* The group's magic stands where chunks are: what follows is directory and chunks. */
    char *group = memmem(content.data, content.size, "ETG1", 4);
    assert_non_null(group);
    uint64_t at = (uint64_t)(group - content.data);
    for (uint64_t offset = at; offset < at + 400; offset += 7) {
        struct findings found;
        flip(path, offset);
        verify(f, &found);
        if (found.report.problems == 0 || strstr(found.text.data, path) == NULL)
            fail_msg("a flip at %llu (%llu in the group) is not found: %s",
                     (unsigned long long)offset, (unsigned long long)(offset - at),
                     found.text.data);
        buffer_done(&found.text);
        flip(path, offset);
    }
    buffer_done(&content);
    fixture_open(f);
}

static void damaged_pages_end_no_check(void **state)
{
    struct fixture *f = *state;
    char path[256];
    uint64_t random = 12345, found_count = 0;
    fill(f);
    stop(f);
    path_of(f, "t/log/*/1.mdb", path);
    uint64_t size = size_of(path);
    for (int i = 0; i < 150; i++) {
        struct findings found;
        random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        uint64_t page = (random >> 33) % (size / 4096);
        uint64_t offset = page * 4096 + (random >> 17) % 64; /* the page's head and its slots */
        flip(path, offset);
        verify(f, &found);
        found_count += found.report.problems > 0;
        buffer_done(&found.text);
        flip(path, offset);
    }
    assert_true(found_count > 20);
    struct findings found;
    verify(f, &found);
    assert_int_equal(found.report.problems, 0);
    buffer_done(&found.text);
    fixture_open(f);
}

static void a_missing_partition_is_named(void **state)
{
    struct fixture *f = *state;
    struct findings found;
    char path[256], away[300];
    fill(f);
    stop(f);
    path_of(f, "t/metric/*/1.mdb", path);
    snprintf(away, sizeof(away), "%s-away", path);
    assert_int_equal(rename(path, away), 0);
    verify(f, &found);
    assert_int_equal(found.report.problems, 1);
    assert_non_null(strstr(found.text.data, path));
    buffer_done(&found.text);
    assert_int_equal(rename(away, path), 0);
    fixture_open(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_sound_store_has_no_findings, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(a_closed_day_with_late_data_has_no_findings, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(a_running_store_is_refused, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test(a_directory_without_a_store_is_refused),
        cmocka_unit_test_setup_teardown(a_damaged_log_record_is_named_with_its_offset,
                                        fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(a_torn_end_of_the_log_is_only_a_note, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(every_flipped_byte_of_stored_text_is_found, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(damaged_pages_end_no_check, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(a_missing_partition_is_named, fixture_setup,
                                        fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
