/*
 * test_descriptors.c - many small partitions under a low limit of open files.
 *
 *   etinde-descriptors-test [DAYS [DESCRIPTORS]]    default: 3 256
 *
 * A hundred tenants, both kinds, several days, with a low RLIMIT_NOFILE:
 * written in three ways (day by day, sealed each time; late into sealed days; again
 * after a restart), read tenant by tenant, with a crowd of cursors open at the
 * same time, and by two threads.  Every entry must come back.  A cursor that cannot be
 * opened for want of descriptors must say so, and all must work again afterwards.
 * Of more than 10 days only the first way of writing, and the restart.
 */
#include "base/clock.h"
#include "base/duration.h"
#include "base/error.h"
#include "base/files.h"
#include "base/number.h"
#include "storage/store.h"

#include <inttypes.h>
#include <pthread.h>
#include <sys/resource.h>
#include <unistd.h>

#define START_NS (INT64_C(1700000000) * NS_PER_SECOND)

enum { TENANTS = 100, DAYS_MAX = 60, SHORT_DAYS_MAX = 10, CROWD = 80 };

static struct store *store;
static uint64_t days = 3, descriptors = 256;

static struct slice tenant_name(unsigned tenant, char *text, size_t size)
{
    return slice_of(text, (size_t)snprintf(text, size, "tenant%u", tenant));
}

static int64_t time_at(uint64_t day, unsigned part)
{
    return START_NS + (int64_t)day * NS_PER_DAY + (int64_t)part * NS_PER_MINUTE;
}

static double value_of(unsigned tenant, uint64_t day, unsigned part)
{
    return (double)(tenant * 1000 + day * 10 + part);
}

static struct store *open_store(const char *directory, struct error *err)
{
    struct store_options options = {.directory = directory,
                                    .ack = STORE_ACK_PROCESS,
                                    .retention_ns = -1,
                                    .future_ns = -1,
                                    .past_ns = {-1, -1},
                                    .out_of_order_ns = {-1, -1},
                                    .seal_interval_ns = -1};
    return store_open(&options, err);
}

/* ---- writing -------------------------------------------------------------- */

static bool write_one(unsigned tenant, enum store_kind kind, uint64_t day, unsigned part,
                      struct error *err)
{
    char text[32];
    char line[32];
    struct batch_result result;
    struct label label = {SLICE("app"), SLICE("x")};
    struct batch *batch = batch_new(store, tenant_name(tenant, text, sizeof(text)), kind, err);
    if (batch == NULL)
        return false;
    int64_t series = batch_define(batch, 1, (struct slice){NULL, 0}, &label, 1, err);
    if (series < 0)
        return false;
    double value = value_of(tenant, day, part);
    int size = snprintf(line, sizeof(line), "%.0f", value);
    bool ok = kind == STORE_METRIC
                  ? batch_sample(batch, (uint32_t)series, time_at(day, part), value, err)
                  : batch_entry(batch, (uint32_t)series, time_at(day, part),
                                slice_of(line, (size_t)size), NULL, 0, err);
    return ok && batch_commit_wait(batch, &result, err) && result.stored == 1;
}

static bool write_day(uint64_t day, unsigned part, struct error *err)
{
    for (unsigned tenant = 0; tenant < TENANTS; tenant++) {
        for (int kind = 0; kind < STORE_KINDS; kind++) {
            if (!write_one(tenant, (enum store_kind)kind, day, part, err))
                return error_prefix(err, "writing day %d of tenant %u", (int)day, tenant);
        }
    }
    return true;
}

/* ---- reading -------------------------------------------------------------- */

static struct cursor *open_cursor(unsigned tenant, enum store_kind kind, struct error *err)
{
    char text[32];
    struct cursor_request request = {.tenant = tenant_name(tenant, text, sizeof(text)),
                                     .kind = kind,
                                     .start_ns = INT64_MIN,
                                     .end_ns = INT64_MAX,
                                     .projection = CURSOR_TIMES | CURSOR_VALUES | CURSOR_LINES};
    return cursor_open(store, &request, err);
}

static bool check_samples(struct cursor_reader *reader, unsigned tenant, unsigned parts,
                          struct error *err)
{
    struct sample_column column;
    if (!cursor_read_samples(reader, 0, &column, err))
        return false;
    if (column.count != days * parts)
        return error_set(err, ERR_INTERNAL, "%zu samples", column.count);
    for (size_t i = 0; i < column.count; i++) {
        unsigned part = (unsigned)(i % parts);
        if (column.times_ns[i] != time_at(i / parts, part) ||
            column.values[i] < value_of(tenant, i / parts, part) ||
            column.values[i] > value_of(tenant, i / parts, part))
            return error_set(err, ERR_INTERNAL, "sample %zu is wrong", i);
    }
    return true;
}

static bool check_entries(struct cursor_reader *reader, unsigned tenant, unsigned parts,
                          struct error *err)
{
    size_t seen = 0;
    struct entry_block block;
    struct entry_stream *stream = entry_stream_open(reader, 0, err);
    if (stream == NULL)
        return false;
    bool ok;
    while ((ok = entry_stream_next(stream, &block, err)) && block.count > 0) {
        for (size_t i = 0; i < block.count; i++, seen++) {
            char line[32];
            int size = snprintf(line, sizeof(line), "%.0f",
                                value_of(tenant, seen / parts, (unsigned)(seen % parts)));
            if (!slice_equal(block.lines[i], slice_of(line, (size_t)size)))
                ok = error_set(err, ERR_INTERNAL, "line %zu is wrong", seen);
        }
    }
    entry_stream_close(stream);
    if (ok && seen != days * parts)
        return error_set(err, ERR_INTERNAL, "%zu entries", seen);
    return ok;
}

