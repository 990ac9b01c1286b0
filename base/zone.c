/*
 * zone.c - reads zone files of version 2 and later (see zone.h).
 *
 * Such a file holds its table twice: with 32-bit times for old readers, which is stepped
 * over, and with 64-bit times.  A table is a header of six counts, the times of the
 * transitions, for each the number of the kind of time that begins, and per kind how
 * many seconds it is east of UTC.
 */
#include "base/zone.h"

#include "base/array.h"
#include "base/buffer.h"
#include "base/error.h"
#include "base/files.h"

#include <pthread.h>
#include <stdio.h>

enum {
    ZONES_MAX = 64,
    NAME_SIZE = 64,
    FILE_SIZE_LIMIT = 1 << 20,
    HEADER_SIZE = 44,
    COUNTS_AT = 20, /* six counts of four bytes */
    KIND_SIZE = 6
};

enum count { UTC_MARKS, STANDARD_MARKS, LEAPS, TRANSITIONS, KINDS, LETTERS, COUNTS };

struct span {
    int64_t from; /* UTC seconds; it lasts until the next span's */
    int64_t east; /* seconds */
};

struct zone {
    char name[NAME_SIZE];
    ARRAY(struct span) spans; /* at least one; the first one's `from` is INT64_MIN */
};

static struct {
    pthread_mutex_t lock;
    struct zone zones[ZONES_MAX];
    size_t count;
} known = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* ---- files ------------------------------------------------------------------------------- */

static uint64_t big_endian(const char *bytes, size_t size)
{
    uint64_t value = 0;
    for (size_t i = 0; i < size; i++)
        value = value << 8 | (unsigned char)bytes[i];
    return value;
}

static bool read_header(struct slice file, size_t at, uint64_t counts[COUNTS])
{
    if (!slice_starts_with(slice_skip(file, at), SLICE("TZif")) || file.size - at < HEADER_SIZE)
        return false;
    for (int i = 0; i < COUNTS; i++)
        counts[i] = big_endian(file.data + at + COUNTS_AT + 4 * i, 4);
    return true;
}

static uint64_t table_size(const uint64_t counts[COUNTS], uint64_t time_size)
{
    return counts[TRANSITIONS] * (time_size + 1) + counts[KINDS] * KIND_SIZE + counts[LETTERS] +
           counts[LEAPS] * (time_size + 4) + counts[STANDARD_MARKS] + counts[UTC_MARKS];
}

static bool read_zone(struct slice file, struct zone *zone)
{
    uint64_t counts[COUNTS];
    if (!read_header(file, 0, counts) || file.data[4] < '2')
        return false;
    uint64_t at = HEADER_SIZE + table_size(counts, 4);
    if (at > file.size || !read_header(file, at, counts) || counts[KINDS] == 0)
        return false;
    at += HEADER_SIZE;
    if (table_size(counts, 8) > file.size - at)
        return false;
    size_t transitions = counts[TRANSITIONS];
    const char *times = file.data + at, *numbers = times + 8 * transitions;
    const char *kinds = numbers + transitions;
    array_reserve(&zone->spans, transitions + 1);
    for (size_t i = 0; i <= transitions; i++) {
        size_t kind = i == 0 ? 0 : (unsigned char)numbers[i - 1];
        if (kind >= counts[KINDS])
            return false;
        struct span span = {.from = INT64_MIN,
                            .east = (int32_t)big_endian(kinds + KIND_SIZE * kind, 4)};
        if (i > 0)
            span.from = (int64_t)big_endian(times + 8 * (i - 1), 8);
        array_push(&zone->spans, span);
    }
    return true;
}

/* A name is a path below the folder of zones, never one that leads out of it. */
static bool is_name(struct slice name)
{
    for (size_t i = 0; i < name.size; i++) {
        char c = name.data[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!letter && c != '_' && c != '-' && c != '+' && (c != '/' || i == 0))
            return false;
    }
    return name.size > 0 && name.size < NAME_SIZE;
}

static const struct zone *load_zone(struct slice name)
{
    char path[NAME_SIZE + sizeof("/usr/share/zoneinfo/")];
    snprintf(path, sizeof(path), "/usr/share/zoneinfo/%.*s", SLICE_ARG(name));
    struct zone *zone = &known.zones[known.count];
    *zone = (struct zone){0};
    struct buffer file;
    buffer_init(&file, FILE_SIZE_LIMIT);
    struct error ignored; /* whatever is wrong with the file, the zone is not known */
    bool ok = file_load(path, &file, &ignored) && read_zone(buffer_slice(&file), zone);
    buffer_done(&file);
    if (!ok) {
        array_done(&zone->spans);
        return NULL;
    }
    snprintf(zone->name, sizeof(zone->name), "%.*s", SLICE_ARG(name));
    known.count++;
    return zone;
}

static const struct zone *find_zone(struct slice name)
{
    if (!is_name(name))
        return NULL;
    const struct zone *found = NULL;
    pthread_mutex_lock(&known.lock);
    for (size_t i = 0; i < known.count && found == NULL; i++) {
        if (slice_equal(slice_from_text(known.zones[i].name), name))
            found = &known.zones[i];
    }
    if (found == NULL && known.count < ZONES_MAX)
        found = load_zone(name);
    pthread_mutex_unlock(&known.lock);
    return found;
}

/* ---- times ------------------------------------------------------------------------------- */

static size_t span_at(const struct zone *zone, int64_t utc)
{
    size_t low = 0, high = zone->spans.count; /* the span begins in [low, high) */
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (zone->spans.items[middle].from <= utc)
            low = middle;
        else
            high = middle;
    }
    return low;
}

bool zone_to_utc(struct slice name, int64_t local, int64_t *utc)
{
    *utc = local;
    if (name.size == 0 || slice_equal(name, SLICE("UTC")))
        return true;
    const struct zone *zone = find_zone(name);
    if (zone == NULL)
        return false;
    size_t guess = span_at(zone, local);
    int64_t east = zone->spans.items[guess].east;
    size_t right = span_at(zone, local - east);
    *utc = local - (right == guess ? east : zone->spans.items[right].east);
    return true;
}
