/*
 * query_call.c - see query_call.h.
 */
#include "server/query_call.h"

#include "base/arena.h"
#include "base/clock.h"
#include "base/duration.h"
#include "base/log.h"
#include "base/matcher.h"
#include "query/result_cache.h"
#include "server/answer.h"
#include "server/options.h"
#include "server/parameters.h"
#include "server/routes.h"
#include "storage/store.h"

#include <stdlib.h>

enum { SLOW_QUERY_MS = 5000, LOGQL_TEXT_MAX = 128 * 1024 };

struct query_request query_call_request(const struct call *call, enum query_language language,
                                        struct slice text)
{
    struct query_request request = {
        .language = language,
        .text = text,
        .tenant = call->tenant,
        .features = call->server->options->feature_bits,
        .lookback_ns = call->server->options->query_lookback_ns,
        .limits = call->server->limits,
        .cancel = &call->request->cancel,
        .helpers = call->server->helpers,
        .threads = call->server->query_threads,
    };
    if (language == QUERY_LOGQL && request.limits.text_max > LOGQL_TEXT_MAX)
        request.limits.text_max = LOGQL_TEXT_MAX;
    return request;
}

static void log_slow_query(struct call *call, const struct query_request *request, int64_t ns)
{
    struct http_request *http = call->request;
    log_warn("slow query", LOG_SLICE("query", slice_sub(request->text, 0, 1000)),
             LOG_SLICE("tenant", call->tenant), LOG_DOUBLE("seconds", (double)ns / 1e9),
             LOG_SLICE("dashboard", http_request_header(http, "X-Dashboard-Uid")),
             LOG_SLICE("panel", http_request_header(http, "X-Panel-Id")),
             LOG_SLICE("tags", http_request_header(http, "X-Query-Tags")));
}

/* Not with nocache=1 or Cache-Control: no-cache or no-store, nor for statistics of a real run. */
static bool wants_cache(const struct call *call)
{
    struct slice off = form_get(&call->form, SLICE("nocache"));
    struct slice control = http_request_header(call->request, "Cache-Control");
    return (off.size == 0 || slice_equal(off, SLICE("0"))) &&
           form_get(&call->form, SLICE("stats")).size == 0 &&
           slice_find(control, SLICE("no-store"), 0) == SLICE_NOT_FOUND &&
           slice_find(control, SLICE("no-cache"), 0) == SLICE_NOT_FOUND;
}

struct query_result *query_call_run(struct call *call, struct query_request *request,
                                    struct error *err)
{
    struct counters *counters = &call->server->counters;
    int64_t began_ns = clock_monotonic_ns();
    struct result_cache *cache = wants_cache(call) ? call->server->results : NULL;
    struct query_result *result = query_run_cached(cache, call->server->store, request, err);
    int64_t took_ns = clock_monotonic_ns() - began_ns;
    count_add(&counters->queries[request->language], 1);
    count_add(&counters->query_ns[request->language], (uint64_t)took_ns);
    if (took_ns > SLOW_QUERY_MS * NS_PER_MS)
        log_slow_query(call, request, took_ns);
    if (!result) {
        count_add(&counters->queries_failed[request->language], 1);
        if (err->code == ERR_CANCELED)
            error_set(err, ERR_CANCELED, "the query was canceled, its client is gone");
        return NULL;
    }
    count_add(&counters->query_samples, result->stats.samples);
    count_add(&counters->query_lines, result->stats.lines);
    count_add(&counters->query_line_bytes, result->stats.line_bytes);
    result->stats.queue_ns = call->queued_ns;
    return result;
}

/* ---- selectors -------------------------------------------------------- */

static bool add_selector(struct call *call, struct selectors *list, struct selector selector,
                         struct error *err)
{
    struct selector *grown = arena_grow(call->arena, list->items, list->count, &list->capacity,
                                        list->count + 1, sizeof(*grown));
    if (!grown || list->count == SELECTORS_MAX)
        return error_set(err, ERR_LIMIT, "the request has over %d selectors", SELECTORS_MAX);
    list->items = grown;
    list->items[list->count++] = selector;
    return true;
}

bool selectors_read(struct call *call, enum query_language language, const char *name,
                    struct selectors *list, struct error *err)
{
    size_t at = 0;
    struct slice text;
    while (form_next(&call->form, slice_from_text(name), &at, &text)) {
        struct selector selector = {0};
        bool empty = slice_trim(text).size == 0 || slice_equal(slice_trim(text), SLICE("{}"));
        if (language == QUERY_LOGQL && empty)
            continue; /* Loki reads it as: all streams */
        if (!query_parse_selector(language, text, &selector.matchers, &selector.count, call->arena,
                                  err))
            return language == QUERY_PROMQL ? error_prefix(err, "invalid parameter \"%s\"", name)
                                            : false;
        if (!add_selector(call, list, selector, err)) {
            query_selector_free(selector.matchers, selector.count);
            return false;
        }
    }
    return true;
}

void selectors_done(struct selectors *list)
{
    for (size_t i = 0; i < list->count; i++)
        query_selector_free(list->items[i].matchers, list->items[i].count);
    list->count = 0;
}

/* ---- names ------------------------------------------------------------ */

static enum store_kind kind_of(enum query_language language)
{
    return language == QUERY_PROMQL ? STORE_METRIC : STORE_LOG;
}

static int compare_names(const void *a, const void *b)
{
    return slice_compare(*(const struct slice *)a, *(const struct slice *)b);
}

