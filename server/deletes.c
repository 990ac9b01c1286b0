/*
 * deletes.c - see deletes.h.
 *
 * The note of a request: varint 1 (its version), zigzag start, end and creation in ns, a byte
 * (1: processed), sized query; its key is delete/<tenant>/<id>.
 */
#include "server/deletes.h"

#include "base/array.h"
#include "base/buffer.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "base/duration.h"
#include "base/error.h"
#include "base/log.h"
#include "query/log_delete.h"
#include "storage/store.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

enum {
    NOTE_VERSION = 1,
    KEY_MAX = 128,
    RETRY_S = 60,
    READY_LOOK_NS = 50 * 1000 * 1000,
    QUERY_MAX = 60 * 1024
};

struct request {
    char id[DELETE_ID_SIZE];
    char *tenant; /* owned, as the query */
    char *query;
    int64_t start_ns, end_ns, created_ns;
    int64_t retry_ns; /* monotonic: not before */
    bool processed, running;
    bool cancel;      /* atomic */
    unsigned percent; /* atomic */
};

struct deletes {
    struct store *store;
    pthread_t thread;
    bool started;
    bool stopping;        /* atomic, and the thread's cancel flag while it looks */
    pthread_mutex_t lock; /* guards the list, and what is not atomic in requests */
    pthread_cond_t wake, idle;
    ARRAY(struct request *) list; /* by creation */
};

static struct slice key_of(const struct request *r, char key[KEY_MAX])
{
    int n = snprintf(key, KEY_MAX, "delete/%s/%s", r->tenant, r->id);
    return slice_of(key, (size_t)n);
}

static void request_free(struct request *r)
{
    free(r->tenant);
    free(r->query);
    free(r);
}

static char *copy_text(struct slice text)
{
    char *copy = xmalloc(text.size + 1);
    if (text.size > 0)
        memcpy(copy, text.data, text.size);
    copy[text.size] = '\0';
    return copy;
}

static bool note_put(struct deletes *d, const struct request *r, struct error *err)
{
    char key[KEY_MAX];
    struct buffer out;
    buffer_init(&out, QUERY_MAX + 1024);
    buffer_put_varint(&out, NOTE_VERSION);
    buffer_put_zigzag(&out, r->start_ns);
    buffer_put_zigzag(&out, r->end_ns);
    buffer_put_zigzag(&out, r->created_ns);
    buffer_put8(&out, r->processed);
    buffer_put_sized(&out, slice_from_text(r->query));
    bool ok = buffer_check(&out, "a request to delete", err) &&
              store_put_note(d->store, key_of(r, key), buffer_slice(&out), err);
    buffer_done(&out);
    return ok;
}

static bool note_remove(struct deletes *d, const struct request *r, struct error *err)
{
    char key[KEY_MAX];
    return store_put_note(d->store, key_of(r, key), (struct slice){0}, err);
}

static int by_creation(const void *a, const void *b)
{
    const struct request *x = *(struct request *const *)a, *y = *(struct request *const *)b;
    if (x->created_ns != y->created_ns)
        return x->created_ns < y->created_ns ? -1 : 1;
    return strcmp(x->id, y->id);
}

static bool note_read(void *context, struct slice key, struct slice value, struct error *err)
{
    struct deletes *d = context;
    struct slice rest = slice_skip(key, strlen("delete/")), tenant;
    struct reader in = reader_of(value);
    struct request *r = xcalloc(1, sizeof(*r));
    uint64_t version = read_varint(&in);
    r->start_ns = read_zigzag(&in);
    r->end_ns = read_zigzag(&in);
    r->created_ns = read_zigzag(&in);
    r->processed = read8(&in) != 0;
    struct slice query = read_sized(&in);
    bool shaped = slice_split(&rest, '/', &tenant) && rest.size == DELETE_ID_SIZE - 1;
    r->tenant = copy_text(tenant);
    r->query = copy_text(query);
    if (in.failed || version != NOTE_VERSION || !shaped) {
        request_free(r);
        return error_set(err, ERR_CORRUPT, "a note of a request to delete is malformed");
    }
    memcpy(r->id, rest.data, rest.size);
    array_push(&d->list, r);
    return true;
}

/* ---- the thread ----------------------------------------------------------------- */

static struct request *next_request(struct deletes *d, int64_t now_ns, int64_t *wait_ns)
{
    *wait_ns = -1;
    for (size_t i = 0; i < d->list.count; i++) {
        struct request *r = d->list.items[i];
        if (r->processed)
            continue;
        if (r->retry_ns <= now_ns)
            return r;
        if (*wait_ns < 0 || r->retry_ns - now_ns < *wait_ns)
            *wait_ns = r->retry_ns - now_ns;
    }
    return NULL;
}

