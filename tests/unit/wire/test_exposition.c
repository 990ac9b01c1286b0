/* The text format 0.0.4: what the writer prints and the parser reads. */
#include "base/buffer.h"
#include "base/bytes.h"
#include "base/error.h"
#include "wire/exposition.h"

#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static void writes_help_type_and_values_with_escapes(void **state)
{
    (void)state;
    AUTO(buffer_done) struct buffer out;
    buffer_init(&out, 4096);
    struct label labels[] = {{SLICE("path"), SLICE("C:\\\"x\"\n")}, {SLICE("code"), SLICE("200")}};
    exposition_family(&out, "a_total", "counter", "Back\\slash and\nnewline \"quoted\".");
    exposition_value(&out, "a_total", labels, 2, 1027);
    exposition_value(&out, "a_total", NULL, 0, 0.25);
    exposition_value(&out, "a_total", NULL, 0, NAN);
    exposition_value(&out, "a_total", NULL, 0, INFINITY);
    exposition_value(&out, "a_total", NULL, 0, -INFINITY);
    exposition_value(&out, "a_total", NULL, 0, 1700000000123456);
    exposition_value(&out, "a_total", NULL, 0, 1e300);
    buffer_append_byte(&out, '\0');
    assert_string_equal(out.data, "# HELP a_total Back\\\\slash and\\nnewline \"quoted\".\n"
                                  "# TYPE a_total counter\n"
                                  "a_total{path=\"C:\\\\\\\"x\\\"\\n\",code=\"200\"} 1027\n"
                                  "a_total 0.25\n"
                                  "a_total NaN\n"
                                  "a_total +Inf\n"
                                  "a_total -Inf\n"
                                  "a_total 1700000000123456\n"
                                  "a_total 1e+300\n");
}

static bool note_sample(void *context, struct label *labels, size_t count, double value,
                        const int64_t *time_ms)
{
    struct buffer *out = context;
    for (size_t i = 0; i < count; i++)
        buffer_printf(out, "%.*s=<%.*s> ", SLICE_ARG(labels[i].name), SLICE_ARG(labels[i].value));
    buffer_printf(out, "%g", value);
    if (time_ms)
        buffer_printf(out, " @%" PRId64, *time_ms);
    buffer_append_byte(out, '\n');
    return value != 666;
}

static bool note_metadata(void *context, struct slice family, struct slice type, struct slice help)
{
    struct buffer *out = context;
    if (type.data)
        buffer_printf(out, "type %.*s %.*s\n", SLICE_ARG(family), SLICE_ARG(type));
    else
        buffer_printf(out, "help %.*s <%.*s>\n", SLICE_ARG(family), SLICE_ARG(help));
    return true;
}

static bool parse(const char *text, struct buffer *out, struct error *err)
{
    struct exposition_handler handler = {
        .context = out, .sample = note_sample, .metadata = note_metadata};
    buffer_clear(out);
    bool ok = exposition_parse(slice_from_text(text), &handler, err);
    buffer_append_byte(out, '\0');
    return ok;
}

static void reads_every_kind_of_line(void **state)
{
    (void)state;
    AUTO(buffer_done) struct buffer out;
    struct error err = {0};
    buffer_init(&out, 8192);
    assert_true(parse("# HELP a_total Back\\\\slash and\\nnewline.\n"
                      "# TYPE a_total counter\n"
                      "# any other comment\n"
                      "#\n"
                      "\n"
                      "a_total 1\n"
                      "a:b{x=\"1\",y=\"C:\\\\\\\"x\\\"\\n\",} 2.5 -1000\r\n"
                      "  spaced \t { x = \"1\" , y=\"\" } +Inf \n"
                      "{\"dotted.name\", \"l.x\"=\"2\"} 3e2\n"
                      "# HELP empty\n"
                      "# TYPE \"dotted.name\" gauge\n"
                      "x{a=\"}\"} 0x1p-2",
                      &out, &err));
    assert_string_equal(out.data, "help a_total <Back\\slash and\nnewline.>\n"
                                  "type a_total counter\n"
                                  "__name__=<a_total> 1\n"
                                  "__name__=<a:b> x=<1> y=<C:\\\"x\"\n> 2.5 @-1000\n"
                                  "__name__=<spaced> x=<1> y=<> inf\n"
                                  "__name__=<dotted.name> l.x=<2> 300\n"
                                  "help empty <>\n"
                                  "type dotted.name gauge\n"
                                  "__name__=<x> a=<}> 0.25\n");
}

