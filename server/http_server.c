/*
 * http_server.c - see http_server.h.  The only file that knows libmicrohttpd.
 *
 * The library calls accept_request() several times for one request: once when the
 * headers are in, then for each piece of the body, then with nothing left, and
 * once more after a suspended request was resumed.  All of this happens on one
 * and the same thread of the library, so an exchange needs no lock; what other
 * threads touch (the response, while suspended) is handed over by suspend and
 * resume.
 *
 * Rules of the library that this file lives by: an answer can be queued in the
 * first call or after the body, never between; every suspended connection must
 * be resumed before the daemon stops.
 */
#include "server/http_server.h"

#include "base/clock.h"
#include "base/duration.h"
#include "base/error.h"
#include "base/ledger.h"
#include "base/memory.h"
#include "base/number.h"
#include "server/http_listen.h"
#include "server/http_watch.h"
#include "wire/body.h"

#include <assert.h>
#include <microhttpd.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

enum {
    CONNECTION_MEMORY = 96 * 1024,      /* a request line of 64 KiB and its headers */
    CONNECTION_MEMORY_STEP = 16 * 1024, /* what the library reads at once */
    BODY_RESERVE_MAX = 1024 * 1024,     /* a declared size is believed up to here */
    DISCARD_MAX = 64 * 1024 * 1024,     /* a refused body up to here is read and thrown away, so
                                           that the client sees the answer */
    DRAIN_POLL_MS = 5,
    LAST_RESORT_MS = 10000 /* after requests were canceled */
};

struct http_server {
    struct MHD_Daemon *daemon;
    struct http_handler handler;
    struct watch *watch;
    size_t bodies_max, answer_max;
    unsigned threads, connections_max, idle_timeout_s;
    int listener;
    bool stopping; /* atomic: running requests are answered, their connections closed */
    bool closed;   /* atomic: no handler is called any more */
    char address[HTTP_ADDRESS_MAX];
    uint64_t connections, active, suspended, body_bytes; /* atomic */
    uint64_t handlers;                                   /* atomic: called and not yet answered */
    pthread_mutex_t lock;                                /* guards `first` */
    struct exchange *first;                              /* every running request */
};

/* One request and its answer. */
struct exchange {
    struct http_request request; /* first: a request is its exchange */
    struct http_server *server;
    struct MHD_Connection *connection;
    struct exchange *next, **link; /* in server->first */
    int seat;                      /* with the watch */
    char *target;                  /* owned: the request line's */
    struct buffer body;
    uint64_t discarded; /* bytes of a refused body */
    bool begun, refused, handled, suspended, watched;
};

/* Whoever sees a counter at zero may free what the others counted: hence not relaxed. */
static uint64_t atomic_get(const uint64_t *counter)
{
    return __atomic_load_n(counter, __ATOMIC_ACQUIRE);
}

static void atomic_move(uint64_t *counter, int64_t by)
{
    __atomic_fetch_add(counter, (uint64_t)by, __ATOMIC_RELEASE);
}

/* ---- answers ---------------------------------------------------------- */

void http_response_header(struct http_response *response, const char *name, const char *value)
{
    assert(response->extra_count < HTTP_EXTRA_HEADERS_MAX);
    response->extra[response->extra_count].name = name;
    response->extra[response->extra_count++].value = value;
}

void http_response_text(struct http_response *response, int status, const char *format, ...)
{
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    response->status = status;
    response->content_type = "text/plain; charset=utf-8";
    buffer_clear(&response->body);
    buffer_append_text(&response->body, text);
    buffer_append_byte(&response->body, '\n');
}

static bool accepts_gzip(const struct exchange *e)
{
    struct slice rest = http_request_header(&e->request, "Accept-Encoding"), part;
    while (rest.data && slice_split(&rest, ',', &part)) {
        size_t semicolon = slice_find_byte(part, ';', 0);
        struct slice name = semicolon == SLICE_NOT_FOUND ? part : slice_sub(part, 0, semicolon);
        struct slice weight =
            semicolon == SLICE_NOT_FOUND ? SLICE("") : slice_trim(slice_skip(part, semicolon + 1));
        if (slice_equal_ignore_case(slice_trim(name), SLICE("gzip")))
            return !slice_equal(weight, SLICE("q=0"));
    }
    return false;
}

