/*
 * leaf_log.c - range aggregations over log selectors.
 *
 * A cursor selects the streams and gives their entries block by block; each
 * entry runs through the pipeline and is added to the series of its final labels
 * (stream, structured metadata, parsed), or of those that the grouping leaves.
 * Text is read only when a stage looks at it; lengths alone serve bytes_*; whole chunks
 * are counted from their headers where no label and no border of a window needs more.
 *
 * Some streams at a time are read by each thread into groups of their own, which are
 * merged in the order of the streams.
 *
 * An enclosing sum() without other aggregations between tells its grouping
 * (call->reduce), so that series which it would add up are never made apart and
 * parsers extract only what is needed.  Loki does the same.
 */
#include "query/leaf_log.h"

#include "base/array.h"
#include "base/buffer.h"
#include "base/duration.h"
#include "base/error.h"
#include "base/matcher.h"
#include "base/memory.h"
#include "base/predicate.h"
#include "query/batches.h"
#include "query/eval_internal.h"
#include "query/function.h"
#include "query/function_tables.h"
#include "query/log_groups.h"
#include "query/pipeline.h"
#include "storage/store.h"

enum { LINE_MEMORY_MAX = 64 << 20, SERIES_SHOWN = 300 };

#define NO_GROUP SIZE_MAX

/* What all threads read of the query. */
struct log_leaf {
    struct evaluation *ev;
    const struct selector *selector;
    const struct node *call;
    const struct grouping *grouping; /* NULL: all labels make the series */
    struct slice unwrapped;          /* the unwrap label, which is no part of the series */
    struct log_groups groups;        /* of all streams, in the end */
    struct log_program *program;
    struct cursor *cursor;
    bool counts_only; /* the outcome depends on times alone */
    /* by (...): its labels sorted, each once; NULL: series_labels() takes the long way. */
    const struct slice *by;
    size_t by_count;
};

enum { GROUPS_NEAR = 16 };

/* What one thread needs to read some streams. */
struct log_worker {
    const struct log_leaf *leaf;
    struct evaluation *ev;
    struct pipeline_run *run;
    struct cursor_reader *reader;
    struct log_groups *groups;           /* that are being filled */
    ARRAY(struct log_groups *) partials; /* all that were made here */
    size_t stream_group;                 /* of entries that leave the stream's labels alone */
    /* Groups of pairs of metadata that entries of this block share, by the pairs' place. */
    struct {
        const struct label *metadata;
        size_t group;
    } near[GROUPS_NEAR];
};

/* ---- the series of an entry -------------------------------------------------- */

static bool is_grouped(const struct log_leaf *leaf, struct slice name)
{
    const struct grouping *grouping = leaf->grouping;
    for (size_t i = 0; i < grouping->count; i++) {
        if (slice_equal(grouping->labels[i], name))
            return true;
    }
    return false;
}

static struct labels labels_by(const struct log_worker *worker)
{
    const struct log_leaf *leaf = worker->leaf;
    struct label *kept = arena_alloc(worker->run->scratch, (leaf->by_count + 1) * sizeof(*kept));
    size_t count = 0;
    for (size_t i = 0; kept && i < leaf->by_count; i++) {
        const struct log_label *label = log_labels_find(&worker->run->labels, leaf->by[i]);
        if (label)
            kept[count++] = (struct label){label->name, label->value};
    }
    return (struct labels){kept, count};
}

/* The labels that make the series, in the entry's scratch memory. */
static struct labels series_labels(const struct log_worker *worker)
{
    const struct log_leaf *leaf = worker->leaf;
    struct arena *scratch = worker->run->scratch;
    if (leaf->by)
        return labels_by(worker);
    struct labels all = log_labels_all(&worker->run->labels, scratch);
    if (leaf->grouping == NULL && leaf->unwrapped.size == 0)
        return all;
    struct label *kept = arena_calloc(scratch, all.count, sizeof(*kept));
    size_t count = 0;
    for (size_t i = 0; kept && i < all.count; i++) {
        struct slice name = all.items[i].name;
        bool keep;
        if (leaf->grouping && !leaf->grouping->without)
            keep = is_grouped(leaf, name);
        else
            keep =
                !slice_equal(name, leaf->unwrapped) && !(leaf->grouping && is_grouped(leaf, name));
        if (keep)
            kept[count++] = all.items[i];
    }
    return (struct labels){kept, count};
}

