/*
 * log_sink.h - a sink for the fuzz targets of Loki's push: touches every byte
 * that a decoder hands on, so that AddressSanitizer sees whether it may.
 */
#ifndef FUZZ_LOG_SINK_H
#define FUZZ_LOG_SINK_H

#include "base/error.h"
#include "wire/ingest.h"

#include <assert.h>

static volatile unsigned char touched;

static inline void touch(struct slice s)
{
    for (size_t i = 0; i < s.size; i++)
        touched ^= (unsigned char)s.data[i];
}

static inline void touch_labels(const struct label *labels, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        touch(labels[i].name);
        touch(labels[i].value);
    }
}

static inline int64_t fuzz_find(void *context, struct slice key)
{
    int64_t *series = context;
    touch(key);
    return key.size % 3 == 0 ? (*series)++ : INGEST_UNKNOWN;
}

static inline int64_t fuzz_define(void *context, struct slice key, struct label *labels,
                                  size_t count)
{
    int64_t *series = context;
    assert(count <= INGEST_LABELS_MAX);
    touch(key);
    touch_labels(labels, count);
    return count % 5 == 4 ? INGEST_SKIP : (*series)++;
}

static inline bool fuzz_entry(void *context, uint32_t series, int64_t time_ns, struct slice line,
                              struct label *metadata, size_t count)
{
    const int64_t *known = context;
    assert((int64_t)series < *known);
    touch(line);
    touch_labels(metadata, count);
    return time_ns != 666;
}

static inline void fuzz_refused(void *context, size_t entries, const struct error *reason)
{
    (void)context;
    (void)entries;
    assert(reason->code != ERR_NONE);
}

static inline struct log_sink fuzz_log_sink(int64_t *series)
{
    return (struct log_sink){.context = series,
                             .find = fuzz_find,
                             .define = fuzz_define,
                             .entry = fuzz_entry,
                             .refused = fuzz_refused};
}

#endif
