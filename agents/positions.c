/* positions.c - writing and reading the positions file (see positions.h). */
#include "agents/positions.h"

#include "base/error.h"
#include "base/files.h"
#include "base/hash.h"
#include "base/number.h"

#include <inttypes.h>

#define HEADER "etinde-agent positions 1\n"

enum { POSITIONS_SIZE_MAX = 8 * 1024 * 1024 };

static void append_files(struct buffer *out, const struct log_file_array *files)
{
    for (size_t i = 0; i < files->count; i++) {
        const struct log_file *f = &files->items[i];
        buffer_printf(out,
                      "file %" PRIu64 " %" PRIu64 " %s %" PRIu32 " %" PRIu64 " %" PRIu64 " %s\n",
                      f->identity.device, f->identity.inode, log_format_name(f->format),
                      f->fingerprint.size, f->fingerprint.hash, f->offset, f->path);
    }
}

bool positions_save(const char *path, const struct log_files *files, const struct log_batch *batch,
                    struct error *err)
{
    AUTO(buffer_done) struct buffer out;
    buffer_init(&out, POSITIONS_SIZE_MAX);
    buffer_append_text(&out, HEADER);
    append_files(&out, &files->known);
    append_files(&out, &files->saved);
    if (batch->ranges.count > 0)
        buffer_printf(&out, "batch %" PRIu64 " %" PRIu64 " %" PRId64 "\n", batch->epoch,
                      batch->sequence, batch->time_ns);
    for (size_t i = 0; i < batch->ranges.count; i++) {
        const struct log_range *r = &batch->ranges.items[i];
        buffer_printf(&out, "range %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 "\n",
                      r->identity.device, r->identity.inode, r->start, r->end);
    }
    buffer_printf(&out, "checksum %" PRIu64 "\n", hash64(out.data, out.size, 0));
    return buffer_check(&out, "the positions file", err) &&
           file_replace(path, buffer_slice(&out), err);
}

static bool take_u64(struct slice *line, uint64_t *value)
{
    struct slice word;
    return slice_split(line, ' ', &word) && slice_parse_u64(word, value);
}

static bool take_file(struct slice line, struct log_files *files)
{
    struct log_file file = {.fd = -1};
    struct slice format;
    uint64_t size;
    if (!take_u64(&line, &file.identity.device) || !take_u64(&line, &file.identity.inode) ||
        !slice_split(&line, ' ', &format) || !log_format_from_name(format, &file.format) ||
        !take_u64(&line, &size) || size > LOG_FINGERPRINT_SIZE ||
        !take_u64(&line, &file.fingerprint.hash) || !take_u64(&line, &file.offset) ||
        line.size == 0 || files->saved.count >= LOG_FILES_MAX)
        return false;
    file.fingerprint.size = (uint32_t)size;
    file.path = xmemdup(line.data, line.size);
    log_files_remember(files, &file);
    return true;
}

static bool take_batch(struct slice line, struct log_batch *batch)
{
    struct slice word;
    return take_u64(&line, &batch->epoch) && take_u64(&line, &batch->sequence) &&
           slice_split(&line, ' ', &word) && slice_parse_i64(word, &batch->time_ns);
}

static bool take_range(struct slice line, struct log_batch *batch)
{
    struct log_range range;
    if (!take_u64(&line, &range.identity.device) || !take_u64(&line, &range.identity.inode) ||
        !take_u64(&line, &range.start) || !take_u64(&line, &range.end) || range.end < range.start ||
        batch->ranges.count >= LOG_FILES_MAX)
        return false;
    array_push(&batch->ranges, range);
    return true;
}

static bool take_line(struct slice line, struct log_files *files, struct log_batch *batch)
{
    struct slice word;
    slice_split(&line, ' ', &word);
    if (slice_equal(word, SLICE("file")))
        return take_file(line, files);
    if (slice_equal(word, SLICE("batch")))
        return take_batch(line, batch);
    return slice_equal(word, SLICE("range")) && take_range(line, batch);
}

/* Cut off the last line, which must hold the hash of what stands before it. */
static bool check(struct slice *text)
{
    static const struct slice word = SLICE("\nchecksum ");
    size_t at = SLICE_NOT_FOUND, next = 0;
    uint64_t hash;
    while ((next = slice_find(*text, word, next)) != SLICE_NOT_FOUND)
        at = next++;
    if (at == SLICE_NOT_FOUND || !slice_starts_with(*text, SLICE(HEADER)) ||
        !slice_parse_u64(slice_trim(slice_skip(*text, at + word.size)), &hash))
        return false;
    text->size = at + 1;
    return hash == hash64(text->data, text->size, 0);
}

static bool parse(struct slice text, struct log_files *files, struct log_batch *batch)
{
    struct slice line;
    if (!check(&text))
        return false;
    text = slice_skip(text, sizeof(HEADER) - 1);
    while (slice_split(&text, '\n', &line)) {
        if (line.size > 0 && !take_line(line, files, batch))
            return false;
    }
    return true;
}

bool positions_load(const char *path, struct log_files *files, struct log_batch *batch,
                    struct error *err)
{
    AUTO(buffer_done) struct buffer text;
    buffer_init(&text, POSITIONS_SIZE_MAX);
    if (!file_load(path, &text, err)) {
        bool missing = err->code == ERR_NOT_FOUND;
        if (missing)
            error_clear(err);
        return missing;
    }
    if (parse(buffer_slice(&text), files, batch))
        return true;
    for (size_t i = 0; i < files->saved.count; i++)
        free(files->saved.items[i].path);
    files->saved.count = 0;
    batch->ranges.count = 0;
    return error_set(err, ERR_CORRUPT, "%s is no positions file or is damaged", path);
}
