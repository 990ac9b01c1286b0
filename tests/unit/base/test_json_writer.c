/* test_json_writer.c - nesting, escapes and numbers of the JSON writer. */
#include "base/buffer.h"
#include "base/json_writer.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void writes_nested_values_with_commas(void **state)
{
    (void)state;
    struct buffer out;
    struct json_writer w;
    buffer_init(&out, 4096);
    json_writer_init(&w, &out);
    json_write_object_begin(&w);
    json_write_key(&w, SLICE("a"));
    json_write_array_begin(&w);
    json_write_i64(&w, -1);
    json_write_u64(&w, UINT64_MAX);
    json_write_array_begin(&w);
    json_write_array_end(&w);
    json_write_object_begin(&w);
    json_write_object_end(&w);
    json_write_array_end(&w);
    json_write_key(&w, SLICE("b"));
    json_write_bool(&w, true);
    json_write_key(&w, SLICE("c"));
    json_write_null(&w);
    json_write_key(&w, SLICE("d"));
    json_write_value_begin(&w);
    buffer_append_text(&out, "[1,2]");
    json_write_key(&w, SLICE("e"));
    json_write_raw(&w, SLICE("{}"));
    json_write_object_end(&w);
    buffer_append_byte(&out, '\0');
    assert_string_equal(out.data, "{\"a\":[-1,18446744073709551615,[],{}],\"b\":true,\"c\":null,"
                                  "\"d\":[1,2],\"e\":{}}");
    buffer_done(&out);
}

static void check_string(struct slice s, bool html, const char *expected)
{
    struct buffer out;
    buffer_init(&out, 4096);
    json_append_string(&out, s, html);
    buffer_append_byte(&out, '\0');
    assert_string_equal(out.data, expected);
    buffer_done(&out);
}

static void escapes_as_go_does(void **state)
{
    (void)state;
    check_string(SLICE(""), false, "\"\"");
    check_string(SLICE("quote \" slash / back \\"), false, "\"quote \\\" slash / back \\\\\"");
    check_string(SLICE("\n\r\t\b\x01\x1f\x7f"), false, "\"\\n\\r\\t\\u0008\\u0001\\u001f\x7f\"");
    check_string(SLICE("<a & b> 0123456789"), false, "\"<a & b> 0123456789\"");
    check_string(SLICE("<a & b>"), true, "\"\\u003ca \\u0026 b\\u003e\"");
    check_string(SLICE("\xe2\x80\xa8 \xe2\x82\xac"), true, "\"\\u2028 \xe2\x82\xac\"");
    check_string(SLICE("0123456789 caf\xc3\xa9 \xff tail"), false,
                 "\"0123456789 caf\xc3\xa9 \\ufffd tail\"");
    check_string(SLICE("\0"), false, "\"\\u0000\"");
}

static void writes_doubles_quoted_and_plain(void **state)
{
    (void)state;
    struct buffer out;
    struct json_writer w;
    buffer_init(&out, 4096);
    json_writer_init(&w, &out);
    json_write_array_begin(&w);
    json_write_double(&w, 1.5, 'j', true);
    json_write_double(&w, (double)NAN, 'j', true);
    json_write_double(&w, (double)-INFINITY, 'j', true);
    json_write_double(&w, 1e-7, 'j', true);
    json_write_double(&w, 0.25, 'f', false);
    json_write_double(&w, (double)NAN, 'f', false);
    json_write_array_end(&w);
    buffer_append_byte(&out, '\0');
    assert_string_equal(out.data, "[\"1.5\",\"NaN\",\"-Inf\",\"1e-07\",0.25,null]");
    buffer_done(&out);
}

static void a_full_buffer_is_noticed_at_the_end(void **state)
{
    (void)state;
    struct buffer out;
    struct json_writer w;
    buffer_init(&out, 16);
    json_writer_init(&w, &out);
    json_write_array_begin(&w);
    for (int i = 0; i < 20; i++)
        json_write_string(&w, SLICE("abc"));
    json_write_array_end(&w);
    assert_true(out.failed);
    buffer_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_nested_values_with_commas),
        cmocka_unit_test(escapes_as_go_does),
        cmocka_unit_test(writes_doubles_quoted_and_plain),
        cmocka_unit_test(a_full_buffer_is_noticed_at_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
