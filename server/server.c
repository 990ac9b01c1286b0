/*
 * server.c - see server.h: what is started, in which order, and how it stops.
 *
 * Start: query threads, then HTTP; the store may still be replaying its log (main.c).  Stop: /ready
 * turns to 503, HTTP takes no more connections, running requests are answered (their queries and
 * commits go on), then the query threads and their helpers end, then the HTTP threads.  The store
 * is closed by the caller after that.
 */
#include "server/server.h"

#include "base/clock.h"
#include "base/duration.h"
#include "base/memory.h"
#include "base/pool.h"
#include "query/result_cache.h"
#include "server/deletes.h"
#include "server/http_server.h"
#include "server/loki_tail.h"
#include "server/options.h"
#include "server/rate_limit.h"
#include "server/routes.h"

#include <unistd.h>

enum { DRAIN_MS = 25000, PUSH_QUEUE_MAX = 64, HELP_QUEUE_MAX = 1024 };

static bool start_parts(struct server *server, struct error *err)
{
    const struct options *o = server->options;
    server->queries = pool_new("query", (size_t)o->query_concurrency, (size_t)o->query_queue, err);
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    server->query_threads = o->query_threads > 0 ? (size_t)o->query_threads
                            : cores > 0          ? (size_t)cores
                                                 : 1;
    if (o->query_cache_memory > 0)
        server->results = result_cache_new((size_t)o->query_cache_memory);
    if (server->queries && server->query_threads > 1)
        server->helpers = pool_new("query-help", server->query_threads - 1, HELP_QUEUE_MAX, err);
    if (server->queries && (server->helpers || server->query_threads < 2))
        server->pushes = pool_new("push", cores > 0 ? (size_t)cores : 1, PUSH_QUEUE_MAX, err);
    if (!server->pushes)
        return false;
    server->deletes = deletes_start(server->store, err);
    if (!server->deletes)
        return false;
    struct http_options http = {
        .listen = o->listen,
        .threads = (unsigned)o->http_threads,
        .connections_max = (unsigned)o->http_connections,
        .idle_timeout_s = (unsigned)(o->http_idle_timeout_ns / NS_PER_SECOND),
        .bodies_max = options_memory_share(o, o->http_bodies_memory, 4),
        .answer_max = o->http_answer_size,
    };
    struct http_handler handler;
    routes_handler(server, &handler);
    server->http = http_server_open(&http, &handler, err);
    return server->http && http_server_run(server->http, err);
}

struct server *server_start(const struct options *options, struct store *store, struct error *err)
{
    struct server *server = xcalloc(1, sizeof(*server));
    server->options = options;
    server->store = store;
    server->started_ns = clock_now_ns(NULL);
    server->started_monotonic_ns = clock_monotonic_ns();
    options_for_query(options, &server->limits);
    server->tails = tails_new();
    if (options->logs_rate > 0)
        server->log_rate = rate_limit_new(options->logs_rate, options->logs_rate_burst);
    if (start_parts(server, err))
        return server;
    http_server_close(server->http);
    deletes_stop(server->deletes);
    pool_free(server->queries);
    pool_free(server->helpers);
    result_cache_free(server->results);
    pool_free(server->pushes);
    tails_free(server->tails);
    rate_limit_free(server->log_rate);
    free(server);
    return NULL;
}

const char *server_address(const struct server *server)
{
    return http_server_address(server->http);
}

bool server_is_stopping(const struct server *server)
{
    return __atomic_load_n(&server->stopping, __ATOMIC_ACQUIRE);
}

bool server_stop(struct server *server)
{
    __atomic_store_n(&server->stopping, true, __ATOMIC_RELEASE);
    tails_stop(server->tails);
    bool clean = http_server_drain(server->http, DRAIN_MS);
    pool_free(server->queries);
    pool_free(server->helpers);
    result_cache_free(server->results);
    pool_free(server->pushes);
    http_server_close(server->http);
    deletes_stop(server->deletes);
    tails_free(server->tails);
    rate_limit_free(server->log_rate);
    free(server);
    return clean;
}
