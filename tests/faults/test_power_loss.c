/*
 * test_power_loss.c - what was acknowledged durably survives a power loss.
 *
 *   etinde-power-loss-test [CUTS [SEED]]            default: 50 cuts from seed 1
 *
 * A store in durable mode takes numbered batches, several at a time, in small
 * segments, over several days and starts; between them it seals, deletes, and
 * closes days.  power_recorder.h notes all that reaches its files, LMDB's included.
 * Then the directory is built again as it may lie on the disk after a power loss at
 * random points.  The store must open, hold every batch that had been acknowledged, whole
 * and once, nothing that was not sent, nothing whose delete was acknowledged,
 * take new batches, hold them all after sealing and one more start, and verify must
 * find nothing.
 */
#include "base/compiler.h"
#include "base/duration.h"
#include "base/error.h"
#include "base/matcher.h"
#include "base/number.h"
#include "storage/store.h"
#include "storage/verify.h"
#include "tests/faults/power_recorder.h"
#include "tests/faults/store_model.h"

#include <inttypes.h>
#include <pthread.h>
#include <unistd.h>

#define START_NS (INT64_C(1700000000) * NS_PER_SECOND)

enum { STARTS = 4, PHASES = 3, PHASE = 40, BATCHES = STARTS * PHASES * PHASE };
enum { MORE = 3, AT_ONCE = 6, SERIES = 3, VERIFY_EVERY = 5 };

static const int64_t step_ns = 10 * NS_PER_MINUTE; /* all together over three days */

static struct {
    pthread_mutex_t lock;
    pthread_cond_t done;
    unsigned waiting;
    size_t acknowledged_at[BATCHES]; /* the point in the record; 0: never */
    size_t delete_began_at[BATCHES], deleted_at[BATCHES];
} acks = {.lock = PTHREAD_MUTEX_INITIALIZER, .done = PTHREAD_COND_INITIALIZER};

static unsigned numbers[BATCHES];

static struct store *open_store(const char *directory, struct error *err)
{
    struct store_options options = {.directory = directory,
                                    .ack = STORE_ACK_DURABLE,
                                    .retention_ns = -1,
                                    .future_ns = -1,
                                    .past_ns = {-1, -1},
                                    .out_of_order_ns = {3 * NS_PER_HOUR, 3 * NS_PER_HOUR},
                                    .seal_interval_ns = -1,
                                    .wal_segment_size = 12000};
    return store_open(&options, err);
}

static int64_t time_of(unsigned number)
{
    return START_NS + (int64_t)number * step_ns;
}

static enum store_kind kind_of(unsigned number)
{
    return number % 2 ? STORE_LOG : STORE_METRIC;
}

/* Some lines are longer than sectors. */
static struct slice line_of(unsigned number, char *line, size_t size)
{
    int length = snprintf(line, size, "%u ", number);
    size_t wanted = (size_t)length + (number % 8 == 1 ? 1500 : 20);
    memset(line + length, 'a' + (int)(number % 26), wanted - (size_t)length);
    return slice_of(line, wanted);
}

static struct batch *fill(struct store *store, unsigned number, struct error *err)
{
    enum store_kind kind = kind_of(number);
    struct batch *batch = batch_new(store, SLICE("t"), kind, err);
    if (batch) /* these ids are carried into each segment: its start has many sectors */
        batch_set_producer(batch, SLICE("agent"), 1, number + 1);
    for (unsigned s = 0; batch && s < SERIES; s++) {
        char line[2000];
        struct label labels[MODEL_LABELS_MAX];
        size_t count = model_labels(kind, s, labels);
        int64_t series = batch_define(batch, 1, (struct slice){NULL, 0}, labels, count, err);
        int64_t time = time_of(number);
        if (series < 0 || !(kind == STORE_METRIC
                                ? batch_sample(batch, (uint32_t)series, time, number, err)
                                : batch_entry(batch, (uint32_t)series, time,
                                              line_of(number, line, sizeof(line)), NULL, 0, err))) {
            batch_free(batch);
            return NULL;
        }
    }
    return batch;
}

/* ---- recording ------------------------------------------------------------ */

static void on_done(void *context, struct batch *batch, const struct batch_result *result)
{
    const unsigned *number = context;
    (void)batch;
    pthread_mutex_lock(&acks.lock);
    if (result->error == NULL)
        acks.acknowledged_at[*number] = power_point();
    acks.waiting--;
    pthread_cond_signal(&acks.done);
    pthread_mutex_unlock(&acks.lock);
}

