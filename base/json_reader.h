/*
 * json_reader.h - a JSON document as a stream of events.
 *
 *     struct json_reader r;
 *     json_reader_init(&r, text, JSON_UTF8_REPLACE);
 *     while ((event = json_next(&r)) != JSON_END && event != JSON_ERROR) ...
 *
 * The reader pulls events out of text that is wholly in memory and allocates
 * nothing: strings and numbers are slices of the input.  Only a string with
 * escapes (or bytes to replace) is decoded, into the caller's arena, when the
 * caller asks for it with json_text().  Object keys come in their order,
 * duplicates included.  Whatever came before an error stays valid, and an
 * error stays: every later call gives JSON_ERROR again.
 */
#ifndef BASE_JSON_READER_H
#define BASE_JSON_READER_H

#include "base/compiler.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;
struct error;

enum { JSON_DEPTH_MAX = 1024, JSON_DEPTH_DEFAULT = 128 };

enum json_event {
    JSON_END, /* the document is complete and only blanks follow it */
    JSON_ERROR,
    JSON_OBJECT_BEGIN,
    JSON_OBJECT_END,
    JSON_ARRAY_BEGIN,
    JSON_ARRAY_END,
    JSON_KEY, /* its value is the next event */
    JSON_STRING,
    JSON_NUMBER,
    JSON_TRUE,
    JSON_FALSE,
    JSON_NULL
};

/* What to do with bytes in strings that are not UTF-8. */
enum json_utf8 {
    JSON_UTF8_REPLACE, /* each becomes U+FFFD, as in Go */
    JSON_UTF8_KEEP,    /* they stay as they are */
    JSON_UTF8_REFUSE   /* an error */
};

struct json_reader {
    /* May be set between json_reader_init and the first json_next. */
    uint32_t depth_max;      /* at most JSON_DEPTH_MAX */
    bool control_characters; /* strings may hold raw bytes below 0x20 */
    enum json_utf8 utf8;

    /* May be read after each json_next. */
    enum json_event event;
    struct slice value;  /* key, string: what stands between the quotes; number: its text */
    size_t start;        /* offset of the event's first byte; of an error, the exact place */
    uint32_t depth;      /* open objects and arrays; a begin event counts its own */
    const char *problem; /* what is wrong, with JSON_ERROR */

    /* The reader's own. */
    struct slice text;
    size_t at; /* offset behind the event */
    int expect;
    bool escaped;                            /* value holds backslashes */
    bool non_ascii;                          /* value holds bytes from 0x80 on */
    uint64_t is_object[JSON_DEPTH_MAX / 64]; /* a bit for each level */
};

/* Start at the front of `text`, which must outlive the reader. */
void json_reader_init(struct json_reader *r, struct slice text, enum json_utf8 utf8);

enum json_event json_next(struct json_reader *r);

/*
 * The decoded text of the current key or string: a slice of the input when
 * nothing has to change, else in `arena`.  \u escapes of lone surrogates become
 * U+FFFD.  Fails only when the arena is exhausted.
 */
bool json_text(const struct json_reader *r, struct arena *arena, struct slice *out,
               struct error *err) MUST_CHECK;

/* Is the current key or string equal to `literal` (which is plain text)?  Decodes nothing. */
bool json_is(const struct json_reader *r, struct slice literal);

/*
 * Skip the value that the current event begins: after JSON_KEY the value of the
 * key, after a begin event everything to its end event, else nothing.  `raw`
 * (may be NULL) gets the value's text.  False on an error in the text.
 */
bool json_skip(struct json_reader *r, struct slice *raw);

/* After JSON_ERROR: fill `err` with ERR_INVALID, problem and offset; returns false. */
bool json_fail(const struct json_reader *r, struct error *err);

#endif