static bool fail_series(const struct log_worker *worker, struct slice error, struct error *err)
{
    struct buffer text;
    buffer_init(&text, 64 << 10);
    labels_append_text(&text, log_labels_all(&worker->run->labels, worker->run->scratch));
    struct slice shown = slice_sub(buffer_slice(&text), 0, SERIES_SHOWN);
    int size = (int)(error.size < 100 ? error.size : 100);
    error_set(err, ERR_INVALID,
              "pipeline error: '%.*s' for series: '%.*s'.\n"
              "Use a label filter to intentionally skip this error. (e.g | "
              "__error__!=\"%.*s\").\n"
              "To skip all potential errors you can match empty errors.(e.g __error__=\"\")\n"
              "The label filter can also be specified after unwrap. (e.g | unwrap latency | "
              "__error__=\"\" )\n",
              size, error.data, SLICE_ARG(shown), size, error.data);
    buffer_done(&text);
    return false;
}

/* Does the entry carry an error, of the pipeline or as a label of that name? */
static struct slice entry_error(const struct log_worker *worker)
{
    const struct log_labels *labels = &worker->run->labels;
    if (!labels->changed)
        return (struct slice){NULL, 0};
    if (labels->error.size > 0)
        return labels->error;
    const struct log_label *label = log_labels_find(labels, LABEL_ERROR);
    return label ? label->value : (struct slice){NULL, 0};
}

/* The group of the entry's labels. */
static bool find_group(struct log_worker *worker, size_t *group, struct error *err)
{
    bool plain = !worker->run->labels.changed;
    *group = plain ? worker->stream_group : NO_GROUP;
    if (*group != NO_GROUP)
        return true;
    struct labels labels = series_labels(worker);
    if (!arena_check(worker->run->scratch, "one log line in a pipeline", err) ||
        !log_groups_find(worker->groups, labels, group, err))
        return false;
    if (plain)
        worker->stream_group = *group;
    return true;
}

static bool add_entry(struct log_worker *worker, int64_t time_ns, struct error *err)
{
    int64_t from, to;
    size_t group;
    log_groups_steps(worker->groups, time_ns, &from, &to);
    if (from > to)
        return true; /* between two windows */
    struct slice error = entry_error(worker);
    if (error.size > 0)
        return fail_series(worker, error, err);
    return find_group(worker, &group, err) &&
           log_groups_add(worker->groups, group, time_ns, worker->run->line.size,
                          worker->run->value, err);
}

/* ---- reading ------------------------------------------------------------------- */

static struct slice block_line(const struct entry_block *block, size_t i)
{
    if (block->lines)
        return block->lines[i];
    return slice_of(NULL, block->lengths ? block->lengths[i] : 0);
}

/* An entry whose labels come from its stream and its metadata alone. */
static bool take_plain(struct log_worker *worker, const struct entry_block *block, size_t i,
                       struct error *err)
{
    static const struct labels none = {NULL, 0};
    struct labels metadata = block->metadata ? block->metadata[i] : none;
    size_t slot = ((uintptr_t)metadata.items >> 4) % GROUPS_NEAR;
    struct slice line = block_line(block, i);
    int64_t time_ns = block->times_ns[i];
    bool known = metadata.count == 0 ? worker->stream_group != NO_GROUP
                                     : worker->near[slot].metadata == metadata.items;
    if (known)
        return log_groups_add(worker->groups,
                              metadata.count == 0 ? worker->stream_group : worker->near[slot].group,
                              time_ns, line.size, 0, err);
    int64_t from, to;
    log_groups_steps(worker->groups, time_ns, &from, &to);
    if (pipeline_run_tested(worker->run, time_ns, line, metadata, err) < 0 ||
        !add_entry(worker, time_ns, err))
        return false;
    if (metadata.count == 0 || from > to)
        return true; /* between two windows no group was found */
    worker->near[slot].metadata = metadata.items;
    return find_group(worker, &worker->near[slot].group, err);
}

/* Is the metadata nothing to the pipeline and the groups?  `*idle`: the last such, of this block.
 */
static bool is_idle(const struct log_worker *worker, struct labels metadata,
                    const struct label **idle)
{
    if (metadata.count == 0 || metadata.items == *idle)
        return true;
    if (worker->leaf->by == NULL)
        return false;
    for (size_t i = 0; i < metadata.count; i++)
        if (log_program_uses(worker->leaf->program, metadata.items[i].name))
            return false;
    *idle = metadata.items;
    return true;
}