static bool send(struct store *store, unsigned first, unsigned end, struct error *err)
{
    bool ok = true;
    for (unsigned i = first; ok && i < end; i++) {
        numbers[i] = i;
        struct batch *batch = fill(store, i, err);
        ok = batch != NULL;
        pthread_mutex_lock(&acks.lock);
        while (acks.waiting >= 1 + i % AT_ONCE)
            pthread_cond_wait(&acks.done, &acks.lock);
        acks.waiting += ok;
        pthread_mutex_unlock(&acks.lock);
        if (ok)
            batch_commit(batch, on_done, &numbers[i]);
    }
    pthread_mutex_lock(&acks.lock);
    while (acks.waiting > 0)
        pthread_cond_wait(&acks.done, &acks.lock);
    pthread_mutex_unlock(&acks.lock);
    return ok;
}

/* Delete batch `number`, which was acknowledged. */
static bool delete_batch(struct store *store, unsigned number, struct error *err)
{
    struct matcher any;
    if (!matcher_init(&any, MATCH_NOT_EQUAL, SLICE("app"), SLICE(""), err))
        return false;
    struct view_selector selector = {&any, 1};
    struct store_delete request = {.tenant = SLICE("t"),
                                   .kind = kind_of(number),
                                   .start_ns = time_of(number),
                                   .end_ns = time_of(number),
                                   .selectors = &selector,
                                   .selector_count = 1};
    acks.delete_began_at[number] = power_point();
    bool ok = store_delete(store, &request, NULL, err);
    acks.deleted_at[number] = power_point();
    matcher_done(&any);
    return ok;
}

/* Some batches, then what the sealer does and a delete. */
static bool record_phase(struct store *store, unsigned phase, struct error *err)
{
    unsigned first = phase * PHASE, end = first + PHASE;
    return send(store, first, end, err) && (phase % 4 == 3 || store_seal(store, err)) &&
           delete_batch(store, first + 5, err) && delete_batch(store, end - 4, err) &&
           (phase % 3 != 2 || store_close_days(store, time_of(end) + NS_PER_DAY, err));
}

static bool record_store(const char *directory, struct error *err)
{
    bool ok = true;
    power_record_start(directory);
    for (unsigned start = 0; ok && start < STARTS; start++) {
        struct store *store = open_store(directory, err);
        ok = store != NULL;
        for (unsigned i = 0; ok && i < PHASES; i++)
            ok = record_phase(store, start * PHASES + i, err);
        if (ok && start % 2 == 1)
            ok = store_close(store, err);
        else
            store_abandon(store);
    }
    power_record_stop();
    return ok;
}

/* ---- judging -------------------------------------------------------------- */

struct found {
    unsigned parts[BATCHES + MORE];
    const char *wrong;
};

static void see(struct found *found, int64_t time_ns, bool same, unsigned number)
{
    if (number >= BATCHES + MORE || time_ns != time_of(number) || !same)
        found->wrong = "something that was never written";
    else
        found->parts[number]++;
}

static bool read_series(struct found *found, struct cursor_reader *reader, size_t at,
                        enum store_kind kind, struct error *err)
{
    if (kind == STORE_METRIC) {
        struct sample_column column;
        if (!cursor_read_samples(reader, at, &column, err))
            return false;
        for (size_t i = 0; i < column.count; i++)
            see(found, column.times_ns[i], true, (unsigned)column.values[i]);
        return true;
    }
    struct entry_block block;
    struct entry_stream *stream = entry_stream_open(reader, at, err);
    bool ok = stream != NULL;
    while (ok && (ok = entry_stream_next(stream, &block, err)) && block.count > 0) {
        for (size_t i = 0; i < block.count; i++) {
            char line[2000];
            unsigned number = (unsigned)((block.times_ns[i] - START_NS) / step_ns);
            see(found, block.times_ns[i],
                slice_equal(block.lines[i], line_of(number, line, sizeof(line))), number);
        }
    }
    entry_stream_close(stream);
    return ok;
}

static bool read_all(struct store *store, struct found *found, struct error *err)
{
    bool ok = true;
    memset(found, 0, sizeof(*found));
    for (int kind = 0; ok && kind < STORE_KINDS; kind++) {
        struct cursor_request request = {.tenant = SLICE("t"),
                                         .kind = (enum store_kind)kind,
                                         .start_ns = INT64_MIN,
                                         .end_ns = INT64_MAX,
                                         .projection = CURSOR_TIMES | CURSOR_VALUES | CURSOR_LINES};
        struct cursor *cursor = cursor_open(store, &request, err);
        struct cursor_reader *reader = cursor ? cursor_reader_new(cursor) : NULL;
        ok = cursor != NULL;
        for (size_t i = 0; ok && i < cursor_series_count(cursor); i++)
            ok = read_series(found, reader, i, request.kind, err);
        cursor_reader_free(reader);
        cursor_close(cursor);
    }
    return ok;
}

