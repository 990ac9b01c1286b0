/*
 * leaf_log.c - range aggregations over log selectors.
 *
 * A cursor selects the streams and gives their entries block by block; each
 * entry runs through the pipeline and is added to the series of its final labels
 * (stream, structured metadata, parsed), or of those that the grouping leaves.
 * Text is read only when a stage looks at it; lengths alone serve bytes_*.
 *
 * An enclosing sum() without other aggregations between tells its grouping
 * (call->reduce), so that series which it would add up are never made apart and
 * parsers extract only what is needed.  Loki does the same.
 */
#include "query/leaf_log.h"

#include "base/buffer.h"
#include "base/duration.h"
#include "base/error.h"
#include "base/matcher.h"
#include "base/predicate.h"
#include "query/eval_internal.h"
#include "query/function.h"
#include "query/log_groups.h"
#include "query/pipeline.h"
#include "storage/store.h"

enum { LINE_MEMORY_MAX = 64 << 20, SERIES_SHOWN = 300 };

#define NO_GROUP SIZE_MAX

struct log_leaf {
    struct evaluation *ev;
    const struct selector *selector;
    const struct node *call;
    const struct grouping *grouping; /* NULL: all labels make the series */
    struct slice unwrapped;          /* the unwrap label, which is no part of the series */
    struct log_groups groups;
    struct log_program *program;
    struct pipeline_run *run;
    struct cursor *cursor;
    struct cursor_reader *reader;
    size_t stream_group; /* of entries that leave the stream's labels alone */
    bool with_metadata, with_lines, with_lengths;
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

/* The labels that make the series, in the entry's scratch memory. */
static struct labels series_labels(const struct log_leaf *leaf)
{
    struct arena *scratch = leaf->run->scratch;
    struct labels all = log_labels_all(&leaf->run->labels, scratch);
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

static bool fail_series(const struct log_leaf *leaf, struct slice error, struct error *err)
{
    struct buffer text;
    buffer_init(&text, 64 << 10);
    labels_append_text(&text, log_labels_all(&leaf->run->labels, leaf->run->scratch));
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
static struct slice entry_error(const struct log_leaf *leaf)
{
    const struct log_labels *labels = &leaf->run->labels;
    if (!labels->changed)
        return (struct slice){NULL, 0};
    if (labels->error.size > 0)
        return labels->error;
    const struct log_label *label = log_labels_find(labels, LABEL_ERROR);
    return label ? label->value : (struct slice){NULL, 0};
}

static bool add_entry(struct log_leaf *leaf, int64_t time_ns, struct error *err)
{
    int64_t from, to;
    log_groups_steps(&leaf->groups, time_ns, &from, &to);
    if (from > to)
        return true; /* between two windows */
    struct slice error = entry_error(leaf);
    if (error.size > 0)
        return fail_series(leaf, error, err);
    bool plain = !leaf->run->labels.changed;
    size_t group = plain ? leaf->stream_group : NO_GROUP;
    if (group == NO_GROUP) {
        struct labels labels = series_labels(leaf);
        if (!arena_check(leaf->run->scratch, "one log line in a pipeline", err) ||
            !log_groups_find(&leaf->groups, labels, &group, err))
            return false;
        if (plain)
            leaf->stream_group = group;
    }
    return log_groups_add(&leaf->groups, group, time_ns, leaf->run->line.size, leaf->run->value,
                          err);
}

/* ---- reading ------------------------------------------------------------------- */

static struct slice block_line(const struct entry_block *block, size_t i)
{
    if (block->lines)
        return block->lines[i];
    return slice_of(NULL, block->lengths ? block->lengths[i] : 0);
}

static bool take_block(struct log_leaf *leaf, const struct entry_block *block, struct error *err)
{
    static const struct labels none = {NULL, 0};
    struct query_stats *stats = leaf->ev->stats;
    for (size_t i = 0; i < block->count; i++) {
        struct slice line = block_line(block, i);
        struct labels metadata = block->metadata ? block->metadata[i] : none;
        int64_t time_ns = block->times_ns[i];
        int kept = block->exact ? pipeline_run_tested(leaf->run, time_ns, line, metadata, err)
                                : pipeline_run_entry(leaf->run, time_ns, line, metadata, err);
        if (kept < 0)
            return false;
        if (kept && !add_entry(leaf, time_ns, err))
            return false;
        stats->lines_after_filter += (uint64_t)kept;
    }
    return eval_tick(leaf->ev, block->count, err);
}

static bool take_stream(struct log_leaf *leaf, size_t series, struct error *err)
{
    pipeline_run_stream(leaf->run, cursor_labels(leaf->cursor, series));
    leaf->stream_group = NO_GROUP;
    struct entry_stream *stream = entry_stream_open(leaf->reader, series, err);
    if (stream == NULL)
        return false;
    struct entry_block block;
    bool ok;
    do {
        ok = entry_stream_next(stream, &block, err);
        if (!ok)
            break;
        leaf->ev->stats->lines += block.scanned;
        leaf->ev->stats->line_bytes += block.scanned_bytes;
        ok = block.count == 0 || take_block(leaf, &block, err);
    } while (ok && block.count > 0);
    entry_stream_close(stream);
    return ok;
}

static bool take_all(struct log_leaf *leaf, struct error *err)
{
    size_t count = cursor_series_count(leaf->cursor);
    leaf->ev->stats->series += count;
    for (size_t i = 0; i < count; i++) {
        if (!take_stream(leaf, i, err))
            return false;
    }
    return true;
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
    if (!no_labels || !log_program_is_empty(leaf->program))
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
    if (leaf->cursor == NULL)
        return false;
    leaf->reader = cursor_reader_new(leaf->cursor);
    return true;
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
    struct column_batch batch = {&column, 1, groups->arena};
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
    struct pipeline_hints hints = make_hints(leaf);
    leaf->program = log_program_new(pipeline, &hints, err);
    if (leaf->program == NULL)
        return false;
    leaf->run = pipeline_run_new(leaf->program, LINE_MEMORY_MAX);
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
    cursor_reader_free(leaf.reader);
    cursor_close(leaf.cursor);
    pipeline_run_free(leaf.run);
    log_program_free(leaf.program);
    log_groups_done(&leaf.groups);
    return ok;
}

const struct leaf_ops leaf_log = {log_stream};
