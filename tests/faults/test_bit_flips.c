/*
 * test_bit_flips.c - damaged files give errors, never wrong numbers and never a crash.
 *
 *   etinde-bit-flips-test [ROUNDS [SEED]]          default: 400 rounds from seed 1
 *
 * A store is written whose every value and line follows from its series and
 * time.  Half of it is sealed, half of it stands in the log only.  Then, again
 * and again, a copy of it gets one to four flipped bits, and child processes
 * verify it, open it and read it.  Allowed are: everything right; an error or a
 * warning with the path of the directory in it and a right rest; and entries missing from
 * the end of the log, which cannot be told from a write that a power loss cut.
 * A value or line other than the one written, one that was never written, one
 * missing without a word, or a signal is a failure.
 *
 * Verify must find something wherever reading did, and of a single flip it must
 * name the file.  It may be silent only when everything can be read: the flip
 * hit a byte that nobody reads (a free page, the unused room of a page).
 */
#include "base/clock.h"
#include "base/duration.h"
#include "base/error.h"
#include "base/files.h"
#include "base/number.h"
#include "storage/store.h"
#include "tests/faults/store_model.h"

#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#define START_NS (INT64_C(1700000000) * NS_PER_SECOND)

enum { SERIES = 4, SEALED = 300, COUNT = 400, FILES_MAX = 64, FLIPS_MAX = 4, STATUS_BASE = 40 };

enum outcome {
    OUTCOME_RIGHT,
    OUTCOME_LESS,
    OUTCOME_WARNED,
    OUTCOME_ERROR,
    OUTCOME_WRONG,
    OUTCOMES
};

static const char *const outcome_names[] = {"right", "end of the log missing", "warned of", "error",
                                            "WRONG"};

struct file {
    char path[300]; /* below the directory */
    uint8_t *data;
    size_t size;
};

static struct file files[FILES_MAX];
static size_t file_count;
static size_t total_size;

/* ---- what is written ---------------------------------------------------- */

static double value_at(unsigned series, unsigned i)
{
    return series % 2 ? (double)(i * 7 + series) / 10 : 1 / (double)(i + series + 3);
}

static int line_at(unsigned series, unsigned i, char *line, size_t size)
{
    return snprintf(line, size, "level=info series=%u request=%u took=%ums", series, i,
                    i * 31 % 977);
}

static int64_t time_at(unsigned i)
{
    return START_NS + (int64_t)i * 15 * NS_PER_SECOND; /* over midnight */
}

static struct store *open_store(const char *directory, struct error *err)
{
    struct store_options options = {.directory = directory,
                                    .ack = STORE_ACK_DURABLE,
                                    .retention_ns = -1,
                                    .future_ns = -1,
                                    .past_ns = {-1, -1},
                                    .seal_interval_ns = -1};
    return store_open(&options, err);
}

static bool write_batch(struct store *store, enum store_kind kind, unsigned i, struct error *err)
{
    struct batch_result result;
    struct batch *batch = batch_new(store, SLICE("t"), kind, err);
    if (batch == NULL)
        return false;
    for (unsigned s = 0; s < SERIES; s++) {
        struct label labels[MODEL_LABELS_MAX];
        char line[100];
        size_t count = model_labels(kind, s, labels);
        int64_t number = batch_define(batch, 1, (struct slice){NULL, 0}, labels, count, err);
        if (number < 0)
            return false;
        bool ok = kind == STORE_METRIC
                      ? batch_sample(batch, (uint32_t)number, time_at(i), value_at(s, i), err)
                      : batch_entry(batch, (uint32_t)number, time_at(i),
                                    slice_of(line, (size_t)line_at(s, i, line, sizeof(line))), NULL,
                                    0, err);
        if (!ok)
            return false;
    }
    return batch_commit_wait(batch, &result, err);
}

static bool write_store(const char *directory, struct error *err)
{
    struct store *store = open_store(directory, err);
    bool ok = store != NULL;
    for (unsigned i = 0; ok && i < COUNT; i++) {
        if (i == SEALED)
            ok = store_seal(store, err);
        ok =
            ok && write_batch(store, STORE_METRIC, i, err) && write_batch(store, STORE_LOG, i, err);
    }
    store_abandon(store);
    return ok;
}

/* ---- files ---------------------------------------------------------------- */

static bool load_folder(const char *directory, const char *below, struct error *err)
{
    char path[512];
    char **names;
    size_t count;
    snprintf(path, sizeof(path), "%s/%s", directory, below);
    if (!directory_list(path, &names, &count, err))
        return false;
    bool ok = true;
    for (size_t i = 0; ok && i < count; i++) {
        struct file *file = &files[file_count];
        snprintf(file->path, sizeof(file->path), "%.150s%s%.140s", below, below[0] ? "/" : "",
                 names[i]);
        snprintf(path, sizeof(path), "%s/%s", directory, file->path);
        int fd = open(path, O_RDONLY | O_DIRECTORY);
        if (fd >= 0) {
            char folder[sizeof(file->path)];
            close(fd);
            snprintf(folder, sizeof(folder), "%s", file->path);
            ok = load_folder(directory, folder, err);
            continue;
        }
        uint64_t size = 0;
        fd = file_open(path, O_RDONLY, 0, err);
        ok = fd >= 0 && file_count + 1 < FILES_MAX && file_size(fd, &size, err);
        file->data = ok ? malloc(size + 1) : NULL;
        file->size = (size_t)size;
        ok = ok && file_read_at(fd, file->data, file->size, 0, err);
        fd_drop(&fd);
        total_size += file->size;
        file_count++;
    }
    names_free(names, count);
    return ok;
}

