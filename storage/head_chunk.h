/*
 * head_chunk.h - entries in memory that are not in a partition yet.
 *
 * A series of the head has at most one open chunk (in order), one side chunk
 * (out of order) and a list of frozen ones, which nobody changes any more.
 *
 * In-order metric chunk: `data` is 8 bytes of the first value, then per sample a
 * byte (bit 7: the delta of deltas of the time in ms follows as zigzag; bits
 * 4-6: zero bytes at the low end of the XOR with the value before; bits 0-3:
 * XOR bytes that follow).  A constant series costs one byte a sample.  Where both
 * values are decimal numbers of few digits and that is shorter, bits 0-3 are 8 plus the
 * bytes of their difference as an integer (zigzag), bits 4-6 the digits behind the point.
 * Side metric chunk: 16 bytes a sample, time and value bits, in order of arrival.
 * Rich metric chunk (in order or side, once a sample is more than a float): per
 * sample {time, size of its bytes, the bytes of rich_sample.h}.
 * Log chunk: a chain of pieces, each entry {time, line size, metadata size,
 * line, metadata} in order of arrival; only the last piece grows.
 *
 * Chunks and pieces are counted: readers hold them after letting go of the head's
 * lock (view.h), and of open ones read only the bytes that were there.  So appending
 * leaves those bytes where they are: what somebody else holds is not moved but
 * replaced by a copy (chunks) or followed by a new piece.  All changes need the lock.
 */
#ifndef STORAGE_HEAD_CHUNK_H
#define STORAGE_HEAD_CHUNK_H

#include "base/array.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    HEAD_CHUNK_SAMPLES_MAX = 4096,
    HEAD_CHUNK_TEXT_AIM = 256 * 1024,
    HEAD_CHUNK_RICH_AIM = 2800, /* an open series of histograms takes 4 KiB at most, as a rule */
    HEAD_CHUNK_ENTRIES_AIM = 32 * 1024,
    LOG_PIECE_SIZE = 32 * 1024,
    LOG_ENTRY_HEAD = 16,  /* time, line size, metadata size */
    RICH_SAMPLE_HEAD = 12 /* time, size */
};

struct log_piece {
    struct log_piece *next; /* set once, when the piece is full */
    uint32_t refs;          /* atomic */
    uint32_t size, capacity;
    uint32_t count;
    int64_t first_ns, last_ns; /* smallest and largest time */
    uint8_t *data;
};

struct head_chunk {
    struct head_chunk *next;   /* in the list of frozen chunks, oldest first */
    int64_t first_ns, last_ns; /* smallest and largest time */
    uint64_t first_lsn, last_lsn;
    uint32_t refs; /* atomic */
    uint32_t count;
    uint32_t created_s, touched_s; /* monotonic seconds */
    uint32_t size, capacity;       /* of data; logs: bytes in pieces, heap bytes of pieces */
    bool log, side, rich;
    uint8_t digits; /* metrics in order: behind the decimal point, of the newest decimal value */
    union {
        struct {            /* metrics in order */
            int64_t end_ns; /* of the time bucket: the chunk is cut there */
            int64_t delta_ms;
            uint64_t last_bits;
        };
        struct { /* logs */
            struct log_piece *pieces, *tail;
            struct log_piece *same_piece; /* where entries with time last_ns begin */
            uint32_t same_at;
        };
    };
    uint8_t data[];
};

/* New chunks hold no entry yet. */
struct head_chunk *head_chunk_new(bool log, bool side, uint32_t now_s);
struct head_chunk *head_chunk_ref(struct head_chunk *chunk);
void head_chunk_unref(struct head_chunk *chunk); /* NULL is fine */

/* Heap bytes of a chunk with its pieces. */
size_t head_chunk_memory(const struct head_chunk *chunk);

/* Does an in-order metric sample at `time_ns` start a new chunk? */
static inline bool head_chunk_ends_before(const struct head_chunk *chunk, int64_t time_ns)
{
    return time_ns >= chunk->end_ns || chunk->count >= HEAD_CHUNK_SAMPLES_MAX ||
           chunk->size >= (chunk->rich ? HEAD_CHUNK_RICH_AIM : HEAD_CHUNK_TEXT_AIM);
}

/* The chunk has one sample, `second_ns` is the next one's time: fixes where the chunk ends. */
void head_chunk_set_interval(struct head_chunk *chunk, int64_t second_ns);

/* Append; the chunk may move: the result is where it is now. */
struct head_chunk *head_chunk_add_sample(struct head_chunk *chunk, int64_t time_ns, uint64_t bits,
                                         uint64_t lsn, uint32_t now_s);
struct head_chunk *head_chunk_add_side(struct head_chunk *chunk, int64_t time_ns, uint64_t bits,
                                       uint64_t lsn, uint32_t now_s);
/* To a rich chunk, in order or not; `bytes` as in rich_sample.h. */
struct head_chunk *head_chunk_add_rich(struct head_chunk *chunk, int64_t time_ns,
                                       struct slice bytes, uint64_t lsn, uint32_t now_s);
/* A rich chunk with what the plain side chunk has, which is let go of. */
struct head_chunk *head_chunk_make_rich(struct head_chunk *chunk);
void head_chunk_add_entry(struct head_chunk *chunk, int64_t time_ns, struct slice line,
                          struct slice metadata, uint64_t lsn, uint32_t now_s);

/* Is the entry among the chunk's newest ones with the same time?  (A bounded search.) */
bool head_chunk_has_entry(const struct head_chunk *chunk, int64_t time_ns, struct slice line,
                          struct slice metadata);

/* Give back slack, before the chunk is frozen. */
struct head_chunk *head_chunk_shrink(struct head_chunk *chunk);

/* One sample of a rich chunk's first `size` bytes: `*at` moves on; false at the end. */
struct rich_bytes {
    int64_t time_ns;
    struct slice bytes;
};
bool head_chunk_next_rich(const struct head_chunk *chunk, uint32_t size, uint32_t *at,
                          struct rich_bytes *sample);

/*
 * Decode the first `count` times and values of a plain metric chunk, in the order of arrival
 * (in-order
 * chunks ascend).  The arrays have room for all.
 */
void head_chunk_decode(const struct head_chunk *chunk, uint32_t count, int64_t *times_ns,
                       uint64_t *bits);

/* One entry of a piece: `*at` moves on; false at the end. */
struct log_entry {
    int64_t time_ns;
    struct slice line, metadata;
};
bool log_entry_next(struct slice bytes, uint32_t *at, struct log_entry *entry);
bool log_piece_next(const struct log_piece *piece, uint32_t *at, struct log_entry *entry);

struct log_piece *log_piece_ref(struct log_piece *piece);
void log_piece_unref(struct log_piece *piece); /* NULL is fine */

#endif
