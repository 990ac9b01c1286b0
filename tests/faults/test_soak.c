/*
 * test_soak.c - memory, descriptors, threads and disk stay flat while days go by.
 *
 *   etinde-soak-test [SECONDS]                     default: 30 seconds; a long form: 1800
 *
 * The store's clock runs so fast that ten days pass in the given time, whatever it is.
 * Two writers send metrics and logs of that time, some series only for an hour; two
 * readers run PromQL and LogQL over the last hours; the sealer works by itself, and a thread closes
 * days, applies a retention of two days and takes snapshots away.  Twenty times it prints
 * what the process holds.  The second half must not hold more than the first (from its
 * fourth reading on, when retention has begun to delete), but for a small allowance.
 */
#include "base/clock.h"
#include "base/compiler.h"
#include "base/duration.h"
#include "base/error.h"
#include "base/number.h"
#include "query/query.h"
#include "storage/store.h"

#include <dirent.h>
#include <inttypes.h>
#include <malloc.h>
#include <pthread.h>
#include <unistd.h>

#define START_NS (INT64_C(1700000000) * NS_PER_SECOND)

enum { DAYS = 10, READINGS = 20, WARM = 8, SERIES = 50, STREAMS = 10 };

static struct {
    struct store *store;
    int64_t began_ns, factor;
    bool stopping; /* atomic */
    uint64_t batches, queries, failures;
    char directory[64];
} run;

static int64_t fast_now(void *context)
{
    (void)context;
    return START_NS + (clock_monotonic_ns() - run.began_ns) * run.factor;
}

static bool goes_on(void)
{
    return !__atomic_load_n(&run.stopping, __ATOMIC_ACQUIRE);
}

static void failed(const char *what, const struct error *err)
{
    if (__atomic_add_fetch(&run.failures, 1, __ATOMIC_SEQ_CST) <= 5)
        fprintf(stderr, "%s: %s\n", what, err->message);
}

/* ---- writers ------------------------------------------------------------- */

static bool add(struct batch *batch, enum store_kind kind, unsigned number, int64_t time_ns,
                struct error *err)
{
    char name[16], hour[24], line[120];
    snprintf(name, sizeof(name), "i%u", number);
    snprintf(hour, sizeof(hour), "h%" PRId64, time_ns / NS_PER_HOUR);
    struct label labels[] = {{LABEL_NAME_METRIC, SLICE("m")},
                             {SLICE("hour"), slice_from_text(number % 5 == 0 ? hour : "all")},
                             {SLICE("instance"), slice_from_text(name)}};
    bool metric = kind == STORE_METRIC;
    int64_t series =
        batch_define(batch, 1, (struct slice){NULL, 0}, labels + !metric, metric ? 3 : 2, err);
    int n = snprintf(line, sizeof(line), "level=info request of %u at %" PRId64, number, time_ns);
    return series >= 0 &&
           (metric ? batch_sample(batch, (uint32_t)series, time_ns, (double)(time_ns / 997), err)
                   : batch_entry(batch, (uint32_t)series, time_ns, slice_of(line, (size_t)n), NULL,
                                 0, err));
}

static void *write_kind(void *context)
{
    enum store_kind kind = *(enum store_kind *)context;
    int64_t last = 0;
    while (goes_on()) {
        struct error err = {0};
        struct batch_result result;
        int64_t now = fast_now(NULL) / NS_PER_MS * NS_PER_MS;
        struct batch *batch = now > last ? batch_new(run.store, SLICE("t"), kind, &err) : NULL;
        bool ok = batch != NULL;
        for (unsigned i = 0; ok && i < (kind == STORE_METRIC ? SERIES : STREAMS); i++)
            ok = add(batch, kind, i, now, &err);
        if (!ok && batch != NULL)
            batch_free(batch);
        if (now > last && (!ok || !batch_commit_wait(batch, &result, &err)))
            failed("write", &err);
        last = now;
        __atomic_add_fetch(&run.batches, 1, __ATOMIC_RELAXED);
        usleep(10000);
    }
    return NULL;
}

/* ---- readers and upkeep ------------------------------------------------------ */

static void ask(enum query_language language, struct slice text)
{
    struct error err = {0};
    int64_t now = fast_now(NULL);
    struct query_request request = {.language = language,
                                    .tenant = SLICE("t"),
                                    .text = text,
                                    .start_ns = now - 6 * NS_PER_HOUR,
                                    .end_ns = now,
                                    .step_ns = 10 * NS_PER_MINUTE,
                                    .limit = 500};
    struct query_result *result = query_run(run.store, &request, &err);
    if (result == NULL)
        failed("query", &err);
    query_result_free(result);
    __atomic_add_fetch(&run.queries, 1, __ATOMIC_RELAXED);
}

static void *read_all(void *context)
{
    (void)context;
    while (goes_on()) {
        ask(QUERY_PROMQL, SLICE("sum by (hour) (rate(m[1h]))"));
        ask(QUERY_PROMQL, SLICE("count(m{instance=~\"i1.*\"})"));
        ask(QUERY_LOGQL, SLICE("sum(count_over_time({instance=~\"i.*\"} |= \"request\" [1h]))"));
        ask(QUERY_LOGQL, SLICE("{hour=\"all\"} |= \"of 7\""));
        usleep(20000);
    }
    return NULL;
}

static void *keep_up(void *context)
{
    (void)context;
    while (goes_on()) {
        struct error err = {0};
        if (!store_close_days(run.store, fast_now(NULL), &err))
            failed("closing days", &err);
        if (!store_retention(run.store, &err))
            failed("retention", &err);
        usleep(300000);
    }
    return NULL;
}

