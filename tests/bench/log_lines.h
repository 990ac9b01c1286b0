/*
 * log_lines.h - the lines of the log benches: logfmt, JSON and nginx access lines, mixed in every
 * stream, with trace ids, user ids, durations, sizes and status codes; 210 bytes on average.
 *
 * Line number i of stream s is the same in every run.  Rare texts (NEEDLE) stand in 12 lines of
 * all.
 */
#ifndef BENCH_LOG_LINES_H
#define BENCH_LOG_LINES_H

#include <stddef.h>
#include <stdint.h>

enum { LOG_LINE_MAX = 1024 };

#define LOG_NEEDLE "needle-7f3a9c"

/* Write a line to `out` (LOG_LINE_MAX bytes), its size.  `needle` > 0: one with the needle and that
 * number. */
size_t log_line_make(char *out, uint64_t stream, uint64_t number, int64_t time_ns, uint64_t needle);

/* The stream's labels as {name="value",...}, its size. */
size_t log_stream_labels(char *out, size_t room, uint64_t stream);

#endif
