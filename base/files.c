/*
 * files.c - the file operations of files.h.
 *
 * Each call goes through the hooks when a test has set them.  EINTR is retried
 * for everything but fdatasync and fsync: after those fail, nobody knows what
 * reached the disk, so the caller has to treat any failure as final.
 */
#include "base/files.h"

#include "base/array.h"
#include "base/buffer.h"
#include "base/error.h"
#include "base/memory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_SIZE_MAX = 4096, LOAD_STEP = 64 * 1024, NAME_COUNT_MAX = 1000000 };

static int system_open(const char *path, int flags, mode_t mode)
{
    return open(path, flags, mode);
}

static const struct file_hooks system_calls = {
    .open = system_open,
    .pwrite = pwrite,
    .fdatasync = fdatasync,
    .fsync = fsync,
    .ftruncate = ftruncate,
    .rename = rename,
    .unlink = unlink,
    .mkdir = mkdir,
};

const struct file_hooks *file_hooks;

static const struct file_hooks *calls(void)
{
    return file_hooks ? file_hooks : &system_calls;
}

/* The kind of failure that errno `number` stands for. */
static enum error_code code_of(int number)
{
    switch (number) {
    case ENOENT:
        return ERR_NOT_FOUND;
    case ENOSPC:
    case EDQUOT:
    case EMFILE:
    case ENFILE:
    case ENOMEM:
        return ERR_UNAVAILABLE;
    default:
        return ERR_IO;
    }
}

static bool failed(struct error *err, const char *what, const char *path)
{
    int number = errno;
    return error_set(err, code_of(number), "%s %s: %s", what, path, strerror(number));
}

/* For calls on a descriptor: the caller adds the path with error_prefix. */
static bool failed_fd(struct error *err, const char *what)
{
    int number = errno;
    enum error_code code = code_of(number);
    return error_set(err, code == ERR_NOT_FOUND ? ERR_IO : code, "%s: %s", what, strerror(number));
}

int file_open(const char *path, int flags, mode_t mode, struct error *err)
{
    int fd;
    do
        fd = calls()->open(path, flags | O_CLOEXEC, mode);
    while (fd < 0 && errno == EINTR);
    if (fd < 0)
        failed(err, "open", path);
    return fd;
}

