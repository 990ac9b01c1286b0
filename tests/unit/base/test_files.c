/* test_files.c - files and directories, and what happens when the n-th call fails. */
#include "base/array.h"
#include "base/buffer.h"
#include "base/error.h"
#include "base/files.h"
#include "tests/faults/fault_files.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[64];
static char path[128];

static int set_up(void **state)
{
    (void)state;
    snprintf(folder, sizeof(folder), "/tmp/etinde-files-XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/file", folder);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    char **names;
    size_t count;
    assert_true(directory_list(folder, &names, &count, NULL));
    for (size_t i = 0; i < count; i++) {
        char entry[512];
        snprintf(entry, sizeof(entry), "%s/%s", folder, names[i]);
        if (unlink(entry) != 0)
            rmdir(entry);
    }
    names_free(names, count);
    return rmdir(folder);
}

static bool content_is(const char *expected)
{
    AUTO(buffer_done) struct buffer got;
    buffer_init(&got, 4096);
    return file_load(path, &got, NULL) &&
           slice_equal(buffer_slice(&got), slice_from_text(expected));
}

static void writes_and_reads_at_offsets(void **state)
{
    (void)state;
    struct error err = {0};
    AUTO(fd_drop) int fd = file_open(path, O_RDWR | O_CREAT, 0600, &err);
    assert_true(fd >= 0);
    char got[4];
    uint64_t size;
    assert_true(file_write_at(fd, "defg", 4, 3, &err));
    assert_true(file_write_at(fd, "abc", 3, 0, &err));
    assert_true(file_read_at(fd, got, 4, 2, &err));
    assert_memory_equal(got, "cdef", 4);
    assert_true(file_size(fd, &size, &err));
    assert_int_equal(size, 7);
    assert_true(file_sync_data(fd, &err));
    assert_true(file_truncate(fd, 2, &err));
    assert_true(content_is("ab"));
    assert_false(file_read_at(fd, got, 4, 0, &err));
    assert_int_equal(err.code, ERR_CORRUPT);
    assert_string_equal(err.message, "the file ends at byte 2, 2 bytes are missing");
}

static void says_which_file_is_missing(void **state)
{
    (void)state;
    struct error err = {0};
    assert_int_equal(file_open("/tmp/etinde-no-such/file", O_RDONLY, 0, &err), -1);
    assert_int_equal(err.code, ERR_NOT_FOUND);
    assert_string_equal(err.message, "open /tmp/etinde-no-such/file: No such file or directory");
    assert_true(file_unlink("/tmp/etinde-no-such/file", &err));
}

static void loads_up_to_the_limit(void **state)
{
    (void)state;
    struct error err = {0};
    assert_true(file_replace(path, SLICE("12345"), &err));
    AUTO(buffer_done) struct buffer five;
    buffer_init(&five, 5);
    assert_true(file_load(path, &five, &err));
    assert_int_equal(five.size, 5);
    AUTO(buffer_done) struct buffer four;
    buffer_init(&four, 4);
    assert_false(file_load(path, &four, &err));
    assert_int_equal(err.code, ERR_LIMIT);
    assert_non_null(strstr(err.message, "more than 4 bytes"));
}

static void makes_directories_with_their_parents(void **state)
{
    (void)state;
    struct error err = {0};
    char deep[256];
    char part[256];
    struct stat info;
    snprintf(deep, sizeof(deep), "%s/a//b/c", folder);
    assert_true(directory_make(deep, &err));
    assert_true(directory_make(deep, &err)); /* again is fine */
    assert_int_equal(stat(deep, &info), 0);
    assert_true(S_ISDIR(info.st_mode));
    static const char *const parts[] = {"a/b/c", "a/b", "a"};
    for (size_t i = 0; i < COUNT_OF(parts); i++) {
        snprintf(part, sizeof(part), "%s/%s", folder, parts[i]);
        assert_int_equal(rmdir(part), 0);
    }
    assert_true(file_replace(path, SLICE(""), &err));
    snprintf(deep, sizeof(deep), "%s/x", path);
    assert_false(directory_make(deep, &err));
    assert_int_equal(err.code, ERR_IO);
    assert_non_null(strstr(err.message, "no directory"));
}

