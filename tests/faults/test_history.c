/*
 * test_history.c - a read contains all that was acknowledged before it began.
 *
 *   etinde-history-test [SECONDS]                   default: 8 seconds
 *
 * Four writers (two of metrics, two of logs) write numbered entries, in order
 * but for every seventh, which goes into the past.  Each notes the number that
 * it hands over next and the last one acknowledged.  Two readers note what was
 * acknowledged, read, and note what was handed over: the read must hold every
 * entry up to the first, none above the second, and each once.  All the while a
 * thread seals and closes the days that are over.  At the end the store is let go of as by a kill
 * and opened again: everything must still be there.
 */
#include "base/clock.h"
#include "base/compiler.h"
#include "base/duration.h"
#include "base/error.h"
#include "base/memory.h"
#include "base/number.h"
#include "storage/store.h"

#include <inttypes.h>
#include <pthread.h>
#include <unistd.h>

#define START_NS (INT64_C(1700000000) * NS_PER_SECOND)

enum { WRITERS = 4, READERS = 2, SERIES = 3, NUMBERS_MAX = 20000, LATE_EVERY = 7 };

static struct store *store;
static bool stopping;
static uint64_t failures;

struct writer {
    unsigned number;
    enum store_kind kind;
    unsigned sent, acknowledged; /* atomic: entries [0, ...) */
};

static struct writer writers[WRITERS];

struct reader_thread {
    enum store_kind kind;
    uint64_t reads;
};

static void fail(const char *what, unsigned writer, unsigned number, const char *detail)
{
    if (__atomic_add_fetch(&failures, 1, __ATOMIC_SEQ_CST) <= 10)
        fprintf(stderr, "%s: writer %u, entry %u %s\n", what, writer, number, detail);
}

static unsigned load(const unsigned *number)
{
    return __atomic_load_n(number, __ATOMIC_SEQ_CST);
}

/* Every seventh goes to a time of its own in the past. */
static int64_t time_of(unsigned number)
{
    int64_t time = START_NS + (int64_t)number * 20 * NS_PER_SECOND; /* 4,320 make a day */
    return number % LATE_EVERY == LATE_EVERY - 1 ? time - 40 * NS_PER_SECOND - 250 * NS_PER_MS
                                                 : time;
}

static struct store_options options_of(const char *directory)
{
    return (struct store_options){.directory = directory,
                                  .ack = STORE_ACK_PROCESS,
                                  .retention_ns = -1,
                                  .future_ns = -1,
                                  .past_ns = {-1, -1},
                                  .out_of_order_ns = {5 * NS_PER_MINUTE, 5 * NS_PER_MINUTE},
                                  .seal_interval_ns = -1,
                                  .wal_segment_size = 128 * 1024};
}

/* ---- writers -------------------------------------------------------------- */

/* Entry `number`: the same in each of the writer's series. */
static bool write_number(const struct writer *writer, unsigned number, struct error *err)
{
    struct batch_result result;
    struct batch *batch = batch_new(store, SLICE("t"), writer->kind, err);
    if (batch == NULL)
        return false;
    for (unsigned s = 0; s < SERIES; s++) {
        char text[16];
        char part[16];
        snprintf(text, sizeof(text), "%u", writer->number);
        snprintf(part, sizeof(part), "%u", s);
        struct label labels[] = {{SLICE("part"), slice_from_text(part)},
                                 {SLICE("writer"), slice_from_text(text)}};
        int64_t series = batch_define(batch, 1, (struct slice){NULL, 0}, labels, 2, err);
        if (series < 0)
            return false;
        snprintf(text, sizeof(text), "%u", number);
        bool ok = writer->kind == STORE_METRIC
                      ? batch_sample(batch, (uint32_t)series, time_of(number), number, err)
                      : batch_entry(batch, (uint32_t)series, time_of(number), slice_from_text(text),
                                    NULL, 0, err);
        if (!ok)
            return false;
    }
    return batch_commit_wait(batch, &result, err) && result.stored == SERIES;
}

