/*
 * log_files.c - finding, opening and reading the tailed files (see log_files.h).
 *
 * There is one read buffer for all files.  What is read but cannot be sent yet
 * (half a line, an open chain of pieces) is simply read again next time, so a
 * file costs no memory but its struct.
 */
#include "agents/log_files.h"

#include "agents/log_paths.h"
#include "base/clock.h"
#include "base/duration.h"
#include "base/error.h"
#include "base/files.h"
#include "base/hash.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { READ_MAX = LOG_LINE_SIZE_MAX };

void log_files_init(struct log_files *files, enum log_format format)
{
    *files = (struct log_files){.format = format};
    buffer_init(&files->bytes, READ_MAX);
}

static void close_file(struct log_file *file)
{
    fd_drop(&file->fd);
    file->fd = -1;
    free(file->path);
    file->path = NULL;
}

void log_files_done(struct log_files *files)
{
    for (size_t i = 0; i < files->known.count; i++)
        close_file(&files->known.items[i]);
    for (size_t i = 0; i < files->saved.count; i++)
        free(files->saved.items[i].path);
    array_done(&files->known);
    array_done(&files->saved);
    buffer_done(&files->bytes);
}

void log_files_remember(struct log_files *files, const struct log_file *saved)
{
    array_push(&files->saved, *saved);
    files->saved.items[files->saved.count - 1].serial = files->next_serial++;
}

bool log_file_precedes(const struct log_file *a, const struct log_file *b)
{
    return a->serial < b->serial && a->path_hash == b->path_hash && strcmp(a->path, b->path) == 0;
}

/* The array stays in the order of age. */
static void insert(struct log_files *files, struct log_file file)
{
    struct log_file_array *known = &files->known;
    file.path_hash = hash64(file.path, strlen(file.path), 0);
    array_push(known, file);
    size_t at = known->count - 1;
    for (; at > 0 && known->items[at - 1].serial > file.serial; at--)
        known->items[at] = known->items[at - 1];
    known->items[at] = file;
}

static void remove_at(struct log_file_array *array, size_t index)
{
    array->count--;
    memmove(&array->items[index], &array->items[index + 1],
            (array->count - index) * sizeof(array->items[0]));
}

static bool same_identity(struct log_identity a, struct log_identity b)
{
    return a.device == b.device && a.inode == b.inode;
}

struct log_file *log_files_find(struct log_files *files, struct log_identity identity)
{
    for (size_t i = 0; i < files->known.count; i++) {
        if (same_identity(files->known.items[i].identity, identity))
            return &files->known.items[i];
    }
    return NULL;
}

/* At most `size` bytes at `offset`; the count, or -1. */
static ssize_t read_at(int fd, void *data, size_t size, uint64_t offset)
{
    size_t have = 0;
    while (have < size) {
        ssize_t got = pread(fd, (char *)data + have, size - have, (off_t)(offset + have));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -1;
        if (got == 0)
            break;
        have += (size_t)got;
    }
    return (ssize_t)have;
}

static bool fingerprint_take(int fd, uint32_t size, struct fingerprint *out)
{
    char bytes[LOG_FINGERPRINT_SIZE];
    if (read_at(fd, bytes, size, 0) != (ssize_t)size)
        return false;
    *out = (struct fingerprint){size, hash64(bytes, size, 0)};
    return true;
}

/* Does the file still begin with the bytes that it had? */
static bool fingerprint_holds(int fd, struct fingerprint known)
{
    struct fingerprint now;
    if (known.size == 0)
        return true;
    return known.size <= LOG_FINGERPRINT_SIZE && fingerprint_take(fd, known.size, &now) &&
           now.hash == known.hash;
}

void log_file_advance(struct log_file *file, uint64_t end)
{
    file->offset = end;
    uint32_t size = end < LOG_FINGERPRINT_SIZE ? (uint32_t)end : LOG_FINGERPRINT_SIZE;
    struct fingerprint longer;
    if (size > file->fingerprint.size && fingerprint_take(file->fd, size, &longer))
        file->fingerprint = longer;
}

/* ---- the search ---------------------------------------------------------------- */

/* Go on where the positions say, if this is a file of theirs. */
static void resume(struct log_files *files, struct log_file *file, uint64_t size)
{
    for (size_t i = 0; i < files->saved.count; i++) {
        struct log_file *saved = &files->saved.items[i];
        bool same = saved->identity.inode == file->identity.inode &&
                    (saved->identity.device == file->identity.device ||
                     strcmp(saved->path, file->path) == 0);
        if (!same || saved->offset > size || !fingerprint_holds(file->fd, saved->fingerprint))
            continue;
        file->offset = saved->offset;
        file->fingerprint = saved->fingerprint;
        file->format = saved->format;
        free(file->path);
        file->path = saved->path;
        file->serial = saved->serial;
        remove_at(&files->saved, i);
        return;
    }
}