static bool run_request(struct deletes *d, struct request *r, struct error *err)
{
    struct log_delete *query = log_delete_new(slice_from_text(r->query), err);
    struct log_delete_range range = {.store = d->store,
                                     .tenant = slice_from_text(r->tenant),
                                     .start_ns = r->start_ns,
                                     .end_ns = r->end_ns,
                                     .cancel = &r->cancel,
                                     .percent = &r->percent};
    bool ok = query != NULL && log_delete_run(query, &range, err);
    log_delete_free(query);
    return ok;
}

/* With the lock held, which it lets go of meanwhile. */
static void work(struct deletes *d, struct request *r)
{
    struct error err = {0};
    r->running = true;
    pthread_mutex_unlock(&d->lock);
    bool ok = run_request(d, r, &err);
    if (!ok && err.code == ERR_RATE) { /* too many wait for their days: closed ones can go now */
        struct error ignored = {0};
        if (!store_clean_tombstones(d->store, &ignored))
            log_error("rewriting days for deletes", LOG_ERR(&ignored));
    }
    pthread_mutex_lock(&d->lock);
    r->running = false;
    if (ok) {
        r->processed = true;
        ok = note_put(d, r, &err);
        log_info("deleted logs", LOG_TEXT("request", r->id), LOG_TEXT("tenant", r->tenant));
    }
    if (!ok && !__atomic_load_n(&r->cancel, __ATOMIC_RELAXED)) {
        log_error("deleting logs", LOG_TEXT("request", r->id), LOG_ERR(&err));
        r->retry_ns = clock_monotonic_ns() + RETRY_S * NS_PER_SECOND;
    }
    pthread_cond_broadcast(&d->idle);
}

static void *run(void *context)
{
    struct deletes *d = context;
    pthread_mutex_lock(&d->lock);
    while (!d->stopping) {
        int64_t wait_ns = READY_LOOK_NS; /* queries find nothing before the log was replayed */
        struct request *r = NULL;
        if (store_is_ready(d->store))
            r = next_request(d, clock_monotonic_ns(), &wait_ns);
        if (r) {
            work(d, r);
        } else if (wait_ns < 0) {
            pthread_cond_wait(&d->wake, &d->lock);
        } else {
            struct timespec until;
            clock_gettime(CLOCK_REALTIME, &until);
            int64_t at_ns = until.tv_nsec + wait_ns;
            until.tv_sec += at_ns / NS_PER_SECOND;
            until.tv_nsec = at_ns % NS_PER_SECOND;
            pthread_cond_timedwait(&d->wake, &d->lock, &until);
        }
    }
    pthread_mutex_unlock(&d->lock);
    return NULL;
}

struct deletes *deletes_start(struct store *store, struct error *err)
{
    struct deletes *d = xcalloc(1, sizeof(*d));
    d->store = store;
    pthread_mutex_init(&d->lock, NULL);
    pthread_cond_init(&d->wake, NULL);
    pthread_cond_init(&d->idle, NULL);
    bool ok = store_notes(store, SLICE("delete/"), note_read, d, err);
    if (ok && d->list.count > 1)
        qsort(d->list.items, d->list.count, sizeof(*d->list.items), by_creation);
    int failed = ok ? pthread_create(&d->thread, NULL, run, d) : 0;
    if (ok && failed != 0)
        ok = error_set(err, ERR_IO, "starting the thread of deletes: %s", strerror(failed));
    d->started = ok;
    if (ok) {
        pthread_setname_np(d->thread, "deletes");
        return d;
    }
    deletes_stop(d);
    return NULL;
}

void deletes_stop(struct deletes *d)
{
    if (d == NULL)
        return;
    pthread_mutex_lock(&d->lock);
    d->stopping = true;
    for (size_t i = 0; i < d->list.count; i++)
        __atomic_store_n(&d->list.items[i]->cancel, true, __ATOMIC_RELAXED);
    pthread_cond_broadcast(&d->wake);
    pthread_mutex_unlock(&d->lock);
    if (d->started)
        pthread_join(d->thread, NULL);
    for (size_t i = 0; i < d->list.count; i++)
        request_free(d->list.items[i]);
    array_done(&d->list);
    pthread_cond_destroy(&d->wake);
    pthread_cond_destroy(&d->idle);
    pthread_mutex_destroy(&d->lock);
    free(d);
}

/* ---- asking ------------------------------------------------------------------------- */

static void list_remove(struct deletes *d, size_t at)
{
    request_free(d->list.items[at]);
    memmove(d->list.items + at, d->list.items + at + 1,
            (d->list.count - at - 1) * sizeof(*d->list.items));
    d->list.count--;
}

