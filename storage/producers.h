/*
 * producers.h - which batch ids were stored, so that a repeat stores nothing.
 *
 * Per tenant, kind and producer the last PRODUCER_IDS_MAX pairs of epoch and
 * sequence; at most PRODUCERS_MAX producers, the one that was quiet longest goes
 * first.  The table is a function of the log and carried into every new segment.
 * Used by the WAL writer and by replay only: no lock.
 */
#ifndef STORAGE_PRODUCERS_H
#define STORAGE_PRODUCERS_H

#include "base/compiler.h"
#include "base/slice.h"
#include "storage/store.h"

#include <stdbool.h>
#include <stdint.h>

struct buffer;

enum { PRODUCER_IDS_MAX = 1024, PRODUCERS_MAX = 1000, PRODUCER_NAME_MAX = 128 };

struct batch_id {
    struct slice tenant;
    enum store_kind kind;
    struct slice producer;
    uint64_t epoch, sequence;
};

struct producers; /* opaque: fields in producers.c */

struct producers *producers_new(void);
void producers_free(struct producers *producers); /* NULL is fine */

bool producers_knows(const struct producers *producers, const struct batch_id *id);
void producers_add(struct producers *producers, const struct batch_id *id);

/* The payload of a producers record; reading one replaces the table.  False when malformed. */
void producers_write(const struct producers *producers, struct buffer *out);
bool producers_read(struct producers *producers, struct slice payload) MUST_CHECK;

#endif
