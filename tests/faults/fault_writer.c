/*
 * fault_writer.c - the process that the kill tests kill (see fault_model.h).
 *
 *   etinde-fault-writer write DIR EVENTS durable|process [OPTION...]
 *   etinde-fault-writer check DIR EVENTS
 *
 * `write` runs two writers, one of metrics and one of logs, which also delete, and a third thread
 * that seals all the time and closes the days that are over.  To EVENTS it appends "S m 12" before
 * it hands batch 12 of metrics over and "A m 12" when that is acknowledged, each with one write(),
 * so the lines outlive the process; "D m 12" before the batch is deleted and "E m 12" after that.
 * Options: --batches N stop after N of each kind and close the store; --crash NAME K end the
 * process at the K-th passing of that point; --full K the K-th write of the log finds the disk
 * full.
 */
#include "fault_model.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/files.h"
#include "base/histogram.h"
#include "base/matcher.h"
#include "storage/crash_point.h"
#include "storage/lmdb_env.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

static struct {
    struct store *store;
    int events;
    uint64_t batches; /* 0: for ever */
    bool stopping;
    uint64_t newest[STORE_KINDS]; /* atomic */
} run;

static struct {
    const char *name;
    long countdown;
    long full_countdown;
} plan;

static void crash(const char *name)
{
    if (plan.name && strcmp(name, plan.name) == 0 &&
        __atomic_sub_fetch(&plan.countdown, 1, __ATOMIC_SEQ_CST) == 0)
        kill(getpid(), SIGKILL);
}

static int crash_in_lmdb(const char *call)
{
    if (strcmp(call, "commit") == 0)
        crash("seal.written");
    return 0;
}

static ssize_t pwrite_until_full(int fd, const void *data, size_t size, off_t offset)
{
    if (__atomic_sub_fetch(&plan.full_countdown, 1, __ATOMIC_SEQ_CST) == 0) {
        errno = ENOSPC;
        return -1;
    }
    return pwrite(fd, data, size, offset);
}

static int hook_open(const char *path, int flags, mode_t mode)
{
    return open(path, flags, mode);
}

static void die(const char *what, const struct error *err)
{
    fprintf(stderr, "%s: %s\n", what, err->message);
    exit(2);
}

static void note(char event, enum store_kind kind, uint64_t number)
{
    char line[64];
    int size = snprintf(line, sizeof(line), "%c %c %llu\n", event, kind == STORE_METRIC ? 'm' : 'l',
                        (unsigned long long)number);
    if (write(run.events, line, (size_t)size) != size)
        abort();
}

static uint32_t define(struct batch *batch, enum store_kind kind, unsigned series)
{
    char name[16];
    struct error err = {0};
    int size = snprintf(name, sizeof(name), "s%u", series);
    struct slice value = slice_of(name, (size_t)size);
    int64_t number = batch_find(batch, 1, value);
    if (number >= 0)
        return (uint32_t)number;
    struct label labels[] = {{SLICE("series"), value}, {LABEL_NAME_METRIC, SLICE("m")}};
    number = batch_define(batch, 1, value, labels, kind == STORE_METRIC ? 2 : 1, &err);
    if (number < 0)
        die("batch_define", &err);
    return (uint32_t)number;
}

static bool add_sample(struct batch *batch, uint32_t in_batch, unsigned series, uint64_t number,
                       int64_t time, struct error *err)
{
    static const struct histogram_span span = {3, 1};
    double value = (double)(number * FAULT_SERIES + series);
    struct histogram h = {.count = value, .sum = value, .positive = {&span, 1, &value, 1}};
    switch (fault_shape(series, number)) {
    case FAULT_STARTED:
        return batch_sample_start(batch, in_batch, time, fault_start(number), value, err);
    case FAULT_HISTOGRAM:
        return batch_histogram(batch, in_batch, time, 0, &h, err);
    default:
        return batch_sample(batch, in_batch, time, value, err);
    }
}

static void add(struct batch *batch, enum store_kind kind, unsigned series, uint64_t number,
                bool late)
{
    char line[64];
    struct error err = {0};
    int64_t time = fault_time(number) - (late ? FAULT_LATE : 0);
    uint32_t in_batch = define(batch, kind, series);
    if (kind == STORE_METRIC) {
        if (!add_sample(batch, in_batch, series, number, time, &err))
            die("batch_sample", &err);
        return;
    }
    int size = snprintf(line, sizeof(line), "%llu/%u%s", (unsigned long long)number, series,
                        late ? "/late" : "");
    struct label metadata = {SLICE("trace"), slice_of(line, (size_t)size)};
    if (!batch_entry(batch, in_batch, time, slice_of(line, (size_t)size), &metadata,
                     number % 2 == 0 ? 1 : 0, &err))
        die("batch_entry", &err);
}

/* True when it was stored; false: try again. */
static bool write_batch(enum store_kind kind, uint64_t number)
{
    struct error err = {0};
    struct batch_result result;
    struct batch *batch = batch_new(run.store, SLICE("fault"), kind, &err);
    if (batch == NULL && err.code == ERR_UNAVAILABLE)
        return false;
    if (batch == NULL)
        die("batch_new", &err);
    for (unsigned series = 0; series < FAULT_SERIES; series++)
        add(batch, kind, series, number, false);
    if (fault_has_late(number))
        add(batch, kind, 0, number, true);
    batch_set_producer(batch, SLICE("fault-writer"), 1, number);
    if (!batch_commit_wait(batch, &result, &err)) {
        if (err.code != ERR_UNAVAILABLE)
            die("batch_commit", &err);
        return false;
    }
    if (!result.repeated && result.stored != fault_entries(number)) {
        fprintf(stderr, "batch %llu stored %llu of %u\n", (unsigned long long)number,
                (unsigned long long)result.stored, fault_entries(number));
        exit(2);
    }
    return true;
}

