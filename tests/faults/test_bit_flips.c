/*
 * test_bit_flips.c - damaged files give errors, never wrong numbers and never a crash.
 *
 *   etinde-bit-flips-test [ROUNDS [SEED]]          default: 250 rounds from seed 1
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
#include "base/duration.h"
#include "base/error.h"
#include "base/files.h"
#include "base/number.h"
#include "storage/store.h"
#include "storage/verify.h"
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
    bool gaps;      /* entries are missing before others, or sealed ones */
    unsigned least; /* entries of the shortest series */
    struct store_damage *damage;
    struct error *err;
};

/* The number of the entry with this time, which must lie behind number `next` - 1. */
static unsigned number_at(struct reading *reading, unsigned series, unsigned next, int64_t time_ns)
{
    int64_t number = (time_ns - START_NS) / (15 * NS_PER_SECOND);
    if (number >= (int64_t)next && number < COUNT && time_at((unsigned)number) == time_ns) {
        reading->gaps |= number > (int64_t)next;
        return (unsigned)number;
    }
    if (!reading->wrong)
        fprintf(stderr, "series %u: an entry at %" PRId64 " was never written\n", series, time_ns);
    reading->wrong = true;
    return next;
}

static void look(struct reading *reading, unsigned series, unsigned number, bool same)
{
    if (!same && !reading->wrong)
        fprintf(stderr, "series %u, entry %u is not what was written\n", series, number);
    reading->wrong |= !same;
}

static bool read_stream(struct reading *reading, struct cursor_reader *reader, size_t at,
                        unsigned series, unsigned *next)
{
    struct entry_block block;
    struct entry_stream *stream = entry_stream_open(reader, at, reading->err);
    if (stream == NULL)
        return false;
    bool ok;
    while ((ok = entry_stream_next(stream, &block, reading->err)) && block.count > 0) {
        for (size_t i = 0; i < block.count; i++) {
            char line[100];
            unsigned number = number_at(reading, series, *next, block.times_ns[i]);
            int size = line_at(series, number, line, sizeof(line));
            look(reading, series, number,
                 slice_equal(block.lines[i], slice_of(line, (size_t)size)));
            *next = number + 1;
        }
    }
    entry_stream_close(stream);
    return ok;
}

static bool read_samples(struct reading *reading, struct cursor_reader *reader, size_t at,
                         unsigned series, unsigned *next)
{
    struct sample_column column;
    if (!cursor_read_samples(reader, at, &column, reading->err))
        return false;
    for (size_t i = 0; i < column.count; i++) {
        unsigned number = number_at(reading, series, *next, column.times_ns[i]);
        double value = value_at(series, number);
        look(reading, series, number, memcmp(&column.values[i], &value, sizeof(value)) == 0);
        *next = number + 1;
    }
    return true;
}

static unsigned series_of(struct labels labels, enum store_kind kind)
{
    struct label items[MODEL_LABELS_MAX];
    for (unsigned series = 0; series < SERIES; series++) {
        struct labels wanted = {items, model_labels(kind, series, items)};
        if (labels_equal(labels, wanted))
            return series;
    }
    return SERIES;
}

static bool read_kind(struct reading *reading, struct store *store, enum store_kind kind)
{
    struct cursor_request request = {.tenant = SLICE("t"),
                                     .kind = kind,
                                     .start_ns = INT64_MIN,
                                     .end_ns = INT64_MAX,
                                     .projection = CURSOR_TIMES | CURSOR_VALUES | CURSOR_LINES,
                                     .damage = reading->damage};
    struct cursor *cursor = cursor_open(store, &request, reading->err);
    if (cursor == NULL)
        return false;
    struct cursor_reader *reader = cursor_reader_new(cursor);
    bool ok = true;
    if (cursor_series_count(cursor) < SERIES)
        reading->least = 0;
    for (size_t i = 0; ok && i < cursor_series_count(cursor); i++) {
        unsigned series = series_of(cursor_labels(cursor, i), kind);
        unsigned next = 0;
        look(reading, series, 0, series < SERIES); /* never written? */
        ok = kind == STORE_METRIC ? read_samples(reading, reader, i, series, &next)
                                  : read_stream(reading, reader, i, series, &next);
        if (ok && next < reading->least)
            reading->least = next;
    }
    cursor_reader_free(reader);
    cursor_close(cursor);
    return ok;
}

