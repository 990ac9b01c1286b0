/*
 * log_format.h - what a line of a log file means.
 *
 *     plain    the line is the text
 *     cri      2024-05-01T10:00:00.123456789Z stdout F the text
 *     docker   {"log":"the text\n","stream":"stdout","time":"2024-05-01T10:00:00.123456789Z"}
 *
 * A container runtime cuts long lines into pieces: all but the last are partial.
 */
#ifndef AGENTS_LOG_FORMAT_H
#define AGENTS_LOG_FORMAT_H

#include "base/compiler.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

struct arena;

enum log_format { LOG_FORMAT_AUTO, LOG_FORMAT_PLAIN, LOG_FORMAT_CRI, LOG_FORMAT_DOCKER };

enum log_stream { LOG_STREAM_NONE, LOG_STREAM_STDOUT, LOG_STREAM_STDERR };
enum { LOG_STREAMS = 3 };

struct log_piece {
    int64_t time_ns;
    bool timed; /* the line has a time of its own */
    enum log_stream stream;
    bool partial; /* the next piece of this stream goes on with it */
    struct slice text;
};

const char *log_format_name(enum log_format format);
bool log_format_from_name(struct slice name, enum log_format *format);
const char *log_stream_name(enum log_stream stream); /* "stdout"; "" for none */

/* What a file is, judged by its first line: cri, docker, else plain. */
enum log_format log_format_detect(struct slice line);

/*
 * Read one line (without its newline).  A line that is not what its format says is taken as
 * plain text, whole, so that nothing is lost.  Decoded text lies in `arena`.
 */
void log_piece_read(enum log_format format, struct slice line, struct arena *arena,
                    struct log_piece *piece);

/*
 * Only `stream` and `partial` of a line; decodes nothing.  False when the line is
 * not what its format says.
 */
bool log_piece_peek(enum log_format format, struct slice line, enum log_stream *stream,
                    bool *partial);

#endif
