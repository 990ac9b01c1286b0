/* Label sets as text, as Loki's protobuf push carries them. */
#include "base/arena.h"
#include "base/buffer.h"
#include "base/error.h"
#include "wire/label_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

struct good {
    const char *text, *labels;
};

struct bad {
    const char *text;
    int position;
    const char *says;
};

static bool parse(struct arena *arena, const char *text, struct buffer *out, struct error *err)
{
    struct label labels[4];
    size_t count;
    buffer_clear(out);
    if (!label_text_parse(arena, slice_from_text(text), labels, COUNT_OF(labels), &count, err))
        return false;
    for (size_t i = 0; i < count; i++)
        buffer_printf(out, "%.*s=<%.*s>", SLICE_ARG(labels[i].name), SLICE_ARG(labels[i].value));
    buffer_append_byte(out, '\0');
    return true;
}

static void reads_what_prometheus_and_loki_write(void **state)
{
    static const struct good cases[] = {
        {"{}", ""},
        {" { } ", ""},
        {"{a=\"b\"}", "a=<b>"},
        {"{a=\"b\", c=\"d\"}", "a=<b>c=<d>"},
        {"{a=\"b\",c=\"d\",}", "a=<b>c=<d>"},
        {"{ a = \"b\" ,\n c\t=\t`d\\n` }", "a=<b>c=<d\\n>"},
        {"{a=\"\\\"\\\\\\n\\t\\u00e9\\x41\\101\"}", "a=<\"\\\n\t\xc3\xa9"
                                                    "AA>"},
        {"{a=\"}\", b=\",\"}", "a=<}>b=<,>"},
        {"{\"dotted.name\"=\"x\", _=\"\"}", "dotted.name=<x>_=<>"},
        {"{z=\"1\", a=\"2\", a=\"3\"}", "z=<1>a=<2>a=<3>"},
        {"{a=\"h\xc3\xa9llo\"}", "a=<h\xc3\xa9llo>"},
    };
    (void)state;
    struct arena *arena = arena_new(4096);
    AUTO(buffer_done) struct buffer out;
    buffer_init(&out, 4096);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct error err = {0};
        if (!parse(arena, cases[i].text, &out, &err))
            fail_msg("%s: %s", cases[i].text, err.message);
        assert_string_equal(out.data, cases[i].labels);
    }
    arena_free(arena);
}

static void says_what_is_wrong_and_where(void **state)
{
    static const struct bad cases[] = {
        {"", 1, "labels end at byte 0, expected \"{\""},
        {"a=\"b\"", 1, "unexpected \"a\" at byte 0, expected \"{\""},
        {"{", 2, "expected a label name"},
        {"{a", 3, "expected \"=\""},
        {"{a=", 4, "expected a quoted value"},
        {"{a=b}", 4, "expected a quoted value"},
        {"{a='b'}", 4, "expected a quoted value"},
        {"{a=\"b", 6, "expected the end of a quoted text"},
        {"{a=\"b\\\"", 8, "expected the end of a quoted text"},
        {"{a=\"b\"", 7, "expected \",\" or \"}\""},
        {"{a=\"b\" c=\"d\"}", 8, "expected \",\" or \"}\""},
        {"{,}", 2, "expected a label name"},
        {"{1a=\"b\"}", 2, "expected a label name"},
        {"{a=~\"b\"}", 4, "expected a quoted value"},
        {"{a!=\"b\"}", 3, "expected \"=\""},
        {"{a=\"b\"} x", 9, "expected the end"},
        {"{a=\"\\q\"}", 4, "quoted text at byte 3"},
        {"{a=\"1\",b=\"2\",c=\"3\",d=\"4\",e=\"5\"}", 0, "more than 4 labels"},
    };
    (void)state;
    struct arena *arena = arena_new(4096);
    AUTO(buffer_done) struct buffer out;
    buffer_init(&out, 4096);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct error err = {0};
        if (parse(arena, cases[i].text, &out, &err))
            fail_msg("%s: taken", cases[i].text);
        if (strstr(err.message, cases[i].says) == NULL || err.position != cases[i].position)
            fail_msg("%s: at %d \"%s\"", cases[i].text, err.position, err.message);
    }
    arena_free(arena);
}

static void what_base_writes_is_read_back(void **state)
{
    struct label labels[] = {{SLICE("__name__"), SLICE("x\"y\\z\n\x01")},
                             {SLICE("a b"), SLICE("\xe2\x82\xac \x7f")}};
    struct label back[2];
    size_t count = 0;
    struct error err = {0};
    (void)state;
    struct arena *arena = arena_new(4096);
    AUTO(buffer_done) struct buffer text;
    buffer_init(&text, 4096);
    labels_append_text(&text, (struct labels){labels, 2});
    assert_true(label_text_parse(arena, buffer_slice(&text), back, 2, &count, &err));
    assert_true(labels_equal((struct labels){labels, 2}, (struct labels){back, count}));
    arena_free(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_prometheus_and_loki_write),
        cmocka_unit_test(says_what_is_wrong_and_where),
        cmocka_unit_test(what_base_writes_is_read_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
