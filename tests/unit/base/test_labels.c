/* test_labels.c - canonical label sets, their order, hashes, copies and text. */
#include "base/arena.h"
#include "base/buffer.h"
#include "base/error.h"
#include "base/labels.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define LABEL(n, v) ((struct label){SLICE(n), SLICE(v)})
#define SET(...)                                                                                   \
    ((struct labels){(const struct label[]){__VA_ARGS__},                                          \
                     sizeof((const struct label[]){__VA_ARGS__}) / sizeof(struct label)})

static void sorts_and_drops_empty_values(void **state)
{
    (void)state;
    struct label items[] = {LABEL("z", "1"), LABEL("b", ""), LABEL("a", "2"),
                            LABEL("__name__", "m")};
    size_t count = 4;
    assert_true(labels_canonicalise(items, &count, &(struct label_limits){0}, NULL));
    assert_true(labels_equal((struct labels){items, count},
                             SET(LABEL("__name__", "m"), LABEL("a", "2"), LABEL("z", "1"))));
}

static void sorts_large_sets_too(void **state)
{
    (void)state;
    struct label items[100];
    char names[100][8];
    for (int i = 0; i < 100; i++) {
        int size = snprintf(names[i], sizeof(names[i]), "n%02d", (i * 37) % 100);
        items[i] = (struct label){slice_of(names[i], (size_t)size), SLICE("v")};
    }
    size_t count = 100;
    assert_true(labels_canonicalise(items, &count, &(struct label_limits){0}, NULL));
    for (size_t i = 1; i < count; i++)
        assert_true(slice_compare(items[i - 1].name, items[i].name) < 0);
}

static void refuse(struct label *items, size_t count, struct label_limits limits, const char *why)
{
    struct error err = {0};
    assert_false(labels_canonicalise(items, &count, &limits, &err));
    assert_int_equal(err.code, ERR_INVALID);
    if (strstr(err.message, why) == NULL)
        fail_msg("%s, expected %s", err.message, why);
}

static void refuses_what_is_no_label_set(void **state)
{
    (void)state;
    struct label_limits none = {0};
    struct label_limits small = {.count_max = 2, .name_size_max = 3, .value_size_max = 3};
    refuse((struct label[]){LABEL("a", "1"), LABEL("b", "1"), LABEL("a", "1")}, 3, none,
           "duplicate label name \"a\"");
    refuse((struct label[]){LABEL("", "1")}, 1, none, "label name is empty");
    refuse((struct label[]){LABEL("a\xff", "1")}, 1, none, "label name is not valid UTF-8");
    refuse((struct label[]){LABEL("a", "\xff")}, 1, none,
           "value of label \"a\" is not valid UTF-8");
    refuse((struct label[]){LABEL("a", "1"), LABEL("b", "1"), LABEL("c", "1")}, 3, small,
           "3 labels, the limit is 2");
    refuse((struct label[]){LABEL("abcd", "1")}, 1, small, "4 bytes, the limit is 3");
    refuse((struct label[]){LABEL("a", "1234")}, 1, small, "4 bytes, the limit is 3");
}

static void a_series_may_have_labels_up_to_the_limits(void **state)
{
    (void)state;
    struct label_limits small = {.count_max = 2, .name_size_max = 3, .value_size_max = 3};
    struct label items[] = {LABEL("abc", "123"), LABEL("b", "1")};
    size_t count = 2;
    assert_true(labels_canonicalise(items, &count, &small, NULL));
    assert_int_equal(count, 2);
}

static void values_are_found_by_name(void **state)
{
    (void)state;
    struct labels set = SET(LABEL("a", "1"), LABEL("b", ""));
    assert_true(slice_equal(labels_get(set, SLICE("a")), SLICE("1")));
    assert_true(labels_has(set, SLICE("b")));
    assert_false(labels_has(set, SLICE("c")));
    assert_null(labels_get(set, SLICE("c")).data);
}

static void order_is_label_by_label(void **state)
{
    (void)state;
    struct labels a = SET(LABEL("a", "1"));
    struct labels ab = SET(LABEL("a", "1"), LABEL("b", "1"));
    struct labels b = SET(LABEL("b", "0"));
    assert_true(labels_compare(a, ab) < 0);
    assert_true(labels_compare(ab, a) > 0);
    assert_true(labels_compare(ab, b) < 0);
    assert_int_equal(labels_compare(ab, ab), 0);
    assert_false(labels_equal(a, b));
    assert_false(labels_equal(a, ab));
}

