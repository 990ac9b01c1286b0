/* log_format.c - plain, CRI and docker-json lines (see log_format.h). */
#include "agents/log_format.h"

#include "base/arena.h"
#include "base/duration.h"
#include "base/error.h"
#include "base/json_reader.h"

static const char *const format_names[] = {"auto", "plain", "cri", "docker"};
static const char *const stream_names[] = {"", "stdout", "stderr"};

const char *log_format_name(enum log_format format)
{
    return format_names[format];
}

bool log_format_from_name(struct slice name, enum log_format *format)
{
    for (size_t i = 0; i < COUNT_OF(format_names); i++) {
        if (slice_equal(name, slice_from_text(format_names[i]))) {
            *format = (enum log_format)i;
            return true;
        }
    }
    return false;
}

const char *log_stream_name(enum log_stream stream)
{
    return stream_names[stream];
}

static bool stream_from_name(struct slice name, enum log_stream *stream)
{
    for (size_t i = LOG_STREAM_STDOUT; i < COUNT_OF(stream_names); i++) {
        if (slice_equal(name, slice_from_text(stream_names[i]))) {
            *stream = (enum log_stream)i;
            return true;
        }
    }
    return false;
}

/* The four parts of a CRI line; tags are separated by ':', the first is P or F. */
struct cri_parts {
    struct slice time, text;
    enum log_stream stream;
    bool partial;
};

static bool split_cri(struct slice line, struct cri_parts *parts)
{
    struct slice stream, tags, tag;
    if (!slice_split(&line, ' ', &parts->time) || !slice_split(&line, ' ', &stream) ||
        !stream_from_name(stream, &parts->stream) || !slice_split(&line, ' ', &tags) ||
        !slice_split(&tags, ':', &tag))
        return false;
    parts->partial = slice_equal(tag, SLICE("P"));
    parts->text = line;
    return parts->partial || slice_equal(tag, SLICE("F"));
}

static bool read_cri(struct slice line, struct log_piece *piece)
{
    struct cri_parts parts;
    if (!split_cri(line, &parts) || !time_parse_rfc3339(parts.time, &piece->time_ns))
        return false;
    piece->timed = true;
    piece->stream = parts.stream;
    piece->partial = parts.partial;
    piece->text = parts.text;
    return true;
}

/* Raw values of the members that matter; without `arena` nothing is decoded. */
struct docker_parts {
    struct slice log, time;
    enum log_stream stream;
    bool ends; /* the text ends with an escaped newline */
};

static bool split_docker(struct slice line, struct arena *arena, struct docker_parts *parts)
{
    struct json_reader r;
    struct error err;
    bool has_log = false;

    *parts = (struct docker_parts){.stream = LOG_STREAM_NONE};
    json_reader_init(&r, line, JSON_UTF8_KEEP);
    if (json_next(&r) != JSON_OBJECT_BEGIN)
        return false;
    while (json_next(&r) == JSON_KEY) {
        bool log = json_is(&r, SLICE("log")), stream = json_is(&r, SLICE("stream"));
        bool time = json_is(&r, SLICE("time"));
        enum json_event value = json_next(&r);
        if (value != JSON_STRING || !(log || stream || time)) {
            if (!json_skip(&r, NULL))
                return false;
            continue;
        }
        if (stream)
            stream_from_name(r.value, &parts->stream);
        else if (time)
            parts->time = r.value;
        if (!log)
            continue;
        has_log = true;
        parts->ends = slice_ends_with(r.value, SLICE("\\n"));
        parts->log = r.value;
        if (arena && !json_text(&r, arena, &parts->log, &err))
            return false;
    }
    return has_log && r.event == JSON_OBJECT_END && json_next(&r) == JSON_END;
}

static bool read_docker(struct slice line, struct arena *arena, struct log_piece *piece)
{
    struct docker_parts parts;
    if (!split_docker(line, arena, &parts) || !time_parse_rfc3339(parts.time, &piece->time_ns))
        return false;
    piece->timed = true;
    piece->stream = parts.stream;
    piece->text = parts.log;
    piece->partial = !slice_ends_with(piece->text, SLICE("\n"));
    if (!piece->partial)
        piece->text.size--;
    return true;
}

enum log_format log_format_detect(struct slice line)
{
    struct cri_parts cri;
    struct docker_parts docker;
    int64_t ns;
    if (split_cri(line, &cri) && time_parse_rfc3339(cri.time, &ns))
        return LOG_FORMAT_CRI;
    if (slice_starts_with(line, SLICE("{\"log\":")) && split_docker(line, NULL, &docker) &&
        time_parse_rfc3339(docker.time, &ns))
        return LOG_FORMAT_DOCKER;
    return LOG_FORMAT_PLAIN;
}

void log_piece_read(enum log_format format, struct slice line, struct arena *arena,
                    struct log_piece *piece)
{
    *piece = (struct log_piece){.stream = LOG_STREAM_NONE, .text = line};
    bool ok = format == LOG_FORMAT_CRI      ? read_cri(line, piece)
              : format == LOG_FORMAT_DOCKER ? read_docker(line, arena, piece)
                                            : true;
    if (!ok)
        *piece = (struct log_piece){.stream = LOG_STREAM_NONE, .text = line};
}

bool log_piece_peek(enum log_format format, struct slice line, enum log_stream *stream,
                    bool *partial)
{
    struct cri_parts cri;
    struct docker_parts docker;
    if (format == LOG_FORMAT_CRI) {
        if (!split_cri(line, &cri))
            return false;
        *stream = cri.stream;
        *partial = cri.partial;
        return true;
    }
    if (format == LOG_FORMAT_DOCKER) {
        if (!split_docker(line, NULL, &docker))
            return false;
        *stream = docker.stream;
        *partial = !docker.ends;
        return true;
    }
    *stream = LOG_STREAM_NONE;
    *partial = false;
    return true;
}
