/*
 * test_nth_failure.c - the n-th write, sync, name, mapping or arena block fails, for every n.
 *
 *   etinde-nth-failure-test [all|some [KIND]]     default: some, every n up to 6, then each third
 * more
 *
 * A child process opens a store, commits batches durably, seals, deletes, closes days and
 * reads, all in a fresh directory; its n-th call of one kind fails, once or from
 * then on, with EIO or ENOSPC, whoever makes it: the log, LMDB, the sums of its pages.
 * Calls may fail then, nothing may crash or hang.  Then the store is let go as by kill -9 and
 * opened without faults: every batch that was acknowledged must be there, whole and once, none
 * whose delete was acknowledged, nothing else, and verify must be content.  n rises until the child
 * makes fewer calls.
 *
 * Small allocations (xmalloc) are not among these: they end the process, which is
 * kill -9 to the data (base/memory.h).
 */
#include "base/arena.h"
#include "base/compiler.h"
#include "base/duration.h"
#include "base/error.h"
#include "base/matcher.h"
#include "base/number.h"
#include "storage/store.h"
#include "storage/verify.h"
#include "tests/faults/store_model.h"
#include "tests/faults/system_calls.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define START_NS (INT64_C(1700000000) * NS_PER_SECOND)

enum { BATCHES = 24, SERIES = 2, KIND_ARENA = CALL_KINDS, KINDS };
enum { STATUS_FIRED = 40, STATUS_NOT_REACHED, STATUS_WRONG };

static const char *const kind_names[KINDS] = {"open",   "write", "sync",  "size", "rename", "link",
                                              "unlink", "mkdir", "rmdir", "map",  "arena"};

/* ---- the fault ------------------------------------------------------------- */

static struct {
    int kind, error;
    bool for_ever;
    long nth, count; /* count: atomic */
} plan;

static bool is_due(int kind)
{
    if (kind != plan.kind)
        return false;
    long count = __atomic_add_fetch(&plan.count, 1, __ATOMIC_SEQ_CST);
    return count == plan.nth || (plan.for_ever && count > plan.nth);
}

static int before(const struct system_call *call, size_t *size)
{
    if (strstr(call->path, "etinde-nth-") == NULL || !is_due((int)call->kind))
        return 0;
    if (call->kind == CALL_WRITE && plan.nth % 3 == 0 && *size > 1 && !plan.for_ever) {
        *size /= 2; /* short, as a full disk leaves it: the next write fails if it is in vain */
        return 0;
    }
    return plan.error;
}

static bool arena_due(void)
{
    return is_due(KIND_ARENA);
}

static const struct system_watch watch = {before, NULL};

/* ---- what is done ------------------------------------------------------------- */

static bool acknowledged[BATCHES], sent[BATCHES], delete_tried[BATCHES], deleted[BATCHES];

static int64_t time_of(unsigned number)
{
    return START_NS + (int64_t)number * NS_PER_HOUR; /* over midnight */
}

static enum store_kind kind_of(unsigned number)
{
    return number % 2 ? STORE_LOG : STORE_METRIC;
}

static struct store *open_store(const char *directory, struct error *err)
{
    struct store_options options = {.directory = directory,
                                    .ack = STORE_ACK_DURABLE,
                                    .retention_ns = -1,
                                    .future_ns = -1,
                                    .past_ns = {-1, -1},
                                    .out_of_order_ns = {NS_PER_HOUR, NS_PER_HOUR},
                                    .seal_interval_ns = -1,
                                    .wal_segment_size = 1500};
    return store_open(&options, err);
}