void fd_drop(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

bool file_write_at(int fd, const void *data, size_t size, uint64_t offset, struct error *err)
{
    const char *from = data;
    while (size > 0) {
        ssize_t written = calls()->pwrite(fd, from, size, (off_t)offset);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return failed_fd(err, "write");
        if (written == 0)
            return error_set(err, ERR_IO, "write: nothing was written");
        from += written;
        offset += (uint64_t)written;
        size -= (size_t)written;
    }
    return true;
}

bool file_read_at(int fd, void *data, size_t size, uint64_t offset, struct error *err)
{
    char *to = data;
    while (size > 0) {
        ssize_t got = pread(fd, to, size, (off_t)offset);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return failed_fd(err, "read");
        if (got == 0)
            return error_set(err, ERR_CORRUPT, "the file ends at byte %ju, %zu bytes are missing",
                             (uintmax_t)offset, size);
        to += got;
        offset += (uint64_t)got;
        size -= (size_t)got;
    }
    return true;
}

bool file_sync_data(int fd, struct error *err)
{
    return calls()->fdatasync(fd) == 0 || failed_fd(err, "fdatasync");
}

bool file_sync(int fd, struct error *err)
{
    return calls()->fsync(fd) == 0 || failed_fd(err, "fsync");
}

bool file_truncate(int fd, uint64_t size, struct error *err)
{
    int result;
    do
        result = calls()->ftruncate(fd, (off_t)size);
    while (result != 0 && errno == EINTR);
    return result == 0 || failed_fd(err, "truncate");
}

bool file_size(int fd, uint64_t *size, struct error *err)
{
    struct stat info;
    if (fstat(fd, &info) != 0)
        return failed_fd(err, "stat");
    *size = (uint64_t)info.st_size;
    return true;
}

bool file_rename(const char *from, const char *to, struct error *err)
{
    return calls()->rename(from, to) == 0 || failed(err, "rename", from);
}

bool file_unlink(const char *path, struct error *err)
{
    return calls()->unlink(path) == 0 || errno == ENOENT || failed(err, "unlink", path);
}

static bool make_one(const char *path, struct error *err)
{
    if (calls()->mkdir(path, 0755) == 0)
        return true;
    if (errno != EEXIST)
        return failed(err, "mkdir", path);
    struct stat info;
    if (stat(path, &info) != 0)
        return failed(err, "stat", path);
    if (!S_ISDIR(info.st_mode))
        return error_set(err, ERR_IO, "mkdir %s: it exists and is no directory", path);
    return true;
}

/* `path` copied into `copy` with a NUL, or ERR_IO when it is too long. */
static bool copy_path(char copy[PATH_SIZE_MAX], const char *path, const char *suffix,
                      struct error *err)
{
    int size = snprintf(copy, PATH_SIZE_MAX, "%s%s", path, suffix);
    if (size <= 0 || size >= PATH_SIZE_MAX)
        return error_set(err, ERR_IO, "path is empty or has more than %d bytes: %.200s",
                         PATH_SIZE_MAX - 1, path);
    return true;
}

bool directory_make(const char *path, struct error *err)
{
    char partial[PATH_SIZE_MAX];
    if (!copy_path(partial, path, "", err))
        return false;
    for (char *at = partial + 1; *at; at++) {
        if (*at != '/' || at[-1] == '/')
            continue;
        *at = '\0';
        if (!make_one(partial, err))
            return false;
        *at = '/';
    }
    return make_one(partial, err);
}

bool directory_sync(const char *path, struct error *err)
{
    AUTO(fd_drop) int fd = file_open(path, O_RDONLY | O_DIRECTORY, 0, err);
    if (fd < 0)
        return false;
    return file_sync(fd, err) || error_prefix(err, "%s", path);
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

bool directory_list(const char *path, char ***names, size_t *count, struct error *err)
{
    DIR *directory = opendir(path);
    if (directory == NULL)
        return failed(err, "open", path);

    ARRAY(char *) found = {0};
    int number = 0;
    for (;;) {
        errno = 0;
        struct dirent *entry = readdir(directory);
        if (entry == NULL) {
            number = errno;
            break;
        }
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (found.count == NAME_COUNT_MAX) {
            number = EOVERFLOW;
            break;
        }
        array_push(&found, xstrdup(entry->d_name));
    }
    closedir(directory);
    if (number != 0) {
        names_free(found.items, found.count);
        errno = number;
        return failed(err, "read directory", path);
    }
    if (found.count > 1)
        qsort(found.items, found.count, sizeof(*found.items), compare_names);
    *names = found.items;
    *count = found.count;
    return true;
}

void names_free(char **names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(names[i]);
    free(names);
}

bool file_load(const char *path, struct buffer *out, struct error *err)
{
    AUTO(fd_drop) int fd = file_open(path, O_RDONLY, 0, err);
    if (fd < 0)
        return false;
    for (;;) {
        size_t left = out->size_max - out->size;
        size_t step = left < LOAD_STEP ? left : LOAD_STEP;
        char byte; /* at the limit: is there anything more? */
        char *room = step > 0 ? buffer_reserve(out, step) : &byte;
        if (room == NULL)
            return error_set(err, ERR_LIMIT, "reading %s: out of memory", path);
        ssize_t got = read(fd, room, step > 0 ? step : 1);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return failed(err, "read", path);
        if (got == 0)
            return true;
        if (step == 0)
            return error_set(err, ERR_LIMIT, "%s has more than %zu bytes, the limit", path,
                             out->size_max);
        buffer_advance(out, (size_t)got);
    }
}

/* The directory that holds `path`. */
static void parent_of(char *path)
{
    char *slash = strrchr(path, '/');
    if (slash == NULL)
        memcpy(path, ".", 2);
    else if (slash == path)
        path[1] = '\0';
    else
        *slash = '\0';
}

static bool write_new(const char *path, struct slice content, struct error *err)
{
    AUTO(fd_drop) int fd = file_open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644, err);
    if (fd < 0)
        return false;
    if (!file_write_at(fd, content.data, content.size, 0, err) || !file_sync(fd, err))
        return error_prefix(err, "%s", path);
    return true;
}

bool file_replace(const char *path, struct slice content, struct error *err)
{
    char partial[PATH_SIZE_MAX];
    if (!copy_path(partial, path, ".tmp", err))
        return false;
    if (!write_new(partial, content, err) || !file_rename(partial, path, err)) {
        (void)!file_unlink(partial, NULL);
        return false;
    }
    char directory[PATH_SIZE_MAX];
    if (!copy_path(directory, path, "", err))
        return false;
    parent_of(directory);
    return directory_sync(directory, err);
}
