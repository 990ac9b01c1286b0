/* test_detect_fields.c - fields of log lines: names, types, parsers, paths, limits. */
#include "query/detect_fields.h"

#include "base/arena.h"
#include "base/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static struct detected_fields detect(struct arena *arena, const char *const *lines, size_t count,
                                     struct labels metadata, size_t field_max)
{
    struct query_entry entries[32] = {0};
    static const struct label label = {SLICE("app"), SLICE("x")};
    for (size_t i = 0; i < count; i++)
        entries[i] = (struct query_entry){.line = slice_from_text(lines[i]), .metadata = metadata};
    struct query_stream stream = {.stream = {&label, 1}, .entries = entries, .count = count};
    struct query_result result = {.type = RESULT_STREAMS, .streams = &stream, .stream_count = 1};
    struct detected_fields fields;
    struct error err = {0};
    assert_true(detect_fields(&result, field_max, arena, &fields, &err));
    return fields;
}

static const struct detected_field *field_of(const struct detected_fields *fields, const char *name)
{
    for (size_t i = 0; i < fields->count; i++)
        if (slice_equal(fields->items[i].name, slice_from_text(name)))
            return &fields->items[i];
    return NULL;
}

static void types_are_the_narrowest_that_fit_all_values(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "n=1 f=1 b=true d=1h s=5MB m=1 t=x q=\"two words\"",
        "n=-2 f=2.5 b=false d=20ms s=7KiB m=word t=x",
    };
    static const struct {
        const char *name;
        enum field_type type;
        size_t values;
    } wanted[] = {{"n", FIELD_INT, 2},      {"f", FIELD_FLOAT, 2}, {"b", FIELD_BOOLEAN, 2},
                  {"d", FIELD_DURATION, 2}, {"s", FIELD_BYTES, 2}, {"m", FIELD_STRING, 2},
                  {"t", FIELD_STRING, 1},   {"q", FIELD_STRING, 1}};
    struct arena *arena = arena_new(1 << 20);
    struct detected_fields fields = detect(arena, lines, 2, (struct labels){0}, 100);
    assert_int_equal(fields.count, COUNT_OF(wanted));
    for (size_t i = 0; i < COUNT_OF(wanted); i++) {
        const struct detected_field *field = field_of(&fields, wanted[i].name);
        assert_non_null(field);
        assert_int_equal(field->type, wanted[i].type);
        assert_int_equal(field->value_count, wanted[i].values);
        assert_int_equal(field->parsers, FIELD_LOGFMT);
        assert_null(field->json_path);
    }
    arena_free(arena);
}

static void json_fields_know_their_paths(void **state)
{
    (void)state;
    static const char *const lines[] = {"{\"a\":{\"b-c\":1},\"app\":\"y\",\"list\":[1]}", "a_b_c=2",
                                        "{not json"};
    struct arena *arena = arena_new(1 << 20);
    struct detected_fields fields = detect(arena, lines, 3, (struct labels){0}, 100);
    const struct detected_field *field = field_of(&fields, "a_b_c");
    assert_non_null(field);
    assert_int_equal(field->parsers, FIELD_JSON | FIELD_LOGFMT);
    assert_int_equal(field->value_count, 2);
    assert_int_equal(field->path_count, 2);
    assert_true(slice_equal(field->json_path[0], SLICE("a")));
    assert_true(slice_equal(field->json_path[1], SLICE("b-c")));
    assert_non_null(field_of(&fields, "app_extracted"));
    assert_null(field_of(&fields, "app"));
    assert_null(field_of(&fields, "list"));
    assert_null(field_of(&fields, "__error__"));
    arena_free(arena);
}

static void structured_metadata_needs_no_parser(void **state)
{
    (void)state;
    static const char *const lines[] = {"", "x=1"};
    static const struct label trace = {SLICE("trace"), SLICE("t1")};
    struct arena *arena = arena_new(1 << 20);
    struct detected_fields fields = detect(arena, lines, 2, (struct labels){&trace, 1}, 100);
    assert_int_equal(fields.count, 2);
    assert_int_equal(field_of(&fields, "trace")->parsers, 0);
    assert_int_equal(field_of(&fields, "trace")->value_count, 1);
    arena_free(arena);
}

static void fields_over_the_limit_are_left_out(void **state)
{
    (void)state;
    static const char *const lines[] = {"a=1 b=2 c=3", "c=4 a=5"};
    struct arena *arena = arena_new(1 << 20);
    struct detected_fields fields = detect(arena, lines, 2, (struct labels){0}, 2);
    assert_int_equal(fields.count, 2);
    assert_int_equal(field_of(&fields, "a")->value_count, 2);
    assert_null(field_of(&fields, "c"));
    arena_free(arena);
}

static void deep_json_ends(void **state)
{
    (void)state;
    char line[8192] = "";
    for (size_t i = 0; i < 1000; i++)
        memcpy(line + i * 5, "{\"a\":", 5);
    line[5000] = '1';
    const char *lines[] = {line};
    struct arena *arena = arena_new(1 << 20);
    detect(arena, lines, 1, (struct labels){0}, 100);
    arena_free(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(types_are_the_narrowest_that_fit_all_values),
        cmocka_unit_test(json_fields_know_their_paths),
        cmocka_unit_test(structured_metadata_needs_no_parser),
        cmocka_unit_test(fields_over_the_limit_are_left_out),
        cmocka_unit_test(deep_json_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
