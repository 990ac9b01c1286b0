/* line_pattern.c - compiling and testing patterns (see line_pattern.h). */
#include "query/line_pattern.h"

#include "base/arena.h"
#include "base/error.h"

static bool is_name_start(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

/* Size of the capture "<name>" at the start of `s`, or 0. */
static size_t capture_size(struct slice s)
{
    if (s.size < 3 || s.data[0] != '<' || !is_name_start(s.data[1]))
        return 0;
    size_t i = 2;
    while (i < s.size && (is_name_start(s.data[i]) || (s.data[i] >= '0' && s.data[i] <= '9')))
        i++;
    return i < s.size && s.data[i] == '>' ? i + 1 : 0;
}

static size_t cut_parts(struct slice text, struct pattern_part *parts)
{
    size_t count = 0, from = 0, at = 0;
    while (at < text.size) {
        size_t size = capture_size(slice_skip(text, at));
        if (size == 0) {
            at++;
            continue;
        }
        if (at > from)
            parts[count++] = (struct pattern_part){false, slice_sub(text, from, at - from)};
        struct slice name = slice_sub(text, at + 1, size - 2);
        parts[count++] = (struct pattern_part){true, name};
        at += size;
        from = at;
    }
    if (at > from)
        parts[count++] = (struct pattern_part){false, slice_sub(text, from, at - from)};
    return count;
}

static bool check_parts(struct pattern_part *parts, size_t count, bool named, struct error *err)
{
    size_t names = 0;
    for (size_t i = 0; i < count; i++) {
        if (!parts[i].capture)
            continue;
        struct slice name = parts[i].text;
        if (i > 0 && parts[i - 1].capture) {
            struct slice before = parts[i - 1].text.size ? parts[i - 1].text : SLICE("_");
            return error_set(err, ERR_INVALID,
                             "found consecutive capture '<%.*s><%.*s>': invalid expression",
                             SLICE_ARG(before), SLICE_ARG(name));
        }
        if (slice_equal(name, SLICE("_"))) {
            parts[i].text = (struct slice){NULL, 0};
            continue;
        }
        if (!named)
            return error_set(err, ERR_INVALID, "named captures are not allowed: found '<%.*s>'",
                             SLICE_ARG(name));
        for (size_t k = 0; k < i; k++) {
            if (parts[k].capture && slice_equal(parts[k].text, name))
                return error_set(err, ERR_INVALID, "duplicate capture name (%.*s)",
                                 SLICE_ARG(name));
        }
        names++;
    }
    if (named && names == 0)
        return error_set(err, ERR_INVALID, "at least one capture is required");
    return true;
}

const struct line_pattern *line_pattern_new(struct arena *arena, struct slice text, bool named,
                                            struct error *err)
{
    struct line_pattern *pattern = arena_calloc(arena, 1, sizeof(*pattern));
    struct pattern_part *parts = arena_calloc(arena, text.size + 1, sizeof(*parts));
    if (pattern == NULL || parts == NULL) {
        error_set(err, ERR_LIMIT, "pattern is too large");
        return NULL;
    }
    size_t count = cut_parts(text, parts);
    if (!check_parts(parts, count, named, err))
        return NULL;
    *pattern = (struct line_pattern){parts, count};
    return pattern;
}

bool line_pattern_test(const struct line_pattern *pattern, struct slice line)
{
    if (pattern->count == 0)
        return line.size == 0;
    if (pattern->count == 1 && !pattern->parts[0].capture)
        return slice_equal(line, pattern->parts[0].text);
    size_t at = 0;
    for (size_t i = 0; i < pattern->count; i++) {
        const struct pattern_part *part = &pattern->parts[i];
        if (part->capture)
            continue;
        size_t hit = slice_find(line, part->text, at);
        if (hit == SLICE_NOT_FOUND)
            return false;
        if (i > 0 && hit == at)
            return false; /* a capture holds at least one byte */
        at = hit + part->text.size;
    }
    bool open = pattern->parts[pattern->count - 1].capture;
    return open ? at < line.size : at == line.size;
}
