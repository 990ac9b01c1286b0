/* test_log_labels.c - labels of an entry in a pipeline. */
#include "base/arena.h"
#include "query/log_labels.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static const struct label stream_items[] = {{{"app", 3}, {"web", 3}}, {{"env", 3}, {"prod", 4}}};
static const struct labels stream = {stream_items, 2};

struct fixture {
    struct arena *arena;
    struct log_labels labels;
};

static void start(struct fixture *f)
{
    f->arena = arena_new(8 << 20);
    log_labels_init(&f->labels);
    log_labels_stream(&f->labels, stream);
    log_labels_entry(&f->labels, (struct labels){NULL, 0}, f->arena);
}

static void stop(struct fixture *f)
{
    log_labels_done(&f->labels);
    arena_free(f->arena);
}

static void assert_value(const struct fixture *f, struct slice name, struct slice expected)
{
    const struct log_label *label = log_labels_find(&f->labels, name);
    assert_non_null(label);
    assert_true(slice_equal(label->value, expected));
}

static void an_untouched_entry_has_the_streams_labels(void **state)
{
    (void)state;
    struct fixture f;
    start(&f);
    assert_ptr_equal(log_labels_all(&f.labels, f.arena).items, stream_items);
    assert_int_equal(log_labels_of(&f.labels, CATEGORY_PARSED, f.arena).count, 0);
    stop(&f);
}

static void metadata_that_clashes_with_the_stream_is_renamed(void **state)
{
    (void)state;
    struct fixture f;
    start(&f);
    const struct label items[] = {{SLICE("app"), SLICE("m")}, {SLICE("trace"), SLICE("1")}};
    log_labels_entry(&f.labels, (struct labels){items, 2}, f.arena);
    assert_value(&f, SLICE("app"), SLICE("web"));
    assert_value(&f, SLICE("app_extracted"), SLICE("m"));
    assert_int_equal(log_labels_of(&f.labels, CATEGORY_METADATA, f.arena).count, 2);
    stop(&f);
}

static void parsed_wins_over_metadata_and_metadata_does_not_win_over_parsed(void **state)
{
    (void)state;
    struct fixture f;
    start(&f);
    log_labels_set(&f.labels, CATEGORY_METADATA, SLICE("x"), SLICE("m"));
    log_labels_set(&f.labels, CATEGORY_PARSED, SLICE("x"), SLICE("p"));
    assert_value(&f, SLICE("x"), SLICE("p"));
    log_labels_set(&f.labels, CATEGORY_METADATA, SLICE("x"), SLICE("again"));
    assert_value(&f, SLICE("x"), SLICE("p"));
    stop(&f);
}

static void a_deleted_stream_label_still_makes_parsers_rename(void **state)
{
    (void)state;
    struct fixture f;
    start(&f);
    log_labels_delete(&f.labels, SLICE("app"));
    assert_null(log_labels_find(&f.labels, SLICE("app")));
    struct slice name = log_labels_parsed_name(&f.labels, SLICE("app"), f.arena);
    assert_true(slice_equal(name, SLICE("app_extracted")));
    assert_int_equal(log_labels_of(&f.labels, CATEGORY_STREAM, f.arena).count, 1);
    stop(&f);
}

static void the_first_error_stays_and_counts_as_parsed(void **state)
{
    (void)state;
    struct fixture f;
    start(&f);
    log_labels_fail(&f.labels, "First", SLICE("details"));
    log_labels_fail(&f.labels, "Second", SLICE("other"));
    struct labels parsed = log_labels_of(&f.labels, CATEGORY_PARSED, f.arena);
    assert_int_equal(parsed.count, 2);
    assert_true(slice_equal(labels_get(parsed, LABEL_ERROR), SLICE("First")));
    assert_true(slice_equal(labels_get(parsed, LABEL_ERROR_DETAILS), SLICE("details")));
    stop(&f);
}

static void the_next_entry_starts_afresh(void **state)
{
    (void)state;
    struct fixture f;
    start(&f);
    log_labels_extract(&f.labels, SLICE("a"), SLICE("1"));
    log_labels_delete(&f.labels, SLICE("env"));
    log_labels_fail(&f.labels, "E", SLICE("d"));
    log_labels_entry(&f.labels, (struct labels){NULL, 0}, f.arena);
    assert_null(log_labels_find(&f.labels, SLICE("a")));
    assert_false(log_labels_is_extracted(&f.labels, SLICE("a")));
    assert_value(&f, SLICE("env"), SLICE("prod"));
    assert_int_equal(f.labels.error.size, 0);
    stop(&f);
}

static void ten_thousand_labels_are_found_again_in_order(void **state)
{
    (void)state;
    struct fixture f;
    start(&f);
    for (int i = 0; i < 10000; i++) {
        struct slice name = arena_printf(f.arena, "key%05d", 9999 - i);
        log_labels_extract(&f.labels, name, name);
    }
    assert_value(&f, SLICE("key00000"), SLICE("key00000"));
    assert_value(&f, SLICE("key09999"), SLICE("key09999"));
    struct labels all = log_labels_all(&f.labels, f.arena);
    assert_int_equal(all.count, 10002);
    for (size_t i = 1; i < all.count; i++)
        assert_true(slice_compare(all.items[i - 1].name, all.items[i].name) < 0);
    stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_untouched_entry_has_the_streams_labels),
        cmocka_unit_test(metadata_that_clashes_with_the_stream_is_renamed),
        cmocka_unit_test(parsed_wins_over_metadata_and_metadata_does_not_win_over_parsed),
        cmocka_unit_test(a_deleted_stream_label_still_makes_parsers_rename),
        cmocka_unit_test(the_first_error_stays_and_counts_as_parsed),
        cmocka_unit_test(the_next_entry_starts_afresh),
        cmocka_unit_test(ten_thousand_labels_are_found_again_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
