/*
 * push.c - see push.h.
 *
 * Status: 204 when all was stored, 400 when something can never be accepted,
 * 429 when only the tenant's limit of series stood in the way, 503 with
 * Retry-After when the store takes nothing now.  In the first three cases what
 * was good is stored.
 */
#include "server/push.h"

#include "base/duration.h"
#include "base/ledger.h"
#include "base/memory.h"
#include "base/number.h"
#include "server/options.h"
#include "server/routes.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { PRODUCER_NAME_MAX = 128 };

/* The decoded body is no longer needed. */
static void push_drop_body(struct push *push)
{
    buffer_done(&push->scratch[0]);
    buffer_done(&push->scratch[1]);
    ledger_update(LEDGER_BODIES, &push->counted, 0);
}

static void push_free(void *state)
{
    struct push *push = state;
    batch_free(push->batch);
    push_drop_body(push);
    buffer_done(&push->report);
}

/* A sender that numbers its batches may send one again without doubling it. */
static bool read_producer(struct push *push, struct error *err)
{
    const struct http_request *request = push->call->request;
    struct slice name = http_request_header(request, "X-Etinde-Producer");
    uint64_t epoch, sequence;
    if (!name.data)
        return true;
    if (name.size == 0 || name.size > PRODUCER_NAME_MAX)
        return error_set(err, ERR_INVALID, "X-Etinde-Producer must have 1 to %d bytes",
                         PRODUCER_NAME_MAX);
    if (!slice_parse_u64(http_request_header(request, "X-Etinde-Epoch"), &epoch) ||
        !slice_parse_u64(http_request_header(request, "X-Etinde-Sequence"), &sequence))
        return error_set(err, ERR_INVALID,
                         "X-Etinde-Producer needs the whole numbers "
                         "X-Etinde-Epoch and X-Etinde-Sequence beside it");
    batch_set_producer(push->batch, name, epoch, sequence);
    return true;
}

bool push_begin(struct push *push, struct call *call, enum store_kind kind,
                struct body_coding coding)
{
    struct server *server = call->server;
    struct error err = {0};
    push->call = call;
    push->kind = kind;
    call->state = push;
    call->free_state = push_free;
    size_t limit = options_memory_share(server->options, server->options->http_body_size, 4);
    buffer_init(&push->scratch[0], limit);
    buffer_init(&push->scratch[1], limit);
    buffer_init(&push->report, PUSH_REPORT_MAX);
    count_add(&server->counters.push_requests[kind], 1);
    count_add(&server->counters.push_bytes[kind], call->request->body.size);
    if (!store_takes_batches(server->store, &err)) { /* before any work is done for it */
        call_fail(call, &err);
        return false;
    }
    if (!body_decode_both(coding, call->request->body, &push->scratch[0], &push->scratch[1],
                          &push->body, &err)) {
        count_add(&server->counters.refused[kind][INGEST_BAD_BODY], 1);
        call_fail(call, &err);
        return false;
    }
    ledger_update(LEDGER_BODIES, &push->counted,
                  push->scratch[0].capacity + push->scratch[1].capacity);
    count_add(&server->counters.push_decoded_bytes[kind], push->body.size);
    push->batch = batch_new(server->store, call->tenant, kind, &err);
    if (push->batch && read_producer(push, &err))
        return true;
    call_fail(call, &err);
    return false;
}

void push_refuse(struct push *push, enum ingest_refusal reason, uint64_t count, const char *format,
                 ...)
{
    push->refused[reason] += count;
    count_add(&push->call->server->counters.refused[push->kind][reason], count);
    if (push->shown == PUSH_REASONS_SHOWN)
        return;
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    push->shown++;
    buffer_append_text(&push->report, text);
    buffer_append_byte(&push->report, '\n');
}

static void describe(const struct push *push, struct buffer *out, const struct refusal *refusal)
{
    if (push->kind == STORE_METRIC)
        push_describe_sample(out, refusal);
    else
        push_describe_entry(out, refusal);
    buffer_append_byte(out, '\n');
}