struct bad {
    const char *text, *says;
};

static void says_which_line_is_wrong(void **state)
{
    static const struct bad cases[] = {
        {"a 1\nb\n", "line 2, byte 1: the value is no number"},
        {"a x\n", "line 1"},
        {"a 1 2 3\n", "a time in milliseconds and nothing more"},
        {"a 1 1.5\n", "a time in milliseconds"},
        {"{} 1\n", "expected a metric name"},
        {"{a=\"b\"} 1\n", "expected a metric name"},
        {"a{\"b\"} 1\n", "a second metric name"},
        {"a{\"b\",\"c\"} 1\n", "a second metric name"},
        {"{\"\"} 1\n", "expected a label name"},
        {"a{b} 1\n", "expected \"=\""},
        {"a{b=c} 1\n", "expected a quoted label value"},
        {"a{b=\"c} 1\n", "a quoted text has no end"},
        {"a{b=\"c\\\n", "a quoted text has no end"},
        {"a{b=\"c\" d=\"e\"} 1\n", "expected \",\" or \"}\""},
        {"a{b=\"c\"\n", "expected \",\" or \"}\""},
        {"1a 1\n", "expected a metric name"},
        {"# TYPE a nonsense\n", "unknown type"},
        {"# TYPE\n", "expected a metric name"},
    };
    (void)state;
    AUTO(buffer_done) struct buffer out;
    buffer_init(&out, 8192);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct error err = {0};
        if (parse(cases[i].text, &out, &err))
            fail_msg("case %zu was taken: %s", i, cases[i].text);
        assert_int_equal(err.code, ERR_INVALID);
        if (strstr(err.message, cases[i].says) == NULL)
            fail_msg("case %zu: %s", i, err.message);
    }
}

static void stops_when_the_handler_says_so(void **state)
{
    (void)state;
    AUTO(buffer_done) struct buffer out;
    struct error err = {0};
    buffer_init(&out, 8192);
    assert_false(parse("a 1\nb 666\nc 2\n", &out, &err));
    assert_int_equal(err.code, ERR_NONE);
    assert_null(strstr(out.data, "<c>"));
}

static void values_survive_writing_and_reading(void **state)
{
    static const double values[] = {
        0, -0.0, 1, 0.1, 1e-300, 1.7976931348623157e308, 9007199254740993.0, -123456.789};
    (void)state;
    AUTO(buffer_done) struct buffer text, out, expected;
    struct error err = {0};
    buffer_init(&text, 8192);
    buffer_init(&out, 8192);
    buffer_init(&expected, 8192);
    for (size_t i = 0; i < COUNT_OF(values); i++) {
        exposition_value(&text, "x", NULL, 0, values[i]);
        buffer_printf(&expected, "__name__=<x> %g\n", values[i]);
    }
    buffer_append_byte(&text, '\0');
    buffer_append_byte(&expected, '\0');
    assert_true(parse(text.data, &out, &err));
    assert_string_equal(out.data, expected.data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_help_type_and_values_with_escapes),
        cmocka_unit_test(reads_every_kind_of_line),
        cmocka_unit_test(says_which_line_is_wrong),
        cmocka_unit_test(stops_when_the_handler_says_so),
        cmocka_unit_test(values_survive_writing_and_reading),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
