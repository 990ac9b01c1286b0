/* Lines of log files: plain, CRI and docker-json; labels from paths; patterns. */
#include "agents/log_batch.h"
#include "agents/log_format.h"
#include "agents/log_labels.h"
#include "base/arena.h"
#include "base/error.h"
#include "wire/ingest.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#define CRI_TIME "2023-11-14T22:13:20.123456789Z"

static void the_first_line_tells_the_format(void **state)
{
    (void)state;
    assert_int_equal(log_format_detect(SLICE(CRI_TIME " stdout F hello")), LOG_FORMAT_CRI);
    assert_int_equal(log_format_detect(SLICE("2023-11-14T22:13:20+00:00 stderr P ")),
                     LOG_FORMAT_CRI);
    assert_int_equal(log_format_detect(SLICE(CRI_TIME " stdout F:x hello")), LOG_FORMAT_CRI);
    assert_int_equal(log_format_detect(SLICE(CRI_TIME " stdout X hello")), LOG_FORMAT_PLAIN);
    assert_int_equal(log_format_detect(SLICE("yesterday stdout F hello")), LOG_FORMAT_PLAIN);
    assert_int_equal(log_format_detect(SLICE(
                         "{\"log\":\"a\\n\",\"stream\":\"stdout\",\"time\":\"" CRI_TIME "\"}")),
                     LOG_FORMAT_DOCKER);
    assert_int_equal(log_format_detect(SLICE("{\"log\":\"a\"}")), LOG_FORMAT_PLAIN);
    assert_int_equal(log_format_detect(SLICE("{\"level\":\"info\"}")), LOG_FORMAT_PLAIN);
    assert_int_equal(log_format_detect(SLICE("")), LOG_FORMAT_PLAIN);
}

static void names_of_formats_are_read_and_printed(void **state)
{
    enum log_format format;
    (void)state;
    assert_true(log_format_from_name(SLICE("docker"), &format));
    assert_int_equal(format, LOG_FORMAT_DOCKER);
    assert_string_equal(log_format_name(LOG_FORMAT_CRI), "cri");
    assert_false(log_format_from_name(SLICE("xml"), &format));
}

static bool note_entry(void *context, uint32_t series, int64_t time_ns, struct slice line,
                       struct label *metadata, size_t count)
{
    (void)metadata;
    (void)count;
    buffer_printf(context, "%u @%" PRId64 " <%.*s>\n", series, time_ns, SLICE_ARG(line));
    return true;
}

static int64_t never_known(void *context, struct slice key)
{
    (void)context;
    (void)key;
    return INGEST_UNKNOWN;
}

static int64_t note_series(void *context, struct slice key, struct label *labels, size_t count)
{
    (void)labels;
    (void)count;
    buffer_printf(context, "%.*s\n", SLICE_ARG(key));
    return 0;
}

/* The streams that a range becomes, as the server would read them. */
static void expect_streams(const char *path, enum log_format format, const char *bytes,
                           const char *expected)
{
    struct label base[] = {{SLICE("job"), SLICE("logs")}};
    struct log_encoder encoder;
    struct buffer request, told;
    struct error err = {0};
    int64_t time_ns = 1000;
    log_encoder_init(&encoder, base, 1);
    buffer_init(&request, 1024 * 1024);
    buffer_init(&told, 1024 * 1024);
    log_encoder_append(&encoder, path, format, slice_from_text(bytes), &time_ns, &request);
    struct log_sink sink = {
        .context = &told, .find = never_known, .define = note_series, .entry = note_entry};
    assert_true(loki_push_decode(buffer_slice(&request), &sink, &err));
    buffer_append_byte(&told, '\0');
    assert_string_equal(told.data, expected);
    buffer_done(&request);
    buffer_done(&told);
    log_encoder_done(&encoder);
}

static void plain_lines_get_the_time_of_reading_one_after_the_other(void **state)
{
    (void)state;
    expect_streams("/var/log/dpkg.log", LOG_FORMAT_PLAIN, "one\n\ntwo\n",
                   "{filename=\"/var/log/dpkg.log\", job=\"logs\", service_name=\"dpkg\"}\n"
                   "0 @1000 <one>\n0 @1001 <>\n0 @1002 <two>\n");
}

