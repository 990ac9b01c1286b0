/* Remote-write 1.0: what the decoder hands on, and what it refuses. */
#include "recorder.h"
#include "wire/protobuf.h"
#include "wire/remote_write.h"

#include <math.h>
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
    struct metric_sink sink = recorder_metric_sink(&f->recorder);
    error_clear(&f->err);
    return remote_write_decode(buffer_slice(&f->body), &sink, &f->err);
}

static const struct label up_labels[] = {
    {{"__name__", 8}, {"up", 2}},
    {{"job", 3}, {"node", 4}},
};
static const struct labels up = {up_labels, 2};

static void put_up(struct fixture *f)
{
    struct remote_sample samples[] = {{1700000000000, 1.5}, {1700000015000, -0.0}};
    remote_write_append_series(&f->body, up, samples, 2);
}

static void hands_on_labels_and_samples_in_order(void **state)
{
    struct fixture *f = *state;
    put_up(f);
    assert_true(decode(f));
    assert_string_equal(recorder_text(&f->recorder), "series 0: __name__=<up> job=<node>\n"
                                                     "0 @1700000000000 3ff8000000000000\n"
                                                     "0 @1700000015000 8000000000000000\n");
}

static void parses_the_labels_of_a_known_series_only_once(void **state)
{
    struct fixture *f = *state;
    put_up(f);
    put_up(f);
    put_up(f);
    assert_true(decode(f));
    assert_int_equal(f->recorder.defined, 1);
    assert_int_equal(f->recorder.items, 6);
}

static void keeps_the_bits_of_a_stale_marker(void **state)
{
    struct fixture *f = *state;
    struct remote_sample stale = {1, double_from_bits(0x7ff0000000000002)};
    remote_write_append_series(&f->body, up, &stale, 1);
    assert_true(decode(f));
    assert_non_null(strstr(recorder_text(&f->recorder), "@1 7ff0000000000002"));
}

static void takes_negative_times_and_the_ends_of_the_range(void **state)
{
    struct fixture *f = *state;
    struct remote_sample samples[] = {{-5, 1}, {INT64_MIN, 1}, {INT64_MAX, 1}};
    remote_write_append_series(&f->body, up, samples, 3);
    assert_true(decode(f));
    const char *text = recorder_text(&f->recorder);
    assert_non_null(strstr(text, "@-5 "));
    assert_non_null(strstr(text, "@-9223372036854775808 "));
    assert_non_null(strstr(text, "@9223372036854775807 "));
}

/* A TimeSeries message whose fields the test writes by hand. */
static void put_series(struct fixture *f, const struct buffer *fields)
{
    proto_put_bytes(&f->body, 1, buffer_slice(fields));
}

static void put_label(struct buffer *out, const char *name, const char *value)
{
    AUTO(buffer_done) struct buffer label;
    buffer_init(&label, 4096);
    proto_put_bytes(&label, 1, slice_from_text(name));
    proto_put_bytes(&label, 2, slice_from_text(value));
    proto_put_bytes(out, 1, buffer_slice(&label));
}

static void put_sample(struct buffer *out, int64_t time_ms, double value)
{
    AUTO(buffer_done) struct buffer sample;
    buffer_init(&sample, 4096);
    if (value != 0)
        proto_put_fixed64(&sample, 1, double_bits(value));
    if (time_ms != 0)
        proto_put_varint(&sample, 2, (uint64_t)time_ms);
    proto_put_bytes(out, 2, buffer_slice(&sample));
}

static void reads_zeros_that_were_left_out(void **state)
{
    struct fixture *f = *state;
    AUTO(buffer_done) struct buffer fields;
    buffer_init(&fields, 4096);
    put_label(&fields, "a", "b");
    put_sample(&fields, 7, 0);
    put_sample(&fields, 0, 0);
    put_series(f, &fields);
    assert_true(decode(f));
    assert_string_equal(recorder_text(&f->recorder), "series 0: a=<b>\n"
                                                     "0 @7 0000000000000000\n"
                                                     "0 @0 0000000000000000\n");
}

