/*
 * import.c - from entries in any order to a finished import (see import.h).
 *
 * The import's folder is a data directory with a catalog and partitions, but
 * without a log.  Its lock file is held while it is made, so that another
 * import can tell a folder whose owner died, and removes it.
 */
#include "storage/import_internal.h"

#include "base/arena.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "base/duration.h"
#include "base/error.h"
#include "base/files.h"
#include "base/histogram.h"
#include "storage/catalog.h"
#include "storage/day_close.h"
#include "storage/guard.h"
#include "storage/partition.h"
#include "storage/snapshot.h"

#include <stdio.h>
#include <sys/random.h>
#include <unistd.h>

enum {
    MEMORY_DEFAULT = 64 * 1024 * 1024,
    PAYLOAD_MAX = 1024 * 1024 * 1024,
    CHUNK_BYTES_MAX = 64 * 1024 * 1024,
    PAIRS_MAX = 1024 /* of one entry */
};

static const size_t labels_memory_max = (size_t)8 << 30;
static const struct label_limits label_limits = {
    .count_max = 255, .name_size_max = 1024, .value_size_max = 16384};

/* ---- the folder ------------------------------------------------------------------- */

static bool path_set(char path[PATH_MAX], struct error *err, const char *directory,
                     const char *name, const char *ending)
{
    int n = snprintf(path, PATH_MAX, "%s/%s%s", directory, name, ending);
    return (n >= 0 && n < PATH_MAX) ||
           error_set(err, ERR_INVALID, "the data directory's path is too long");
}

/* Folders of imports that died before they were finished. */
static void remove_left_overs(const char *folder)
{
    char **names, path[PATH_MAX];
    size_t count;
    struct error ignored;
    if (!directory_list(folder, &names, &count, &ignored))
        return;
    for (size_t i = 0; i < count; i++) {
        if (!slice_ends_with(slice_from_text(names[i]), SLICE(".part")) ||
            !path_set(path, &ignored, folder, names[i], ""))
            continue;
        AUTO(fd_drop) int lock = guard_lock(path, &ignored);
        if (lock >= 0)
            tree_remove(path);
    }
    names_free(names, count);
}

static bool folder_make(struct import *import, struct error *err)
{
    uint64_t random = 0;
    struct civil_time t = civil_from_ns(clock_now_ns(NULL));
    if (getrandom(&random, sizeof(random), 0) != sizeof(random))
        random = (uint64_t)getpid();
    snprintf(import->name, sizeof(import->name), "%04d%02d%02dT%02d%02d%02dZ-%016llx",
             (int)t.year % 10000, t.month, t.day, t.hour, t.minute, t.second,
             (unsigned long long)random);
    if (!path_set(import->folder, err, import->options.directory, "import", "") ||
        !directory_make(import->folder, err) || !guard_filesystem(import->options.directory, err) ||
        !path_set(import->part, err, import->folder, import->name, ".part"))
        return false;
    remove_left_overs(import->folder);
    if (!directory_make(import->part, err))
        return false;
    import->lock_fd = guard_lock(import->part, err);
    if (import->lock_fd < 0)
        return false;
    import->catalog = catalog_open(import->part, err);
    return import->catalog != NULL &&
           catalog_add_tenant(import->catalog, import->options.tenant, 0, err);
}

struct import *import_begin(const struct import_options *options, struct error *err)
{
    if (!tenant_name_is_valid(options->tenant))
        return error_null(err, ERR_INVALID, "bad tenant name");
    struct import *import = xcalloc(1, sizeof(*import));
    import->options = *options;
    if (import->options.memory_max == 0)
        import->options.memory_max = MEMORY_DEFAULT;
    memcpy(import->tenant, options->tenant.data, options->tenant.size);
    import->options.tenant = slice_from_text(import->tenant);
    import->lock_fd = -1;
    import->report.first_ns = INT64_MAX;
    import->report.last_ns = INT64_MIN;
    import->arena = arena_new(labels_memory_max);
    buffer_init(&import->payload, PAYLOAD_MAX);
    buffer_init(&import->bytes, CHUNK_BYTES_MAX);
    bool ok = options->dry_run || folder_make(import, err);
    if (ok)
        import->spool = spool_open(options->dry_run ? NULL : import->part, err);
    if (ok && import->spool != NULL)
        return import;
    import_free(import);
    return NULL;
}

