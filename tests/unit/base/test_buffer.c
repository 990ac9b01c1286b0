/* test_buffer.c - growing buffers, their limit, and growing arrays. */
#include "base/array.h"
#include "base/buffer.h"
#include "base/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void appends_in_order(void **state)
{
    (void)state;
    AUTO(buffer_done) struct buffer b;
    buffer_init(&b, 1000);
    buffer_append(&b, "ab", 2);
    buffer_append(&b, NULL, 0);
    buffer_append_byte(&b, 'c');
    buffer_append_text(&b, "de");
    buffer_append_slice(&b, SLICE("fg"));
    buffer_printf(&b, "%d", 42);
    memcpy(buffer_reserve(&b, 10), "hi", 2);
    buffer_advance(&b, 2);
    assert_true(slice_equal(buffer_slice(&b), SLICE("abcdefg42hi")));
    buffer_truncate(&b, 3);
    assert_true(slice_equal(buffer_slice(&b), SLICE("abc")));
    assert_true(buffer_check(&b, "it", NULL));
}

static void over_the_limit_nothing_changes_any_more(void **state)
{
    (void)state;
    struct error err = {0};
    AUTO(buffer_done) struct buffer b;
    buffer_init(&b, 5);
    buffer_append_text(&b, "12345");
    assert_false(b.failed);
    buffer_append_byte(&b, '6');
    assert_true(b.failed);
    assert_null(buffer_reserve(&b, 0));
    buffer_append_text(&b, "");
    assert_true(slice_equal(buffer_slice(&b), SLICE("12345")));
    assert_false(buffer_check(&b, "an answer", &err));
    assert_int_equal(err.code, ERR_LIMIT);
    assert_string_equal(err.message, "an answer needs more than 5 bytes, the limit");
    buffer_clear(&b);
    buffer_append_text(&b, "again");
    assert_false(b.failed);
    assert_null(buffer_reserve(&b, SIZE_MAX));
}

static void grows_to_exactly_its_limit(void **state)
{
    (void)state;
    AUTO(buffer_done) struct buffer b;
    buffer_init(&b, 100000);
    for (int i = 0; i < 100000; i++)
        buffer_append_byte(&b, (char)i);
    assert_false(b.failed);
    assert_int_equal(b.size, 100000);
    buffer_append_byte(&b, 'x');
    assert_true(b.failed);
}

static void arrays_keep_what_is_pushed(void **state)
{
    (void)state;
    ARRAY(uint64_t) numbers = {0};
    array_reserve(&numbers, 3);
    for (uint64_t i = 0; i < 10000; i++)
        array_push(&numbers, i * i);
    assert_int_equal(numbers.count, 10000);
    for (uint64_t i = 0; i < 10000; i++)
        assert_true(numbers.items[i] == i * i);
    array_done(&numbers);
    assert_null(numbers.items);
    assert_int_equal(numbers.count, 0);
}

static void heap_copies_end_with_a_nul(void **state)
{
    (void)state;
    AUTO(memory_drop) char *copy = xmemdup("abc", 2);
    assert_string_equal(copy, "ab");
    AUTO(memory_drop) char *empty = xmemdup(NULL, 0);
    assert_string_equal(empty, "");
    AUTO(memory_drop) char *text = xstrdup("text");
    text = xrealloc(text, 100);
    assert_string_equal(text, "text");
    AUTO(memory_drop) int *zeros = xcalloc(4, sizeof(int));
    assert_int_equal(zeros[3], 0);
    char *moved = TAKE(copy);
    assert_null(copy);
    free(moved);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(appends_in_order),
        cmocka_unit_test(over_the_limit_nothing_changes_any_more),
        cmocka_unit_test(grows_to_exactly_its_limit),
        cmocka_unit_test(arrays_keep_what_is_pushed),
        cmocka_unit_test(heap_copies_end_with_a_nul),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
