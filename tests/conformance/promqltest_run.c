/*
 * promqltest_run.c - loading data and running one case with its re-runs.
 *
 * After the evaluation as written, an instant query is run again with `@ time` put on
 * every selector that has none, at other evaluation times; and each of these once
 * more as a range query around its time (FORMAT.md section 5).
 */
#include "promqltest.h"

#include "../result_same.h"

#include "base/error.h"
#include "query/dialect.h"
#include "query/function.h"
#include "query/parse.h"
#include "storage/store.h"

enum { TEXT_MAX_SIZE = 64 << 10 };

/* ---- loading -------------------------------------------------------------------------- */

static bool load_series(struct batch *batch, const struct command *command,
                        const struct series_line *line, struct error *err)
{
    struct label labels[64];
    size_t count = line->labels.count;
    for (size_t i = 0; i < count; i++)
        labels[i] = line->labels.items[i];
    int64_t series = batch_define(batch, 0, slice_of(NULL, 0), labels, count, err);
    if (series < 0)
        return false;
    for (size_t i = 0; i < line->count; i++) {
        int64_t time = (int64_t)i * command->load_step_ms * 1000000, start = 0;
        const struct value_item *item = &line->items[i];
        if (item->missing)
            continue;
        if (line->starts_ms && line->has_start[i])
            start = time + line->starts_ms[i] * 1000000;
        bool ok = item->histogram
                      ? batch_histogram(batch, (uint32_t)series, time, start, item->histogram, err)
                      : batch_sample_start(batch, (uint32_t)series, time, start, item->value, err);
        if (!ok)
            return false;
    }
    return true;
}

/* A later line of the same series replaces an earlier one. */
static bool is_replaced(const struct command *command, size_t at)
{
    for (size_t i = at + 1; i < command->line_count; i++) {
        if (labels_equal(command->lines[i].labels, command->lines[at].labels))
            return true;
    }
    return false;
}

bool load_block(struct run_context *context, const struct command *command, struct error *err)
{
    struct batch *batch = batch_new(context->store, context->tenant, STORE_METRIC, err);
    if (batch == NULL)
        return false;
    for (size_t i = 0; i < command->line_count; i++) {
        const struct series_line *line = &command->lines[i];
        if (is_replaced(command, i))
            continue;
        if (!load_series(batch, command, line, err)) {
            batch_free(batch);
            return false;
        }
    }
    struct arena *arena = arena_new((size_t)64 << 20);
    struct series_line *custom = NULL;
    size_t custom_count = 0;
    bool ok = !command->custom_buckets || custom_series(command, arena, &custom, &custom_count) ||
              error_set(err, ERR_INVALID, "bad classic histograms");
    for (size_t i = 0; ok && i < custom_count; i++)
        ok = load_series(batch, command, &custom[i], err);
    arena_free(arena);
    if (!ok) {
        batch_free(batch);
        return false;
    }
    struct batch_result result = {0};
    if (!batch_commit_wait(batch, &result, err))
        return false;
    for (int i = 0; i < REFUSED_REASONS; i++) {
        if (result.refused[i] > 0)
            return error_set(err, ERR_INVALID, "the store refused %llu samples (reason %d)",
                             (unsigned long long)result.refused[i], i);
    }
    return true;
}

/* ---- one run ------------------------------------------------------------------------------ */

static struct query_request request_of(const struct run_context *context, struct slice text)
{
    return (struct query_request){
        .language = QUERY_PROMQL,
        .text = text,
        .tenant = context->tenant,
        .features = QUERY_FEATURES_ALL,
    };
}

/* The same bits at any number of threads. */
static bool same_with_helpers(const struct run_context *context,
                              const struct query_request *request, const struct query_result *alone,
                              struct buffer *why)
{
    bool same = true;
    for (size_t threads = 2; context->helpers && same && threads <= 8; threads += threads) {
        struct error err = {0};
        struct query_request r = *request;
        r.helpers = context->helpers;
        r.helpers_from = 1;
        r.threads = threads;
        struct query_result *result = query_run(context->store, &r, &err);
        same = (result == NULL) == (alone == NULL) && (!result || result_same(alone, result));
        if (!same)
            buffer_printf(why, "differs with %zu threads", threads);
        query_result_free(result);
    }
    return same;
}

static bool run_once(struct run_context *context, const struct eval_case *c,
                     const struct query_request *request, const struct compare_mode *mode,
                     struct buffer *why)
{
    struct error err = {0};
    struct query_result *result = query_run(context->store, request, &err);
    bool ok = result ? compare_result(c, mode, result, why) : compare_error(c, &err, why);
    ok = ok && same_with_helpers(context, request, result, why);
    query_result_free(result);
    if (!ok)
        buffer_printf(why, "\n    run: %.*s at %lld..%lld ms", SLICE_ARG(request->text),
                      (long long)(request->start_ns / 1000000),
                      (long long)(request->end_ns / 1000000));
    return ok;
}

static bool contains(struct slice text, const char *word)
{
    return slice_find(text, slice_from_text(word), 0) != SLICE_NOT_FOUND;
}

