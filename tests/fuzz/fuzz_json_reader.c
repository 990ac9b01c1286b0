// links: base
/*
 * fuzz_json_reader.c - any bytes through the JSON reader.
 *
 * What it accepts is written out again with the writer; reading that must give
 * the same events, and writing those the same text.
 */
#include "base/arena.h"
#include "base/buffer.h"
#include "base/json_reader.h"
#include "base/json_writer.h"
#include "base/utf8.h"

#include <stdbool.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
    if (!holds)
        __builtin_trap();
}

static void copy_event(struct json_reader *r, struct json_writer *w, struct arena *arena)
{
    struct slice text;
    switch (r->event) {
    case JSON_OBJECT_BEGIN:
        json_write_object_begin(w);
        break;
    case JSON_OBJECT_END:
        json_write_object_end(w);
        break;
    case JSON_ARRAY_BEGIN:
        json_write_array_begin(w);
        break;
    case JSON_ARRAY_END:
        json_write_array_end(w);
        break;
    case JSON_KEY:
    case JSON_STRING:
        require(json_text(r, arena, &text, NULL));
        require(utf8_is_valid(text));
        if (r->event == JSON_KEY)
            json_write_key(w, text);
        else
            json_write_string(w, text);
        break;
    default:
        json_write_raw(w, r->value);
    }
}

/* Rewrites `text` into `out`; false when it is not JSON. */
static bool rewrite(struct slice text, struct buffer *out)
{
    struct arena *arena = arena_new((size_t)64 << 20);
    struct json_reader r;
    struct json_writer w;
    json_reader_init(&r, text, JSON_UTF8_REPLACE);
    r.depth_max = JSON_WRITER_DEPTH_MAX;
    r.control_characters = text.size % 2;
    json_writer_init(&w, out);
    while (json_next(&r) != JSON_END && r.event != JSON_ERROR)
        copy_event(&r, &w, arena);
    require(r.event == JSON_END || (r.problem && r.start <= text.size));
    require(r.event != JSON_END || r.depth == 0);
    arena_free(arena);
    return r.event == JSON_END;
}

/* Skipping over everything finds the same end. */
static void skip_all(struct slice text, bool accepted)
{
    struct json_reader r;
    struct slice raw;
    json_reader_init(&r, text, JSON_UTF8_KEEP);
    r.depth_max = JSON_WRITER_DEPTH_MAX;
    r.control_characters = text.size % 2;
    json_next(&r);
    bool skipped = json_skip(&r, &raw) && json_next(&r) == JSON_END;
    require(skipped == accepted);
    require(!skipped || slice_equal(slice_trim(text), raw));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice text = slice_of(data, size);
    struct buffer once;
    struct buffer twice;
    buffer_init(&once, (size_t)64 << 20);
    buffer_init(&twice, (size_t)64 << 20);
    bool accepted = rewrite(text, &once);
    skip_all(text, accepted);
    if (accepted) {
        require(rewrite(buffer_slice(&once), &twice));
        require(slice_equal(buffer_slice(&once), buffer_slice(&twice)));
    }
    buffer_done(&twice);
    buffer_done(&once);
    return 0;
}
