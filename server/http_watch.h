/*
 * http_watch.h - one thread that looks after clients while nobody else does.
 *
 * The HTTP library does not poll a connection whose request is suspended, so it
 * cannot see that the client has gone.  The watch polls a duplicate of its
 * descriptor and sets the query's cancel flag at hang-up.  Once a second it also
 * cuts off clients that are too slow: with a request's head, with its body, or
 * by trickling bytes into an idle connection.  When less than an eighth of the seats is
 * free, each new connection ends the one that has been idle longest.
 *
 * Every connection has a seat, taken when it opens and given back before its
 * descriptor is closed.  Any thread may call; a mutex guards all seats.
 */
#ifndef SERVER_HTTP_WATCH_H
#define SERVER_HTTP_WATCH_H

#include "base/compiler.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;
struct watch; /* opaque: fields in http_watch.c */

enum watch_phase {
    WATCH_IDLE,   /* between requests */
    WATCH_HEAD,   /* the request line is in, the headers are not */
    WATCH_BODY,   /* the headers are in, the body is not */
    WATCH_WORKING /* it is our turn */
};

/* Zero: the default behind it.  *_ms are limits of a phase. */
struct watch_limits {
    int64_t head_ms;           /* 10 s */
    int64_t idle_ms;           /* 150 s: the HTTP library closes a silent connection earlier */
    int64_t grace_ms;          /* 5 s of body at any speed */
    uint64_t body_bytes_per_s; /* 1024 after that */
};

/* Starts the thread.  The caller owns the watch. */
struct watch *watch_start(size_t seats, const struct watch_limits *limits, struct error *err)
    MUST_CHECK;
void watch_stop(struct watch *watch); /* NULL is fine */

/* A seat for the connection on `fd`, or -1 when all are taken: it is then not watched. */
int watch_enter(struct watch *watch, int fd);
void watch_leave(struct watch *watch, int seat);

void watch_set_phase(struct watch *watch, int seat, enum watch_phase phase);
void watch_body_bytes(struct watch *watch, int seat, size_t bytes);

/* Set `*cancel` (atomically) when the client hangs up; until watch_release. */
void watch_hangup(struct watch *watch, int seat, bool *cancel);
void watch_release(struct watch *watch, int seat);

/* Clients cut off for being slow, and hang-ups seen, so far. */
uint64_t watch_cut_count(const struct watch *watch);
uint64_t watch_hangup_count(const struct watch *watch);

#endif
