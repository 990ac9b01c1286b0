/*
 * function_math.c - functions of one number, applied to each cell.
 *
 * A histogram cell is not a number: these functions leave it out.
 */
#include "query/eval_internal.h"
#include "query/function_tables.h"

#include <math.h>

static double to_radians(double v)
{
    return v * M_PI / 180;
}

static double to_degrees(double v)
{
    return v * 180 / M_PI;
}

static double sign(double v)
{
    return v < 0 ? -1 : v > 0 ? 1 : v;
}

static void each_cell(const struct grid *grid, struct column *column, double (*f)(double))
{
    for (size_t i = 0; i < grid->steps; i++) {
        if (column->cells[i] == CELL_FLOAT)
            column->values[i] = f(column->values[i]);
        else
            column->cells[i] = CELL_NONE;
    }
}

MAP(map_abs)
{
    (void)ev, (void)call, (void)parameters;
    each_cell(grid, column, fabs);
}

MAP(map_ceil)
{
    (void)ev, (void)call, (void)parameters;
    each_cell(grid, column, ceil);
}

MAP(map_floor)
{
    (void)ev, (void)call, (void)parameters;
    each_cell(grid, column, floor);
}

MAP(map_exp)
{
    (void)ev, (void)call, (void)parameters;
    each_cell(grid, column, exp);
}

MAP(map_sqrt)
{
    (void)ev, (void)call, (void)parameters;
    each_cell(grid, column, sqrt);
}

MAP(map_ln)
{
    (void)ev, (void)call, (void)parameters;
    each_cell(grid, column, log);
}

MAP(map_log2)
{
    (void)ev, (void)call, (void)parameters;
    each_cell(grid, column, log2);
}

MAP(map_log10)
{
    (void)ev, (void)call, (void)parameters;
    each_cell(grid, column, log10);
}

MAP(map_sin)
{
    (void)ev, (void)call, (void)parameters;
    each_cell(grid, column, sin);
}

MAP(map_cos)
{
    (void)ev, (void)call, (void)parameters;
    each_cell(grid, column, cos);
}

MAP(map_tan)
{
    (void)ev, (void)call, (void)parameters;
    each_cell(grid, column, tan);
}

MAP(map_asin)
{
    (void)ev, (void)call, (void)parameters;
    each_cell(grid, column, asin);
}

MAP(map_acos)
{
    (void)ev, (void)call, (void)parameters;
    each_cell(grid, column, acos);
}

MAP(map_atan)
{
    (void)ev, (void)call, (void)parameters;
    each_cell(grid, column, atan);
}

MAP(map_sinh)
{
    (void)ev, (void)call, (void)parameters;
    each_cell(grid, column, sinh);
}

MAP(map_cosh)
{
    (void)ev, (void)call, (void)parameters;
    each_cell(grid, column, cosh);
}

MAP(map_tanh)
{
    (void)ev, (void)call, (void)parameters;
    each_cell(grid, column, tanh);
}

MAP(map_asinh)
{
    (void)ev, (void)call, (void)parameters;
    each_cell(grid, column, asinh);
}

MAP(map_acosh)
{
    (void)ev, (void)call, (void)parameters;
    each_cell(grid, column, acosh);
}

MAP(map_atanh)
{
    (void)ev, (void)call, (void)parameters;
    each_cell(grid, column, atanh);
}

MAP(map_rad)
{
    (void)ev, (void)call, (void)parameters;
    each_cell(grid, column, to_radians);
}

MAP(map_deg)
{
    (void)ev, (void)call, (void)parameters;
    each_cell(grid, column, to_degrees);
}

MAP(map_sgn)
{
    (void)ev, (void)call, (void)parameters;
    each_cell(grid, column, sign);
}

/* Ties go up.  Dividing by the inverse loses less than multiplying. */
MAP(map_round)
{
    (void)ev;
    const double *nearest = call->call.count > 1 ? parameters[1] : NULL;
    for (size_t i = 0; i < grid->steps; i++) {
        if (column->cells[i] != CELL_FLOAT) {
            column->cells[i] = CELL_NONE;
            continue;
        }
        double inverse = 1.0 / (nearest ? nearest[i] : 1);
        column->values[i] = floor(column->values[i] * inverse + 0.5) / inverse;
    }
}

/* Go's math.Min and math.Max: a NaN wins, and -0 is below 0. */
static double least(double a, double b)
{
    if (isnan(a) || isnan(b))
        return (double)NAN;
    if (a == b)
        return signbit(a) ? a : b;
    return a < b ? a : b;
}

static double most(double a, double b)
{
    if (isnan(a) || isnan(b))
        return (double)NAN;
    if (a == b)
        return signbit(a) ? b : a;
    return a > b ? a : b;
}

static void clamp_cells(const struct grid *grid, struct column *column, const double *low,
                        const double *high)
{
    for (size_t i = 0; i < grid->steps; i++) {
        double from = low ? low[i] : -(double)INFINITY, to = high ? high[i] : (double)INFINITY;
        if (column->cells[i] != CELL_FLOAT || to < from)
            column->cells[i] = CELL_NONE;
        else
            column->values[i] = most(from, least(to, column->values[i]));
    }
}

MAP(map_clamp)
{
    (void)ev, (void)call;
    clamp_cells(grid, column, parameters[1], parameters[2]);
}

MAP(map_clamp_min)
{
    (void)ev, (void)call;
    clamp_cells(grid, column, parameters[1], NULL);
}

MAP(map_clamp_max)
{
    (void)ev, (void)call;
    clamp_cells(grid, column, NULL, parameters[1]);
}