static bool run_as_range(struct run_context *context, const struct eval_case *c, struct slice text,
                         int64_t at_ms, struct buffer *why)
{
    if (case_expects(c, EXPECT_STRING) > 0 || case_expects(c, EXPECT_RANGE_VECTOR) > 0 ||
        case_expects(c, EXPECT_ORDERED) > 0 || case_expects(c, EXPECT_FAIL) > 0 ||
        contains(text, "start()") || contains(text, "end()") || contains(text, "range()") ||
        contains(text, "step()"))
        return true;
    struct query_request request = request_of(context, text);
    request.start_ns = (at_ms - 60000) * 1000000;
    request.end_ns = (at_ms + 60000) * 1000000;
    request.step_ns = INT64_C(60000) * 1000000;
    struct compare_mode mode = {
        .values_only = true, .range = true, .pick = true, .only_at_ms = at_ms};
    return run_once(context, c, &request, &mode, why);
}

static bool run_instant(struct run_context *context, const struct eval_case *c, struct slice text,
                        int64_t at_ms, struct buffer *why)
{
    struct query_request request = request_of(context, text);
    request.instant = true;
    request.end_ns = at_ms * 1000000;
    struct compare_mode mode = {0};
    return run_once(context, c, &request, &mode, why) && run_as_range(context, c, text, at_ms, why);
}

/* ---- `@` everywhere -------------------------------------------------------------------------- */

static bool varies(const struct node *node)
{
    static const char *const names[] = {
        "days_in_month", "day_of_month", "day_of_week", "day_of_year",    "end",
        "hour",          "minute",       "month",       "predict_linear", "range",
        "start",         "step",         "time",        "timestamp",      "year"};
    if (node->kind != NODE_CALL)
        return false;
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        if (slice_equal(node->call.function->name, slice_from_text(names[i])))
            return true;
    }
    return false;
}

/* False when the value moves with the evaluation time whatever `@` says. */
static bool fix_times(struct node *node, int64_t at_ns)
{
    if (varies(node))
        return false;
    struct time_shift *shift = NULL;
    switch (node->kind) {
    case NODE_PAREN:
        return fix_times(node->inner, at_ns);
    case NODE_UNARY:
        return fix_times(node->unary.operand, at_ns);
    case NODE_BINARY:
        return fix_times(node->binary.left, at_ns) && fix_times(node->binary.right, at_ns);
    case NODE_AGGREGATION:
        return fix_times(node->aggregation.argument, at_ns) &&
               (!node->aggregation.parameter || fix_times(node->aggregation.parameter, at_ns));
    case NODE_CALL:
        for (size_t i = 0; i < node->call.count; i++) {
            if (!fix_times(node->call.arguments[i], at_ns))
                return false;
        }
        return true;
    case NODE_SUBQUERY:
        shift = &node->subquery.shift;
        break;
    case NODE_SELECTOR:
        shift = &node->selector.shift;
        break;
    default:
        return true;
    }
    if (shift->at == AT_NONE) {
        shift->at = AT_TIME;
        shift->at_ns = at_ns;
    }
    return true;
}

/* Functions in the inside of a subquery count, too: they make a case unfit for re-runs. */
static bool varies_anywhere(const struct node *node)
{
    if (node->kind == NODE_SUBQUERY)
        return varies(node->subquery.inner) || varies_anywhere(node->subquery.inner);
    if (varies(node))
        return true;
    switch (node->kind) {
    case NODE_PAREN:
        return varies_anywhere(node->inner);
    case NODE_UNARY:
        return varies_anywhere(node->unary.operand);
    case NODE_BINARY:
        return varies_anywhere(node->binary.left) || varies_anywhere(node->binary.right);
    case NODE_AGGREGATION:
        return varies_anywhere(node->aggregation.argument) ||
               (node->aggregation.parameter && varies_anywhere(node->aggregation.parameter));
    case NODE_CALL:
        for (size_t i = 0; i < node->call.count; i++) {
            if (varies_anywhere(node->call.arguments[i]))
                return true;
        }
        return false;
    default:
        return false;
    }
}

static bool rewrite(const struct eval_case *c, struct buffer *text)
{
    struct error err = {0};
    struct ast *ast = parse_query(&dialect_promql, c->text, QUERY_FEATURES_ALL, 0, &err);
    if (ast == NULL)
        return false;
    bool fit = !varies_anywhere(ast_root(ast)) && fix_times(ast_root(ast), c->start_ms * 1000000);
    if (fit)
        node_print(ast_root(ast), text);
    ast_free(ast);
    return fit && !text->failed;
}

static bool run_fixed(struct run_context *context, const struct eval_case *c, struct slice text,
                      struct buffer *why)
{
    int64_t t = c->start_ms;
    int64_t times[] = {-10 * t, 0, t / 5, t, 10 * t};
    int64_t at_zero[] = {-1000, 0, 1000};
    const int64_t *list = t == 0 ? at_zero : times;
    size_t count = t == 0 ? COUNT_OF(at_zero) : COUNT_OF(times);
    for (size_t i = 0; i < count; i++) {
        if (!run_instant(context, c, text, list[i], why))
            return false;
    }
    return true;
}

bool run_case(struct run_context *context, const struct eval_case *c, struct buffer *why)
{
    if (!c->instant) {
        struct query_request request = request_of(context, c->text);
        request.start_ns = c->start_ms * 1000000;
        request.end_ns = c->end_ms * 1000000;
        request.step_ns = c->step_ms * 1000000;
        struct compare_mode mode = {.range = true};
        return run_once(context, c, &request, &mode, why);
    }
    if (!run_instant(context, c, c->text, c->start_ms, why))
        return false;
    struct buffer text;
    buffer_init(&text, TEXT_MAX_SIZE);
    bool ok = !rewrite(c, &text) || run_fixed(context, c, buffer_slice(&text), why);
    buffer_done(&text);
    return ok;
}