/* ---- what the process holds ----------------------------------------------------- */

struct reading {
    double anon_mib, used_mib, descriptors, threads, disk_mib;
};

static double status_value(const char *file, const char *name)
{
    char line[256];
    double value = 0;
    FILE *in = fopen(file, "re");
    while (in && fgets(line, sizeof(line), in))
        if (strncmp(line, name, strlen(name)) == 0)
            value = strtod(line + strlen(name), NULL);
    if (in)
        fclose(in);
    return value;
}

static double count_entries(const char *path)
{
    double count = 0;
    DIR *directory = opendir(path);
    while (directory && readdir(directory))
        count++;
    if (directory)
        closedir(directory);
    return count - 2;
}

static struct reading look(void)
{
    struct store_stats stats;
    store_stats_read(run.store, &stats);
    return (struct reading){
        .anon_mib = status_value("/proc/self/status", "RssAnon:") / 1024,
        .used_mib = (double)mallinfo2().uordblks / 1048576,
        .descriptors = count_entries("/proc/self/fd"),
        .threads = status_value("/proc/self/status", "Threads:"),
        .disk_mib = (double)(stats.partition_bytes + stats.wal_bytes) / 1048576,
    };
}

static double most(const struct reading *readings, int from, int end, size_t offset)
{
    double value = 0;
    for (int i = from; i < end; i++) {
        double one;
        memcpy(&one, (const char *)&readings[i] + offset, sizeof(one));
        value = one > value ? one : value;
    }
    return value;
}

static bool is_flat(const struct reading *readings, const char *name, size_t offset, double part,
                    double allowance)
{
    int middle = (WARM + READINGS) / 2;
    double before = most(readings, WARM, middle, offset);
    double after = most(readings, middle, READINGS, offset);
    bool flat = after <= before * (1 + part) + allowance;
    printf("%s: at most %.1f, then %.1f: %s\n", name, before, after, flat ? "flat" : "GROWS");
    return flat;
}

static bool watch(uint64_t seconds)
{
    struct reading r[READINGS];
    for (int i = 0; i < READINGS; i++) {
        usleep((unsigned)(seconds * 1000000 / READINGS));
        r[i] = look();
        printf("day %5.2f: %6.1f MiB anonymous (%.1f allocated), %3.0f descriptors, %2.0f threads, "
               "%6.1f MiB on disk\n",
               (double)(fast_now(NULL) - START_NS) / (double)NS_PER_DAY, r[i].anon_mib,
               r[i].used_mib, r[i].descriptors, r[i].threads, r[i].disk_mib);
        fflush(stdout);
    }
    bool ok = is_flat(r, "anonymous MiB", offsetof(struct reading, anon_mib), 0.1, 6);
    ok = is_flat(r, "descriptors", offsetof(struct reading, descriptors), 0, 6) && ok;
    ok = is_flat(r, "threads", offsetof(struct reading, threads), 0, 0) && ok;
    return is_flat(r, "disk MiB", offsetof(struct reading, disk_mib), 0.25, 4) && ok;
}

int main(int argc, char **argv)
{
    static enum store_kind kinds[] = {STORE_METRIC, STORE_LOG};
    uint64_t seconds = 30;
    struct error err = {0};
    if ((argc > 1 && !slice_parse_u64(slice_from_text(argv[1]), &seconds)) || seconds == 0)
        return 2;
    mallopt(M_ARENA_MAX, 4); /* as the server does */
    mallopt(M_MMAP_THRESHOLD, 1024 * 1024);
    mallopt(M_TRIM_THRESHOLD, 2 * 1024 * 1024);
    run.factor = DAYS * NS_PER_DAY / ((int64_t)seconds * NS_PER_SECOND);
    run.began_ns = clock_monotonic_ns();
    struct clock clock = {fast_now, NULL};
    snprintf(run.directory, sizeof(run.directory), "/tmp/etinde-soak-XXXXXX");
    if (mkdtemp(run.directory) == NULL)
        return 2;
    struct store_options options = {.directory = run.directory,
                                    .ack = STORE_ACK_PROCESS,
                                    .clock = &clock,
                                    .retention_ns = 2 * NS_PER_DAY,
                                    .past_ns = {-1, -1},
                                    .future_ns = -1,
                                    .seal_interval_ns = 200 * NS_PER_MS,
                                    .series_idle_ns = 2 * NS_PER_SECOND,
                                    .wal_segment_size = 1024 * 1024,
                                    .wal_size_max = 4 * 1024 * 1024};
    run.store = store_open(&options, &err);
    if (run.store == NULL) {
        fprintf(stderr, "%s\n", err.message);
        return 2;
    }
    pthread_t threads[4];
    pthread_create(&threads[0], NULL, write_kind, &kinds[0]);
    pthread_create(&threads[1], NULL, write_kind, &kinds[1]);
    pthread_create(&threads[2], NULL, read_all, NULL);
    pthread_create(&threads[3], NULL, keep_up, NULL);
    bool ok = watch(seconds);
    __atomic_store_n(&run.stopping, true, __ATOMIC_RELEASE);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    ok = store_close(run.store, &err) && ok && run.failures == 0;
    char command[96];
    snprintf(command, sizeof(command), "rm -rf '%s'", run.directory);
    ok = system(command) == 0 && ok;
    printf("%" PRIu64 " batches, %" PRIu64 " queries, %" PRIu64 " failures: %s\n", run.batches,
           run.queries, run.failures, ok ? "flat" : "FAILED");
    return ok ? 0 : 1;
}
