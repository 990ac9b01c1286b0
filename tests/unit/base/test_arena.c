/* test_arena.c - limits, marks and copies of arenas. */
#include "base/arena.h"
#include "base/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void allocations_are_aligned_and_apart(void **state)
{
    (void)state;
    struct arena *arena = arena_new(1 << 20);
    char *before = NULL;
    for (size_t size = 0; size < 3000; size += 7) {
        char *memory = arena_alloc(arena, size);
        assert_non_null(memory);
        assert_int_equal((uintptr_t)memory % 16, 0);
        assert_ptr_not_equal(memory, before);
        memset(memory, 0xaa, size);
        before = memory;
    }
    arena_free(arena);
    arena_free(NULL);
}

static void the_limit_holds_and_is_sticky(void **state)
{
    (void)state;
    struct error err = {0};
    struct arena *arena = arena_new(64);
    assert_true(arena_check(arena, "a query", &err));
    assert_non_null(arena_alloc(arena, 48));
    assert_null(arena_alloc(arena, 17));
    assert_true(arena_exhausted(arena));
    assert_non_null(arena_alloc(arena, 16)); /* what fits is still given */
    assert_false(arena_check(arena, "a query", &err));
    assert_int_equal(err.code, ERR_LIMIT);
    assert_string_equal(err.message, "a query needs more than 64 bytes of memory, the limit");
    assert_int_equal(arena_used(arena), 64);
    assert_int_equal(arena_limit(arena), 64);
    arena_reset(arena);
    assert_false(arena_exhausted(arena));
    assert_int_equal(arena_used(arena), 0);
    arena_free(arena);
}

static void absurd_sizes_are_refused(void **state)
{
    (void)state;
    struct arena *arena = arena_new(SIZE_MAX);
    assert_null(arena_alloc(arena, SIZE_MAX));
    assert_null(arena_calloc(arena, SIZE_MAX / 2, 3));
    assert_true(arena_exhausted(arena));
    arena_free(arena);
}

static void rewinding_forgets_what_came_after_the_mark(void **state)
{
    (void)state;
    struct arena *arena = arena_new(1 << 20);
    struct slice kept = arena_copy(arena, SLICE("kept"));
    struct arena_mark outer = arena_mark(arena);
    size_t used = arena_used(arena);
    for (int round = 0; round < 5; round++) {
        struct arena_mark inner = arena_mark(arena);
        for (int i = 0; i < 100; i++)
            memset(arena_alloc(arena, 1000), 1, 1000);
        arena_rewind(arena, inner);
        assert_int_equal(arena_used(arena), used);
    }
    arena_rewind(arena, outer);
    assert_true(slice_equal(kept, SLICE("kept")));
    arena_free(arena);

    arena = arena_new(1024); /* a mark before the first block */
    outer = arena_mark(arena);
    assert_non_null(arena_alloc(arena, 100));
    arena_rewind(arena, outer);
    assert_int_equal(arena_used(arena), 0);
    arena_free(arena);
}

static void growing_keeps_the_items(void **state)
{
    (void)state;
    struct arena *arena = arena_new(1 << 20);
    int *items = NULL;
    size_t capacity = 0;
    for (size_t i = 0; i < 1000; i++) {
        items = arena_grow(arena, items, i, &capacity, i + 1, sizeof(*items));
        assert_non_null(items);
        items[i] = (int)i;
    }
    for (int i = 0; i < 1000; i++)
        assert_int_equal(items[i], i);
    assert_null(arena_grow(arena, items, 1000, &capacity, SIZE_MAX / 2, sizeof(*items)));
    assert_int_equal(items[999], 999);
    arena_free(arena);
}

static void copies_and_printed_texts_end_with_a_nul(void **state)
{
    (void)state;
    struct arena *arena = arena_new(64);
    struct slice copy = arena_copy(arena, SLICE("abc"));
    assert_string_equal(copy.data, "abc");
    struct slice text = arena_printf(arena, "%d-%s", 7, "x");
    assert_string_equal(text.data, "7-x");
    assert_int_equal(text.size, 3);
    assert_non_null(arena_copy(arena, (struct slice){NULL, 0}).data);
    assert_null(arena_copy(arena, SLICE("0123456789012345678901234567890")).data);
    assert_null(arena_printf(arena, "%100d", 1).data);
    arena_free(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(allocations_are_aligned_and_apart),
        cmocka_unit_test(the_limit_holds_and_is_sticky),
        cmocka_unit_test(absurd_sizes_are_refused),
        cmocka_unit_test(rewinding_forgets_what_came_after_the_mark),
        cmocka_unit_test(growing_keeps_the_items),
        cmocka_unit_test(copies_and_printed_texts_end_with_a_nul),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
