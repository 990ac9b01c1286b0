/*
 * parameters.h - times, durations and numbers as Prometheus' and Loki's clients write them.
 *
 * Times saturate at the ends of int64_t nanoseconds and never fail for size
 * alone: Grafana's exemplar probe, for one, sends milliseconds where seconds
 * are meant.
 */
#ifndef SERVER_PARAMETERS_H
#define SERVER_PARAMETERS_H

#include "base/compiler.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

struct error;
struct form;

/* Unix seconds as a decimal number (to the millisecond) or RFC 3339. */
bool time_from_prometheus(struct slice text, int64_t *ns);

/* A decimal with a point: seconds; an integer of up to 10 digits: seconds, longer: ns; RFC 3339. */
bool time_from_loki(struct slice text, int64_t *ns);

/* Seconds as a decimal number, or Prometheus' form such as 1h30m.  Both worlds use it. */
bool duration_from_parameter(struct slice text, int64_t *ns, bool *overflow);

/*
 * The named parameter of a form, or `fallback` when it is absent or empty.  Fails
 * with ERR_INVALID and the text of Prometheus: invalid parameter "x": ...
 */
bool form_time_prometheus(const struct form *form, const char *name, int64_t fallback, int64_t *ns,
                          struct error *err) MUST_CHECK;
bool form_time_loki(const struct form *form, const char *name, int64_t fallback, int64_t *ns,
                    struct error *err) MUST_CHECK;
bool form_duration(const struct form *form, const char *name, int64_t fallback, int64_t *ns,
                   struct error *err) MUST_CHECK;
/* A whole number >= 0. */
bool form_count(const struct form *form, const char *name, uint64_t fallback, uint64_t *count,
                struct error *err) MUST_CHECK;

/*
 * Fails with ERR_INVALID when a range of steps has over `points_max` points per
 * `what`, and gives the family's advice.
 */
bool check_resolution(int64_t start_ns, int64_t end_ns, int64_t step_ns, uint64_t points_max,
                      const char *what, const char *advice, struct error *err) MUST_CHECK;

/* Loki's range: `start` and `end`, or `since` before `end`, by default the last hour. */
bool form_range_loki(const struct form *form, int64_t now_ns, int64_t range_ns[2],
                     struct error *err) MUST_CHECK;

/* The step of a range query that names none: 250 steps, whole seconds, at least one. */
int64_t step_preset_loki(int64_t range_ns);

#endif
