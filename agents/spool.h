/*
 * spool.h - batches on disk until the server has them.
 *
 * Each batch is a file <epoch>-<sequence>.batch in one directory, written before
 * it is sent and removed after it was acknowledged, so that neither an outage of
 * the server nor a restart of the agent loses one.  Over the limit the oldest go,
 * and are counted.  Two threads: one puts, one takes; `mutex` guards the numbers.
 */
#ifndef AGENTS_SPOOL_H
#define AGENTS_SPOOL_H

#include "base/compiler.h"
#include "base/slice.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct buffer;
struct error;

struct spool {
    char *directory;
    uint64_t size_max;
    pthread_mutex_t mutex;
    uint64_t size;    /* bytes of all batches */
    uint64_t dropped; /* batches that the limit cost, since the start */
};

struct spool_key {
    uint64_t epoch, sequence;
};

/* Makes the directory and counts what is there. */
bool spool_open(struct spool *spool, const char *directory, uint64_t size_max, struct error *err)
    MUST_CHECK;
void spool_close(struct spool *spool); /* keeps the files */

bool spool_put(struct spool *spool, struct spool_key key, struct slice batch, struct error *err)
    MUST_CHECK;

/* The oldest batch into `out`.  False with ERR_NOT_FOUND when there is none. */
bool spool_oldest(struct spool *spool, struct spool_key *key, struct buffer *out, struct error *err)
    MUST_CHECK;
bool spool_remove(struct spool *spool, struct spool_key key, struct error *err) MUST_CHECK;

uint64_t spool_size(struct spool *spool);
uint64_t spool_dropped(struct spool *spool);

#endif
