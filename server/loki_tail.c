/*
 * loki_tail.c - live tails: new log entries over a WebSocket, as they arrive.
 *
 * Each tail has a thread of its own, from the upgrade to the close.  It first
 * sends a backlog, then looks every POLL_MS whether the store took entries, and
 * if so reads the last WINDOW again, up to now minus `delay_for`: entries
 * may arrive in any order inside of it.  What was sent is remembered by hash, so
 * nothing in the window is lost or doubled.  A window with more than
 * BATCH_ENTRIES moves on to what was read last.
 *
 * A client that takes nothing for CLIENT_PATIENCE_MS is cut loose; meanwhile the
 * tail reads nothing, so it holds one message at most.
 *
 * Locks: `tails.lock` guards its list and counts; nothing is called under it.
 */
#include "server/loki_tail.h"

#include "base/clock.h"
#include "base/duration.h"
#include "base/memory.h"
#include "server/answer.h"
#include "server/api.h"
#include "server/options.h"
#include "server/parameters.h"
#include "server/query_call.h"
#include "server/tail_seen.h"
#include "server/websocket.h"
#include "storage/store.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>

enum {
    TAILS_TENANT_MAX = 10,
    TAILS_MAX = 128,
    POLL_MS = 200,
    PING_MS = 10000,
    CLIENT_PATIENCE_MS = 15000,
    BATCH_ENTRIES = 20000,
    BACKLOG_PRESET = 100,
    DELAY_MAX_S = 5,
    WINDOW_S = 30,
    LOOKS = 2,
    TAIL_MEMORY = 128 << 20,
    MESSAGE_MAX = 256 << 20
};

struct tails {
    pthread_mutex_t lock; /* guards all but `stopping` */
    pthread_cond_t changed;
    struct tail *first;
    size_t count;
    bool stopping; /* atomic, set under the lock */
};

struct tail {
    struct tail *next, **link; /* in tails->first */
    struct server *server;
    struct http_upgraded *upgraded;
    int fd;
    char *tenant, *query; /* owned */
    bool categorize, counted;
    size_t limit;
    int64_t start_ns, delay_ns;
    int64_t floor_ns; /* nothing before it is read any more */
    struct tail_seen seen;
    struct buffer input, output;
    size_t sent;         /* of output */
    int64_t progress_ms; /* when the client last took something */
    int64_t pinged_ms;
    uint64_t entries_appended; /* by the store, when it was read last */
    unsigned looks;            /* how often to read still: what is counted may not be visible yet */
    bool closing, closed;      /* a close is in the output; the connection has ended */
};

/* ---- the list of tails ---------------------------------------------------- */

struct tails *tails_new(void)
{
    struct tails *tails = xcalloc(1, sizeof(*tails));
    pthread_mutex_init(&tails->lock, NULL);
    pthread_cond_init(&tails->changed, NULL);
    return tails;
}

void tails_stop(struct tails *tails)
{
    pthread_mutex_lock(&tails->lock);
    __atomic_store_n(&tails->stopping, true, __ATOMIC_RELEASE);
    while (tails->count > 0)
        pthread_cond_wait(&tails->changed, &tails->lock);
    pthread_mutex_unlock(&tails->lock);
}

void tails_free(struct tails *tails)
{
    if (!tails)
        return;
    pthread_mutex_destroy(&tails->lock);
    pthread_cond_destroy(&tails->changed);
    free(tails);
}

/* False: the tenant, or the server, has enough of them. */
static bool enter(struct tails *tails, struct tail *tail)
{
    size_t mine = 0;
    pthread_mutex_lock(&tails->lock);
    for (const struct tail *t = tails->first; t; t = t->next)
        mine += strcmp(t->tenant, tail->tenant) == 0;
    bool ok = mine < TAILS_TENANT_MAX && tails->count < TAILS_MAX && !tails->stopping;
    if (ok) {
        tail->counted = true;
        tail->next = tails->first;
        tail->link = &tails->first;
        if (tail->next)
            tail->next->link = &tail->next;
        tails->first = tail;
        tails->count++;
    }
    pthread_mutex_unlock(&tails->lock);
    return ok;
}