static void a_last_line_without_newline_is_a_line(void **state)
{
    (void)state;
    expect_streams("/a", LOG_FORMAT_PLAIN, "one\ntwo",
                   "{filename=\"/a\", job=\"logs\", service_name=\"a\"}\n"
                   "0 @1000 <one>\n0 @1001 <two>\n");
}

static void pieces_of_a_cri_line_are_joined_for_each_stream(void **state)
{
    (void)state;
    expect_streams("/var/log/pods/ns_web-1_uid/app/0.log", LOG_FORMAT_CRI,
                   "2023-11-14T22:13:20.000000001Z stdout P he\n"
                   "2023-11-14T22:13:20.000000002Z stderr F oops\n"
                   "2023-11-14T22:13:20.000000003Z stdout P l\n"
                   "2023-11-14T22:13:20.000000004Z stdout F lo\n"
                   "2023-11-14T22:13:20.000000005Z stdout F \n",
                   "{container=\"app\", job=\"logs\", namespace=\"ns\", pod=\"web-1\", "
                   "service_name=\"app\", stream=\"stdout\"}\n"
                   "0 @1700000000000000001 <hello>\n"
                   "0 @1700000000000000005 <>\n"
                   "{container=\"app\", job=\"logs\", namespace=\"ns\", pod=\"web-1\", "
                   "service_name=\"app\", stream=\"stderr\"}\n"
                   "0 @1700000000000000002 <oops>\n");
}

static void docker_lines_are_decoded_and_joined(void **state)
{
    (void)state;
    expect_streams(
        "/x.log", LOG_FORMAT_DOCKER,
        "{\"log\":\"he\",\"stream\":\"stdout\",\"time\":\"2023-11-14T22:13:20.1Z\"}\n"
        "{\"log\":\"ll\\u00f6\\n\",\"stream\":\"stdout\",\"time\":\"2023-11-14T22:13:20.2Z\"}\n"
        "{\"log\":\"a\\\"b\\n\",\"stream\":\"stdout\",\"time\":\"2023-11-14T22:13:20.3Z\","
        "\"attrs\":{\"x\":[1]}}\n",
        "{filename=\"/x.log\", job=\"logs\", service_name=\"x\", stream=\"stdout\"}\n"
        "0 @1700000000100000000 <hell\xc3\xb6>\n"
        "0 @1700000000300000000 <a\"b>\n");
}

static void a_line_of_another_format_is_kept_whole(void **state)
{
    (void)state;
    expect_streams("/x.log", LOG_FORMAT_CRI,
                   "2023-11-14T22:13:20.000000001Z stdout F good\nno such thing\n",
                   "{filename=\"/x.log\", job=\"logs\", service_name=\"x\"}\n"
                   "0 @1000 <no such thing>\n"
                   "{filename=\"/x.log\", job=\"logs\", service_name=\"x\", stream=\"stdout\"}\n"
                   "0 @1700000000000000001 <good>\n");
    expect_streams("/x.log", LOG_FORMAT_DOCKER, "{\"log\":1}\n",
                   "{filename=\"/x.log\", job=\"logs\", service_name=\"x\"}\n"
                   "0 @1000 <{\"log\":1}>\n");
}

static void labels_given_by_the_user_win(void **state)
{
    (void)state;
    struct label base[] = {{SLICE("service_name"), SLICE("mine")}, {SLICE("zone"), SLICE("a\"b")}};
    struct buffer out;
    buffer_init(&out, 4096);
    log_labels_append(&out, "/var/log/x.log", LOG_STREAM_NONE, base, 2);
    buffer_append_byte(&out, '\0');
    assert_string_equal(out.data,
                        "{filename=\"/var/log/x.log\", service_name=\"mine\", zone=\"a\\\"b\"}");
    buffer_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_line_tells_the_format),
        cmocka_unit_test(names_of_formats_are_read_and_printed),
        cmocka_unit_test(plain_lines_get_the_time_of_reading_one_after_the_other),
        cmocka_unit_test(a_last_line_without_newline_is_a_line),
        cmocka_unit_test(pieces_of_a_cri_line_are_joined_for_each_stream),
        cmocka_unit_test(docker_lines_are_decoded_and_joined),
        cmocka_unit_test(a_line_of_another_format_is_kept_whole),
        cmocka_unit_test(labels_given_by_the_user_win),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
