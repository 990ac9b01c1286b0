/* Loki's protobuf push: streams, entries, structured metadata and bad input. */
#include "recorder.h"
#include "wire/loki_push.h"
#include "wire/protobuf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

struct fixture {
    struct buffer body;
    struct recorder recorder;
    struct error err;
};

static int setup(void **state)
{
    struct fixture *f = xcalloc(1, sizeof(*f));
    buffer_init(&f->body, 1024 * 1024);
    recorder_init(&f->recorder);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    buffer_done(&f->body);
    recorder_done(&f->recorder);
    free(f);
    return 0;
}

static bool decode(struct fixture *f)
{
    struct log_sink sink = recorder_log_sink(&f->recorder);
    error_clear(&f->err);
    return loki_push_decode(buffer_slice(&f->body), &sink, &f->err);
}

static void put_stream(struct fixture *f, const char *labels)
{
    struct label metadata[] = {{SLICE("trace"), SLICE("1")}, {SLICE("span"), SLICE("2")}};
    struct loki_entry entries[] = {
        {1700000000123456789, SLICE("first line"), {NULL, 0}},
        {1700000000123456789, SLICE(""), {metadata, 2}},
        {-1, SLICE("before the epoch"), {NULL, 0}},
    };
    loki_push_append_stream(&f->body, slice_from_text(labels), entries, COUNT_OF(entries));
}

static void hands_on_streams_and_entries_in_order(void **state)
{
    struct fixture *f = *state;
    put_stream(f, "{app=\"x\", level=\"a\\\"b\\n\"}");
    assert_true(decode(f));
    assert_string_equal(recorder_text(&f->recorder),
                        "series 0: app=<x> level=<a\"b\n>\n"
                        "0 @1700000000123456789 <first line>\n"
                        "0 @1700000000123456789 <> trace=<1> span=<2>\n"
                        "0 @-1 <before the epoch>\n");
}

static void parses_the_labels_of_a_known_stream_only_once(void **state)
{
    struct fixture *f = *state;
    put_stream(f, "{app=\"x\"}");
    put_stream(f, "{app=\"x\"}");
    assert_true(decode(f));
    assert_int_equal(f->recorder.defined, 1);
    assert_int_equal(f->recorder.items, 6);
}

static void bad_labels_cost_their_stream_only(void **state)
{
    struct fixture *f = *state;
    put_stream(f, "{app=x}");
    put_stream(f, "{app=\"x\"}");
    assert_true(decode(f));
    const char *text = recorder_text(&f->recorder);
    assert_non_null(strstr(text, "refused 3: error parsing labels '{app=x}' with error: "
                                 "unexpected \"x\" at byte 5, expected a quoted value\n"));
    assert_int_equal(f->recorder.items, 3);
}

static void bad_labels_fail_the_request_of_a_sink_that_cannot_refuse(void **state)
{
    struct fixture *f = *state;
    put_stream(f, "{app=x}");
    struct log_sink sink = recorder_log_sink(&f->recorder);
    sink.refused = NULL;
    assert_false(loki_push_decode(buffer_slice(&f->body), &sink, &f->err));
    assert_int_equal(f->err.code, ERR_INVALID);
}

static void finds_labels_behind_the_entries(void **state)
{
    struct fixture *f = *state;
    AUTO(buffer_done) struct buffer stream;
    buffer_init(&stream, 4096);
    proto_put_bytes(&stream, 2, SLICE("\x12\x04line"));
    proto_put_bytes(&stream, 1, SLICE("{a=\"b\"}"));
    proto_put_varint(&stream, 3, 42); /* the hash */
    proto_put_bytes(&f->body, 1, buffer_slice(&stream));
    proto_put_bytes(&f->body, 2, SLICE("a format that nobody reads"));
    assert_true(decode(f));
    assert_string_equal(recorder_text(&f->recorder), "series 0: a=<b>\n0 @0 <line>\n");
}

static void times_out_of_range_stop_at_its_ends(void **state)
{
    struct fixture *f = *state;
    AUTO(buffer_done) struct buffer time, entry, stream;
    buffer_init(&time, 4096);
    buffer_init(&entry, 4096);
    buffer_init(&stream, 4096);
    proto_put_bytes(&stream, 1, SLICE("{a=\"b\"}"));
    proto_put_varint(&time, 1, (uint64_t)INT64_MAX);
    proto_put_bytes(&entry, 1, buffer_slice(&time));
    proto_put_bytes(&stream, 2, buffer_slice(&entry));
    buffer_clear(&time);
    buffer_clear(&entry);
    proto_put_varint(&time, 1, (uint64_t)INT64_MIN);
    proto_put_bytes(&entry, 1, buffer_slice(&time));
    proto_put_bytes(&stream, 2, buffer_slice(&entry));
    proto_put_bytes(&f->body, 1, buffer_slice(&stream));
    assert_true(decode(f));
    assert_string_equal(recorder_text(&f->recorder), "series 0: a=<b>\n"
                                                     "0 @9223372036854775807 <>\n"
                                                     "0 @-9223372036854775808 <>\n");
}