static void joins_labels_that_stand_between_samples(void **state)
{
    struct fixture *f = *state;
    AUTO(buffer_done) struct buffer fields;
    buffer_init(&fields, 4096);
    put_sample(&fields, 1, 1);
    put_label(&fields, "a", "b");
    put_sample(&fields, 2, 1);
    put_label(&fields, "c", "d");
    put_sample(&fields, 3, 1);
    put_series(f, &fields);

    buffer_clear(&fields); /* the same labels together: the same key */
    put_label(&fields, "a", "b");
    put_label(&fields, "c", "d");
    put_sample(&fields, 4, 1);
    put_series(f, &fields);

    assert_true(decode(f));
    assert_string_equal(recorder_text(&f->recorder), "series 0: a=<b> c=<d>\n"
                                                     "0 @1 3ff0000000000000\n"
                                                     "0 @2 3ff0000000000000\n"
                                                     "0 @3 3ff0000000000000\n"
                                                     "0 @4 3ff0000000000000\n");
}

static void finds_labels_behind_the_samples(void **state)
{
    struct fixture *f = *state;
    AUTO(buffer_done) struct buffer fields;
    buffer_init(&fields, 4096);
    put_sample(&fields, 1, 1);
    put_label(&fields, "a", "b");
    put_series(f, &fields);
    assert_true(decode(f));
    assert_string_equal(recorder_text(&f->recorder), "series 0: a=<b>\n0 @1 3ff0000000000000\n");
}

static void skips_unknown_fields_everywhere(void **state)
{
    struct fixture *f = *state;
    AUTO(buffer_done) struct buffer fields;
    buffer_init(&fields, 4096);
    put_label(&fields, "a", "b");
    proto_put_varint(&fields, 99, 12345);
    proto_put_fixed64(&fields, 6, 1);
    put_sample(&fields, 1, 1);
    proto_put_varint(&f->body, 7, 1);
    put_series(f, &fields);
    proto_put_bytes(&f->body, 2, SLICE("reserved"));
    assert_true(decode(f));
    assert_string_equal(recorder_text(&f->recorder), "series 0: a=<b>\n0 @1 3ff0000000000000\n");
}

static void reports_exemplars_as_dropped(void **state)
{
    struct fixture *f = *state;
    AUTO(buffer_done) struct buffer fields;
    buffer_init(&fields, 4096);
    put_label(&fields, "a", "b");
    proto_put_bytes(&fields, 3, SLICE(""));
    put_series(f, &fields);
    assert_true(decode(f));
    assert_string_equal(recorder_text(&f->recorder), "series 0: a=<b>\n0 dropped exemplar\n");
}

static bool record_exemplar(void *context, uint32_t series, struct label *labels, size_t count,
                            int64_t time_ms, double value)
{
    struct recorder *r = context;
    buffer_printf(&r->text, "%u exemplar @%lld %g", series, (long long)time_ms, value);
    for (size_t i = 0; i < count; i++)
        buffer_printf(&r->text, " %.*s=<%.*s>", SLICE_ARG(labels[i].name),
                      SLICE_ARG(labels[i].value));
    buffer_append_byte(&r->text, '\n');
    return time_ms != 666;
}

static void put_exemplar(struct buffer *fields, int64_t time_ms, double value, const char *trace)
{
    AUTO(buffer_done) struct buffer exemplar;
    buffer_init(&exemplar, 4096);
    put_label(&exemplar, "trace_id", trace);
    put_label(&exemplar, "span", "s");
    proto_put_fixed64(&exemplar, 2, double_bits(value));
    proto_put_varint(&exemplar, 3, (uint64_t)time_ms);
    proto_put_bytes(fields, 3, buffer_slice(&exemplar));
}

static void hands_exemplars_to_a_sink_that_takes_them(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    AUTO(buffer_done) struct buffer fields;
    buffer_init(&fields, 4096);
    put_label(&fields, "a", "b");
    put_exemplar(&fields, 7, 1.5, "x1");
    put_sample(&fields, 9, 1);
    put_exemplar(&fields, -8, 2.5, "x2");
    proto_put_bytes(&fields, 3, SLICE(""));
    put_series(f, &fields);
    struct metric_sink sink = recorder_metric_sink(&f->recorder);
    sink.exemplar = record_exemplar;
    assert_true(remote_write_decode(buffer_slice(&f->body), &sink, &err));
    assert_string_equal(recorder_text(&f->recorder), "series 0: a=<b>\n"
                                                     "0 exemplar @7 1.5 trace_id=<x1> span=<s>\n"
                                                     "0 @9 3ff0000000000000\n"
                                                     "0 exemplar @-8 2.5 trace_id=<x2> span=<s>\n"
                                                     "0 exemplar @0 0\n");
    buffer_clear(&fields);
    put_label(&fields, "a", "b");
    put_exemplar(&fields, 666, 1, "stop");
    put_series(f, &fields);
    assert_false(remote_write_decode(buffer_slice(&f->body), &sink, &err));
}

