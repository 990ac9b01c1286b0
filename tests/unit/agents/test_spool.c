/* The spool of metric batches: order, limit and restarts; and the agent's options. */
#include "agents/options.h"
#include "agents/spool.h"
#include "base/buffer.h"
#include "base/error.h"
#include "base/memory.h"

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

struct fixture {
    char directory[64];
    struct spool spool;
    struct buffer batch;
    struct error err;
};

static int setup(void **state)
{
    struct fixture *f = xcalloc(1, sizeof(*f));
    snprintf(f->directory, sizeof(f->directory), "/tmp/etinde-spool-XXXXXX");
    buffer_init(&f->batch, 1000);
    *state = f;
    return mkdtemp(f->directory) && spool_open(&f->spool, f->directory, 10, &f->err) ? 0 : -1;
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
    spool_close(&f->spool);
    buffer_done(&f->batch);
    nftw(f->directory, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    free(f);
    return 0;
}

static void put(struct fixture *f, uint64_t epoch, uint64_t sequence, const char *text)
{
    struct spool_key key = {epoch, sequence};
    assert_true(spool_put(&f->spool, key, slice_from_text(text), &f->err));
}

static void expect_oldest(struct fixture *f, uint64_t epoch, uint64_t sequence, const char *text)
{
    struct spool_key key;
    assert_true(spool_oldest(&f->spool, &key, &f->batch, &f->err));
    assert_true(key.epoch == epoch && key.sequence == sequence);
    assert_true(slice_equal(buffer_slice(&f->batch), slice_from_text(text)));
    assert_true(spool_remove(&f->spool, key, &f->err));
}

static void batches_come_out_in_their_order(void **state)
{
    struct fixture *f = *state;
    put(f, 2, 9, "b");
    put(f, 2, 10, "c");
    put(f, 1, 11, "a");
    assert_int_equal(spool_size(&f->spool), 3);
    expect_oldest(f, 1, 11, "a");
    expect_oldest(f, 2, 9, "b");
    expect_oldest(f, 2, 10, "c");
    struct spool_key key;
    assert_false(spool_oldest(&f->spool, &key, &f->batch, &f->err));
    assert_int_equal(f->err.code, ERR_NOT_FOUND);
    assert_int_equal(spool_size(&f->spool), 0);
}

static void the_oldest_go_when_it_is_full_and_are_counted(void **state)
{
    struct fixture *f = *state;
    put(f, 1, 1, "aaaa");
    put(f, 1, 2, "bbbb");
    put(f, 1, 3, "cccc");
    assert_int_equal(spool_dropped(&f->spool), 1);
    assert_int_equal(spool_size(&f->spool), 8);
    expect_oldest(f, 1, 2, "bbbb");
    struct spool_key key = {1, 4};
    assert_false(spool_put(&f->spool, key, SLICE("far too many bytes"), &f->err));
    assert_int_equal(f->err.code, ERR_LIMIT);
}

static void batches_survive_a_restart(void **state)
{
    struct fixture *f = *state;
    put(f, 1, 1, "aaaa");
    spool_close(&f->spool);
    assert_true(spool_open(&f->spool, f->directory, 10, &f->err));
    assert_int_equal(spool_size(&f->spool), 4);
    expect_oldest(f, 1, 1, "aaaa");
}

static void other_files_in_the_directory_are_left_alone(void **state)
{
    struct fixture *f = *state;
    char path[128];
    struct spool_key key;
    snprintf(path, sizeof(path), "%s/0000-notes.txt", f->directory);
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    fclose(file);
    put(f, 1, 1, "a");
    expect_oldest(f, 1, 1, "a");
    assert_false(spool_oldest(&f->spool, &key, &f->batch, &f->err));
    assert_int_equal(access(path, F_OK), 0);
}

static enum options_result parse(struct agent_options *o, struct error *err, const char *line)
{
    static char copy[512];
    char *argv[32] = {(char *)(uintptr_t) "etinde-agent"}, *rest = copy, *word;
    int argc = 1;
    snprintf(copy, sizeof(copy), "%s", line);
    while ((word = strsep(&rest, " ")) != NULL && argc < 31) {
        if (*word)
            argv[argc++] = word;
    }
    return agent_options_parse(argc, argv, o, err);
}

static void options_have_defaults_and_are_read(void **state)
{
    struct agent_options o;
    struct error err = {0};
    (void)state;
    assert_int_equal(parse(&o, &err, ""), OPTIONS_RUN);
    assert_int_equal(o.interval_ms, 15000);
    assert_true(o.metrics && !o.once && o.tenant == NULL && o.log_count == 0);
    assert_int_equal(parse(&o, &err,
                           "--server https://h:1/x/ --tenant t --interval 500ms --state /s "
                           "--positions /p --logs /a/*.log --logs /b --log-format cri --label a=b "
                           "--label c=d=e --path.procfs /hp --once"),
                     OPTIONS_RUN);
    assert_string_equal(o.server, "https://h:1/x");
    assert_int_equal(o.interval_ms, 500);
    assert_int_equal(o.log_count, 2);
    assert_int_equal(o.log_format, LOG_FORMAT_CRI);
    assert_int_equal(o.label_count, 2);
    assert_true(slice_equal(o.labels[1].value, SLICE("d=e")));
    assert_string_equal(o.procfs, "/hp");
    assert_true(o.once);
}

static void bad_options_are_named(void **state)
{
    static const char *const cases[][2] = {
        {"--server ftp://x", "--server ftp://x"}, {"--interval 5", "--interval 5"},
        {"--interval 1ms", "not between"},        {"--interval 2h", "not between"},
        {"--log-format xml", "--log-format xml"}, {"--label x", "--label x"},
        {"--label 1x=y", "--label 1x=y"},         {"--logs relative/*.log", "no absolute path"},
        {"--no-metrics", "nothing to do"},        {"--nonsense", "unknown option"},
        {"extra", "unexpected argument extra"},
    };
    (void)state;
    opterr = 0;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct agent_options o;
        struct error err = {0};
        assert_int_equal(parse(&o, &err, cases[i][0]), OPTIONS_BAD);
        if (strstr(err.message, cases[i][1]) == NULL)
            fail_msg("%s: %s", cases[i][0], err.message);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(batches_come_out_in_their_order),
        TEST(the_oldest_go_when_it_is_full_and_are_counted),
        TEST(batches_survive_a_restart),
        TEST(other_files_in_the_directory_are_left_alone),
        cmocka_unit_test(options_have_defaults_and_are_read),
        cmocka_unit_test(bad_options_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
