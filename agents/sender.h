/*
 * sender.h - pushing batches to the server until it has them.
 *
 * A batch carries who made it, when that process started (epoch) and its number,
 * so that the server stores a repeat only once.  Temporary trouble (the
 * network, 5xx, 429) is tried again for ever, with growing pauses or those of Retry-After;
 * any other 4xx means that the server will never take the batch: it is dropped and
 * counted.  One sender belongs to one thread; its counters may be read by others.
 */
#ifndef AGENTS_SENDER_H
#define AGENTS_SENDER_H

#include "agents/stop.h"
#include "base/compiler.h"
#include "base/slice.h"

#include <stdatomic.h>
#include <stdint.h>

struct agent_options;
struct error;
struct http_client;

struct sender_counters {
    atomic_uint_fast64_t sent, dropped, retried, bytes;
};

struct sender_target {
    const char *path; /* behind the server's URL */
    const char *content_type;
    const char *producer; /* of this kind of data */
};

struct sender; /* opaque: fields in sender.c */

/* `options`, `target`'s texts and `stop` must outlive it. */
struct sender *sender_new(const struct agent_options *options, const struct sender_target *target,
                          struct stop *stop, struct error *err) MUST_CHECK;
void sender_free(struct sender *sender); /* NULL is fine */

enum sent {
    SENT_OK,
    SENT_DROPPED, /* the server will never take it */
    SENT_NOT      /* stopped, or given up after the time that sender_give_up set */
};

/* `body` is a snappy block. */
enum sent sender_push(struct sender *sender, uint64_t epoch, uint64_t sequence, struct slice body);

/* With --once: give up this long after the first try. */
void sender_give_up_after(struct sender *sender, int64_t ms);

const struct sender_counters *sender_counters(const struct sender *sender);

#endif
