/*
 * tail_seen.h - which log entries a live tail has sent already.
 *
 * A tail reads the newest stretch of time again and again, since entries may
 * arrive late; what it remembers keeps each from being sent twice.  An entry is
 * its time, line and labels, which is what the store takes for one, too.
 * Bounded: the owner forgets what lies before its stretch.
 */
#ifndef SERVER_TAIL_SEEN_H
#define SERVER_TAIL_SEEN_H

#include "base/table.h"
#include "query/query.h"

#include <stddef.h>
#include <stdint.h>

struct seen_entry;

struct tail_seen {
    struct table table;
    struct seen_entry *items; /* owned */
    size_t count, capacity;
};

void tail_seen_done(struct tail_seen *seen);

/* Take out of `result` what was seen before and remember the rest; returns how many are left. */
size_t tail_seen_filter(struct tail_seen *seen, struct query_result *result);

/* Forget entries before `time_ns`. */
void tail_seen_forget(struct tail_seen *seen, int64_t time_ns);

#endif