static void tail_free(void *state)
{
    struct tail *tail = state;
    if (!tail)
        return;
    struct tails *tails = tail->server->tails;
    free(tail->query);
    buffer_done(&tail->input);
    buffer_done(&tail->output);
    tail_seen_done(&tail->seen);
    if (tail->counted) {
        pthread_mutex_lock(&tails->lock);
        *tail->link = tail->next;
        if (tail->next)
            tail->next->link = tail->link;
        tails->count--;
        pthread_cond_broadcast(&tails->changed);
        pthread_mutex_unlock(&tails->lock);
    }
    free(tail->tenant);
    free(tail);
}

/* ---- the socket -------------------------------------------------------------- */

static int64_t now_ms(void)
{
    return clock_monotonic_ns() / NS_PER_MS;
}

static void close_with(struct tail *t, enum websocket_status status, const char *reason)
{
    if (!t->closing)
        websocket_append_close(&t->output, status, reason);
    t->closing = true;
}

static void send_some(struct tail *t)
{
    while (t->sent < t->output.size) {
        ssize_t n = send(t->fd, t->output.data + t->sent, t->output.size - t->sent,
                         MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            t->closed |= errno != EAGAIN && errno != EWOULDBLOCK;
            return;
        }
        t->sent += (size_t)n;
        t->progress_ms = now_ms();
    }
    buffer_clear(&t->output);
    t->sent = 0;
    t->closed |= t->closing;
}

static void take_frames(struct tail *t)
{
    struct websocket_frame frame;
    size_t at = 0;
    while (!t->closing) {
        struct slice rest = slice_skip(buffer_slice(&t->input), at);
        enum websocket_event event = websocket_read(rest, &frame);
        if (event == WEBSOCKET_MORE)
            break;
        if (event == WEBSOCKET_WRONG)
            close_with(t, frame.status, "");
        else if (event == WEBSOCKET_CLOSED)
            close_with(t, WEBSOCKET_NORMAL, "");
        else if (event == WEBSOCKET_PINGED && t->output.size < WEBSOCKET_INPUT_MAX)
            websocket_append(&t->output, WEBSOCKET_PONG,
                             slice_of(frame.payload, frame.payload_size));
        at += frame.size;
    }
    size_t rest = t->input.size - at;
    if (at > 0 && rest > 0)
        memmove(t->input.data, t->input.data + at, rest);
    buffer_truncate(&t->input, rest);
}

static void receive_some(struct tail *t)
{
    char bytes[4096];
    ssize_t n = recv(t->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)) {
        t->closed = true;
        return;
    }
    if (n > 0) {
        buffer_append(&t->input, bytes, (size_t)n);
        take_frames(t);
    }
}

static void wait_for_socket(struct tail *t)
{
    bool full = t->output.size > 0;
    struct pollfd poller = {.fd = t->fd, .events = (short)(POLLIN | (full ? POLLOUT : 0))};
    if (poll(&poller, 1, POLL_MS) > 0) {
        if (poller.revents & (POLLIN | POLLHUP | POLLERR))
            receive_some(t);
    }
    send_some(t);
    if (t->output.size > 0 && now_ms() - t->progress_ms > CLIENT_PATIENCE_MS)
        t->closed = true;
}

/* ---- entries -------------------------------------------------------------------- */

static struct query_result *read_entries(struct tail *t, int64_t start_ns, int64_t end_ns,
                                         bool forward, size_t limit, struct error *err)
{
    struct query_request request = {
        .language = QUERY_LOGQL,
        .text = slice_from_text(t->query),
        .tenant = slice_from_text(t->tenant),
        .features = t->server->options->feature_bits,
        .limits = t->server->limits,
        .start_ns = start_ns,
        .end_ns = end_ns,
        .step_ns = NS_PER_SECOND,
        .forward = forward,
        .limit = limit,
        .cancel = &t->server->tails->stopping,
    };
    if (request.limits.memory_max > TAIL_MEMORY)
        request.limits.memory_max = TAIL_MEMORY;
    return query_run(t->server->store, &request, err);
}

static void send_entries(struct tail *t, const struct query_result *result, bool forward)
{
    AUTO(buffer_done) struct buffer text;
    buffer_init(&text, MESSAGE_MAX);
    buffer_append_text(&text, "{\"streams\":");
    answer_streams(&text, result, forward, t->categorize);
    if (t->categorize)
        buffer_append_text(&text, ",\"encodingFlags\":[\"categorize-labels\"]");
    buffer_append_byte(&text, '}');
    if (text.failed)
        close_with(t, WEBSOCKET_FAILED, "the entries are too large for one message");
    else
        websocket_append(&t->output, WEBSOCKET_TEXT, buffer_slice(&text));
    t->progress_ms = now_ms();
}