static bool check_cursor(struct cursor *cursor, unsigned tenant, enum store_kind kind,
                         unsigned parts, struct error *err)
{
    if (cursor_series_count(cursor) != 1)
        return error_set(err, ERR_INTERNAL, "%zu series", cursor_series_count(cursor));
    struct cursor_reader *reader = cursor_reader_new(cursor);
    bool ok = kind == STORE_METRIC ? check_samples(reader, tenant, parts, err)
                                   : check_entries(reader, tenant, parts, err);
    cursor_reader_free(reader);
    return ok;
}

static bool check_all(unsigned parts, struct error *err)
{
    for (unsigned tenant = 0; tenant < TENANTS; tenant++) {
        for (int kind = 0; kind < STORE_KINDS; kind++) {
            struct cursor *cursor = open_cursor(tenant, (enum store_kind)kind, err);
            bool ok = cursor && check_cursor(cursor, tenant, (enum store_kind)kind, parts, err);
            cursor_close(cursor);
            if (!ok)
                return error_prefix(err, "reading kind %d of tenant %u", kind, tenant);
        }
    }
    return true;
}

/* Many cursors at a time, until there are no descriptors left for one more. */
static bool check_crowd(unsigned parts, struct error *err)
{
    struct cursor *cursors[CROWD];
    unsigned count = 0;
    while (count < CROWD && (cursors[count] = open_cursor(count, STORE_METRIC, err)) != NULL)
        count++;
    /* Each holds all its days; half of the descriptors are for them. */
    bool ok = count >= (unsigned)(descriptors / 4 / days);
    printf("%u cursors at a time%s%s\n", count, count < CROWD ? ", then: " : "",
           count < CROWD ? err->message : "");
    if (count < CROWD && err->code != ERR_UNAVAILABLE)
        ok = false;
    error_clear(err);
    for (unsigned i = 0; i < count; i++) {
        ok = ok && check_cursor(cursors[i], i, STORE_METRIC, parts, err);
        cursor_close(cursors[i]);
    }
    return ok || error_prefix(err, "%u cursors", count);
}

static void *run_reader(void *context)
{
    if (!check_all(2, context))
        fprintf(stderr, "in a thread: %s\n", ((struct error *)context)->message);
    return NULL;
}

static bool check_threads(struct error *err)
{
    pthread_t thread;
    struct error other = {0};
    if (pthread_create(&thread, NULL, run_reader, &other) != 0)
        return false;
    bool ok = check_all(2, err);
    pthread_join(thread, NULL);
    return ok && other.code == ERR_NONE;
}

static bool run(const char *directory, struct error *err)
{
    store = open_store(directory, err);
    bool ok = store != NULL;
    for (uint64_t day = 0; ok && day < days; day++)
        ok = write_day(day, 0, err) && store_seal(store, err);
    ok = ok && check_all(1, err);
    if (ok && days > SHORT_DAYS_MAX) { /* the rest would take a minute */
        store_abandon(store);
        store = open_store(directory, err);
        return store && check_crowd(1, err) && check_all(1, err);
    }
    for (uint64_t day = 0; ok && day < days; day++) /* late, into sealed days, at one go */
        ok = write_day(day, 1, err);
    ok = ok && check_all(2, err) && store_seal(store, err) && check_crowd(2, err) &&
         check_threads(err);
    if (!ok)
        return false;
    store_abandon(store);
    store = open_store(directory, err);
    if (store == NULL || !check_all(2, err))
        return false;
    for (uint64_t day = 0; ok && day < days; day++)
        ok = write_day(day, 2, err);
    if (!ok)
        return false;
    struct store *closing = store;
    store = NULL;
    if (!store_close(closing, err))
        return false;
    store = open_store(directory, err);
    return store && check_all(3, err);
}

int main(int argc, char **argv)
{
    struct error err = {0};
    char directory[64];
    char command[128];
    if ((argc > 1 && !slice_parse_u64(slice_from_text(argv[1]), &days)) || days > DAYS_MAX ||
        (argc > 2 && !slice_parse_u64(slice_from_text(argv[2]), &descriptors)))
        return 2;
    const struct rlimit limit = {descriptors, descriptors};
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
        return 2;
    const char *base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    snprintf(directory, sizeof(directory), "%s/etinde-descriptors-XXXXXX", base);
    if (mkdtemp(directory) == NULL)
        return 2;
    int64_t start = clock_monotonic_ns();
    bool ok = run(directory, &err);
    store_abandon(store);
    snprintf(command, sizeof(command), "rm -rf '%s'", directory);
    if (system(command) != 0)
        return 2;
    printf("%d tenants, 2 kinds, %" PRIu64 " days, %" PRIu64 " descriptors: %s in %.1f s\n",
           TENANTS, days, descriptors, ok ? "all read back" : err.message,
           (double)(clock_monotonic_ns() - start) / 1e9);
    return ok ? 0 : 1;
}
