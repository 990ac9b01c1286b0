/* log_groups.c - series of range aggregations over lines (see log_groups.h). */
#include "query/log_groups.h"

#include "base/duration.h"
#include "base/error.h"
#include "base/memory.h"
#include "query/eval_internal.h"
#include "query/function_tables.h"
#include "query/window_memo.h"

#include <math.h>

void log_groups_init(struct log_groups *groups, struct evaluation *ev, enum log_operation operation,
                     const struct grid *grid, int64_t range_ns)
{
    *groups =
        (struct log_groups){.ev = ev, .operation = operation, .grid = *grid, .range_ns = range_ns};
    groups->arena = eval_arena(ev);
    groups->index = label_index_new(groups->arena);
}

void log_groups_init_in(struct log_groups *groups, const struct log_groups *like,
                        struct evaluation *ev, struct arena *arena)
{
    *groups = (struct log_groups){.ev = ev,
                                  .operation = like->operation,
                                  .grid = like->grid,
                                  .range_ns = like->range_ns,
                                  .arena = arena,
                                  .index = label_index_new(arena)};
}

void log_groups_done_in(struct log_groups *groups)
{
    label_index_free(groups->index);
    groups->index = NULL;
}

void log_groups_done(struct log_groups *groups)
{
    label_index_free(groups->index);
    arena_free(groups->arena);
}

static bool keeps_samples(const struct log_groups *groups)
{
    return log_operation_needs_unwrap((int)groups->operation);
}

static bool wants_bytes(const struct log_groups *groups)
{
    return groups->operation == LOG_BYTES_OVER_TIME || groups->operation == LOG_BYTES_RATE;
}

static int64_t divide_up(int64_t a, int64_t b)
{
    int64_t q = a / b;
    return q + (a % b != 0 && a > 0);
}

static void find_steps(const struct log_groups *groups, int64_t time_ns, int64_t *from, int64_t *to)
{
    const struct grid *grid = &groups->grid;
    int64_t last = (int64_t)grid->steps - 1;
    int64_t age = ns_sub(time_ns, grid->start_ns);
    int64_t leaves = ns_add(age, groups->range_ns); /* the first distance that is too late */
    if (grid->step_ns == 0) {
        bool inside = age <= 0 && leaves > 0;
        *from = inside ? 0 : 1;
        *to = inside ? last : 0;
        return;
    }
    *from = age <= 0 ? 0 : divide_up(age, grid->step_ns);
    *to = leaves <= 0 ? -1 : divide_up(leaves, grid->step_ns) - 1;
    if (*to > last)
        *to = last;
}

/*
 * Up to where the same steps hold: neither the end of the first window nor the start of the one
 * behind the last may be passed.  Only within the grid; elsewhere nothing is remembered.
 */
static bool find_until(const struct log_groups *groups, int64_t time_ns, int64_t *until_ns)
{
    const struct grid *grid = &groups->grid;
    int64_t age, leaves, step = grid->step_ns;
    if (step <= 0 || __builtin_sub_overflow(time_ns, grid->start_ns, &age) ||
        __builtin_add_overflow(age, groups->range_ns, &leaves) || age <= 0 || leaves <= 0)
        return false;
    int64_t enters = (step - age % step) % step;
    int64_t ends = (step - leaves % step) % step;
    return !__builtin_add_overflow(time_ns, enters < ends ? enters : ends, until_ns);
}

void log_groups_steps(struct log_groups *groups, int64_t time_ns, int64_t *from, int64_t *to)
{
    if (!groups->steps_known || time_ns < groups->since_ns || time_ns > groups->until_ns) {
        find_steps(groups, time_ns, &groups->from, &groups->to);
        groups->since_ns = groups->until_ns = time_ns;
        groups->steps_known = find_until(groups, time_ns, &groups->until_ns);
    }
    *from = groups->from;
    *to = groups->to;
}

static bool too_large(const struct log_groups *groups, struct error *err)
{
    return error_set(err, ERR_LIMIT, "the query needs more than %zu bytes of memory, the limit",
                     arena_limit(groups->arena));
}

static bool add_group(struct log_groups *groups, struct error *err)
{
    size_t limit = groups->ev->request->limits.series_max;
    if (limit > 0 && groups->count >= limit)
        return error_set(err, ERR_LIMIT,
                         "maximum number of series (%zu) reached for a single query; consider "
                         "reducing query cardinality by adding more specific stream selectors, "
                         "reducing the time range, or aggregating results with functions like "
                         "sum(), count() or topk()",
                         limit);
    struct log_group *items = arena_grow(groups->arena, groups->items, groups->count,
                                         &groups->capacity, groups->count + 1, sizeof(*items));
    if (items == NULL)
        return too_large(groups, err);
    struct log_group *group = &items[groups->count];
    *group = (struct log_group){0};
    groups->items = items;
    groups->count++;
    if (keeps_samples(groups))
        return true;
    group->counts = arena_calloc(groups->arena, groups->grid.steps + 1, sizeof(double));
    if (wants_bytes(groups))
        group->sums = arena_calloc(groups->arena, groups->grid.steps + 1, sizeof(double));
    return group->counts && (group->sums || !wants_bytes(groups)) ? true : too_large(groups, err);
}