/* Compress a large body in place, on the thread that finished the answer. */
static void finish_response(struct exchange *e)
{
    struct http_response *r = &e->request.response;
    if (r->body.failed)
        http_response_text(r, 503, "the answer is larger than %zu bytes", e->server->answer_max);
    if (r->status == 0)
        http_response_text(r, 500, "no answer");
    if (r->uncompressed || r->body.size < HTTP_GZIP_SIZE_MIN || !accepts_gzip(e))
        return;
    struct buffer packed;
    buffer_init(&packed, r->body.size + r->body.size / 8 + 4096); /* the encoder reserves more */
    if (body_encode(BODY_GZIP, buffer_slice(&r->body), &packed, NULL) &&
        packed.size < r->body.size) {
        buffer_done(&r->body);
        r->body = packed;
        http_response_header(r, "Content-Encoding", "gzip");
        http_response_header(r, "Vary", "Accept-Encoding");
    } else {
        buffer_done(&packed); /* it would grow: send it plain */
    }
}

/* The library has sent the answer and leaves the socket to us. */
static void hand_over_socket(void *context, struct MHD_Connection *connection, void *slot,
                             const char *extra, size_t extra_size, MHD_socket fd,
                             struct MHD_UpgradeResponseHandle *upgraded)
{
    struct exchange *e = context;
    (void)connection, (void)slot;
    e->request.response.upgrade(&e->request, (struct http_upgraded *)upgraded, fd,
                                slice_of(extra, extra_size));
}

void http_upgraded_close(struct http_upgraded *upgraded)
{
    MHD_upgrade_action((struct MHD_UpgradeResponseHandle *)upgraded, MHD_UPGRADE_ACTION_CLOSE);
}

static enum MHD_Result send_upgrade(struct exchange *e)
{
    struct http_response *r = &e->request.response;
    struct MHD_Response *answer = MHD_create_response_for_upgrade(hand_over_socket, e);
    if (!answer)
        return MHD_NO;
    MHD_add_response_header(answer, "Upgrade", r->upgrade_protocol);
    MHD_add_response_header(answer, "Sec-WebSocket-Accept", r->upgrade_accept);
    enum MHD_Result result =
        MHD_queue_response(e->connection, MHD_HTTP_SWITCHING_PROTOCOLS, answer);
    MHD_destroy_response(answer);
    return result;
}

static enum MHD_Result send_response(struct exchange *e)
{
    struct http_response *r = &e->request.response;
    if (r->upgrade)
        return send_upgrade(e);
    struct MHD_Response *answer =
        MHD_create_response_from_buffer(r->body.size, r->body.data, MHD_RESPMEM_MUST_FREE);
    if (!answer)
        return MHD_NO;
    r->sent_size = r->body.size;
    r->body.data = NULL; /* the library frees it */
    r->body.size = r->body.capacity = 0;
    if (r->content_type)
        MHD_add_response_header(answer, "Content-Type", r->content_type);
    if (r->retry_after_s > 0) {
        char text[16];
        snprintf(text, sizeof(text), "%u", r->retry_after_s);
        MHD_add_response_header(answer, "Retry-After", text);
    }
    for (size_t i = 0; i < r->extra_count; i++)
        MHD_add_response_header(answer, r->extra[i].name, r->extra[i].value);
    if (__atomic_load_n(&e->server->stopping, __ATOMIC_ACQUIRE))
        MHD_add_response_header(answer, "Connection", "close");
    enum MHD_Result result = MHD_queue_response(e->connection, (unsigned)r->status, answer);
    MHD_destroy_response(answer);
    return result;
}

/* ---- bodies ----------------------------------------------------------- */

static void move_body_bytes(struct http_server *s, int64_t by)
{
    atomic_move(&s->body_bytes, by);
    ledger_add(LEDGER_BODIES, by);
}

