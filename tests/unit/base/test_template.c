/* test_template.c - templates: values, control, limits.  The functions' meaning is tested by
 * recorded cases (tests/conformance). */
#include "base/arena.h"
#include "base/buffer.h"
#include "base/error.h"
#include "base/template.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static const struct label items[] = {{{"a", 1}, {"text", 4}}, {{"n", 1}, {"7", 1}}};

static struct slice lookup(void *context, struct slice name)
{
    (void)context;
    return labels_get((struct labels){items, 2}, name);
}

static struct labels all(void *context, struct arena *arena)
{
    (void)context;
    (void)arena;
    return (struct labels){items, 2};
}

static bool run(const char *text, struct buffer *out, size_t scratch_max, struct error *err)
{
    AUTO(arena_drop) struct arena *tree = arena_new(1 << 20);
    AUTO(arena_drop) struct arena *scratch = arena_new(scratch_max);
    const struct text_template *t = template_new(slice_from_text(text), "line", tree, err);
    struct template_input input = {lookup, all, NULL, SLICE("the line"), 1700000000000000000};
    return t && template_run(t, &input, scratch, out, err);
}

static void assert_gives(const char *text, const char *expected)
{
    struct error err = {0};
    AUTO(buffer_done) struct buffer out;
    buffer_init(&out, 1 << 16);
    if (!run(text, &out, 1 << 20, &err))
        fail_msg("%s: %s", text, err.message);
    buffer_append_byte(&out, '\0');
    assert_string_equal(out.data, expected);
}

static void assert_fails(const char *text, enum error_code code, const char *message)
{
    struct error err = {0};
    AUTO(buffer_done) struct buffer out;
    buffer_init(&out, 1 << 16);
    assert_false(run(text, &out, 1 << 20, &err));
    assert_int_equal(err.code, code);
    if (strstr(err.message, message) == NULL)
        fail_msg("%s: %s", text, err.message);
}

static void labels_and_text_are_joined(void **state)
{
    (void)state;
    assert_gives("<{{.a}}|{{ .missing }}|{{.n | add 1}}>", "<text||8>");
    assert_gives("a {{- .a -}} b", "atextb");
    assert_gives("", "");
    assert_gives("{{/* nothing */}}x", "x");
}

static void branches_and_loops_run(void **state)
{
    (void)state;
    assert_gives("{{if .missing}}1{{else if eq .n \"7\"}}2{{else}}3{{end}}", "2");
    assert_gives("{{range $k, $v := .}}{{$k}}={{$v}};{{end}}", "a=text;n=7;");
    assert_gives("{{range fromJson `[1,2,3]`}}{{if eq . 2.0}}{{continue}}{{end}}{{.}}{{end}}",
                 "13");
    assert_gives("{{range fromJson `[]`}}x{{else}}none{{end}}", "none");
    assert_gives("{{with .missing}}x{{else}}y{{end}}", "y");
    assert_gives("{{define \"t\"}}<{{.}}>{{end}}{{template \"t\" .a}}", "<text>");
}

static void and_or_stop_at_what_decides(void **state)
{
    (void)state;
    assert_gives("{{or .a (div 1 0)}}", "text");
    assert_gives("{{and .missing (div 1 0)}}", "");
}

static void wrong_templates_are_refused_when_parsed(void **state)
{
    (void)state;
    assert_fails("{{.a", ERR_INVALID, "unclosed action");
    assert_fails("{{end}}", ERR_INVALID, "unexpected {{end}}");
    assert_fails("{{if .a}}x", ERR_INVALID, "unexpected EOF");
    assert_fails("{{nofunc}}", ERR_INVALID, "function \"nofunc\" not defined");
    assert_fails("{{break}}", ERR_INVALID, "not defined");
    assert_fails("{{\"x}}", ERR_INVALID, "unterminated quoted string");
    assert_fails("{{()}}", ERR_INVALID, "missing value");
    assert_fails("{{.a}}{{else}}", ERR_INVALID, "unexpected {{else}}");
}

static void failing_actions_are_told(void **state)
{
    (void)state;
    assert_fails("{{div 1 0}}", ERR_EXECUTION, "integer divide by zero");
    assert_fails("{{upper 1}}", ERR_EXECUTION, "expected string");
    assert_fails("{{upper}}", ERR_EXECUTION, "wrong number of args for upper");
    assert_fails("{{.a \"x\"}}", ERR_EXECUTION, "not a method but has arguments");
    assert_fails("{{index .a 99}}", ERR_EXECUTION, "out of range");
}

static void recursion_and_size_are_limited(void **state)
{
    (void)state;
    assert_fails("{{define \"t\"}}{{template \"t\"}}{{end}}{{template \"t\"}}", ERR_EXECUTION,
                 "maximum template depth");
    assert_fails("{{repeat 100000000 \"x\"}}", ERR_EXECUTION, "too long");
    assert_fails("{{repeat 100000 \"x\"}}", ERR_LIMIT, "limit");
    const char *loop = "{{range fromJson `[1,2,3,4,5,6,7,8,9,0]`}}";
    char loops[1000] = "";
    size_t at = 0;
    for (int i = 0; i < 8; i++, at += strlen(loop))
        memcpy(loops + at, loop, strlen(loop));
    for (int i = 0; i < 8; i++, at += 7)
        memcpy(loops + at, "{{end}}", 8);
    assert_fails(loops, ERR_LIMIT, "limit");
    char deep[201] = "";
    struct error err = {0};
    AUTO(buffer_done) struct buffer out;
    buffer_init(&out, 1 << 16);
    memset(deep, '(', sizeof(deep) - 1);
    memcpy(deep, "{{", 2);
    assert_false(run(deep, &out, 1 << 20, &err));
}

static void times_follow_layouts(void **state)
{
    (void)state;
    assert_gives("{{__timestamp__ | date \"2006-01-02 15:04:05 Mon Jan\"}}",
                 "2023-11-14 22:13:20 Tue Nov");
    assert_gives(
        "{{toDate \"2006-01-02T15:04:05Z07:00\" \"2023-01-15T16:08:09+02:00\" | unixEpoch}}",
        "1673791689");
    assert_gives("{{toDate \"2006-01-02\" \"bad\"}}", "0001-01-01 00:00:00 +0000 UTC");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(labels_and_text_are_joined),
        cmocka_unit_test(branches_and_loops_run),
        cmocka_unit_test(and_or_stop_at_what_decides),
        cmocka_unit_test(wrong_templates_are_refused_when_parsed),
        cmocka_unit_test(failing_actions_are_told),
        cmocka_unit_test(recursion_and_size_are_limited),
        cmocka_unit_test(times_follow_layouts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
