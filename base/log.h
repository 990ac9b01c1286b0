/*
 * log.h - one logfmt line per event on standard error.
 *
 *     log_info("listening", LOG_TEXT("address", address), LOG_INT("port", port));
 *     ts=2026-11-23T17:00:00.123Z level=info msg=listening address=127.0.0.1 port=9090
 *
 * Only server/ and agents/ log; everything below returns errors.  A line is one
 * write(2), so lines of several threads do not mix.  Each call site writes at
 * most LOG_SITE_LINES_MAX lines in LOG_SITE_WINDOW_S seconds; the next line it
 * writes says how many were left out.  Any thread may log.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/slice.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;

enum log_level { LEVEL_DEBUG, LEVEL_INFO, LEVEL_WARN, LEVEL_ERROR };

enum { LOG_LINE_MAX = 8192, LOG_SITE_LINES_MAX = 20, LOG_SITE_WINDOW_S = 10 };

struct log_field {
    const char *key;
    enum { LOG_FIELD_SLICE, LOG_FIELD_INT, LOG_FIELD_DOUBLE } type;
    struct slice text;
    int64_t integer;
    double number;
};

#define LOG_SLICE(k, v) ((struct log_field){.key = (k), .type = LOG_FIELD_SLICE, .text = (v)})
#define LOG_TEXT(k, v)  LOG_SLICE(k, slice_from_text(v))
#define LOG_INT(k, v)                                                                              \
    ((struct log_field){.key = (k), .type = LOG_FIELD_INT, .integer = (int64_t)(v)})
#define LOG_DOUBLE(k, v) ((struct log_field){.key = (k), .type = LOG_FIELD_DOUBLE, .number = (v)})
#define LOG_ERR(e)       LOG_TEXT("err", (e)->message)

/* What a call site remembers for its rate limit. */
struct log_site {
    atomic_int_fast64_t window_start_ns;
    atomic_uint_fast32_t lines;
    atomic_uint_fast32_t left_out;
};

void log_write(struct log_site *site, enum log_level level, const char *message,
               const struct log_field *fields, size_t count);

/* The first field is a filler that lets the list be empty. */
#define LOG_AT(level, message, ...)                                                                \
    ({                                                                                             \
        static struct log_site site_;                                                              \
        const struct log_field fields_[] = {{0}, ##__VA_ARGS__};                                   \
        log_write(&site_, (level), (message), fields_ + 1,                                         \
                  sizeof(fields_) / sizeof(fields_[0]) - 1);                                       \
    })
#define log_debug(message, ...) LOG_AT(LEVEL_DEBUG, message, ##__VA_ARGS__)
#define log_info(message, ...)  LOG_AT(LEVEL_INFO, message, ##__VA_ARGS__)
#define log_warn(message, ...)  LOG_AT(LEVEL_WARN, message, ##__VA_ARGS__)
#define log_error(message, ...) LOG_AT(LEVEL_ERROR, message, ##__VA_ARGS__)

/* Lines below `level` are not written; the default is LEVEL_INFO. */
void log_set_level(enum log_level level);
bool log_level_parse(struct slice name, enum log_level *level); /* debug, info, warn, error */

/* Where lines go; the default is standard error. */
void log_set_output(int fd);

#endif