static bool take_lines(struct log_worker *worker, const struct entry_block *block,
                       struct error *err)
{
    static const struct labels none = {NULL, 0};
    struct pipeline_run *run = worker->run;
    const struct label *idle = NULL;
    for (size_t i = 0; i < block->count; i++) {
        struct slice line = block_line(block, i);
        struct labels all = block->metadata ? block->metadata[i] : none;
        struct labels metadata = is_idle(worker, all, &idle) ? none : all;
        int64_t time_ns = block->times_ns[i];
        int kept = block->exact ? pipeline_run_tested(run, time_ns, line, metadata, err)
                                : pipeline_run_entry(run, time_ns, line, metadata, err);
        if (kept < 0)
            return false;
        if (kept && entry_error(worker).size > 0) /* shown with all its labels */
            kept = pipeline_run_entry(run, time_ns, line, all, err);
        if (kept < 0 || (kept && !add_entry(worker, time_ns, err)))
            return false;
        worker->ev->stats->lines_after_filter += (uint64_t)kept;
    }
    return true;
}

static bool take_block(struct log_worker *worker, const struct entry_block *block,
                       struct error *err)
{
    if (!block->exact || !log_program_is_predicate(worker->leaf->program))
        return take_lines(worker, block, err) && eval_tick(worker->ev, block->count, err);
    for (size_t i = 0; i < GROUPS_NEAR; i++)
        worker->near[i].metadata = NULL;
    for (size_t i = 0; i < block->count; i++)
        if (!take_plain(worker, block, i, err))
            return false;
    worker->ev->stats->lines_after_filter += block->count;
    return eval_tick(worker->ev, block->count, err);
}

/* Chunks all of whose lines are in the same steps are counted without looking into them. */
static bool take_spans(struct log_worker *worker, struct entry_stream *stream, struct error *err)
{
    struct entry_span span;
    while (worker->leaf->counts_only && entry_stream_span(stream, &span)) {
        int64_t from, to, last_from, last_to;
        size_t group;
        log_groups_steps(worker->groups, span.first_ns, &from, &to);
        log_groups_steps(worker->groups, span.last_ns, &last_from, &last_to);
        if (from != last_from || to != last_to)
            return true;
        if (from <= to) {
            if (!find_group(worker, &group, err))
                return false;
            log_groups_add_many(worker->groups, group, from, to, span.count);
        }
        worker->ev->stats->lines += span.count;
        worker->ev->stats->lines_after_filter += span.count;
        entry_stream_pass(stream);
    }
    return true;
}

static bool take_stream(struct log_worker *worker, size_t series, struct error *err)
{
    pipeline_run_stream(worker->run, cursor_labels(worker->leaf->cursor, series));
    worker->stream_group = NO_GROUP;
    struct entry_stream *stream = entry_stream_open(worker->reader, series, err);
    if (stream == NULL)
        return false;
    struct entry_block block;
    bool ok;
    do {
        ok = take_spans(worker, stream, err) && entry_stream_next(stream, &block, err);
        if (!ok)
            break;
        worker->ev->stats->lines += block.scanned;
        worker->ev->stats->line_bytes += block.scanned_bytes;
        ok = block.count == 0 || take_block(worker, &block, err);
    } while (ok && block.count > 0);
    entry_stream_close(stream);
    return ok;
}

/* ---- on several threads ------------------------------------------------------------ */

static void *worker_open(const void *leaf)
{
    struct log_worker *worker = xcalloc(1, sizeof(*worker));
    worker->leaf = leaf;
    worker->run = pipeline_run_new(worker->leaf->program, LINE_MEMORY_MAX);
    worker->reader = cursor_reader_new(worker->leaf->cursor);
    return worker;
}

static void worker_close(void *context)
{
    struct log_worker *worker = context;
    for (size_t i = 0; i < worker->partials.count; i++) {
        log_groups_done_in(worker->partials.items[i]);
        free(worker->partials.items[i]);
    }
    array_done(&worker->partials);
    cursor_reader_free(worker->reader);
    pipeline_run_free(worker->run);
    free(worker);
}

