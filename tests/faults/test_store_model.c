/*
 * test_store_model.c - random steps against a plain model of the store.
 *
 *   etinde-model-test [SECONDS [SEED [STEPS]]]     default: 12 seconds from seed 1
 *
 * A list of steps is made from a seed: writes (in order, late, repeated, in
 * conflict, sent again under a producer's id), deletes by matcher and of single log
 * entries, seals, closes of days with late data after them, clean_tombstones, retention by age
 * and of one series by a rule, clean and hard ends of the process, the clock moving on and over
 * midnight.  A child process
 * runs it on a directory of its own; after each step random cursors must give
 * what the model holds.  When a list fails, ever smaller parts of it are tried,
 * and the smallest that still fails is printed.
 */
#include "tests/faults/store_model.h"

#include "base/clock.h"
#include "base/duration.h"
#include "base/error.h"
#include "base/matcher.h"
#include "base/number.h"

#include <inttypes.h>
#include <sys/wait.h>
#include <unistd.h>

#define START_NS (INT64_C(1700000000) * NS_PER_SECOND) /* 22:13:20 UTC */

enum { STEPS_MAX = 5000, ENTRIES_MAX = 8, READS = 3, LAST_READS = 40, RETENTION_DAYS = 3 };

enum step_kind {
    STEP_WRITE,
    STEP_SEAL,
    STEP_RETENTION,
    STEP_CLOSE,
    STEP_KILL,
    STEP_DELETE,
    STEP_DELETE_ENTRY,
    STEP_CLOSE_DAYS,
    STEP_CLEAN
};
static const char *const step_names[] = {"write",          "seal",          "retention",
                                         "close and open", "kill and open", "delete",
                                         "delete entry",   "close days",    "clean"};

struct step {
    enum step_kind what;
    uint64_t seed; /* of the reads after it */
    int64_t now_ns;
    unsigned tenant;
    enum store_kind kind;
    uint64_t sequence; /* of the producer; 0: none */
    uint64_t matcher;  /* of a delete */
    int64_t start_ns, end_ns;
    unsigned count;
    struct {
        unsigned series, metadata;
        int64_t time_ns;
        uint64_t bits;
    } entries[ENTRIES_MAX];
};

/* ---- making steps ------------------------------------------------------ */

static uint64_t random_bits(uint64_t *random, enum store_kind kind)
{
    static const uint64_t values[] = {0x3ff0000000000000,
                                      0x4000000000000000,
                                      0x3ff8000000000000,
                                      0x8000000000000000,
                                      0,
                                      0x7ff0000000000002,
                                      0x7ff8000000000001,
                                      0x7ff0000000000000,
                                      0x7e37e43c8800759c,
                                      0x3fb999999999999a};
    if (kind == STORE_LOG)
        return model_random(random) % MODEL_LINES;
    if (model_random(random) % 4)
        return values[model_random(random) % (model_random(random) % 2 ? 2 : COUNT_OF(values))];
    double number = (double)(model_random(random) % 100000) / 100;
    uint64_t bits;
    memcpy(&bits, &number, sizeof(bits));
    return bits;
}

/* On a coarse grid, so that times meet. */
static int64_t random_time(uint64_t *random, int64_t now_ns)
{
    uint64_t shape = model_random(random) % 20;
    uint64_t reach = shape < 12 ? 4 : shape < 17 ? 120 : 4500;
    int64_t grid = (shape < 12 ? 1 : shape < 17 ? 20 : 300) * NS_PER_SECOND;
    int64_t time = now_ns - (int64_t)(model_random(random) % reach) * NS_PER_SECOND;
    return time - time % grid;
}

static void make_write(struct step *step, uint64_t *random)
{
    step->tenant = (unsigned)(model_random(random) % MODEL_TENANTS);
    step->kind = model_random(random) % 2 ? STORE_LOG : STORE_METRIC;
    step->count = 1 + (unsigned)(model_random(random) % ENTRIES_MAX);
    for (unsigned i = 0; i < step->count; i++) {
        step->entries[i].series = (unsigned)(model_random(random) % MODEL_SERIES);
        step->entries[i].time_ns = random_time(random, step->now_ns);
        step->entries[i].bits = random_bits(random, step->kind);
        step->entries[i].metadata = (unsigned)(model_random(random) % MODEL_METADATA);
        for (unsigned k = 0; step->kind == STORE_METRIC && k < i; k++) {
            /* The answer tells refusals by series and time only. */
            if (step->entries[k].series == step->entries[i].series &&
                step->entries[k].time_ns == step->entries[i].time_ns)
                step->entries[i].bits = step->entries[k].bits;
        }
    }
}