bool log_groups_find(struct log_groups *groups, struct labels labels, size_t *group,
                     struct error *err)
{
    bool added;
    uint32_t number = label_index_put(groups->index, labels, &added);
    if (number == UINT32_MAX)
        return too_large(groups, err);
    *group = number;
    return !added || add_group(groups, err);
}

static bool add_sample(struct log_groups *groups, struct log_group *group, int64_t time_ns,
                       double value, struct error *err)
{
    struct log_sample *samples =
        arena_grow(groups->arena, group->samples, group->sample_count, &group->sample_capacity,
                   group->sample_count + 1, sizeof(*samples));
    if (samples == NULL)
        return too_large(groups, err);
    if (group->sample_count > 0 && samples[group->sample_count - 1].time_ns > time_ns)
        group->unsorted = true;
    samples[group->sample_count++] = (struct log_sample){time_ns, value};
    group->samples = samples;
    return true;
}

bool log_groups_add(struct log_groups *groups, size_t number, int64_t time_ns, size_t size,
                    double value, struct error *err)
{
    struct log_group *group = &groups->items[number];
    int64_t from, to;
    if (keeps_samples(groups))
        return add_sample(groups, group, time_ns, value, err);
    log_groups_steps(groups, time_ns, &from, &to);
    if (from > to)
        return true;
    group->counts[from] += 1;
    group->counts[to + 1] -= 1;
    if (group->sums) {
        group->sums[from] += (double)size;
        group->sums[to + 1] -= (double)size;
    }
    return true;
}

void log_groups_add_many(struct log_groups *groups, size_t number, int64_t from, int64_t to,
                         uint64_t count)
{
    struct log_group *group = &groups->items[number];
    group->counts[from] += (double)count;
    group->counts[to + 1] -= (double)count;
}

static bool merge_samples(struct log_groups *groups, size_t number, const struct log_group *from,
                          struct error *err)
{
    struct log_group *group = &groups->items[number];
    group->unsorted |= from->unsorted;
    for (size_t i = 0; i < from->sample_count; i++)
        if (!add_sample(groups, group, from->samples[i].time_ns, from->samples[i].value, err))
            return false;
    return true;
}

bool log_groups_merge(struct log_groups *groups, const struct log_groups *from, struct error *err)
{
    for (size_t g = 0; g < from->count; g++) {
        const struct log_group *source = &from->items[g];
        size_t number;
        if (!log_groups_find(groups, label_index_get(from->index, (uint32_t)g), &number, err))
            return false;
        if (keeps_samples(groups)) {
            if (!merge_samples(groups, number, source, err))
                return false;
            continue;
        }
        struct log_group *group = &groups->items[number];
        for (size_t i = 0; i <= groups->grid.steps; i++)
            group->counts[i] += source->counts[i];
        for (size_t i = 0; group->sums && i <= groups->grid.steps; i++)
            group->sums[i] += source->sums[i];
    }
    return true;
}

/* ---- columns -------------------------------------------------------------------- */

static void fill_counts(const struct log_groups *groups, const struct log_group *group,
                        struct column *out)
{
    const double *sums = group->sums ? group->sums : group->counts;
    bool per_second = groups->operation == LOG_RATE || groups->operation == LOG_BYTES_RATE;
    double seconds = (double)groups->range_ns / 1e9;
    double count = 0, sum = 0;
    for (size_t i = 0; i < groups->grid.steps; i++) {
        count += group->counts[i];
        sum += sums[i];
        if (count <= 0)
            continue;
        out->cells[i] = CELL_FLOAT;
        out->values[i] = per_second ? sum / seconds : sum;
    }
}

static int compare_samples(const void *a, const void *b)
{
    const struct log_sample *x = a, *y = b;
    return (x->time_ns > y->time_ns) - (x->time_ns < y->time_ns);
}

typedef bool window_function(struct window_call *, const struct window_run *, struct column *,
                             struct error *);

static window_function *function_of(enum log_operation operation)
{
    switch (operation) {
    case LOG_RATE_COUNTER:
        return window_rate;
    case LOG_AVG_OVER_TIME:
        return window_avg;
    case LOG_MAX_OVER_TIME:
        return window_max;
    case LOG_MIN_OVER_TIME:
        return window_min;
    case LOG_FIRST_OVER_TIME:
        return window_first;
    case LOG_LAST_OVER_TIME:
        return window_last;
    case LOG_STDVAR_OVER_TIME:
        return window_stdvar;
    case LOG_STDDEV_OVER_TIME:
        return window_stddev;
    case LOG_QUANTILE_OVER_TIME:
        return window_quantile;
    default:
        return window_sum; /* sum_over_time, and rate with unwrap */
    }
}

