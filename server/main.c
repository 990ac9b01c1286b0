/*
 * main.c - the program etinde: options, store, server, and a clean end.
 *
 * Exit codes: 0 stopped cleanly, 1 something failed, 2 wrong usage or
 * configuration.  Signals are blocked in every thread; the main thread waits
 * for SIGTERM and SIGINT and looks once a second whether the store has a problem.
 */
#include "base/buffer.h"
#include "base/clock.h"
#include "base/duration.h"
#include "base/error.h"
#include "base/ledger.h"
#include "base/log.h"
#include "server/commands.h"
#include "server/options.h"
#include "server/server.h"
#include "storage/store.h"

#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "version.h"

enum { EXIT_FAILED = 1, EXIT_USAGE = 2 };

/*
 * Few malloc arenas: with one for each of the query threads, memory that one
 * has freed could not serve another.
 */
static void tune_allocator(void)
{
    mallopt(M_ARENA_MAX, 4);
    mallopt(M_MMAP_THRESHOLD, 1024 * 1024);
    mallopt(M_TRIM_THRESHOLD, 2 * 1024 * 1024);
}

static void log_replay(const struct store *store)
{
    struct store_replay r;
    store_replay_report(store, &r);
    log_info("replayed the write-ahead log", LOG_INT("segments", r.segments),
             LOG_INT("records", r.records), LOG_INT("samples", r.samples),
             LOG_INT("entries", r.entries), LOG_INT("skipped", r.skipped),
             LOG_INT("torn_bytes", r.torn_bytes),
             LOG_DOUBLE("seconds", (double)r.duration_ns / 1e9));
}

/* Says when the store cannot write or seal, then once a minute, and when it can again. */
static void log_problem(struct store *store, int64_t *said_ns)
{
    struct error err = {0};
    int64_t now_ns = clock_monotonic_ns();
    if (!store_problem(store, &err)) {
        if (*said_ns != 0)
            log_info("the store works again");
        *said_ns = 0;
    } else if (*said_ns == 0 || now_ns - *said_ns >= NS_PER_MINUTE) {
        log_error("the store has a problem", LOG_ERR(&err));
        *said_ns = now_ns;
    }
}

static void wait_for_signal(const sigset_t *signals, struct store *store)
{
    static const struct timespec second = {.tv_sec = 1};
    int64_t said_ns = 0;
    int number;
    while ((number = sigtimedwait(signals, NULL, &second)) < 0)
        log_problem(store, &said_ns);
    log_info("stopping", LOG_TEXT("signal", strsignal(number)));
}

/* Replay on a thread of its own: the main thread must hear signals. */
struct opening {
    struct store *store;
    struct error err;
    bool good, done; /* done: atomic */
};

static void *finish_opening(void *context)
{
    struct opening *opening = context;
    opening->good = store_open_finish(opening->store, &opening->err);
    __atomic_store_n(&opening->done, true, __ATOMIC_RELEASE);
    return NULL;
}

/* While the server answers already; false: failed, or a signal came first. */
static bool open_store(struct store *store, const sigset_t *signals, int *code)
{
    static const struct timespec moment = {.tv_nsec = 20 * NS_PER_MS};
    struct opening opening = {.store = store};
    bool stop = false;
    pthread_t thread;
    int failed = pthread_create(&thread, NULL, finish_opening, &opening);
    if (failed != 0) { /* then without a thread */
        finish_opening(&opening);
    } else {
        while (!__atomic_load_n(&opening.done, __ATOMIC_ACQUIRE))
            if (sigtimedwait(signals, NULL, &moment) > 0) {
                stop = true;
                store_open_cancel(store);
            }
        pthread_join(thread, NULL);
    }
    if (opening.good)
        log_replay(store);
    if (opening.good && !stop)
        return true;
    if (stop) {
        log_info("stopping", LOG_TEXT("signal", "before the start was complete"));
    } else {
        log_error("cannot open the data directory", LOG_ERR(&opening.err));
        *code = EXIT_FAILED;
    }
    return false;
}

static int serve(const struct options *options, const sigset_t *signals)
{
    struct error err = {0};
    struct store_options store_options;
    ledger_set_limit(options_memory(options));
    options_for_store(options, &store_options);
    struct store *store = store_open_begin(&store_options, &err);
    if (!store) {
        log_error("cannot open the data directory", LOG_TEXT("data", options->data), LOG_ERR(&err));
        return EXIT_FAILED;
    }
    int code = EXIT_SUCCESS;
    struct server *server = server_start(options, store, &err);
    if (server) {
        log_info("listening", LOG_TEXT("address", server_address(server)),
                 LOG_TEXT("data", options->data), LOG_TEXT("version", ETINDE_VERSION),
                 LOG_TEXT("commit", ETINDE_COMMIT));
        if (open_store(store, signals, &code))
            wait_for_signal(signals, store);
        if (!server_stop(server))
            log_warn("some requests had to be canceled to stop in time");
    } else {
        log_error("cannot serve", LOG_ERR(&err));
        code = EXIT_FAILED;
    }
    if (!store_close(store, &err)) {
        log_error("closing the store", LOG_ERR(&err));
        code = EXIT_FAILED;
    }
    log_info("stopped", LOG_INT("code", code));
    return code;
}

static int print_help(void)
{
    struct buffer text;
    buffer_init(&text, 64 * 1024);
    options_append_help(&text);
    fwrite(text.data, 1, text.size, stdout);
    buffer_done(&text);
    return EXIT_SUCCESS;
}

static int run(const struct options *options)
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);
    log_set_level((enum log_level)options->log_level);
    return serve(options, &signals);
}

int main(int argc, char **argv)
{
    struct options options;
    struct error err = {0};
    int code;
    tune_allocator();
    if (command_is_named(argc, argv))
        return command_run(argc, argv);
    bool good = options_read(&options, argc, argv, &err);
    if (!good) {
        fprintf(stderr, "etinde: %s\n", err.message);
        code = EXIT_USAGE;
    } else if (options.show_help) {
        code = print_help();
    } else if (options.show_version) {
        puts("etinde " ETINDE_VERSION " (" ETINDE_COMMIT ")");
        code = EXIT_SUCCESS;
    } else if (options.check_config) {
        puts("the configuration is good");
        code = EXIT_SUCCESS;
    } else {
        code = run(&options);
    }
    options_done(&options);
    return code;
}