static enum outcome judge(const char *directory)
{
    struct error err = {0};
    struct reading reading = {.least = COUNT, .err = &err, .damage = store_damage_new()};
    struct store *store = open_store(directory, &err);
    bool ok = store != NULL;
    for (int kind = 0; ok && kind < STORE_KINDS; kind++)
        ok = read_kind(&reading, store, (enum store_kind)kind);
    store_abandon(store);
    bool warned = store_damage_count(reading.damage) > 0;
    if (reading.wrong)
        return OUTCOME_WRONG;
    if (!ok && strstr(err.message, directory) == NULL) {
        fprintf(stderr, "an error that names no file: %s\n", err.message);
        return OUTCOME_WRONG;
    }
    for (size_t i = 0; i < store_damage_count(reading.damage); i++) {
        if (strstr(store_damage_text(reading.damage, i), directory) == NULL) {
            fprintf(stderr, "no file: %s\n", store_damage_text(reading.damage, i));
            return OUTCOME_WRONG;
        }
    }
    store_damage_free(reading.damage);
    if (!ok)
        return OUTCOME_ERROR;
    if (warned)
        return OUTCOME_WARNED;
    if (reading.gaps || reading.least < SEALED) {
        fprintf(stderr, "entries are missing, and nothing says so\n");
        return OUTCOME_WRONG;
    }
    return reading.least < COUNT ? OUTCOME_LESS : OUTCOME_RIGHT;
}

static int child_status(pid_t child)
{
    int status = -1;
    waitpid(child, &status, 0);
    if (WIFEXITED(status) && WEXITSTATUS(status) >= STATUS_BASE)
        return WEXITSTATUS(status) - STATUS_BASE;
    fprintf(stderr, "the child ended with status %x\n", (unsigned)status);
    return -1;
}

static pid_t child_make(void)
{
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        alarm(60);               /* reading for ever is wrong, too */
        signal(SIGBUS, SIG_DFL); /* sanitizers would end with a status of their own */
        signal(SIGSEGV, SIG_DFL);
    }
    return child;
}

static enum outcome judge_in_child(const char *directory)
{
    pid_t child = child_make();
    if (child == 0)
        _exit(STATUS_BASE + (int)judge(directory));
    int outcome = child_status(child);
    return outcome >= 0 && outcome < OUTCOMES ? (enum outcome)outcome : OUTCOME_WRONG;
}

/* ---- verify --------------------------------------------------------------- */

enum { VERIFY_SILENT, VERIFY_TOLD, VERIFY_NAMED, VERIFY_FAILED };

struct telling {
    const char *path; /* the file that was damaged, when there is one */
    bool named;
    bool show;
};

static void note_line(void *context, bool damage, const char *text)
{
    struct telling *telling = context;
    if (telling->show)
        fprintf(stderr, "  verify: %s%s\n", damage ? "" : "(note) ", text);
    telling->named |= telling->path != NULL && strstr(text, telling->path) != NULL;
}

static int verify_in_child(const char *directory, const char *path, bool show)
{
    pid_t child = child_make();
    if (child == 0) {
        struct telling telling = {.path = path, .show = show};
        struct verify_report report = {0};
        struct error err = {0};
        if (!store_verify(directory, note_line, &telling, &report, &err)) {
            fprintf(stderr, "verify: %s\n", err.message);
            _exit(STATUS_BASE + VERIFY_FAILED);
        }
        bool told = report.problems > 0 || report.notes > 0;
        _exit(STATUS_BASE + (telling.named ? VERIFY_NAMED : told ? VERIFY_TOLD : VERIFY_SILENT));
    }
    return child_status(child);
}

static const char *const verify_names[] = {"silent", "told something else", "named it", "failed"};