static void refuses_a_broken_exemplar(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    AUTO(buffer_done) struct buffer fields;
    buffer_init(&fields, 4096);
    put_label(&fields, "a", "b");
    proto_put_bytes(&fields, 3, SLICE("\x0a\x05\x0a\x09x")); /* a label that ends too late */
    put_series(f, &fields);
    struct metric_sink sink = recorder_metric_sink(&f->recorder);
    sink.exemplar = record_exemplar;
    assert_false(remote_write_decode(buffer_slice(&f->body), &sink, &err));
    assert_int_equal(err.code, ERR_INVALID);
    assert_true(err.position > 0);
}

static void put_span(struct buffer *out, uint32_t field, int32_t offset, uint64_t length)
{
    AUTO(buffer_done) struct buffer span;
    buffer_init(&span, 64);
    proto_put_varint(&span, 1, zigzag_encode(offset));
    proto_put_varint(&span, 2, length);
    proto_put_bytes(out, field, buffer_slice(&span));
}

/* 2 and 5 observations in buckets 1 and 2 of `schema`, 1 in the zero bucket. */
static void put_histogram(struct buffer *fields, int32_t schema)
{
    AUTO(buffer_done) struct buffer h, deltas;
    buffer_init(&h, 4096);
    buffer_init(&deltas, 64);
    buffer_put_zigzag(&deltas, 2);
    buffer_put_zigzag(&deltas, 3);
    proto_put_varint(&h, 1, 8);
    proto_put_fixed64(&h, 3, double_bits(2.5));
    proto_put_varint(&h, 4, zigzag_encode(schema));
    proto_put_varint(&h, 6, 1);
    put_span(&h, 11, 1, 2);
    proto_put_bytes(&h, 12, buffer_slice(&deltas));
    proto_put_varint(&h, 15, 5000);
    proto_put_bytes(fields, 4, buffer_slice(&h));
}

static void hands_on_histograms(void **state)
{
    struct fixture *f = *state;
    AUTO(buffer_done) struct buffer fields;
    buffer_init(&fields, 4096);
    put_label(&fields, "a", "b");
    put_histogram(&fields, 3);
    put_histogram(&fields, 10); /* Prometheus knows it, nobody stores it */
    put_histogram(&fields, 53);
    put_series(f, &fields);
    assert_true(decode(f));
    assert_string_equal(recorder_text(&f->recorder),
                        "series 0: a=<b>\n"
                        "0 @5000 since 0 integer schema 3 hint 0 count 8 sum 2.5 zero 1 below 0 |"
                        " 1:2 4000000000000000 4014000000000000 | |\n"
                        "0 @5000 since 0 integer schema 8 hint 0 count 8 sum 2.5 zero 1 below 0 |"
                        " 1:1 401c000000000000 | |\n"
                        "0 @5000 since 0 integer schema 53 hint 0 count 8 sum 2.5 zero 1 below 0 |"
                        " 1:2 4000000000000000 4014000000000000 | |\n");

    struct metric_sink sink = recorder_metric_sink(&f->recorder);
    sink.histogram = NULL;
    buffer_clear(&f->recorder.text);
    assert_true(remote_write_decode(buffer_slice(&f->body), &sink, &f->err));
    assert_string_equal(recorder_text(&f->recorder),
                        "0 dropped histogram\n0 dropped histogram\n0 dropped histogram\n");
}

static void reads_lists_that_are_not_packed(void **state)
{
    struct fixture *f = *state;
    AUTO(buffer_done) struct buffer fields, h;
    buffer_init(&fields, 4096);
    buffer_init(&h, 4096);
    put_label(&fields, "a", "b");
    proto_put_fixed64(&h, 2, double_bits(3));
    put_span(&h, 8, -1, 2);
    proto_put_fixed64(&h, 10, double_bits(1));
    proto_put_fixed64(&h, 10, double_bits(2));
    proto_put_varint(&h, 12, 7); /* deltas mean nothing in a float histogram */
    proto_put_fixed64(&h, 16, double_bits(0.5));
    proto_put_varint(&h, 17, 77);
    proto_put_bytes(&fields, 4, buffer_slice(&h));
    put_series(f, &fields);
    assert_true(decode(f));
    assert_string_equal(recorder_text(&f->recorder),
                        "series 0: a=<b>\n"
                        "0 @0 since 77 float schema 0 hint 0 count 3 sum 0 zero 0 below 0 | |"
                        " -1:2 3ff0000000000000 4000000000000000 | le 3fe0000000000000\n");
}