/* False when neither their own limit nor the process' budget has so much left. */
static bool take_body_bytes(struct http_server *s, size_t size)
{
    if (__atomic_add_fetch(&s->body_bytes, size, __ATOMIC_RELAXED) <= s->bodies_max &&
        ledger_take(LEDGER_BODIES, size))
        return true;
    atomic_move(&s->body_bytes, -(int64_t)size);
    return false;
}

/* Answer now and read the rest of the body only to throw it away. */
static void refuse(struct exchange *e)
{
    e->refused = true;
    move_body_bytes(e->server, -(int64_t)e->body.size);
    buffer_done(&e->body);
    buffer_init(&e->body, 0);
}

static bool take_body(struct exchange *e, const char *data, size_t size)
{
    struct http_server *s = e->server;
    watch_body_bytes(s->watch, e->seat, size);
    if (e->refused) {
        e->discarded += size;
        return e->discarded <= DISCARD_MAX; /* else close the connection */
    }
    if (size > e->request.body_max - e->body.size) {
        http_response_text(&e->request.response, 413, "request body is over the limit of %zu bytes",
                           e->request.body_max);
        refuse(e);
        return true;
    }
    if (!take_body_bytes(s, size)) {
        http_response_text(&e->request.response, 503,
                           "request bodies hold all memory that they may (%zu bytes of their own, "
                           "%zu in all), try again",
                           s->bodies_max, ledger_limit());
        e->request.response.retry_after_s = 5;
        refuse(e);
        return true;
    }
    buffer_append(&e->body, data, size);
    return true;
}

/* A client that waits for 100 Continue sends nothing when it is refused at once. */
static bool may_discard(const struct exchange *e, uint64_t length)
{
    return length == 0 ||
           (length <= DISCARD_MAX && !http_request_header(&e->request, "Expect").data);
}

static enum MHD_Result count_header(void *context, enum MHD_ValueKind kind, const char *key,
                                    const char *value)
{
    size_t *lengths = context;
    (void)kind, (void)value;
    *lengths += slice_equal_ignore_case(slice_from_text(key), SLICE("Content-Length"));
    return MHD_YES;
}

/*
 * Where the body ends must not be a matter of opinion: a proxy before us may have another.  NULL,
 * or what is wrong.
 */
static const char *length_doubt(struct exchange *e, bool chunked)
{
    size_t lengths = 0;
    MHD_get_connection_values(e->connection, MHD_HEADER_KIND, count_header, &lengths);
    if (lengths > 0 && chunked)
        return "Content-Length and Transfer-Encoding exclude each other";
    return lengths > 1 ? "more than one Content-Length" : NULL;
}

/* The headers are in.  False: answer at once. */
static bool begin_request(struct exchange *e)
{
    struct http_request *r = &e->request;
    struct slice declared = http_request_header(r, "Content-Length");
    uint64_t length = 0;
    bool chunked = http_request_header(r, "Transfer-Encoding").data != NULL;
    if (declared.data && !slice_parse_u64(declared, &length))
        length = UINT64_MAX;
    e->begun = true;
    watch_set_phase(e->server->watch, e->seat, WATCH_BODY);
    const char *doubt = length_doubt(e, chunked);
    if (!e->server->handler.begin(e->server->handler.context, r)) {
        refuse(e);
        return doubt == NULL && (chunked || may_discard(e, length));
    }
    if (doubt != NULL) {
        http_response_text(&r->response, 400, "%s", doubt);
        http_response_header(&r->response, "Connection", "close");
        refuse(e);
        return false;
    }
    if (length > r->body_max && length > 0) {
        http_response_text(&r->response, 413,
                           "request body of %llu bytes is over the limit of %zu bytes",
                           (unsigned long long)length, r->body_max);
        refuse(e);
        return may_discard(e, length);
    }
    buffer_init(&e->body, r->body_max);
    if (length > 0)
        buffer_reserve(&e->body, length < BODY_RESERVE_MAX ? (size_t)length : BODY_RESERVE_MAX);
    return true;
}

/* ---- the library's callbacks ------------------------------------------ */

