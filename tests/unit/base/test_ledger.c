/* test_ledger.c - the process' memory by component, and where its limit comes from. */
#include "base/arena.h"
#include "base/error.h"
#include "base/ledger.h"
#include "base/memory_limit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

enum { MIB = 1 << 20 };

static int no_limit(void **state)
{
    (void)state;
    ledger_set_limit(SIZE_MAX);
    return 0;
}

static void parts_add_up_and_are_given_back(void **state)
{
    (void)state;
    size_t before = ledger_total(), counted = 0;
    ledger_add(LEDGER_HEAD, 100);
    ledger_update(LEDGER_INDEX, &counted, 50);
    ledger_update(LEDGER_INDEX, &counted, 70);
    assert_int_equal(ledger_used(LEDGER_HEAD), 100);
    assert_int_equal(ledger_used(LEDGER_INDEX), 70);
    assert_int_equal(ledger_total(), before + 170);
    ledger_add(LEDGER_HEAD, -100);
    ledger_update(LEDGER_INDEX, &counted, 0);
    assert_int_equal(ledger_total(), before);
}

static void nothing_is_refused_without_a_limit(void **state)
{
    (void)state;
    struct error err = {0};
    assert_true(ledger_take(LEDGER_BODIES, (size_t)1 << 40));
    assert_int_equal(ledger_pressure(), LEDGER_CALM);
    assert_false(ledger_is_full(&err));
    assert_false(ledger_is_spent());
    ledger_add(LEDGER_BODIES, -((int64_t)1 << 40));
}

static void over_the_limit_taking_fails_and_pressure_shows(void **state)
{
    (void)state;
    struct error err = {0};
    size_t limit = ledger_anonymous() * 4 + (size_t)100 * MIB;
    ledger_set_limit(limit);
    assert_int_equal(ledger_pressure(), LEDGER_CALM);
    size_t part = limit / 100 * 65;
    assert_true(ledger_take(LEDGER_HEAD, part));
    assert_int_equal(ledger_pressure(), LEDGER_HIGH);
    assert_false(ledger_is_full(&err));
    assert_false(ledger_take(LEDGER_BODIES, limit / 2));
    assert_int_equal(ledger_used(LEDGER_BODIES), 0);
    assert_true(ledger_take(LEDGER_BODIES, limit / 4));
    assert_true(ledger_is_full(&err));
    assert_int_equal(err.code, ERR_UNAVAILABLE);
    ledger_add(LEDGER_BODIES, -(int64_t)(limit / 4));
    ledger_add(LEDGER_HEAD, -(int64_t)part);
    assert_int_equal(ledger_pressure(), LEDGER_CALM);
}

static void memory_that_nobody_counts_makes_pressure_as_well(void **state)
{
    (void)state;
    size_t size = (size_t)64 * MIB;
    ledger_measure();
    ledger_set_limit(ledger_anonymous() + size);
    char *block = malloc(size);
    assert_non_null(block);
    memset(block, 1, size);
    ledger_measure();
    assert_int_equal(ledger_pressure(), LEDGER_FULL);
    free(block);
}

static void an_arena_of_a_query_is_refused_blocks_over_the_budget(void **state)
{
    (void)state;
    struct error err = {0};
    ledger_measure();
    size_t budget = ledger_anonymous() * 3 + (size_t)64 * MIB; /* never touched: only counted */
    ledger_set_limit(budget);
    struct arena *query = arena_new_in_budget(budget);
    struct arena *other = arena_new_in_budget(budget);
    struct arena *upkeep = arena_new(budget);
    assert_non_null(arena_alloc(query, budget / 2));
    assert_true(ledger_used(LEDGER_QUERIES) >= budget / 2);
    assert_null(arena_alloc(other, budget / 2));
    assert_false(arena_check(other, "the query", &err));
    assert_int_equal(err.code, ERR_UNAVAILABLE);
    assert_non_null(arena_alloc(upkeep, budget / 2)); /* what makes room is never refused */
    arena_reset(other);
    assert_non_null(arena_alloc(other, 100)); /* nor is what is small */
    arena_free(query);
    arena_free(upkeep);
    assert_non_null(arena_alloc(other, budget / 3));
    arena_free(other);
    assert_int_equal(ledger_used(LEDGER_QUERIES), 0);
    assert_int_equal(ledger_used(LEDGER_PARTITIONS), 0);
}