/* A flip is a bit's place in all files in a row: tells the file and where in it. */
static const struct file *flip_bit(uint64_t flip, size_t *offset)
{
    uint64_t at = flip / 8;
    size_t i = 0;
    while (at >= files[i].size)
        at -= files[i++].size;
    files[i].data[at] ^= (uint8_t)(1u << (flip % 8));
    *offset = (size_t)at;
    return &files[i];
}

/* All files as they are in memory. */
static bool restore(const char *directory, struct error *err)
{
    bool ok = true;
    for (size_t i = 0; ok && i < file_count; i++) {
        char path[512];
        snprintf(path, sizeof(path), "%.100s/%.300s", directory, files[i].path);
        char *slash = strrchr(path, '/');
        *slash = '\0';
        ok = directory_make(path, err);
        *slash = '/';
        int fd = ok ? file_open(path, O_RDWR | O_CREAT | O_TRUNC, 0640, err) : -1;
        ok = fd >= 0 && file_write_at(fd, files[i].data, files[i].size, 0, err);
        fd_drop(&fd);
    }
    return ok;
}

/* ---- reading -------------------------------------------------------------- */

struct reading {
    bool wrong;
    unsigned least; /* entries of the shortest series */
    struct error *err;
};

/* The next entry of a series: must be number `i`. */
static void look(struct reading *reading, unsigned series, unsigned i, int64_t time_ns, bool same)
{
    if (i < COUNT && time_ns == time_at(i) && same)
        return;
    if (!reading->wrong)
        fprintf(stderr, "series %u, entry %u at %" PRId64 " is not what was written\n", series, i,
                time_ns);
    reading->wrong = true;
}

static bool read_stream(struct reading *reading, struct cursor_reader *reader, size_t at,
                        unsigned series, unsigned *count)
{
    struct entry_block block;
    struct entry_stream *stream = entry_stream_open(reader, at, reading->err);
    if (stream == NULL)
        return false;
    bool ok;
    while ((ok = entry_stream_next(stream, &block, reading->err)) && block.count > 0) {
        for (size_t i = 0; i < block.count; i++, (*count)++) {
            char line[100];
            int size = line_at(series, *count, line, sizeof(line));
            look(reading, series, *count, block.times_ns[i],
                 slice_equal(block.lines[i], slice_of(line, (size_t)size)));
        }
    }
    entry_stream_close(stream);
    return ok;
}

static bool read_samples(struct reading *reading, struct cursor_reader *reader, size_t at,
                         unsigned series, unsigned *count)
{
    struct sample_column column;
    if (!cursor_read_samples(reader, at, &column, reading->err))
        return false;
    /* All that was sealed may be gone, what is there must be right. */
    bool gone = column.count > 0 && column.times_ns[0] == time_at(SEALED);
    for (; *count < column.count; (*count)++) {
        unsigned number = *count + (gone ? SEALED : 0);
        double value = value_at(series, number);
        look(reading, series, number, column.times_ns[*count],
             memcmp(&column.values[*count], &value, sizeof(value)) == 0);
    }
    return true;
}

static bool read_kind(struct reading *reading, struct store *store, enum store_kind kind)
{
    struct cursor_request request = {.tenant = SLICE("t"),
                                     .kind = kind,
                                     .start_ns = INT64_MIN,
                                     .end_ns = INT64_MAX,
                                     .projection = CURSOR_TIMES | CURSOR_VALUES | CURSOR_LINES};
    struct cursor *cursor = cursor_open(store, &request, reading->err);
    if (cursor == NULL)
        return false;
    struct cursor_reader *reader = cursor_reader_new(cursor);
    bool ok = true;
    if (cursor_series_count(cursor) < SERIES)
        reading->least = 0;
    for (size_t i = 0; ok && i < cursor_series_count(cursor); i++) {
        struct label items[MODEL_LABELS_MAX];
        unsigned series = 0;
        unsigned count = 0;
        for (; series < SERIES; series++) {
            struct labels wanted = {items, model_labels(kind, series, items)};
            if (labels_equal(cursor_labels(cursor, i), wanted))
                break;
        }
        look(reading, series, 0, START_NS, series < SERIES); /* never written? */
        ok = kind == STORE_METRIC ? read_samples(reading, reader, i, series, &count)
                                  : read_stream(reading, reader, i, series, &count);
        if (ok && count < reading->least)
            reading->least = count;
    }
    cursor_reader_free(reader);
    cursor_close(cursor);
    return ok;
}