static void add_file(struct log_files *files, const char *path, const struct stat *found)
{
    struct stat info;
    if (files->known.count >= LOG_FILES_MAX) {
        atomic_fetch_add(&files->counters.left_out, 1);
        log_warn("too many log files", LOG_TEXT("left_out", path), LOG_INT("limit", LOG_FILES_MAX));
        return;
    }
    if (slice_find_byte(slice_from_text(path), '\n', 0) != SLICE_NOT_FOUND)
        return; /* the positions are lines */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        log_warn("cannot read a log", LOG_TEXT("path", path), LOG_TEXT("err", strerror(errno)));
        return;
    }
    if (fstat(fd, &info) != 0 || info.st_ino != found->st_ino || info.st_dev != found->st_dev) {
        close(fd); /* replaced just now: the next search finds what is there */
        return;
    }
    struct log_file file = {.path = xstrdup(path),
                            .identity = {(uint64_t)info.st_dev, (uint64_t)info.st_ino},
                            .format = files->format,
                            .serial = files->next_serial++,
                            .fd = fd,
                            .at_path = true};
    resume(files, &file, (uint64_t)info.st_size);
    insert(files, file);
    atomic_store(&files->counters.files, files->known.count);
    log_info("tailing", LOG_TEXT("path", file.path), LOG_INT("offset", file.offset),
             LOG_INT("size", info.st_size));
}

/* The same inode with less in it, or with another beginning: it was truncated, or is a new file. */
static void check_truncated(struct log_files *files, struct log_file *file, uint64_t size)
{
    if (size >= file->offset && fingerprint_holds(file->fd, file->fingerprint))
        return;
    log_warn("log was truncated, reading it from the start", LOG_TEXT("path", file->path),
             LOG_INT("offset", file->offset), LOG_INT("size", size));
    file->offset = 0;
    file->fingerprint = (struct fingerprint){0};
    file->format = files->format;
    atomic_fetch_add(&files->counters.truncated, 1);
}

static bool found_path(void *context, const char *path, const struct stat *info)
{
    struct log_files *files = context;
    struct log_identity identity = {(uint64_t)info->st_dev, (uint64_t)info->st_ino};
    struct log_file *file = log_files_find(files, identity);

    if (file == NULL) {
        add_file(files, path, info);
        return true;
    }
    file->at_path = true; /* also when it was renamed to another name that a pattern means */
    return true;
}

static bool is_read_to_its_end(const struct log_file *file)
{
    struct stat info;
    return fstat(file->fd, &info) != 0 || (uint64_t)info.st_size <= file->offset;
}

static void notice_gone(struct log_files *files, int64_t now_ns)
{
    for (size_t i = 0; i < files->known.count; i++) {
        struct log_file *file = &files->known.items[i];
        struct stat info;
        if (file->at_path) {
            file->gone_since_ns = 0;
            if (fstat(file->fd, &info) == 0)
                check_truncated(files, file, (uint64_t)info.st_size);
            continue;
        }
        if (file->gone_since_ns == 0) {
            file->gone_since_ns = now_ns;
            atomic_fetch_add(&files->counters.rotated, 1);
        }
        if (now_ns - file->gone_since_ns < LOG_GONE_SECONDS * NS_PER_SECOND ||
            !is_read_to_its_end(file))
            continue;
        log_info("log is gone and read to its end", LOG_TEXT("path", file->path));
        close_file(file);
        remove_at(&files->known, i--);
    }
    atomic_store(&files->counters.files, files->known.count);
}

/* Files of the positions that were rotated away while we did not run lie beside their old path. */
static void search_rotated(struct log_files *files)
{
    struct error err;
    for (size_t i = 0; i < files->saved.count; i++) {
        char directory[4096], path[4096];
        char **names;
        size_t count;
        struct log_identity wanted = files->saved.items[i].identity;
        const char *slash = strrchr(files->saved.items[i].path, '/');
        if (slash == NULL)
            continue;
        snprintf(directory, sizeof(directory), "%.*s", (int)(slash - files->saved.items[i].path),
                 files->saved.items[i].path);
        if (!directory_list(directory[0] ? directory : "/", &names, &count, &err))
            continue;
        for (size_t k = 0; k < count; k++) {
            struct stat info;
            int size = snprintf(path, sizeof(path), "%s/%s", directory, names[k]);
            if (size < 0 || (size_t)size >= sizeof(path) || stat(path, &info) != 0 ||
                !S_ISREG(info.st_mode) || (uint64_t)info.st_ino != wanted.inode ||
                log_files_find(files,
                               (struct log_identity){(uint64_t)info.st_dev, (uint64_t)info.st_ino}))
                continue;
            add_file(files, path, &info);
            break;
        }
        names_free(names, count);
    }
    for (size_t i = 0; i < files->saved.count; i++)
        free(files->saved.items[i].path);
    files->saved.count = 0;
}

