/* Bodies in their encodings: round trips, limits, bombs and broken bytes. */
#include "base/buffer.h"
#include "base/error.h"
#include "base/memory.h"
#include "wire/body.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static const enum body_encoding packed[] = {BODY_SNAPPY, BODY_GZIP, BODY_DEFLATE, BODY_ZSTD};

static struct buffer pack(enum body_encoding encoding, struct slice body)
{
    struct buffer out;
    struct error err = {0};
    buffer_init(&out, (size_t)64 * 1024 * 1024);
    assert_true(body_encode(encoding, body, &out, &err));
    return out;
}

/* Bytes that compress badly, the same in every run. */
static struct buffer noise(size_t size)
{
    struct buffer out;
    uint32_t state = 1;
    buffer_init(&out, size);
    for (size_t i = 0; i < size; i++) {
        state = state * 1664525 + 1013904223;
        buffer_append_byte(&out, (char)(state >> 24));
    }
    return out;
}

static struct buffer zeros(size_t size)
{
    struct buffer out;
    buffer_init(&out, size);
    memset(buffer_reserve(&out, size), 0, size);
    buffer_advance(&out, size);
    return out;
}

static void what_was_encoded_decodes_to_the_same(void **state)
{
    (void)state;
    for (size_t size = 0; size < 300000; size = size * 3 + 1) {
        AUTO(buffer_done) struct buffer body = noise(size);
        for (size_t i = 0; i < COUNT_OF(packed); i++) {
            AUTO(buffer_done) struct buffer wire = pack(packed[i], buffer_slice(&body));
            AUTO(buffer_done) struct buffer scratch;
            struct slice out;
            struct error err = {0};
            buffer_init(&scratch, size); /* exactly enough */
            if (!body_decode(packed[i], buffer_slice(&wire), &scratch, &out, &err))
                fail_msg("%s, %zu bytes: %s", body_encoding_name(packed[i]), size, err.message);
            assert_true(slice_equal(out, buffer_slice(&body)));
        }
    }
}

static void one_byte_over_the_limit_is_too_large(void **state)
{
    (void)state;
    AUTO(buffer_done) struct buffer body = noise(100000);
    for (size_t i = 0; i < COUNT_OF(packed); i++) {
        AUTO(buffer_done) struct buffer wire = pack(packed[i], buffer_slice(&body));
        AUTO(buffer_done) struct buffer scratch;
        struct slice out;
        struct error err = {0};
        buffer_init(&scratch, 99999);
        assert_false(body_decode(packed[i], buffer_slice(&wire), &scratch, &out, &err));
        assert_int_equal(err.code, ERR_TOO_LARGE);
        assert_non_null(strstr(err.message, body_encoding_name(packed[i])));
        assert_non_null(strstr(err.message, "99999"));
    }
}

static void identity_is_the_body_itself_within_the_limit(void **state)
{
    (void)state;
    struct buffer scratch;
    struct slice out;
    struct error err = {0};
    buffer_init(&scratch, 4);
    struct slice body = SLICE("1234");
    assert_true(body_decode(BODY_IDENTITY, body, &scratch, &out, &err));
    assert_ptr_equal(out.data, body.data);
    assert_false(body_decode(BODY_IDENTITY, SLICE("12345"), &scratch, &out, &err));
    assert_int_equal(err.code, ERR_TOO_LARGE);
    assert_null(scratch.data);
}

static void a_declared_snappy_length_of_4_gib_allocates_nothing(void **state)
{
    (void)state;
    static const struct slice cases[] = {
        {"\xff\xff\xff\xff\x0f\x00", 6}, /* 4 GiB - 1 */
        {"\x80\x80\x80\x10\x00", 5},     /* 32 MiB from one byte: within the limit, a lie */
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct buffer scratch;
        struct slice out;
        struct error err = {0};
        buffer_init(&scratch, (size_t)32 * 1024 * 1024);
        assert_false(body_decode(BODY_SNAPPY, cases[i], &scratch, &out, &err));
        assert_int_equal(err.code, ERR_INVALID);
        assert_null(scratch.data);
    }
}

