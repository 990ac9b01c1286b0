/* partition_copy.c - see partition_copy.h. */
#include "storage/partition_copy.h"

#include "base/duration.h"
#include "base/error.h"
#include "base/files.h"
#include "storage/catalog.h"
#include "storage/partition_internal.h"

#include <limits.h>

static bool path_fits(int length, size_t size, struct error *err)
{
    return (length >= 0 && (size_t)length < size) ||
           error_set(err, ERR_INVALID, "the data directory's path is too long");
}

bool partition_folder(const char *directory, const struct catalog_day *day, char *path, size_t size,
                      struct error *err)
{
    struct civil_time date = civil_from_ns(day->day * NS_PER_DAY);
    int n =
        snprintf(path, size, "%s/%.*s/%s/%04d-%02d-%02d", directory, SLICE_ARG(day->tenant),
                 day->kind == STORE_LOG ? "log" : "metric", (int)date.year, date.month, date.day);
    return path_fits(n, size, err);
}

bool partition_file(const char *directory, const struct catalog_day *day, char *path, size_t size,
                    struct error *err)
{
    char folder[PATH_MAX];
    return partition_folder(directory, day, folder, sizeof(folder), err) &&
           path_fits(snprintf(path, size, "%s/%u.mdb", folder, day->generation), size, err);
}

bool partition_copy(struct partition *p, const char *directory, struct catalog_day *day,
                    struct error *err)
{
    char folder[PATH_MAX], above[PATH_MAX], path[PATH_MAX];
    day->generation = p->generation;
    return partition_folder(directory, day, folder, sizeof(folder), err) &&
           partition_file(directory, day, path, sizeof(path), err) && directory_make(folder, err) &&
           lmdb_env_copy(p->env, path, err) && directory_sync(folder, err) &&
           path_fits(snprintf(above, sizeof(above), "%s/..", folder), sizeof(above), err) &&
           directory_sync(above, err) &&
           path_fits(snprintf(above, sizeof(above), "%s/../..", folder), sizeof(above), err) &&
           directory_sync(above, err);
}