void log_files_search(struct log_files *files, const char *const *patterns, size_t count)
{
    for (size_t i = 0; i < files->known.count; i++)
        files->known.items[i].at_path = false;
    for (size_t i = 0; i < count; i++)
        log_paths_find(patterns[i], found_path, files);
    search_rotated(files);
    notice_gone(files, clock_monotonic_ns());
}

/* ---- reading --------------------------------------------------------------------- */

bool log_file_read(struct log_files *files, struct log_file *file, uint64_t start, uint64_t end,
                   struct slice *bytes, struct error *err)
{
    buffer_clear(&files->bytes);
    char *room =
        end - start <= READ_MAX ? buffer_reserve(&files->bytes, (size_t)(end - start)) : NULL;
    if (room == NULL)
        return error_set(err, ERR_LIMIT, "%s: a range has more than %d bytes, the limit",
                         file->path, READ_MAX);
    ssize_t got = read_at(file->fd, room, (size_t)(end - start), start);
    if (got < 0)
        return error_set(err, ERR_IO, "read %s: %s", file->path, strerror(errno));
    buffer_advance(&files->bytes, (size_t)got);
    *bytes = buffer_slice(&files->bytes);
    return true;
}

/* The offset behind the last place where no line and no chain of pieces is open. */
static size_t safe_end(enum log_format format, struct slice bytes)
{
    bool open[LOG_STREAMS] = {false};
    size_t at = 0, safe = 0, lines = 0, newline;

    while (lines++ < LOG_RANGE_LINES_MAX &&
           (newline = slice_find_byte(bytes, '\n', at)) != SLICE_NOT_FOUND) {
        enum log_stream stream;
        bool partial;
        if (log_piece_peek(format, slice_sub(bytes, at, newline - at), &stream, &partial))
            open[stream] = partial;
        at = newline + 1;
        if (!open[LOG_STREAM_NONE] && !open[LOG_STREAM_STDOUT] && !open[LOG_STREAM_STDERR])
            safe = at;
    }
    return safe;
}

static void detect_format(struct log_file *file, struct slice bytes)
{
    size_t newline = slice_find_byte(bytes, '\n', 0);
    if (file->format == LOG_FORMAT_AUTO && newline != SLICE_NOT_FOUND)
        file->format = log_format_detect(slice_sub(bytes, 0, newline));
}

/* Nobody writes to the file any more. */
static bool is_finished(const struct log_file *file)
{
    return file->gone_since_ns != 0 &&
           clock_monotonic_ns() - file->gone_since_ns >= LOG_GONE_SECONDS * NS_PER_SECOND;
}

bool log_file_plan(struct log_files *files, struct log_file *file, uint64_t *end, struct error *err)
{
    struct stat info;
    *end = file->offset;
    if (fstat(file->fd, &info) != 0)
        return error_set(err, ERR_IO, "stat %s: %s", file->path, strerror(errno));
    uint64_t size = (uint64_t)info.st_size;
    if (size < file->offset)
        check_truncated(files, file, size);
    *end = file->offset;

    for (uint64_t wanted = LOG_RANGE_SIZE; file->offset < size; wanted = READ_MAX) {
        struct slice bytes;
        uint64_t left = size - file->offset;
        if (!log_file_read(files, file, file->offset,
                           file->offset + (left < wanted ? left : wanted), &bytes, err))
            return false;
        detect_format(file, bytes);
        size_t safe = safe_end(file->format, bytes);
        bool all = bytes.size == left, most = bytes.size == READ_MAX;
        if (safe == 0 && most)
            atomic_fetch_add(&files->counters.cut_lines, 1);
        if (safe == 0 && (most || (all && is_finished(file))))
            safe = bytes.size; /* over the limit, or the file ends without a newline */
        *end = file->offset + safe;
        if (safe > 0 || all || bytes.size < wanted)
            return true;
    }
    return true;
}