static int64_t last_time(const struct query_result *result)
{
    int64_t last_ns = INT64_MIN;
    for (size_t i = 0; i < result->stream_count; i++) {
        const struct query_stream *stream = &result->streams[i];
        if (stream->count > 0 && stream->entries[stream->count - 1].time_ns > last_ns)
            last_ns = stream->entries[stream->count - 1].time_ns;
    }
    return last_ns;
}

/* What comes in the order of time goes out so: newest first was only for the limit. */
static void reverse(struct query_result *result)
{
    for (size_t i = 0; i < result->stream_count; i++) {
        struct query_stream *stream = &result->streams[i];
        for (size_t a = 0, b = stream->count; a + 1 < b; a++) {
            struct query_entry entry = stream->entries[a];
            stream->entries[a] = stream->entries[--b];
            stream->entries[b] = entry;
        }
    }
}

static void fail(struct tail *t, const struct error *err)
{
    close_with(t, err->code == ERR_CANCELED ? WEBSOCKET_GOING_AWAY : WEBSOCKET_FAILED,
               err->message);
}

static uint64_t appended(const struct tail *t)
{
    struct store_stats stats;
    store_stats_read(t->server->store, &stats);
    return stats.entries_appended;
}

/*
 * The window's entries count as seen, then the newest `limit` from `start` on are
 * sent: what arrives between the two is either among them or comes later.
 */
static bool send_backlog(struct tail *t)
{
    struct error err = {0};
    int64_t end_ns = ns_sub(clock_now_ns(NULL), t->delay_ns);
    t->floor_ns = ns_sub(end_ns, WINDOW_S * NS_PER_SECOND);
    struct query_result *old = read_entries(t, t->floor_ns, end_ns, false, BATCH_ENTRIES, &err);
    if (!old) {
        fail(t, &err);
        return false;
    }
    if (old->stats.entries_returned == BATCH_ENTRIES) {
        reverse(old);
        t->floor_ns = last_time(old);
    }
    tail_seen_filter(&t->seen, old);
    query_result_free(old);
    if (t->limit == 0 || t->start_ns >= end_ns)
        return true;
    struct query_result *backlog = read_entries(t, t->start_ns, end_ns, false, t->limit, &err);
    if (!backlog) {
        fail(t, &err);
        return false;
    }
    reverse(backlog);
    struct tail_seen sent = {0};
    tail_seen_filter(&sent, backlog); /* only to drop doubles within it */
    if (backlog->stream_count > 0)
        send_entries(t, backlog, true);
    tail_seen_filter(&t->seen, backlog);
    tail_seen_done(&sent);
    query_result_free(backlog);
    return true;
}

static void send_news(struct tail *t)
{
    struct error err = {0};
    uint64_t now_appended = appended(t);
    if (now_appended != t->entries_appended)
        t->looks = LOOKS;
    if (t->looks == 0 && t->delay_ns == 0)
        return;
    int64_t now_ns = clock_now_ns(NULL);
    /* Entries may be a little ahead of this clock. */
    int64_t end_ns = t->delay_ns > 0 ? ns_sub(now_ns, t->delay_ns) : ns_add(now_ns, NS_PER_HOUR);
    int64_t window_ns = ns_sub(now_ns, t->delay_ns + WINDOW_S * NS_PER_SECOND);
    if (t->floor_ns < window_ns)
        t->floor_ns = window_ns;
    struct query_result *result = read_entries(t, t->floor_ns, end_ns, true, BATCH_ENTRIES, &err);
    if (!result) {
        fail(t, &err);
        return;
    }
    bool full = result->stats.entries_returned == BATCH_ENTRIES;
    int64_t last_ns = last_time(result);
    size_t fresh = tail_seen_filter(&t->seen, result);
    if (fresh > 0)
        send_entries(t, result, true);
    if (full) /* go on behind what was read, at once; past a single crowded instant */
        t->floor_ns = fresh > 0 || last_ns > t->floor_ns ? last_ns : ns_add(last_ns, 1);
    else if (t->looks > 0)
        t->looks--;
    t->entries_appended = now_appended;
    query_result_free(result);
    tail_seen_forget(&t->seen, t->floor_ns);
}

/* ---- the thread -------------------------------------------------------------------- */