static void leaves_out_a_histogram_over_the_limits(void **state)
{
    struct fixture *f = *state;
    AUTO(buffer_done) struct buffer fields, h, deltas;
    buffer_init(&fields, 1024 * 1024);
    buffer_init(&h, 1024 * 1024);
    buffer_init(&deltas, 1024 * 1024);
    put_label(&fields, "a", "b");
    for (int i = 0; i <= HISTOGRAM_BUCKETS_MAX; i++)
        buffer_put_zigzag(&deltas, 0);
    proto_put_bytes(&h, 12, buffer_slice(&deltas));
    proto_put_bytes(&fields, 4, buffer_slice(&h));
    put_histogram(&fields, 3);
    put_series(f, &fields);
    assert_true(decode(f));
    const char *text = recorder_text(&f->recorder);
    assert_non_null(strstr(text, "refused 1: a histogram has 16385 spans, buckets or bounds"));
    assert_non_null(strstr(text, "0 @5000 since 0 integer schema 3"));
}

static void refuses_a_histogram_cut_off_at_any_byte(void **state)
{
    struct fixture *f = *state;
    AUTO(buffer_done) struct buffer fields;
    buffer_init(&fields, 4096);
    put_histogram(&fields, 3);
    struct slice message = slice_of(fields.data + 2, fields.size - 2);
    size_t whole = 0;
    for (size_t cut = 0; cut < message.size; cut++) {
        AUTO(buffer_done) struct buffer series, body;
        buffer_init(&series, 4096);
        buffer_init(&body, 4096);
        put_label(&series, "a", "b");
        char *bytes = xmemdup(message.data, cut); /* so that AddressSanitizer sees a byte too far */
        proto_put_bytes(&series, 4, slice_of(bytes, cut));
        proto_put_bytes(&body, 1, buffer_slice(&series));
        struct recorder r;
        recorder_init(&r);
        struct metric_sink sink = recorder_metric_sink(&r);
        whole += remote_write_decode(buffer_slice(&body), &sink, &f->err);
        recorder_done(&r);
        free(bytes);
    }
    assert_int_equal(whole, 7); /* between its fields */
}

static void hands_on_metadata_with_the_word_for_its_type(void **state)
{
    struct fixture *f = *state;
    remote_write_append_metadata(&f->body, SLICE("up"), SLICE("gauge"), SLICE("Is it up?"),
                                 SLICE(""));
    remote_write_append_metadata(&f->body, SLICE("x"), SLICE("nonsense"), SLICE(""), SLICE("s"));
    proto_put_header(&f->body, 3, 2);
    proto_put_varint(&f->body, 1, 77); /* a type of the future */
    assert_true(decode(f));
    assert_string_equal(recorder_text(&f->recorder), "metadata up gauge <Is it up?> <>\n"
                                                     "metadata x unknown <> <s>\n"
                                                     "metadata  unknown <> <>\n");
}

static void an_empty_request_is_fine(void **state)
{
    struct fixture *f = *state;
    assert_true(decode(f));
    assert_string_equal(recorder_text(&f->recorder), "");
}

static void leaves_out_a_series_that_the_sink_refuses(void **state)
{
    struct fixture *f = *state;
    put_up(f);
    f->recorder.define_answer = INGEST_SKIP;
    assert_true(decode(f));
    assert_int_equal(f->recorder.items, 0);
}

static void ends_without_an_error_of_its_own_when_the_sink_stops(void **state)
{
    struct fixture *f = *state;
    put_up(f);
    f->recorder.stop_after = 1;
    assert_false(decode(f));
    assert_int_equal(f->err.code, ERR_NONE);
    assert_int_equal(f->recorder.items, 1);
    f->recorder.define_answer = INGEST_STOP;
    f->recorder.known = 0;
    free(f->recorder.keys[0]);
    assert_false(decode(f));
    assert_int_equal(f->err.code, ERR_NONE);
}

