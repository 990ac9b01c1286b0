/* Loki's JSON push: every shape it takes and every mistake it names. */
#include "recorder.h"
#include "wire/loki_json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static bool decode(const char *text, struct recorder *r, struct error *err)
{
    struct log_sink sink = recorder_log_sink(r);
    size_t size = strlen(text);
    char *bytes = xmalloc(size ? size : 1); /* without a NUL, so that one byte too far is seen */
    memcpy(bytes, text, size);
    bool ok = loki_json_decode(slice_of(bytes, size), &sink, err);
    free(bytes);
    return ok;
}

struct good {
    const char *body, *told;
};

static void reads_what_clients_send(void **state)
{
    static const struct good cases[] = {
        {"{\"streams\":[{\"stream\":{\"app\":\"x\"},\"values\":[[\"1\",\"a\"],[\"2\",\"b\"]]}]}",
         "series 0: app=<x>\n0 @1 <a>\n0 @2 <b>\n"},
        {"{\"streams\":[{\"stream\":{\"app\":\"x\"},\"values\":[[\"1\",\"a\",{\"t\":\"1\",\"u\":"
         "\"\"}]]}]}",
         "series 0: app=<x>\n0 @1 <a> t=<1> u=<>\n"},
        {"{\"streams\":[{\"values\":[[\"1\",\"a\"]],\"stream\":{\"app\":\"x\"}}]}",
         "series 0: app=<x>\n0 @1 <a>\n"},
        {"{\"streams\":[{\"stream\":{\"app\":\"x\"},\"values\":[[\"1\",\"a\"]]},"
         "{\"stream\":{\"app\":\"x\"},\"values\":[[\"2\",\"b\"]]}]}",
         "series 0: app=<x>\n0 @1 <a>\n0 @2 <b>\n"},
        {"{\"streams\":[{\"stream\":{\"a\":\"\\u00e9\\n\"},\"values\":[[\"-1\",\"\\\"q\\\" "
         "\\ud83d\\ude00\"]]}]}",
         "series 0: a=<\xc3\xa9\n>\n0 @-1 <\"q\" \xf0\x9f\x98\x80>\n"},
        {"{\"streams\":[{\"stream\":{\"a\":\"b\"},\"values\":[[\"1\",\"\xff\xfe\"]]}]}",
         "series 0: a=<b>\n0 @1 <\xff\xfe>\n"},
        {"{\"streams\":[{\"stream\":{},\"values\":[[\"1\",\"a\"]]}]}", "series 0:\n0 @1 <a>\n"},
        {"{\"streams\":[{\"values\":[[\"1\",\"a\"]]}]}", "series 0:\n0 @1 <a>\n"},
        {"{\"streams\":[{\"stream\":{\"a\":\"b\"}}]}", "series 0: a=<b>\n"},
        {"{\"streams\":[{\"stream\":{\"a\":\"b\"},\"values\":null}]}", "series 0: a=<b>\n"},
        {"{\"streams\":[{\"stream\":{\"a\":\"b\"},\"values\":[]}]}", "series 0: a=<b>\n"},
        {"{\"streams\":[{\"hash\":{\"x\":[1,2]},\"stream\":{\"a\":\"b\"},"
         "\"values\":[[\"1\",\"a\",{},7,[8]]]}],\"more\":[[]]}",
         "series 0: a=<b>\n0 @1 <a>\n"},
        {"{\"streams\":[]}", ""},
        {"{\"streams\":null}", ""},
        {" { } ", ""},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct recorder r;
        struct error err = {0};
        recorder_init(&r);
        if (!decode(cases[i].body, &r, &err))
            fail_msg("%s: %s", cases[i].body, err.message);
        assert_string_equal(recorder_text(&r), cases[i].told);
        recorder_done(&r);
    }
}

struct bad {
    const char *body, *says;
};

#define STREAM(values) "{\"streams\":[{\"stream\":{\"a\":\"b\"},\"values\":" values "}]}"