/* Does what verify said go with what reading gave? */
static bool verify_agrees(int verified, enum outcome outcome, bool single)
{
    if (verified < 0 || verified == VERIFY_FAILED)
        return false;
    if (outcome == OUTCOME_RIGHT)
        return !single || verified != VERIFY_TOLD;
    return verified == VERIFY_NAMED || (!single && verified == VERIFY_TOLD);
}

static void remove_all(const char *directory)
{
    char command[128];
    snprintf(command, sizeof(command), "rm -rf '%s'", directory);
    if (system(command) != 0)
        abort();
}

/* Where the bits are to be flipped. */
static size_t choose_flips(uint64_t seed, uint64_t flips[FLIPS_MAX])
{
    uint64_t random = seed;
    size_t count = 1 + model_random(&random) % FLIPS_MAX;
    if (seed % 2 == 0)
        count = 1; /* half of all rounds: verify must name the file */
    for (size_t i = 0; i < count; i++) {
        /* Every file as often as any other, however small. */
        uint64_t before = 0;
        size_t file = model_random(&random) % file_count;
        for (size_t k = 0; k < file; k++)
            before += files[k].size;
        flips[i] =
            (before * 8 + model_random(&random) % (files[file].size * 8 + 1)) % (total_size * 8);
    }
    return count;
}

/* One round; false when the answer was wrong. */
static bool flip_once(const char *directory, uint64_t seed, uint64_t *counts, uint64_t *silent)
{
    uint64_t flips[FLIPS_MAX];
    struct error err = {0};
    size_t offset, count = choose_flips(seed, flips);
    const struct file *file = NULL;
    for (size_t i = 0; i < count; i++)
        file = flip_bit(flips[i], &offset);
    const char *path = count == 1 ? file->path : NULL;
    remove_all(directory);
    bool ok = restore(directory, &err);
    int verified = ok ? verify_in_child(directory, path, false) : -1;
    remove_all(directory); /* verify may have mended what opening mends */
    ok = ok && restore(directory, &err);
    enum outcome outcome = ok ? judge_in_child(directory) : OUTCOME_WRONG;
    bool good = outcome != OUTCOME_WRONG && verify_agrees(verified, outcome, count == 1);
    counts[good ? outcome : OUTCOME_WRONG]++;
    *silent += verified == VERIFY_SILENT;
    if (!good) {
        fprintf(stderr, "seed %" PRIu64 " is wrong: reading: %s, verify: %s %s\n", seed,
                outcome_names[outcome], verified < 0 ? "crashed" : verify_names[verified],
                err.message);
        if (restore(directory, &err))
            verify_in_child(directory, path, true);
    }
    for (size_t i = 0; i < count; i++) { /* back */
        file = flip_bit(flips[i], &offset);
        if (!good)
            fprintf(stderr, "  %s, offset %zu, bit %u\n", file->path, offset,
                    (unsigned)(flips[i] % 8));
    }
    return good;
}

int main(int argc, char **argv)
{
    uint64_t rounds = 250;
    uint64_t seed = 1;
    uint64_t counts[OUTCOMES] = {0};
    uint64_t silent = 0;
    struct error err = {0};
    if ((argc > 1 && !slice_parse_u64(slice_from_text(argv[1]), &rounds)) ||
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
    if (ok && (judge_in_child(directory) != OUTCOME_RIGHT ||
               verify_in_child(directory, NULL, true) != VERIFY_SILENT)) {
        fprintf(stderr, "without a flip the store is not right\n");
        ok = false;
    }
    uint64_t wrong = 0;
    for (uint64_t i = 0; ok && wrong < 10 && i < rounds; i++)
        wrong += !flip_once(directory, seed++, counts, &silent);
    remove_all(directory);
    for (int i = 0; i < OUTCOMES; i++)
        printf("%s: %" PRIu64 ", ", outcome_names[i], counts[i]);
    printf("verify silent: %" PRIu64 "\n", silent);
    for (size_t i = 0; i < file_count; i++)
        free(files[i].data);
    return ok && wrong == 0 ? 0 : 1;
}
