/* system_calls.c - see system_calls.h. */
#include "tests/faults/system_calls.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

const struct system_watch *system_watch;

/* The path behind a descriptor; false for what is no file. */
static bool path_of(int fd, char path[PATH_MAX])
{
    char link[64];
    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    ssize_t n = syscall(SYS_readlink, link, path, PATH_MAX - 1);
    if (n <= 0 || path[0] != '/')
        return false;
    path[n] = '\0';
    char *deleted = strstr(path, " (deleted)");
    if (deleted != NULL)
        *deleted = '\0';
    return true;
}

static bool refused(const struct system_call *call, size_t *size)
{
    if (system_watch == NULL || system_watch->before == NULL)
        return false;
    int error = system_watch->before(call, size);
    if (error != 0)
        errno = error;
    return error != 0;
}

static void done(const struct system_call *call)
{
    int kept = errno;
    if (system_watch != NULL && system_watch->after != NULL)
        system_watch->after(call);
    errno = kept;
}

/* A call that takes paths: `raw` is made when nothing is against it. */
#define WATCHED(call, raw)                                                                         \
    do {                                                                                           \
        if (refused((call), NULL))                                                                 \
            return -1;                                                                             \
        int outcome_ = (int)(raw);                                                                 \
        if (outcome_ == 0)                                                                         \
            done(call);                                                                            \
        return outcome_;                                                                           \
    } while (0)

int open(const char *path, int flags, ...)
{
    mode_t mode = 0;
    if (flags & O_CREAT) {
        va_list arguments;
        va_start(arguments, flags);
        mode = va_arg(arguments, mode_t);
        va_end(arguments);
    }
    bool watched = system_watch != NULL && (flags & (O_CREAT | O_TRUNC)) != 0 && path[0] == '/';
    struct system_call call = {.kind = CALL_OPEN, .path = path};
    if (watched) {
        call.fresh = syscall(SYS_access, path, F_OK) != 0;
        if (refused(&call, NULL))
            return -1;
    }
    int fd = (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
    if (fd < 0 || !watched)
        return fd;
    if (call.fresh) {
        done(&call);
    } else if (flags & O_TRUNC) {
        call.kind = CALL_SIZE;
        done(&call);
    }
    return fd;
}

static ssize_t write_watched(int fd, const void *data, size_t size, off_t offset, bool here)
{
    char path[PATH_MAX];
    struct system_call call = {.kind = CALL_WRITE, .path = path, .data = data, .size = size};
    bool watched = system_watch != NULL && path_of(fd, path);
    if (watched) {
        call.offset = (uint64_t)(here ? syscall(SYS_lseek, fd, 0, SEEK_CUR) : offset);
        call.durable = (fcntl(fd, F_GETFL) & O_DSYNC) != 0;
        if (refused(&call, &size))
            return -1;
        call.size = size;
    }
    ssize_t n =
        here ? syscall(SYS_write, fd, data, size) : syscall(SYS_pwrite64, fd, data, size, offset);
    if (n >= 0 && watched)
        done(&call);
    return n;
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t offset)
{
    return write_watched(fd, data, size, offset, false);
}

ssize_t write(int fd, const void *data, size_t size)
{
    return write_watched(fd, data, size, 0, true);
}

/* One after the other: LMDB takes a short count for an error, so all or an error is given. */
ssize_t writev(int fd, const struct iovec *parts, int count)
{
    ssize_t all = 0;
    if (system_watch == NULL)
        return syscall(SYS_writev, fd, parts, count);
    for (int i = 0; i < count; i++) {
        ssize_t n = write_watched(fd, parts[i].iov_base, parts[i].iov_len, 0, true);
        if (n < 0)
            return all > 0 ? all : -1;
        all += n;
        if ((size_t)n < parts[i].iov_len)
            break;
    }
    return all;
}

static int sync_watched(int fd, long number)
{
    char path[PATH_MAX];
    struct system_call call = {.kind = CALL_SYNC, .path = path};
    if (system_watch == NULL || !path_of(fd, path))
        return (int)syscall(number, fd);
    WATCHED(&call, syscall(number, fd));
}

int fsync(int fd)
{
    return sync_watched(fd, SYS_fsync);
}

int fdatasync(int fd)
{
    return sync_watched(fd, SYS_fdatasync);
}

int ftruncate(int fd, off_t size)
{
    char path[PATH_MAX];
    struct system_call call = {.kind = CALL_SIZE, .path = path, .offset = (uint64_t)size};
    if (system_watch == NULL || !path_of(fd, path))
        return (int)syscall(SYS_ftruncate, fd, size);
    WATCHED(&call, syscall(SYS_ftruncate, fd, size));
}

int rename(const char *from, const char *to)
{
    struct system_call call = {.kind = CALL_RENAME, .path = from, .to = to};
    WATCHED(&call, syscall(SYS_rename, from, to));
}

int link(const char *from, const char *to)
{
    struct system_call call = {.kind = CALL_LINK, .path = from, .to = to};
    WATCHED(&call, syscall(SYS_link, from, to));
}

int unlink(const char *path)
{
    struct system_call call = {.kind = CALL_UNLINK, .path = path};
    WATCHED(&call, syscall(SYS_unlink, path));
}

int mkdir(const char *path, mode_t mode)
{
    struct system_call call = {.kind = CALL_MKDIR, .path = path};
    WATCHED(&call, syscall(SYS_mkdir, path, mode));
}

int rmdir(const char *path)
{
    struct system_call call = {.kind = CALL_RMDIR, .path = path};
    WATCHED(&call, syscall(SYS_rmdir, path));
}

void *mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset)
{
    char path[PATH_MAX];
    struct system_call call = {.kind = CALL_MAP, .path = path, .size = size};
    if (fd >= 0 && system_watch != NULL && path_of(fd, path) && refused(&call, NULL))
        return MAP_FAILED;
    return (void *)syscall(SYS_mmap, address, size, protection, flags, fd, offset);
}