static void says_what_is_wrong_and_where(void **state)
{
    static const struct bad cases[] = {
        {"", "at byte 0"},
        {"[]", "expected an object with \"streams\", at byte 0"},
        {"{\"streams\":{}}", "\"streams\" is no array, at byte 11"},
        {"{\"streams\":[1]}", "a stream is no object, at byte 12"},
        {"{\"streams\":[{\"stream\":[]}]}", "\"stream\" is no object, at byte 22"},
        {"{\"streams\":[{\"stream\":{\"a\":1}}]}", "the value of a label is no string, at byte 27"},
        {"{\"streams\":[{\"stream\":{\"a\":{}}}]}", "the value of a label is no string"},
        {STREAM("{}"), "\"values\" is no array"},
        {STREAM("[1]"), "an entry of \"values\" is no array"},
        {STREAM("[[1,\"a\"]]"), "the time of an entry is no string, at byte 43"},
        {STREAM("[[\"1.5\",\"a\"]]"), "no whole number of nanoseconds, at byte 43"},
        {STREAM("[[\"x\",\"a\"]]"), "no whole number of nanoseconds"},
        {STREAM("[[\"\",\"a\"]]"), "no whole number of nanoseconds"},
        {STREAM("[[\"9223372036854775808\",\"a\"]]"), "no whole number of nanoseconds"},
        {STREAM("[[\"1\"]]"), "the line of an entry is no string"},
        {STREAM("[[]]"), "the time of an entry is no string"},
        {STREAM("[[\"1\",2]]"), "the line of an entry is no string"},
        {STREAM("[[\"1\",\"a\",[]]]"), "the structured metadata of an entry is no object"},
        {STREAM("[[\"1\",\"a\",{\"t\":1}]]"), "the value of a label is no string"},
        {"{\"streams\":[{\"values\":[[1]],\"stream\":{\"a\":\"b\"}}]}",
         "the time of an entry is no string, at byte 24"},
        {"{\"streams\":[{\"stream\":{\"a\":\"b\"},\"stream\":{}}]}", "a second \"stream\""},
        {"{\"streams\":[{\"values\":[],\"values\":[]}]}", "a second \"values\""},
        {"{\"streams\":[]} x", "at byte 15"},
        {"{\"streams\":[", "at byte 12"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct recorder r;
        struct error err = {0};
        recorder_init(&r);
        if (decode(cases[i].body, &r, &err))
            fail_msg("%s: taken", cases[i].body);
        assert_int_equal(err.code, ERR_INVALID);
        if (strstr(err.message, cases[i].says) == NULL)
            fail_msg("%s: \"%s\"", cases[i].body, err.message);
        recorder_done(&r);
    }
}

static void a_request_cut_off_at_any_byte_is_invalid(void **state)
{
    static const char body[] = "{\"streams\":[{\"values\":[[\"1\",\"a\\n\",{\"t\":\"1\"}]],"
                               "\"stream\":{\"app\":\"x\\u00e9\"}}]}";
    (void)state;
    for (size_t cut = 0; cut < sizeof(body) - 1; cut++) {
        struct recorder r;
        struct error err = {0};
        recorder_init(&r);
        char *part = xmemdup(body, cut);
        assert_false(decode(part, &r, &err));
        assert_int_equal(err.code, ERR_INVALID);
        free(part);
        recorder_done(&r);
    }
}

static void deep_nesting_is_refused(void **state)
{
    (void)state;
    struct recorder r;
    struct error err = {0};
    struct buffer body;
    buffer_init(&body, 1024 * 1024);
    buffer_append_text(&body, "{\"x\":");
    for (int i = 0; i < 100000; i++)
        buffer_append_byte(&body, '[');
    buffer_append_byte(&body, '\0');
    recorder_init(&r);
    assert_false(decode(body.data, &r, &err));
    assert_int_equal(err.code, ERR_INVALID);
    assert_non_null(strstr(err.message, "deep"));
    recorder_done(&r);
    buffer_done(&body);
}

static void a_stream_with_too_many_labels_does_not_cost_the_others(void **state)
{
    (void)state;
    struct recorder r;
    struct error err = {0};
    struct buffer body;
    buffer_init(&body, 1024 * 1024);
    buffer_append_text(&body, "{\"streams\":[{\"stream\":{\"a\":\"b\"");
    for (int i = 0; i < INGEST_LABELS_MAX; i++)
        buffer_printf(&body, ",\"l%d\":\"x\"", i);
    buffer_append_text(&body,
                       "},\"values\":[[\"1\",\"a\"],[\"2\",\"b\"]]},{\"stream\":{\"ok\":\"1\"},"
                       "\"values\":[[\"3\",\"c\"]]}]}");
    buffer_append_byte(&body, '\0');
    recorder_init(&r);
    assert_true(decode(body.data, &r, &err));
    assert_string_equal(recorder_text(&r),
                        "refused 2: a stream has 1025 labels, the limit is 1024\n"
                        "series 0: ok=<1>\n0 @3 <c>\n");
    recorder_done(&r);
    buffer_done(&body);
}

static void ends_without_an_error_of_its_own_when_the_sink_stops(void **state)
{
    (void)state;
    struct recorder r;
    struct error err = {0};
    recorder_init(&r);
    r.stop_after = 1;
    assert_false(decode(STREAM("[[\"1\",\"a\"],[\"2\",\"b\"]]"), &r, &err));
    assert_int_equal(err.code, ERR_NONE);
    assert_int_equal(r.items, 1);
    recorder_done(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_clients_send),
        cmocka_unit_test(says_what_is_wrong_and_where),
        cmocka_unit_test(a_request_cut_off_at_any_byte_is_invalid),
        cmocka_unit_test(deep_nesting_is_refused),
        cmocka_unit_test(a_stream_with_too_many_labels_does_not_cost_the_others),
        cmocka_unit_test(ends_without_an_error_of_its_own_when_the_sink_stops),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