static void hashes_tell_sets_apart(void **state)
{
    (void)state;
    struct labels a = SET(LABEL("a", "bc"));
    struct labels b = SET(LABEL("ab", "c"));
    assert_false(hash128_equal(labels_fingerprint(a), labels_fingerprint(b)));
    assert_true(labels_hash(a) != labels_hash(b));
    assert_true(hash128_equal(labels_fingerprint(a), labels_fingerprint(SET(LABEL("a", "bc")))));
    assert_true(hash128_equal(labels_fingerprint(a), hash128("a\xff"
                                                             "bc\xff",
                                                             5, 0)));

    char value[3000]; /* more than fits on the stack */
    memset(value, 'v', sizeof(value));
    struct label large = {SLICE("a"), slice_of(value, sizeof(value))};
    struct labels set = {&large, 1};
    struct hash128 before = labels_fingerprint(set);
    uint64_t short_before = labels_hash(set);
    value[2999] = 'w';
    assert_false(hash128_equal(before, labels_fingerprint(set)));
    assert_true(short_before != labels_hash(set));
}

static void copies_stand_alone(void **state)
{
    (void)state;
    struct arena *arena = arena_new(1024);
    char name[] = "a";
    char value[] = "1";
    struct label label = {slice_of(name, 1), slice_of(value, 1)};
    struct labels copy = labels_copy(arena, (struct labels){&label, 1});
    name[0] = value[0] = 'x';
    assert_true(labels_equal(copy, SET(LABEL("a", "1"))));
    arena_free(arena);

    arena = arena_new(32);
    assert_null(labels_copy(arena, SET(LABEL("a", "1"))).items);
    assert_true(arena_exhausted(arena));
    arena_free(arena);
}

static void selects_and_sets_labels(void **state)
{
    (void)state;
    struct arena *arena = arena_new(4096);
    struct labels set = SET(LABEL("a", "1"), LABEL("b", "2"), LABEL("c", "3"));
    struct slice names[] = {SLICE("c"), SLICE("a"), SLICE("zz")};
    assert_true(labels_equal(labels_select(arena, set, names, 3, true),
                             SET(LABEL("a", "1"), LABEL("c", "3"))));
    assert_true(labels_equal(labels_select(arena, set, names, 3, false), SET(LABEL("b", "2"))));
    assert_true(labels_equal(labels_with(arena, set, SLICE("b"), SLICE("x")),
                             SET(LABEL("a", "1"), LABEL("b", "x"), LABEL("c", "3"))));
    assert_true(labels_equal(labels_with(arena, set, SLICE("b"), SLICE("")),
                             SET(LABEL("a", "1"), LABEL("c", "3"))));
    assert_true(
        labels_equal(labels_with(arena, set, SLICE("bb"), SLICE("x")),
                     SET(LABEL("a", "1"), LABEL("b", "2"), LABEL("bb", "x"), LABEL("c", "3"))));
    assert_int_equal(labels_with(arena, set, SLICE("d"), SLICE("x")).count, 4);
    assert_int_equal(labels_with(arena, set, SLICE("d"), SLICE("")).count, 3);
    arena_free(arena);
}

static void text_is_quoted_where_it_must_be(void **state)
{
    (void)state;
    struct buffer out;
    buffer_init(&out, 1000);
    labels_append_text(&out, SET(LABEL("a", "x\"y\n"), LABEL("b.c", "\xc3\xa9")));
    labels_append_text(&out, (struct labels){NULL, 0});
    buffer_append_byte(&out, '\0');
    assert_string_equal(out.data, "{a=\"x\\\"y\\n\", \"b.c\"=\"\xc3\xa9\"}{}");
    buffer_done(&out);
}

static void knows_classic_names(void **state)
{
    (void)state;
    assert_true(label_name_is_classic(SLICE("_aZ9")));
    assert_false(label_name_is_classic(SLICE("9a")));
    assert_false(label_name_is_classic(SLICE("")));
    assert_false(label_name_is_classic(SLICE("a:b")));
    assert_true(metric_name_is_classic(SLICE(":a:b")));
    assert_false(metric_name_is_classic(SLICE("a.b")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sorts_and_drops_empty_values),
        cmocka_unit_test(sorts_large_sets_too),
        cmocka_unit_test(refuses_what_is_no_label_set),
        cmocka_unit_test(a_series_may_have_labels_up_to_the_limits),
        cmocka_unit_test(values_are_found_by_name),
        cmocka_unit_test(order_is_label_by_label),
        cmocka_unit_test(hashes_tell_sets_apart),
        cmocka_unit_test(copies_stand_alone),
        cmocka_unit_test(selects_and_sets_labels),
        cmocka_unit_test(text_is_quoted_where_it_must_be),
        cmocka_unit_test(knows_classic_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