static void sort_unique(struct name_list *names)
{
    if (names->count < 2)
        return;
    qsort(names->items, names->count, sizeof(*names->items), compare_names);
    size_t kept = 1;
    for (size_t i = 1; i < names->count; i++)
        if (!slice_equal(names->items[i], names->items[kept - 1]))
            names->items[kept++] = names->items[i];
    names->count = kept;
}

bool names_read(struct call *call, enum query_language language, const struct selectors *selectors,
                struct slice label, const int64_t range_ns[2], size_t limit,
                struct name_list *names, struct error *err)
{
    *names = (struct name_list){0};
    size_t rounds = selectors->count ? selectors->count : 1, capacity = 0;
    for (size_t i = 0; i < rounds; i++) {
        struct names_request request = {
            .tenant = call->tenant,
            .kind = kind_of(language),
            .matchers = selectors->count ? selectors->items[i].matchers : NULL,
            .matcher_count = selectors->count ? selectors->items[i].count : 0,
            .start_ns = range_ns[0],
            .end_ns = range_ns[1],
            .label = label,
            .limit = limit,
            .damage = call->damage,
        };
        struct slice *found;
        size_t count;
        bool truncated = false;
        if (!store_names(call->server->store, &request, call->arena, &found, &count, &truncated,
                         err))
            return false;
        names->truncated |= truncated;
        if (rounds == 1) {
            names->items = found;
            names->count = count;
            return true;
        }
        struct slice *grown = arena_grow(call->arena, names->items, names->count, &capacity,
                                         names->count + count, sizeof(*grown));
        if (!grown)
            return arena_check(call->arena, "the list of names", err);
        memcpy(grown + names->count, found, count * sizeof(*found));
        names->items = grown;
        names->count += count;
    }
    sort_unique(names);
    if (limit > 0 && names->count > limit) {
        names->count = limit;
        names->truncated = true;
    }
    return true;
}

/* ---- series ----------------------------------------------------------- */

struct series_list {
    struct labels *items;
    size_t count, capacity;
};

static int compare_series(const void *a, const void *b)
{
    return labels_compare(*(const struct labels *)a, *(const struct labels *)b);
}

static bool collect_series(struct call *call, struct cursor *cursor, struct series_list *list,
                           struct error *err)
{
    size_t count = cursor_series_count(cursor);
    struct labels *grown = arena_grow(call->arena, list->items, list->count, &list->capacity,
                                      list->count + count, sizeof(*grown));
    if (!grown && count > 0)
        return arena_check(call->arena, "the list of series", err);
    list->items = grown;
    for (size_t i = 0; i < count; i++)
        list->items[list->count++] = cursor_labels(cursor, i);
    return true;
}

static void append_series(const struct series_list *list, size_t limit, struct buffer *out,
                          bool *truncated)
{
    size_t written = 0;
    buffer_append_byte(out, '[');
    for (size_t i = 0; i < list->count; i++) {
        if (i > 0 && labels_equal(list->items[i], list->items[i - 1]))
            continue;
        if (limit > 0 && written == limit) {
            *truncated = true;
            break;
        }
        if (written++ > 0)
            buffer_append_byte(out, ',');
        answer_labels(out, list->items[i]);
    }
    buffer_append_byte(out, ']');
}

static struct cursor *open_selector(struct call *call, enum query_language language,
                                    const struct selectors *selectors, size_t number,
                                    const int64_t range_ns[2], struct error *err)
{
    struct cursor_request request = {
        .tenant = call->tenant,
        .kind = kind_of(language),
        .matchers = selectors->count ? selectors->items[number].matchers : NULL,
        .matcher_count = selectors->count ? selectors->items[number].count : 0,
        .start_ns = range_ns[0],
        .end_ns = range_ns[1],
        .series_max = call->server->limits.series_max,
        .cancel = &call->request->cancel,
        .damage = call->damage,
    };
    return cursor_open(call->server->store, &request, err);
}

bool series_count(struct call *call, enum query_language language,
                  const struct selectors *selectors, const int64_t range_ns[2], size_t *count,
                  struct error *err)
{
    *count = 0;
    for (size_t i = 0; i < (selectors->count ? selectors->count : 1); i++) {
        struct cursor *cursor = open_selector(call, language, selectors, i, range_ns, err);
        if (!cursor)
            return false;
        *count += cursor_series_count(cursor);
        cursor_close(cursor);
    }
    return true;
}

bool series_append(struct call *call, enum query_language language,
                   const struct selectors *selectors, const int64_t range_ns[2], size_t limit,
                   struct buffer *out, bool *truncated, struct error *err)
{
    size_t rounds = selectors->count ? selectors->count : 1, opened = 0;
    struct cursor **cursors = arena_calloc(call->arena, rounds, sizeof(struct cursor *));
    struct series_list list = {0};
    bool ok = cursors != NULL || arena_check(call->arena, "the selectors", err);
    for (; ok && opened < rounds; opened++) {
        cursors[opened] = open_selector(call, language, selectors, opened, range_ns, err);
        if (!cursors[opened]) {
            ok = false;
            break;
        }
        ok = collect_series(call, cursors[opened], &list, err);
    }
    *truncated = false;
    if (ok && list.count > 0)
        qsort(list.items, list.count, sizeof(*list.items), compare_series);
    if (ok)
        append_series(&list, limit, out, truncated);
    for (size_t i = 0; i < opened; i++)
        cursor_close(cursors[i]);
    return ok;
}
