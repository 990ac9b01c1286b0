/* Unpacking Snappy: the same bytes and the same refusals as the library's. */
#include "base/buffer.h"
#include "wire/snappy_decode.h"

#include <setjmp.h>
#include <snappy-c.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static uint64_t next_random(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *state >> 33;
}

/* Unpack with both into memory of exactly that size; both agree. */
static void compare(struct slice packed)
{
    size_t ours = 0, theirs = 0;
    bool known = snappy_declared_size(packed, &ours);
    assert_int_equal(known,
                     snappy_uncompressed_length(packed.data, packed.size, &theirs) == SNAPPY_OK);
    if (!known || ours > 16 * 1024 * 1024)
        return;
    assert_int_equal(ours, theirs);
    char *a = malloc(ours + 1), *b = malloc(ours + 1);
    assert_true(a && b);
    a[ours] = 'x';
    bool good = snappy_decode(packed, a, ours);
    assert_int_equal(a[ours], 'x');
    assert_int_equal(good, snappy_uncompress(packed.data, packed.size, b, &theirs) == SNAPPY_OK);
    if (good)
        assert_memory_equal(a, b, ours);
    free(a);
    free(b);
}

/* Runs of one byte, words that come again near and far, and noise. */
static void make_text(struct buffer *out, uint64_t *random)
{
    buffer_clear(out);
    size_t wanted = next_random(random) % (next_random(random) % 8 == 0 ? 300000 : 3000);
    while (out->size < wanted) {
        size_t size = 1 + next_random(random) % 100;
        uint64_t kind = next_random(random) % 4;
        size_t distance = out->size > 0 ? 1 + next_random(random) % out->size : 0;
        if (kind == 3 && distance > 40)
            distance = 1 + distance % 20;
        for (size_t i = 0; i < size; i++) {
            bool again = kind > 1 && distance > 0;
            buffer_append_byte(out, again ? out->data[out->size - distance]
                                          : (char)(kind == 0 ? 'a' : next_random(random)));
        }
    }
}

static void unpacks_what_the_library_packed(void **state)
{
    (void)state;
    uint64_t random = 1;
    AUTO(buffer_done) struct buffer text;
    buffer_init(&text, (size_t)16 * 1024 * 1024);
    for (int round = 0; round < 2000; round++) {
        make_text(&text, &random);
        size_t size = snappy_max_compressed_length(text.size);
        char *packed = malloc(size);
        assert_non_null(packed);
        assert_int_equal(snappy_compress(text.data ? text.data : "", text.size, packed, &size),
                         SNAPPY_OK);
        compare(slice_of(packed, size));
        for (int i = 0; i < 4; i++) { /* damaged and cut */
            packed[next_random(&random) % size] ^= (char)(1 << next_random(&random) % 8);
            compare(slice_of(packed, size));
            char *cut = malloc(size); /* so that a read behind it is noticed */
            size_t kept = next_random(&random) % size;
            assert_non_null(cut);
            cut = realloc(cut, kept + 1);
            memcpy(cut, packed, kept);
            compare(slice_of(cut, kept));
            free(cut);
        }
        free(packed);
    }
}

static void takes_every_kind_of_element(void **state)
{
    (void)state;
    /* Literals with lengths of 1 to 4 bytes, distances of 4 bytes; what compressors rarely write.
     */
    static const struct slice cases[] = {
        {"\x03\x08"
         "abc",
         5},
        {"\x03\xf0\x02"
         "abc",
         6},
        {"\x03\xf4\x02\x00"
         "abc",
         7},
        {"\x03\xf8\x02\x00\x00"
         "abc",
         8},
        {"\x03\xfc\x02\x00\x00\x00"
         "abc",
         9},
        {"\x09\x08"
         "abc\x17\x03\x00\x00\x00",
         10}, /* six bytes from three back */
        {"\x09\x08"
         "abc\x17\x00\x00\x00\x00",
         10}, /* distance 0 */
        {"\x09\x08"
         "abc\x17\x04\x00\x00\x00",
         10}, /* from before the begin */
        {"\x03\xfc\xff\xff\xff\xff"
         "abc",
         9},
        {"\x00", 1},
        {"\x00\x00"
         "a",
         3},
        {"\x80\x00", 2},
        {"", 0},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        compare(cases[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unpacks_what_the_library_packed),
        cmocka_unit_test(takes_every_kind_of_element),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