static enum http_method method_from_text(const char *text)
{
    static const struct {
        const char *name;
        enum http_method method;
    } methods[] = {{"GET", HTTP_GET}, {"POST", HTTP_POST},     {"HEAD", HTTP_HEAD},
                   {"PUT", HTTP_PUT}, {"DELETE", HTTP_DELETE}, {"OPTIONS", HTTP_OPTIONS}};
    for (size_t i = 0; i < COUNT_OF(methods); i++)
        if (strcmp(text, methods[i].name) == 0)
            return methods[i].method;
    return HTTP_OTHER;
}

static int connection_seat(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info ? (int)(intptr_t)info->socket_context - 1 : -1;
}

/* Of "http://host:port/path?query" what follows the host: proxies may send it so. */
static struct slice without_authority(struct slice target)
{
    struct slice scheme = SLICE("http://");
    if (!slice_equal_ignore_case(slice_sub(target, 0, scheme.size), scheme))
        return target;
    struct slice rest = slice_skip(target, scheme.size);
    size_t at = 0;
    while (at < rest.size && rest.data[at] != '/' && rest.data[at] != '?')
        at++;
    return slice_skip(rest, at);
}

/* The request line is in: make the exchange. */
static void *open_exchange(void *context, const char *uri, struct MHD_Connection *connection)
{
    struct http_server *s = context;
    struct exchange *e = xcalloc(1, sizeof(*e));
    e->server = s;
    e->connection = connection;
    e->seat = connection_seat(connection);
    e->target = xstrdup(uri);
    e->request.started_ns = clock_monotonic_ns();
    struct slice target = without_authority(slice_from_text(e->target));
    size_t mark = slice_find_byte(target, '?', 0);
    e->request.path = mark == SLICE_NOT_FOUND ? target : slice_sub(target, 0, mark);
    e->request.query = mark == SLICE_NOT_FOUND ? SLICE("") : slice_skip(target, mark + 1);
    if (e->request.path.size == 0)
        e->request.path = SLICE("/");
    buffer_init(&e->request.response.body, s->answer_max);
    atomic_move(&s->active, 1);
    watch_set_phase(s->watch, e->seat, WATCH_HEAD);
    pthread_mutex_lock(&s->lock);
    e->next = s->first;
    e->link = &s->first;
    if (e->next)
        e->next->link = &e->next;
    s->first = e;
    pthread_mutex_unlock(&s->lock);
    return e;
}

static void close_exchange(void *context, struct MHD_Connection *connection, void **slot,
                           enum MHD_RequestTerminationCode code)
{
    struct http_server *s = context;
    struct exchange *e = *slot;
    (void)connection, (void)code;
    if (!e)
        return;
    *slot = NULL;
    if (e->begun)
        s->handler.done(s->handler.context, &e->request);
    pthread_mutex_lock(&s->lock);
    *e->link = e->next;
    if (e->next)
        e->next->link = e->link;
    pthread_mutex_unlock(&s->lock);
    move_body_bytes(s, -(int64_t)e->body.size);
    watch_set_phase(s->watch, e->seat, WATCH_IDLE);
    buffer_done(&e->body);
    buffer_done(&e->request.response.body);
    free(e->target);
    free(e);
    atomic_move(&s->active, -1);
}

/*
 * The body is in.  False: the request is suspended.  The handler is counted before
 * `closed` is looked at, and the stop sets `closed` before it looks at the count:
 * either we see the one or it sees the other.
 */
static bool handle_request(struct exchange *e)
{
    struct http_server *s = e->server;
    __atomic_fetch_add(&s->handlers, 1, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&s->closed, __ATOMIC_SEQ_CST)) {
        http_response_text(&e->request.response, 503, "stopping");
        e->request.response.retry_after_s = 5;
    } else {
        e->request.body = buffer_slice(&e->body);
        watch_set_phase(s->watch, e->seat, WATCH_WORKING);
        s->handler.handle(s->handler.context, &e->request);
        if (e->suspended)
            return false;
    }
    __atomic_fetch_sub(&s->handlers, 1, __ATOMIC_SEQ_CST);
    return true;
}