static void a_series_with_too_many_labels_does_not_cost_the_others(void **state)
{
    struct fixture *f = *state;
    AUTO(buffer_done) struct buffer fields;
    buffer_init(&fields, 1024 * 1024);
    for (int i = 0; i < INGEST_LABELS_MAX + 1; i++)
        put_label(&fields, "a", "b");
    put_sample(&fields, 1, 1);
    put_series(f, &fields);
    put_up(f);
    assert_true(decode(f));
    const char *text = recorder_text(&f->recorder);
    assert_non_null(strstr(text, "refused 1: a series has 1025 labels, the limit is 1024\n"));
    assert_int_equal(f->recorder.items, 2);
}

static void refuses_a_request_cut_off_at_any_byte(void **state)
{
    struct fixture *f = *state;
    put_up(f);
    size_t size = f->body.size;
    for (size_t cut = 1; cut < size; cut++) {
        /* An exact copy, so that AddressSanitizer sees one byte too far. */
        char *bytes = xmalloc(cut);
        memcpy(bytes, f->body.data, cut);
        struct recorder r;
        recorder_init(&r);
        struct metric_sink sink = recorder_metric_sink(&r);
        error_clear(&f->err);
        assert_false(remote_write_decode(slice_of(bytes, cut), &sink, &f->err));
        assert_int_equal(f->err.code, ERR_INVALID);
        assert_in_range(f->err.position, 1, cut + 1);
        recorder_done(&r);
        free(bytes);
    }
}

static void refuses_inner_messages_cut_off_at_any_byte(void **state)
{
    struct fixture *f = *state;
    put_up(f);
    struct slice series = slice_of(f->body.data + 2, f->body.size - 2);
    size_t whole = 0;
    for (size_t cut = 0; cut < series.size; cut++) {
        AUTO(buffer_done) struct buffer body;
        buffer_init(&body, 4096);
        proto_put_bytes(&body, 1, slice_sub(series, 0, cut));
        struct recorder r;
        recorder_init(&r);
        struct metric_sink sink = recorder_metric_sink(&r);
        whole += remote_write_decode(buffer_slice(&body), &sink, &f->err);
        recorder_done(&r);
    }
    assert_int_equal(whole, 4); /* empty, one label, two labels, one sample */
}

struct bad_bytes {
    const char *bytes;
    size_t size;
    const char *says;
};