void push_refuse_time(struct push *push, uint32_t series, int64_t time_ns)
{
    int64_t oldest_ns, newest_ns;
    batch_bounds(push->batch, &oldest_ns, &newest_ns);
    push->untimely++;
    if (push->shown == PUSH_REASONS_SHOWN)
        return;
    struct refusal refusal = {
        .reason = time_ns > newest_ns ? REFUSED_TOO_NEW : REFUSED_TOO_OLD,
        .labels = batch_labels(push->batch, series),
        .time_ns = time_ns,
        .bound_ns = time_ns > newest_ns ? newest_ns : oldest_ns,
    };
    push->shown++;
    describe(push, &push->report, &refusal);
}

void push_stop(struct push *push, const struct error *err)
{
    push->stopped = *err;
    struct error writable = {0};
    if (err->code == ERR_UNAVAILABLE && store_takes_batches(push->call->server->store, &writable))
        push->stopped.code = ERR_TOO_LARGE; /* only this batch is: the same will never fit */
}

/* ---- the end ---------------------------------------------------------- */

static int status_of_push(const struct push *push, uint64_t refused_by_store)
{
    const uint64_t *refused = push->refused;
    if (refused_by_store > 0 || refused[INGEST_BAD_ENTRY] > 0 || refused[INGEST_BAD_SERIES] > 0)
        return 400;
    return refused[INGEST_SERIES_LIMIT] > 0 ? 429 : 204;
}

static uint64_t sum_of(const uint64_t *numbers, size_t count)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += numbers[i];
    return sum;
}

static void answer_push(struct push *push, const struct batch_result *result)
{
    struct http_response *response = &push->call->request->response;
    uint64_t by_store = sum_of(result->refused, REFUSED_REASONS);
    int status = status_of_push(push, by_store);
    response->status = status;
    if (status == 204)
        return;
    struct buffer *out = &response->body;
    buffer_clear(out);
    response->content_type = "text/plain; charset=utf-8";
    if (status == 429)
        response->retry_after_s = 30;
    for (size_t i = 0; i < result->shown; i++) {
        struct refusal refusal = {
            .reason = result->first[i].reason,
            .labels = batch_labels(push->batch, result->first[i].series),
            .time_ns = result->first[i].time_ns,
            .bound_ns = result->first[i].bound_ns,
        };
        describe(push, out, &refusal);
    }
    buffer_append_slice(out, buffer_slice(&push->report));
    uint64_t refused = by_store + sum_of(push->refused, INGEST_REFUSALS);
    const char *things = push->kind == STORE_METRIC ? "samples or series" : "entries or streams";
    if (push->kind == STORE_LOG)
        buffer_printf(out, "user '%.*s', total ignored: %llu out of %llu\n",
                      SLICE_ARG(push->call->tenant), (unsigned long long)refused,
                      (unsigned long long)(push->taken + push->untimely +
                                           sum_of(push->refused, INGEST_REFUSALS)));
    else
        buffer_printf(out, "%llu %s were refused, %llu samples are stored\n",
                      (unsigned long long)refused, things, (unsigned long long)result->stored);
}

/* Called by the store when the batch is durable, or cannot be. */
static void push_finish(void *context, struct batch *batch, const struct batch_result *result)
{
    struct push *push = context;
    push->batch = batch;                               /* for its labels, until we return */
    push->call->request->response.uncompressed = true; /* the log must go on */
    if (result->error)
        call_fail(push->call, result->error);
    else
        answer_push(push, result);
    push->batch = NULL;
    call_resume(push->call);
}

void push_end(struct push *push, bool ok, const struct error *err)
{
    struct call *call = push->call;
    if (!ok) {
        bool stopped = push->stopped.code != ERR_NONE;
        if (!stopped)
            count_add(&call->server->counters.refused[push->kind][INGEST_BAD_BODY], 1);
        call_fail(call, stopped ? &push->stopped : err);
        return;
    }
    push_drop_body(push); /* the batch has its own copy of everything */
    struct batch *batch = TAKE(push->batch);
    if (call->handed_over)
        *call->handed_over = true; /* it is suspended already */
    else
        http_request_suspend(call->request, false);
    batch_commit(batch, push_finish, push);
}