static enum outcome judge(const char *directory)
{
    struct error err = {0};
    struct reading reading = {.least = COUNT, .err = &err};
    struct store *store = open_store(directory, &err);
    bool ok = store != NULL;
    for (int kind = 0; ok && kind < STORE_KINDS; kind++)
        ok = read_kind(&reading, store, (enum store_kind)kind);
    store_abandon(store);
    if (reading.wrong)
        return OUTCOME_WRONG;
    if (!ok && strstr(err.message, directory) == NULL) {
        fprintf(stderr, "an error that names no file: %s\n", err.message);
        return OUTCOME_WRONG;
    }
    if (!ok)
        return OUTCOME_ERROR;
    if (reading.least < SEALED)
        return OUTCOME_MISSING;
    return reading.least < COUNT ? OUTCOME_LESS : OUTCOME_RIGHT;
}

static enum outcome judge_in_child(const char *directory, bool lmdb_damaged)
{
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        alarm(60);               /* reading for ever is wrong, too */
        signal(SIGBUS, SIG_DFL); /* sanitizers would end with a status of their own */
        signal(SIGSEGV, SIG_DFL);
        _exit(STATUS_BASE + (int)judge(directory));
    }
    int status = -1;
    waitpid(child, &status, 0);
    int outcome = WIFEXITED(status) ? WEXITSTATUS(status) - STATUS_BASE : -1;
    if (outcome >= 0 && outcome < OUTCOMES && outcome != OUTCOME_MISSING)
        return (enum outcome)outcome;
    if (outcome == OUTCOME_MISSING && lmdb_damaged)
        return OUTCOME_MISSING;
    int number = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    if (lmdb_damaged && (number == SIGBUS || number == SIGSEGV || number == SIGABRT))
        return OUTCOME_STOPPED;
    fprintf(stderr, "the child ended with status %x\n", (unsigned)status);
    return OUTCOME_WRONG;
}

static void remove_all(const char *directory)
{
    char command[128];
    snprintf(command, sizeof(command), "rm -rf '%s'", directory);
    if (system(command) != 0)
        abort();
}

/* One round; false when the answer was wrong. */
static bool flip_once(const char *directory, uint64_t seed, uint64_t *counts)
{
    uint64_t random = seed;
    uint64_t flips[FLIPS_MAX];
    struct error err = {0};
    bool lmdb = false;
    size_t count = 1 + model_random(&random) % FLIPS_MAX;
    for (size_t i = 0; i < count; i++) {
        /* Every file as often as any other, however small. */
        uint64_t before = 0;
        size_t file = model_random(&random) % file_count;
        for (size_t k = 0; k < file; k++)
            before += files[k].size;
        flips[i] =
            (before * 8 + model_random(&random) % (files[file].size * 8 + 1)) % (total_size * 8);
    }
    size_t offset;
    for (size_t i = 0; i < count; i++) {
        const struct file *file = flip_bit(flips[i], &offset);
        lmdb = lmdb || slice_ends_with(slice_from_text(file->path), SLICE(".mdb"));
    }
    remove_all(directory);
    bool ok = restore(directory, &err);
    enum outcome outcome = ok ? judge_in_child(directory, lmdb) : OUTCOME_WRONG;
    counts[outcome]++;
    if (outcome == OUTCOME_WRONG)
        fprintf(stderr, "seed %" PRIu64 " is wrong %s\n", seed, err.message);
    for (size_t i = 0; i < count; i++) { /* back */
        const struct file *file = flip_bit(flips[i], &offset);
        if (outcome == OUTCOME_WRONG)
            fprintf(stderr, "  %s, offset %zu, bit %u\n", file->path, offset,
                    (unsigned)(flips[i] % 8));
    }
    return outcome != OUTCOME_WRONG;
}

int main(int argc, char **argv)
{
    uint64_t seconds = 10;
    uint64_t seed = 1;
    uint64_t counts[OUTCOMES] = {0};
    struct error err = {0};
    if ((argc > 1 && !slice_parse_u64(slice_from_text(argv[1]), &seconds)) ||
        (argc > 2 && !slice_parse_u64(slice_from_text(argv[2]), &seed)))
        return 2;
    char directory[64];
    const char *base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    snprintf(directory, sizeof(directory), "%s/etinde-flips-XXXXXX", base);
    if (mkdtemp(directory) == NULL)
        return 2;
    bool ok = write_store(directory, &err) && load_folder(directory, "", &err);
    if (!ok)
        fprintf(stderr, "%s\n", err.message);
    if (ok && judge_in_child(directory, false) != OUTCOME_RIGHT) {
        fprintf(stderr, "without a flip the store is not right\n");
        ok = false;
    }
    int64_t until = clock_monotonic_ns() + (int64_t)seconds * NS_PER_SECOND;
    uint64_t wrong = 0;
    while (ok && wrong < 10 && clock_monotonic_ns() < until)
        wrong += !flip_once(directory, seed++, counts);
    remove_all(directory);
    for (int i = 0; i < OUTCOMES; i++)
        printf("%s: %" PRIu64 "%s", outcome_names[i], counts[i], i + 1 < OUTCOMES ? ", " : "\n");
    for (size_t i = 0; i < file_count; i++)
        free(files[i].data);
    return ok && wrong == 0 ? 0 : 1;
}
