/* test_pool.c - the worker pool and the shared budget. */
#include "base/budget.h"
#include "base/error.h"
#include "base/pool.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

static atomic_int ran;

static void count_one(void *argument)
{
    (void)argument;
    atomic_fetch_add(&ran, 1);
}

static void every_submitted_task_runs_once(void **state)
{
    (void)state;
    struct pool *pool = pool_new("test", 3, 64, NULL);
    struct pool_group group = {0};
    atomic_store(&ran, 0);
    for (int i = 0; i < 10000; i++)
        pool_run(pool, &group, count_one, NULL);
    pool_wait(pool, &group);
    assert_int_equal(atomic_load(&ran), 10000);
    assert_int_equal(pool_queued(pool), 0);
    pool_wait(pool, &group); /* an empty group is done */
    pool_free(pool);
    pool_free(NULL);
}

/* Holds a worker until the gate opens. */
static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
static atomic_int at_gate;

static void pass_gate(void *argument)
{
    (void)argument;
    atomic_fetch_add(&at_gate, 1);
    pthread_mutex_lock(&gate);
    pthread_mutex_unlock(&gate);
}

static void a_full_queue_refuses(void **state)
{
    (void)state;
    struct pool *pool = pool_new("a name that is longer than the kernel allows", 1, 2, NULL);
    pthread_mutex_lock(&gate);
    atomic_store(&at_gate, 0);
    atomic_store(&ran, 0);
    assert_true(pool_submit(pool, NULL, pass_gate, NULL));
    while (atomic_load(&at_gate) == 0)
        usleep(100);
    assert_true(pool_submit(pool, NULL, count_one, NULL));
    assert_true(pool_submit(pool, NULL, count_one, NULL));
    assert_false(pool_submit(pool, NULL, count_one, NULL));
    assert_int_equal(pool_queued(pool), 2);
    pool_run(pool, NULL, count_one, NULL); /* here, at once */
    assert_int_equal(atomic_load(&ran), 1);
    pthread_mutex_unlock(&gate);
    pool_free(pool); /* finishes what is queued */
    assert_int_equal(atomic_load(&ran), 3);
}

struct tree {
    struct pool *pool;
    int depth;
};

/* Splits into two tasks of the same pool and waits for them. */
static void grow_tree(void *argument)
{
    const struct tree *tree = argument;
    atomic_fetch_add(&ran, 1);
    if (tree->depth == 0)
        return;
    struct tree child = {tree->pool, tree->depth - 1};
    struct pool_group group = {0};
    pool_run(tree->pool, &group, grow_tree, &child);
    pool_run(tree->pool, &group, grow_tree, &child);
    pool_wait(tree->pool, &group);
}

static void tasks_may_wait_for_tasks(void **state)
{
    (void)state;
    for (size_t threads = 1; threads <= 4; threads++) {
        struct pool *pool = pool_new("tree", threads, 8, NULL);
        struct tree root = {pool, 8};
        struct pool_group group = {0};
        atomic_store(&ran, 0);
        assert_true(pool_submit(pool, &group, grow_tree, &root));
        pool_wait(pool, &group);
        assert_int_equal(atomic_load(&ran), 511);
        pool_drop(&pool);
    }
}

static void groups_are_waited_for_apart(void **state)
{
    (void)state;
    struct pool *pool = pool_new("groups", 1, 8, NULL);
    struct pool_group slow = {0};
    struct pool_group quick = {0};
    pthread_mutex_lock(&gate);
    atomic_store(&at_gate, 0);
    atomic_store(&ran, 0);
    assert_true(pool_submit(pool, &slow, pass_gate, NULL));
    while (atomic_load(&at_gate) == 0)
        usleep(100);
    assert_true(pool_submit(pool, &quick, count_one, NULL));
    pool_wait(pool, &quick); /* the only worker is held: the waiting thread does it */
    assert_int_equal(atomic_load(&ran), 1);
    pthread_mutex_unlock(&gate);
    pool_wait(pool, &slow);
    pool_free(pool);
}

static struct budget shared;

static void *take_and_give(void *argument)
{
    size_t *most = argument;
    for (int i = 0; i < 20000; i++) {
        if (!budget_take(&shared, 30))
            continue;
        size_t used = budget_used(&shared);
        if (used > *most)
            *most = used;
        budget_give(&shared, 30);
    }
    return NULL;
}

static void a_budget_is_never_overdrawn(void **state)
{
    (void)state;
    pthread_t threads[4];
    size_t most[4] = {0};
    budget_init(&shared, 100);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, take_and_give, &most[i]), 0);
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        assert_true(most[i] <= 100);
    }
    assert_int_equal(budget_used(&shared), 0);
}

static void a_budget_refuses_what_is_over_its_limit(void **state)
{
    (void)state;
    struct budget b;
    budget_init(&b, 10);
    assert_int_equal(budget_limit(&b), 10);
    assert_true(budget_take(&b, 10));
    assert_true(budget_take(&b, 0));
    assert_false(budget_take(&b, 1));
    budget_give(&b, 4);
    assert_false(budget_take(&b, 5));
    assert_false(budget_take(&b, SIZE_MAX));
    assert_true(budget_take(&b, 4));
    budget_force(&b, 5);
    assert_int_equal(budget_used(&b), 15);
    assert_false(budget_take(&b, 0));
    budget_give(&b, 15);
    assert_int_equal(budget_used(&b), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_submitted_task_runs_once),
        cmocka_unit_test(a_full_queue_refuses),
        cmocka_unit_test(tasks_may_wait_for_tasks),
        cmocka_unit_test(groups_are_waited_for_apart),
        cmocka_unit_test(a_budget_is_never_overdrawn),
        cmocka_unit_test(a_budget_refuses_what_is_over_its_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