/* Groups of their own for some streams. */
static bool worker_fill(void *context, struct evaluation *ev, size_t first, size_t end,
                        struct column_batch *batch, struct error *err)
{
    struct log_worker *worker = context;
    worker->ev = ev;
    worker->groups = xcalloc(1, sizeof(*worker->groups));
    array_push(&worker->partials, worker->groups);
    log_groups_init_in(worker->groups, &worker->leaf->groups, ev, batch->arena);
    batch->partial = worker->groups;
    for (size_t i = first; i < end; i++)
        if (!take_stream(worker, i, err))
            return false;
    return true;
}

struct merging_sink {
    struct sink base;
    struct log_groups *groups;
};

static bool merge_partial(struct sink *sink, struct column_batch *batch, struct error *err)
{
    return log_groups_merge(((struct merging_sink *)sink)->groups, batch->partial, err);
}

static bool take_all(struct log_leaf *leaf, struct error *err)
{
    size_t count = cursor_series_count(leaf->cursor);
    leaf->ev->stats->series += count;
    struct merging_sink sink = {{merge_partial}, &leaf->groups};
    struct batch_source source = {
        .series = count,
        .batch_max = BATCH_SERIES,
        .steps = leaf->groups.grid.steps,
        .work = leaf->counts_only ? 0 : cursor_entry_count(leaf->cursor),
        .leaf = leaf,
        .open = worker_open,
        .close = worker_close,
        .fill = worker_fill,
    };
    return batches_stream(leaf->ev, &source, &sink.base, err);
}

static unsigned projection(const struct log_leaf *leaf)
{
    bool bytes =
        leaf->groups.operation == LOG_BYTES_OVER_TIME || leaf->groups.operation == LOG_BYTES_RATE;
    unsigned wanted = CURSOR_TIMES;
    if (log_program_needs_line(leaf->program))
        wanted |= CURSOR_LINES;
    else if (bytes)
        wanted |= CURSOR_LENGTHS;
    /* sum(count_over_time({..}[5m])) needs no label at all. */
    bool no_labels = leaf->grouping && !leaf->grouping->without && leaf->grouping->count == 0;
    if (!no_labels || !log_program_is_predicate(leaf->program))
        wanted |= CURSOR_METADATA;
    return wanted;
}

static bool open_cursor(struct log_leaf *leaf, struct error *err)
{
    const struct query_request *request = leaf->ev->request;
    const struct grid *grid = &leaf->groups.grid;
    const struct predicate *predicate = log_program_predicate(leaf->program);
    struct cursor_request want = {
        .tenant = request->tenant,
        .kind = STORE_LOG,
        .matchers = leaf->selector->matchers,
        .matcher_count = leaf->selector->matcher_count,
        .start_ns = ns_add(ns_sub(grid->start_ns, leaf->selector->range_ns), 1),
        .end_ns = grid_time(grid, grid->steps - 1),
        .projection = projection(leaf),
        .predicate = predicate->count > 0 ? predicate : NULL,
        .series_max = request->limits.series_max,
        .memory_max = request->limits.memory_max,
        .cancel = request->cancel,
        .damage = leaf->ev->damage,
        .view = leaf->ev->view,
    };
    leaf->cursor = cursor_open(leaf->ev->store, &want, err);
    leaf->counts_only = want.projection == CURSOR_TIMES && log_program_is_empty(leaf->program) &&
                        !log_operation_needs_unwrap((int)leaf->groups.operation);
    return leaf->cursor != NULL;
}

/* ---- absent_over_time -------------------------------------------------------------- */

/* {a="b"} of the selector's equality matchers, each name once. */
static struct labels absent_labels(const struct selector *selector, struct arena *arena)
{
    struct label *items = arena_calloc(arena, selector->matcher_count, sizeof(*items));
    size_t count = 0;
    for (size_t i = 0; items && i < selector->matcher_count; i++) {
        const struct matcher *m = &selector->matchers[i];
        size_t same = 0;
        for (size_t k = 0; k < selector->matcher_count; k++)
            same += slice_equal(selector->matchers[k].name, m->name);
        if (m->type == MATCH_EQUAL && same == 1 && m->value.size > 0)
            items[count++] = (struct label){m->name, m->value};
    }
    if (count > 1)
        qsort(items, count, sizeof(*items), label_compare);
    return (struct labels){items, count};
}

