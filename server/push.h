/*
 * push.h - what a pushed request of either kind goes through.
 *
 *   push_begin()   take off the encoding, start the batch, note the producer
 *   a decoder      calls the sink of ingest_metrics.c or ingest_logs.c
 *   push_commit()  suspend the request and hand the batch to the store
 *   push_finish()  on the log writer's thread: judge the result, resume
 *
 * Bad parts of a request never cost the good ones: they are counted, the first
 * few are described, and the answer says so once the good ones are durable.
 */
#ifndef SERVER_PUSH_H
#define SERVER_PUSH_H

#include "base/buffer.h"
#include "base/compiler.h"
#include "base/error.h"
#include "server/call.h"
#include "server/counters.h"
#include "storage/store.h"
#include "wire/body.h"

#include <stdbool.h>
#include <stdint.h>

enum { PUSH_REASONS_SHOWN = 10, PUSH_REPORT_MAX = 16 * 1024 };

struct push {
    struct call *call;
    enum store_kind kind;
    struct batch *batch;      /* owned until it is committed */
    struct buffer scratch[2]; /* the body without its encodings */
    size_t counted;           /* their bytes in the ledger of memory */
    struct slice body;        /* decoded */
    struct error stopped;     /* why the sink ended the request */
    uint64_t taken;           /* samples or entries in the batch */
    uint64_t untimely;        /* too old or too new for the batch, which counts them too */
    uint64_t refused[INGEST_REFUSALS];
    size_t shown;         /* reasons in `report` */
    struct buffer report; /* one reason a line */
};

/* False: the response is filled. */
bool push_begin(struct push *push, struct call *call, enum store_kind kind,
                struct body_coding coding) MUST_CHECK;

/* A part of the request is left out, and why. */
void push_refuse(struct push *push, enum ingest_refusal reason, uint64_t count, const char *format,
                 ...) PRINTF_LIKE(4, 5);

/*
 * The store refused sample or entry of `series` for its time, and counts it itself:
 * say so in the family's words.
 */
void push_refuse_time(struct push *push, uint32_t series, int64_t time_ns);

/* The store cannot take any more into this batch, or at all. */
void push_stop(struct push *push, const struct error *err);

/* What the decoder said: `ok`, or it failed with `err` (or the sink stopped it). */
void push_end(struct push *push, bool ok, const struct error *err);

/* One sample or entry that the store refused. */
struct refusal {
    enum refusal_reason reason;
    struct labels labels;
    int64_t time_ns, bound_ns;
};

/* In ingest_metrics.c and ingest_logs.c: one line about it. */
void push_describe_sample(struct buffer *out, const struct refusal *refusal);
void push_describe_entry(struct buffer *out, const struct refusal *refusal);

#endif
