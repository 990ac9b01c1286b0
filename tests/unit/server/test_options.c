/* Flags, the configuration file, and that both are documented. */
#include "base/buffer.h"
#include "base/duration.h"
#include "base/error.h"
#include "base/files.h"
#include "query/query.h"
#include "server/options.h"
#include "storage/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static struct options options;
static struct error err;

static int set_up(void **state)
{
    (void)state;
    err = (struct error){0};
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    options_done(&options);
    return 0;
}

static bool read_flags(const char *const *flags)
{
    char *argv[16] = {(char *)"etinde"};
    int argc = 1;
    while (flags[argc - 1]) {
        argv[argc] = (char *)(uintptr_t)flags[argc - 1];
        argc++;
    }
    return options_read(&options, argc, argv, &err);
}
#define READ(...) read_flags((const char *const[]){__VA_ARGS__, NULL})

static void defaults_are_good_with_a_data_directory(void **state)
{
    (void)state;
    assert_true(READ("--data", "/tmp/x"));
    assert_string_equal(options.data, "/tmp/x");
    assert_string_equal(options.listen, "127.0.0.1:9201");
    assert_int_equal(options.ack, OPTION_ACK_DURABLE);
    assert_int_equal(options.retention_ns, 15 * NS_PER_DAY);
    assert_true(options.logs_reject_old);
    assert_int_equal(options.http_body_size, 32 << 20);
}

static void a_data_directory_must_be_given(void **state)
{
    (void)state;
    assert_false(READ("--listen", ":1"));
    assert_non_null(strstr(err.message, "--data"));
}

static void wrong_flags_are_named(void **state)
{
    (void)state;
    assert_false(READ("--data", "x", "--dta", "y"));
    assert_non_null(strstr(err.message, "--dta"));
    options_done(&options);
    assert_false(READ("--data"));
    assert_non_null(strstr(err.message, "--data needs a value"));
    options_done(&options);
    assert_false(READ("--data", "x", "--ack", "maybe"));
    assert_non_null(strstr(err.message, "one of durable process"));
    options_done(&options);
    assert_false(READ("--data", "x", "stray"));
    assert_non_null(strstr(err.message, "stray"));
    options_done(&options);
    assert_false(READ("--data", "x", "--enable-feature", "promql-duration-expr,nonsense"));
    assert_non_null(strstr(err.message, "nonsense"));
}

static void features_become_bits(void **state)
{
    (void)state;
    assert_true(READ("--data", "x", "--enable-feature",
                     "promql-experimental-functions, promql-duration-expr"));
    assert_int_equal(options.feature_bits,
                     QUERY_EXPERIMENTAL_FUNCTIONS | QUERY_DURATION_EXPRESSIONS);
}

static void old_samples_are_kept_when_they_are_not_rejected(void **state)
{
    (void)state;
    struct store_options store;
    assert_true(READ("--data", "x", "--no-reject-old-samples"));
    options_for_store(&options, &store);
    assert_int_equal(store.past_ns[STORE_LOG], -1);
    assert_int_equal(store.out_of_order_ns[STORE_LOG], -1);
    assert_int_equal(store.retention_ns, -1);
    options_done(&options);
    assert_true(READ("--data", "x", "--no-reject-old-samples", "--retention", "3d",
                     "--retention-size", "2GiB"));
    options_for_store(&options, &store);
    assert_int_equal(store.retention_ns, 3 * NS_PER_DAY);
    assert_true(store.retention_size == UINT64_C(2) << 30);
}

/* A file in a temporary place; the caller removes it. */
static void write_file(char path[32], const char *text)
{
    memcpy(path, "/tmp/etinde-config-XXXXXX", 26);
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

static void flags_override_the_file(void **state)
{
    (void)state;
    char path[32];
    write_file(path, "data: /from/file\nretention: 3d\nquery:\n  timeout: 10s\n");
    assert_true(READ("--retention", "4d", "--config", path));
    assert_string_equal(options.data, "/from/file");
    assert_int_equal(options.retention_ns, 4 * NS_PER_DAY);
    assert_int_equal(options.query_timeout_ns, 10 * NS_PER_SECOND);
    unlink(path);
}

static void a_bad_file_is_told_with_its_place(void **state)
{
    (void)state;
    char path[32];
    write_file(path, "query:\n  timeot: 10s\n");
    assert_false(READ("--check-config", "--config", path));
    assert_non_null(strstr(err.message, ":2:3: unknown key \"query.timeot\", did you mean "
                                        "\"query.timeout\"?"));
    unlink(path);
    options_done(&options);
    assert_false(READ("--config", "/nonexistent/file"));
    assert_non_null(strstr(err.message, "/nonexistent/file"));
}

static void help_has_every_flag_and_no_setting_is_undocumented(void **state)
{
    (void)state;
    struct buffer text, docs;
    buffer_init(&text, 1 << 16);
    buffer_init(&docs, 1 << 20);
    options_append_help(&text);
    buffer_append_byte(&text, '\0');
    assert_non_null(strstr(text.data, "--no-discover-log-levels"));
    assert_non_null(strstr(text.data, "--check-config"));
    if (!file_load("docs/config.md", &docs, &err))
        fail_msg("%s", err.message);
    buffer_append_byte(&docs, '\0');
    for (size_t i = 0; i < options_table.count; i++) {
        const struct config_key *key = &options_table.keys[i];
        char cell[128];
        snprintf(cell, sizeof(cell), "| `%s` |", key->name);
        if (!strstr(docs.data, cell))
            fail_msg("docs/config.md does not list %s", key->name);
        if (!strstr(docs.data, key->doc))
            fail_msg("docs/config.md does not say of %s: %s", key->name, key->doc);
    }
    buffer_done(&text);
    buffer_done(&docs);
    options_preset(&options);
}

static void settings_print_as_yaml_that_reads_back(void **state)
{
    (void)state;
    struct buffer text;
    buffer_init(&text, 1 << 16);
    assert_true(READ("--data", "/tmp/a \"b\"", "--retention", "36h"));
    options_append_yaml(&text, &options);
    struct options again;
    options_preset(&again);
    if (!config_parse(&options_table, buffer_slice(&text), "printed", &again, &err))
        fail_msg("%s", err.message);
    assert_string_equal(again.data, options.data);
    assert_int_equal(again.retention_ns, 36 * NS_PER_HOUR);
    assert_int_equal(again.http_body_size, options.http_body_size);
    options_done(&again);
    buffer_done(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(defaults_are_good_with_a_data_directory, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_data_directory_must_be_given, set_up, tear_down),
        cmocka_unit_test_setup_teardown(wrong_flags_are_named, set_up, tear_down),
        cmocka_unit_test_setup_teardown(features_become_bits, set_up, tear_down),
        cmocka_unit_test_setup_teardown(old_samples_are_kept_when_they_are_not_rejected, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(flags_override_the_file, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_bad_file_is_told_with_its_place, set_up, tear_down),
        cmocka_unit_test_setup_teardown(help_has_every_flag_and_no_setting_is_undocumented, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(settings_print_as_yaml_that_reads_back, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
