/* sender.c - one push, tried until it is decided (see sender.h). */
#include "agents/sender.h"

#include "agents/options.h"
#include "base/clock.h"
#include "base/duration.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/memory.h"
#include "net/http_client.h"
#include "version.h"

#include <inttypes.h>

enum { URL_MAX = 4096, RESPONSE_MAX = 16 * 1024, SHOWN = 300 };
enum { PAUSE_FIRST_MS = 500, PAUSE_MAX_MS = 30000, TIMEOUT_MS = 30000 };

struct sender {
    const struct agent_options *options;
    struct sender_target target;
    struct stop *stop;
    struct http_client *client;
    struct http_response response;
    struct sender_counters counters;
    int64_t give_up_ms; /* 0: never */
    uint64_t random;
    char url[URL_MAX];
};

struct sender *sender_new(const struct agent_options *options, const struct sender_target *target,
                          struct stop *stop, struct error *err)
{
    struct http_client *client = http_client_new(err);
    if (client == NULL)
        return NULL;
    struct sender *s = xcalloc(1, sizeof(*s));
    s->options = options;
    s->target = *target;
    s->stop = stop;
    s->client = client;
    s->random = hash_seed() | 1;
    buffer_init(&s->response.body, RESPONSE_MAX);
    int size = snprintf(s->url, sizeof(s->url), "%s%s", options->server, target->path);
    if (size < 0 || (size_t)size >= sizeof(s->url)) {
        sender_free(s);
        return error_null(err, ERR_INVALID, "the server's URL is too long");
    }
    return s;
}

void sender_free(struct sender *sender)
{
    if (sender == NULL)
        return;
    http_client_free(sender->client);
    buffer_done(&sender->response.body);
    free(sender);
}

void sender_give_up_after(struct sender *sender, int64_t ms)
{
    sender->give_up_ms = ms;
}

const struct sender_counters *sender_counters(const struct sender *sender)
{
    return &sender->counters;
}

static bool exchange(struct sender *s, uint64_t epoch, uint64_t sequence, struct slice body,
                     struct error *err)
{
    char epoch_text[24], sequence_text[24];
    snprintf(epoch_text, sizeof(epoch_text), "%" PRIu64, epoch);
    snprintf(sequence_text, sizeof(sequence_text), "%" PRIu64, sequence);
    struct http_header headers[] = {
        {"Content-Type", slice_from_text(s->target.content_type)},
        {"Content-Encoding", SLICE("snappy")},
        {"User-Agent", SLICE("etinde-agent/" ETINDE_VERSION)},
        {"X-Etinde-Producer", slice_from_text(s->target.producer)},
        {"X-Etinde-Epoch", slice_from_text(epoch_text)},
        {"X-Etinde-Sequence", slice_from_text(sequence_text)},
        {"X-Prometheus-Remote-Write-Version", SLICE("0.1.0")},
        {"X-Scope-OrgID", slice_from_text(s->options->tenant)},
    };
    struct http_request request = {
        .url = s->url,
        .headers = headers,
        .header_count = COUNT_OF(headers) - (s->options->tenant == NULL),
        .body = body,
        .timeout_ms = TIMEOUT_MS,
        .cancel = &s->stop->cancel,
    };
    return http_client_send(s->client, &request, &s->response, err);
}

enum judgement { TAKEN, REFUSED, TRY_AGAIN };

static enum judgement judge(long status)
{
    if (status >= 200 && status < 300)
        return TAKEN;
    if (status == 429 || status == 408 || status >= 500 || status < 400)
        return TRY_AGAIN;
    return REFUSED;
}

/* The pause with a quarter of it taken off or added, so that agents do not march in step. */
static int64_t jittered(struct sender *s, int64_t ms)
{
    s->random ^= s->random << 13;
    s->random ^= s->random >> 7;
    s->random ^= s->random << 17;
    return ms - ms / 4 + (int64_t)(s->random % (uint64_t)(ms / 2 + 1));
}

static void explain(const struct sender *s, const char *message, const struct error *err)
{
    struct slice body = buffer_slice(&s->response.body), line = SLICE("");
    if (err->code != ERR_NONE) {
        log_warn(message, LOG_TEXT("url", s->url), LOG_ERR(err));
        return;
    }
    slice_split(&body, '\n', &line);
    log_warn(message, LOG_TEXT("url", s->url), LOG_INT("status", s->response.status),
             LOG_SLICE("answer", slice_sub(line, 0, SHOWN)));
}

enum sent sender_push(struct sender *s, uint64_t epoch, uint64_t sequence, struct slice body)
{
    int64_t pause = PAUSE_FIRST_MS, begin = clock_monotonic_ns();

    for (;;) {
        struct error err = {0};
        bool answered = exchange(s, epoch, sequence, body, &err);
        enum judgement judgement = answered ? judge(s->response.status) : TRY_AGAIN;
        if (judgement == TAKEN) {
            atomic_fetch_add(&s->counters.sent, 1);
            atomic_fetch_add(&s->counters.bytes, body.size);
            return SENT_OK;
        }
        if (judgement == REFUSED) {
            explain(s, "the server refuses a batch, it is dropped", &err);
            atomic_fetch_add(&s->counters.dropped, 1);
            return SENT_DROPPED;
        }
        if (stop_is_set(s->stop))
            return SENT_NOT;
        explain(s, "push failed, trying again", &err);
        atomic_fetch_add(&s->counters.retried, 1);
        int64_t wait = jittered(s, pause);
        if (answered && s->response.retry_after_ms > wait)
            wait = s->response.retry_after_ms;
        int64_t spent = (clock_monotonic_ns() - begin) / NS_PER_MS;
        if (s->give_up_ms > 0 && spent + wait > s->give_up_ms)
            return SENT_NOT;
        if (stop_wait(s->stop, wait, NULL))
            return SENT_NOT;
        pause = pause * 2 < PAUSE_MAX_MS ? pause * 2 : PAUSE_MAX_MS;
    }
}