static void send(struct store *store, unsigned number)
{
    struct error err = {0};
    struct batch_result result;
    enum store_kind kind = kind_of(number);
    struct batch *batch = batch_new(store, SLICE("t"), kind, &err);
    bool ok = batch != NULL;
    for (unsigned s = 0; ok && s < SERIES; s++) {
        struct label labels[MODEL_LABELS_MAX];
        size_t count = model_labels(kind, s, labels);
        int64_t series = batch_define(batch, 1, (struct slice){NULL, 0}, labels, count, &err);
        ok = series >= 0 &&
             (kind == STORE_METRIC
                  ? batch_sample(batch, (uint32_t)series, time_of(number), number, &err)
                  : batch_entry(batch, (uint32_t)series, time_of(number), SLICE("a line"), NULL, 0,
                                &err));
    }
    sent[number] = true;
    if (!ok)
        batch_free(batch);
    acknowledged[number] = ok && batch_commit_wait(batch, &result, &err);
}

static void delete_one(struct store *store, unsigned number)
{
    struct error err = {0};
    struct matcher any;
    if (!matcher_init(&any, MATCH_NOT_EQUAL, SLICE("app"), SLICE(""), &err))
        return;
    struct view_selector selector = {&any, 1};
    struct store_delete request = {.tenant = SLICE("t"),
                                   .kind = kind_of(number),
                                   .start_ns = time_of(number),
                                   .end_ns = time_of(number),
                                   .selectors = &selector,
                                   .selector_count = 1};
    delete_tried[number] = true;
    deleted[number] = store_delete(store, &request, NULL, &err);
    matcher_done(&any);
}

static bool read_kind(struct store *store, enum store_kind kind, unsigned *parts, struct error *err)
{
    struct cursor_request request = {.tenant = SLICE("t"),
                                     .kind = kind,
                                     .start_ns = INT64_MIN,
                                     .end_ns = INT64_MAX,
                                     .projection = CURSOR_TIMES | CURSOR_VALUES | CURSOR_LINES};
    struct cursor *cursor = cursor_open(store, &request, err);
    struct cursor_reader *reader = cursor ? cursor_reader_new(cursor) : NULL;
    bool ok = cursor != NULL;
    for (size_t i = 0; ok && i < cursor_series_count(cursor); i++) {
        struct sample_column column = {0};
        struct entry_block block = {0};
        struct entry_stream *stream = NULL;
        if (kind == STORE_METRIC)
            ok = cursor_read_samples(reader, i, &column, err);
        else
            ok = (stream = entry_stream_open(reader, i, err)) != NULL;
        for (size_t k = 0; ok && k < column.count; k++)
            parts[(column.times_ns[k] - START_NS) / NS_PER_HOUR]++;
        while (ok && stream && (ok = entry_stream_next(stream, &block, err)) && block.count > 0)
            for (size_t k = 0; k < block.count; k++)
                parts[(block.times_ns[k] - START_NS) / NS_PER_HOUR]++;
        entry_stream_close(stream);
    }
    cursor_reader_free(reader);
    cursor_close(cursor);
    return ok;
}

/* Calls may fail: only what they say counts. */
static void work(const char *directory)
{
    struct error err = {0};
    for (unsigned start = 0; start < 2; start++) {
        unsigned first = start * BATCHES / 2, parts[BATCHES] = {0};
        struct store *store = open_store(directory, &err);
        for (unsigned i = first; store && i < first + BATCHES / 2; i++) {
            send(store, i);
            if (i % 5 == 4)
                (void)!store_seal(store, &err);
        }
        if (store) {
            delete_one(store, first + 1);
            delete_one(store, first + 4);
            (void)!store_close_days(store, time_of(first + 30), &err);
            (void)!read_kind(store, STORE_METRIC, parts, &err);
            (void)!read_kind(store, STORE_LOG, parts, &err);
        }
        if (start == 0)
            store_close(store, &err);
        else
            store_abandon(store);
    }
}

/* ---- judging --------------------------------------------------------------------- */

static void show_line(void *context, bool damage, const char *text)
{
    (void)context;
    if (damage)
        fprintf(stderr, "verify: %s\n", text);
}

