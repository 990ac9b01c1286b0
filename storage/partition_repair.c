/*
 * partition_repair.c - giving up days whose files are damaged (see partition.h).
 *
 * Only when asked for, at the start: the file is renamed, so that nothing is lost that
 * a backup or a careful hand might still mend, and its row in the catalog goes.
 */
#include "base/arena.h"
#include "base/error.h"
#include "base/files.h"
#include "storage/catalog.h"
#include "storage/partition_internal.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

enum { DAYS_MEMORY_MAX = 64 * 1024 * 1024 };

/* `<path><ending>` becomes `<path><ending>.damaged`; a missing one is fine. */
static bool move_away(const char *path, const char *ending, struct error *err)
{
    char from[PATH_MAX], to[PATH_MAX];
    int a = snprintf(from, sizeof(from), "%s%s", path, ending);
    int b = snprintf(to, sizeof(to), "%s%s.damaged", path, ending);
    if (a < 0 || b < 0 || (size_t)a >= sizeof(from) || (size_t)b >= sizeof(to))
        return error_set(err, ERR_INVALID, "the data directory's path is too long");
    return (access(from, F_OK) != 0 && errno == ENOENT) || file_rename(from, to, err);
}

static bool set_aside(struct partitions *set, struct catalog *catalog, struct catalog_day *day,
                      struct error *err)
{
    char path[PATH_MAX];
    if (!partition_path(set, day->tenant, day->kind, day->day, day->generation, path, sizeof(path),
                        err))
        return false;
    day->generation = 0;
    /* The names first: a file without a row would be removed by the next start. */
    return move_away(path, "", err) && move_away(path, "-sums", err) &&
           catalog_set_day(catalog, day, err);
}

bool partitions_set_aside(struct partitions *set, struct catalog *catalog, uint64_t *count,
                          struct error *err)
{
    AUTO(arena_drop) struct arena *arena = arena_new(DAYS_MEMORY_MAX);
    struct catalog_day *days;
    size_t day_count;
    *count = 0;
    if (!catalog_all_days(catalog, arena, &days, &day_count, err))
        return false;
    for (size_t i = 0; i < day_count; i++) {
        struct partition_id id = {days[i].tenant, days[i].kind, days[i].day};
        struct error damaged = {0};
        struct partition *p = partition_acquire(set, &id, &damaged);
        partition_release(p);
        if (p != NULL || damaged.code != ERR_CORRUPT)
            continue;
        if (!set_aside(set, catalog, &days[i], err))
            return error_prefix(err, "setting a damaged day aside");
        ++*count;
    }
    return true;
}
