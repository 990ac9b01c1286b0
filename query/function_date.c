/*
 * function_date.c - parts of the date, of a vector's values or of the evaluation time.
 */
#include "base/duration.h"
#include "base/error.h"
#include "query/eval_internal.h"
#include "query/function_tables.h"

#include <math.h>

typedef double date_part(const struct civil_time *t);

/* Seconds far outside of what a date can be give the ends of the range. */
static struct civil_time civil_from_seconds(double seconds)
{
    if (isnan(seconds))
        seconds = 0;
    double ns = trunc(seconds) * 1e9;
    if (ns >= 9.2e18)
        return civil_from_ns(INT64_MAX);
    if (ns <= -9.2e18)
        return civil_from_ns(INT64_MIN);
    return civil_from_ns((int64_t)trunc(seconds) * NS_PER_SECOND);
}

struct date_sink {
    struct sink sink;
    struct sink *next;
    struct evaluation *ev;
    date_part *part;
    size_t steps;
};

static bool date_take(struct sink *self, struct column_batch *batch, struct error *err)
{
    struct date_sink *d = (struct date_sink *)self;
    for (size_t i = 0; i < batch->count; i++) {
        struct column *column = &batch->items[i];
        for (size_t j = 0; j < d->steps; j++) {
            if (column->cells[j] != CELL_FLOAT) {
                column->cells[j] = CELL_NONE;
                continue;
            }
            struct civil_time t = civil_from_seconds(column->values[j]);
            column->values[j] = d->part(&t);
        }
        if (!column_drop_name(d->ev, column, batch->arena))
            return arena_check(batch->arena, "the query", err);
    }
    return d->next->take(d->next, batch, err);
}

/* Of the evaluation times: one column without labels. */
static bool date_of_now(struct evaluation *ev, const struct grid *grid, struct sink *sink,
                        date_part *part, struct error *err)
{
    struct arena *arena = eval_arena(ev);
    struct column column;
    bool ok = column_init(&column, (struct labels){NULL, 0}, grid->steps, arena) ||
              arena_check(arena, "the query", err);
    for (size_t i = 0; ok && i < grid->steps; i++) {
        struct civil_time t = civil_from_seconds((double)(grid_time(grid, i) / NS_PER_SECOND));
        column.cells[i] = CELL_FLOAT;
        column.values[i] = part(&t);
    }
    struct column_batch batch = {.items = &column, .count = 1, .arena = arena};
    ok = ok && sink->take(sink, &batch, err);
    arena_free(arena);
    return ok;
}

static bool date_call(struct evaluation *ev, const struct node *call, const struct grid *grid,
                      struct sink *sink, date_part *part, struct error *err)
{
    if (call->call.count == 0)
        return date_of_now(ev, grid, sink, part, err);
    struct date_sink d = {{date_take}, sink, ev, part, grid->steps};
    return eval_map_united(ev, call->call.arguments[0], grid, &d.sink, &d.next, err);
}

static double part_days_in_month(const struct civil_time *t)
{
    return (double)(days_from_civil(t->month == 12 ? t->year + 1 : t->year,
                                    t->month == 12 ? 1 : t->month + 1, 1) -
                    days_from_civil(t->year, t->month, 1));
}

SPECIAL(special_days_in_month)
{
    (void)scalar;
    return date_call(ev, call, grid, sink, part_days_in_month, err);
}

static double part_day_of_month(const struct civil_time *t)
{
    return t->day;
}

SPECIAL(special_day_of_month)
{
    (void)scalar;
    return date_call(ev, call, grid, sink, part_day_of_month, err);
}

static double part_day_of_week(const struct civil_time *t)
{
    return t->weekday;
}

SPECIAL(special_day_of_week)
{
    (void)scalar;
    return date_call(ev, call, grid, sink, part_day_of_week, err);
}

static double part_day_of_year(const struct civil_time *t)
{
    return t->year_day;
}

SPECIAL(special_day_of_year)
{
    (void)scalar;
    return date_call(ev, call, grid, sink, part_day_of_year, err);
}

static double part_hour(const struct civil_time *t)
{
    return t->hour;
}

SPECIAL(special_hour)
{
    (void)scalar;
    return date_call(ev, call, grid, sink, part_hour, err);
}

static double part_minute(const struct civil_time *t)
{
    return t->minute;
}

SPECIAL(special_minute)
{
    (void)scalar;
    return date_call(ev, call, grid, sink, part_minute, err);
}

static double part_month(const struct civil_time *t)
{
    return t->month;
}

SPECIAL(special_month)
{
    (void)scalar;
    return date_call(ev, call, grid, sink, part_month, err);
}

static double part_year(const struct civil_time *t)
{
    return (double)t->year;
}

SPECIAL(special_year)
{
    (void)scalar;
    return date_call(ev, call, grid, sink, part_year, err);
}