static void lists_names_in_order(void **state)
{
    (void)state;
    static const char *const made[] = {"b", "a", "c"};
    char entry[256];
    for (size_t i = 0; i < COUNT_OF(made); i++) {
        snprintf(entry, sizeof(entry), "%s/%s", folder, made[i]);
        assert_true(file_replace(entry, SLICE("x"), NULL));
    }
    char **names;
    size_t count;
    assert_true(directory_list(folder, &names, &count, NULL));
    assert_int_equal(count, 3);
    assert_string_equal(names[0], "a");
    assert_string_equal(names[2], "c");
    names_free(names, count);
    struct error err = {0};
    assert_false(directory_list("/tmp/etinde-no-such", &names, &count, &err));
    assert_int_equal(err.code, ERR_NOT_FOUND);
}

static void a_full_disk_is_unavailable_not_broken(void **state)
{
    (void)state;
    struct error err = {0};
    fault_set(&(struct fault_plan){.calls = FAULT_WRITE, .nth = 1, .error = ENOSPC});
    assert_false(file_replace(path, SLICE("x"), &err));
    assert_true(fault_clear());
    assert_int_equal(err.code, ERR_UNAVAILABLE);
}

static void continues_after_a_short_write(void **state)
{
    (void)state;
    struct error err = {0};
    fault_set(&(struct fault_plan){.calls = FAULT_WRITE, .nth = 1, .kind = FAULT_SHORTEN});
    assert_true(file_replace(path, SLICE("whole content"), &err));
    assert_true(fault_clear());
    assert_int_equal(fault_count(), 2);
    assert_true(content_is("whole content"));
}

static void a_failed_replacement_leaves_the_old_or_the_new_file(void **state)
{
    (void)state;
    static const enum fault_kind kinds[] = {FAULT_FAIL, FAULT_TEAR};
    for (size_t k = 0; k < COUNT_OF(kinds); k++) {
        for (uint64_t n = 1;; n++) {
            assert_true(file_replace(path, SLICE("old"), NULL));
            struct error err = {0};
            fault_set(&(struct fault_plan){.calls = FAULT_ALL, .nth = n, .kind = kinds[k]});
            bool done = file_replace(path, SLICE("new"), &err);
            if (!fault_clear()) {
                assert_true(done);
                assert_true(n > 5); /* open, write, sync, rename, open, sync */
                break;
            }
            assert_false(done);
            assert_int_equal(err.code, ERR_IO);
            assert_true(content_is("old") || content_is("new"));
        }
    }
}

static void a_killed_replacement_leaves_the_old_or_the_new_file(void **state)
{
    (void)state;
    static const enum fault_kind kinds[] = {FAULT_EXIT, FAULT_TEAR_EXIT, FAULT_DONE_EXIT};
    for (size_t k = 0; k < COUNT_OF(kinds); k++) {
        for (uint64_t n = 1; n <= 6; n++) {
            assert_true(file_replace(path, SLICE("old"), NULL));
            fault_set(&(struct fault_plan){.calls = FAULT_ALL, .nth = n, .kind = kinds[k]});
            pid_t child = fork();
            if (child == 0) {
                (void)!file_replace(path, SLICE("new"), NULL);
                _exit(0);
            }
            fault_clear();
            int status;
            assert_int_equal(waitpid(child, &status, 0), child);
            assert_int_equal(WEXITSTATUS(status), FAULT_EXIT_STATUS);
            assert_true(content_is("old") || content_is("new"));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(writes_and_reads_at_offsets, set_up, tear_down),
        cmocka_unit_test(says_which_file_is_missing),
        cmocka_unit_test_setup_teardown(loads_up_to_the_limit, set_up, tear_down),
        cmocka_unit_test_setup_teardown(makes_directories_with_their_parents, set_up, tear_down),
        cmocka_unit_test_setup_teardown(lists_names_in_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_full_disk_is_unavailable_not_broken, set_up, tear_down),
        cmocka_unit_test_setup_teardown(continues_after_a_short_write, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_failed_replacement_leaves_the_old_or_the_new_file, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_killed_replacement_leaves_the_old_or_the_new_file, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
