/*
 * http_watch.c - see http_watch.h.
 *
 * A seat's number and its generation travel in the epoll event, so an event
 * that was on its way while the seat changed hands is recognised as stale.  An
 * epoll registration belongs to the open socket, not to our duplicate of the
 * descriptor: it is removed by hand before the duplicate is closed.
 */
#include "server/http_watch.h"

#include "base/clock.h"
#include "base/duration.h"
#include "base/error.h"
#include "base/memory.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum { EVENTS_AT_ONCE = 64, SCAN_INTERVAL_MS = 1000, PRESSURE_PART = 8 };
#define STOP_TOKEN UINT64_MAX

struct seat {
    int fd;        /* the connection's; -1: free */
    int duplicate; /* registered with epoll; -1: no hang-up is watched for */
    bool *cancel;
    uint32_t generation;
    enum watch_phase phase;
    int64_t since_ns; /* of the phase, monotonic */
    uint64_t bytes;   /* of the body so far */
    bool leaving;     /* cut off already, its owner closes it soon */
};

struct watch {
    pthread_mutex_t lock; /* guards seats and free_seats */
    struct seat *seats;
    int *free_seats; /* a stack */
    size_t seat_count, free_count;
    struct watch_limits limits;
    int epoll, stop;
    pthread_t thread;
    uint64_t cut_count, hangup_count; /* atomic */
};

static void hear_hangup(struct watch *w, uint64_t token)
{
    size_t number = (size_t)(token & UINT32_MAX);
    pthread_mutex_lock(&w->lock);
    struct seat *s = &w->seats[number];
    if (s->generation == (uint32_t)(token >> 32) && s->cancel) {
        __atomic_store_n(s->cancel, true, __ATOMIC_RELEASE);
        __atomic_fetch_add(&w->hangup_count, 1, __ATOMIC_RELAXED);
        epoll_ctl(w->epoll, EPOLL_CTL_DEL, s->duplicate, NULL); /* once is enough */
    }
    pthread_mutex_unlock(&w->lock);
}

static bool seat_is_slow(const struct seat *s, const struct watch_limits *limits, int64_t now_ns)
{
    int64_t elapsed_ms = (now_ns - s->since_ns) / NS_PER_MS;
    switch (s->phase) {
    case WATCH_IDLE:
        return elapsed_ms > limits->idle_ms;
    case WATCH_HEAD:
        return elapsed_ms > limits->head_ms;
    case WATCH_BODY: {
        int64_t owed_ms = elapsed_ms - limits->grace_ms;
        return owed_ms > 0 && s->bytes < (uint64_t)owed_ms * limits->body_bytes_per_s / 1000;
    }
    case WATCH_WORKING:
        return false;
    }
    return false;
}

static void cut_slow_clients(struct watch *w)
{
    int64_t now_ns = clock_monotonic_ns();
    pthread_mutex_lock(&w->lock);
    for (size_t i = 0; i < w->seat_count; i++) {
        struct seat *s = &w->seats[i];
        if (s->fd < 0 || !seat_is_slow(s, &w->limits, now_ns))
            continue;
        shutdown(s->fd, SHUT_RDWR);
        s->since_ns = now_ns; /* its owner closes it soon; do not count it twice */
        __atomic_fetch_add(&w->cut_count, 1, __ATOMIC_RELAXED);
    }
    pthread_mutex_unlock(&w->lock);
}

static void *watch_run(void *context)
{
    struct watch *w = context;
    int64_t next_scan_ns = clock_monotonic_ns();
    for (;;) {
        struct epoll_event events[EVENTS_AT_ONCE];
        int count = epoll_wait(w->epoll, events, EVENTS_AT_ONCE, SCAN_INTERVAL_MS);
        for (int i = 0; i < count; i++) {
            if (events[i].data.u64 == STOP_TOKEN)
                return NULL;
            hear_hangup(w, events[i].data.u64);
        }
        if (clock_monotonic_ns() >= next_scan_ns) {
            cut_slow_clients(w);
            next_scan_ns = clock_monotonic_ns() + SCAN_INTERVAL_MS * NS_PER_MS;
        }
    }
}

static void watch_free(struct watch *w)
{
    if (w->epoll >= 0)
        close(w->epoll);
    if (w->stop >= 0)
        close(w->stop);
    pthread_mutex_destroy(&w->lock);
    free(w->seats);
    free(w->free_seats);
    free(w);
}

static void set_limits(struct watch_limits *to, const struct watch_limits *from)
{
    *to = from ? *from : (struct watch_limits){0};
    to->head_ms = to->head_ms ? to->head_ms : 10000;
    to->idle_ms = to->idle_ms ? to->idle_ms : 150000;
    to->grace_ms = to->grace_ms ? to->grace_ms : 5000;
    to->body_bytes_per_s = to->body_bytes_per_s ? to->body_bytes_per_s : 1024;
}

