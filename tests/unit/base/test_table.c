/* test_table.c - the hash table against a plain array. */
#include "base/hash.h"
#include "base/table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { KEY_COUNT = 5000 };

struct item {
    uint64_t key;
    bool present;
};

static struct item items[KEY_COUNT];

static bool item_equal(const void *all, uint32_t index, const void *key)
{
    return ((const struct item *)all)[index].key == *(const uint64_t *)key;
}

static uint64_t hash_of(uint64_t key)
{
    return hash64(&key, sizeof(key), 1);
}

static void finds_exactly_what_is_inside(void **state)
{
    (void)state;
    struct table t = {0};
    uint64_t random = 1;
    memset(items, 0, sizeof(items));
    for (uint32_t i = 0; i < KEY_COUNT; i++)
        items[i].key = i * 77;
    uint32_t count = 0;
    for (int round = 0; round < 100000; round++) {
        random = random * UINT64_C(6364136223846793005) + 1442695040888963407U;
        uint32_t i = (uint32_t)(random >> 33) % KEY_COUNT;
        uint64_t hash = hash_of(items[i].key);
        uint32_t found = table_find(&t, hash, item_equal, items, &items[i].key);
        assert_int_equal(found, items[i].present ? i : TABLE_NONE);
        if (items[i].present) {
            assert_true(table_remove(&t, hash, i));
            assert_false(table_remove(&t, hash, i));
            count--;
        } else {
            table_insert(&t, hash, i);
            count++;
        }
        items[i].present = !items[i].present;
        assert_int_equal(t.count, count);
    }
    for (uint32_t i = 0; i < KEY_COUNT; i++) {
        uint32_t found = table_find(&t, hash_of(items[i].key), item_equal, items, &items[i].key);
        assert_int_equal(found, items[i].present ? i : TABLE_NONE);
    }
    assert_true(table_memory(&t) >= count * sizeof(struct table_slot));
    table_done(&t);
}

static void equal_hashes_are_told_apart_by_key(void **state)
{
    (void)state;
    struct table t;
    table_init(&t);
    for (uint32_t i = 0; i < 300; i++) {
        items[i].key = i;
        table_insert(&t, 42, i);
    }
    for (uint32_t i = 0; i < 300; i += 2)
        assert_true(table_remove(&t, 42, i));
    for (uint64_t key = 0; key < 300; key++)
        assert_int_equal(table_find(&t, 42, item_equal, items, &key),
                         key % 2 ? (uint32_t)key : TABLE_NONE);
    table_done(&t);
}

static void an_empty_table_finds_nothing(void **state)
{
    (void)state;
    struct table t = {0};
    uint64_t key = 1;
    assert_int_equal(table_find(&t, 1, item_equal, items, &key), TABLE_NONE);
    assert_false(table_remove(&t, 1, 1));
    table_prefetch(&t, 1);
    assert_int_equal(table_memory(&t), 0);
    table_done(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_exactly_what_is_inside),
        cmocka_unit_test(equal_hashes_are_told_apart_by_key),
        cmocka_unit_test(an_empty_table_finds_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