/* Counts the tenant's requests; the oldest that are done go when there are too many. */
static size_t make_room(struct deletes *d, struct slice tenant)
{
    size_t pending = 0, done = 0;
    for (size_t i = d->list.count; i-- > 0;) {
        struct request *r = d->list.items[i];
        struct error ignored = {0};
        if (!slice_equal(slice_from_text(r->tenant), tenant))
            continue;
        pending += !r->processed;
        done += r->processed;
        if (r->processed && done > DELETES_LISTED_MAX && note_remove(d, r, &ignored))
            list_remove(d, i);
    }
    return pending;
}

static struct request *request_new(const struct delete_order *order)
{
    uint32_t random = 0;
    struct request *r = xcalloc(1, sizeof(*r));
    if (getrandom(&random, sizeof(random), 0) != sizeof(random))
        random = (uint32_t)clock_monotonic_ns();
    snprintf(r->id, sizeof(r->id), "%08x", random);
    r->tenant = copy_text(order->tenant);
    r->query = copy_text(order->query);
    r->start_ns = order->start_ns;
    r->end_ns = order->end_ns;
    r->created_ns = order->created_ns;
    return r;
}

/* A plain selector is done at once; else the thread has it from here on. */
static bool begin(struct deletes *d, struct request *r, bool at_once, struct error *err)
{
    if (at_once && !run_request(d, r, err))
        return false;
    r->processed = at_once;
    pthread_mutex_lock(&d->lock);
    bool ok = make_room(d, slice_from_text(r->tenant)) < DELETES_PENDING_MAX ||
              error_set(err, ERR_RATE, "%d requests to delete are waiting, the limit",
                        DELETES_PENDING_MAX);
    ok = ok && note_put(d, r, err);
    if (ok) {
        array_push(&d->list, r);
        pthread_cond_broadcast(&d->wake);
    }
    pthread_mutex_unlock(&d->lock);
    return ok;
}

bool deletes_add(struct deletes *d, const struct delete_order *order, struct error *err)
{
    if (order->query.size > QUERY_MAX)
        return error_set(err, ERR_INVALID, "the query has %zu bytes, the limit is %d",
                         order->query.size, QUERY_MAX);
    struct log_delete *query = log_delete_new(order->query, err);
    if (query == NULL)
        return false;
    struct request *r = request_new(order);
    bool ok = begin(d, r, log_delete_is_selector(query), err);
    if (!ok)
        request_free(r);
    log_delete_free(query);
    return ok;
}

void deletes_visit(struct deletes *d, struct slice tenant,
                   void (*visit)(void *context, const struct delete_state *state), void *context)
{
    pthread_mutex_lock(&d->lock);
    for (size_t i = 0; i < d->list.count; i++) {
        const struct request *r = d->list.items[i];
        if (!slice_equal(slice_from_text(r->tenant), tenant))
            continue;
        struct delete_state state = {
            .order = {tenant, slice_from_text(r->query), r->start_ns, r->end_ns, r->created_ns},
            .processed = r->processed,
            .percent = __atomic_load_n(&r->percent, __ATOMIC_RELAXED)};
        memcpy(state.id, r->id, sizeof(state.id));
        visit(context, &state);
    }
    pthread_mutex_unlock(&d->lock);
}

static size_t find(const struct deletes *d, struct slice tenant, struct slice id)
{
    size_t i = 0;
    while (i < d->list.count && (!slice_equal(slice_from_text(d->list.items[i]->id), id) ||
                                 !slice_equal(slice_from_text(d->list.items[i]->tenant), tenant)))
        i++;
    return i;
}

bool deletes_cancel(struct deletes *d, struct slice tenant, struct slice id, bool force,
                    struct error *err)
{
    bool ok = false;
    pthread_mutex_lock(&d->lock);
    size_t at = find(d, tenant, id);
    struct request *r = at < d->list.count ? d->list.items[at] : NULL;
    if (r == NULL) {
        error_set(err, ERR_NOT_FOUND, "could not find delete request with given id");
    } else if ((r->processed || r->running) && !force) {
        error_set(err, ERR_INVALID,
                  "deletion of request which is in process or already processed is not allowed");
    } else {
        __atomic_store_n(&r->cancel, true, __ATOMIC_RELAXED);
        while (at < d->list.count && d->list.items[at]->running) {
            pthread_cond_wait(&d->idle, &d->lock);
            at = find(d, tenant, id);
        }
        ok = at == d->list.count || note_remove(d, d->list.items[at], err);
        if (ok && at < d->list.count)
            list_remove(d, at);
    }
    pthread_mutex_unlock(&d->lock);
    return ok;
}
