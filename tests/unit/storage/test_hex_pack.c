/* Text without its hexadecimal numbers: the same bytes come back, damage is refused. */
#include "storage/hex_pack.h"

#include "base/buffer.h"
#include "base/error.h"
#include "base/memory.h"
#include "storage/compress.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static uint64_t random_state = 88172645463325252u;

static uint32_t below(uint32_t n)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (uint32_t)(random_state >> 20) % n;
}

static void put_digits(struct buffer *text, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        buffer_append_byte(text, "0123456789abcdef"[below(16)]);
}

/* Words, digits of every length, repeats of earlier text, and any bytes. */
static void text_make(struct buffer *text, uint32_t pieces, bool any_bytes)
{
    for (uint32_t i = 0; i < pieces; i++) {
        uint32_t dice = below(10);
        if (dice < 3) {
            buffer_append_text(text, " trace_id=");
        } else if (dice < 8) {
            put_digits(text, dice < 6 ? 32 : below(150));
        } else if (dice == 8 && text->size > 100) {
            char copy[64];
            memcpy(copy, text->data + below((uint32_t)text->size - 64), sizeof(copy));
            buffer_append(text, copy, sizeof(copy));
        } else if (any_bytes) {
            buffer_append_byte(text, (char)below(256));
        }
    }
}

static void texts_come_back(void **state)
{
    (void)state;
    size_t packed_count = 0;
    for (int round = 0; round < 400; round++) {
        struct buffer text, rest, digits;
        uint8_t mark = 0;
        buffer_init(&text, 1 << 20);
        buffer_init(&rest, 1 << 20);
        buffer_init(&digits, 1 << 20);
        text_make(&text, below(200), round % 2);
        if (hex_pack(buffer_slice(&text), &mark, &rest, &digits)) {
            char *out = xmalloc(text.size);
            packed_count++;
            assert_true(rest.size + digits.size < text.size);
            assert_true(
                hex_unpack(buffer_slice(&rest), buffer_slice(&digits), mark, out, text.size));
            assert_memory_equal(out, text.data, text.size);
            free(out);
        } else {
            assert_int_equal(rest.size + digits.size, 0);
        }
        buffer_done(&text);
        buffer_done(&rest);
        buffer_done(&digits);
    }
    assert_true(packed_count > 200);
}

static void what_does_not_pay_or_leaves_no_mark_stays(void **state)
{
    (void)state;
    struct buffer rest, digits;
    uint8_t mark;
    char all[512];
    buffer_init(&rest, 1 << 20);
    buffer_init(&digits, 1 << 20);
    assert_false(hex_pack(SLICE("no ids in here at all"), &mark, &rest, &digits));
    assert_false(hex_pack(SLICE("id=1608999687919862906"), &mark, &rest, &digits)); /* decimal */
    assert_false(hex_pack(SLICE("id=0123456789abcde"), &mark, &rest, &digits));     /* 15 */
    assert_true(hex_pack(SLICE("id=0123456789abcdef"), &mark, &rest, &digits));
    for (size_t i = 0; i < sizeof(all); i++)
        all[i] = (char)i;
    memcpy(all, "0123456789abcdef0123456789abcdef", 32);
    assert_false(hex_pack(slice_of(all, sizeof(all)), &mark, &rest, &digits));
    buffer_done(&rest);
    buffer_done(&digits);
}

static void damaged_blocks_are_refused_or_give_as_many_bytes(void **state)
{
    (void)state;
    struct error err = {0};
    struct buffer text, block;
    buffer_init(&text, 1 << 20);
    buffer_init(&block, 1 << 20);
    text_make(&text, 300, false);
    assert_true(compress_block(buffer_slice(&text), COMPRESS_CLOSED, &block, &err));
    char *out = xmalloc(text.size);
    assert_true(decompress_block(buffer_slice(&block), out, text.size, &err));
    assert_memory_equal(out, text.data, text.size);
    assert_false(decompress_block(buffer_slice(&block), out, text.size - 1, &err));
    size_t refused = 0;
    for (int i = 0; i < 5000; i++) {
        char *copy = xmemdup(block.data, block.size);
        size_t at = i % 2 ? below((uint32_t)block.size) : below(8);
        copy[at] = (char)(copy[at] ^ 1 << below(8));
        refused += !decompress_block(slice_of(copy, block.size), out, text.size, &err);
        free(copy);
    }
    assert_true(refused > 500); /* a digit more or less is for the checksums around */
    for (size_t cut = 0; cut < block.size; cut += 1 + below(20)) {
        char *copy = xmemdup(block.data, cut + 1);
        assert_false(decompress_block(slice_of(copy, cut), out, text.size, &err));
        free(copy);
    }
    free(out);
    buffer_done(&text);
    buffer_done(&block);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_come_back),
        cmocka_unit_test(what_does_not_pay_or_leaves_no_mark_stays),
        cmocka_unit_test(damaged_blocks_are_refused_or_give_as_many_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
