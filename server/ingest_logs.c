/*
 * ingest_logs.c - POST /loki/api/v1/push: Loki's push into the store.
 *
 * Labels, lines and structured metadata are judged here, with Loki's limits and
 * texts; times are judged by the store when the batch is applied.  Streams get
 * a service_name and entries a detected_level, unless the configuration says
 * no.  A bad stream or entry is described in a 400, and the others are stored.
 */
#include "base/arena.h"
#include "base/clock.h"
#include "base/duration.h"
#include "server/api.h"
#include "server/log_level.h"
#include "server/options.h"
#include "server/push.h"
#include "server/rate_limit.h"
#include "wire/ingest.h"
#include "wire/loki_json.h"
#include "wire/loki_push.h"
#include "wire/media_type.h"

enum { FORMAT_PROTOBUF = 2, FORMAT_JSON = 3, FORMAT_WITH_SERVICE = 16 };

/* What is known of a stream of this request. */
struct stream_note {
    bool seen;
    struct slice level; /* from its labels; data NULL: they have none */
};

struct log_push {
    struct push push; /* first: a log push is a push */
    uint32_t format;
    bool discover_service, discover_level;
    uint64_t bytes;            /* of the entries that were taken, as Loki counts */
    bool any_stream;           /* the request has one, good or bad */
    struct stream_note *notes; /* by the batch's number; in the call's arena */
    size_t note_count, note_capacity;
    struct label *pairs; /* one entry's metadata with room for the level */
};

static int64_t find_stream(void *context, struct slice key)
{
    struct log_push *push = context;
    push->any_stream = true;
    return batch_find(push->push.batch, push->format, key);
}

static void append_labels(struct buffer *out, const struct label *labels, size_t count)
{
    labels_append_text(out, (struct labels){labels, count});
}

/* False: the stream breaks a limit and is left out. */
static bool check_labels(struct log_push *push, const struct label *labels, size_t count)
{
    const struct options *o = push->push.call->server->options;
    AUTO(buffer_done) struct buffer text;
    buffer_init(&text, 512);
    append_labels(&text, labels, count);
    struct slice shown = buffer_slice(&text);
    size_t filled = 0;
    for (size_t i = 0; i < count; i++) {
        filled += labels[i].value.size > 0;
        if (!label_name_is_classic(labels[i].name)) {
            push_refuse(&push->push, INGEST_BAD_SERIES, 1,
                        "error parsing labels '%.*s': invalid label name '%.*s'", SLICE_ARG(shown),
                        SLICE_ARG(slice_sub(labels[i].name, 0, 200)));
            return false;
        }
        if (labels[i].name.size > o->logs_name_size) {
            push_refuse(&push->push, INGEST_BAD_SERIES, 1,
                        "stream '%.*s' has label name too long: '%.*s'", SLICE_ARG(shown),
                        SLICE_ARG(slice_sub(labels[i].name, 0, 200)));
            return false;
        }
        if (labels[i].value.size > o->logs_value_size) {
            push_refuse(&push->push, INGEST_BAD_SERIES, 1,
                        "stream '%.*s' has label value too long: '%.*s'", SLICE_ARG(shown),
                        SLICE_ARG(slice_sub(labels[i].value, 0, 200)));
            return false;
        }
    }
    if (filled == 0) {
        push_refuse(&push->push, INGEST_BAD_SERIES, 1,
                    "error at least one label pair is required per stream");
        return false;
    }
    if (filled > o->logs_labels) {
        push_refuse(&push->push, INGEST_BAD_SERIES, 1,
                    "entry for stream '%.*s' has %zu label names; limit %llu", SLICE_ARG(shown),
                    filled, (unsigned long long)o->logs_labels);
        return false;
    }
    return true;
}

static bool has_service(const struct label *labels, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (labels[i].value.size > 0 && slice_equal(labels[i].name, SERVICE_NAME))
            return true;
    return false;
}

static int64_t define_stream(void *context, struct slice key, struct label *labels, size_t count)
{
    struct log_push *push = context;
    struct error err = {0};
    if (!check_labels(push, labels, count))
        return INGEST_SKIP;
    if (push->discover_service && !has_service(labels, count)) {
        struct label *grown = arena_alloc(push->push.call->arena, (count + 1) * sizeof(*grown));
        if (!grown) {
            error_set(&push->push.stopped, ERR_TOO_LARGE, "the request has too many streams");
            return INGEST_STOP;
        }
        memcpy(grown, labels, count * sizeof(*labels));
        grown[count] = (struct label){SERVICE_NAME, service_name_of(labels, count)};
        labels = grown;
        count++;
    }
    int64_t number = batch_define(push->push.batch, push->format, key, labels, count, &err);
    if (number >= 0)
        return number;
    if (err.code == ERR_RATE || err.code == ERR_INVALID || err.code == ERR_LIMIT) {
        push_refuse(&push->push, err.code == ERR_RATE ? INGEST_SERIES_LIMIT : INGEST_BAD_SERIES, 1,
                    "%s", err.message);
        return INGEST_SKIP;
    }
    push_stop(&push->push, &err);
    return INGEST_STOP;
}