void import_free(struct import *import)
{
    if (import == NULL)
        return;
    spool_close(import->spool);
    catalog_close(import->catalog);
    if (import->lock_fd >= 0)
        tree_remove(import->part);
    fd_drop(&import->lock_fd);
    arena_free(import->arena);
    arena_free(import->scratch);
    array_done(&import->series);
    table_done(&import->table);
    array_done(&import->families);
    array_done(&import->items);
    array_done(&import->spare);
    buffer_done(&import->payload);
    buffer_done(&import->bytes);
    array_done(&import->times);
    array_done(&import->values);
    array_done(&import->rich);
    array_done(&import->lines);
    array_done(&import->metadata);
    array_done(&import->same);
    free(import);
}

const struct import_report *import_report(const struct import *import)
{
    return &import->report;
}

/* ---- entries -------------------------------------------------------------------------- */

static void note_problem(struct import *import, const char *problem)
{
    if (import->report.first_problem[0] == '\0')
        snprintf(import->report.first_problem, sizeof(import->report.first_problem), "%.255s",
                 problem);
}

void import_refuse(struct import *import, uint64_t count, const char *problem)
{
    import->report.bad += count;
    note_problem(import, problem);
}

static bool series_equal(const void *items, uint32_t index, const void *key)
{
    return labels_equal(((const struct labels *)items)[index], *(const struct labels *)key);
}

int64_t import_series(struct import *import, struct label *items, size_t count, struct error *err)
{
    if (!labels_canonicalise(items, &count, &label_limits, err) ||
        (count == 0 && !error_set(err, ERR_INVALID, "a series needs at least one label"))) {
        import->report.bad_series++;
        note_problem(import, err->message);
        err->code = ERR_INVALID;
        return -1;
    }
    struct labels labels = {items, count};
    uint64_t hash = labels_hash(labels);
    uint32_t at = table_find(&import->table, hash, series_equal, import->series.items, &labels);
    if (at != TABLE_NONE)
        return at;
    struct labels own = labels_copy(import->arena, labels);
    if (!arena_check(import->arena, "labels of an import", err))
        return -1;
    at = (uint32_t)import->series.count;
    array_push(&import->series, own);
    table_insert(&import->table, hash, at);
    import->report.series++;
    return at;
}

/* Is the time one that is taken?  What is not is counted. */
static bool time_is_taken(struct import *import, int64_t time_ns)
{
    struct import_report *report = &import->report;
    if (time_ns < import->options.oldest_ns) {
        report->too_old++;
        return false;
    }
    if (time_ns > import->options.newest_ns) {
        report->too_new++;
        return false;
    }
    report->taken++;
    if (time_ns < report->first_ns)
        report->first_ns = time_ns;
    if (time_ns > report->last_ns)
        report->last_ns = time_ns;
    return true;
}

static bool item_add(struct import *import, const struct import_item *item, struct error *err)
{
    array_push(&import->items, *item);
    size_t memory = import->items.count * sizeof(*item) + import->payload.size;
    return memory < import->options.memory_max || import_flush(import, err);
}

static int64_t whole_ms(int64_t time_ns)
{
    int64_t rest = time_ns % NS_PER_MS;
    return time_ns - (rest < 0 ? rest + NS_PER_MS : rest);
}

static bool rich_add(struct import *import, uint32_t series, const struct rich_sample *sample,
                     struct error *err)
{
    size_t at = import->payload.size;
    rich_sample_write(&import->payload, sample);
    if (!buffer_check(&import->payload, "histograms of an import", err))
        return false;
    struct import_item item = {.time_ns = sample->time_ns,
                               .series = series,
                               .size = (uint32_t)(import->payload.size - at),
                               .at = at};
    return item_add(import, &item, err);
}

bool import_sample(struct import *import, uint32_t series, int64_t time_ns, int64_t start_ns,
                   double value, struct error *err)
{
    time_ns = whole_ms(time_ns);
    if (!time_is_taken(import, time_ns))
        return true;
    if (start_ns / NS_PER_MS != 0) {
        struct rich_sample sample = {.time_ns = time_ns, .start_ns = start_ns, .value = value};
        return rich_add(import, series, &sample, err);
    }
    struct import_item item = {
        .time_ns = time_ns, .series = series, .size = IMPORT_FLOAT, .value = value};
    return item_add(import, &item, err);
}