/* The entries at the batch's own time. */
static void delete_batch(enum store_kind kind, uint64_t number)
{
    struct error err = {0};
    struct matcher any;
    if (!matcher_init(&any, MATCH_NOT_EQUAL, SLICE("series"), SLICE(""), &err))
        die("matcher_init", &err);
    struct view_selector selector = {&any, 1};
    struct store_delete request = {.tenant = SLICE("fault"),
                                   .kind = kind,
                                   .start_ns = fault_time(number),
                                   .end_ns = fault_time(number),
                                   .selectors = &selector,
                                   .selector_count = 1};
    note('D', kind, number);
    while (!store_delete(run.store, &request, NULL, &err)) {
        if (err.code != ERR_UNAVAILABLE && err.code != ERR_RATE)
            die("store_delete", &err);
        usleep(1000);
    }
    note('E', kind, number);
    matcher_done(&any);
}

static uint64_t next_number[STORE_KINDS];

static void *write_kind(void *context)
{
    enum store_kind kind = *(enum store_kind *)context;
    uint64_t first = next_number[kind];
    for (uint64_t number = first; run.batches == 0 || number < first + run.batches; number++) {
        note('S', kind, number);
        while (!write_batch(kind, number))
            usleep(1000);
        note('A', kind, number);
        __atomic_store_n(&run.newest[kind], number, __ATOMIC_RELEASE);
        if (number % FAULT_DELETE_EVERY == 0 && number >= first + FAULT_DELETE_BACK)
            delete_batch(kind, number - FAULT_DELETE_BACK);
    }
    return NULL;
}

static void *seal_always(void *context)
{
    (void)context;
    for (unsigned passes = 0; !__atomic_load_n(&run.stopping, __ATOMIC_ACQUIRE); passes++) {
        struct error err = {0};
        if (!store_seal(run.store, &err))
            fprintf(stderr, "store_seal: %s\n", err.message);
        uint64_t newest[] = {__atomic_load_n(&run.newest[0], __ATOMIC_ACQUIRE),
                             __atomic_load_n(&run.newest[1], __ATOMIC_ACQUIRE)};
        uint64_t oldest = newest[0] < newest[1] ? newest[0] : newest[1];
        if (passes % 4 == 3 && !store_close_days(run.store, fault_time(oldest), &err))
            fprintf(stderr, "store_close_days: %s\n", err.message);
        usleep(5000);
    }
    return NULL;
}

/* Behind the last number that was sent; batches in doubt are left as they are. */
static void read_numbers(const char *path)
{
    FILE *file = fopen(path, "re");
    char line[64];
    while (file && fgets(line, sizeof(line), file)) {
        enum store_kind kind = line[2] == 'm' ? STORE_METRIC : STORE_LOG;
        uint64_t number = strtoull(line + 4, NULL, 10);
        if (number >= next_number[kind])
            next_number[kind] = number + 1;
    }
    if (file)
        fclose(file);
}

static void parse_options(int argc, char **argv)
{
    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], "--batches") == 0 && i + 1 < argc) {
            run.batches = strtoull(argv[++i], NULL, 10);
        } else if (strcmp(argv[i], "--crash") == 0 && i + 2 < argc) {
            plan.name = argv[++i];
            plan.countdown = strtol(argv[++i], NULL, 10);
            crash_hook = crash;
            lmdb_fault = crash_in_lmdb;
        } else if (strcmp(argv[i], "--full") == 0 && i + 1 < argc) {
            static struct file_hooks hooks;
            plan.full_countdown = strtol(argv[++i], NULL, 10);
            hooks = (struct file_hooks){.open = hook_open,
                                        .pwrite = pwrite_until_full,
                                        .fdatasync = fdatasync,
                                        .fsync = fsync,
                                        .ftruncate = ftruncate,
                                        .rename = rename,
                                        .unlink = unlink,
                                        .mkdir = mkdir};
            file_hooks = &hooks;
        }
    }
}

static int write_all(const char *directory, const char *events, bool durable)
{
    struct error err = {0};
    static enum store_kind kinds[] = {STORE_METRIC, STORE_LOG};
    pthread_t writers[STORE_KINDS];
    pthread_t sealer;
    read_numbers(events);
    run.events = open(events, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
    struct store_options options = fault_options(directory, durable);
    run.store = store_open(&options, &err);
    if (run.store == NULL)
        die("store_open", &err);
    for (int i = 0; i < STORE_KINDS; i++)
        pthread_create(&writers[i], NULL, write_kind, &kinds[i]);
    pthread_create(&sealer, NULL, seal_always, NULL);
    for (int i = 0; i < STORE_KINDS; i++)
        pthread_join(writers[i], NULL);
    __atomic_store_n(&run.stopping, true, __ATOMIC_RELEASE);
    pthread_join(sealer, NULL);
    if (!store_close(run.store, &err))
        die("store_close", &err);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 4 && strcmp(argv[1], "check") == 0)
        return fault_check(argv[2], argv[3]);
    if (argc < 5 || strcmp(argv[1], "write") != 0) {
        fprintf(stderr,
                "usage: %s write DIR EVENTS durable|process [OPTION...]\n"
                "       %s check DIR EVENTS\n",
                argv[0], argv[0]);
        return 1;
    }
    parse_options(argc - 5, argv + 5);
    return write_all(argv[2], argv[3], strcmp(argv[4], "durable") == 0);
}
