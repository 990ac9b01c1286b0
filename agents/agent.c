/*
 * agent.c - three threads and their clock (see agent.h).
 *
 *     main     scrapes at every multiple of the interval, puts the request into the spool
 *     metrics  sends what the spool holds
 *     logs     searches, reads and sends log files
 *
 * At a signal the threads get two seconds to finish the push under way; then it
 * is aborted.  Nothing is lost by that: metrics are in the spool, and logs and
 * the batch under way are in the positions.
 */
#include "agents/agent.h"

#include "agents/collectors.h"
#include "agents/log_files.h"
#include "agents/log_shipper.h"
#include "agents/metric_shipper.h"
#include "agents/options.h"
#include "base/clock.h"
#include "base/duration.h"
#include "base/error.h"
#include "base/files.h"
#include "base/hash.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

enum { BASE_LABELS_MAX = AGENT_LABELS_MAX + 2, DESCRIBE_EVERY = 40, GRACE_SECONDS = 2 };
enum { THREAD_STACK_SIZE = 512 * 1024, PRODUCER_SIZE = 17 };

struct base_labels {
    struct label items[BASE_LABELS_MAX];
    size_t count;
};

struct agent {
    const struct agent_options *options;
    struct stop stop;
    struct metric_shipper metrics;
    struct log_shipper *logs; /* NULL without --logs */
    pthread_t metric_thread, log_thread;
    struct scrape scrape;
    struct base_labels metric_labels, log_labels;
    uint64_t epoch, sequence;
    int lock_fd;
    char host[256];
    char metric_producer[32], log_producer[32];
};

/* job and instance, unless --label gives others. */
static void set_labels(struct base_labels *labels, const struct agent_options *options,
                       const char *job, const char *host)
{
    const struct label defaults[] = {{SLICE("instance"), slice_from_text(host)},
                                     {SLICE("job"), slice_from_text(job)}};
    for (size_t i = 0; i < options->label_count; i++)
        labels->items[labels->count++] = options->labels[i];
    for (size_t i = 0; i < COUNT_OF(defaults); i++) {
        bool given = false;
        for (size_t k = 0; k < options->label_count; k++)
            given = given || slice_equal(options->labels[k].name, defaults[i].name);
        if (!given)
            labels->items[labels->count++] = defaults[i];
    }
}

/* One agent per state directory. */
static bool lock_state(struct agent *a, struct error *err)
{
    char path[4096];
    if (!directory_make(a->options->state, err))
        return false;
    int size = snprintf(path, sizeof(path), "%s/lock", a->options->state);
    if (size < 0 || (size_t)size >= sizeof(path))
        return error_set(err, ERR_INVALID, "--state %s is too long", a->options->state);
    a->lock_fd = file_open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600, err);
    if (a->lock_fd < 0)
        return false;
    if (flock(a->lock_fd, LOCK_EX | LOCK_NB) != 0)
        return error_set(err, ERR_BUSY, "another agent uses %s", a->options->state);
    return true;
}

static bool is_hex(struct slice s)
{
    for (size_t i = 0; i < s.size; i++) {
        if (!(s.data[i] >= '0' && s.data[i] <= '9') && !(s.data[i] >= 'a' && s.data[i] <= 'f'))
            return false;
    }
    return true;
}

/* The agent's own name, made up at its first start and kept. */
static bool load_producer(struct agent *a, struct error *err)
{
    char path[4096];
    AUTO(buffer_done) struct buffer text;
    buffer_init(&text, 64);
    int size = snprintf(path, sizeof(path), "%s/producer", a->options->state);
    if (size < 0 || (size_t)size >= sizeof(path))
        return error_set(err, ERR_INVALID, "--state %s is too long", a->options->state);
    if (!file_load(path, &text, err)) {
        if (err->code != ERR_NOT_FOUND)
            return false;
        error_clear(err);
        buffer_printf(&text, "%016" PRIx64, hash_seed());
        if (!file_replace(path, buffer_slice(&text), err))
            return false;
    }
    struct slice name = slice_trim(buffer_slice(&text));
    if (name.size != PRODUCER_SIZE - 1 || !is_hex(name))
        return error_set(err, ERR_CORRUPT, "%s is damaged; remove it for a new name", path);
    snprintf(a->metric_producer, sizeof(a->metric_producer), "%.*s-metrics", SLICE_ARG(name));
    snprintf(a->log_producer, sizeof(a->log_producer), "%.*s-logs", SLICE_ARG(name));
    return true;
}

