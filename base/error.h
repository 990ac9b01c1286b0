/*
 * error.h - how a function says why it failed.
 *
 * A function that can fail returns bool (or a pointer) and fills a struct
 * error that its caller owns.  Codes say what kind of failure it is, so that
 * the server can choose a status code; the message names the thing and the
 * limit, starts in lower case and has no full stop.  Callers add context with
 * error_prefix() on the way up.  Only server/ and agents/ log.
 */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include "base/compiler.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ERROR_CODES(X)                                                                             \
    X(ERR_NONE, "none")                                                                            \
    X(ERR_INVALID, "invalid")         /* input that can never be accepted */                       \
    X(ERR_LIMIT, "limit")             /* a limit of ours was exceeded */                           \
    X(ERR_TOO_LARGE, "too_large")     /* a body or value over its size limit */                    \
    X(ERR_NOT_FOUND, "not_found")     /* no such thing */                                          \
    X(ERR_UNSUPPORTED, "unsupported") /* known, but not offered (media type, encoding, feature) */ \
    X(ERR_EXECUTION, "execution")     /* a query failed while it ran */                            \
    X(ERR_TIMEOUT, "timeout")         /* ran out of time */                                        \
    X(ERR_CANCELED, "canceled")       /* the client went away */                                   \
    X(ERR_RATE, "rate")               /* a tenant's own limit: the sender should slow down */      \
    X(ERR_UNAVAILABLE, "unavailable") /* temporary trouble: try again */                           \
    X(ERR_IO, "io")                   /* the operating system said no */                           \
    X(ERR_CORRUPT, "corrupt")         /* stored bytes fail their check */                          \
    X(ERR_BUSY, "busy")               /* somebody else holds it */                                 \
    X(ERR_INTERNAL, "internal")       /* our bug */

enum error_code {
#define ERROR_ENUM(code, name) code,
    ERROR_CODES(ERROR_ENUM)
#undef ERROR_ENUM
};

enum { ERROR_MESSAGE_MAX = 480 };

struct error {
    enum error_code code;
    int32_t position; /* byte offset in the text that was parsed plus one; 0: none */
    char message[ERROR_MESSAGE_MAX];
};

/* The code's name, such as "limit". */
const char *error_name(enum error_code code);

/*
 * Fill `err` and return false (or NULL).  A message that is too long is cut.
 * `err` may be NULL where the caller does not care.
 */
bool error_set(struct error *err, enum error_code code, const char *format, ...) PRINTF_LIKE(3, 4);
void *error_null(struct error *err, enum error_code code, const char *format, ...)
    PRINTF_LIKE(3, 4);

/* Like error_set, and remembers the byte offset in the parsed text. */
bool error_set_at(struct error *err, enum error_code code, size_t offset, const char *format, ...)
    PRINTF_LIKE(4, 5);

/* Put "context: " before the message; returns false. */
bool error_prefix(struct error *err, const char *format, ...) PRINTF_LIKE(2, 3);

void error_clear(struct error *err);

#endif