static void a_snappy_length_of_more_than_32_bits_is_invalid(void **state)
{
    (void)state;
    struct buffer scratch;
    struct slice out;
    struct error err = {0};
    buffer_init(&scratch, 1024);
    assert_false(body_decode(BODY_SNAPPY, SLICE("\xff\xff\xff\xff\xff\x01"), &scratch, &out, &err));
    assert_int_equal(err.code, ERR_INVALID);
}

static void a_declared_zstd_size_over_the_limit_allocates_nothing(void **state)
{
    (void)state;
    AUTO(buffer_done) struct buffer body = zeros(1024 * 1024);
    AUTO(buffer_done) struct buffer wire = pack(BODY_ZSTD, buffer_slice(&body));
    struct buffer scratch;
    struct slice out;
    struct error err = {0};
    buffer_init(&scratch, 1000);
    assert_false(body_decode(BODY_ZSTD, buffer_slice(&wire), &scratch, &out, &err));
    assert_int_equal(err.code, ERR_TOO_LARGE);
    assert_string_equal(err.message, "zstd body declares 1048576 bytes, the limit is 1000");
    assert_null(scratch.data);
}

static void a_zstd_window_over_8_mib_is_too_large(void **state)
{
    (void)state;
    /* Magic, a header without size, window descriptor 0x70 = 16 MiB, an empty last block. */
    struct slice frame = {"\x28\xb5\x2f\xfd\x00\x70\x01\x00\x00", 9};
    AUTO(buffer_done) struct buffer scratch;
    struct slice out;
    struct error err = {0};
    buffer_init(&scratch, (size_t)32 * 1024 * 1024);
    assert_false(body_decode(BODY_ZSTD, frame, &scratch, &out, &err));
    assert_int_equal(err.code, ERR_TOO_LARGE);
    assert_non_null(strstr(err.message, "window"));
}

static void a_bomb_is_stopped_by_its_ratio(void **state)
{
    (void)state;
    static const enum body_encoding streams[] = {BODY_GZIP, BODY_DEFLATE, BODY_ZSTD};
    AUTO(buffer_done) struct buffer body = zeros((size_t)30 * 1024 * 1024);
    for (size_t i = 0; i < COUNT_OF(streams); i++) {
        AUTO(buffer_done) struct buffer wire = pack(streams[i], buffer_slice(&body));
        AUTO(buffer_done) struct buffer scratch;
        struct slice out;
        struct error err = {0};
        buffer_init(&scratch, (size_t)32 * 1024 * 1024);
        assert_false(body_decode(streams[i], buffer_slice(&wire), &scratch, &out, &err));
        assert_int_equal(err.code, ERR_TOO_LARGE);
        assert_non_null(strstr(err.message, "more than 200 times its size"));
        assert_true(scratch.capacity < (size_t)20 * 1024 * 1024);
    }
}

static void a_body_cut_off_at_any_byte_is_invalid(void **state)
{
    (void)state;
    AUTO(buffer_done) struct buffer body = noise(700);
    for (size_t i = 0; i < COUNT_OF(packed); i++) {
        AUTO(buffer_done) struct buffer wire = pack(packed[i], buffer_slice(&body));
        for (size_t cut = 0; cut < wire.size; cut++) {
            AUTO(buffer_done) struct buffer scratch;
            struct slice out;
            struct error err = {0};
            buffer_init(&scratch, 1000);
            char *bytes = xmemdup(wire.data, cut);
            assert_false(body_decode(packed[i], slice_of(bytes, cut), &scratch, &out, &err));
            assert_int_equal(err.code, ERR_INVALID);
            free(bytes);
        }
    }
}

static void rubbish_is_invalid_in_every_encoding(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(packed); i++) {
        AUTO(buffer_done) struct buffer scratch;
        struct slice out;
        struct error err = {0};
        buffer_init(&scratch, 100000);
        assert_false(
            body_decode(packed[i], SLICE("\xffno such thing at all"), &scratch, &out, &err));
        assert_true(err.code == ERR_INVALID || err.code == ERR_TOO_LARGE);
        assert_non_null(strstr(err.message, body_encoding_name(packed[i])));
    }
}

