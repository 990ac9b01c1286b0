/*
 * partition_group.h - groups of chunks: what a key of a day's `blocks` stands for.
 *
 * A group is a head (magic, checksum of head and directory, directory size, number of
 * chunks), a directory with a row per chunk, then the chunks' bytes.  Those of
 * neighbours may be compressed together in frames, where that saves a tenth.
 * Layout: docs/format-partition.md.
 */
#ifndef STORAGE_PARTITION_GROUP_H
#define STORAGE_PARTITION_GROUP_H

#include "storage/compress.h"
#include "storage/partition.h"

struct reader;

enum {
    FRAME_SIZE_METRIC = 16 * 1024, /* plain bytes of a frame: a chunk is read with its frame */
    FRAME_SIZE_LOG = 64 * 1024,
    FRAME_SIZE_MAX = 256 * 1024 /* in any file */
};

/* Neighbours among the chunks of a group: as they are, or compressed together. */
struct group_frame {
    uint32_t chunks, plain;
    uint32_t stored; /* 0: as they are */
    size_t at;       /* of the compressed bytes in the packer's buffer */
};

/* Cuts a run of chunks into frames; all bytes are taken over. */
struct frame_packer {
    size_t frame_max; /* 0: nothing is compressed */
    enum compress_effort effort;
    ARRAY(struct group_frame) frames;
    struct buffer *plain, *packed;
};

/*
 * Append the frames of `count` chunks, which are one run.  A chunk of more than half the frame's
 * size stays as it is.
 */
bool frames_make(struct frame_packer *packer, const struct slice *bodies, size_t count,
                 struct error *err) MUST_CHECK;

/* What a frame takes in the group. */
static inline size_t frame_size(const struct group_frame *frame)
{
    return frame->stored > 0 ? frame->stored : frame->plain;
}

/* Append the group of these chunks, which the `frame_count` frames cover. */
void group_put(const struct chunk_ref *refs, size_t count, const struct slice *bodies,
               const struct group_frame *frames, size_t frame_count, const struct buffer *packed,
               struct buffer *out);

/* A reader of rows in order. */
struct directory_row {
    int64_t first_units, span_units;
    struct chunk_ref ref;
};
struct group_reader {
    struct slice group;
    const uint8_t *at, *end;
    const uint8_t *frame_table, *frame_end; /* NULL: no frames */
    uint32_t left;
    uint32_t offset; /* of the next chunk, or of the frame it is in */
    uint32_t frame_left, frame_plain, frame_stored, frame_at;
    uint64_t key;
    struct directory_row row;
};
bool group_open(struct slice group, uint64_t key, struct group_reader *g);
bool group_next(struct group_reader *g, struct chunk_ref *ref); /* false: at the end or malformed */
bool group_is_sound(const struct group_reader *g);              /* after the last group_next */

/*
 * The bytes of a chunk in its group.  Those of a compressed frame stay with the thread: `*body` is
 * valid until its next call.  `serial` names the open file, 0 keeps nothing for later calls.
 */
bool group_body(struct slice group, uint64_t serial, const struct chunk_ref *ref,
                struct slice *body, struct error *err) MUST_CHECK;

#endif
