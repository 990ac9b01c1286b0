/*
 * function_tables.h - the functions behind the tables of function.c.
 *
 * WINDOW functions turn one series' samples into a column, MAP functions change a
 * column in place, SPECIAL ones evaluate their arguments themselves.
 */
#ifndef QUERY_FUNCTION_TABLES_H
#define QUERY_FUNCTION_TABLES_H

#include "query/function.h"

enum { PROMQL_FUNCTION_COUNT = 63 };
extern const struct function promql_functions[PROMQL_FUNCTION_COUNT];

#define WINDOW(name)                                                                               \
    bool name(struct window_call *call, const struct window_run *run, struct column *out,          \
              struct error *err)
#define MAP(name)                                                                                  \
    void name(struct evaluation *ev, const struct node *call, const double *const *parameters,     \
              const struct grid *grid, struct column *column)
#define SPECIAL(name)                                                                              \
    bool name(struct evaluation *ev, const struct node *call, const struct grid *grid,             \
              struct sink *sink, double *scalar, struct error *err)

/* window_rate.c */
WINDOW(window_rate);
WINDOW(window_increase);
WINDOW(window_delta);
WINDOW(window_irate);
WINDOW(window_idelta);
WINDOW(window_changes);
WINDOW(window_resets);
WINDOW(window_deriv);
WINDOW(window_predict_linear);
WINDOW(window_smoothing);

/* window_over_time.c */
WINDOW(window_sum);
WINDOW(window_avg);
WINDOW(window_min);
WINDOW(window_max);
WINDOW(window_count);
WINDOW(window_first);
WINDOW(window_last);
WINDOW(window_present);
WINDOW(window_stddev);
WINDOW(window_stdvar);
WINDOW(window_quantile);
WINDOW(window_mad);
WINDOW(window_time_of_first);
WINDOW(window_time_of_last);
WINDOW(window_time_of_min);
WINDOW(window_time_of_max);

/* window_histogram.c */
WINDOW(rich_rate);
WINDOW(rich_increase);
WINDOW(rich_delta);
WINDOW(rich_irate);
WINDOW(rich_idelta);
WINDOW(rich_sum);
WINDOW(rich_avg);
WINDOW(rich_first);
WINDOW(rich_last);
WINDOW(rich_changes);
WINDOW(rich_resets);

/* function_math.c: all of math.h's shape have a map_ of their own */
MAP(map_abs);
MAP(map_ceil);
MAP(map_floor);
MAP(map_exp);
MAP(map_sqrt);
MAP(map_ln);
MAP(map_log2);
MAP(map_log10);
MAP(map_sin);
MAP(map_cos);
MAP(map_tan);
MAP(map_asin);
MAP(map_acos);
MAP(map_atan);
MAP(map_sinh);
MAP(map_cosh);
MAP(map_tanh);
MAP(map_asinh);
MAP(map_acosh);
MAP(map_atanh);
MAP(map_rad);
MAP(map_deg);
MAP(map_sgn);
MAP(map_round);
MAP(map_clamp);
MAP(map_clamp_min);
MAP(map_clamp_max);

/* function_date.c: a vector, or the evaluation time when it is left out */
SPECIAL(special_days_in_month);
SPECIAL(special_day_of_month);
SPECIAL(special_day_of_week);
SPECIAL(special_day_of_year);
SPECIAL(special_hour);
SPECIAL(special_minute);
SPECIAL(special_month);
SPECIAL(special_year);

/* function_special.c */
SPECIAL(special_absent);
SPECIAL(special_absent_over_time);
SPECIAL(special_scalar);
SPECIAL(special_vector);
SPECIAL(special_time);
SPECIAL(special_timestamp);
SPECIAL(special_start_timestamp);
SPECIAL(special_pi);
SPECIAL(special_start);
SPECIAL(special_end);
SPECIAL(special_step);
SPECIAL(special_range);
SPECIAL(special_max_of);
SPECIAL(special_min_of);

/* function_label.c, function_sort.c */
SPECIAL(special_label_replace);
SPECIAL(special_label_join);
SPECIAL(special_sort);
SPECIAL(special_sort_desc);
SPECIAL(special_sort_by_label);
SPECIAL(special_sort_by_label_desc);

/* function_info.c */
SPECIAL(special_info);

/* function_native.c */
SPECIAL(special_histogram_avg);
SPECIAL(special_histogram_count);
SPECIAL(special_histogram_stddev);
SPECIAL(special_histogram_stdvar);
SPECIAL(special_histogram_sum);

/* function_histogram.c */
SPECIAL(special_histogram_quantile);
SPECIAL(special_histogram_quantiles);
SPECIAL(special_histogram_fraction);

#endif
