/*
 * memory_limit.c - reading limits where Linux keeps them (see memory_limit.h).
 *
 * /proc/self/cgroup names the process' group: "0::/path" (version 2) or
 * "N:...,memory,...:/path" (version 1).  Inside a container the path may be the host's
 * and not exist below the mounted tree; then the tree's own top is the group.  So the
 * limit is looked for at the path and at every folder above it, as far as they exist.
 */
#include "base/memory_limit.h"

#include "base/buffer.h"
#include "base/files.h"
#include "base/number.h"
#include "base/slice.h"

#include <stdint.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

enum { PATH_SIZE = 4096 };

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* The number in a file; SIZE_MAX for "max", for no number and for no file. */
static size_t read_number(const char *path)
{
    AUTO(buffer_done) struct buffer text;
    buffer_init(&text, PATH_SIZE);
    uint64_t value;
    if (access(path, R_OK) != 0 || !file_load(path, &text, NULL) ||
        !slice_parse_u64(slice_trim(buffer_slice(&text)), &value))
        return SIZE_MAX;
    return value;
}

/* The lowest limit in the files called `name` from `group` up to `top`. */
static size_t climb(const char *top, struct slice group, const char *name)
{
    size_t lowest = SIZE_MAX;
    char path[PATH_SIZE];
    for (;;) {
        while (group.size > 0 && group.data[group.size - 1] == '/')
            group.size--;
        int size =
            snprintf(path, sizeof(path), "%s%.*s/%s", top, (int)group.size, group.data, name);
        if (size > 0 && (size_t)size < sizeof(path))
            lowest = least(lowest, read_number(path));
        if (group.size == 0)
            return lowest;
        while (group.size > 0 && group.data[group.size - 1] != '/')
            group.size--;
    }
}

static bool names_memory(struct slice controllers)
{
    struct slice one;
    while (slice_split(&controllers, ',', &one)) {
        if (slice_equal(one, SLICE("memory")))
            return true;
    }
    return false;
}

size_t memory_limit_of_groups(const char *root)
{
    char path[PATH_SIZE];
    char top[2][PATH_SIZE];
    size_t lowest = SIZE_MAX;
    AUTO(buffer_done) struct buffer text;
    buffer_init(&text, 64 * 1024);
    snprintf(path, sizeof(path), "%s/proc/self/cgroup", root);
    snprintf(top[0], sizeof(top[0]), "%s/sys/fs/cgroup", root);
    snprintf(top[1], sizeof(top[1]), "%s/sys/fs/cgroup/memory", root);
    if (!file_load(path, &text, NULL))
        return SIZE_MAX;
    struct slice rest = buffer_slice(&text), line;
    while (slice_split(&rest, '\n', &line)) {
        struct slice number, controllers;
        if (!slice_split(&line, ':', &number) || !slice_split(&line, ':', &controllers))
            continue;
        if (controllers.size == 0)
            lowest = least(lowest, climb(top[0], line, "memory.max"));
        else if (names_memory(controllers))
            lowest = least(lowest, climb(top[1], line, "memory.limit_in_bytes"));
    }
    return lowest;
}

static size_t limit_of_process(int resource)
{
    struct rlimit limit;
    if (getrlimit((__rlimit_resource_t)resource, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
        return SIZE_MAX;
    return limit.rlim_cur;
}

size_t memory_limit_read(void)
{
    long pages = sysconf(_SC_PHYS_PAGES);
    long page = sysconf(_SC_PAGESIZE);
    size_t machine = pages > 0 && page > 0 ? (size_t)pages * (size_t)page : SIZE_MAX;
    size_t process = least(limit_of_process(RLIMIT_AS), limit_of_process(RLIMIT_DATA));
    return least(least(machine, memory_limit_of_groups("")), process);
}