static void says_what_is_wrong_and_where(void **state)
{
    static const struct bad_bytes cases[] = {
        {"\x0a\x80\x80\x80\x80\x80\x80\x80\x80\x80\x02", 11, "more than 64 bits, at byte 1"},
        {"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 12, "more than 64 bits"},
        {"\x0a\x05\x01", 3, "runs past the end of its message, at byte 0"},
        {"\x0b\x0c", 2, "a wire type that does not exist, at byte 0"},
        {"\x0f", 1, "a wire type that does not exist"},
        {"\x02\x00", 2, "a field has number 0"},
        {"\x82\x80\x80\x80\x10\x00", 6, "a field number is out of range"},
        {"\x08\x01", 2, "a known field has the wrong wire type, at byte 0"},
        {"\x1d\x01\x02\x03\x04", 5, "a known field has the wrong wire type"},
        {"\x0a\x02\x08\x01", 4, "a known field has the wrong wire type, at byte 2"},
        {"\x0a\x04\x0a\x02\x08\x01", 6, "a known field has the wrong wire type, at byte 4"},
        {"\x0a\x06\x0a\x00\x12\x02\x08\x01", 8, "a known field has the wrong wire type, at byte 6"},
        {"\x31\x01", 2, "runs past the end"},
        {"\x08", 1, "a number is cut off"},
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        buffer_clear(&f->body);
        buffer_append(&f->body, cases[i].bytes, cases[i].size);
        assert_false(decode(f));
        assert_int_equal(f->err.code, ERR_INVALID);
        if (strstr(f->err.message, cases[i].says) == NULL)
            fail_msg("case %zu: \"%s\" instead of \"%s\"", i, f->err.message, cases[i].says);
    }
}

/* ---- the fast way tells the same ------------------------------------------------ */

static uint64_t next_random(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *state >> 33;
}

/* Times of six bytes and of others, one sample and several, labels together and apart. */
static void put_random_series(struct fixture *f, uint64_t *random)
{
    static const char *const values[] = {"a", "host-1", "", "\x12\x10\x09 like a sample"};
    AUTO(buffer_done) struct buffer fields;
    buffer_init(&fields, 4096);
    uint64_t shape = next_random(random) % 16;
    put_label(&fields, "__name__", values[next_random(random) % 4]);
    if (shape == 1)
        put_sample(&fields, 1700000000000, 3);
    put_label(&fields, "job", values[next_random(random) % 4]);
    for (uint64_t i = 0; i < (shape == 2 ? 3 : shape == 3 ? 0 : 1); i++)
        put_sample(&fields, shape == 4 ? 5 : 1700000000000 + (int64_t)(next_random(random) % 1000),
                   (double)next_random(random));
    if (shape == 5)
        put_histogram(&fields, 0);
    put_series(f, &fields);
    if (shape == 6)
        remote_write_append_metadata(&f->body, SLICE("up"), SLICE("gauge"), SLICE(""), SLICE(""));
}

static void decode_both_ways(struct fixture *f, struct recorder *slow, struct recorder *fast)
{
    struct metric_sink slowly = recorder_metric_sink(slow);
    struct metric_sink fastly = recorder_metric_sink(fast);
    fastly.find_many = recorder_find_many;
    fastly.samples = recorder_samples;
    struct error errs[2] = {{0}, {0}};
    bool first = remote_write_decode(buffer_slice(&f->body), &slowly, &errs[0]);
    bool second = remote_write_decode(buffer_slice(&f->body), &fastly, &errs[1]);
    assert_int_equal(first, second);
    assert_int_equal(errs[0].code, errs[1].code);
    if (first)
        assert_string_equal(recorder_text(slow), recorder_text(fast));
}

/* Three requests for the same recorders, then one with a flipped bit, after which they differ. */
static void looking_up_many_at_once_tells_the_same(void **state)
{
    struct fixture *f = *state;
    uint64_t random = 7;
    for (int round = 0; round < 300; round++) {
        struct recorder slow, fast;
        recorder_init(&slow);
        recorder_init(&fast);
        for (int request = 0; request < 4; request++) {
            buffer_clear(&f->body);
            for (uint64_t i = next_random(&random) % 80; i > 0; i--)
                put_random_series(f, &random);
            if (request == 3 && f->body.size > 0)
                f->body.data[next_random(&random) % f->body.size] ^= (char)(1 << (round % 8));
            decode_both_ways(f, &slow, &fast);
        }
        recorder_done(&slow);
        recorder_done(&fast);
    }
}

static void a_tail_that_looks_like_a_sample_inside_a_label_is_none(void **state)
{
    struct fixture *f = *state;
    AUTO(buffer_done) struct buffer fields, sample;
    buffer_init(&fields, 4096);
    buffer_init(&sample, 4096);
    put_sample(&sample, 1700000000000, 1);
    buffer_append_byte(&sample, '\0');
    put_label(&fields, "job", sample.data); /* its value ends at the NUL of the double */
    put_series(f, &fields);
    struct recorder slow, fast;
    recorder_init(&slow);
    recorder_init(&fast);
    decode_both_ways(f, &slow, &fast);
    recorder_done(&slow);
    recorder_done(&fast);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(hands_on_labels_and_samples_in_order),
        TEST(parses_the_labels_of_a_known_series_only_once),
        TEST(keeps_the_bits_of_a_stale_marker),
        TEST(takes_negative_times_and_the_ends_of_the_range),
        TEST(reads_zeros_that_were_left_out),
        TEST(joins_labels_that_stand_between_samples),
        TEST(finds_labels_behind_the_samples),
        TEST(skips_unknown_fields_everywhere),
        TEST(reports_exemplars_as_dropped),
        TEST(hands_exemplars_to_a_sink_that_takes_them),
        TEST(refuses_a_broken_exemplar),
        TEST(hands_on_histograms),
        TEST(reads_lists_that_are_not_packed),
        TEST(leaves_out_a_histogram_over_the_limits),
        TEST(refuses_a_histogram_cut_off_at_any_byte),
        TEST(hands_on_metadata_with_the_word_for_its_type),
        TEST(an_empty_request_is_fine),
        TEST(leaves_out_a_series_that_the_sink_refuses),
        TEST(ends_without_an_error_of_its_own_when_the_sink_stops),
        TEST(a_series_with_too_many_labels_does_not_cost_the_others),
        TEST(refuses_a_request_cut_off_at_any_byte),
        TEST(refuses_inner_messages_cut_off_at_any_byte),
        TEST(looking_up_many_at_once_tells_the_same),
        TEST(a_tail_that_looks_like_a_sample_inside_a_label_is_none),
        TEST(says_what_is_wrong_and_where),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
