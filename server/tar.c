/* tar.c - headers of 512 bytes and files padded to 512 (see tar.h). */
#include "server/tar.h"

#include "base/error.h"
#include "base/files.h"
#include "base/memory.h"
#include "base/slice.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BLOCK = 512, PIECE = 1 << 20, NAME_SIZE = 100, PREFIX_SIZE = 155, DEPTH_MAX = 16 };

struct header {
    char name[NAME_SIZE];
    char mode[8], uid[8], gid[8], size[12], mtime[12], checksum[8];
    char type;
    char link[100];
    char magic[8]; /* "ustar", NUL, "00" */
    char user[32], group[32], device[16];
    char prefix[PREFIX_SIZE];
    char rest[12];
};
_Static_assert(sizeof(struct header) == BLOCK, "a header is one block");

struct writing {
    FILE *out;
    bool (*wanted)(const char *path);
    char *bytes;
};

static bool write_failed(struct error *err)
{
    return error_set(err, ERR_IO, "writing the archive: %s", strerror(errno));
}

/* ---- headers ------------------------------------------------------------------- */

static unsigned sum_of(const struct header *h)
{
    unsigned sum = 0;
    struct header copy = *h;
    memset(copy.checksum, ' ', sizeof(copy.checksum));
    const unsigned char *bytes = (const unsigned char *)&copy;
    for (size_t i = 0; i < BLOCK; i++)
        sum += bytes[i];
    return sum;
}

/* Octal digits, or from 8 GiB on big-endian bytes behind a set bit. */
static void size_put(char out[12], uint64_t size)
{
    char text[24];
    if (size < UINT64_C(1) << 33) {
        snprintf(text, sizeof(text), "%011llo", (unsigned long long)size);
        memcpy(out, text, 12);
        return;
    }
    memset(out, 0, 12);
    out[0] = (char)0x80;
    for (int i = 0; i < 8; i++)
        out[11 - i] = (char)(size >> 8 * i);
}

static bool octal_get(const char *field, size_t width, uint64_t *value)
{
    size_t i = 0;
    *value = 0;
    while (i < width && field[i] == ' ')
        i++;
    for (; i < width && field[i] >= '0' && field[i] <= '7'; i++)
        *value = *value << 3 | (uint64_t)(field[i] - '0');
    return i == width || field[i] == '\0' || field[i] == ' ';
}

static bool size_get(const char field[12], uint64_t *size)
{
    if ((field[0] & 0x80) == 0)
        return octal_get(field, 12, size);
    *size = 0;
    for (int i = 4; i < 12; i++)
        *size = *size << 8 | (unsigned char)field[i];
    return *size <= INT64_MAX;
}

/* A long path is split at a slash. */
static bool name_put(struct header *h, const char *path, struct error *err)
{
    size_t size = strlen(path), cut = 0;
    if (size > NAME_SIZE) {
        for (cut = size - NAME_SIZE - 1; cut < size && path[cut] != '/'; cut++)
            ;
        if (cut == size || cut > PREFIX_SIZE)
            return error_set(err, ERR_LIMIT, "the path %.100s... is too long for an archive", path);
        memcpy(h->prefix, path, cut);
        cut++;
    }
    memcpy(h->name, path + cut, size - cut);
    return true;
}

static bool header_write(struct writing *w, const char *path, const struct stat *info, char type,
                         uint64_t size, struct error *err)
{
    struct header h = {.type = type, .magic = "ustar"};
    char sum[16];
    if (!name_put(&h, path, err))
        return false;
    memcpy(h.magic + 6, "00", 2);
    memcpy(h.mode, type == '5' ? "0000750" : "0000640", 8);
    memcpy(h.uid, "0000000", 8);
    memcpy(h.gid, "0000000", 8);
    size_put(h.size, size);
    size_put(h.mtime, (uint64_t)info->st_mtime);
    snprintf(sum, sizeof(sum), "%06o", sum_of(&h));
    memcpy(h.checksum, sum, 7);
    h.checksum[7] = ' ';
    return fwrite(&h, 1, BLOCK, w->out) == BLOCK || write_failed(err);
}

/* ---- writing -------------------------------------------------------------------- */

static bool content_write(struct writing *w, int fd, uint64_t size, struct error *err)
{
    for (uint64_t at = 0; at < size;) {
        size_t n = size - at < PIECE ? (size_t)(size - at) : PIECE;
        if (!file_read_at(fd, w->bytes, n, at, err))
            return false;
        if (fwrite(w->bytes, 1, n, w->out) != n)
            return write_failed(err);
        at += n;
    }
    size_t padding = (BLOCK - size % BLOCK) % BLOCK;
    memset(w->bytes, 0, BLOCK);
    return fwrite(w->bytes, 1, padding, w->out) == padding || write_failed(err);
}

static bool tree_write(struct writing *w, const char *full, const char *path, int depth,
                       struct error *err);

static bool one_write(struct writing *w, const char *full, const char *path, int depth,
                      struct error *err)
{
    struct stat info;
    if (!w->wanted(path))
        return true;
    AUTO(fd_drop) int fd = file_open(full, O_RDONLY | O_CLOEXEC | O_NOFOLLOW, 0, err);
    if (fd < 0)
        return false;
    if (fstat(fd, &info) != 0)
        return error_set(err, ERR_IO, "%s: %s", full, strerror(errno));
    if (S_ISDIR(info.st_mode))
        return header_write(w, path, &info, '5', 0, err) &&
               tree_write(w, full, path, depth + 1, err);
    if (!S_ISREG(info.st_mode))
        return error_set(err, ERR_INVALID, "%s is no plain file", full);
    uint64_t size = (uint64_t)info.st_size;
    return header_write(w, path, &info, '0', size, err) && content_write(w, fd, size, err);
}

