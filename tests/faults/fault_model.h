/*
 * fault_model.h - what the writer of the kill tests writes, so that the checker
 * can tell what must, may and must not be there.
 *
 * Batch number n of metrics has one sample in each of FAULT_SERIES series at
 * T0 + n * STEP, with value n * FAULT_SERIES + series; every fifth batch has one more, late
 * sample in series 0.  In series 0 and 1 every third sample has a start time, every
 * third is a histogram with that value as its sum.  Batch n of logs has one line per stream,
 * "n/stream", half of them with metadata; every fifth has a late line in stream 0.
 * After every sixteenth batch the one three before it is deleted, but for its late entry.
 */
#ifndef TESTS_FAULTS_FAULT_MODEL_H
#define TESTS_FAULTS_FAULT_MODEL_H

#include "base/duration.h"
#include "storage/store.h"

#define FAULT_T0   (INT64_C(1700000000) * NS_PER_SECOND)
#define FAULT_STEP NS_PER_MINUTE /* a day is 1,440 batches, one or two seconds' work */
#define FAULT_LATE (60 * NS_PER_SECOND - 100 * NS_PER_MS)

enum { FAULT_SERIES = 5, FAULT_LATE_EVERY = 5, FAULT_DELETE_EVERY = 16, FAULT_DELETE_BACK = 3 };

static inline int64_t fault_time(uint64_t number)
{
    return FAULT_T0 + (int64_t)number * FAULT_STEP;
}

static inline bool fault_has_late(uint64_t number)
{
    return number % FAULT_LATE_EVERY == 0;
}

enum fault_shape { FAULT_PLAIN, FAULT_STARTED, FAULT_HISTOGRAM };

static inline enum fault_shape fault_shape(unsigned series, uint64_t number)
{
    return series > 1 ? FAULT_PLAIN : (enum fault_shape)(number % 3);
}

static inline int64_t fault_start(uint64_t number)
{
    return fault_time(number) - 5 * NS_PER_SECOND;
}

/* Entries of batch `number`. */
static inline unsigned fault_entries(uint64_t number)
{
    return FAULT_SERIES + (fault_has_late(number) ? 1 : 0);
}

static inline struct store_options fault_options(const char *directory, bool durable)
{
    return (struct store_options){.directory = directory,
                                  .ack = durable ? STORE_ACK_DURABLE : STORE_ACK_PROCESS,
                                  .retention_ns = -1,
                                  .future_ns = -1,
                                  .past_ns = {-1, -1},
                                  .out_of_order_ns = {NS_PER_HOUR, NS_PER_HOUR},
                                  .seal_interval_ns = 20 * NS_PER_MS,
                                  .wal_segment_size = 64 * 1024};
}

int fault_check(const char *directory, const char *events);

#endif
