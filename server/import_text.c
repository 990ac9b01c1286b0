/*
 * import_text.c - lines of JSON or OpenMetrics text, from a file or standard input.
 *
 * The text is read in pieces; whole lines go to their reader, the rest of a
 * piece waits for the next one.
 */
#include "server/import_run.h"

#include "base/arena.h"
#include "base/buffer.h"
#include "base/files.h"
#include "base/memory.h"
#include "wire/exposition.h"
#include "wire/import_json.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

enum { PIECE_SIZE = 1 << 20, LINE_SIZE_MAX = 512 << 20 };
static const size_t line_memory_max = (size_t)4 << 30;

struct family {
    struct slice name, type, help, unit;
};

struct reading_text {
    struct importing *i;
    const char *source;
    bool json;
    struct arena *arena; /* of a line */
    size_t lines;
    struct openmetrics state;
    struct arena *texts; /* of the family at work */
    struct family family;
};

static bool fail_at_line(const struct reading_text *r, struct error *err)
{
    if (err->code == ERR_NONE)
        return importing_failed(r->i, err);
    if (r->json)
        error_prefix(err, "line %zu", r->lines);
    return error_prefix(err, "%s", r->source);
}

/* ---- OpenMetrics ------------------------------------------------------------------------ */

static bool family_end(struct reading_text *r)
{
    struct family *f = &r->family;
    bool ok = f->name.size == 0 || r->i->sink.metadata(r->i, f->name, f->type, f->help, f->unit);
    r->family = (struct family){0};
    arena_reset(r->texts);
    return ok;
}

static bool family_begin(struct reading_text *r, struct slice name)
{
    if (slice_equal(r->family.name, name))
        return true;
    if (!family_end(r))
        return false;
    r->family.name = arena_copy(r->texts, name);
    return true;
}

static bool take_metadata(void *context, struct slice family, struct slice type, struct slice help)
{
    struct reading_text *r = context;
    if (!family_begin(r, family))
        return false;
    if (type.data != NULL)
        r->family.type = arena_copy(r->texts, type);
    else
        r->family.help = arena_copy(r->texts, help);
    return true;
}

static bool take_unit(void *context, struct slice family, struct slice unit)
{
    struct reading_text *r = context;
    if (!family_begin(r, family))
        return false;
    r->family.unit = arena_copy(r->texts, unit);
    return true;
}

static bool take_sample(void *context, struct label *labels, size_t count, double value,
                        const int64_t *time_ms)
{
    struct reading_text *r = context;
    int64_t series = r->i->sink.series(r->i, labels, count);
    if (series < 0)
        return series == INGEST_SKIP;
    return r->i->sink.sample(r->i, (uint32_t)series, *time_ms, 0, value);
}

static bool read_openmetrics(struct reading_text *r, struct slice lines, struct error *err)
{
    struct exposition_handler handler = {
        .context = r, .sample = take_sample, .metadata = take_metadata, .unit = take_unit};
    return openmetrics_parse(&r->state, lines, &handler, err) || fail_at_line(r, err);
}

/* ---- pieces ------------------------------------------------------------------------------- */

static bool read_json(struct reading_text *r, struct slice lines, struct error *err)
{
    struct slice line;
    while (slice_split(&lines, '\n', &line)) {
        r->lines++;
        line = slice_trim(line);
        if (line.size > 0 && !import_json_line(line, r->arena, &r->i->sink, err))
            return fail_at_line(r, err);
    }
    return true;
}

static bool read_lines(struct reading_text *r, struct slice lines, struct error *err)
{
    if (r->i->request->form == IMPORT_AUTO && r->lines == 0 && r->state.lines == 0)
        r->json = slice_trim(lines).size > 0 && *slice_trim(lines).data == '{';
    importing_progress(r->i);
    return r->json ? read_json(r, lines, err) : read_openmetrics(r, lines, err);
}

/* Everything up to the last line's end; what is behind it moves to the front. */
static bool read_whole_lines(struct reading_text *r, struct buffer *text, size_t fresh,
                             struct error *err)
{
    const char *end = memrchr(text->data + text->size - fresh, '\n', fresh);
    if (end == NULL)
        return true;
    size_t size = (size_t)(end - text->data);
    if (!read_lines(r, slice_of(text->data, size), err))
        return false;
    memmove(text->data, end + 1, text->size - size - 1);
    buffer_truncate(text, text->size - size - 1);
    return true;
}

static bool read_all(struct reading_text *r, int fd, struct error *err)
{
    AUTO(buffer_done) struct buffer text;
    buffer_init(&text, LINE_SIZE_MAX);
    for (;;) {
        char *room = buffer_reserve(&text, PIECE_SIZE);
        if (room == NULL)
            return error_set(err, ERR_LIMIT, "%s: a line of over %d bytes", r->source,
                             LINE_SIZE_MAX - PIECE_SIZE);
        ssize_t n = read(fd, room, PIECE_SIZE);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_set(err, ERR_IO, "reading %s: %s", r->source, strerror(errno));
        if (n == 0)
            break;
        buffer_advance(&text, (size_t)n);
        r->i->done += (uint64_t)n;
        if (!read_whole_lines(r, &text, (size_t)n, err))
            return false;
    }
    if (text.size > 0 && !read_lines(r, buffer_slice(&text), err))
        return false;
    if (r->json || r->i->done == 0)
        return true;
    if (!r->state.ended)
        return error_set(err, ERR_INVALID, "%s: no \"# EOF\" at the end: the text is not whole",
                         r->source);
    return family_end(r) || importing_failed(r->i, err);
}

bool import_text(struct importing *i, struct error *err)
{
    bool standard = strcmp(i->request->source, "-") == 0;
    struct reading_text r = {.i = i,
                             .source = standard ? "standard input" : i->request->source,
                             .json =
                                 i->request->kind == STORE_LOG || i->request->form == IMPORT_JSON};
    AUTO(fd_drop) int fd = -1;
    if (!standard) {
        fd = file_open(i->request->source, O_RDONLY | O_CLOEXEC, 0, err);
        if (fd < 0 || !file_size(fd, &i->total, err))
            return false;
    }
    r.arena = arena_new(line_memory_max);
    r.texts = arena_new(line_memory_max);
    bool ok = read_all(&r, standard ? STDIN_FILENO : fd, err);
    arena_free(r.arena);
    arena_free(r.texts);
    return ok;
}