/* ---- entries ---------------------------------------------------------- */

enum entry_fault { LINE_TOO_LONG, METADATA_TOO_LARGE, METADATA_TOO_MANY };

static void refuse_entry(struct log_push *push, uint32_t series, enum entry_fault fault,
                         size_t size, uint64_t most)
{
    unsigned long long limit = most;
    AUTO(buffer_done) struct buffer text;
    buffer_init(&text, 600);
    labels_append_text(&text, batch_labels(push->push.batch, series));
    struct slice stream = buffer_slice(&text);
    switch (fault) {
    case LINE_TOO_LONG:
        push_refuse(&push->push, INGEST_BAD_ENTRY, 1,
                    "max entry size '%llu' bytes exceeded for stream '%.*s' while adding an entry "
                    "with length '%zu' bytes",
                    limit, SLICE_ARG(stream), size);
        return;
    case METADATA_TOO_LARGE:
        push_refuse(&push->push, INGEST_BAD_ENTRY, 1,
                    "stream '%.*s' has structured metadata too large: '%zu' bytes, limit: '%llu' "
                    "bytes",
                    SLICE_ARG(stream), size, limit);
        return;
    case METADATA_TOO_MANY:
        push_refuse(&push->push, INGEST_BAD_ENTRY, 1,
                    "stream '%.*s' has too many structured metadata labels: '%zu', limit: '%llu'",
                    SLICE_ARG(stream), size, limit);
    }
}

/* False: the entry breaks a limit and is left out. */
static bool check_entry(struct log_push *push, uint32_t series, struct slice line,
                        const struct label *metadata, size_t count)
{
    const struct options *o = push->push.call->server->options;
    size_t size = 0;
    for (size_t i = 0; i < count; i++)
        size += metadata[i].name.size + metadata[i].value.size;
    if (line.size > o->logs_line_size)
        refuse_entry(push, series, LINE_TOO_LONG, line.size, o->logs_line_size);
    else if (size > o->logs_metadata_size)
        refuse_entry(push, series, METADATA_TOO_LARGE, size, o->logs_metadata_size);
    else if (count > o->logs_metadata_count)
        refuse_entry(push, series, METADATA_TOO_MANY, count, o->logs_metadata_count);
    else
        return true;
    return false;
}

static struct slice level_of_stream(struct log_push *push, uint32_t series)
{
    if (series >= push->note_count) {
        struct stream_note *grown =
            arena_grow(push->push.call->arena, push->notes, push->note_count, &push->note_capacity,
                       (size_t)series + 1, sizeof(*grown));
        if (!grown)
            return (struct slice){NULL, 0};
        memset(grown + push->note_count, 0, (series + 1 - push->note_count) * sizeof(*grown));
        push->notes = grown;
        push->note_count = (size_t)series + 1;
    }
    struct stream_note *note = &push->notes[series];
    if (!note->seen) {
        struct labels labels = batch_labels(push->push.batch, series);
        note->level = log_level_of_labels(labels.items, labels.count);
        note->seen = true;
    }
    return note->level;
}

/* The metadata with detected_level behind it; a level that the sender gave is made normal. */
static struct label *add_level(struct log_push *push, uint32_t series, struct slice line,
                               struct label *metadata, size_t *count)
{
    for (size_t i = 0; i < *count; i++) {
        if (slice_equal(metadata[i].name, DETECTED_LEVEL)) {
            metadata[i].value = log_level_normal(metadata[i].value);
            return metadata;
        }
    }
    struct slice level = level_of_stream(push, series);
    if (!level.data)
        level = log_level_of_labels(metadata, *count);
    if (!level.data)
        level = log_level_of_line(line);
    if (*count > 0)
        memcpy(push->pairs, metadata, *count * sizeof(*metadata));
    push->pairs[*count] = (struct label){DETECTED_LEVEL, level};
    ++*count;
    return push->pairs;
}

static bool add_entry(void *context, uint32_t series, int64_t time_ns, struct slice line,
                      struct label *metadata, size_t count)
{
    struct log_push *push = context;
    struct error err = {0};
    if (!check_entry(push, series, line, metadata, count))
        return true;
    uint64_t bytes = line.size;
    for (size_t i = 0; i < count; i++)
        bytes += metadata[i].name.size + metadata[i].value.size;
    if (push->discover_level)
        metadata = add_level(push, series, line, metadata, &count);
    if (batch_entry(push->push.batch, series, time_ns, line, metadata, count, &err)) {
        push->push.taken++;
        push->bytes += bytes;
        return true;
    }
    if (err.code == ERR_INVALID) {
        push_refuse_time(&push->push, series, time_ns);
        return true;
    }
    push_stop(&push->push, &err);
    return false;
}