static void *run_writer(void *context)
{
    struct writer *writer = context;
    for (unsigned i = 0; i < NUMBERS_MAX && !__atomic_load_n(&stopping, __ATOMIC_ACQUIRE); i++) {
        struct error err = {0};
        __atomic_store_n(&writer->sent, i + 1, __ATOMIC_SEQ_CST);
        if (!write_number(writer, i, &err)) {
            fail("write", writer->number, i, err.message);
            break;
        }
        __atomic_store_n(&writer->acknowledged, i + 1, __ATOMIC_SEQ_CST);
        if (i % 16 == 15)
            usleep(1000);
    }
    return NULL;
}

static void *run_sealer(void *context)
{
    (void)context;
    for (unsigned pass = 0; !__atomic_load_n(&stopping, __ATOMIC_ACQUIRE); pass++) {
        struct error err = {0};
        if (!store_seal(store, &err))
            fail("seal", 0, 0, err.message);
        unsigned oldest = NUMBERS_MAX;
        for (unsigned i = 0; i < WRITERS; i++)
            if (load(&writers[i].acknowledged) < oldest)
                oldest = load(&writers[i].acknowledged);
        if (pass % 16 == 15 && !store_close_days(store, time_of(oldest), &err))
            fail("close", 0, 0, err.message);
        usleep(3000);
    }
    return NULL;
}

/* ---- readers -------------------------------------------------------------- */

struct view {
    unsigned acknowledged[WRITERS], sent[WRITERS];
    unsigned parts[WRITERS];
    uint8_t *seen; /* of the series at hand, by number */
    int64_t last_ns;
};

static void see(struct view *view, unsigned writer, int64_t time_ns, uint64_t number)
{
    if (number >= NUMBERS_MAX || time_of((unsigned)number) != time_ns) {
        fail("invented", writer, (unsigned)number, "");
        return;
    }
    if (time_ns < view->last_ns)
        fail("out of order", writer, (unsigned)number, "");
    view->last_ns = time_ns;
    if (view->seen[number]++)
        fail("read twice", writer, (unsigned)number, "");
}

static bool read_entries(struct view *view, struct cursor_reader *reader, size_t at,
                         unsigned writer, struct error *err)
{
    struct entry_block block;
    struct entry_stream *stream = entry_stream_open(reader, at, err);
    if (stream == NULL)
        return false;
    bool ok;
    while ((ok = entry_stream_next(stream, &block, err)) && block.count > 0) {
        for (size_t i = 0; i < block.count; i++) {
            uint64_t number = UINT64_MAX;
            if (!slice_parse_u64(block.lines[i], &number))
                number = UINT64_MAX;
            see(view, writer, block.times_ns[i], number);
        }
    }
    entry_stream_close(stream);
    return ok;
}

static bool read_samples(struct view *view, struct cursor_reader *reader, size_t at,
                         unsigned writer, struct error *err)
{
    struct sample_column column;
    if (!cursor_read_samples(reader, at, &column, err))
        return false;
    for (size_t i = 0; i < column.count; i++)
        see(view, writer, column.times_ns[i],
            column.values[i] >= 0 ? (uint64_t)column.values[i] : UINT64_MAX);
    return true;
}

static void read_cursor(struct view *view, struct cursor *cursor, enum store_kind kind)
{
    struct error err = {0};
    struct cursor_reader *reader = cursor_reader_new(cursor);
    for (size_t i = 0; i < cursor_series_count(cursor); i++) {
        unsigned writer =
            (unsigned)(labels_get(cursor_labels(cursor, i), SLICE("writer")).data[0] - '0');
        memset(view->seen, 0, NUMBERS_MAX);
        view->last_ns = INT64_MIN;
        if (!(kind == STORE_METRIC ? read_samples(view, reader, i, writer, &err)
                                   : read_entries(view, reader, i, writer, &err)))
            fail("read", writer, 0, err.message);
        for (unsigned n = 0; n < NUMBERS_MAX; n++) {
            if (n < view->acknowledged[writer] && view->seen[n] == 0)
                fail("acknowledged and not read", writer, n, "");
            if (n >= view->sent[writer] && view->seen[n] > 0)
                fail("read and not sent", writer, n, "");
        }
        view->parts[writer]++;
    }
    cursor_reader_free(reader);
}

