/*
 * log_shipper.h - the log thread: search, read, send, remember; again.
 *
 * One batch is under way at a time.  It is written to the positions before it is
 * sent; its files move on when the server has taken (or for ever refused) it.
 */
#ifndef AGENTS_LOG_SHIPPER_H
#define AGENTS_LOG_SHIPPER_H

#include "agents/sender.h"
#include "base/compiler.h"
#include "base/labels.h"

#include <stddef.h>
#include <stdint.h>

struct agent_options;
struct error;
struct log_counters;
struct log_shipper; /* opaque: fields in log_shipper.c */

/* Everything given must outlive it.  Reads the positions. */
struct log_shipper *log_shipper_new(const struct agent_options *options, const char *producer,
                                    uint64_t epoch, const struct label *base, size_t base_count,
                                    struct stop *stop, struct error *err) MUST_CHECK;
void log_shipper_free(struct log_shipper *shipper); /* NULL is fine */

/* Until stopped; with `once`, until there is nothing left to send.  False when it gave up. */
bool log_shipper_run(struct log_shipper *shipper, bool once);

/* Readable by any thread. */
const struct log_counters *log_shipper_counters(const struct log_shipper *shipper);
const struct sender_counters *log_shipper_sent(const struct log_shipper *shipper);

#endif
