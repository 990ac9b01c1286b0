/* Which Content-Type and Content-Encoding headers a push may have. */
#include "base/error.h"
#include "wire/media_type.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct remote_case {
    const char *type, *encoding;
    bool ok;
};

static void remote_write_takes_protobuf_in_snappy_and_nothing_else(void **state)
{
    static const struct remote_case cases[] = {
        {"application/x-protobuf", "snappy", true},
        {NULL, NULL, true},
        {"", "", true},
        {"application/x-protobuf;proto=prometheus.WriteRequest", "snappy", true},
        {"Application/X-Protobuf; proto=\"prometheus.WriteRequest\"", "Snappy", true},
        {"application/x-protobuf; charset=utf-8", NULL, true},
        {"application/x-protobuf;", NULL, true},
        {"application/x-protobuf;proto=io.prometheus.write.v2.Request", "snappy", false},
        {"application/x-protobuf;proto=", "snappy", false},
        {"application/x-protobuf;proto", "snappy", false},
        {"application/json", "snappy", false},
        {"text/plain", NULL, false},
        {"rubbish/rubbish/rubbish", NULL, false},
        {"application/x-protobuf", "gzip", false},
        {"application/x-protobuf", "zstd", false},
        {"application/x-protobuf", "snappy, gzip", false},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct body_coding coding;
        struct error err = {0};
        bool ok = media_type_remote_write(slice_from_text(cases[i].type),
                                          slice_from_text(cases[i].encoding), &coding, &err);
        if (ok != cases[i].ok)
            fail_msg("case %zu: %s", i, ok ? "taken" : err.message);
        if (ok)
            assert_true(coding.outer == BODY_IDENTITY && coding.inner == BODY_SNAPPY);
        else
            assert_int_equal(err.code, ERR_UNSUPPORTED);
    }
}

struct loki_case {
    const char *type, *encoding;
    enum loki_push_format format;
    enum body_encoding outer, inner;
};

static void loki_push_reads_an_unknown_type_as_protobuf(void **state)
{
    static const struct loki_case cases[] = {
        {"application/json", NULL, LOKI_PUSH_JSON, BODY_IDENTITY, BODY_IDENTITY},
        {"application/json; charset=utf-8", "", LOKI_PUSH_JSON, BODY_IDENTITY, BODY_IDENTITY},
        {"application/json", "gzip", LOKI_PUSH_JSON, BODY_GZIP, BODY_IDENTITY},
        {"application/json", "deflate", LOKI_PUSH_JSON, BODY_DEFLATE, BODY_IDENTITY},
        {"application/json", "zstd", LOKI_PUSH_JSON, BODY_ZSTD, BODY_IDENTITY},
        {"application/json", "snappy", LOKI_PUSH_JSON, BODY_IDENTITY, BODY_IDENTITY},
        {"application/x-protobuf", NULL, LOKI_PUSH_PROTOBUF, BODY_IDENTITY, BODY_SNAPPY},
        {"application/x-protobuf", "snappy", LOKI_PUSH_PROTOBUF, BODY_IDENTITY, BODY_SNAPPY},
        {"application/x-protobuf", "gzip", LOKI_PUSH_PROTOBUF, BODY_GZIP, BODY_SNAPPY},
        {"text/plain", NULL, LOKI_PUSH_PROTOBUF, BODY_IDENTITY, BODY_SNAPPY},
        {"application/x-www-form-urlencoded", NULL, LOKI_PUSH_PROTOBUF, BODY_IDENTITY, BODY_SNAPPY},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct body_coding coding;
        enum loki_push_format format;
        struct error err = {0};
        if (!media_type_loki_push(slice_from_text(cases[i].type),
                                  slice_from_text(cases[i].encoding), &format, &coding, &err))
            fail_msg("case %zu: %s", i, err.message);
        assert_int_equal(format, cases[i].format);
        assert_int_equal(coding.outer, cases[i].outer);
        assert_int_equal(coding.inner, cases[i].inner);
    }
}

static void loki_push_refuses_a_missing_type_and_an_unknown_encoding(void **state)
{
    struct body_coding coding;
    enum loki_push_format format;
    struct error err = {0};
    (void)state;
    assert_false(
        media_type_loki_push(slice_from_text(NULL), slice_from_text(NULL), &format, &coding, &err));
    assert_int_equal(err.code, ERR_INVALID);
    assert_false(
        media_type_loki_push(SLICE("a b c"), slice_from_text(NULL), &format, &coding, &err));
    assert_int_equal(err.code, ERR_INVALID);
    assert_false(
        media_type_loki_push(SLICE("application/json"), SLICE("br"), &format, &coding, &err));
    assert_int_equal(err.code, ERR_INVALID);
    assert_string_equal(err.message, "Content-Encoding \"br\" not supported");
}

static void parameters_may_be_quoted_and_hold_semicolons(void **state)
{
    struct slice type, value;
    (void)state;
    assert_true(media_type_parse(SLICE(" a/b ; x=\"1;2\" ; Y = z ;"), &type, SLICE("y"), &value));
    assert_true(slice_equal(type, SLICE("a/b")));
    assert_true(slice_equal(value, SLICE("z")));
    assert_true(media_type_parse(SLICE("a/b;x=\"1;2\""), &type, SLICE("x"), &value));
    assert_true(slice_equal(value, SLICE("1;2")));
    assert_true(media_type_parse(SLICE("a/b"), &type, SLICE("x"), &value));
    assert_null(value.data);
    assert_false(media_type_parse(SLICE("/b"), &type, SLICE("x"), &value));
    assert_false(media_type_parse(SLICE("a/"), &type, SLICE("x"), &value));
    assert_false(media_type_parse(SLICE(""), &type, SLICE("x"), &value));
    assert_false(media_type_parse(SLICE("a/b;x=\"1"), &type, SLICE("x"), &value));
    assert_false(media_type_parse(SLICE("a/b;=1"), &type, SLICE("x"), &value));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(remote_write_takes_protobuf_in_snappy_and_nothing_else),
        cmocka_unit_test(loki_push_reads_an_unknown_type_as_protobuf),
        cmocka_unit_test(loki_push_refuses_a_missing_type_and_an_unknown_encoding),
        cmocka_unit_test(parameters_may_be_quoted_and_hold_semicolons),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
