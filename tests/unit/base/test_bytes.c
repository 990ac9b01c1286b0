/* test_bytes.c - integers as bytes, varints, the bounded reader, hashes. */
#include "base/buffer.h"
#include "base/bytes.h"
#include "base/hash.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void fixed_integers_have_their_byte_order(void **state)
{
    (void)state;
    uint8_t p[8];
    bytes_put32(p, 0x01020304);
    assert_memory_equal(p, "\x04\x03\x02\x01", 4);
    bytes_put32_big(p, 0x01020304);
    assert_memory_equal(p, "\x01\x02\x03\x04", 4);
    assert_true(bytes_get32_big(p) == 0x01020304);
    bytes_put64_big(p, UINT64_C(0x0102030405060708));
    assert_memory_equal(p, "\x01\x02\x03\x04\x05\x06\x07\x08", 8);
    assert_true(bytes_get64_big(p) == UINT64_C(0x0102030405060708));
    bytes_put64(p, UINT64_C(0x0102030405060708));
    assert_true(p[0] == 8 && bytes_get64(p) == UINT64_C(0x0102030405060708));
    bytes_put16(p, 0x0102);
    assert_true(p[0] == 2 && bytes_get16(p) == 0x0102);
}

static void the_bits_of_a_nan_survive(void **state)
{
    (void)state;
    uint64_t stale = UINT64_C(0x7ff0000000000002);
    assert_true(double_bits(double_from_bits(stale)) == stale);
}

static void varints_of_every_size_round_trip(void **state)
{
    (void)state;
    for (int bit = 0; bit < 64; bit++) {
        for (int less = 0; less < 2; less++) {
            uint64_t v = (UINT64_C(1) << bit) - (uint64_t)less;
            uint8_t p[VARINT_SIZE_MAX];
            size_t size = varint_put(p, v);
            uint64_t back;
            assert_int_equal(size, varint_size(v));
            assert_int_equal(varint_get(p, size, &back), size);
            assert_true(back == v);
            assert_int_equal(varint_get(p, size - 1, &back), 0);
        }
        int64_t s = (int64_t)(UINT64_C(1) << bit);
        assert_true(zigzag_decode(zigzag_encode(s)) == s);
        assert_true(zigzag_decode(zigzag_encode(~s)) == ~s);
    }
    assert_true(zigzag_encode(-1) == 1 && zigzag_encode(1) == 2);
}

static void a_varint_of_more_than_64_bits_is_malformed(void **state)
{
    (void)state;
    uint64_t v;
    assert_int_equal(
        varint_get((const uint8_t *)"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 10, &v), 10);
    assert_true(v == UINT64_MAX);
    assert_int_equal(
        varint_get((const uint8_t *)"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 10, &v), 0);
    assert_int_equal(
        varint_get((const uint8_t *)"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00", 11, &v), 0);
}

static void what_a_buffer_was_given_a_reader_reads(void **state)
{
    (void)state;
    AUTO(buffer_done) struct buffer b;
    buffer_init(&b, 1000);
    buffer_put8(&b, 1);
    buffer_put16(&b, 2);
    buffer_put32(&b, 3);
    buffer_put64(&b, 4);
    buffer_put_varint(&b, 500);
    buffer_put_zigzag(&b, -6);
    buffer_put_sized(&b, SLICE("seven"));
    buffer_append_text(&b, "tail");

    struct reader r = reader_of(buffer_slice(&b));
    assert_int_equal(read8(&r), 1);
    assert_int_equal(read16(&r), 2);
    assert_int_equal(read32(&r), 3);
    assert_int_equal(read64(&r), 4);
    assert_int_equal(read_varint(&r), 500);
    assert_int_equal(read_zigzag(&r), -6);
    assert_true(slice_equal(read_sized(&r), SLICE("seven")));
    assert_int_equal(reader_left(&r), 4);
    assert_true(slice_equal(read_bytes(&r, 4), SLICE("tail")));
    assert_false(r.failed);
    assert_int_equal(read8(&r), 0);
    assert_true(r.failed);
}

static void a_reader_never_runs_past_the_end(void **state)
{
    (void)state;
    struct reader r = reader_of(SLICE("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"
                                      "abc"));
    struct slice s = read_sized(&r); /* declares 2^64-1 bytes */
    assert_true(r.failed && s.data == NULL && s.size == 0);
    assert_int_equal(read32(&r), 0); /* the failure stays */
    r = reader_of(SLICE("abc"));
    assert_int_equal(read64(&r), 0);
    assert_true(r.failed);
    r = reader_of((struct slice){NULL, 0});
    assert_int_equal(read_varint(&r), 0);
    assert_true(r.failed);
}

static void hashes_that_are_stored_never_change(void **state)
{
    (void)state;
    struct hash128 h = hash128("etinde", 6, 0);
    struct hash128 again = hash128("etinde", 6, 0);
    assert_true(hash128_equal(h, again));
    assert_false(hash128_equal(h, hash128("etinde", 6, 1)));
    assert_true(hash64("", 0, 0) == UINT64_C(0x2d06800538d394c2));
    assert_int_equal(checksum32("", 0), 0x38d394c2);
    assert_true(hash_seed() == hash_seed());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fixed_integers_have_their_byte_order),
        cmocka_unit_test(the_bits_of_a_nan_survive),
        cmocka_unit_test(varints_of_every_size_round_trip),
        cmocka_unit_test(a_varint_of_more_than_64_bits_is_malformed),
        cmocka_unit_test(what_a_buffer_was_given_a_reader_reads),
        cmocka_unit_test(a_reader_never_runs_past_the_end),
        cmocka_unit_test(hashes_that_are_stored_never_change),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
