/* Tailed files: rotation, truncation, half lines, restarts, patterns and positions. */
#include "agents/log_files.h"
#include "agents/log_paths.h"
#include "agents/positions.h"
#include "base/error.h"
#include "base/files.h"

#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

struct fixture {
    char directory[64];
    struct log_files files;
    char text[512 * 1024];
};

static int setup(void **state)
{
    struct fixture *f = xcalloc(1, sizeof(*f));
    snprintf(f->directory, sizeof(f->directory), "/tmp/etinde-logs-XXXXXX");
    log_files_init(&f->files, LOG_FORMAT_AUTO);
    *state = f;
    return mkdtemp(f->directory) ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *walk)
{
    (void)info;
    (void)type;
    (void)walk;
    return remove(path);
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    log_files_done(&f->files);
    nftw(f->directory, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    free(f);
    return 0;
}

static const char *path_in(struct fixture *f, const char *name)
{
    static char path[256];
    snprintf(path, sizeof(path), "%s/%s", f->directory, name);
    return path;
}

static void append(struct fixture *f, const char *name, const char *text)
{
    FILE *file = fopen(path_in(f, name), "ae");
    assert_non_null(file);
    assert_int_equal(fputs(text, file) >= 0, 1);
    assert_int_equal(fclose(file), 0);
}

static void rename_in(struct fixture *f, const char *from, const char *to)
{
    char old[256];
    snprintf(old, sizeof(old), "%s", path_in(f, from));
    assert_int_equal(rename(old, path_in(f, to)), 0);
}

static void search(struct fixture *f)
{
    char pattern[256];
    snprintf(pattern, sizeof(pattern), "%s/*.log", f->directory);
    const char *patterns[] = {pattern};
    log_files_search(&f->files, patterns, 1);
}

/* What can be sent of all files now, acknowledged at once. */
static const char *take(struct fixture *f)
{
    size_t size = 0;
    for (size_t i = 0; i < f->files.known.count; i++) {
        struct log_file *file = &f->files.known.items[i];
        struct error err = {0};
        struct slice bytes;
        uint64_t end;
        assert_true(log_file_plan(&f->files, file, &end, &err));
        if (end == file->offset)
            continue;
        assert_true(log_file_read(&f->files, file, file->offset, end, &bytes, &err));
        memcpy(f->text + size, bytes.data, bytes.size);
        size += bytes.size;
        log_file_advance(file, end);
    }
    f->text[size] = '\0';
    return f->text;
}

static void reads_whole_lines_only(void **state)
{
    struct fixture *f = *state;
    append(f, "a.log", "one\ntwo\nhalf");
    search(f);
    assert_string_equal(take(f), "one\ntwo\n");
    assert_string_equal(take(f), "");
    append(f, "a.log", " done\n");
    assert_string_equal(take(f), "half done\n");
}

static void holds_a_chain_of_pieces_back_until_it_ends(void **state)
{
    struct fixture *f = *state;
    append(f, "a.log",
           "2023-11-14T22:13:20Z stdout F a\n2023-11-14T22:13:20Z stdout P b\n"
           "2023-11-14T22:13:20Z stderr F c\n");
    search(f);
    assert_string_equal(take(f), "2023-11-14T22:13:20Z stdout F a\n");
    append(f, "a.log", "2023-11-14T22:13:20Z stdout F d\n");
    assert_string_equal(take(f), "2023-11-14T22:13:20Z stdout P b\n"
                                 "2023-11-14T22:13:20Z stderr F c\n"
                                 "2023-11-14T22:13:20Z stdout F d\n");
}

static void a_line_over_the_limit_is_cut(void **state)
{
    struct fixture *f = *state;
    char piece[1001];
    memset(piece, 'x', 1000);
    piece[1000] = '\0';
    for (int i = 0; i < 300; i++)
        append(f, "a.log", piece);
    append(f, "a.log", "\nnext\n");
    search(f);
    assert_int_equal(strlen(take(f)), LOG_LINE_SIZE_MAX);
    assert_int_equal(atomic_load(&f->files.counters.cut_lines), 1);
    const char *rest = take(f);
    assert_int_equal(strlen(rest), 300000 - LOG_LINE_SIZE_MAX + 6);
    assert_string_equal(rest + strlen(rest) - 6, "\nnext\n");
}

static void a_rotated_file_is_read_to_its_end_beside_the_new_one(void **state)
{
    struct fixture *f = *state;
    append(f, "a.log", "one\n");
    search(f);
    assert_string_equal(take(f), "one\n");
    append(f, "a.log", "two\n");
    rename_in(f, "a.log", "a.log.1");
    append(f, "a.log", "new\n");
    append(f, "a.log.1", "late\n"); /* the writer still holds the old file */
    search(f);
    assert_string_equal(take(f), "two\nlate\nnew\n");
    assert_int_equal(atomic_load(&f->files.counters.rotated), 1);
    assert_int_equal(f->files.known.count, 2); /* still watched for a while */
}

static void a_removed_file_is_read_to_its_end_and_closed_later(void **state)
{
    struct fixture *f = *state;
    append(f, "a.log", "one\nunfinished");
    search(f);
    assert_int_equal(unlink(path_in(f, "a.log")), 0);
    search(f);
    assert_string_equal(take(f), "one\n");
    f->files.known.items[0].gone_since_ns = 1; /* long ago */
    assert_string_equal(take(f), "unfinished");
    search(f);
    assert_int_equal(f->files.known.count, 0);
}

static void a_truncated_file_begins_again(void **state)
{
    struct fixture *f = *state;
    append(f, "a.log", "one\ntwo\n");
    search(f);
    take(f);
    assert_int_equal(truncate(path_in(f, "a.log"), 0), 0);
    append(f, "a.log", "new\n");
    assert_string_equal(take(f), "new\n");
    assert_int_equal(atomic_load(&f->files.counters.truncated), 1);
}

static void a_file_rewritten_to_a_greater_size_begins_again(void **state)
{
    struct fixture *f = *state;
    append(f, "a.log", "one\n");
    search(f);
    take(f);
    assert_int_equal(truncate(path_in(f, "a.log"), 0), 0);
    append(f, "a.log", "other and longer\n");
    search(f);
    assert_string_equal(take(f), "other and longer\n");
    assert_int_equal(atomic_load(&f->files.counters.truncated), 1);
}

/* Save the positions and read them into a fresh set of files, as a restart does. */
static void restart(struct fixture *f)
{
    char path[256];
    struct log_batch none = {0};
    struct error err = {0};
    snprintf(path, sizeof(path), "%s", path_in(f, "positions"));
    assert_true(positions_save(path, &f->files, &none, &err));
    log_files_done(&f->files);
    log_files_init(&f->files, LOG_FORMAT_AUTO);
    assert_true(positions_load(path, &f->files, &none, &err));
}

static void goes_on_after_a_restart(void **state)
{
    struct fixture *f = *state;
    append(f, "a.log", "one\n");
    append(f, "b.log", "");
    search(f);
    take(f);
    append(f, "a.log", "two\n");
    append(f, "b.log", "first\n");
    restart(f);
    search(f);
    assert_string_equal(take(f), "two\nfirst\n");
}

static void finds_a_file_that_was_rotated_while_it_did_not_run(void **state)
{
    struct fixture *f = *state;
    append(f, "a.log", "one\n");
    search(f);
    take(f);
    append(f, "a.log", "two\n");
    restart(f);
    rename_in(f, "a.log", "a.log.1");
    append(f, "a.log", "new\n");
    search(f);
    assert_string_equal(take(f), "two\nnew\n");
}

static void a_file_replaced_by_another_with_the_same_inode_begins_at_0(void **state)
{
    struct fixture *f = *state;
    append(f, "a.log", "one\n");
    search(f);
    take(f);
    restart(f);
    assert_int_equal(truncate(path_in(f, "a.log"), 0), 0);
    append(f, "a.log", "two is longer\n");
    search(f);
    assert_string_equal(take(f), "two is longer\n");
}

static bool note_path(void *context, const char *path, const struct stat *info)
{
    struct fixture *f = context;
    (void)info;
    size_t size = strlen(f->text);
    snprintf(f->text + size, sizeof(f->text) - size, "%s ", path + strlen(f->directory) + 1);
    return true;
}

static void expect_paths(struct fixture *f, const char *pattern, const char *expected)
{
    char whole[256];
    snprintf(whole, sizeof(whole), "%s/%s", f->directory, pattern);
    f->text[0] = '\0';
    log_paths_find(whole, note_path, f);
    assert_string_equal(f->text, expected);
}

static void patterns_mean_files_at_any_depth(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(mkdir(path_in(f, "d"), 0700), 0);
    assert_int_equal(mkdir(path_in(f, "d/e"), 0700), 0);
    assert_int_equal(mkdir(path_in(f, "x.log"), 0700), 0);
    append(f, "a.log", "");
    append(f, "b.txt", "");
    append(f, ".hidden.log", "");
    append(f, "d/c.log", "");
    append(f, "d/e/f.log", "");
    assert_int_equal(symlink("..", path_in(f, "d/loop")), 0);
    expect_paths(f, "*.log", "a.log ");
    expect_paths(f, "**/*.log", "a.log d/c.log d/e/f.log ");
    expect_paths(f, "d/**/*.log", "d/c.log d/e/f.log ");
    expect_paths(f, "*/*.log", "d/c.log ");
    expect_paths(f, "[ab].*", "a.log b.txt ");
    expect_paths(f, "d//c.log", "d/c.log ");
    expect_paths(f, "a.log", "a.log ");
    expect_paths(f, "none/*", "");
    expect_paths(f, "d/loop/a.log", "d/loop/a.log ");
}

static void the_batch_under_way_survives_in_the_positions(void **state)
{
    struct fixture *f = *state;
    char path[256];
    struct error err = {0};
    struct log_batch batch = {.epoch = 7, .sequence = 8, .time_ns = -9}, back = {0};
    struct log_range range = {{1, 2}, 3, 4};
    snprintf(path, sizeof(path), "%s", path_in(f, "positions"));
    append(f, "a.log", "one\n");
    search(f);
    array_push(&batch.ranges, range);
    assert_true(positions_save(path, &f->files, &batch, &err));

    struct log_files again;
    log_files_init(&again, LOG_FORMAT_AUTO);
    assert_true(positions_load(path, &again, &back, &err));
    assert_int_equal(again.saved.count, 1);
    assert_true(back.epoch == 7 && back.sequence == 8 && back.time_ns == -9);
    assert_int_equal(back.ranges.count, 1);
    assert_memory_equal(&back.ranges.items[0], &range, sizeof(range));
    log_files_done(&again);
    array_done(&batch.ranges);
    array_done(&back.ranges);
}

static void damaged_positions_are_refused(void **state)
{
    struct fixture *f = *state;
    char path[256];
    struct error err = {0};
    struct log_batch none = {0};
    struct buffer text;
    snprintf(path, sizeof(path), "%s", path_in(f, "positions"));
    append(f, "a.log", "one\n");
    search(f);
    assert_true(positions_save(path, &f->files, &none, &err));
    buffer_init(&text, 4096);
    assert_true(file_load(path, &text, &err));
    for (size_t i = 0; i + 1 < text.size; i++) {
        text.data[i] ^= 1;
        assert_true(file_replace(path, buffer_slice(&text), &err));
        struct log_files again;
        log_files_init(&again, LOG_FORMAT_AUTO);
        assert_false(positions_load(path, &again, &none, &err));
        assert_int_equal(err.code, ERR_CORRUPT);
        assert_int_equal(again.saved.count, 0);
        log_files_done(&again);
        text.data[i] ^= 1;
    }
    buffer_done(&text);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(reads_whole_lines_only),
        TEST(holds_a_chain_of_pieces_back_until_it_ends),
        TEST(a_line_over_the_limit_is_cut),
        TEST(a_rotated_file_is_read_to_its_end_beside_the_new_one),
        TEST(a_removed_file_is_read_to_its_end_and_closed_later),
        TEST(a_truncated_file_begins_again),
        TEST(a_file_rewritten_to_a_greater_size_begins_again),
        TEST(goes_on_after_a_restart),
        TEST(finds_a_file_that_was_rotated_while_it_did_not_run),
        TEST(a_file_replaced_by_another_with_the_same_inode_begins_at_0),
        TEST(patterns_mean_files_at_any_depth),
        TEST(the_batch_under_way_survives_in_the_positions),
        TEST(damaged_positions_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
