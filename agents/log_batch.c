/* log_batch.c - pieces joined to lines, lines grouped by stream (see log_batch.h). */
#include "agents/log_batch.h"

#include "agents/log_labels.h"
#include "base/arena.h"

enum { ARENA_MAX = 4 * 1024 * 1024, LABELS_SIZE_MAX = 64 * 1024 };

/* A line of which only the first pieces have come. */
struct open_line {
    bool open;
    int64_t time_ns;
    struct slice text;
};

void log_encoder_init(struct log_encoder *encoder, const struct label *base, size_t base_count)
{
    *encoder = (struct log_encoder){.base = base, .base_count = base_count};
    encoder->arena = arena_new(ARENA_MAX);
    buffer_init(&encoder->labels, LABELS_SIZE_MAX);
}

void log_encoder_done(struct log_encoder *encoder)
{
    for (size_t i = 0; i < LOG_STREAMS; i++)
        array_done(&encoder->entries[i]);
    buffer_done(&encoder->labels);
    arena_free(encoder->arena);
}

static void emit(struct log_encoder *e, enum log_stream stream, int64_t time_ns, struct slice text)
{
    struct loki_entry entry = {.time_ns = time_ns, .line = text};
    array_push(&e->entries[stream], entry);
}

/* Put `text` behind the open line; a line that grows over the arena's limit goes out in parts. */
static void join(struct log_encoder *e, struct open_line *line, enum log_stream stream,
                 struct slice text)
{
    char *both = arena_alloc(e->arena, line->text.size + text.size);
    if (both == NULL) {
        emit(e, stream, line->time_ns, line->text);
        line->text = text;
        return;
    }
    if (line->text.size > 0)
        memcpy(both, line->text.data, line->text.size);
    if (text.size > 0)
        memcpy(both + line->text.size, text.data, text.size);
    line->text = slice_of(both, line->text.size + text.size);
}

static void take_piece(struct log_encoder *e, const struct log_piece *piece, struct open_line *line)
{
    if (!line->open && !piece->partial) {
        emit(e, piece->stream, piece->time_ns, piece->text);
        return;
    }
    if (!line->open)
        *line = (struct open_line){true, piece->time_ns, piece->text};
    else
        join(e, line, piece->stream, piece->text);
    if (!piece->partial) {
        emit(e, piece->stream, line->time_ns, line->text);
        line->open = false;
    }
}

static void append_streams(struct log_encoder *e, const char *path, struct buffer *out)
{
    for (size_t i = 0; i < LOG_STREAMS; i++) {
        if (e->entries[i].count == 0)
            continue;
        buffer_clear(&e->labels);
        log_labels_append(&e->labels, path, (enum log_stream)i, e->base, e->base_count);
        loki_push_append_stream(out, buffer_slice(&e->labels), e->entries[i].items,
                                e->entries[i].count);
    }
}

size_t log_encoder_append(struct log_encoder *e, const char *path, enum log_format format,
                          struct slice bytes, int64_t *time_ns, struct buffer *out)
{
    struct open_line lines[LOG_STREAMS] = {0};
    struct slice text;
    size_t count = 0;

    arena_reset(e->arena);
    for (size_t i = 0; i < LOG_STREAMS; i++)
        e->entries[i].count = 0;
    while (bytes.size > 0 && slice_split(&bytes, '\n', &text)) {
        struct log_piece piece;
        log_piece_read(format, text, e->arena, &piece);
        if (!piece.timed)
            piece.time_ns = (*time_ns)++;
        take_piece(e, &piece, &lines[piece.stream]);
    }
    for (size_t i = 0; i < LOG_STREAMS; i++) {
        if (lines[i].open)
            emit(e, (enum log_stream)i, lines[i].time_ns, lines[i].text);
        count += e->entries[i].count;
    }
    append_streams(e, path, out);
    return count;
}
