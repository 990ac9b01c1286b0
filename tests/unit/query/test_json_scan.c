/* test_json_scan.c - the forgiving JSON scanner of log lines. */
#include "base/arena.h"
#include "base/error.h"
#include "query/json_scan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static struct arena *arena;

/* The members of `text` as "key=value;", with "!" behind them when it ends in an error. */
static const char *members(struct slice text)
{
    static char out[1000];
    struct json_scan scan;
    struct slice key;
    struct json_value value;
    size_t at = 0;
    const char *problem = json_scan_object(&scan, text);
    while (problem == NULL && json_scan_next(&scan, arena, &key, &value, &problem))
        at += (size_t)snprintf(out + at, sizeof(out) - at, "%.*s=%.*s;", SLICE_ARG(key),
                               SLICE_ARG(value.text));
    snprintf(out + at, sizeof(out) - at, "%s", problem ? "!" : "");
    return out;
}

static void members_come_in_order_with_nested_values_as_text(void **state)
{
    (void)state;
    assert_string_equal(
        members(SLICE("{\"a\":1, \"b\" : {\"c\":\"}\"} ,\"d\":[1,\"]\"],\"e\":null}")),
        "a=1;b={\"c\":\"}\"};d=[1,\"]\"];e=null;");
    assert_string_equal(members(SLICE(" {} ")), "");
}

static void what_follows_the_object_is_not_read(void **state)
{
    (void)state;
    assert_string_equal(members(SLICE("{\"a\":1}trailing {")), "a=1;");
}

static void members_before_an_error_count(void **state)
{
    (void)state;
    assert_string_equal(members(SLICE("{\"a\":1")), "a=1;!");
    assert_string_equal(members(SLICE("{\"a\":1 \"b\":2}")), "a=1;!");
    assert_string_equal(members(SLICE("{\"a\":\"x\",\"b\":\"open")), "a=x;!");
    assert_string_equal(members(SLICE("{\"a\":{\"b\":1}")), "a={\"b\":1};!");
    assert_string_equal(members(SLICE("{\"a\":wrong}")), "!");
    assert_string_equal(members(SLICE("[1]")), "!");
    assert_string_equal(members(SLICE("")), "!");
}

static void an_escaped_quote_does_not_end_a_string(void **state)
{
    (void)state;
    assert_string_equal(members(SLICE("{\"a\":\"x\\\"y\\\\\",\"b\":2}")), "a=x\\\"y\\\\;b=2;");
}

static void assert_unescaped(struct slice text, struct slice expected)
{
    assert_true(slice_equal(json_scan_unescape(text, arena), expected));
}

static void escapes_are_decoded_and_bad_ones_give_nothing(void **state)
{
    (void)state;
    assert_unescaped(SLICE("plain"), SLICE("plain"));
    assert_unescaped(SLICE("\\n\\t\\/\\u00e9\\ud83d\\ude00"),
                     SLICE("\n\t/\xc3\xa9\xf0\x9f\x98\x80"));
    assert_unescaped(SLICE("\\ud83d"), SLICE(""));
    assert_unescaped(SLICE("\\ud83dx\\ude00"), SLICE(""));
    assert_unescaped(SLICE("\\q"), SLICE(""));
    assert_unescaped(SLICE("\\u12"), SLICE(""));
    assert_unescaped(SLICE("x\\"), SLICE(""));
}

static void assert_path(const char *path, const char *expected)
{
    static const struct slice line = {"{\"a\":{\"b\":[10,{\"c d\":\"x\"}]},\"n\":null}", 38};
    struct json_path parsed;
    struct json_value value;
    struct error err = {0};
    assert_true(json_path_parse(&parsed, slice_from_text(path), arena, &err));
    bool found = json_path_find(&parsed, line, arena, &value);
    assert_int_equal(found, expected != NULL);
    if (found)
        assert_true(slice_equal(value.text, slice_from_text(expected)));
}

static void paths_walk_objects_and_arrays(void **state)
{
    (void)state;
    assert_path("a.b[0]", "10");
    assert_path("a.b[1][\"c d\"]", "x");
    assert_path("[\"a\"].b[1]", "{\"c d\":\"x\"}");
    assert_path("n", "null");
    assert_path("a.b[2]", NULL);
    assert_path("a[0]", NULL);
    assert_path("a.b.c", NULL);
}

static void bad_paths_are_refused(void **state)
{
    (void)state;
    static const char *const paths[] = {"", "a..b", "[", "a[x]", "a[0", "a b", ".a", "[\"a]", "a."};
    for (size_t i = 0; i < COUNT_OF(paths); i++) {
        struct json_path parsed;
        struct error err = {0};
        assert_false(json_path_parse(&parsed, slice_from_text(paths[i]), arena, &err));
        assert_int_equal(err.code, ERR_INVALID);
    }
}

static void a_hundred_thousand_open_brackets_end_at_once(void **state)
{
    (void)state;
    enum { SIZE = 100000 };
    char *text = arena_alloc(arena, SIZE);
    memset(text, '[', SIZE);
    memcpy(text, "{\"a\":", 5);
    assert_string_equal(members(slice_of(text, SIZE)), "!");
}

static int make_arena(void **state)
{
    (void)state;
    arena = arena_new(4 << 20);
    return 0;
}

static int free_arena(void **state)
{
    (void)state;
    arena_free(arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_come_in_order_with_nested_values_as_text),
        cmocka_unit_test(what_follows_the_object_is_not_read),
        cmocka_unit_test(members_before_an_error_count),
        cmocka_unit_test(an_escaped_quote_does_not_end_a_string),
        cmocka_unit_test(escapes_are_decoded_and_bad_ones_give_nothing),
        cmocka_unit_test(paths_walk_objects_and_arrays),
        cmocka_unit_test(bad_paths_are_refused),
        cmocka_unit_test(a_hundred_thousand_open_brackets_end_at_once),
    };
    return cmocka_run_group_tests(tests, make_arena, free_arena);
}