static void make_delete(struct step *step, uint64_t *random)
{
    step->tenant = (unsigned)(model_random(random) % MODEL_TENANTS);
    step->kind = model_random(random) % 2 ? STORE_LOG : STORE_METRIC;
    step->matcher = model_random(random);
    step->start_ns = model_random(random) % 4 ? random_time(random, step->now_ns) : INT64_MIN;
    step->end_ns = model_random(random) % 2 ? random_time(random, step->now_ns) : INT64_MAX;
    if (step->start_ns > step->end_ns) {
        int64_t other = step->start_ns;
        step->start_ns = step->end_ns;
        step->end_ns = other;
    }
}

/* An entry as some write before it had. */
static void make_delete_entry(struct step *step, const struct step *from, uint64_t *random)
{
    step->tenant = from->tenant;
    step->kind = STORE_LOG;
    step->count = 1;
    step->entries[0] = from->entries[model_random(random) % from->count];
}

static int64_t next_now(uint64_t *random, int64_t now_ns)
{
    uint64_t shape = model_random(random) % 60;
    int64_t midnight = (now_ns / NS_PER_DAY + 1) * NS_PER_DAY;
    if (shape == 0)
        return midnight - 5 * NS_PER_SECOND;
    if (shape == 1)
        return now_ns + (int64_t)(model_random(random) % 20) * NS_PER_HOUR;
    if (shape < 6)
        return now_ns + 5 * NS_PER_MINUTE;
    return now_ns + (int64_t)(model_random(random) % 4) * NS_PER_SECOND;
}

static void make_steps(struct step *steps, size_t count, uint64_t seed)
{
    uint64_t random = seed * 1000003;
    int64_t now = START_NS;
    for (size_t i = 0; i < count; i++) {
        struct step *step = &steps[i];
        memset(step, 0, sizeof(*step));
        now = next_now(&random, now);
        uint64_t shape = model_random(&random) % 100;
        size_t back = 1 + model_random(&random) % 100;
        if (shape < 10 && back <= i && steps[i - back].what == STEP_WRITE)
            *step = steps[i - back]; /* sent again */
        step->now_ns = now;
        step->seed = model_random(&random);
        if (step->count > 0)
            continue;
        step->what = shape < 75   ? STEP_WRITE
                     : shape < 81 ? STEP_SEAL
                     : shape < 82 ? STEP_RETENTION
                     : shape < 85 ? STEP_CLOSE
                     : shape < 89 ? STEP_KILL
                     : shape < 93 ? STEP_DELETE
                     : shape < 96 ? STEP_DELETE_ENTRY
                     : shape < 98 ? STEP_CLOSE_DAYS
                                  : STEP_CLEAN;
        if (step->what == STEP_DELETE)
            make_delete(step, &random);
        if (step->what == STEP_DELETE_ENTRY) {
            const struct step *from = &steps[back <= i ? i - back : i];
            if (from->what == STEP_WRITE && from->kind == STORE_LOG && from->count > 0)
                make_delete_entry(step, from, &random);
            else
                step->what = STEP_SEAL;
        }
        if (step->what == STEP_WRITE) {
            make_write(step, &random);
            if (model_random(&random) % 2)
                step->sequence = i + 1;
        }
    }
}

static void print_step(const struct step *step)
{
    fprintf(stderr, "  at %" PRId64 " s: %s", step->now_ns / NS_PER_SECOND, step_names[step->what]);
    if (step->what == STEP_WRITE)
        fprintf(stderr, " tenant %u kind %d sequence %" PRIu64, step->tenant, step->kind,
                step->sequence);
    if (step->what == STEP_DELETE)
        fprintf(stderr, " tenant %u kind %d matcher %" PRIu64 " from %" PRId64 " to %" PRId64 " s",
                step->tenant, step->kind, step->matcher % 12, step->start_ns / NS_PER_SECOND,
                step->end_ns / NS_PER_SECOND);
    for (unsigned i = 0; i < step->count; i++)
        fprintf(stderr, " [series %u time %" PRId64 " %s %" PRIx64 " metadata %u]",
                step->entries[i].series, step->entries[i].time_ns / NS_PER_SECOND,
                step->kind == STORE_LOG ? "line" : "bits", step->entries[i].bits,
                step->entries[i].metadata);
    fputc('\n', stderr);
}

