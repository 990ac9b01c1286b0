/* The YAML reader and its table. */
#include "net/config.h"

#include "base/compiler.h"
#include "base/duration.h"
#include "base/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct settings {
    bool on;
    char *name;
    uint64_t size, count;
    int64_t wait_ns;
    int colour;
};

static const char *const colours[] = {"red", "green", NULL};

static const struct config_key keys[] = {
    {"on", CONFIG_BOOL, offsetof(struct settings, on), "true", 0, 0, NULL, ""},
    {"name", CONFIG_TEXT, offsetof(struct settings, name), "x", 0, 0, NULL, ""},
    {"deep.size", CONFIG_SIZE, offsetof(struct settings, size), "1KiB", 10, 1 << 20, NULL, ""},
    {"deep.er.count", CONFIG_COUNT, offsetof(struct settings, count), "3", 0, 0, NULL, ""},
    {"deep.wait", CONFIG_DURATION, offsetof(struct settings, wait_ns), "5s", NS_PER_SECOND,
     NS_PER_HOUR, NULL, ""},
    {"colour", CONFIG_CHOICE, offsetof(struct settings, colour), "red", 0, 0, colours, ""},
};
static const struct config_table table = {keys, COUNT_OF(keys)};

static struct settings settings;
static struct error err;

static int set_up(void **state)
{
    (void)state;
    settings = (struct settings){0};
    err = (struct error){0};
    config_preset(&table, &settings);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    config_done(&table, &settings);
    return 0;
}

static bool parse(const char *text)
{
    return config_parse(&table, slice_from_text(text), "f.yaml", &settings, &err);
}

static void assert_refused(const char *text, const char *message)
{
    err = (struct error){0};
    assert_false(parse(text));
    if (!strstr(err.message, message))
        fail_msg("%s: \"%s\" lacks \"%s\"", text, err.message, message);
}

static void reads_every_type(void **state)
{
    (void)state;
    assert_true(parse("on: false\nname: \"a b\"\ncolour: green\n"
                      "deep:\n  size: 64KiB\n  wait: 1m30s\n  er: {count: 7}\n"));
    assert_false(settings.on);
    assert_string_equal(settings.name, "a b");
    assert_int_equal(settings.size, 65536);
    assert_int_equal(settings.wait_ns, 90 * NS_PER_SECOND);
    assert_int_equal(settings.count, 7);
    assert_int_equal(settings.colour, 1);
}

static void an_empty_file_leaves_the_defaults(void **state)
{
    (void)state;
    assert_true(parse(""));
    assert_true(parse("# only a comment\n"));
    assert_true(parse("---\n"));
    assert_int_equal(settings.size, 1024);
    assert_int_equal(settings.wait_ns, 5 * NS_PER_SECOND);
}

static void names_the_place_and_the_nearest_key(void **state)
{
    (void)state;
    assert_refused("on: true\ndeep:\n  siez: 1\n",
                   "f.yaml:3:3: unknown key \"deep.siez\", did you mean \"deep.size\"?");
    assert_refused("qqqqqqqqqqqq: 1\n", "f.yaml:1:1: unknown key \"qqqqqqqqqqqq\"");
    assert_refused("  nam: 1\n", "f.yaml:1:3: unknown key \"nam\", did you mean \"name\"?");
}

static void refuses_values_of_another_kind(void **state)
{
    (void)state;
    assert_refused("on: yes\n", "f.yaml:1:5: on: \"yes\" is not true or false");
    assert_refused("deep:\n  size: many\n", "deep.size: \"many\" is not a size such as 64MiB");
    assert_refused("deep:\n  size: 5\n", "5 is out of the range 10 to 1048576");
    assert_refused("deep:\n  size: 99999999999999999999\n", "deep.size");
    assert_refused("deep:\n  wait: 2h\n", "out of the range 1s to 1h");
    assert_refused("deep:\n  wait: soon\n", "a duration such as");
    assert_refused("colour: blue\n", "one of red green");
    assert_refused("name: [a]\n", "a single value is expected");
    assert_refused("deep: 5\n", "names with values are expected");
    assert_refused("- a\n", "names with values are expected");
    assert_refused("name: a\nname: b\n", "f.yaml:2:7: name: given twice");
    assert_refused("? [a]\n: b\n", "a key must be plain text");
}

static void refuses_what_is_no_yaml(void **state)
{
    (void)state;
    assert_refused("a: [\n", "f.yaml:2:1");
    assert_refused("a: b: c\n", "f.yaml:1:");
    assert_refused("a: \"\xff\"\n", "f.yaml:");
}

static void reads_sizes_with_units(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t bytes;
    } good[] = {{"0", 0},
                {"7", 7},
                {"64MiB", 64 << 20},
                {"2 GiB", 2ull << 30},
                {"1kb", 1000},
                {"1TiB", 1ull << 40},
                {"3B", 3}};
    uint64_t bytes;
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        assert_true(config_parse_size(slice_from_text(good[i].text), &bytes));
        assert_int_equal(bytes, good[i].bytes);
    }
    static const char *const bad[] = {"", "MiB", "1.5MiB", "-1", "1XB", "99999999999999TiB"};
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_false(config_parse_size(slice_from_text(bad[i]), &bytes));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(reads_every_type, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_empty_file_leaves_the_defaults, set_up, tear_down),
        cmocka_unit_test_setup_teardown(names_the_place_and_the_nearest_key, set_up, tear_down),
        cmocka_unit_test_setup_teardown(refuses_values_of_another_kind, set_up, tear_down),
        cmocka_unit_test_setup_teardown(refuses_what_is_no_yaml, set_up, tear_down),
        cmocka_unit_test_setup_teardown(reads_sizes_with_units, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
