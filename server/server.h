/*
 * server.h - what all parts of the server share: one struct server per process.
 *
 * Built by server_start() in server.c from options and an open store; the API
 * families get it with each call.  Everything in it is constant after the
 * start but the counters and flags, which are atomic.
 */
#ifndef SERVER_SERVER_H
#define SERVER_SERVER_H

#include "base/compiler.h"
#include "query/query.h"
#include "server/counters.h"

#include <stdbool.h>
#include <stdint.h>

struct error;
struct http_server;
struct options;
struct pool;
struct result_cache;
struct store;
struct deletes;
struct rate_limit;
struct tails;

struct server {
    const struct options *options;
    struct store *store;
    struct http_server *http;
    struct pool *queries;         /* threads that run queries, with a bounded queue */
    struct result_cache *results; /* of range queries; NULL: off */
    struct pool *helpers;         /* threads that fill batches of queries; NULL: none */
    struct pool *pushes;          /* threads that decode large pushes, one per core */
    struct rate_limit *log_rate;  /* of pushed logs; NULL: none */
    struct tails *tails;          /* live tails, with a thread each */
    struct deletes *deletes;      /* requests to delete logs, with a thread of its own */
    struct query_limits limits;
    size_t query_threads; /* that may work on one query, with its own */
    int64_t started_ns;   /* time of day */
    int64_t started_monotonic_ns;
    bool stopping; /* atomic: /ready says 503 */
    struct counters counters;
};

/* Start to serve `store`.  The caller keeps options and store until server_stop(). */
struct server *server_start(const struct options *options, struct store *store, struct error *err)
    MUST_CHECK;

/* The address it listens on. */
const char *server_address(const struct server *server);

/* Answer what is running (25 s at most; false: some had to be canceled), end the threads, free. */
bool server_stop(struct server *server);

bool server_is_stopping(const struct server *server);

#endif
