/*
 * log_query.c - log queries: a merge over the streams by time.
 *
 * All selected streams lie in a heap, each under the time of its next entry; a
 * stream that was not read yet lies under its bound, so it is decoded only when
 * its turn comes.  Entries run through the pipeline in result order, until the
 * limit is reached.  Results are grouped by the final label set.
 */
#include "query/log_query.h"

#include "base/error.h"
#include "base/predicate.h"
#include "query/batches.h"
#include "query/eval_internal.h"
#include "query/pipeline.h"
#include "storage/store.h"

enum { LINE_MEMORY_MAX = 64 << 20, PRIMED_MAX = 256 };

struct source {
    struct entry_stream *stream;
    struct entry_block block;
    size_t at;      /* next entry of the block */
    uint64_t order; /* among sources with equal times: Loki's, by the labels' hash */
    int64_t key_ns; /* its time, or the stream's bound before the first block */
    uint32_t series;
    bool loaded;
};

struct output {
    struct query_entry *entries;
    size_t count, capacity;
    struct labels stream;
};

struct log_query {
    struct evaluation *ev;
    const struct selector *selector;
    bool forward;
    struct log_program *program;
    struct pipeline_run *run;
    uint32_t run_series; /* whose labels `run` has */
    struct cursor *cursor;
    struct cursor_reader *reader;
    struct source *sources;
    uint32_t *heap; /* numbers of sources */
    size_t heap_size;
    struct label_index *index;
    struct output *outputs; /* parallel to the index */
    size_t output_count, output_capacity;
    size_t returned;
    bool any;
    int64_t last_ns; /* of the last entry given out, for `interval` */
};

/* ---- the heap ------------------------------------------------------------------ */

static bool comes_before(const struct log_query *q, uint32_t a, uint32_t b)
{
    int64_t x = q->sources[a].key_ns, y = q->sources[b].key_ns;
    if (x != y)
        return q->forward ? x < y : x > y;
    if (q->sources[a].order != q->sources[b].order)
        return q->sources[a].order < q->sources[b].order;
    return a < b;
}

static void sift_down(struct log_query *q, size_t at)
{
    for (;;) {
        size_t child = at * 2 + 1;
        if (child >= q->heap_size)
            return;
        if (child + 1 < q->heap_size && comes_before(q, q->heap[child + 1], q->heap[child]))
            child++;
        if (!comes_before(q, q->heap[child], q->heap[at]))
            return;
        uint32_t moving = q->heap[at];
        q->heap[at] = q->heap[child];
        q->heap[child] = moving;
        at = child;
    }
}

/* The next block of the source on top; drops the source at its end. */
static bool load_top(struct log_query *q, struct error *err)
{
    struct source *source = &q->sources[q->heap[0]];
    if (!entry_stream_next(source->stream, &source->block, err))
        return false;
    source->at = 0;
    source->loaded = true;
    q->ev->stats->lines += source->block.scanned;
    q->ev->stats->line_bytes += source->block.scanned_bytes;
    if (source->block.count > 0) {
        source->key_ns = source->block.times_ns[0];
    } else {
        entry_stream_close(source->stream);
        source->stream = NULL;
        q->heap[0] = q->heap[--q->heap_size];
    }
    sift_down(q, 0);
    return eval_tick(q->ev, source->block.count, err);
}

static void advance_top(struct log_query *q)
{
    struct source *source = &q->sources[q->heap[0]];
    source->at++;
    if (source->at < source->block.count)
        source->key_ns = source->block.times_ns[source->at];
    else
        source->loaded = false; /* its key stays: the next entry lies at or behind it */
    sift_down(q, 0);
}

/* ---- results --------------------------------------------------------------------- */

static bool too_large(const struct log_query *q, struct error *err)
{
    return error_set(err, ERR_LIMIT,
                     "the query's result needs more than %zu bytes of memory, the limit",
                     arena_limit(q->ev->arena));
}

static bool find_output(struct log_query *q, struct output **out, struct error *err)
{
    struct arena *arena = q->ev->arena;
    struct labels labels = log_labels_all(&q->run->labels, q->run->scratch);
    bool added;
    uint32_t number = label_index_put(q->index, labels, &added);
    if (number == UINT32_MAX)
        return too_large(q, err);
    if (added) {
        struct output *outputs = arena_grow(arena, q->outputs, q->output_count, &q->output_capacity,
                                            q->output_count + 1, sizeof(*outputs));
        if (outputs == NULL)
            return too_large(q, err);
        struct labels stream = log_labels_of(&q->run->labels, CATEGORY_STREAM, q->run->scratch);
        outputs[q->output_count++] = (struct output){.stream = labels_copy(arena, stream)};
        q->outputs = outputs;
    }
    *out = &q->outputs[number];
    return true;
}

/* Labels of one category: shared with the entry before when they are the same. */
static struct labels entry_labels(struct log_query *q, enum label_category category,
                                  struct labels before)
{
    struct labels labels = log_labels_of(&q->run->labels, category, q->run->scratch);
    if (labels_equal(labels, before))
        return before;
    return labels_copy(q->ev->arena, labels);
}