/* ---- running steps ------------------------------------------------------ */

struct run {
    struct store_options options;
    struct clock clock;
    int64_t now_ns;
    struct store *store;
    struct model model;
    char why[1024];
};

static int64_t read_clock(void *context)
{
    return ((const struct run *)context)->now_ns;
}

static bool failed(struct run *run, const char *what, const char *detail)
{
    snprintf(run->why, sizeof(run->why), "%s: %s", what, detail);
    return false;
}

static bool fill(struct run *run, struct batch *batch, const struct step *step, uint32_t *numbers)
{
    struct error err = {0};
    if (step->sequence > 0)
        batch_set_producer(batch, SLICE("sender"), 1, step->sequence);
    for (unsigned i = 0; i < step->count; i++) {
        struct label labels[MODEL_LABELS_MAX];
        size_t count = model_labels(step->kind, step->entries[i].series, labels);
        int64_t number = batch_define(batch, 1, (struct slice){NULL, 0}, labels, count, &err);
        if (number < 0)
            return failed(run, "batch_define", err.message);
        numbers[i] = (uint32_t)number;
        struct label pairs[2];
        count = model_metadata(step->entries[i].metadata, pairs);
        double value;
        memcpy(&value, &step->entries[i].bits, sizeof(value));
        bool ok = step->kind == STORE_METRIC
                      ? batch_sample(batch, numbers[i], step->entries[i].time_ns, value, &err)
                      : batch_entry(batch, numbers[i], step->entries[i].time_ns,
                                    model_line(step->entries[i].bits), pairs, count, &err);
        if (!ok && (step->now_ns - step->entries[i].time_ns) / NS_PER_DAY < RETENTION_DAYS)
            return failed(run, "adding an entry", err.message);
        if (!ok)
            numbers[i] = UINT32_MAX;
    }
    return true;
}

/* Tell the model what became of each entry. */
static bool note(struct run *run, const struct step *step, const uint32_t *numbers,
                 const struct batch_result *result)
{
    size_t next = 0;
    while (next < result->shown && result->first[next].reason == REFUSED_TOO_OLD)
        next++;
    for (unsigned i = 0; i < step->count; i++) {
        if (numbers[i] == UINT32_MAX)
            continue;
        unsigned number = step->entries[i].series;
        struct model_entry entry = {.time_ns = step->entries[i].time_ns,
                                    .bits = step->entries[i].bits,
                                    .metadata = step->entries[i].metadata};
        int outcome = MODEL_STORED;
        if (next < result->shown && result->first[next].series == numbers[i] &&
            result->first[next].time_ns == entry.time_ns &&
            model_may_refuse(&run->model, step->kind,
                             &run->model.series[step->tenant][step->kind][number], entry.time_ns,
                             entry.bits))
            outcome = (int)result->first[next++].reason;
        if (!model_write(&run->model, step->tenant, step->kind, number, &entry, outcome))
            return failed(run, "write",
                          outcome == MODEL_STORED ? "stored what is to be refused"
                                                  : "refused for another reason");
    }
    return next == result->shown || failed(run, "write", "refused what is to be stored");
}

static bool run_write(struct run *run, const struct step *step)
{
    struct error err = {0};
    struct batch_result result;
    uint32_t numbers[ENTRIES_MAX];
    struct batch *batch = batch_new(run->store, model_tenant(step->tenant), step->kind, &err);
    if (batch == NULL)
        return failed(run, "batch_new", err.message);
    if (!fill(run, batch, step, numbers))
        return false;
    if (!batch_commit_wait(batch, &result, &err))
        return failed(run, "batch_commit", err.message);
    struct model_batch_id id = {step->tenant, step->kind, step->sequence};
    bool repeated = step->sequence > 0 && model_batch(&run->model, &id);
    if (result.repeated != repeated)
        return failed(run, "batch id", repeated ? "forgotten" : "never seen, taken for a repeat");
    return repeated || note(run, step, numbers, &result);
}