static enum MHD_Result accept_request(void *context, struct MHD_Connection *connection,
                                      const char *url, const char *method, const char *version,
                                      const char *data, size_t *size, void **slot)
{
    struct exchange *e = *slot;
    (void)context, (void)connection, (void)url, (void)version;
    if (!e)
        return MHD_NO;
    if (!e->begun) {
        e->request.method = method_from_text(method);
        if (begin_request(e))
            return MHD_YES;
        finish_response(e);
        return send_response(e);
    }
    if (*size > 0) {
        bool going_on = take_body(e, data, *size);
        *size = 0;
        return going_on ? MHD_YES : MHD_NO;
    }
    if (!e->handled) {
        e->handled = true;
        if (!e->refused && !handle_request(e))
            return MHD_YES; /* it may be resumed already: hands off */
        finish_response(e);
    }
    return send_response(e);
}

static void notice_connection(void *context, struct MHD_Connection *connection, void **slot,
                              enum MHD_ConnectionNotificationCode code)
{
    struct http_server *s = context;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        const union MHD_ConnectionInfo *info =
            MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
        int seat = info ? watch_enter(s->watch, info->connect_fd) : -1;
        *slot = (void *)(intptr_t)(seat + 1);
        atomic_move(&s->connections, 1);
    } else {
        watch_leave(s->watch, (int)(intptr_t)*slot - 1);
        atomic_move(&s->connections, -1);
    }
}

static void PRINTF_LIKE(2, 0) log_library(void *context, const char *format, va_list arguments)
{
    struct http_server *s = context;
    char text[512];
    vsnprintf(text, sizeof(text), format, arguments);
    text[strcspn(text, "\r\n")] = '\0';
    if (s->handler.log)
        s->handler.log(s->handler.context, text);
}

/* Keep the path as sent: routes decode their own parts. */
static size_t leave_escaped(void *context, struct MHD_Connection *connection, char *text)
{
    (void)context, (void)connection;
    return strlen(text);
}

/* ---- requests from other threads -------------------------------------- */

struct slice http_request_header(const struct http_request *request, const char *name)
{
    const struct exchange *e = (const struct exchange *)request;
    return slice_from_text(MHD_lookup_connection_value(e->connection, MHD_HEADER_KIND, name));
}

void http_request_suspend(struct http_request *request, bool watch)
{
    struct exchange *e = (struct exchange *)request;
    assert(!e->suspended);
    e->suspended = true;
    e->watched = watch;
    atomic_move(&e->server->suspended, 1);
    if (watch)
        watch_hangup(e->server->watch, e->seat, &request->cancel);
    MHD_suspend_connection(e->connection);
}

void http_request_resume(struct http_request *request)
{
    struct exchange *e = (struct exchange *)request;
    struct http_server *s = e->server;
    if (e->watched)
        watch_release(s->watch, e->seat);
    finish_response(e);
    struct MHD_Connection *connection = e->connection;
    MHD_resume_connection(connection); /* from here on the exchange is not ours */
    atomic_move(&s->suspended, -1);
    __atomic_fetch_sub(&s->handlers, 1, __ATOMIC_SEQ_CST); /* and the server may be gone */
}

/* ---- life ------------------------------------------------------------- */

static unsigned thread_count(unsigned wanted)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    return wanted ? wanted : cores > 0 ? (unsigned)cores : 1;
}

bool http_server_run(struct http_server *s, struct error *err)
{
    struct MHD_OptionItem pool[] = {
        {s->threads > 1 ? MHD_OPTION_THREAD_POOL_SIZE : MHD_OPTION_END, (intptr_t)s->threads, NULL},
        {MHD_OPTION_END, 0, NULL}};
    s->daemon = MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_ERROR_LOG | MHD_ALLOW_SUSPEND_RESUME |
            MHD_ALLOW_UPGRADE,
        0, NULL, NULL, accept_request, s, MHD_OPTION_EXTERNAL_LOGGER, log_library, s,
        MHD_OPTION_LISTEN_SOCKET, s->listener, MHD_OPTION_CONNECTION_LIMIT, s->connections_max,
        MHD_OPTION_CONNECTION_TIMEOUT, s->idle_timeout_s, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        (size_t)CONNECTION_MEMORY, MHD_OPTION_CONNECTION_MEMORY_INCREMENT,
        (size_t)CONNECTION_MEMORY_STEP, MHD_OPTION_URI_LOG_CALLBACK, open_exchange, s,
        MHD_OPTION_NOTIFY_COMPLETED, close_exchange, s, MHD_OPTION_NOTIFY_CONNECTION,
        notice_connection, s, MHD_OPTION_UNESCAPE_CALLBACK, leave_escaped, s, MHD_OPTION_ARRAY,
        pool, MHD_OPTION_END);
    if (!s->daemon)
        return error_set(err, ERR_IO, "the HTTP library does not start on %s", s->address);
    return true;
}