static bool is_right(const char *directory, struct error *err)
{
    unsigned parts[BATCHES] = {0};
    struct verify_report report;
    struct store *store = open_store(directory, err);
    bool ok = store && read_kind(store, STORE_METRIC, parts, err) &&
              read_kind(store, STORE_LOG, parts, err);
    for (unsigned i = 0; ok && i < BATCHES; i++) {
        bool may_lack = !acknowledged[i] || delete_tried[i];
        if ((parts[i] == 0 && !may_lack) || (parts[i] != 0 && parts[i] != SERIES) ||
            (parts[i] != 0 && (deleted[i] || !sent[i])))
            ok = error_set(err, ERR_INTERNAL,
                           "batch %u has %u parts; acknowledged %d, delete acknowledged %d", i,
                           parts[i], acknowledged[i], deleted[i]);
    }
    ok = ok && store_seal(store, err);
    store_abandon(store);
    ok = ok && store_verify(directory, show_line, NULL, &report, err);
    return ok && (report.problems == 0 || error_set(err, ERR_INTERNAL, "verify found something"));
}

static int run_child(const char *directory)
{
    struct error err = {0};
    alarm(60); /* a hang is a failure, too */
    system_watch = &watch;
    arena_fault = arena_due;
    work(directory);
    system_watch = NULL;
    arena_fault = NULL;
    if (!is_right(directory, &err)) {
        fprintf(stderr, "%s\n", err.message);
        return STATUS_WRONG;
    }
    return plan.count >= plan.nth ? STATUS_FIRED : STATUS_NOT_REACHED;
}

static int run(const char *directory)
{
    char command[128];
    int status;
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        mkdir(directory, 0700);
        _exit(run_child(directory));
    }
    waitpid(child, &status, 0);
    snprintf(command, sizeof(command), "rm -rf '%s'", directory);
    if (system(command) != 0)
        return STATUS_WRONG;
    if (WIFEXITED(status))
        return WEXITSTATUS(status);
    fprintf(stderr, "the child ended with signal %d\n", WTERMSIG(status));
    return STATUS_WRONG;
}

/* All n of one kind of call; counts runs. */
static bool run_all(const char *directory, bool every, unsigned long *runs)
{
    const char *only = getenv("NTH_ONLY"); /* for looking at a failure */
    uint64_t number;
    if (only != NULL && slice_parse_u64(slice_from_text(only), &number)) {
        plan.nth = (long)number;
        mkdir(directory, 0700);
        return run_child(directory) == STATUS_FIRED;
    }
    for (plan.nth = 1;; plan.nth += every || plan.nth < 6 ? 1 : 1 + plan.nth / 3) {
        int status = run(directory);
        if (status == STATUS_NOT_REACHED)
            return true;
        ++*runs;
        if (status == STATUS_FIRED)
            continue;
        fprintf(stderr, "%s %ld%s with %s: status %d\n", kind_names[plan.kind], plan.nth,
                plan.for_ever ? " and all later" : "", strerror(plan.error), status);
        return false;
    }
}

int main(int argc, char **argv)
{
    bool every = argc > 1 && strcmp(argv[1], "all") == 0, ok = true;
    char directory[64];
    unsigned long runs = 0;
    const char *base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    snprintf(directory, sizeof(directory), "%s/etinde-nth-%d", base, (int)getpid());
    for (plan.kind = 0; plan.kind < KINDS; plan.kind++) {
        if (argc > 2 && strcmp(argv[2], kind_names[plan.kind]) != 0)
            continue;
        for (int mode = 0; mode < 4; mode++) {
            plan.error = mode % 2 ? ENOSPC : EIO;
            plan.for_ever = mode >= 2;
            if (!every && (mode == 1 || mode == 2)) /* EIO once, ENOSPC from then on */
                continue;
            if (plan.kind == KIND_ARENA && mode % 2)
                continue;
            ok = run_all(directory, every, &runs) && ok;
        }
    }
    printf("%lu runs with a failing call: %s\n", runs, ok ? "nothing lost" : "FAILED");
    return ok ? 0 : 1;
}
