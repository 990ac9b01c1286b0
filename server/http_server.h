/*
 * http_server.h - HTTP/1.1 for the rest of the server; libmicrohttpd stays inside http_server.c.
 *
 * The library's threads (epoll, as many as cores) read requests and call the
 * handler of the server:
 *
 *   begin()   the request line and headers are in: choose a route, check the
 *             method and the headers, say how large the body may be
 *   handle()  the body is in: fill `response`, or suspend the request and let
 *             another thread fill it and resume
 *   done()    the answer is on its way or the client is gone: free `user`
 *
 * A suspended request costs no thread.  Request bodies come out of one global
 * budget: over it a request gets 503.  Answers of 1 KiB and more are gzipped
 * for clients that take it.
 */
#ifndef SERVER_HTTP_SERVER_H
#define SERVER_HTTP_SERVER_H

#include "base/buffer.h"
#include "base/compiler.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;
struct http_server; /* opaque: fields in http_server.c */

enum http_method {
    HTTP_GET = 1,
    HTTP_HEAD = 2,
    HTTP_POST = 4,
    HTTP_PUT = 8,
    HTTP_DELETE = 16,
    HTTP_OPTIONS = 32,
    HTTP_OTHER = 64
};

struct http_request;

enum { HTTP_EXTRA_HEADERS_MAX = 8, HTTP_GZIP_SIZE_MIN = 1024 };

/*
 * A connection that became something else (status 101): its socket is the handler's
 * until http_upgraded_close(), which must come before http_server_close().
 */
struct http_upgraded; /* the library's */

struct http_response {
    int status;               /* 0 while nobody has answered */
    const char *content_type; /* static text; NULL: none */
    struct buffer body;
    size_t sent_size;       /* of the body, once it was handed to the library */
    unsigned retry_after_s; /* 0: no such header */
    bool uncompressed;      /* made on a thread that has no time for gzip */
    /* Status 101: called on an HTTP thread once the answer is sent; must be quick. */
    void (*upgrade)(struct http_request *request, struct http_upgraded *upgraded, int fd,
                    struct slice sent_already);
    const char *upgrade_protocol; /* static text */
    char upgrade_accept[32];
    size_t extra_count;
    struct {
        const char *name, *value; /* static text */
    } extra[HTTP_EXTRA_HEADERS_MAX];
};

struct http_request {
    enum http_method method;
    struct slice path;  /* as sent, percent-encoded, without the query */
    struct slice query; /* what follows '?', as sent */
    struct slice body;
    int64_t started_ns; /* monotonic, when the request line was in */
    size_t body_max;    /* set by begin(); 0: this request has no body */
    const void *route;  /* of the handler */
    void *user;         /* of the handler, freed by done() */
    bool cancel;        /* atomic: the client has gone, or the server stops */
    struct http_response response;
};

struct http_handler {
    void *context;
    /* False: `response` says why not. */
    bool (*begin)(void *context, struct http_request *request);
    void (*handle)(void *context, struct http_request *request);
    void (*done)(void *context, struct http_request *request);
    void (*log)(void *context, const char *text); /* what the library complains about */
};

/* Zero: the default behind it. */
struct http_options {
    const char *listen;        /* host:port, [v6]:port or :port; port 0: any free one */
    unsigned threads;          /* one per core */
    unsigned connections_max;  /* 512 */
    unsigned idle_timeout_s;   /* 120 */
    size_t bodies_max;         /* bytes of request bodies held at once: 256 MiB */
    size_t answer_max;         /* bytes of one answer: 1 GiB */
    unsigned head_timeout_s;   /* 10 */
    unsigned body_bytes_per_s; /* 1024 after a grace of 5 s */
};

/* Binds: clients may connect and wait.  Fails when the address cannot be had. */
struct http_server *http_server_open(const struct http_options *options,
                                     const struct http_handler *handler, struct error *err)
    MUST_CHECK;

/* Starts the threads that call the handler. */
bool http_server_run(struct http_server *server, struct error *err) MUST_CHECK;

/* The address it listens on, as host:port. */
const char *http_server_address(const struct http_server *server);

/*
 * Takes no more connections and waits until every running request is answered,
 * at most `timeout_ms`; then sets the cancel flags of those that are left and
 * waits for them.  True when none had to be cancelled.  When they do not end 10 seconds
 * later, the process ends with a line in the log: what was acknowledged is stored already.
 */
bool http_server_drain(struct http_server *server, int64_t timeout_ms);

/* Ends the threads, after http_server_drain if they were started; NULL is fine. */
void http_server_close(struct http_server *server);

/* A request header; data NULL when absent.  Only from handler functions. */
struct slice http_request_header(const struct http_request *request, const char *name);

/*
 * Between suspend and resume the request belongs to whoever will resume it;
 * handle() may do no more with it after handing it over.  With `watch` a
 * client that hangs up sets `cancel`.
 */
void http_request_suspend(struct http_request *request, bool watch);
void http_request_resume(struct http_request *request); /* any thread */

/* Gives the socket back; the request ends with it.  Any thread. */
void http_upgraded_close(struct http_upgraded *upgraded);

/* Another header; both texts must be static. */
void http_response_header(struct http_response *response, const char *name, const char *value);

/* An answer of plain text with a newline behind it. */
void http_response_text(struct http_response *response, int status, const char *format, ...)
    PRINTF_LIKE(3, 4);

struct http_stats {
    uint64_t connections, requests_active, requests_suspended; /* now */
    uint64_t body_bytes;                                       /* held now */
    uint64_t clients_cut, hangups;                             /* so far */
};
void http_server_stats(const struct http_server *server, struct http_stats *stats);

#endif