static bool give_entry(struct log_query *q, int64_t time_ns, struct error *err)
{
    struct output *out = NULL;
    struct arena *arena = q->ev->arena;
    if (!find_output(q, &out, err))
        return false;
    struct query_entry *entries = arena_grow(arena, out->entries, out->count, &out->capacity,
                                             out->count + 1, sizeof(*entries));
    if (entries == NULL)
        return too_large(q, err);
    out->entries = entries;
    struct query_entry *entry = &entries[out->count];
    struct labels none = {NULL, 0};
    const struct query_entry *before = out->count > 0 ? entry - 1 : NULL;
    entry->time_ns = time_ns;
    entry->line = arena_copy(arena, q->run->line);
    entry->metadata = entry_labels(q, CATEGORY_METADATA, before ? before->metadata : none);
    entry->parsed = entry_labels(q, CATEGORY_PARSED, before ? before->parsed : none);
    out->count++;
    q->returned++;
    q->last_ns = time_ns;
    q->any = true;
    return arena_check(arena, "the query's result", err) &&
           arena_check(q->run->scratch, "one log line in a pipeline", err);
}

/* With an interval, an entry comes only so long after the one before. */
static bool is_due(const struct log_query *q, int64_t time_ns)
{
    int64_t interval = q->ev->request->interval_ns;
    int64_t distance;
    if (interval <= 0 || !q->any)
        return true;
    bool overflow = q->forward ? __builtin_sub_overflow(time_ns, q->last_ns, &distance)
                               : __builtin_sub_overflow(q->last_ns, time_ns, &distance);
    return overflow || distance >= interval;
}

static bool take_entry(struct log_query *q, struct error *err)
{
    static const struct labels none = {NULL, 0};
    struct source *source = &q->sources[q->heap[0]];
    const struct entry_block *block = &source->block;
    struct query_stats *stats = q->ev->stats;
    size_t i = source->at;
    if (q->run_series != source->series) {
        pipeline_run_stream(q->run, cursor_labels(q->cursor, source->series));
        q->run_series = source->series;
    }
    int64_t time_ns = block->times_ns[i];
    struct labels metadata = block->metadata ? block->metadata[i] : none;
    int kept = block->exact ? pipeline_run_tested(q->run, time_ns, block->lines[i], metadata, err)
                            : pipeline_run_entry(q->run, time_ns, block->lines[i], metadata, err);
    if (kept < 0)
        return false;
    stats->lines_after_filter += (uint64_t)kept;
    if (kept && is_due(q, time_ns) && !give_entry(q, time_ns, err))
        return false;
    advance_top(q);
    return eval_tick(q->ev, 1, err);
}

/* ---- running ------------------------------------------------------------------------ */

static bool open_cursor(struct log_query *q, struct error *err)
{
    const struct query_request *request = q->ev->request;
    const struct predicate *predicate = log_program_predicate(q->program);
    struct cursor_request want = {
        .tenant = request->tenant,
        .kind = STORE_LOG,
        .matchers = q->selector->matchers,
        .matcher_count = q->selector->matcher_count,
        .start_ns = request->start_ns,
        .end_ns = request->end_ns - 1,
        .backward = !q->forward,
        .projection = CURSOR_TIMES | CURSOR_LINES | CURSOR_METADATA,
        .predicate = predicate->count > 0 ? predicate : NULL,
        .series_max = request->limits.series_max,
        .memory_max = request->limits.memory_max,
        .cancel = request->cancel,
        .damage = q->ev->damage,
    };
    q->cursor = cursor_open(q->ev->store, &want, err);
    if (q->cursor == NULL)
        return false;
    q->reader = cursor_reader_new(q->cursor);
    return true;
}

static void *prime_open(const void *leaf)
{
    return (void *)(uintptr_t)leaf;
}

static void prime_close(void *worker)
{
    (void)worker;
}

static bool prime_some(void *worker, struct evaluation *ev, size_t first, size_t end,
                       struct column_batch *batch, struct error *err)
{
    struct log_query *q = worker;
    (void)batch;
    for (size_t i = first; i < end; i++) {
        struct source *source = &q->sources[i];
        if (!entry_stream_next(source->stream, &source->block, err))
            return false;
        source->loaded = true;
        ev->stats->lines += source->block.scanned;
        ev->stats->line_bytes += source->block.scanned_bytes;
        if (!eval_tick(ev, source->block.scanned, err))
            return false;
    }
    return true;
}

/*
 * The first block of every stream, on all cores: what is filtered hard is searched to its end
 * before anything can be merged.  Not for very many streams, of which a merge may need but a few.
 */
static bool prime_sources(struct log_query *q, size_t count, struct error *err)
{
    static struct sink nowhere;
    if (log_program_predicate(q->program)->count == 0 || q->ev->request->helpers == NULL ||
        count < 2 || count > PRIMED_MAX)
        return true;
    struct batch_source source = {
        .series = count,
        .batch_max = BATCH_SERIES,
        .steps = 1,
        .work = cursor_entry_count(q->cursor),
        .leaf = q,
        .open = prime_open,
        .close = prime_close,
        .fill = prime_some,
    };
    return batches_stream(q->ev, &source, &nowhere, err);
}

