/*
 * log_files.h - the files that are tailed, and how far each was sent.
 *
 * A file is known by device, inode and a hash of its first bytes, never by its
 * path: after a rotation the old file is read to its end under its descriptor
 * while the new one at the same path begins at 0.  A file that got shorter than
 * what was sent, or whose first bytes changed, was truncated: it begins at 0
 * again, and is counted.
 *
 * Owned by the log thread; only the counters may be read by others.
 */
#ifndef AGENTS_LOG_FILES_H
#define AGENTS_LOG_FILES_H

#include "agents/log_format.h"
#include "base/array.h"
#include "base/buffer.h"
#include "base/compiler.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct error;

enum {
    LOG_FILES_MAX = 500,
    LOG_LINE_SIZE_MAX = 250 * 1024, /* a longer line is cut into pieces of this size */
    LOG_RANGE_SIZE = 128 * 1024,    /* what one file may give to a batch */
    LOG_RANGE_LINES_MAX = 4000,
    LOG_FINGERPRINT_SIZE = 256,
    LOG_GONE_SECONDS = 10 /* a file that is no longer at its path is read for so long */
};

struct fingerprint {
    uint32_t size; /* how many of the first bytes; 0: not known yet */
    uint64_t hash;
};

struct log_identity {
    uint64_t device, inode;
};

struct log_file {
    char *path; /* where it was first found; a rotated file keeps it, and so its stream */
    uint64_t path_hash;
    uint64_t serial; /* its age: files of the positions, then others, as they were found */
    struct log_identity identity;
    struct fingerprint fingerprint;
    uint64_t offset; /* everything before it was acknowledged */
    enum log_format format;
    int fd;
    bool at_path;          /* the last search found it */
    int64_t gone_since_ns; /* monotonic; when it was first not found */
};

struct log_counters {
    atomic_uint_fast64_t files, lines, bytes, rotated, truncated, cut_lines, left_out;
};

struct log_file_array ARRAY_BODY(struct log_file);

struct log_files {
    struct log_file_array known; /* the oldest first */
    uint64_t next_serial;
    struct log_file_array saved; /* from the positions, not found yet */
    enum log_format format;      /* for new files */
    struct buffer bytes;         /* what was read last */
    struct log_counters counters;
};

void log_files_init(struct log_files *files, enum log_format format);
void log_files_done(struct log_files *files);

/* A file of the positions: takes over `path`. */
void log_files_remember(struct log_files *files, const struct log_file *saved);

/*
 * Search the patterns: opens new files, notices rotated, truncated and vanished
 * ones, and closes those that are read to their end and gone.
 */
void log_files_search(struct log_files *files, const char *const *patterns, size_t count);

struct log_file *log_files_find(struct log_files *files, struct log_identity identity);

/* Is `a` an earlier file of the same path, whose lines must go before those of `b`? */
bool log_file_precedes(const struct log_file *a, const struct log_file *b);

/*
 * How far the file can be read now in whole lines and whole chains of partial
 * pieces: `*end` is behind them, or at `file->offset` when there are none.
 */
bool log_file_plan(struct log_files *files, struct log_file *file, uint64_t *end, struct error *err)
    MUST_CHECK;

/* The bytes from `start` to `end`, valid until the next plan or read. */
bool log_file_read(struct log_files *files, struct log_file *file, uint64_t start, uint64_t end,
                   struct slice *bytes, struct error *err) MUST_CHECK;

/* Everything before `end` is acknowledged. */
void log_file_advance(struct log_file *file, uint64_t end);

#endif