static void refuse_stream(void *context, size_t entries, const struct error *reason)
{
    push_refuse(context, INGEST_BAD_SERIES, entries > 0 ? entries : 1, "%s", reason->message);
}

/* ---- the endpoint ----------------------------------------------------- */

static bool judge_headers(struct http_request *request, enum loki_push_format *format,
                          struct body_coding *coding)
{
    struct error err = {0};
    if (media_type_loki_push(http_request_header(request, "Content-Type"),
                             http_request_header(request, "Content-Encoding"), format, coding,
                             &err))
        return true;
    http_response_text(&request->response, 400, "%s", err.message);
    return false;
}

bool push_logs_check(struct http_request *request)
{
    enum loki_push_format format;
    struct body_coding coding;
    return judge_headers(request, &format, &coding);
}

static bool prepare(struct log_push *push, struct call *call, enum loki_push_format format)
{
    const struct options *o = call->server->options;
    push->discover_service = o->logs_discover_service_name;
    push->discover_level = o->logs_discover_log_levels;
    push->format = format == LOKI_PUSH_JSON ? FORMAT_JSON : FORMAT_PROTOBUF;
    if (push->discover_service)
        push->format += FORMAT_WITH_SERVICE;
    push->pairs = arena_calloc(call->arena, o->logs_metadata_count + 1, sizeof(*push->pairs));
    return push->pairs != NULL;
}

/* Within the tenant's rate? */
static bool check_rate(const struct log_push *push, struct error *err)
{
    const struct call *call = push->push.call;
    struct server *server = call->server;
    if (server->log_rate == NULL ||
        rate_limit_take(server->log_rate, call->tenant, push->bytes, clock_monotonic_ns()))
        return true;
    return error_set(err, ERR_RATE,
                     "ingestion rate limit exceeded for user %.*s (limit: %ju bytes/sec) while "
                     "attempting to ingest '%ju' lines totaling '%ju' bytes, reduce log volume or "
                     "raise logs.rate and logs.rate_burst",
                     SLICE_ARG(call->tenant), (uintmax_t)server->options->logs_rate,
                     (uintmax_t)push->push.taken, (uintmax_t)push->bytes);
}

void push_logs(struct call *call)
{
    enum loki_push_format format;
    struct body_coding coding;
    struct error err = {0};
    if (!judge_headers(call->request, &format, &coding))
        return;
    struct log_push *push = arena_calloc(call->arena, 1, sizeof(*push));
    if (!push || !prepare(push, call, format) || !push_begin(&push->push, call, STORE_LOG, coding))
        return;
    struct log_sink sink = {
        .context = push,
        .find = find_stream,
        .define = define_stream,
        .entry = add_entry,
        .refused = refuse_stream,
    };
    bool ok = format == LOKI_PUSH_JSON ? loki_json_decode(push->push.body, &sink, &err)
                                       : loki_push_decode(push->push.body, &sink, &err);
    if (ok && !push->any_stream && push->push.refused[INGEST_BAD_SERIES] == 0)
        ok = error_set(&err, ERR_INVALID,
                       "error at least one valid stream is required for ingestion");
    if (ok && !check_rate(push, &err)) {
        ok = false;
        push_stop(&push->push, &err);
    }
    push_end(&push->push, ok, &err);
}

static void append_seconds(struct buffer *out, int64_t ns)
{
    int64_t rest = ns % NS_PER_SECOND;
    buffer_append_rfc3339(out, ns - (rest < 0 ? rest + NS_PER_SECOND : rest));
}

void push_describe_entry(struct buffer *out, const struct refusal *refusal)
{
    bool by_age = refusal->reason == REFUSED_TOO_OLD || refusal->reason == REFUSED_TOO_NEW;
    if (by_age) {
        bool new = refusal->reason == REFUSED_TOO_NEW;
        buffer_append_text(out, "entry for stream '");
        labels_append_text(out, refusal->labels);
        buffer_append_text(out, new ? "' has timestamp too new: " : "' has timestamp too old: ");
        append_seconds(out, refusal->time_ns);
        if (new)
            return;
        buffer_append_text(out, ", oldest acceptable timestamp is: ");
        append_seconds(out, refusal->bound_ns);
        return;
    }
    buffer_append_text(out, "entry with timestamp ");
    append_seconds(out, refusal->time_ns);
    buffer_append_text(out, " ignored, reason: 'entry too far behind, entry timestamp is: ");
    append_seconds(out, refusal->time_ns);
    buffer_append_text(out, ", oldest acceptable timestamp is: ");
    append_seconds(out, refusal->bound_ns);
    buffer_append_text(out, "', stream: ");
    labels_append_text(out, refusal->labels);
}
