/* test_websocket.c - handshake and frames of RFC 6455. */
#include "server/websocket.h"

#include "base/buffer.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void answers_the_key_of_the_specification(void **state)
{
    (void)state;
    char accept[WEBSOCKET_ACCEPT_MAX];
    assert_true(websocket_accept(SLICE("WebSocket"), SLICE("keep-alive, Upgrade"), SLICE("13"),
                                 SLICE("dGhlIHNhbXBsZSBub25jZQ=="), accept));
    assert_string_equal(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

static void refuses_other_requests(void **state)
{
    (void)state;
    char accept[WEBSOCKET_ACCEPT_MAX];
    struct slice socket = SLICE("websocket"), upgrade = SLICE("Upgrade"), version = SLICE("13"),
                 key = SLICE("dGhlIHNhbXBsZSBub25jZQ==");
    assert_false(websocket_accept(SLICE("h2c"), upgrade, version, key, accept));
    assert_false(websocket_accept(SLICE(""), upgrade, version, key, accept));
    assert_false(websocket_accept(socket, SLICE("close"), version, key, accept));
    assert_false(websocket_accept(socket, (struct slice){NULL, 0}, version, key, accept));
    assert_false(websocket_accept(socket, upgrade, SLICE("8"), key, accept));
    assert_false(websocket_accept(socket, upgrade, version, SLICE("short"), accept));
    assert_false(
        websocket_accept(socket, upgrade, version, SLICE("!GhlIHNhbXBsZSBub25jZQ=="), accept));
}

static void frames_have_the_shortest_length(void **state)
{
    (void)state;
    static char text[70000];
    struct buffer out;
    buffer_init(&out, 1 << 20);
    websocket_append(&out, WEBSOCKET_TEXT, slice_of(text, 125));
    assert_int_equal(out.size, 2 + 125);
    assert_memory_equal(out.data, "\x81\x7d", 2);
    buffer_clear(&out);
    websocket_append(&out, WEBSOCKET_TEXT, slice_of(text, 126));
    assert_int_equal(out.size, 4 + 126);
    assert_memory_equal(out.data, "\x81\x7e\x00\x7e", 4);
    buffer_clear(&out);
    websocket_append(&out, WEBSOCKET_TEXT, slice_of(text, 70000));
    assert_int_equal(out.size, 10 + 70000);
    assert_memory_equal(out.data, "\x81\x7f\0\0\0\0\0\x01\x11\x70", 10);
    buffer_clear(&out);
    websocket_append_close(&out, WEBSOCKET_GOING_AWAY, "bye");
    assert_memory_equal(out.data,
                        "\x88\x05\x03\xe9"
                        "bye",
                        7);
    buffer_done(&out);
}

static enum websocket_event read_bytes(const char *bytes, size_t size,
                                       struct websocket_frame *frame)
{
    return websocket_read(slice_of(bytes, size), frame);
}

static void control_frames_are_unmasked(void **state)
{
    (void)state;
    struct websocket_frame frame;
    assert_int_equal(read_bytes("\x89\x82\x01\x02\x03\x04\x69\x6b"
                                "next",
                                12, &frame),
                     WEBSOCKET_PINGED);
    assert_int_equal(frame.size, 8);
    assert_int_equal(frame.payload_size, 2);
    assert_memory_equal(frame.payload, "hi", 2);
    assert_int_equal(read_bytes("\x88\x80\0\0\0\0", 6, &frame), WEBSOCKET_CLOSED);
    assert_int_equal(read_bytes("\x8a\x80\0\0\0\0", 6, &frame), WEBSOCKET_MESSAGE);
    assert_int_equal(read_bytes("\x81\x81\0\0\0\0x", 7, &frame), WEBSOCKET_MESSAGE);
    assert_int_equal(frame.size, 7);
}

static void a_part_of_a_frame_waits_for_the_rest(void **state)
{
    (void)state;
    static const char bytes[] = "\x81\xfe\x00\x80\0\0\0\0";
    struct websocket_frame frame;
    for (size_t i = 0; i < sizeof(bytes); i++) {
        assert_int_equal(read_bytes(bytes, i, &frame), WEBSOCKET_MORE);
        assert_int_equal(frame.size, 0);
    }
}

static void wrong_frames_end_the_connection(void **state)
{
    (void)state;
    struct websocket_frame frame;
    static const struct {
        const char *bytes;
        size_t size;
        enum websocket_status status;
    } wrong[] = {
        {"\x81\x01x", 3, WEBSOCKET_PROTOCOL_ERROR},                          /* not masked */
        {"\xc1\x80\0\0\0\0", 6, WEBSOCKET_PROTOCOL_ERROR},                   /* reserved bit */
        {"\x83\x80\0\0\0\0", 6, WEBSOCKET_PROTOCOL_ERROR},                   /* opcode 3 */
        {"\x8b\x80\0\0\0\0", 6, WEBSOCKET_PROTOCOL_ERROR},                   /* opcode 11 */
        {"\x09\x80\0\0\0\0", 6, WEBSOCKET_PROTOCOL_ERROR},                   /* ping in pieces */
        {"\x89\xfe\x00\x7e", 4, WEBSOCKET_PROTOCOL_ERROR},                   /* long ping */
        {"\x81\xff\0\0\0\0\0\x01\0\x01", 10, WEBSOCKET_TOO_BIG},             /* 65,537 bytes */
        {"\x81\xff\xff\xff\xff\xff\xff\xff\xff\xff", 10, WEBSOCKET_TOO_BIG}, /* 2^64 - 1 */
    };
    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        assert_int_equal(read_bytes(wrong[i].bytes, wrong[i].size, &frame), WEBSOCKET_WRONG);
        assert_int_equal(frame.status, wrong[i].status);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_the_key_of_the_specification),
        cmocka_unit_test(refuses_other_requests),
        cmocka_unit_test(frames_have_the_shortest_length),
        cmocka_unit_test(control_frames_are_unmasked),
        cmocka_unit_test(a_part_of_a_frame_waits_for_the_rest),
        cmocka_unit_test(wrong_frames_end_the_connection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