static bool run_delete(struct run *run, const struct step *step)
{
    struct error err = {0};
    struct matcher matcher;
    model_matcher(step->matcher, &matcher);
    struct view_selector selector = {&matcher, 1};
    struct store_delete request = {.tenant = model_tenant(step->tenant),
                                   .kind = step->kind,
                                   .start_ns = step->start_ns,
                                   .end_ns = step->end_ns,
                                   .selectors = &selector,
                                   .selector_count = 1};
    bool ok = store_delete(run->store, &request, NULL, &err);
    if (ok)
        model_delete(&run->model, step->tenant, step->kind, &matcher, step->start_ns, step->end_ns);
    matcher_done(&matcher);
    return ok || failed(run, "store_delete", err.message);
}

static bool run_delete_entry(struct run *run, const struct step *step)
{
    struct error err = {0};
    struct label labels[MODEL_LABELS_MAX], pairs[2];
    unsigned number = step->entries[0].series;
    struct model_entry gone = {.time_ns = step->entries[0].time_ns,
                               .bits = step->entries[0].bits,
                               .metadata = step->entries[0].metadata};
    struct labels metadata = {pairs, model_metadata(gone.metadata, pairs)};
    struct delete_entry entry = {gone.time_ns, store_entry_hash(model_line(gone.bits), metadata)};
    struct delete_series series = {{labels, model_labels(STORE_LOG, number, labels)}, &entry, 1};
    struct store_delete request = {.tenant = model_tenant(step->tenant),
                                   .kind = STORE_LOG,
                                   .start_ns = gone.time_ns,
                                   .end_ns = gone.time_ns,
                                   .series = &series,
                                   .series_count = 1};
    if (!store_delete(run->store, &request, NULL, &err))
        return failed(run, "store_delete", err.message);
    model_delete_entry(&run->model, step->tenant, number, &gone);
    return true;
}

static bool reopen(struct run *run, bool clean)
{
    struct error err = {0};
    struct store *store = run->store;
    run->store = NULL;
    if (!clean)
        store_abandon(store);
    else if (!store_close(store, &err))
        return failed(run, "store_close", err.message);
    model_reopen(&run->model, clean);
    run->store = store_open(&run->options, &err);
    return run->store || failed(run, "store_open", err.message);
}

static bool run_step(struct run *run, const struct step *step)
{
    struct error err = {0};
    run->now_ns = step->now_ns;
    switch (step->what) {
    case STEP_WRITE:
        return run_write(run, step);
    case STEP_CLOSE:
    case STEP_KILL:
        return reopen(run, step->what == STEP_CLOSE);
    case STEP_RETENTION:
        if (!store_seal(run->store, &err) || !store_retention(run->store, &err))
            return failed(run, "retention", err.message);
        model_retention(&run->model, (run->now_ns / NS_PER_DAY - RETENTION_DAYS) * NS_PER_DAY);
        break;
    case STEP_DELETE:
        return run_delete(run, step);
    case STEP_DELETE_ENTRY:
        return run_delete_entry(run, step);
    case STEP_CLOSE_DAYS:
        if (!store_close_days(run->store, run->now_ns, &err))
            return failed(run, "store_close_days", err.message);
        break;
    case STEP_CLEAN:
        if (!store_clean_tombstones(run->store, &err))
            return failed(run, "store_clean_tombstones", err.message);
        break;
    case STEP_SEAL:
        if (!store_seal(run->store, &err))
            return failed(run, "store_seal", err.message);
        break;
    }
    run->model.sealed = true;
    return true;
}

static bool run_all(struct run *run, const struct step *steps, size_t count)
{
    struct error err = {0};
    run->now_ns = START_NS;
    run->store = store_open(&run->options, &err);
    if (run->store == NULL)
        return failed(run, "store_open", err.message);
    for (size_t i = 0; i < count; i++) {
        if (!run_step(run, &steps[i]))
            return false;
        uint64_t seed = steps[i].seed;
        for (int k = 0; k < (i + 1 == count ? LAST_READS : READS); k++) {
            if (!model_read(&run->model, run->store, model_random(&seed), run->now_ns, run->why,
                            sizeof(run->why)))
                return false;
        }
    }
    return true;
}