static void put_counter(struct scrape *s, const char *name, const char *help, const char *signal,
                        uint64_t value)
{
    struct label label = {SLICE("signal"), slice_from_text(signal)};
    scrape_family(s, name, "counter", help);
    scrape_value(s, name, &label, 1, (double)value);
}

static void put_sender(struct scrape *s, const char *signal, const struct sender_counters *c)
{
    put_counter(s, "etinde_agent_batches_sent_total", "Batches that the server took.", signal,
                atomic_load(&c->sent));
    put_counter(s, "etinde_agent_batches_dropped_total", "Batches that the server refused.", signal,
                atomic_load(&c->dropped));
    put_counter(s, "etinde_agent_push_retries_total", "Pushes tried again.", signal,
                atomic_load(&c->retried));
    put_counter(s, "etinde_agent_sent_bytes_total", "Compressed bytes that the server took.",
                signal, atomic_load(&c->bytes));
}

/* What the agent knows about itself. */
static void put_own(struct agent *a)
{
    struct scrape *s = &a->scrape;
    put_sender(s, "metrics", sender_counters(a->metrics.sender));
    scrape_single(s, "etinde_agent_spool_bytes", "gauge", "Bytes of metrics not yet sent.",
                  (double)spool_size(&a->metrics.spool));
    scrape_single(s, "etinde_agent_spool_dropped_total", "counter",
                  "Batches of metrics that the spool's limit cost.",
                  (double)spool_dropped(&a->metrics.spool));
    if (a->logs == NULL)
        return;
    put_sender(s, "logs", log_shipper_sent(a->logs));
    const struct log_counters *c = log_shipper_counters(a->logs);
    scrape_single(s, "etinde_agent_log_files", "gauge", "Files that are tailed.",
                  (double)atomic_load(&c->files));
    scrape_single(s, "etinde_agent_log_lines_total", "counter", "Lines done with.",
                  (double)atomic_load(&c->lines));
    scrape_single(s, "etinde_agent_log_bytes_total", "counter", "Bytes of files done with.",
                  (double)atomic_load(&c->bytes));
    scrape_single(s, "etinde_agent_log_rotations_total", "counter", "Files that left their path.",
                  (double)atomic_load(&c->rotated));
    scrape_single(s, "etinde_agent_log_truncations_total", "counter",
                  "Files that were cut off while they were tailed.",
                  (double)atomic_load(&c->truncated));
    scrape_single(s, "etinde_agent_log_cut_lines_total", "counter",
                  "Lines over the limit, sent in pieces.", (double)atomic_load(&c->cut_lines));
}

static void scrape_now(struct agent *a)
{
    struct error err = {0};
    scrape_begin(&a->scrape, clock_now_ns(NULL) / NS_PER_MS, a->sequence % DESCRIBE_EVERY == 0);
    collect_all(&a->scrape);
    put_own(a);
    struct spool_key key = {a->epoch, ++a->sequence};
    if (!buffer_check(&a->scrape.out, "a scrape", &err) ||
        !metric_shipper_put(&a->metrics, key, buffer_slice(&a->scrape.out), &err))
        log_error("a scrape is lost", LOG_ERR(&err));
}

/* Wait for a signal until the next multiple of the interval; true when one came. */
static bool wait_for_tick(const struct agent *a, const sigset_t *signals)
{
    int64_t interval = a->options->interval_ms * NS_PER_MS, now = clock_now_ns(NULL);
    int64_t left = interval - now % interval;
    struct timespec timeout = {left / NS_PER_SECOND, left % NS_PER_SECOND};
    int signal;
    do
        signal = sigtimedwait(signals, NULL, &timeout);
    while (signal < 0 && errno == EINTR);
    return signal > 0;
}

