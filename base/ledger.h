/*
 * ledger.h - how much memory the process holds, by what it is for, against one limit.
 *
 * Memory belongs to the process, so there is one ledger for it, like the log level
 * and unlike anything else.  Whoever holds memory whose size others choose adds it
 * here and takes it off again; two kinds of checks keep the process below the limit:
 *   - ledger_take() refuses, for what can be answered with "try again" (bodies, queries);
 *   - ledger_pressure() says how full it is, for those who give something up (seal
 *     earlier, drop caches) or let nothing new in (503).
 * What is not counted shows in the system's own figure, which pressure looks at as
 * well: the anonymous resident memory, measured at most 20 times a second.
 *
 * Any thread; atomics only.  Without a limit (the start) nothing is ever refused.
 */
#ifndef BASE_LEDGER_H
#define BASE_LEDGER_H

#include "base/compiler.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ledger_part {
    LEDGER_HEAD,       /* samples that are not sealed yet */
    LEDGER_LOG_TEXT,   /* log entries that are not sealed yet */
    LEDGER_INDEX,      /* series, label pairs and their texts */
    LEDGER_LOOKUP,     /* cache: raw label bytes to series */
    LEDGER_BODIES,     /* requests, as sent and decompressed */
    LEDGER_BATCHES,    /* being filled, or waiting for the log */
    LEDGER_WAL,        /* buffers of the log */
    LEDGER_QUERIES,    /* arenas of queries and of everything else that is answered */
    LEDGER_CACHES,     /* results kept for the next time */
    LEDGER_PARTITIONS, /* open days: indexes, buffers for sealing and closing, dirty pages */
    LEDGER_TABLES,     /* metadata, exemplars, batch ids */
    LEDGER_PARTS
};

/* "head", "log_text", ...: as in /metrics. */
const char *ledger_part_name(enum ledger_part part);

void ledger_set_limit(size_t limit); /* SIZE_MAX: none */
size_t ledger_limit(void);

/* Count bytes that exist; negative: that are gone. */
void ledger_add(enum ledger_part part, int64_t bytes);

/* `*counted` says what of somebody's memory is in the ledger: bring it to `now`. */
void ledger_update(enum ledger_part part, size_t *counted, size_t now);

/*
 * Count `size` bytes before they are taken; false, and nothing counted, over the limit (of
 * which a part is kept for those who give memory back, such as the sealer).
 */
bool ledger_take(enum ledger_part part, size_t size) MUST_CHECK;

size_t ledger_used(enum ledger_part part);
size_t ledger_total(void); /* of all parts */

/* The system's figure, at most 50 ms old; 0 when it cannot be read. */
size_t ledger_anonymous(void);

/* Measure again now: after memory was given back to the system. */
void ledger_measure(void);

enum ledger_level {
    LEDGER_CALM,
    LEDGER_HIGH, /* over 60%: seal early, drop caches */
    LEDGER_FULL  /* over 85%, with less than 107 MiB over 75%: let nothing new in */
};
enum ledger_level ledger_pressure(void);

/* Is nothing at all left? */
bool ledger_is_spent(void);

/* Is the budget too full for something new?  True fills `err` (ERR_UNAVAILABLE). */
struct error;
bool ledger_is_full(struct error *err);

#endif