/* `path` is empty for the folder itself. */
static bool tree_write(struct writing *w, const char *full, const char *path, int depth,
                       struct error *err)
{
    char **names, below[PATH_MAX], relative[PATH_MAX];
    size_t count;
    if (depth > DEPTH_MAX)
        return error_set(err, ERR_LIMIT, "%s: over %d folders deep", full, DEPTH_MAX);
    if (!directory_list(full, &names, &count, err))
        return false;
    bool ok = true;
    for (size_t i = 0; ok && i < count; i++) {
        int n = snprintf(below, sizeof(below), "%s/%s", full, names[i]);
        int m = snprintf(relative, sizeof(relative), "%s%s%s", path, path[0] ? "/" : "", names[i]);
        ok = n > 0 && n < PATH_MAX && m > 0 && m < PATH_MAX;
        ok = ok ? one_write(w, below, relative, depth, err)
                : error_set(err, ERR_INVALID, "%s: the path is too long", names[i]);
    }
    names_free(names, count);
    return ok;
}

static bool all_wanted(const char *path)
{
    (void)path;
    return true;
}

bool tar_write(const char *folder, bool (*wanted)(const char *path), FILE *out, struct error *err)
{
    AUTO(memory_drop) char *bytes = xmalloc(PIECE);
    struct writing w = {.out = out, .wanted = wanted ? wanted : all_wanted, .bytes = bytes};
    if (!tree_write(&w, folder, "", 0, err))
        return false;
    memset(bytes, 0, (size_t)2 * BLOCK);
    return (fwrite(bytes, 1, (size_t)2 * BLOCK, out) == (size_t)2 * BLOCK && fflush(out) == 0) ||
           write_failed(err);
}

/* ---- reading ----------------------------------------------------------------------- */

/* Relative, and no part of it leads upwards. */
static bool path_is_safe(const char *path)
{
    struct slice rest = slice_from_text(path), part;
    if (path[0] == '/' || path[0] == '\0')
        return false;
    while (slice_split(&rest, '/', &part))
        if (slice_equal(part, SLICE("..")))
            return false;
    return true;
}

static bool name_get(const struct header *h, char path[PATH_MAX], struct error *err)
{
    int n = snprintf(path, PATH_MAX, "%.*s%s%.*s", PREFIX_SIZE, h->prefix, h->prefix[0] ? "/" : "",
                     NAME_SIZE, h->name);
    return (n > 0 && path_is_safe(path)) ||
           error_set(err, ERR_INVALID, "the archive names the path %.100s", path);
}

static bool content_read(FILE *in, const char *path, uint64_t size, char *bytes, struct error *err)
{
    AUTO(fd_drop) int fd = file_open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640, err);
    if (fd < 0)
        return false;
    for (uint64_t at = 0; at < size;) {
        size_t n = size - at < PIECE ? (size_t)(size - at) : PIECE;
        if (fread(bytes, 1, n, in) != n)
            return error_set(err, ERR_CORRUPT, "the archive ends inside of %s", path);
        if (!file_write_at(fd, bytes, n, at, err))
            return false;
        at += n;
    }
    size_t padding = (BLOCK - size % BLOCK) % BLOCK;
    return (fread(bytes, 1, padding, in) == padding ||
            error_set(err, ERR_CORRUPT, "the archive ends behind %s", path)) &&
           file_sync(fd, err);
}

static bool is_zero(const struct header *h)
{
    static const struct header zero;
    return memcmp(h, &zero, BLOCK) == 0;
}

static bool one_read(FILE *in, const struct header *h, const char *folder, char *bytes,
                     struct error *err)
{
    char path[PATH_MAX], full[PATH_MAX];
    uint64_t size, sum;
    if (memcmp(h->magic, "ustar", 5) != 0 || !octal_get(h->checksum, 8, &sum) || sum != sum_of(h) ||
        !size_get(h->size, &size))
        return error_set(err, ERR_CORRUPT, "no archive of a backup, or a damaged one");
    if (!name_get(h, path, err))
        return false;
    int n = snprintf(full, sizeof(full), "%s/%s", folder, path);
    if (n < 0 || n >= PATH_MAX)
        return error_set(err, ERR_INVALID, "%s: the path is too long", path);
    if (h->type == '5')
        return directory_make(full, err);
    if (h->type != '0' && h->type != '\0')
        return error_set(err, ERR_INVALID, "%s in the archive is no plain file", path);
    return content_read(in, full, size, bytes, err);
}

bool tar_read(FILE *in, const char *folder, struct error *err)
{
    struct header h;
    AUTO(memory_drop) char *bytes = xmalloc(PIECE);
    if (!directory_make(folder, err))
        return false;
    for (;;) {
        if (fread(&h, 1, BLOCK, in) != BLOCK)
            return error_set(err, ERR_CORRUPT, "the archive has no end");
        if (is_zero(&h))
            return true;
        if (!one_read(in, &h, folder, bytes, err))
            return false;
    }
}