static bool open_sources(struct log_query *q, struct error *err)
{
    size_t count = cursor_series_count(q->cursor);
    q->ev->stats->series += count;
    q->sources = arena_calloc(q->ev->arena, count, sizeof(*q->sources));
    q->heap = arena_calloc(q->ev->arena, count, sizeof(*q->heap));
    if (q->sources == NULL || q->heap == NULL)
        return too_large(q, err);
    for (size_t i = 0; i < count; i++) {
        struct source *source = &q->sources[i];
        source->series = (uint32_t)i;
        source->order = labels_hash_foreign(cursor_labels(q->cursor, i));
        source->stream = entry_stream_open(q->reader, i, err);
        if (source->stream == NULL)
            return false;
    }
    if (!prime_sources(q, count, err))
        return false;
    for (size_t i = 0; i < count; i++) {
        struct source *source = &q->sources[i];
        if (source->loaded && source->block.count == 0) {
            entry_stream_close(TAKE(source->stream));
            continue;
        }
        source->key_ns =
            source->loaded ? source->block.times_ns[0] : entry_stream_bound(source->stream);
        q->heap[q->heap_size++] = (uint32_t)i;
    }
    for (size_t i = q->heap_size / 2; i-- > 0;)
        sift_down(q, i);
    return true;
}

static bool merge(struct log_query *q, struct error *err)
{
    size_t limit = q->ev->request->limit;
    while (q->heap_size > 0 && (limit == 0 || q->returned < limit)) {
        bool ok = q->sources[q->heap[0]].loaded ? take_entry(q, err) : load_top(q, err);
        if (!ok)
            return false;
    }
    return true;
}

static bool make_result(struct log_query *q, struct query_result *result, struct error *err)
{
    result->type = RESULT_STREAMS;
    result->streams = arena_calloc(q->ev->arena, q->output_count, sizeof(*result->streams));
    if (result->streams == NULL)
        return too_large(q, err);
    for (size_t i = 0; i < q->output_count; i++) {
        const struct output *out = &q->outputs[i];
        result->streams[i] = (struct query_stream){label_index_get(q->index, (uint32_t)i),
                                                   out->stream, out->entries, out->count};
    }
    result->stream_count = q->output_count;
    q->ev->stats->entries_returned = q->returned;
    return true;
}

static void close_all(struct log_query *q)
{
    size_t count = q->sources ? cursor_series_count(q->cursor) : 0;
    for (size_t i = 0; i < count; i++)
        entry_stream_close(q->sources[i].stream);
    label_index_free(q->index);
    cursor_reader_free(q->reader);
    cursor_close(q->cursor);
    pipeline_run_free(q->run);
    log_program_free(q->program);
}

bool log_query_run(struct evaluation *ev, const struct node *root, struct query_result *result,
                   struct error *err)
{
    if (ev->request->instant)
        return error_set(err, ERR_INVALID,
                         "log queries are not supported as an instant query type, please change "
                         "your query to a range query type");
    struct log_query q = {.ev = ev,
                          .selector = &node_unwrap(root)->selector,
                          .forward = ev->request->forward,
                          .run_series = UINT32_MAX};
    q.program = log_program_new(q.selector->pipeline, NULL, err);
    if (q.program == NULL)
        return false;
    q.run = pipeline_run_new(q.program, LINE_MEMORY_MAX);
    q.index = label_index_new(ev->arena);
    bool ok = ev->request->end_ns <= ev->request->start_ns ||
              (open_cursor(&q, err) && open_sources(&q, err) && merge(&q, err));
    ok = ok && make_result(&q, result, err);
    close_all(&q);
    return ok;
}

static bool check_pipeline(const struct node *node, struct error *err)
{
    if (node->selector.leaf != LEAF_LOG)
        return true;
    struct log_program *program = log_program_new(node->selector.pipeline, NULL, err);
    log_program_free(program);
    return program != NULL;
}

/* The parser limits how high a tree is. */
bool log_pipelines_check(const struct node *node, struct error *err)
{
    switch (node->kind) {
    case NODE_SELECTOR:
        return check_pipeline(node, err);
    case NODE_SUBQUERY:
        return log_pipelines_check(node->subquery.inner, err);
    case NODE_UNARY:
        return log_pipelines_check(node->unary.operand, err);
    case NODE_BINARY:
        return log_pipelines_check(node->binary.left, err) &&
               log_pipelines_check(node->binary.right, err);
    case NODE_AGGREGATION:
        return log_pipelines_check(node->aggregation.argument, err);
    case NODE_PAREN:
        return log_pipelines_check(node->inner, err);
    case NODE_CALL:
        for (size_t i = 0; i < node->call.count; i++) {
            if (!log_pipelines_check(node->call.arguments[i], err))
                return false;
        }
        return true;
    default:
        return true;
    }
}