/* What must, may and must not be there after the loss at `point`. */
static bool check(struct store *store, size_t point, unsigned more, struct error *err)
{
    struct found found;
    if (!read_all(store, &found, err))
        return false;
    for (unsigned i = 0; i < BATCHES + MORE; i++) {
        bool sure = i >= BATCHES ? i < BATCHES + more
                                 : acks.acknowledged_at[i] > 0 && acks.acknowledged_at[i] <= point;
        if (i < BATCHES && acks.delete_began_at[i] > 0 && acks.delete_began_at[i] <= point) {
            if (found.parts[i] != 0 && acks.deleted_at[i] <= point)
                return error_set(err, ERR_INTERNAL, "batch %u is there, though deleted", i);
            sure = false;
        }
        if (found.wrong == NULL && sure && found.parts[i] == 0)
            return error_set(err, ERR_INTERNAL, "acknowledged batch %u is lost", i);
        if (found.parts[i] != 0 && found.parts[i] != SERIES)
            return error_set(err, ERR_INTERNAL, "%u of %d parts of batch %u", found.parts[i],
                             SERIES, i);
    }
    return found.wrong == NULL || error_set(err, ERR_INTERNAL, "%s", found.wrong);
}

static bool commit_more(struct store *store, struct error *err)
{
    for (unsigned i = BATCHES; i < BATCHES + MORE; i++) {
        struct batch_result result;
        struct batch *batch = fill(store, i, err);
        if (batch == NULL || !batch_commit_wait(batch, &result, err))
            return false;
    }
    return true;
}

static void show_line(void *context, bool damage, const char *text)
{
    (void)context;
    if (damage)
        fprintf(stderr, "verify: %s\n", text);
}

static bool verify(const char *directory, struct error *err)
{
    struct verify_report report;
    return store_verify(directory, show_line, NULL, &report, err) &&
           (report.problems == 0 || error_set(err, ERR_INTERNAL, "verify found something"));
}

static bool remove_both(const char *a, const char *b)
{
    char command[400];
    snprintf(command, sizeof(command), "rm -rf '%s' '%s'", a, b);
    return system(command) == 0;
}

static bool cut_once(const char *directory, size_t point, uint64_t seed, struct error *err)
{
    char command[200];
    snprintf(command, sizeof(command), "rm -rf '%s' && mkdir '%s'", directory, directory);
    if (system(command) != 0)
        return error_set(err, ERR_IO, "preparing %s", directory);
    if (!power_cut(directory, point, seed, err))
        return false;
    struct store *store = open_store(directory, err);
    bool ok = store && check(store, point, 0, err) && commit_more(store, err) &&
              check(store, point, MORE, err) && (seed % 2 == 0 || store_seal(store, err));
    store_abandon(store);
    if (!ok)
        return false;
    store = open_store(directory, err);
    ok = (store && check(store, point, MORE, err)) || error_prefix(err, "at the second start");
    store_abandon(store);
    return ok && (seed % VERIFY_EVERY != 0 || verify(directory, err));
}

int main(int argc, char **argv)
{
    uint64_t cuts = 50;
    uint64_t seed = 1;
    struct error err = {0};
    if ((argc > 1 && !slice_parse_u64(slice_from_text(argv[1]), &cuts)) ||
        (argc > 2 && !slice_parse_u64(slice_from_text(argv[2]), &seed)))
        return 2;
    char source[64];
    char directory[80];
    const char *base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    snprintf(source, sizeof(source), "%s/etinde-power-XXXXXX", base);
    if (mkdtemp(source) == NULL)
        return 2;
    snprintf(directory, sizeof(directory), "%s.cut", source);
    bool ok = record_store(source, &err);
    size_t points = power_point();
    if (!ok)
        fprintf(stderr, "recording: %s\n", err.message);
    uint64_t done = 0;
    for (; ok && done < cuts; done++, seed++) {
        uint64_t random = seed;
        size_t point = 1 + model_random(&random) % points;
        ok = cut_once(directory, point, random, &err);
        if (!ok)
            fprintf(stderr, "seed %" PRIu64 ", cut at %zu of %zu: %s\n", seed, point, points,
                    err.message);
    }
    power_record_free();
    if (!remove_both(source, directory))
        ok = false;
    printf("%" PRIu64 " power losses in %zu changes of files and names: %s\n", done, points,
           ok ? "nothing lost" : "FAILED");
    return ok ? 0 : 1;
}