static void *run_tail(void *context)
{
    struct tail *t = context;
    t->progress_ms = t->pinged_ms = now_ms();
    t->entries_appended = appended(t);
    take_frames(t);
    send_backlog(t);
    while (!t->closed) {
        wait_for_socket(t);
        if (__atomic_load_n(&t->server->tails->stopping, __ATOMIC_ACQUIRE)) {
            close_with(t, WEBSOCKET_GOING_AWAY, "the server stops");
            send_some(t);
            break;
        }
        if (t->closed || t->closing || t->output.size > 0)
            continue;
        if (now_ms() - t->pinged_ms > PING_MS) {
            t->pinged_ms = now_ms();
            websocket_append(&t->output, WEBSOCKET_PING, SLICE(""));
            t->progress_ms = t->pinged_ms;
        }
        send_news(t);
    }
    struct http_upgraded *upgraded = t->upgraded;
    http_upgraded_close(upgraded); /* the request ends: only the tail is left */
    tail_free(t);
    return NULL;
}

static void upgrade(struct http_request *request, struct http_upgraded *upgraded, int fd,
                    struct slice sent_already)
{
    struct call *call = request->user;
    struct tail *t = call->state;
    pthread_t thread;
    pthread_attr_t attributes;
    call->state = NULL;
    t->upgraded = upgraded;
    t->fd = fd;
    buffer_append_slice(&t->input, sent_already);
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    if (pthread_create(&thread, &attributes, run_tail, t) != 0) {
        http_upgraded_close(upgraded);
        tail_free(t);
    }
    pthread_attr_destroy(&attributes);
}

/* ---- the request ---------------------------------------------------------------------- */

static char *copy_text(struct slice text)
{
    char *copy = xcalloc(text.size + 1, 1);
    if (text.size > 0)
        memcpy(copy, text.data, text.size);
    return copy;
}

static bool read_parameters(struct call *call, struct tail *t, struct error *err)
{
    struct slice query = form_get(&call->form, SLICE("query"));
    uint64_t delay_s, limit;
    bool is_log = false;
    if (!query_check(QUERY_LOGQL, query, call->server->options->feature_bits, &is_log, err) ||
        !form_count(&call->form, "delay_for", 0, &delay_s, err) ||
        !form_count(&call->form, "limit", BACKLOG_PRESET, &limit, err) ||
        !form_time_loki(&call->form, "start", ns_sub(call->now_ns, NS_PER_HOUR), &t->start_ns, err))
        return false;
    if (!is_log)
        return error_set(err, ERR_INVALID, "only log selector is supported");
    if (delay_s > DELAY_MAX_S)
        return error_set(err, ERR_INVALID, "delay_for can't be greater than %d", DELAY_MAX_S);
    uint64_t max = call->server->options->query_log_entries;
    t->limit = (size_t)(limit < max ? limit : max);
    t->delay_ns = (int64_t)delay_s * NS_PER_SECOND;
    t->query = copy_text(query);
    return true;
}

void loki_tail(struct call *call)
{
    struct error err = {0};
    struct http_request *request = call->request;
    struct http_response *response = &request->response;
    struct tail *t = xcalloc(1, sizeof(*t));
    t->server = call->server;
    t->tenant = copy_text(call->tenant);
    t->categorize = slice_equal(http_request_header(request, "X-Loki-Response-Encoding-Flags"),
                                SLICE("categorize-labels"));
    buffer_init(&t->input, WEBSOCKET_INPUT_MAX * 2);
    buffer_init(&t->output, (size_t)MESSAGE_MAX + WEBSOCKET_INPUT_MAX);
    call->state = t;
    call->free_state = tail_free;
    if (!read_parameters(call, t, &err)) {
        call_fail(call, &err);
        return;
    }
    if (request->method != HTTP_GET ||
        !websocket_accept(
            http_request_header(request, "Upgrade"), http_request_header(request, "Connection"),
            http_request_header(request, "Sec-WebSocket-Version"),
            http_request_header(request, "Sec-WebSocket-Key"), response->upgrade_accept)) {
        call_fail_text(call, ERR_INVALID, "this endpoint speaks WebSocket, version 13, only");
        return;
    }
    if (!enter(call->server->tails, t)) {
        call_fail_text(call, ERR_RATE,
                       "max concurrent tail requests limit exceeded, the limit is %d a tenant",
                       TAILS_TENANT_MAX);
        return;
    }
    response->status = 101;
    response->upgrade_protocol = "websocket";
    response->upgrade = upgrade;
}
