/*
 * log_delete.c - see log_delete.h.
 */
#include "query/log_delete.h"

#include "base/arena.h"
#include "base/array.h"
#include "base/duration.h"
#include "base/error.h"
#include "base/matcher.h"
#include "query/dialect.h"
#include "query/parse.h"
#include "query/pipeline.h"
#include "storage/store.h"

enum {
    DEPTH_MAX = 100,
    TEXT_MAX = 128 << 10,
    LINE_MEMORY_MAX = 64 << 20,
    CURSOR_MEMORY_MAX = 128 << 20,
    PIECE_ENTRIES = 32 * 1024 /* of one tombstone */
};

struct log_delete {
    struct ast *ast;
    const struct selector *selector; /* of the tree */
    struct log_program *program;
};

/* ---- the query ------------------------------------------------------------ */

struct log_delete *log_delete_new(struct slice text, struct error *err)
{
    if (text.size > TEXT_MAX)
        return error_null(err, ERR_INVALID, "the query has %zu bytes, the limit is %d", text.size,
                          TEXT_MAX);
    struct log_delete *query = xcalloc(1, sizeof(*query));
    query->ast = parse_query(&dialect_logql, text, 0, DEPTH_MAX, err);
    if (query->ast == NULL) {
        log_delete_free(query);
        return NULL;
    }
    const struct node *root = node_unwrap(ast_root(query->ast));
    if (root->kind != NODE_SELECTOR || root->type != TYPE_LINES ||
        root->selector.leaf != LEAF_LOG) {
        log_delete_free(query);
        return error_null(err, ERR_INVALID, "only queries for log lines can delete");
    }
    query->selector = &root->selector;
    query->program = log_program_new(root->selector.pipeline, NULL, err);
    if (query->program)
        return query;
    log_delete_free(query);
    return NULL;
}

void log_delete_free(struct log_delete *query)
{
    if (query == NULL)
        return;
    log_program_free(query->program);
    ast_free(query->ast);
    free(query);
}

bool log_delete_is_selector(const struct log_delete *query)
{
    return log_program_is_empty(query->program);
}

/* ---- running it -------------------------------------------------------------- */

/* What was found in a series and is not handed on yet: entries from `first` on. */
struct found_series {
    uint32_t series;
    size_t first, count;
};

struct deleting {
    const struct log_delete *query;
    const struct log_delete_range *range;
    struct pipeline_run *run;
    struct cursor *cursor;
    int64_t start_ns, end_ns; /* of the day at work */
    ARRAY(struct found_series) series;
    ARRAY(struct delete_entry) entries;
};

static struct store_delete request_of(const struct deleting *d)
{
    return (struct store_delete){.tenant = d->range->tenant,
                                 .kind = STORE_LOG,
                                 .start_ns = d->start_ns,
                                 .end_ns = d->end_ns};
}

/* Hand on what was found. */
static bool flush(struct deleting *d, struct error *err)
{
    struct store_delete request = request_of(d);
    if (d->entries.count == 0)
        return true;
    struct delete_series *list = xcalloc(d->series.count, sizeof(*list));
    for (size_t i = 0; i < d->series.count; i++) {
        const struct found_series *found = &d->series.items[i];
        list[i] = (struct delete_series){cursor_labels(d->cursor, found->series),
                                         d->entries.items + found->first, found->count};
    }
    request.series = list;
    request.series_count = d->series.count;
    bool ok = store_delete(d->range->store, &request, NULL, err);
    free(list);
    if (ok && d->range->deleted)
        *d->range->deleted += d->entries.count;
    d->series.count = d->entries.count = 0;
    return ok;
}

static void note(struct deleting *d, uint32_t series, int64_t time_ns, struct slice line,
                 struct labels metadata)
{
    size_t count = d->series.count;
    if (count == 0 || d->series.items[count - 1].series != series)
        array_push(&d->series, ((struct found_series){series, d->entries.count, 0}));
    struct delete_entry entry = {time_ns, store_entry_hash(line, metadata)};
    array_push(&d->entries, entry);
    d->series.items[d->series.count - 1].count++;
}

