/* test_changes.c - the lowest time that changed since a moment, against a plain list. */
#include "storage/changes.h"

#include "base/duration.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { NOTES = 4000 };

static uint64_t random_state = 88172645463325252u;

static uint64_t random_below(uint64_t bound)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (random_state >> 11) % bound;
}

static void nothing_noted_is_nothing_changed(void **state)
{
    (void)state;
    struct changes changes = {0};
    assert_true(changes_since(&changes, 0) == INT64_MAX);
    changes_note(&changes, 100 * NS_PER_SECOND);
    assert_true(changes_since(&changes, 0) == 100 * NS_PER_SECOND);
    assert_true(changes_since(&changes, 1) == INT64_MAX);
    array_done(&changes.notes);
}

static void never_later_than_the_truth_and_near_to_it(void **state)
{
    (void)state;
    struct changes changes = {0};
    static int64_t times[NOTES];
    for (size_t i = 0; i < NOTES; i++) {
        times[i] = ((int64_t)i - (random_below(50) == 0 ? (int64_t)random_below(2000) : 0)) *
                   NS_PER_SECOND;
        changes_note(&changes, times[i]);
        int64_t truth = INT64_MAX;
        for (size_t k = i + 1; k-- > 0;) {
            truth = times[k] < truth ? times[k] : truth;
            if (k % 97 != i % 97)
                continue;
            int64_t found = changes_since(&changes, k); /* what came as number k + 1 and later */
            assert_true(found <= truth);
            assert_true(found > truth - 5 * NS_PER_SECOND);
        }
    }
    array_done(&changes.notes);
}

/* So many steps that old moments share one: they may be told too much, never too little. */
static void old_moments_are_told_too_much(void **state)
{
    (void)state;
    struct changes changes = {0};
    for (int64_t i = 0; i < 5000; i++)
        changes_note(&changes, i * 5 * NS_PER_SECOND);
    assert_true(changes.notes.count <= 1024);
    assert_true(changes_since(&changes, 10) == 0);
    assert_true(changes_since(&changes, 4990) == 4990 * 5 * NS_PER_SECOND);
    changes_note(&changes, INT64_MIN);
    assert_true(changes_since(&changes, 5000) == INT64_MIN);
    array_done(&changes.notes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_noted_is_nothing_changed),
        cmocka_unit_test(never_later_than_the_truth_and_near_to_it),
        cmocka_unit_test(old_moments_are_told_too_much),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