struct watch *watch_start(size_t seats, const struct watch_limits *limits, struct error *err)
{
    struct watch *w = xcalloc(1, sizeof(*w));
    set_limits(&w->limits, limits);
    pthread_mutex_init(&w->lock, NULL);
    w->seat_count = w->free_count = seats;
    w->seats = xcalloc(seats, sizeof(*w->seats));
    w->free_seats = xcalloc(seats, sizeof(*w->free_seats));
    for (size_t i = 0; i < seats; i++) {
        w->seats[i].fd = w->seats[i].duplicate = -1;
        w->free_seats[i] = (int)(seats - 1 - i);
    }
    w->epoll = epoll_create1(EPOLL_CLOEXEC);
    w->stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = STOP_TOKEN};
    if (w->epoll < 0 || w->stop < 0 || epoll_ctl(w->epoll, EPOLL_CTL_ADD, w->stop, &event) != 0 ||
        (errno = pthread_create(&w->thread, NULL, watch_run, w)) != 0) {
        error_set(err, ERR_IO, "starting the watch over clients: %s", strerror(errno));
        watch_free(w);
        return NULL;
    }
    return w;
}

void watch_stop(struct watch *w)
{
    if (!w)
        return;
    uint64_t one = 1;
    while (write(w->stop, &one, sizeof(one)) < 0 && errno == EINTR)
        continue;
    pthread_join(w->thread, NULL);
    for (size_t i = 0; i < w->seat_count; i++)
        if (w->seats[i].duplicate >= 0)
            close(w->seats[i].duplicate);
    watch_free(w);
}

/* Most seats are taken: whoever has been idle longest makes room.  Caller holds the lock. */
static void cut_longest_idle(struct watch *w)
{
    struct seat *longest = NULL;
    for (size_t i = 0; i < w->seat_count; i++) {
        struct seat *s = &w->seats[i];
        if (s->fd >= 0 && s->phase == WATCH_IDLE && !s->leaving &&
            (longest == NULL || s->since_ns < longest->since_ns))
            longest = s;
    }
    if (longest == NULL)
        return;
    longest->leaving = true;
    shutdown(longest->fd, SHUT_RDWR);
    __atomic_fetch_add(&w->cut_count, 1, __ATOMIC_RELAXED);
}

int watch_enter(struct watch *w, int fd)
{
    pthread_mutex_lock(&w->lock);
    int number = -1;
    if (w->free_count > 0) {
        number = w->free_seats[--w->free_count];
        struct seat *s = &w->seats[number];
        *s = (struct seat){.fd = fd, .duplicate = -1, .generation = s->generation + 1};
        s->since_ns = clock_monotonic_ns();
        if (w->free_count < w->seat_count / PRESSURE_PART)
            cut_longest_idle(w);
    }
    pthread_mutex_unlock(&w->lock);
    return number;
}

static void drop_duplicate(struct watch *w, struct seat *s)
{
    if (s->duplicate < 0)
        return;
    epoll_ctl(w->epoll, EPOLL_CTL_DEL, s->duplicate, NULL);
    close(s->duplicate);
    s->duplicate = -1;
    s->cancel = NULL;
    s->generation++;
}

void watch_leave(struct watch *w, int number)
{
    if (number < 0)
        return;
    pthread_mutex_lock(&w->lock);
    struct seat *s = &w->seats[number];
    assert(s->fd >= 0);
    drop_duplicate(w, s);
    s->fd = -1;
    s->generation++;
    w->free_seats[w->free_count++] = number;
    pthread_mutex_unlock(&w->lock);
}

void watch_set_phase(struct watch *w, int number, enum watch_phase phase)
{
    if (number < 0)
        return;
    pthread_mutex_lock(&w->lock);
    struct seat *s = &w->seats[number];
    s->phase = phase;
    s->bytes = 0;
    s->since_ns = clock_monotonic_ns();
    pthread_mutex_unlock(&w->lock);
}

void watch_body_bytes(struct watch *w, int number, size_t bytes)
{
    if (number < 0)
        return;
    pthread_mutex_lock(&w->lock);
    w->seats[number].bytes += bytes;
    pthread_mutex_unlock(&w->lock);
}

void watch_hangup(struct watch *w, int number, bool *cancel)
{
    if (number < 0)
        return;
    pthread_mutex_lock(&w->lock);
    struct seat *s = &w->seats[number];
    assert(s->duplicate < 0);
    s->duplicate = fcntl(s->fd, F_DUPFD_CLOEXEC, 0);
    if (s->duplicate >= 0) {
        s->cancel = cancel;
        struct epoll_event event = {.events = EPOLLRDHUP};
        event.data.u64 = (uint64_t)s->generation << 32 | (uint64_t)number;
        if (epoll_ctl(w->epoll, EPOLL_CTL_ADD, s->duplicate, &event) != 0)
            drop_duplicate(w, s);
    }
    pthread_mutex_unlock(&w->lock);
}

void watch_release(struct watch *w, int number)
{
    if (number < 0)
        return;
    pthread_mutex_lock(&w->lock);
    drop_duplicate(w, &w->seats[number]);
    pthread_mutex_unlock(&w->lock);
}

uint64_t watch_cut_count(const struct watch *w)
{
    return __atomic_load_n(&w->cut_count, __ATOMIC_RELAXED);
}

uint64_t watch_hangup_count(const struct watch *w)
{
    return __atomic_load_n(&w->hangup_count, __ATOMIC_RELAXED);
}