static void read_once(enum store_kind kind, struct view *view)
{
    struct error err = {0};
    struct cursor_request request = {.tenant = SLICE("t"),
                                     .kind = kind,
                                     .start_ns = INT64_MIN,
                                     .end_ns = INT64_MAX,
                                     .projection = CURSOR_TIMES | CURSOR_VALUES | CURSOR_LINES};
    memset(view->parts, 0, sizeof(view->parts));
    for (unsigned w = 0; w < WRITERS; w++)
        view->acknowledged[w] = load(&writers[w].acknowledged);
    struct cursor *cursor = cursor_open(store, &request, &err);
    if (cursor == NULL) {
        fail("cursor_open", 0, 0, err.message);
        return;
    }
    for (unsigned w = 0; w < WRITERS; w++)
        view->sent[w] = load(&writers[w].sent);
    read_cursor(view, cursor, kind);
    cursor_close(cursor);
    for (unsigned w = 0; w < WRITERS; w++) {
        if (writers[w].kind == kind && view->acknowledged[w] > 0 && view->parts[w] != SERIES)
            fail("a series is missing", w, 0, "");
    }
}

static void *run_reader(void *context)
{
    struct reader_thread *thread = context;
    struct view view = {.seen = xcalloc(NUMBERS_MAX, 1)};
    while (!__atomic_load_n(&stopping, __ATOMIC_ACQUIRE)) {
        read_once(thread->kind, &view);
        thread->reads++;
    }
    free(view.seen);
    return NULL;
}

/* ---- all together ---------------------------------------------------------- */

static void start(pthread_t *thread, void *(*run)(void *), void *context)
{
    if (pthread_create(thread, NULL, run, context) != 0)
        abort();
}

static void run_threads(uint64_t seconds, struct reader_thread *readers)
{
    pthread_t threads[WRITERS + READERS + 1];
    size_t count = 0;
    for (unsigned i = 0; i < WRITERS; i++) {
        writers[i].number = i;
        writers[i].kind = i % 2 ? STORE_LOG : STORE_METRIC;
        start(&threads[count++], run_writer, &writers[i]);
    }
    for (unsigned i = 0; i < READERS; i++) {
        readers[i].kind = i % 2 ? STORE_LOG : STORE_METRIC;
        start(&threads[count++], run_reader, &readers[i]);
    }
    start(&threads[count++], run_sealer, NULL);
    for (uint64_t i = 0; i < seconds * 10 && __atomic_load_n(&failures, __ATOMIC_SEQ_CST) == 0; i++)
        usleep(100000);
    __atomic_store_n(&stopping, true, __ATOMIC_RELEASE);
    for (size_t i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
}

static void check_after_restart(const struct store_options *options)
{
    struct error err = {0};
    struct view view = {.seen = xcalloc(NUMBERS_MAX, 1)};
    store_abandon(store);
    store = store_open(options, &err);
    if (store == NULL) {
        fail("opening again", 0, 0, err.message);
    } else {
        read_once(STORE_METRIC, &view);
        read_once(STORE_LOG, &view);
    }
    free(view.seen);
}

int main(int argc, char **argv)
{
    uint64_t seconds = 8;
    struct error err = {0};
    struct reader_thread readers[READERS] = {0};
    char directory[64];
    char command[128];
    if (argc > 1 && !slice_parse_u64(slice_from_text(argv[1]), &seconds))
        return 2;
    const char *base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    snprintf(directory, sizeof(directory), "%s/etinde-history-XXXXXX", base);
    if (mkdtemp(directory) == NULL)
        return 2;
    struct store_options options = options_of(directory);
    store = store_open(&options, &err);
    if (store == NULL) {
        fprintf(stderr, "%s\n", err.message);
        return 2;
    }
    run_threads(seconds, readers);
    check_after_restart(&options);
    store_abandon(store);
    snprintf(command, sizeof(command), "rm -rf '%s'", directory);
    if (system(command) != 0)
        return 2;
    unsigned written = 0;
    for (unsigned w = 0; w < WRITERS; w++)
        written += writers[w].acknowledged;
    printf("%u batches acknowledged, %" PRIu64 " and %" PRIu64 " reads, %" PRIu64 " failures\n",
           written, readers[0].reads, readers[1].reads, failures);
    return failures == 0 ? 0 : 1;
}