struct http_server *http_server_open(const struct http_options *o,
                                     const struct http_handler *handler, struct error *err)
{
    struct http_server *s = xcalloc(1, sizeof(*s));
    s->handler = *handler;
    s->bodies_max = o->bodies_max ? o->bodies_max : (size_t)256 << 20;
    s->answer_max = o->answer_max ? o->answer_max : (size_t)1 << 30;
    s->threads = thread_count(o->threads);
    s->connections_max = o->connections_max ? o->connections_max : 512;
    if (s->connections_max < s->threads)
        s->connections_max = s->threads;
    s->idle_timeout_s = o->idle_timeout_s ? o->idle_timeout_s : 120;
    pthread_mutex_init(&s->lock, NULL);
    struct watch_limits limits = {.head_ms = (int64_t)o->head_timeout_s * 1000,
                                  .idle_ms = ((int64_t)s->idle_timeout_s + 30) * 1000,
                                  .body_bytes_per_s = o->body_bytes_per_s};
    s->listener = http_listen(o->listen, s->address, err);
    if (s->listener >= 0)
        s->watch = watch_start(s->connections_max, &limits, err);
    if (s->watch)
        return s;
    http_server_close(s);
    return NULL;
}

const char *http_server_address(const struct http_server *s)
{
    return s->address;
}

static void cancel_all(struct http_server *s)
{
    pthread_mutex_lock(&s->lock);
    for (struct exchange *e = s->first; e; e = e->next)
        __atomic_store_n(&e->request.cancel, true, __ATOMIC_RELEASE);
    pthread_mutex_unlock(&s->lock);
}

bool http_server_drain(struct http_server *s, int64_t timeout_ms)
{
    __atomic_store_n(&s->stopping, true, __ATOMIC_RELEASE);
    MHD_quiesce_daemon(s->daemon);
    int64_t until_ns = clock_monotonic_ns() + timeout_ms * NS_PER_MS;
    while (atomic_get(&s->active) > 0 && clock_monotonic_ns() < until_ns)
        usleep(DRAIN_POLL_MS * 1000);
    bool clean = true;
    __atomic_store_n(&s->closed, true, __ATOMIC_SEQ_CST);
    while (__atomic_load_n(&s->handlers, __ATOMIC_SEQ_CST) > 0) {
        if (clock_monotonic_ns() >= until_ns) {
            clean = false;
            cancel_all(s);
        }
        if (clock_monotonic_ns() >= until_ns + LAST_RESORT_MS * NS_PER_MS) {
            /* What was acknowledged is in the log already: nothing is lost by not waiting. */
            if (s->handler.log)
                s->handler.log(s->handler.context, "requests do not end although they were "
                                                   "canceled: ending without them");
            _exit(EXIT_FAILURE);
        }
        usleep(DRAIN_POLL_MS * 1000);
    }
    return clean;
}

void http_server_close(struct http_server *s)
{
    if (!s)
        return;
    assert(atomic_get(&s->handlers) == 0);
    if (s->daemon)
        MHD_stop_daemon(s->daemon);
    if (s->listener >= 0)
        close(s->listener);
    watch_stop(s->watch);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

void http_server_stats(const struct http_server *s, struct http_stats *stats)
{
    *stats = (struct http_stats){
        .connections = atomic_get(&s->connections),
        .requests_active = atomic_get(&s->active),
        .requests_suspended = atomic_get(&s->suspended),
        .body_bytes = atomic_get(&s->body_bytes),
        .clients_cut = watch_cut_count(s->watch),
        .hangups = watch_hangup_count(s->watch),
    };
}