static void writes_and_reads_the_ends_of_the_range(void **state)
{
    struct fixture *f = *state;
    struct loki_entry entries[] = {{INT64_MIN, SLICE(""), {NULL, 0}},
                                   {INT64_MAX, SLICE(""), {NULL, 0}}};
    loki_push_append_stream(&f->body, SLICE("{a=\"b\"}"), entries, 2);
    assert_true(decode(f));
    const char *text = recorder_text(&f->recorder);
    assert_non_null(strstr(text, "0 @-9223372036854775808 <>\n"));
    assert_non_null(strstr(text, "0 @9223372036854775807 <>\n"));
}

static void an_entry_with_too_much_metadata_is_refused_alone(void **state)
{
    struct fixture *f = *state;
    static struct label metadata[LOKI_METADATA_MAX + 1];
    for (size_t i = 0; i < COUNT_OF(metadata); i++)
        metadata[i] = (struct label){SLICE("k"), SLICE("v")};
    struct loki_entry entries[] = {{1, SLICE("bad"), {metadata, COUNT_OF(metadata)}},
                                   {2, SLICE("good"), {NULL, 0}}};
    loki_push_append_stream(&f->body, SLICE("{a=\"b\"}"), entries, 2);
    assert_true(decode(f));
    assert_string_equal(recorder_text(&f->recorder),
                        "series 0: a=<b>\n"
                        "refused 1: an entry has 1025 structured metadata pairs, the limit is "
                        "1024\n0 @2 <good>\n");
}

static void refuses_a_request_cut_off_at_any_byte(void **state)
{
    struct fixture *f = *state;
    put_stream(f, "{app=\"x\"}");
    for (size_t cut = 1; cut < f->body.size; cut++) {
        char *bytes = xmalloc(cut);
        memcpy(bytes, f->body.data, cut);
        struct recorder r;
        recorder_init(&r);
        struct log_sink sink = recorder_log_sink(&r);
        error_clear(&f->err);
        assert_false(loki_push_decode(slice_of(bytes, cut), &sink, &f->err));
        assert_int_equal(f->err.code, ERR_INVALID);
        assert_in_range(f->err.position, 1, cut + 1);
        recorder_done(&r);
        free(bytes);
    }
}

static void refuses_wrong_wire_types(void **state)
{
    static const struct slice cases[] = {
        {"\x08\x01", 2},                         /* streams */
        {"\x0a\x02\x08\x01", 4},                 /* labels */
        {"\x0a\x02\x10\x01", 4},                 /* entries */
        {"\x0a\x04\x12\x02\x08\x01", 6},         /* timestamp */
        {"\x0a\x04\x12\x02\x10\x01", 6},         /* line */
        {"\x0a\x04\x12\x02\x18\x01", 6},         /* metadata */
        {"\x0a\x06\x12\x04\x0a\x02\x0a\x00", 8}, /* seconds */
        {"\x0a\x06\x12\x04\x1a\x02\x08\x01", 8}, /* a pair's name */
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        buffer_clear(&f->body);
        buffer_append_slice(&f->body, cases[i]);
        assert_false(decode(f));
        assert_non_null(strstr(f->err.message, "a known field has the wrong wire type"));
        assert_int_equal(f->err.position, (int)cases[i].size - 2 + 1);
    }
}

static void ends_without_an_error_of_its_own_when_the_sink_stops(void **state)
{
    struct fixture *f = *state;
    put_stream(f, "{app=\"x\"}");
    f->recorder.stop_after = 2;
    assert_false(decode(f));
    assert_int_equal(f->err.code, ERR_NONE);
    assert_int_equal(f->recorder.items, 2);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(hands_on_streams_and_entries_in_order),
        TEST(parses_the_labels_of_a_known_stream_only_once),
        TEST(bad_labels_cost_their_stream_only),
        TEST(bad_labels_fail_the_request_of_a_sink_that_cannot_refuse),
        TEST(finds_labels_behind_the_entries),
        TEST(times_out_of_range_stop_at_its_ends),
        TEST(writes_and_reads_the_ends_of_the_range),
        TEST(an_entry_with_too_much_metadata_is_refused_alone),
        TEST(refuses_a_request_cut_off_at_any_byte),
        TEST(refuses_wrong_wire_types),
        TEST(ends_without_an_error_of_its_own_when_the_sink_stops),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