/* In a child, so that a crash is a failure like any other.  True: all went well. */
static bool try_steps(const struct step *steps, size_t count, bool loud)
{
    char directory[64];
    char command[128];
    const char *base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    snprintf(directory, sizeof(directory), "%s/etinde-model-XXXXXX", base);
    if (mkdtemp(directory) == NULL)
        abort();
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        struct run *run = calloc(1, sizeof(*run));
        run->clock = (struct clock){read_clock, run};
        run->options = (struct store_options){.directory = directory,
                                              .ack = STORE_ACK_PROCESS,
                                              .clock = &run->clock,
                                              .seal_interval_ns = -1,
                                              .wal_segment_size = 16 * 1024,
                                              .retention_ns = RETENTION_DAYS * NS_PER_DAY};
        struct matcher short_lived;
        struct error err = {0};
        if (!matcher_init(&short_lived, MATCH_EQUAL, SLICE("app"), SLICE("d"), &err))
            abort();
        struct store_rule rule = {
            .matchers = &short_lived, .matcher_count = 1, .period_ns = 26 * NS_PER_HOUR};
        run->options.rules = &rule;
        run->options.rule_count = 1;
        model_init(&run->model);
        run->model.short_ns = rule.period_ns;
        run->model.kept_ns = RETENTION_DAYS * NS_PER_DAY;
        bool ok = run_all(run, steps, count);
        if (!ok && loud)
            fprintf(stderr, "%s\n", run->why);
        store_abandon(run->store);
        model_done(&run->model);
        matcher_done(&short_lived);
        free(run);
        fflush(NULL);
        _exit(ok ? 0 : 1);
    }
    int status = -1;
    waitpid(child, &status, 0);
    if (loud && WIFSIGNALED(status))
        fprintf(stderr, "ended by signal %d\n", WTERMSIG(status));
    snprintf(command, sizeof(command), "rm -rf '%s'", directory);
    return system(command) == 0 && status == 0;
}

/* Leave out ever smaller runs of steps as long as it still fails. */
static size_t shrink(struct step *steps, size_t count)
{
    struct step *part = calloc(count, sizeof(*part));
    for (size_t length = count / 2; length > 0; length /= 2) {
        for (size_t at = 0; at + length <= count;) {
            memcpy(part, steps, at * sizeof(*part));
            memcpy(part + at, steps + at + length, (count - at - length) * sizeof(*part));
            if (try_steps(part, count - length, false)) {
                at += length;
            } else {
                count -= length;
                memcpy(steps, part, count * sizeof(*part));
            }
        }
    }
    free(part);
    return count;
}

static uint64_t argument(int argc, char **argv, int number, uint64_t otherwise)
{
    uint64_t value;
    if (number < argc && slice_parse_u64(slice_from_text(argv[number]), &value))
        return value;
    return otherwise;
}

int main(int argc, char **argv)
{
    int64_t until = clock_monotonic_ns() + (int64_t)argument(argc, argv, 1, 12) * NS_PER_SECOND;
    uint64_t first = argument(argc, argv, 2, 1);
    size_t count = argument(argc, argv, 3, 250);
    if (count > STEPS_MAX)
        count = STEPS_MAX;
    struct step *steps = calloc(count, sizeof(*steps));
    uint64_t seed = first;
    int status = 0;
    do {
        make_steps(steps, count, seed);
        if (!try_steps(steps, count, true)) {
            fprintf(stderr, "seed %" PRIu64 " fails; looking for the smallest list\n", seed);
            size_t left = shrink(steps, count);
            fprintf(stderr, "%zu steps:\n", left);
            for (size_t i = 0; i < left; i++)
                print_step(&steps[i]);
            try_steps(steps, left, true);
            status = 1;
            break;
        }
        seed++;
    } while (clock_monotonic_ns() < until);
    printf("%" PRIu64 " lists of %zu steps, seeds from %" PRIu64 ": %s\n", seed - first, count,
           first, status ? "FAILED" : "equal");
    free(steps);
    return status;
}