static void *run_metrics(void *context)
{
    struct agent *a = context;
    metric_shipper_run(&a->metrics, false);
    return NULL;
}

static void *run_logs(void *context)
{
    struct agent *a = context;
    log_shipper_run(a->logs, false);
    return NULL;
}

static bool start_thread(pthread_t *thread, void *(*run)(void *), void *context, struct error *err)
{
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, THREAD_STACK_SIZE);
    int code = pthread_create(thread, &attributes, run, context);
    pthread_attr_destroy(&attributes);
    return code == 0 ||
           error_set(err, ERR_UNAVAILABLE, "cannot start a thread: %s", strerror(code));
}

/* Give a thread until `until` to end by itself, then abort its push. */
static void join_thread(struct agent *a, pthread_t thread, const struct timespec *until)
{
    if (pthread_timedjoin_np(thread, NULL, until) == 0)
        return;
    atomic_store(&a->stop.cancel, true);
    pthread_join(thread, NULL);
}

static bool run_forever(struct agent *a, struct error *err)
{
    sigset_t signals;
    struct timespec until;

    if (!start_thread(&a->metric_thread, run_metrics, a, err))
        return false;
    bool ok = a->logs == NULL || start_thread(&a->log_thread, run_logs, a, err);
    bool logs = ok && a->logs;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    if (ok) {
        log_info("agent runs", LOG_TEXT("server", a->options->server),
                 LOG_INT("interval_ms", a->options->interval_ms),
                 LOG_INT("log_patterns", a->options->log_count));
        do {
            if (a->options->metrics)
                scrape_now(a);
        } while (!wait_for_tick(a, &signals));
        log_info("agent stops");
    }
    stop_set(&a->stop);
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += GRACE_SECONDS;
    join_thread(a, a->metric_thread, &until);
    if (logs)
        join_thread(a, a->log_thread, &until);
    return ok;
}

static bool run_once(struct agent *a, struct error *err)
{
    if (a->options->metrics)
        scrape_now(a);
    bool metrics = metric_shipper_run(&a->metrics, true);
    bool logs = a->logs == NULL || log_shipper_run(a->logs, true);
    return (metrics && logs) ||
           error_set(err, ERR_UNAVAILABLE, "could not send everything to %s", a->options->server);
}

static bool start(struct agent *a, struct error *err)
{
    const struct agent_options *o = a->options;
    if (gethostname(a->host, sizeof(a->host) - 1) != 0)
        snprintf(a->host, sizeof(a->host), "localhost");
    set_labels(&a->metric_labels, o, "node-exporter", a->host);
    set_labels(&a->log_labels, o, "logs", a->host);
    scrape_init(&a->scrape, a->metric_labels.items, a->metric_labels.count);
    a->scrape.procfs = o->procfs;
    a->scrape.sysfs = o->sysfs;
    a->scrape.rootfs = o->rootfs;
    a->epoch = (uint64_t)clock_now_ns(NULL);
    if (!lock_state(a, err) || !load_producer(a, err) ||
        !metric_shipper_open(&a->metrics, o, a->metric_producer, &a->stop, err))
        return false;
    if (o->log_count == 0)
        return true;
    a->logs = log_shipper_new(o, a->log_producer, a->epoch, a->log_labels.items,
                              a->log_labels.count, &a->stop, err);
    return a->logs != NULL;
}

bool agent_run(const struct agent_options *options, struct error *err)
{
    struct agent a = {.options = options, .lock_fd = -1};
    stop_init(&a.stop);
    bool ok = start(&a, err) && (options->once ? run_once(&a, err) : run_forever(&a, err));
    log_shipper_free(a.logs);
    metric_shipper_close(&a.metrics);
    scrape_done(&a.scrape);
    fd_drop(&a.lock_fd);
    stop_done(&a.stop);
    return ok;
}