static void gzip_members_and_zstd_frames_follow_one_another(void **state)
{
    (void)state;
    static const enum body_encoding streams[] = {BODY_GZIP, BODY_ZSTD};
    for (size_t i = 0; i < COUNT_OF(streams); i++) {
        AUTO(buffer_done) struct buffer wire = pack(streams[i], SLICE("one "));
        AUTO(buffer_done) struct buffer scratch;
        struct slice out;
        struct error err = {0};
        assert_true(body_encode(streams[i], SLICE("two"), &wire, &err));
        buffer_init(&scratch, 7);
        assert_true(body_decode(streams[i], buffer_slice(&wire), &scratch, &out, &err));
        assert_true(slice_equal(out, SLICE("one two")));
        buffer_append_text(&wire, "rubbish");
        assert_false(body_decode(streams[i], buffer_slice(&wire), &scratch, &out, &err));
    }
}

static void deflate_may_lack_the_header_of_zlib(void **state)
{
    (void)state;
    AUTO(buffer_done) struct buffer wire = pack(BODY_DEFLATE, SLICE("hello"));
    AUTO(buffer_done) struct buffer scratch;
    struct slice out;
    struct error err = {0};
    buffer_init(&scratch, 100);
    struct slice raw = slice_sub(buffer_slice(&wire), 2, wire.size - 6);
    assert_true(body_decode(BODY_DEFLATE, raw, &scratch, &out, &err));
    assert_true(slice_equal(out, SLICE("hello")));
}

static void two_encodings_come_off_one_after_the_other(void **state)
{
    (void)state;
    AUTO(buffer_done) struct buffer inner = pack(BODY_SNAPPY, SLICE("hello"));
    AUTO(buffer_done) struct buffer wire = pack(BODY_GZIP, buffer_slice(&inner));
    AUTO(buffer_done) struct buffer between, scratch;
    struct slice out;
    struct error err = {0};
    buffer_init(&between, 100);
    buffer_init(&scratch, 100);
    struct body_coding coding = {BODY_GZIP, BODY_SNAPPY};
    assert_true(body_decode_both(coding, buffer_slice(&wire), &between, &scratch, &out, &err));
    assert_true(slice_equal(out, SLICE("hello")));
}

static void encoding_into_a_full_buffer_fails(void **state)
{
    (void)state;
    AUTO(buffer_done) struct buffer body = noise(1000);
    for (size_t i = 0; i < COUNT_OF(packed); i++) {
        AUTO(buffer_done) struct buffer out;
        struct error err = {0};
        buffer_init(&out, 100);
        assert_false(body_encode(packed[i], buffer_slice(&body), &out, &err));
        assert_int_equal(err.code, ERR_LIMIT);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_encoded_decodes_to_the_same),
        cmocka_unit_test(one_byte_over_the_limit_is_too_large),
        cmocka_unit_test(identity_is_the_body_itself_within_the_limit),
        cmocka_unit_test(a_declared_snappy_length_of_4_gib_allocates_nothing),
        cmocka_unit_test(a_snappy_length_of_more_than_32_bits_is_invalid),
        cmocka_unit_test(a_declared_zstd_size_over_the_limit_allocates_nothing),
        cmocka_unit_test(a_zstd_window_over_8_mib_is_too_large),
        cmocka_unit_test(a_bomb_is_stopped_by_its_ratio),
        cmocka_unit_test(a_body_cut_off_at_any_byte_is_invalid),
        cmocka_unit_test(rubbish_is_invalid_in_every_encoding),
        cmocka_unit_test(gzip_members_and_zstd_frames_follow_one_another),
        cmocka_unit_test(deflate_may_lack_the_header_of_zlib),
        cmocka_unit_test(two_encodings_come_off_one_after_the_other),
        cmocka_unit_test(encoding_into_a_full_buffer_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