/* ---- limits ---------------------------------------------------------------- */

static char root[64];

static void put(const char *path, const char *text)
{
    char full[512];
    snprintf(full, sizeof(full), "%s%s", root, path);
    for (char *at = full + strlen(root) + 1; (at = strchr(at, '/')) != NULL; at++) {
        *at = '\0';
        mkdir(full, 0700);
        *at = '/';
    }
    FILE *file = fopen(full, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static int root_setup(void **state)
{
    (void)state;
    snprintf(root, sizeof(root), "/tmp/etinde-limit-XXXXXX");
    return mkdtemp(root) == NULL;
}

static int root_teardown(void **state)
{
    char command[128];
    (void)state;
    snprintf(command, sizeof(command), "rm -rf '%s'", root);
    return system(command);
}

static void the_lowest_limit_of_a_group_and_those_around_it_counts(void **state)
{
    (void)state;
    assert_true(memory_limit_of_groups(root) == SIZE_MAX); /* nothing to read */
    put("/proc/self/cgroup", "0::/a/b\n");
    assert_true(memory_limit_of_groups(root) == SIZE_MAX);
    put("/sys/fs/cgroup/a/b/memory.max", "max\n");
    assert_true(memory_limit_of_groups(root) == SIZE_MAX);
    put("/sys/fs/cgroup/a/memory.max", "268435456\n");
    assert_int_equal(memory_limit_of_groups(root), 256 * MIB);
    put("/sys/fs/cgroup/a/b/memory.max", "67108864\n");
    assert_int_equal(memory_limit_of_groups(root), 64 * MIB);
    put("/sys/fs/cgroup/memory.max", "1048576\n");
    assert_int_equal(memory_limit_of_groups(root), MIB);
}

static void version_one_is_read_where_its_memory_controller_is(void **state)
{
    (void)state;
    put("/proc/self/cgroup", "12:pids:/x\n5:cpu,memory:/docker/abc\n1:name=systemd:/y\n");
    put("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
    assert_true(memory_limit_of_groups(root) > (size_t)1 << 60);
    /* In a container the path is the host's: its own group is the top of what it sees. */
    put("/sys/fs/cgroup/memory/memory.limit_in_bytes", "134217728\n");
    assert_int_equal(memory_limit_of_groups(root), 128 * MIB);
    put("/sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes", "33554432\n");
    assert_int_equal(memory_limit_of_groups(root), 32 * MIB);
}

static void the_machine_has_some_memory(void **state)
{
    (void)state;
    assert_true(memory_limit_read() > (size_t)16 * MIB && memory_limit_read() < SIZE_MAX);
}

int main(void)
{
#define LEDGER(name) cmocka_unit_test_teardown(name, no_limit)
#define LIMIT(name)  cmocka_unit_test_setup_teardown(name, root_setup, root_teardown)
    const struct CMUnitTest tests[] = {
        LEDGER(parts_add_up_and_are_given_back),
        LEDGER(nothing_is_refused_without_a_limit),
        LEDGER(over_the_limit_taking_fails_and_pressure_shows),
        LEDGER(memory_that_nobody_counts_makes_pressure_as_well),
        LEDGER(an_arena_of_a_query_is_refused_blocks_over_the_budget),
        LIMIT(the_lowest_limit_of_a_group_and_those_around_it_counts),
        LIMIT(version_one_is_read_where_its_memory_controller_is),
        LIMIT(the_machine_has_some_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