bool import_histogram(struct import *import, uint32_t series, int64_t time_ns, int64_t start_ns,
                      const struct histogram *histogram, struct error *err)
{
    struct error reason = {0};
    struct rich_sample sample = {.time_ns = whole_ms(time_ns),
                                 .start_ns = start_ns,
                                 .value = histogram->sum,
                                 .histogram = histogram};
    if (!histogram_is_stale(histogram) && !histogram_check(histogram, &reason)) {
        import_refuse(import, 1, reason.message);
        return true;
    }
    return !time_is_taken(import, sample.time_ns) || rich_add(import, series, &sample, err);
}

bool import_entry(struct import *import, uint32_t series, int64_t time_ns, struct slice line,
                  struct label *metadata, size_t count, struct error *err)
{
    struct error reason = {0};
    struct label_limits limits = {.count_max = PAIRS_MAX};
    size_t at = import->payload.size;
    if (!labels_canonicalise(metadata, &count, &limits, &reason)) {
        import_refuse(import, 1, reason.message);
        return true;
    }
    if (!time_is_taken(import, time_ns))
        return true;
    buffer_put_sized(&import->payload, line);
    buffer_put_varint(&import->payload, count);
    for (size_t i = 0; i < count; i++) {
        buffer_put_sized(&import->payload, metadata[i].name);
        buffer_put_sized(&import->payload, metadata[i].value);
    }
    if (!buffer_check(&import->payload, "log lines of an import", err))
        return false;
    struct import_item item = {.time_ns = time_ns,
                               .series = series,
                               .size = (uint32_t)(import->payload.size - at),
                               .at = at};
    return item_add(import, &item, err);
}

bool import_metadata(struct import *import, struct slice family, struct slice type,
                     struct slice help, struct slice unit, struct error *err)
{
    struct metric_metadata item = {
        .family = arena_copy(import->arena, family),
        .type = arena_copy(import->arena, type),
        .help = arena_copy(import->arena, help),
        .unit = arena_copy(import->arena, unit),
    };
    array_push(&import->families, item);
    return arena_check(import->arena, "metadata of an import", err);
}

/* ---- days ------------------------------------------------------------------------------ */

struct filling {
    struct import *import;
    struct seal *seal;
    uint32_t *numbers; /* of the day, by the import's; UINT32_MAX: none yet */
};

static bool take_chunk(void *context, uint32_t series, struct slice chunk, struct error *err)
{
    struct filling *f = context;
    uint32_t *number = &f->numbers[series];
    if (seal_is_full(f->seal) && !seal_commit(f->seal, err))
        return false;
    if (*number == UINT32_MAX &&
        !seal_series(f->seal, f->import->series.items[series], number, err))
        return false;
    return seal_chunk(f->seal, *number, chunk, err);
}

static bool day_write(struct import *import, struct partitions *partitions, size_t index,
                      struct error *err)
{
    struct partition_id id = {import->options.tenant, import->options.kind,
                              spool_day(import->spool, index)};
    struct filling f = {.import = import};
    f.seal = seal_begin(partitions, &id, err);
    if (f.seal == NULL)
        return false;
    f.numbers = xcalloc(import->series.count + 1, sizeof(*f.numbers));
    memset(f.numbers, 0xff, import->series.count * sizeof(*f.numbers));
    bool ok = spool_read(import->spool, index, take_chunk, &f, err) && seal_commit(f.seal, err);
    seal_end(f.seal);
    free(f.numbers);
    return ok && day_close_import(partitions, &id, err);
}

static bool days_write(struct import *import, struct error *err)
{
    struct partitions_options options = {.directory = import->part, .catalog = import->catalog};
    import->report.days = spool_days(import->spool);
    if (import->options.dry_run)
        return true;
    struct partitions *partitions = partitions_open(&options, err);
    bool ok = partitions != NULL &&
              catalog_put_metadata(import->catalog, import->options.tenant, import->families.items,
                                   import->families.count, err);
    for (size_t i = 0; ok && i < import->report.days; i++)
        ok = day_write(import, partitions, i, err);
    partitions_close(partitions);
    return ok;
}

bool import_finish(struct import *import, char *name, struct error *err)
{
    char path[PATH_MAX];
    memcpy(name, import->name, IMPORT_NAME_SIZE);
    if (!import_flush(import, err) || !days_write(import, err))
        return false;
    if (import->options.dry_run)
        return true;
    catalog_close(TAKE(import->catalog));
    if (!path_set(path, err, import->folder, import->name, "") ||
        !directory_sync(import->part, err) || !file_rename(import->part, path, err) ||
        !directory_sync(import->folder, err) || !directory_sync(import->options.directory, err))
        return false;
    fd_drop(&import->lock_fd);
    import->lock_fd = -1;
    return true;
}
