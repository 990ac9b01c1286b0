/* test_utf8.c - what is UTF-8 and what is not. */
#include "base/utf8.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void every_code_point_round_trips(void **state)
{
    (void)state;
    for (uint32_t c = 0; c <= 0x110000; c++) {
        char text[UTF8_SIZE_MAX];
        size_t size = utf8_encode(text, c);
        bool legal = c <= 0x10ffff && (c < 0xd800 || c > 0xdfff);
        size_t at = 0;
        bool valid;
        assert_int_equal(utf8_next(slice_of(text, size), &at, &valid),
                         legal ? c : UTF8_REPLACEMENT);
        assert_true(valid && at == size && utf8_is_valid(slice_of(text, size)));
        if (size > 1)
            assert_false(utf8_is_valid(slice_of(text, size - 1)));
    }
}

static void malformed_bytes_are_refused_one_by_one(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "\x80",
        "\xbf",
        "\xc0\x80",
        "\xc1\xbf",
        "\xe0\x80\x80",
        "\xe0\x9f\xbf",
        "\xc3",
        "\xed\xa0\x80",
        "\xed\xbf\xbf",
        "\xf0\x80\x80\x80",
        "\xf0\x8f\xbf\xbf",
        "\xf4\x90\x80\x80",
        "\xf5\x80\x80\x80",
        "\xff",
        "\xe2\x82",
        "\xf0\x9f\x98",
        "\xc3(",
        "\xe2(\xa1",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct slice s = slice_from_text(bad[i]);
        size_t at = 0;
        bool valid = true;
        assert_false(utf8_is_valid(s));
        assert_int_equal(utf8_next(s, &at, &valid), UTF8_REPLACEMENT);
        assert_false(valid);
        assert_int_equal(at, 1);
    }
}

static void a_bad_byte_is_found_at_every_place(void **state)
{
    (void)state;
    char text[41];
    for (size_t size = 1; size < sizeof(text); size++) {
        memset(text, 'a', sizeof(text));
        assert_true(utf8_is_valid(slice_of(text, size)));
        for (size_t at = 0; at < size; at++) {
            text[at] = (char)0x80;
            assert_false(utf8_is_valid(slice_of(text, size)));
            text[at] = 'a';
        }
    }
    assert_true(utf8_is_valid((struct slice){NULL, 0}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_point_round_trips),
        cmocka_unit_test(malformed_bytes_are_refused_one_by_one),
        cmocka_unit_test(a_bad_byte_is_found_at_every_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