/* rate() over values is their sum per second; rate_counter() of one sample is 0. */
static void finish_values(const struct log_groups *groups, const struct window_call *call,
                          const struct window_run *run, struct column *out)
{
    size_t from = 0, to = 0;
    double seconds = (double)groups->range_ns / 1e9;
    for (size_t i = 0; i < groups->grid.steps; i++) {
        if (groups->operation == LOG_RATE_VALUES && out->cells[i] == CELL_FLOAT)
            out->values[i] /= seconds;
        if (groups->operation != LOG_RATE_COUNTER || out->cells[i] != CELL_NONE)
            continue;
        window_bounds(call, run, i, &from, &to);
        if (to == from)
            continue;
        out->cells[i] = CELL_FLOAT;
        out->values[i] = 0;
    }
}

static bool fill_values(const struct log_groups *groups, struct log_group *group,
                        struct window_call *call, struct column *out, struct error *err)
{
    size_t count = group->sample_count;
    if (group->unsorted)
        qsort(group->samples, count, sizeof(*group->samples), compare_samples);
    int64_t *times = arena_calloc(call->arena, count, sizeof(*times));
    double *values = arena_calloc(call->arena, count, sizeof(*values));
    if (times == NULL || values == NULL)
        return arena_check(call->arena, "the query", err);
    for (size_t i = 0; i < count; i++) {
        times[i] = group->samples[i].time_ns;
        values[i] = group->samples[i].value;
    }
    struct window_run run = {.times_ns = times, .values = values, .count = count};
    call->labels = out->labels;
    if (!function_of(groups->operation)(call, &run, out, err))
        return false;
    finish_values(groups, call, &run, out);
    return true;
}

struct order {
    struct labels labels;
    size_t group;
};

static int compare_order(const void *a, const void *b)
{
    return labels_compare(((const struct order *)a)->labels, ((const struct order *)b)->labels);
}

static bool push_batch(struct log_groups *groups, const struct order *order, size_t count,
                       struct window_call *call, struct sink *sink, struct error *err)
{
    struct arena *arena = call->arena;
    struct column_batch batch = {.arena = arena};
    batch.items = arena_calloc(arena, count, sizeof(*batch.items));
    for (size_t i = 0; batch.items && i < count; i++) {
        struct column *out = &batch.items[batch.count];
        struct log_group *group = &groups->items[order[i].group];
        if (!column_init(out, order[i].labels, groups->grid.steps, arena))
            break;
        if (!keeps_samples(groups))
            fill_counts(groups, group, out);
        else if (!fill_values(groups, group, call, out, err))
            return false;
        batch.count += !column_is_empty(out, groups->grid.steps);
        if (!eval_tick(groups->ev, groups->grid.steps, err))
            return false;
    }
    return arena_check(arena, "the query", err) &&
           (batch.count == 0 || sink->take(sink, &batch, err));
}

static struct order *sort_groups(const struct log_groups *groups)
{
    struct order *order = arena_calloc(groups->arena, groups->count, sizeof(*order));
    for (size_t i = 0; order && i < groups->count; i++)
        order[i] = (struct order){label_index_get(groups->index, (uint32_t)i), i};
    if (order && groups->count > 1)
        qsort(order, groups->count, sizeof(*order), compare_order);
    return order;
}

bool log_groups_emit(struct log_groups *groups, const struct node *call,
                     const struct node *selector, const double *const *parameters,
                     const struct grid *caller, struct sink *sink, struct error *err)
{
    struct order *order = sort_groups(groups);
    if (order == NULL)
        return too_large(groups, err);
    struct window_memo memo = {0};
    struct window_call window = {
        .ev = groups->ev,
        .memo = &memo,
        .node = call,
        .argument = selector,
        .caller = caller,
        .grid = groups->grid,
        .range_ns = groups->range_ns,
        .parameters = parameters,
        .arena = eval_arena(groups->ev),
    };
    size_t by_cells = BATCH_CELLS / groups->grid.steps;
    size_t batch = by_cells < 1 ? 1 : by_cells < BATCH_SERIES ? by_cells : BATCH_SERIES;
    bool ok = true;
    for (size_t at = 0; ok && at < groups->count; at += batch) {
        size_t count = groups->count - at < batch ? groups->count - at : batch;
        ok = push_batch(groups, order + at, count, &window, sink, err);
        arena_reset(window.arena);
    }
    window_memo_done(&memo);
    arena_free(window.arena);
    return ok;
}