static bool emit_absent(struct log_leaf *leaf, struct sink *sink, struct error *err)
{
    struct log_groups *groups = &leaf->groups;
    size_t steps = groups->grid.steps;
    struct column column;
    struct labels labels = absent_labels(leaf->selector, groups->arena);
    if (!column_init(&column, labels, steps, groups->arena))
        return arena_check(groups->arena, "the query", err);
    double *present = arena_calloc(groups->arena, steps + 1, sizeof(*present));
    if (present == NULL)
        return arena_check(groups->arena, "the query", err);
    for (size_t g = 0; g < groups->count; g++) {
        for (size_t i = 0; i <= steps; i++)
            present[i] += groups->items[g].counts[i];
    }
    double count = 0;
    for (size_t i = 0; i < steps; i++) {
        count += present[i];
        if (count > 0)
            continue;
        column.cells[i] = CELL_FLOAT;
        column.values[i] = 1;
    }
    struct column_batch batch = {.items = &column, .count = 1, .arena = groups->arena};
    return column_is_empty(&column, steps) || sink->take(sink, &batch, err);
}

/* ---- the leaf ------------------------------------------------------------------------ */

static struct pipeline_hints make_hints(const struct log_leaf *leaf)
{
    struct pipeline_hints hints = {false, NULL, 0};
    if (leaf->grouping && !leaf->grouping->without) {
        hints.restricted = true;
        hints.needed = leaf->grouping->labels;
        hints.needed_count = leaf->grouping->count;
    }
    return hints;
}

/* The grouping's labels as series_labels() wants them. */
static bool sort_by(struct log_leaf *leaf, struct error *err)
{
    const struct grouping *grouping = leaf->grouping;
    struct slice *by = arena_calloc(leaf->groups.arena, grouping->count + 1, sizeof(*by));
    size_t count = 0;
    if (by == NULL)
        return arena_check(leaf->groups.arena, "the query", err);
    for (size_t i = 0; i < grouping->count; i++) {
        struct slice name = grouping->labels[i];
        if (slice_starts_with(name, SLICE("__error")))
            return true; /* those are kept elsewhere */
        size_t at = count;
        while (at > 0 && slice_compare(by[at - 1], name) > 0)
            at--;
        if (at > 0 && slice_equal(by[at - 1], name))
            continue;
        memmove(by + at + 1, by + at, (count - at) * sizeof(*by));
        by[at] = name;
        count++;
    }
    leaf->by = by;
    leaf->by_count = count;
    return true;
}

static bool start(struct log_leaf *leaf, struct error *err)
{
    static const struct grouping nothing = {.present = true};
    const struct call *call = &leaf->call->call;
    const struct pipeline *pipeline = leaf->selector->pipeline;
    if (leaf->groups.operation == LOG_ABSENT_OVER_TIME)
        leaf->grouping = &nothing;
    else
        leaf->grouping = call->grouping.present ? &call->grouping : call->reduce;
    if (pipeline->unwrap)
        leaf->unwrapped = pipeline->unwrap->label;
    if (leaf->grouping && !leaf->grouping->without && !sort_by(leaf, err))
        return false;
    struct pipeline_hints hints = make_hints(leaf);
    leaf->program = log_program_new(pipeline, &hints, err);
    if (leaf->program == NULL)
        return false;
    return open_cursor(leaf, err);
}

static bool log_stream(struct evaluation *ev, const struct node *selector, const struct node *call,
                       const double *const *parameters, const struct grid *grid, struct sink *sink,
                       struct error *err)
{
    if (call == NULL || call->call.function->kind != FUNCTION_LOG)
        return error_set(err, ERR_INTERNAL, "a log selector without a range aggregation");
    struct log_leaf leaf = {.ev = ev, .selector = &selector->selector, .call = call};
    enum log_operation operation = (enum log_operation)call->call.function->log_operation;
    if (operation == LOG_RATE && leaf.selector->pipeline->unwrap)
        operation = LOG_RATE_VALUES;
    struct grid shifted = grid_shift(ev, grid, &leaf.selector->shift);
    log_groups_init(&leaf.groups, ev, operation, &shifted, leaf.selector->range_ns);
    bool ok = start(&leaf, err) && take_all(&leaf, err);
    if (ok && operation == LOG_ABSENT_OVER_TIME)
        ok = emit_absent(&leaf, sink, err);
    else if (ok)
        ok = log_groups_emit(&leaf.groups, call, selector, parameters, grid, sink, err);
    cursor_close(leaf.cursor);
    log_program_free(leaf.program);
    log_groups_done(&leaf.groups);
    return ok;
}

const struct leaf_ops leaf_log = {log_stream};
