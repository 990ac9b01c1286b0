/*
 * routes.h - the table of all endpoints, and the way of a request through it.
 */
#ifndef SERVER_ROUTES_H
#define SERVER_ROUTES_H

#include "base/slice.h"
#include "server/call.h"
#include "server/http_server.h"

#include <stdbool.h>
#include <stddef.h>

struct server;

struct route {
    const char *path; /* "{}" stands for one segment */
    unsigned methods; /* bits of enum http_method; GET implies HEAD */
    enum api_family family;
    void (*run)(struct call *call);
    bool pooled;  /* runs on a query thread */
    bool is_push; /* the body is data: larger, and no form */
    /* Looks at the headers before the body is read; false: it has answered. */
    bool (*check)(struct http_request *request);
};

/* The route of a path, with what stood for "{}"; NULL: there is none. */
const struct route *route_find(struct slice path, struct slice *name);

/* All routes, for /metrics; a route's number is its place. */
const struct route *routes_all(size_t *count);
size_t route_number(const struct route *route); /* NULL: one behind the last */

/* The handler functions for the HTTP server; their context is the struct server. */
void routes_handler(struct server *server, struct http_handler *handler);

/* Give back a call whose handler has suspended it (a push): its answer is filled. */
void call_resume(struct call *call);

#endif
