/*
 * log_batch.h - lines of a range of a file as streams of Loki's push request.
 *
 * The same bytes, time and labels always give the same request, so that a batch
 * can be built again after a restart.
 */
#ifndef AGENTS_LOG_BATCH_H
#define AGENTS_LOG_BATCH_H

#include "agents/log_format.h"
#include "base/array.h"
#include "base/buffer.h"
#include "base/labels.h"
#include "wire/loki_push.h"

#include <stddef.h>
#include <stdint.h>

struct arena;

struct log_entries ARRAY_BODY(struct loki_entry);

struct log_encoder {
    struct arena *arena; /* joined and decoded lines of one range */
    struct log_entries entries[LOG_STREAMS];
    struct buffer labels;
    const struct label *base;
    size_t base_count;
};

/* `base` must outlive the encoder. */
void log_encoder_init(struct log_encoder *encoder, const struct label *base, size_t base_count);
void log_encoder_done(struct log_encoder *encoder);

/*
 * Append the range's streams to the request `out`.  `*time_ns` is for lines that
 * have no time of their own and grows by 1 with each.  Returns the number of lines.
 */
size_t log_encoder_append(struct log_encoder *encoder, const char *path, enum log_format format,
                          struct slice bytes, int64_t *time_ns, struct buffer *out);

#endif