static bool take_block(struct deleting *d, uint32_t series, const struct entry_block *block,
                       struct error *err)
{
    static const struct labels none = {NULL, 0};
    for (size_t i = 0; i < block->count; i++) {
        struct labels metadata = block->metadata ? block->metadata[i] : none;
        int kept = pipeline_run_entry(d->run, block->times_ns[i], block->lines[i], metadata, err);
        if (kept < 0)
            return false;
        if (kept)
            note(d, series, block->times_ns[i], block->lines[i], metadata);
        if (d->entries.count >= PIECE_ENTRIES && !flush(d, err))
            return false;
    }
    return true;
}

static bool take_series(struct deleting *d, struct cursor_reader *reader, uint32_t series,
                        struct error *err)
{
    struct entry_block block = {.count = 1};
    struct entry_stream *stream = entry_stream_open(reader, series, err);
    bool ok = stream != NULL;
    if (ok)
        pipeline_run_stream(d->run, cursor_labels(d->cursor, series));
    while (ok && block.count > 0)
        ok = entry_stream_next(stream, &block, err) && take_block(d, series, &block, err);
    entry_stream_close(stream);
    return ok;
}

static bool run_day(struct deleting *d, struct error *err)
{
    const struct selector *selector = d->query->selector;
    struct cursor_request want = {.tenant = d->range->tenant,
                                  .kind = STORE_LOG,
                                  .matchers = selector->matchers,
                                  .matcher_count = selector->matcher_count,
                                  .start_ns = d->start_ns,
                                  .end_ns = d->end_ns,
                                  .projection = CURSOR_TIMES | CURSOR_LINES | CURSOR_METADATA,
                                  .memory_max = CURSOR_MEMORY_MAX,
                                  .cancel = d->range->cancel};
    d->cursor = cursor_open(d->range->store, &want, err);
    if (d->cursor == NULL)
        return false;
    struct cursor_reader *reader = cursor_reader_new(d->cursor);
    bool ok = true;
    for (uint32_t i = 0; ok && i < cursor_series_count(d->cursor); i++)
        ok = take_series(d, reader, i, err);
    ok = ok && flush(d, err);
    cursor_reader_free(reader);
    cursor_close(TAKE(d->cursor));
    return ok;
}

static bool run_selector(const struct log_delete *query, const struct log_delete_range *range,
                         struct error *err)
{
    struct view_selector selector = {query->selector->matchers, query->selector->matcher_count};
    struct store_delete request = {.tenant = range->tenant,
                                   .kind = STORE_LOG,
                                   .start_ns = range->start_ns,
                                   .end_ns = range->end_ns,
                                   .selectors = &selector,
                                   .selector_count = 1};
    return store_delete(range->store, &request, NULL, err);
}

/* Days without anything cost little, but there may be many: between the ends of what is stored. */
static bool run_days(struct deleting *d, struct error *err)
{
    const struct log_delete_range *range = d->range;
    int64_t first_ns, last_ns;
    if (!store_bounds(range->store, range->tenant, STORE_LOG, &first_ns, &last_ns, err))
        return false;
    if (first_ns < range->start_ns)
        first_ns = range->start_ns;
    if (last_ns > range->end_ns)
        last_ns = range->end_ns;
    for (int64_t at = first_ns; at <= last_ns;) {
        int64_t in_day = at % NS_PER_DAY;
        int64_t rest = in_day < 0 ? -in_day : NS_PER_DAY - in_day;
        d->start_ns = at;
        d->end_ns = ns_add(at, rest - 1) < last_ns ? ns_add(at, rest - 1) : last_ns;
        if (!run_day(d, err))
            return false;
        if (range->percent && last_ns > first_ns) {
            double part = (double)(d->end_ns - first_ns) / ((double)(last_ns - first_ns));
            __atomic_store_n(range->percent, (unsigned)(part * 100), __ATOMIC_RELAXED);
        }
        if (d->end_ns == INT64_MAX)
            break;
        at = d->end_ns + 1;
    }
    return true;
}

bool log_delete_run(const struct log_delete *query, const struct log_delete_range *range,
                    struct error *err)
{
    if (log_delete_is_selector(query))
        return run_selector(query, range, err);
    struct deleting d = {.query = query, .range = range};
    d.run = pipeline_run_new(query->program, LINE_MEMORY_MAX);
    bool ok = run_days(&d, err);
    pipeline_run_free(d.run);
    array_done(&d.series);
    array_done(&d.entries);
    return ok;
}
